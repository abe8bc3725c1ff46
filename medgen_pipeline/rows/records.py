"""What ``rows`` tells of a file to those who load it, apart from how it was read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class RejectedRow:
    """A rejected line: its number in the file (the header is line 1), why, and how its bytes begin."""

    line_number: int
    reason: str
    raw: bytes


@dataclass
class FramingReport:
    """What was seen; complete once the rows have been read to their end.

    Attributes:
        rows: Good rows, in canonical form.
        rejected: Lines that are no rows.
        repaired: Rows in which invalid UTF-8 became U+FFFD, or that were joined from several lines.
        pieces: Lines with too few fields, be they joined or rejected.
        extra_columns: Header names the catalog does not know; their values are left out.
        missing_columns: Catalog columns the header lacks, accepted by the caller; their values are NULL.
    """

    rows: int = 0
    rejected: int = 0
    repaired: int = 0
    pieces: int = 0
    extra_columns: tuple[str, ...] = ()
    missing_columns: tuple[str, ...] = ()


def count_rows(chunk: bytes) -> int:
    """Records in canonical bytes: not every LF ends one."""
    rows = chunk.count(b"\n")
    if b"\\" in chunk:
        rows -= chunk.replace(b"\\\\", b"").count(b"\\\n")
    return rows


def turns(chunks: Iterable[bytes], least_bytes: int = 1 << 20) -> Iterator[list[bytes]]:
    """Chunks in lists worth handing to another thread."""
    turn: list[bytes] = []
    filled = 0
    for chunk in chunks:
        turn.append(chunk)
        filled += len(chunk)
        if filled >= least_bytes:
            yield turn
            turn, filled = [], 0
    if filled:
        yield turn
