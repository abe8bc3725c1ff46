"""Connections to one database file, and errors in the contract's terms.

DuckDB runs in the loader's process. Any number of connections of one process share a file; another process cannot
open it meanwhile, so loads of different processes wait for each other (https://duckdb.org/docs/stable/connect/concurrency).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import duckdb

from medgen_pipeline.loaders import Dialect, LoaderError, TableBusyError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.sql import SqlSession
from medgen_pipeline_duckdb.dialect import DuckDBDialect

T = TypeVar("T")
_POLL_SECONDS, _BATCH_ROWS, _ATTEMPTS = 0.1, 10_000, 5


class DuckDBSession(SqlSession[duckdb.DuckDBPyConnection]):
    """The open connections of one loader."""

    dialect: ClassVar[Dialect] = DuckDBDialect()
    descriptions = (  # quicker than pg_description
        "(SELECT table_oid AS objoid, 0 AS objsubid, comment AS description FROM duckdb_tables()"
        " UNION ALL SELECT view_oid, 0, comment FROM duckdb_views() WHERE NOT internal)"
    )

    def __init__(self, path: Path, schema: str, patience: float) -> None:
        """Nothing is opened. ``patience`` is how many seconds to wait for another process that has the file."""
        self.path = path
        self.schema = schema
        self.patience = patience
        self._has_file = False
        self._work: duckdb.DuckDBPyConnection | None = None
        self._audit: duckdb.DuckDBPyConnection | None = None

    @property
    def where(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def work(self) -> duckdb.DuckDBPyConnection:
        """The connection of the load itself."""
        if self._work is None:
            raise LoaderError("The loader is not connected: call connect() or use it in a with statement.")
        return self._work

    def open(self) -> None:
        """See the base class. A file that does not exist is not created: it reads as an empty database."""
        if self._work is None:
            self._has_file = self.path.exists()
            self._connect(self.path if self._has_file else ":memory:")

    def create(self) -> None:
        """Go on with the file, which is created where it does not exist."""
        if not self._has_file:
            self.close()
            self._connect(self.path)
            self._has_file = True

    def _connect(self, database: Path | str) -> None:
        deadline = time.monotonic() + self.patience
        while self._work is None:
            try:
                self._work = duckdb.connect(database)
                self._audit = self._work.cursor()  # a connection of its own, in DuckDB's words
            except duckdb.IOException as error:
                if "lock" not in str(error):
                    raise LoaderError(f"DuckDB cannot open {self.where}: {error}") from error
                if time.monotonic() >= deadline:
                    said = f"{self.where}: waited {self.patience:g} s for another process: {error}"
                    raise TableBusyError(said) from error
                time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """See the base class."""
        for connection in filter(None, (self._audit, self._work)):
            connection.close()
        self._audit = self._work = None

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """See the base class."""
        try:
            yield
        except duckdb.TransactionException as error:
            raise TableBusyError(f"DuckDB at {self.where}: {doing}: {error}") from error
        except duckdb.Error as error:
            raise LoaderError(f"DuckDB at {self.where}: {doing}: {error}") from error

    def execute(self, statement: sql.Statement) -> duckdb.DuckDBPyConnection:
        """See the base class."""
        return self.work.execute(*self.dialect.render(statement))

    def execute_audit(self, statement: sql.Statement) -> duckdb.DuckDBPyConnection:
        """See the base class."""
        return (self._audit or self.work).execute(*self.dialect.render(statement))

    def changed(self, statement: sql.Statement) -> int:
        """See the base class; DuckDB answers with the number."""
        return int((self.execute(statement).fetchone() or (0,))[0])

    def transaction(self, body: Callable[[], T]) -> T:
        """See the base class; DuckDB refuses a transaction that meets another one, so it is tried again."""
        for attempt in range(_ATTEMPTS):
            self.work.begin()
            try:
                result = body()
                self.work.commit()
            except BaseException as error:
                with suppress(duckdb.TransactionException):  # a commit that failed has rolled back
                    self.work.rollback()
                if attempt == _ATTEMPTS - 1 or not isinstance(error, duckdb.TransactionException):
                    raise
            else:
                return result
        raise AssertionError("unreachable")

    def batches(self, statement: sql.Statement, schema: Any) -> Iterator[Any]:
        """See the base class; as DuckDB has them."""
        with self.errors("reading rows"), self.work.cursor() as rows:
            for batch in rows.sql(self.dialect.text(statement)).to_arrow_reader(_BATCH_ROWS):
                yield batch.rename_columns(schema.names).cast(schema)

    def stream(self, statement: sql.Statement) -> Iterator[tuple[Any, ...]]:
        """See the base class."""
        with self.errors("reading the history"), self.work.cursor() as rows:
            yield from iter(rows.execute(*self.dialect.render(statement)).fetchone, None)
