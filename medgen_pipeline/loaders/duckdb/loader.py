"""The contract's methods for DuckDB: the file, the lock and the way for rows. The rest is ``SqlNativeLoader``'s."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import unquote

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.duckdb.config import CAPABILITIES, MAIN, DuckDBConfig
from medgen_pipeline.loaders.duckdb.session import DuckDBSession
from medgen_pipeline.loaders.records import LoaderError, TableBusyError
from medgen_pipeline.loaders.sql.audit import SqlAudit
from medgen_pipeline.loaders.sql.loader import SqlNativeLoader
from medgen_pipeline.urls import split_url

if TYPE_CHECKING:
    import pyarrow as pa

# Other processes cannot open the file that a load of this one has open.
_LOCKS: dict[tuple[Path, str, str], Lock] = {}
_CREATING = Lock()  # of two that create a schema at once DuckDB refuses one


class DuckDBNativeLoader(SqlNativeLoader[Any]):
    """Loads into a DuckDB file."""

    scheme: ClassVar[str] = "duckdb"
    capabilities: ClassVar[LoaderCapabilities] = CAPABILITIES
    _session: DuckDBSession

    def __init__(self, path: Path, config: DuckDBConfig) -> None:
        """Nothing is opened."""
        session = DuckDBSession(path, config)
        session.require_distinct_names()
        super().__init__(session, SqlAudit(session))
        self._lock: Lock | None = None

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """See the base class; ``config`` is that of ``DuckDBConfig``."""
        parts = split_url(db_dsn, "DuckDB loader: the DSN")
        path = Path(unquote(parts.path)[1:])
        if parts.netloc or parts.query or path.name in ("", ":memory:"):
            raise ValueError(
                "DuckDB loader: the DSN names no file. Expected duckdb:///file.duckdb for one in the working "
                "directory, or duckdb:////absolute/path/to/file.duckdb."
            )
        settings = DuckDBConfig.from_mapping(config)
        if settings.schema_.casefold() == MAIN:
            raise ValueError(
                f"DuckDB loader: the schema {settings.schema_!r} is that of the tables where none is chosen. Leave "
                "MEDGEN_SCHEMA unset."
            )
        return cls(Path(os.path.realpath(path)), settings)  # one file is one lock, whatever leads to it

    def close(self) -> None:
        super().close()
        self._release_lock()

    def cancel(self) -> None:
        """See the base class. The file stays open, so that no other process takes it."""
        self._session.reconnect()

    def bulk_load(self, table_name: str, data_iterator: Iterator["pa.RecordBatch"]) -> int:
        staging = sql.Identifier(self._session.schemas.staging, table_name)
        with self._session.errors(f"inserting into the staging table of {table_name}"):
            self._session.execute(sql.SQL("DELETE FROM {}").format(staging))
            # Once: what the iterator has given it does not give again.
            return self._session.transaction(lambda: self._insert(table_name, staging, data_iterator), attempts=1)

    def _insert(self, table_name: str, staging: sql.Identifier, batches: Iterator["pa.RecordBatch"]) -> int:
        sent = held = 0
        for batch in batches:
            sent += batch.num_rows
            held += self._session.insert(staging, batch)
        if held != sent:
            raise LoaderError(f"{table_name}: sent {sent:,} rows, DuckDB holds {held:,}; nothing was kept.")
        return held

    def _prepare(self) -> None:
        """See the base class; also creates the file."""
        self._session.create()
        with _CREATING:
            super()._prepare()

    def _take_lock(self, table: Table) -> None:
        self._release_lock()
        schema, patience = self._session.schemas.tables, self._session.config.lock_timeout_seconds
        lock = _LOCKS.setdefault((self._session.path, schema, table.name), Lock())
        if not lock.acquire(timeout=patience):
            raise TableBusyError(
                f"{schema}.{table.name}: waited {patience:g} s for another load of this table in this process. Load "
                "again once it has ended."
            )
        self._lock = lock

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
