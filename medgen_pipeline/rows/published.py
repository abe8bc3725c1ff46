"""Files as NCBI writes them, for those who write some: the sample release, the conformance suite, tests.

``framing`` reads them and uses none of this: what reads and what writes would otherwise be wrong together.
"""

import gzip
from collections.abc import Iterable

from medgen_pipeline.catalog import SourceTable


def line_of(table: SourceTable, fields: Iterable[bytes]) -> bytes:
    """One line of the table's file, with its LF."""
    return table.framing.delimiter.join(fields) + table.framing.trailing + b"\n"


def header_of(table: SourceTable, headers: Iterable[str] = ()) -> bytes:
    """The first line of the table's file; ``headers`` name its columns, where they are not the catalog's."""
    names = list(headers) or [column.header for column in table.columns]
    return b"#" + line_of(table, [name.encode() for name in names])


def content_of(table: SourceTable, rows: Iterable[Iterable[bytes]]) -> bytes:
    """The text of the table's file."""
    return header_of(table) + b"".join(line_of(table, row) for row in rows)


def packed(table: SourceTable, content: bytes, stamp: int | None = None) -> bytes:
    """The published bytes of a text: compressed, with ``stamp`` as the time inside (None: now), where NCBI does so."""
    return gzip.compress(content, mtime=stamp) if table.is_gzip else content
