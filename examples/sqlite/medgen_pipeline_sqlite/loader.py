"""The contract's methods for SQLite: its lock and its way for bulk data. The rest is ``SqlNativeLoader``'s."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, LiteralString, Self

import pyarrow as pa
from filelock import FileLock, Timeout

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import LoaderCapabilities, LoaderError, TableBusyError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.config import LoaderConfig
from medgen_pipeline.loaders.sql import SqlAudit, SqlNativeLoader
from medgen_pipeline.urls import split_url
from medgen_pipeline_sqlite.dialect import LAYOUT
from medgen_pipeline_sqlite.session import SqliteSession


class SqliteAudit(SqlAudit[Any]):
    """The audit, marked as every table of a load."""

    additions: ClassVar[Mapping[str, LiteralString]] = {"run_layout": LAYOUT, "row_layout": LAYOUT}


class SqliteConfig(LoaderConfig):
    """The settings that every loader has; those of its own would follow."""

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
        """Nothing is opened."""
        session = self.session_class(folder, config.schema)
        super().__init__(session, SqliteAudit(session))
        self._folder = folder
        self._patience = config.lock_timeout_seconds
        self._lock: FileLock | None = None

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """See the base class; ``config`` has ``schema`` and ``lock_timeout_seconds``."""
        return cls(Path(split_url(db_dsn, "SQLite loader: the DSN").path), SqliteConfig.from_mapping(config))

    def close(self) -> None:
        """See the base class."""
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
        """See the base class; in one transaction."""
        schema = self._session.schemas.staging
        staging = sql.Identifier(schema, table_name)
        with self._session.errors(f"inserting into the staging table of {table_name}"):
            marks = sql.SQL(", ").join([sql.SQL("?")] * len(self._session.columns(schema, table_name)))
            text = self.dialect.text(sql.SQL("INSERT INTO {} VALUES ({})").format(staging, marks))
            self._session.execute(sql.SQL("DELETE FROM {}").format(staging))
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


def _values(column: pa.Array) -> list[Any]:
    """What SQLite has a type for as it is, days as text."""
    found: list[Any] = (column.cast(pa.string()) if pa.types.is_date(column.type) else column).to_pylist()
    return found
