"""Rows as Arrow record batches, on their way out. Needs pyarrow, which the extra ``arrow`` brings."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from medgen_pipeline.catalog import Column, ColumnType
from medgen_pipeline.errors import missing_extra
from medgen_pipeline.loaders.records import LoaderError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 14


def schema_of(columns: Sequence[Column]) -> "pa.Schema":
    """Each column with Arrow's type of what it holds.

    Raises:
        LoaderError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise LoaderError(missing_extra("Reading rows", "pyarrow", "arrow")) from error
    types = {
        ColumnType.TEXT: pa.string(),
        ColumnType.INTEGER: pa.int64(),
        ColumnType.BOOLEAN: pa.bool_(),
        ColumnType.DATE: pa.date32(),
    }
    return pa.schema([pa.field(column.name, types[column.type]) for column in columns])


def batches_of(rows: Iterable[tuple[Any, ...]], schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
    """Batches of rows that a driver gives one by one."""
    import pyarrow as pa

    rows = iter(rows)
    while chunk := list(islice(rows, BATCH_ROWS)):
        # Cast, because SQLite's drivers and others give 0 and 1 for truth values, and days as text.
        arrays = [
            pa.array(values).cast(field.type) for values, field in zip(zip(*chunk, strict=True), schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def repeated(batches: Iterable["pa.RecordBatch"]) -> Iterator["pa.RecordBatch"]:
    """Each row as often as its last column says, and without that."""
    for batch in batches:
        copies = batch.column(batch.num_columns - 1)
        rows = batch.select(range(batch.num_columns - 1))
        if copies.sum().as_py() != batch.num_rows:
            rows = rows.take([row for row, times in enumerate(copies.to_pylist()) for _ in range(times)])
        yield rows


def reader_of(columns: Sequence[Column], batches: Iterator["pa.RecordBatch"]) -> "pa.RecordBatchReader":
    """A stream of such batches, which everything that speaks Arrow takes."""
    schema = schema_of(columns)
    import pyarrow as pa

    return pa.RecordBatchReader.from_batches(schema, batches)
