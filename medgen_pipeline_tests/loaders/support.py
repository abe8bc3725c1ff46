"""What the loader tests share: a PostgreSQL for the conformance suite, and looks at one that need no loader."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from medgen_pipeline.catalog import SourceTable, Table
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderFactory
from medgen_pipeline.loading.load import LoadResult
from medgen_pipeline.testing import Backend, Mirror, Row


class PostgresBackend(Backend):
    """A database of a PostgreSQL server."""

    def query(self, statement: str) -> list[Row]:
        """See the base class."""
        return query(self.dsn, statement)

    def lose_connections(self) -> None:
        """See the base class."""
        self.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'medgen_pipeline%'"
        )


def postgres_mirror(dsn: str, home: Path, table: SourceTable, schema: str) -> Mirror:
    """One table of a PostgreSQL, kept up to date by whole loads."""
    return Mirror(PostgresBackend(dsn, schema=schema), home, table)


def new_loader(dsn: str, **config: object) -> AbstractNativeLoader:
    return LoaderFactory.create_loader(dsn, config)


def read(dsn: str, schema: str, table: Table, columns: Sequence[str] = ()) -> list[Row]:
    """All rows of ``schema.table`` as text, sorted; the feed's own columns first where asked for."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name in (*columns, *table.column_names))
    statement = sql.SQL("SELECT {} FROM {}").format(names, sql.Identifier(schema, table.name))
    with psycopg.connect(dsn) as connection:
        return sorted(connection.execute(statement).fetchall(), key=repr)


def query(dsn: str, statement: str, *params: object) -> list[Row]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), params or None)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def session(dsn: str) -> Iterator[psycopg.Connection[Row]]:
    with psycopg.connect(dsn) as connection:
        yield connection


def outcome(result: LoadResult) -> tuple[object, ...]:
    """What of a load must not depend on the backend."""
    return result.counts, result.report, result.strategy, result.mode


@contextmanager
def role_that_loads(dsn: str, *settings: str) -> Iterator[str]:
    """URL for a new role that may create schemas in the database.

    Args:
        dsn: URL of the database, for a superuser.
        settings: What follows ``ALTER ROLE name``, such as ``SET jit = off``.
    """
    url = urlsplit(dsn)
    role = f"medgen_{uuid.uuid4().hex}"
    query(dsn, f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {url.path[1:]} TO {role}")
    for setting in settings:
        query(dsn, f"ALTER ROLE {role} {setting}")
    try:
        yield url._replace(netloc=f"{role}@{url.netloc.rpartition('@')[2]}").geturl()
    finally:
        query(dsn, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
