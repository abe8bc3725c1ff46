"""Canonical bytes on their way into staging, in the encoding that the backend declares."""

from collections.abc import Iterable

from medgen_pipeline.catalog import ColumnType, Table
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderError, Strategy
from medgen_pipeline.rows import arrow


def stage(
    loader: AbstractNativeLoader, table: Table, chunks: Iterable[bytes], strategy: Strategy = Strategy.WAREHOUSE
) -> int:
    """Hand chunks of whole records to ``bulk_load``; returns the rows that the backend says it holds.

    Args:
        loader: Its staging table is empty.
        table: What the rows are of.
        chunks: Canonical bytes.
        strategy: Of ``initialize_staging``: under ``SNAPSHOT`` each record begins with its sign.

    Raises:
        LoaderError: They are no rows of the table.
    """
    if loader.capabilities.bulk_encoding == "text":
        return loader.bulk_load(table.name, iter(chunks))
    columns = {column.name: column.type for column in table.columns}
    if strategy is Strategy.SNAPSHOT:
        columns = {"_sign": ColumnType.TEXT, **columns}
    try:
        return loader.bulk_load(table.name, arrow.batches(chunks, columns))
    except arrow.NoRowsError as error:
        raise LoaderError(f"{table.name}: what was sent are no rows of this table: {error}") from error
