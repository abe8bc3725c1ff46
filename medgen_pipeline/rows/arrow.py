r"""Canonical bytes as Arrow tables, for a warehouse that takes no text. Needs pyarrow, which a backend's extra brings.

Arrow's reader of CSV takes them as they are: a backslash says that the next byte is the value's own, be it TAB, CR, LF
or another backslash, and an empty field is NULL.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from medgen_pipeline.catalog import ColumnType
from medgen_pipeline.errors import PermanentError
from medgen_pipeline.rows.records import count_rows, turns

_BOM = b"\xef\xbb\xbf"
_BATCH_BYTES = 4 << 20  # Arrow has work of its own for each
_AHEAD = 2

if TYPE_CHECKING:
    import pyarrow as pa


class NoRowsError(PermanentError):
    """Bytes that are no rows of the columns they should have."""


def batches(chunks: Iterable[bytes], columns: Mapping[str, ColumnType]) -> Iterator["pa.RecordBatch"]:
    """The rows of chunks of whole records, in their order; a thread of its own reads them while the next ones come.

    Raises:
        NoRowsError: As ``table_of``.
    """
    reading: deque[Future[pa.Table]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="arrow") as reader:
        for turn in turns(chunks, _BATCH_BYTES):
            reading.append(reader.submit(table_of, b"".join(turn), columns))
            if len(reading) > _AHEAD:
                yield from reading.popleft().result().to_batches()
        for table in reading:
            yield from table.result().to_batches()


def table_of(data: bytes, columns: Mapping[str, ColumnType]) -> "pa.Table":
    """The rows of whole records, in their order; best of some megabytes, for Arrow has work of its own each time.

    Raises:
        NoRowsError: A record has another number of fields, or a value is not of its column's type, or is no UTF-8.
    """
    import pyarrow as pa  # of an extra
    from pyarrow import csv

    types = {
        ColumnType.TEXT: pa.string(),
        ColumnType.INTEGER: pa.int64(),
        ColumnType.BOOLEAN: pa.bool_(),
        ColumnType.DATE: pa.date32(),
    }
    escapes = b"\\" in data
    if data.startswith(_BOM):  # the reader leaves out one at the beginning
        data = _BOM + data
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(column_names=list(columns), block_size=len(data) + 1, use_threads=False),
            parse_options=csv.ParseOptions(
                delimiter="\t",
                quote_char=False,
                escape_char="\\" if escapes else False,
                newlines_in_values=escapes,
                ignore_empty_lines=False,
            ),
            convert_options=csv.ConvertOptions(
                column_types={name: types[kind] for name, kind in columns.items()},
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=not data.isascii(),
            ),
        )
    except pa.ArrowInvalid as error:
        raise NoRowsError(str(error)) from error
    # Without either, each LF ends a row for Arrow too.
    if (escapes or b"\r" in data) and table.num_rows != (records := count_rows(data)):
        raise NoRowsError(f"{records:,} records were read as {table.num_rows:,} rows")
    return table
