"""SQLite as a warehouse, for tests alone: what the contract asks of one that is nobody's, in a dialect and few methods.

Each schema is a database file of its own, in one folder. SQLite commits a transaction over several files as one, by
its rollback journal (https://www.sqlite.org/atomiccommit.html, section 5). With a write-ahead log it does so file by
file (https://www.sqlite.org/lang_attach.html); ``SqliteOneByOneLoader`` is of that kind, and holds itself to one table
in a transaction.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, LiteralString, Self, TypeVar

import pyarrow as pa
from filelock import FileLock, Timeout

from medgen_pipeline.catalog import ColumnType, Table
from medgen_pipeline.loaders import Dialect, LoaderCapabilities, LoaderError, TableBusyError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.config import LoaderConfig
from medgen_pipeline.loaders.sql import DbApiSession, SqlAudit, SqlNativeLoader, schemas
from medgen_pipeline.loaders.sql.names import MARK
from medgen_pipeline.loaders.sql.session import Relation
from medgen_pipeline.urls import split_url

T = TypeVar("T")
_LAYOUT: LiteralString = f"/* {MARK} */ STRICT"
_MOMENTS = {"started_at", "finished_at", "_commit_timestamp"}  # SQLite has no type for them
_DAYS = {"day"}  # nor for these


class SqliteDialect(Dialect):
    """The words of SQLite."""

    now = "(strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))"
    name_type = text_type = date_type = "TEXT"
    integer_type = boolean_type = "INTEGER"
    timestamp_type = "TEXT"
    layout_marks = True

    def matches(self, text: sql.Statement, pattern: str) -> sql.Statement:
        """By a function that the session brings."""
        return sql.SQL("{} REGEXP {}").format(text, sql.Literal(pattern))

    def equal_or_null(self, left: sql.Statement, right: sql.Statement, kind: ColumnType) -> sql.Statement:
        """IS NOT DISTINCT FROM came with 3.39."""
        del kind
        return sql.SQL("{} IS {}").format(left, right)

    def row_hash(self, values: Sequence[tuple[sql.Statement, ColumnType]]) -> sql.Statement:
        """By a function that the session brings."""
        return sql.SQL("row_hash({})").format(sql.SQL(", ").join(value for value, _ in values))

    def layout(self, table: Table) -> sql.Statement:
        """Strict, or a number's column takes text. SQLite keeps the statement, and what is said in it."""
        del table
        return sql.SQL(_LAYOUT)

    feed_layout = layout

    def comment(self, relation: sql.Statement, column: str | None, text: str) -> None:
        """There are none."""


class SqliteSession(DbApiSession):
    """Connections to the files of one folder."""

    dialect: ClassVar[Dialect] = SqliteDialect()
    error = sqlite3.Error
    begin = "BEGIN IMMEDIATE"
    journal: ClassVar[LiteralString] = "DELETE"

    def __init__(self, folder: Path, schema: str) -> None:
        super().__init__(schema)
        self.folder = folder

    @property
    def where(self) -> str:
        return str(self.folder)

    def connect(self) -> sqlite3.Connection:
        connection = connect(self.folder, self.schema)
        connection.row_factory = typed_row
        connection.create_function("REGEXP", 2, lambda pattern, text: re.search(pattern, text or "") is not None)
        connection.create_function("row_hash", -1, _row_hash, deterministic=True)
        connection.create_window_function("SUM", 1, _ExactSum)
        return connection

    def create_schema(self, name: str) -> None:
        for connection in filter(None, (self._work, self._audit)):
            attach(connection, self.folder, name, create=True)
        self.execute(sql.SQL("PRAGMA {}.journal_mode = {}").format(sql.Identifier(name), sql.SQL(self.journal)))

    def relations(self, names: Sequence[str]) -> dict[str, dict[str, Relation]]:
        for connection in filter(None, (self._work, self._audit)):
            attach(connection, self.folder, *schemas(self.schema))  # others may have created them since
        return {
            name: {
                table: Relation(kind, MARK if MARK in text else "")
                for table, kind, text in self.execute(
                    sql.SQL("SELECT name, type, sql FROM {}.sqlite_master WHERE type IN ('table', 'view')").format(
                        sql.Identifier(name)
                    )
                ).fetchall()
            }
            for name in attached(self.work)
            if name in names
        }

    def columns(self, schema: str, name: str) -> dict[str, str]:
        statement = sql.SQL("SELECT name, type FROM pragma_table_info({}, {})").format(name, schema)
        return dict(self.execute(statement).fetchall())


class SqliteAudit(SqlAudit[Any]):
    """The audit, marked as every table of a load."""

    additions: ClassVar[Mapping[str, LiteralString]] = {"run_layout": _LAYOUT, "row_layout": _LAYOUT}


class SqliteConfig(LoaderConfig):
    """What every loader is told."""

    loader_name: ClassVar[str] = "SQLite loader"


class SqliteLoader(SqlNativeLoader[Any]):
    """Loads into the files of a folder."""

    scheme: ClassVar[str] = "sqlite"
    capabilities: ClassVar[LoaderCapabilities] = LoaderCapabilities(
        backend="sqlite",
        max_identifier_bytes=128,
        max_text_bytes=1_000_000_000,
        enforced_keys=False,
        curated=True,
        delete_join="exists",
        bulk_encoding="arrow",
        documentation=("https://www.sqlite.org/limits.html", "https://www.sqlite.org/atomiccommit.html"),
    )
    session_class: ClassVar[type[SqliteSession]] = SqliteSession
    _session: SqliteSession

    def __init__(self, folder: Path, config: SqliteConfig) -> None:
        session = self.session_class(folder, config.schema)
        super().__init__(session, SqliteAudit(session))
        self._folder = folder
        self._patience = config.lock_timeout_seconds
        self._lock: FileLock | None = None

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        return cls(Path(split_url(db_dsn, "SQLite loader: the DSN").path), SqliteConfig.from_mapping(config))

    @property
    def session(self) -> SqliteSession:
        """For tests that stand in the way of statements."""
        return self._session

    def close(self) -> None:
        super().close()
        if self._lock is not None:
            self._lock.release()

    def _take_lock(self, table: Table) -> None:
        if self._lock is not None:
            self._lock.release()
        name = f"{self._session.schema}.{table.name}"
        self._lock = FileLock(self._folder / f"{name}.lock", timeout=self._patience, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise TableBusyError(f"{name}: waited {self._patience:g} s for another load of this table.") from None

    def bulk_load(self, table_name: str, data_iterator: Iterator[pa.RecordBatch]) -> int:
        schema = schemas(self._session.schema).staging
        staging = sql.Identifier(schema, table_name)
        with self._session.errors(f"inserting into the staging table of {table_name}"):
            columns = self._session.columns(schema, table_name)
            self._session.execute(sql.SQL("DELETE FROM {}").format(staging))
            marks = sql.SQL(", ").join([sql.SQL("?")] * len(columns))
            text = self.dialect.text(sql.SQL("INSERT INTO {} VALUES ({})").format(staging, marks))
            self._session.execute(sql.SQL("BEGIN"))  # of one file, since the audit is written to meanwhile
            try:
                held = self._insert(text, data_iterator, table_name)
            except BaseException:
                self._session.execute(sql.SQL("ROLLBACK"))
                raise
            self._session.execute(sql.SQL("COMMIT"))
        return held

    def _insert(self, text: str, batches: Iterator[pa.RecordBatch], table_name: str) -> int:
        sent = 0

        def rows() -> Iterator[tuple[Any, ...]]:
            nonlocal sent
            for batch in batches:
                sent += batch.num_rows
                yield from zip(*(_values(column) for column in batch.columns), strict=True)

        held = max(int(self._session.work.cursor().executemany(text, rows()).rowcount), 0)
        if held != sent:
            raise LoaderError(f"{table_name}: sent {sent:,} rows, SQLite holds {held:,}; nothing was kept.")
        return held


class OneTableSession(SqliteSession):
    """Refuses a transaction that writes to a second table, or that makes or drops one."""

    journal = "WAL"

    def __init__(self, folder: Path, schema: str) -> None:
        super().__init__(folder, schema)
        self._written: set[tuple[str, str]] | None = None

    def connect(self) -> sqlite3.Connection:
        connection = super().connect()
        connection.set_authorizer(self._authorize)
        return connection

    def transaction(self, body: Callable[[], T]) -> T:
        self._written = set()
        try:
            return super().transaction(body)
        finally:
            self._written = None

    def _authorize(self, action: int, table: str | None, _: str | None, schema: str | None, __: str | None) -> int:
        if self._written is None or action not in {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}:
            return sqlite3.SQLITE_OK
        self._written.add((str(schema), str(table)))
        return sqlite3.SQLITE_OK if len(self._written) == 1 else sqlite3.SQLITE_DENY


class SqliteOneByOneLoader(SqliteLoader):
    """The same, of a warehouse whose tables are atomic one by one."""

    scheme: ClassVar[str] = "sqlite-one-by-one"
    capabilities: ClassVar[LoaderCapabilities] = replace(
        SqliteLoader.capabilities, spanning_transactions=False, transactional_ddl=False, curated=False
    )
    session_class = OneTableSession


def connect(folder: Path, schema: str, patience: float = 60) -> sqlite3.Connection:
    """A connection, with those of the schemas that exist.

    Its own database has nothing in it. It is a file and not in memory, and files are synchronised: without either,
    SQLite commits file by file.
    """
    own = folder / "own.sqlite"
    connection = sqlite3.connect(own, timeout=patience, isolation_level=None, check_same_thread=False)
    attach(connection, folder, *schemas(schema))
    return connection


def attached(connection: sqlite3.Connection) -> set[str]:
    """The schemas that a connection knows."""
    return {name for _, name, *_ in connection.execute("PRAGMA database_list")} - {"main", "temp"}


def attach(connection: sqlite3.Connection, folder: Path, *names: str, create: bool = False) -> None:
    """Let a connection know schemas: those that exist, or all. In the order in which all lock them."""
    known = attached(connection)
    for name in names:
        file = folder / f"{name}.db"
        if name not in known and (create or file.exists()):
            connection.execute("ATTACH ? AS ?", [str(file), name])
            connection.execute(f'PRAGMA "{name}".synchronous = NORMAL')


def _values(column: pa.Array) -> list[Any]:
    """What SQLite has a type for as it is, days as text."""
    found: list[Any] = (column.cast(pa.string()) if pa.types.is_date(column.type) else column).to_pylist()
    return found


def typed_row(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row whose points in time, and days, are such."""
    names = [name for name, *_ in cursor.description]
    if (_MOMENTS | _DAYS).isdisjoint(names):
        return row
    return tuple(_moment(name, value) if value else value for name, value in zip(names, row, strict=True))


def _moment(name: str, value: Any) -> Any:
    if name in _DAYS:
        return date.fromisoformat(value)
    return datetime.fromisoformat(value) if name in _MOMENTS else value


def _row_hash(*values: str | int | None) -> int:
    """63 bits of a hash over the values, each after its length."""
    text = "".join("-" if value is None else f"{len(str(value))}:{value}" for value in values)
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 1


class _ExactSum:
    """SUM of whole numbers that does not overflow: what 64 bits do not hold is text."""

    def __init__(self) -> None:
        self._sum = self._values = 0

    def step(self, value: int | None) -> None:
        self._sum += value or 0
        self._values += value is not None

    def inverse(self, value: int | None) -> None:
        self._sum -= value or 0
        self._values -= value is not None

    def value(self) -> int | str | None:
        if not self._values:
            return None
        return self._sum if -(1 << 63) <= self._sum < 1 << 63 else str(self._sum)

    finalize = value
