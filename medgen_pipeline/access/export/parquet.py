"""One table as a Parquet file: zstd, sorted, typed, with what each column means in its metadata."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from medgen_pipeline.access.export.held import Held
from medgen_pipeline.access.export.package import licences_of
from medgen_pipeline.loaders.arrow import schema_of

if TYPE_CHECKING:
    import pyarrow as pa

# A group of rows is what a reader skips by its statistics, and what is in memory here, twice.
_GROUP_ROWS = 1 << 18
_GROUP_BYTES = 1 << 25


def write(batches: "Iterable[pa.RecordBatch]", held: Held, path: Path) -> int:
    """Write rows that come in order; returns how many they were. One group is written while the next is read."""
    schema = described(held)
    from pyarrow import parquet

    rows = 0
    order = [(name, "ascending") for name in held.table.index_columns]
    sorting = parquet.SortingColumn.from_ordering(schema, order, null_placement="at_end")
    with (
        parquet.ParquetWriter(path, schema, compression="zstd", sorting_columns=sorting) as writer,
        ThreadPoolExecutor(1, thread_name_prefix="parquet") as thread,
    ):
        writing: Future[None] | None = None
        for group in _groups(batches, schema):
            if writing:
                writing.result()
            writing = thread.submit(writer.write_table, group, group.num_rows or None)
            rows += group.num_rows
        if writing:
            writing.result()
    return rows


def read(path: Path) -> "Iterator[pa.RecordBatch]":
    """The rows of such a file."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        yield from file.iter_batches()


def described(held: Held) -> "pa.Schema":
    """The table's columns with their meanings, and what the whole is."""
    schema = schema_of(held.table.columns)
    import pyarrow as pa

    fields = [
        field.with_metadata({"comment": column.description})
        for field, column in zip(schema, held.table.columns, strict=True)
    ]
    about = {
        "comment": held.table.description,
        "release": held.changed,
        "licences": licences_of(held.table),
    }
    return pa.schema(fields, about)


def _groups(batches: "Iterable[pa.RecordBatch]", schema: "pa.Schema") -> "Iterator[pa.Table]":
    import pyarrow as pa

    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(group).cast(schema)
            group, rows, size = [], 0, 0
    if group:
        yield pa.Table.from_batches(group).cast(schema)
