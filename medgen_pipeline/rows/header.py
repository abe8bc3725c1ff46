"""The header line of one of NCBI's files: which columns it has, in which order and encoding."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from medgen_pipeline.catalog import Column, Framing, SourceTable
from medgen_pipeline.errors import PermanentError

_UTF8_BOM = b"\xef\xbb\xbf"
_WIDE_MARKS = {  # those of UTF-32 first: one begins with one of UTF-16
    b"\xff\xfe\0\0": "UTF-32 (little-endian)",
    b"\0\0\xfe\xff": "UTF-32 (big-endian)",
    b"\xff\xfe": "UTF-16 (little-endian)",
    b"\xfe\xff": "UTF-16 (big-endian)",
}
_WIDE_ZEROS: Mapping[tuple[bool, ...], str] = {
    (False, True, True, True): "UTF-32 (little-endian)",
    (True, True, True, False): "UTF-32 (big-endian)",
    (False, True, False, True): "UTF-16 (little-endian)",
    (True, False, True, False): "UTF-16 (big-endian)",
}


class FramingError(PermanentError):
    """The file as a whole cannot be read as the table it should be."""


class MissingColumnError(FramingError):
    """The header lacks columns of the catalog."""

    def __init__(self, message: str, columns: tuple[str, ...]) -> None:
        """Keep the names, so that a caller can offer the override."""
        super().__init__(message)
        self.columns = columns


@dataclass(frozen=True)
class Layout:
    """The columns as one file orders them; None for a column the catalog does not know."""

    columns: tuple[Column | None, ...]
    line_end: bytes
    extra: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def normalise_header(name: str) -> str:
    """The form in which header names are compared: NCBI has moved between ``to CUI``, ``toCUI`` and ``#CUI``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def read_layout(table: SourceTable, header: bytes) -> Layout:
    """Match a header line with the catalog by name.

    Raises:
        FramingError: The line is no header of this table, in another encoding, or names a column twice.
    """
    line_end = b"\r\n" if header.endswith(b"\r\n") else b"\n"
    if encoding := _wide_encoding(header):
        raise FramingError(
            f"{table.file_name}: the file is in {encoding}, expected UTF-8. Nothing of it was read. Its source must "
            "publish it as NCBI does."
        )
    text = header.rstrip(b"\r\n").removeprefix(_UTF8_BOM).decode("utf-8", "replace")
    delimiter = table.framing.delimiter.decode()
    names = text.removeprefix("#").split(delimiter)
    if table.framing is Framing.PIPE and names[-1].strip() == "":
        names.pop()
    known = {
        normalise_header(spelling): column for column in table.columns for spelling in (column.header, *column.aliases)
    }
    columns = tuple(known.get(normalise_header(name)) for name in names)
    found = [column for column in columns if column is not None]
    # Half would let the PubMed links pass for names.
    if len(found) * 2 <= len(table.columns):
        expected = delimiter.join(column.header for column in table.columns)
        raise FramingError(
            f"{table.file_name}: no header line: expected {expected!r} (in any order), found {text[:200]!r}. "
            "Check that the file is the one NCBI publishes under this name."
        )
    if len(set(found)) != len(found):
        raise FramingError(f"{table.file_name}: the header names a column twice: {text[:200]!r}")
    return Layout(
        columns=columns,
        line_end=line_end,
        extra=tuple(name for name, column in zip(names, columns, strict=True) if column is None),
        missing=tuple(column.name for column in table.columns if column not in found),
    )


def _wide_encoding(start: bytes) -> str | None:
    """The encoding of a header line with two or four bytes a character, with or without a byte order mark."""
    for mark, name in _WIDE_MARKS.items():
        if start.startswith(mark):
            return name
    # Names of columns are ASCII, so all bytes of a character but one are NUL.
    zeros = tuple(byte == 0 for byte in start[:4])
    return _WIDE_ZEROS.get(zeros)


def same_columns(table: SourceTable, one: bytes, other: bytes) -> bool:
    """Whether a line means the same under two header lines of files of ``table``."""
    first, second = read_layout(table, one), read_layout(table, other)
    return (first.columns, first.line_end) == (second.columns, second.line_end)
