"""Rows of PostgreSQL as Arrow: ADBC's driver reads the server's binary COPY without Python per row."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, LiteralString

import psycopg

from medgen_pipeline.errors import missing_extra
from medgen_pipeline.loaders.records import LoaderError

if TYPE_CHECKING:
    import pyarrow as pa

# As the loader's own sessions have it: a policy that hides rows is an error. Nothing is written here.
_SETTINGS: tuple[LiteralString, ...] = (
    "SET search_path = pg_catalog, pg_temp",
    "SET row_security = off",
    "SET statement_timeout = 0",
    "SET default_transaction_read_only = on",
)

# Batches that fit a processor's cache: as quick as COPY to nothing. The driver's own of 16 MB take half as long again.
_BATCHES = {"adbc.postgresql.batch_size_hint_bytes": str(1 << 18)}


def batches(
    dsn: str, query: str, schema: "pa.Schema", errors: Callable[[str], AbstractContextManager[None]]
) -> Iterator["pa.RecordBatch"]:
    """The rows of a query, on a connection of its own that is closed behind them.

    Raises:
        LoaderError: The driver is not installed.
    """
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise LoaderError(missing_extra("Reading rows", "adbc-driver-postgresql", "arrow")) from error

    def stream() -> Iterator["pa.RecordBatch"]:
        with errors("reading rows"):
            try:
                with closing(dbapi.connect(dsn, autocommit=True)) as connection, closing(connection.cursor()) as cursor:
                    for setting in _SETTINGS:
                        cursor.execute(setting)
                    cursor.adbc_statement.set_options(**_BATCHES)
                    cursor.execute(query)
                    rows = cursor.fetch_record_batch()
                    as_asked = rows.schema == schema  # then a cast per batch would only cost
                    for batch in rows:
                        yield batch if as_asked else batch.rename_columns(schema.names).cast(schema)
            except dbapi.Error as error:
                raise _as_psycopg(error) from error

    return stream()


def _as_psycopg(error: Exception) -> psycopg.Error:
    """The same error as one of psycopg's, whose meanings are known."""
    state = getattr(error, "sqlstate", None)
    try:
        kind = psycopg.errors.lookup(state) if state else psycopg.OperationalError
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(str(error))
