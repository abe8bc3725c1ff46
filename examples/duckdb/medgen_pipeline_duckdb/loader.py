"""The contract's methods for DuckDB: its lock and its way for bulk data. The rest is ``SqlNativeLoader``'s."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import unquote

import duckdb
from filelock import FileLock, Timeout

from medgen_pipeline.catalog import Table
from medgen_pipeline.errors import MOST_SECONDS, require_number
from medgen_pipeline.loaders import LoaderCapabilities, LoaderError, TableBusyError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.sql import SqlAudit, SqlNativeLoader, schemas
from medgen_pipeline.rows.records import count_rows
from medgen_pipeline.urls import split_url
from medgen_pipeline_duckdb.session import DuckDBSession

# Canonical bytes as they are: strict mode knows no escape outside quotes.
_COPY = sql.SQL(
    r"COPY {} FROM {} (FORMAT csv, DELIMITER '\t', QUOTE '', ESCAPE '\', NULLSTR '', NEW_LINE '\n', HEADER false,"
    " AUTO_DETECT false, STRICT_MODE false, MAX_LINE_SIZE 67108864)"
)


class DuckDBNativeLoader(SqlNativeLoader[duckdb.DuckDBPyConnection]):
    """Loads into a DuckDB file."""

    scheme: ClassVar[str] = "duckdb"
    capabilities: ClassVar[LoaderCapabilities] = LoaderCapabilities(
        backend="duckdb",
        max_identifier_bytes=128,  # DuckDB has no limit, but files of a load are named after schema and table
        max_text_bytes=(1 << 26) - (1 << 16),  # a line must fit MAX_LINE_SIZE
        enforced_keys=True,
        curated=True,
        views="growing",
        documentation=(
            "https://duckdb.org/docs/stable/data/csv/overview",
            "https://duckdb.org/docs/stable/sql/statements/transactions",
            "https://duckdb.org/docs/stable/sql/statements/create_view",
        ),
    )
    _session: DuckDBSession

    def __init__(self, path: Path, schema: str, lock_timeout_seconds: float) -> None:
        """Nothing is opened."""
        session = DuckDBSession(path, schema, lock_timeout_seconds)
        super().__init__(session, SqlAudit(session))
        self._folder = path.with_name(f"{path.name}.loads")
        self._lock: FileLock | None = None

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """See the base class; ``config`` has ``schema`` and ``lock_timeout_seconds``."""
        path = Path(unquote(split_url(db_dsn, "DuckDB loader: the DSN").path))
        if not path.name or not path.is_absolute():
            raise ValueError("DuckDB loader: the DSN names no file. Expected duckdb:///absolute/path/to/file.duckdb.")
        known = {"schema": "medgen", "lock_timeout_seconds": 600.0}
        if unknown := sorted(config.keys() - known):
            raise ValueError(f"DuckDB loader: unknown settings {unknown}; known: {sorted(known)}.")
        settings: dict[str, Any] = {**known, **config}
        if "/" in settings["schema"]:
            raise ValueError(f"DuckDB loader: schema {settings['schema']!r} has a / in it, as no file name can.")
        require_number("DuckDB loader: lock_timeout_seconds", settings["lock_timeout_seconds"], most=MOST_SECONDS)
        if path.stem in schemas(settings["schema"]):
            raise ValueError(
                f"DuckDB loader: {path.name} would be the catalog {path.stem}, which DuckDB cannot tell from the "
                "schema of that name. Name the file otherwise, such as warehouse.duckdb."
            )
        return cls(path, **settings)

    def close(self) -> None:
        """See the base class."""
        super().close()
        if self._lock is not None:
            self._lock.release()

    def cancel(self) -> None:
        """See the base class. DuckDB works in this process, so nothing is running; the lock stays."""
        self._session.close()
        self._session.open()

    def bulk_load(self, table_name: str, data_iterator: Iterator[bytes]) -> int:
        """See the base class; through a file beside the database, which is removed whatever happens."""
        schema = schemas(self._session.schema).staging
        staging = sql.Identifier(schema, table_name)
        file = self._folder / f"{schema}.{table_name}.tsv"
        with self._session.errors(f"COPY into the staging table of {table_name}"):
            fields = len(self._session.columns(schema, table_name))
            self._session.execute(sql.SQL("DELETE FROM {}").format(staging))
            try:
                sent = _write(file, data_iterator, table_name, fields)
                return self._session.transaction(lambda: self._copy(table_name, staging, file, sent))
            finally:
                file.unlink(missing_ok=True)

    def _copy(self, table_name: str, staging: sql.Identifier, file: Path, sent: int) -> int:
        held = self._session.changed(_COPY.format(staging, sql.Literal(str(file))))
        if held != sent:
            raise LoaderError(f"{table_name}: sent {sent:,} rows, DuckDB holds {held:,}; nothing was kept.")
        return held

    def _prepare(self) -> None:
        """See the base class; also creates the file. One at a time, for DuckDB would refuse the other."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._file_lock("schemas"):
            self._session.create()
            super()._prepare()

    def _take_lock(self, table: Table) -> None:
        if self._lock is not None:
            self._lock.release()
        name = f"{self._session.schema}.{table.name}"
        self._lock = self._file_lock(name)
        try:
            self._lock.acquire()
        except Timeout:
            raise TableBusyError(
                f"{name}: waited {self._session.patience:g} s for another load of this table, which holds "
                f"{self._lock.lock_file}. Wait for it or end it, then load again."
            ) from None

    def _file_lock(self, name: str) -> FileLock:
        """A lock that the operating system frees when its process dies."""
        return FileLock(self._folder / f"{name}.lock", timeout=self._session.patience, thread_local=False)


def _write(file: Path, chunks: Iterator[bytes], table_name: str, fields: int) -> int:
    """Write the file; returns its rows. Without strict mode DuckDB would leave out the fields a row has too many."""
    rows = tabs = 0
    with file.open("wb") as out:
        for chunk in chunks:
            unescaped = chunk.replace(b"\\\\", b"")
            rows += count_rows(chunk)
            tabs += unescaped.count(b"\t") - unescaped.count(b"\\\t")
            out.write(chunk)
    if tabs != rows * (fields - 1):
        raise LoaderError(f"{table_name}: {rows:,} rows of {fields} fields cannot have {tabs:,} TABs between them.")
    return rows
