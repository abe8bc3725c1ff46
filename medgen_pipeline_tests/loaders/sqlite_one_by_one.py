"""A warehouse whose tables are atomic one by one: SQLite with a write-ahead log, held to one table in a transaction.

With such a log SQLite commits a transaction over several files file by file
(https://www.sqlite.org/lang_attach.html).
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

from medgen_pipeline_sqlite.loader import SqliteLoader
from medgen_pipeline_sqlite.session import SqliteSession

from medgen_pipeline.loaders import LoaderCapabilities

T = TypeVar("T")


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

    @property
    def session(self) -> SqliteSession:
        """For tests that stand in the way of statements."""
        return self._session
