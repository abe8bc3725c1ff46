"""Connections to the files of one folder, and what SQLite is taught.

Each schema is a database file of its own. SQLite commits a transaction over several files as one, by its rollback
journal (https://www.sqlite.org/atomiccommit.html, section 5). With a write-ahead log it would do so file by file.
"""

import re
import sqlite3
from collections.abc import Sequence
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, LiteralString

from medgen_pipeline.loaders import Dialect
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.sql import DbApiSession, schemas
from medgen_pipeline.loaders.sql.names import MARK
from medgen_pipeline.loaders.sql.session import Relation
from medgen_pipeline_sqlite.dialect import SqliteDialect

_MOMENTS = dict.fromkeys(("started_at", "finished_at", "_commit_timestamp"), datetime.fromisoformat)
_TYPED = {**_MOMENTS, "day": date.fromisoformat}  # SQLite has no types for them


class SqliteSession(DbApiSession):
    """Connections to the files of one folder."""

    dialect: ClassVar[Dialect] = SqliteDialect()
    error = sqlite3.Error
    begin = "BEGIN IMMEDIATE"
    journal: ClassVar[LiteralString] = "DELETE"

    def __init__(self, folder: Path, schema: str) -> None:
        """Nothing is opened."""
        super().__init__(schema)
        self.folder = folder

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.folder)

    def connect(self) -> sqlite3.Connection:
        """See the base class."""
        connection = connect(self.folder, self.schema)
        connection.row_factory = typed_row
        connection.create_function("REGEXP", 2, lambda pattern, text: re.search(pattern, text or "") is not None)
        connection.create_function("row_hash", -1, _row_hash, deterministic=True)
        connection.create_window_function("SUM", 1, _ExactSum)
        return connection

    def create_schema(self, name: str) -> None:
        """See the base class; both connections get to know it."""
        for connection in filter(None, (self._work, self._audit)):
            attach(connection, self.folder, name, create=True)
        self.execute(sql.SQL("PRAGMA {}.journal_mode = {}").format(sql.Identifier(name), sql.SQL(self.journal)))

    def relations(self, names: Sequence[str]) -> dict[str, dict[str, Relation]]:
        """See the base class."""
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
        """See the base class."""
        return dict(self.execute(sql.SQL("SELECT name, type FROM pragma_table_info({}, {})").format(name, schema)))


def connect(folder: Path, schema: str, patience: float = 60) -> sqlite3.Connection:
    """A connection, with those of the schemas that exist.

    Its own database has nothing in it. It is a file and not in memory, and files are synchronised: without either,
    SQLite commits file by file.
    """
    connection = sqlite3.connect(folder / "own.sqlite", timeout=patience, isolation_level=None, check_same_thread=False)
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


def typed_row(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row whose points in time, and days, are such."""
    named = zip(cursor.description, row, strict=True)
    return tuple(_TYPED[name](value) if value and name in _TYPED else value for (name, *_), value in named)


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
