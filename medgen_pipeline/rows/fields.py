"""What a field of a good line may hold, as a pattern, and what is wrong with one that holds something else."""

import re
from collections.abc import Iterator, Mapping, Sequence

from medgen_pipeline.catalog import Column, ColumnType, SourceTable

MAX_INTEGER_DIGITS = 18  # always fits BIGINT
# Of each column that is declared as narrow as identifiers and code words are. Keys have such columns alone, those
# of curated tables have up to six, and PostgreSQL refuses index rows over 2,704 bytes.
MAX_IDENTIFIER_BYTES = 400
NARROW_BYTES = 255


def field_pattern(
    table: SourceTable, column: Column | None, delimiter: bytes, max_bytes: Mapping[str, int], apart: bytes = rb"\n\0"
) -> bytes:
    """The bytes one field may hold: neither the delimiter nor ``apart``. Possessive, or a bad line would backtrack."""
    if column is not None and column.type is ColumnType.INTEGER:
        least = b"1" if table.key_proven and column.name in table.key else b"0"
        digits = rb"[0-9]{%b,%d}+" % (least, MAX_INTEGER_DIGITS)
        markers = [re.escape(marker.encode()) for marker in table.source.null_markers]
        return rb"(?:%b)" % b"|".join((*markers, digits)) if markers else digits
    text = rb"[^%b%b]" % (re.escape(delimiter), apart)
    least, most = b"0", None
    if column is not None:
        most = max_bytes.get(column.name)
        if column.max_bytes <= NARROW_BYTES:
            most = min(most or MAX_IDENTIFIER_BYTES, MAX_IDENTIFIER_BYTES)
        if table.key_proven and column.name in table.key:
            least = b"1"
    return text + (rb"*+" if most is None else rb"{%b,%d}+" % (least, most))


def misfits(
    table: SourceTable,
    columns: Sequence[Column | None],
    values: Sequence[bytes],
    delimiter: bytes,
    max_bytes: Mapping[str, int],
) -> Iterator[str]:
    """What is wrong with each value that its column cannot hold, for people."""
    for column, value in zip(columns, values, strict=True):
        if column is None or re.fullmatch(field_pattern(table, column, delimiter, max_bytes), value):
            continue
        if not value:
            yield f"{column.name}: empty, and it is the key"
        elif column.type is ColumnType.INTEGER:
            shown = value[:40].decode("utf-8", "replace")
            yield f"{column.name}: {shown!r} is not an integer of at most {MAX_INTEGER_DIGITS} digits"
        elif column.max_bytes <= NARROW_BYTES and len(value) > MAX_IDENTIFIER_BYTES:
            yield f"{column.name}: {len(value):,} bytes, an identifier has at most {MAX_IDENTIFIER_BYTES}"
        else:
            yield f"{column.name}: {len(value):,} bytes, the column has at most {max_bytes[column.name]:,}"
