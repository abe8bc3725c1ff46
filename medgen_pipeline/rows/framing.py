r"""NCBI's bytes in, canonical bytes out: checked and converted a buffer at a time, bad rows rejected.

Canonical bytes are the one format every loader takes: TAB between fields, LF ends the record, an empty field is NULL,
and a backslash comes before each backslash, TAB, CR and LF that belongs to a value. The value ``\N`` is written
``\\\N``, because Redshift's COPY ... ESCAPE reads ``\\N`` as NULL; PostgreSQL and ClickHouse read both as the two
characters.

Some sources write a marker such as ``-`` where a value is missing; a field that is exactly that is empty, too.

Nothing here runs Python code per row. One possessive regular expression (Python 3.11) walks all well-formed lines of
a buffer at C speed and stops exactly at the first line that is not; only such a line is looked at by itself. It proves
per line the field count, the absence of NUL, that integers are integers, and that key values fit an index.
Counting delimiters in the whole buffer would be no proof: a line with one too many hides a line with one too few.

A value may hold a line break: then its record is several lines, each with too few fields. ``pieces`` joins them.

What does not belong here: opening files, databases, and the decision whether rejected rows are acceptable.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import BinaryIO

from medgen_pipeline.catalog import Framing, SourceTable
from medgen_pipeline.rows.fields import field_pattern, misfits
from medgen_pipeline.rows.header import FramingError, Layout, MissingColumnError, read_layout
from medgen_pipeline.rows.pieces import Pieces
from medgen_pipeline.rows.records import FramingReport, RejectedRow

# Small enough for all passes over a chunk to stay in a core's own cache, and for the server to work on one in its
# socket buffer while the next is made: 16 M rows staged in 7.4 s, against 12.0 s with 1 MiB and a thread ahead.
CHUNK_BYTES = 64 << 10
MAX_LINE_BYTES = 64 << 20
_PIPE_TO_TAB = bytes.maketrans(b"|", b"\t")
MAX_REJECTED_BYTES = 8 << 10  # of a rejected line are kept
# Stands for an LF inside a value on its way through the patterns: never part of UTF-8.
_INNER_LF = b"\xff"
NO_LIMITS: Mapping[str, int] = MappingProxyType({})
_LOOKS_NULL = re.compile(rb"(?<![^\t\n])\\\\N(?![^\t\n])")


@dataclass
class FramedFile:
    """The rows of one MedGen file as chunks of canonical bytes, each ending on a record end.

    Iterate once. ``report`` is complete when the iteration has ended.

    Attributes:
        table: What the file should be.
        stream: The decompressed bytes, header line first.
        on_reject: Called with each line that is rejected, in file order.
        accept_missing: Columns that may be absent from the header.
        max_bytes: Widest UTF-8 value of each column that has a limit; a line with a wider one is rejected.
        joins: Whether lines may be pieces of one record; not where they were taken out of their file.
        max_file_bytes: A stream with more is refused: a small gzip file may decompress to a thousand times its size.
    """

    table: SourceTable
    stream: BinaryIO
    on_reject: Callable[[RejectedRow], None]
    accept_missing: frozenset[str] = frozenset()
    max_bytes: Mapping[str, int] = field(default_factory=dict)
    report: FramingReport = field(default_factory=FramingReport)
    joins: bool = True
    max_file_bytes: int | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield canonical chunks of about 64 KiB.

        Raises:
            FramingError: The stream is empty, has no header, lacks a column, has a line over 64 MiB or is too large.
        """
        layout = self._read_header()
        lines = LineFramer(self.table, layout, self.on_reject, self.report, self.max_bytes, joins=self.joins)
        for buffer in whole_lines(self.stream, self.table.file_name, self.max_file_bytes):
            if chunk := lines.convert(buffer):
                yield chunk
        if rest := lines.finish():
            yield rest

    def _read_header(self) -> Layout:
        header = self.stream.readline(CHUNK_BYTES)
        if not header:
            raise FramingError(f"{self.table.file_name}: the file is empty: expected a header line and rows.")
        layout = read_layout(self.table, header)
        self.report.extra_columns = layout.extra
        self.report.missing_columns = layout.missing
        refused = tuple(name for name in layout.missing if name not in self.accept_missing)
        if refused:
            for_good = ",".join(f"{self.table.name}.{name}" for name in refused)
            known = " ".join(column.absence for column in self.table.columns if column.name in refused)
            raise MissingColumnError(
                f"{self.table.file_name}: the header lacks {', '.join(refused)}: found "
                f"{header[:200].decode('utf-8', 'replace').rstrip()!r}. {known.strip() or 'Perhaps NCBI removed it.'} "
                f"Accept that for this load, or for good: MEDGEN_MISSING_COLUMNS={for_good}.",
                refused,
            )
        return layout


def frame_lines(
    table: SourceTable,
    header: bytes,
    lines: Sequence[bytes],
    on_reject: Callable[[RejectedRow], None],
    accept_missing: frozenset[str] = frozenset(),
    max_bytes: Mapping[str, int] = NO_LIMITS,
) -> tuple[bytes, FramingReport]:
    """Canonical bytes of lines taken out of a file with ``header``; their line numbers mean nothing."""
    content = header + b"".join(line + b"\n" for line in lines)
    framed = FramedFile(table, io.BytesIO(content), on_reject, accept_missing, max_bytes, joins=False)
    return b"".join(framed), framed.report


def whole_lines(stream: BinaryIO, name: str, max_bytes: int | None = None) -> Iterator[bytes]:
    """Cut a stream into buffers of about 64 KiB that end on LF; a last line without LF gets one.

    Raises:
        FramingError: A line is longer than 64 MiB, which no MedGen file has ever come near, or the stream has more than
            ``max_bytes``.
    """
    pending: list[bytes] = []
    pending_bytes = total = 0
    while block := stream.read(CHUNK_BYTES):
        total += len(block)
        if max_bytes is not None and total > max_bytes:
            raise FramingError(
                f"{name}: decompresses to more than {max_bytes:,} bytes, the most that is accepted. If the file is "
                "right, raise max_decompressed_gib of the resource medgen_source."
            )
        cut = block.rfind(b"\n") + 1
        if cut:
            pending.append(block[:cut])
            yield b"".join(pending)
            pending, pending_bytes = [block[cut:]], len(block) - cut
        else:
            pending.append(block)
            pending_bytes += len(block)
            if pending_bytes > MAX_LINE_BYTES:
                raise FramingError(f"{name}: a line is longer than {MAX_LINE_BYTES:,} bytes: this is no MedGen file.")
    if pending_bytes:
        yield b"".join((*pending, b"\n"))


class LineFramer:
    """Checks and converts buffers of whole lines that share one layout."""

    def __init__(
        self,
        table: SourceTable,
        layout: Layout,
        on_reject: Callable[[RejectedRow], None],
        report: FramingReport,
        max_bytes: Mapping[str, int] = NO_LIMITS,
        *,
        joins: bool = True,
    ) -> None:
        """Compile the patterns of this layout."""
        self._table = table
        self._layout = layout
        self._on_reject = on_reject
        self._report = report
        self._max_bytes = max_bytes
        self._delimiter = table.framing.delimiter
        fields = [field_pattern(table, column, self._delimiter, max_bytes) for column in layout.columns]
        trailing = table.framing.trailing
        between = re.escape(self._delimiter)
        any_fields = [field_pattern(table, column, self._delimiter, max_bytes, b"") for column in layout.columns]
        if not trailing:  # then LF ends the last one. A CR before it is no value's: the header tells of CRLF
            fields[-1] += rb"(?<!\r)"
            any_fields[-1] = fields[-1]
        self._good_lines, self._records = (
            re.compile(rb"(?:" + between.join(these) + re.escape(trailing) + rb"\n)*") for these in (fields, any_fields)
        )
        self._rearrange = self._rearrangement(trailing)
        self._null_markers = [_null_marker(marker, self._delimiter) for marker in table.source.null_markers]
        self._delimiters = len(fields) if trailing else len(fields) - 1
        self._pieces = Pieces(self._delimiter, self._delimiters, self._record_of, joins=joins)
        self._finished: list[bytes] = []  # canonical records that pieces have made
        self._lines_beside_rows = 1  # the header, rejected lines, and all but one of each joined record

    def _rearrangement(self, trailing: bytes) -> tuple[re.Pattern[bytes], bytes] | None:
        """How to bring a file's columns into catalog order, or None where they are."""
        if self._layout.columns == self._table.columns:
            return None
        capture = rb"([^%b\n]*+)" % re.escape(self._delimiter)
        line = re.escape(self._delimiter).join([capture] * len(self._layout.columns)) + re.escape(trailing) + rb"\n"
        places = {column: place for place, column in enumerate(self._layout.columns, start=1)}
        wanted = [b"\\g<%d>" % places[column] if column in places else b"" for column in self._table.columns]
        return re.compile(line), self._delimiter.join(wanted) + trailing + b"\\n"

    def convert(self, buffer: bytes) -> bytes:
        """Canonical bytes of the good lines of ``buffer``, which ends on LF; the others go to ``on_reject``."""
        if self._layout.line_end == b"\r\n":
            buffer = buffer.replace(b"\r\n", b"\n")
        lines = buffer.count(b"\n")
        end = len(buffer) if self._are_good(buffer, lines) else self._end_of_good_lines(buffer, 0)
        if end == len(buffer) and not self._pieces.lines:
            return self._canonical(self._keep(buffer, lines))
        good = self._canonical(b"".join(self._good_lines_of(buffer, end)))
        return good + self._take_joined()

    def finish(self) -> bytes:
        """Canonical bytes of what the last lines turned out to be."""
        self._end_pieces()
        return self._take_joined()

    def _good_lines_of(self, buffer: bytes, end: int) -> Iterator[bytes]:
        start = 0
        while True:
            if end > start:
                self._end_pieces()
                good = buffer[start:end]
                yield self._keep(good, good.count(b"\n"))
            if end == len(buffer):
                return
            start = buffer.index(b"\n", end) + 1
            self._look_at_bad_line(buffer[end : start - 1])
            end = self._end_of_good_lines(buffer, start)

    def _are_good(self, buffer: bytes, lines: int) -> bool:
        """Whether all lines are good; if so, known in little more than half the time of ``_end_of_good_lines``.

        A pattern is quick where a field may hold any byte but one. Those that it finds are records but for LF and NUL
        in their fields: each has its number of delimiters, so there are as many LF as records only if none is inside.
        """
        return (
            b"\0" not in buffer
            and buffer.count(self._delimiter) == self._delimiters * lines
            and self._records.match(buffer).end() == len(buffer)  # type: ignore[union-attr]  # as below
        )

    def _end_of_good_lines(self, buffer: bytes, start: int) -> int:
        """Where the run of good lines from ``start`` on ends."""
        return self._good_lines.match(buffer, start).end()  # type: ignore[union-attr]  # matches the empty string too

    def _keep(self, good: bytes, lines: int) -> bytes:
        """Count good lines and mend their UTF-8. Those that this makes too wide for a column are rejected after all."""
        if not good.isascii() and not _is_utf8(good):
            return b"".join(self._lines_that_stay_good(good))
        self._report.rows += lines
        return good

    def _lines_that_stay_good(self, good: bytes) -> Iterator[bytes]:
        # Not splitlines(): a CR is data.
        for line in (piece + b"\n" for piece in good[:-1].split(b"\n")):
            repaired = _repaired(line)
            if repaired == line or self._end_of_good_lines(repaired, 0) == len(repaired):
                self._report.rows += 1
                self._report.repaired += repaired != line
                yield repaired
            else:
                self._reject(line[:-1])

    # --- lines that are no rows ----------------------------------------------------------------------------------

    def _look_at_bad_line(self, line: bytes) -> None:
        """Reject a line, or keep it for as long as it may be a piece of a record."""
        if line.count(self._delimiter) >= self._delimiters or b"\0" in line:
            self._end_pieces()
            self._reject(line)
            return
        self._report.pieces += 1
        for refused in self._pieces.add(line):
            self._reject(refused)

    def _end_pieces(self) -> None:
        """A line that is no piece follows, or the file's end."""
        lines, records = self._pieces.end()
        if records:
            self._report.rows += len(records)
            self._report.repaired += len(records)
            self._lines_beside_rows += len(lines) - len(records)
            self._finished += records
        else:
            for line in lines:
                self._reject(line)

    def _record_of(self, pieces: Sequence[bytes]) -> bytes | None:
        """The canonical record that lines make together, or None where it is no good one."""
        record = _INNER_LF.join(map(_repaired, pieces)) + b"\n"
        if self._end_of_good_lines(record, 0) != len(record):
            return None
        return self._canonical(record).replace(_INNER_LF, b"\\\n")

    def _take_joined(self) -> bytes:
        finished = b"".join(self._finished)
        self._finished.clear()
        return finished

    def _reject(self, line: bytes) -> None:
        self._report.rejected += 1
        self._lines_beside_rows += 1
        reason = self._reason(line)
        if len(line) > MAX_REJECTED_BYTES:
            reason += f" (kept are the first {MAX_REJECTED_BYTES:,} of {len(line):,} bytes)"
        self._on_reject(RejectedRow(self._report.rows + self._lines_beside_rows, reason, line[:MAX_REJECTED_BYTES]))

    def _reason(self, line: bytes) -> str:
        """Why the pattern refused ``line``, for the person who reads the audit."""
        if b"\0" in line:
            return "NUL byte"
        if self._table.framing is Framing.PIPE and line and not line.endswith(b"|"):
            return "no trailing '|'"
        # Counted before it is split: a line may have as many fields as bytes.
        found = line.count(self._delimiter) + (self._table.framing is Framing.TAB)
        if found != len(self._layout.columns):
            return f"{found} fields, expected {len(self._layout.columns)}"
        if self._table.framing is Framing.TAB and line.endswith(b"\r"):
            return "CR at its end"
        fields = [_repaired(field) for field in line.split(self._delimiter)[: len(self._layout.columns)]]  # as stored
        wrong = misfits(self._table, self._layout.columns, fields, self._delimiter, self._max_bytes)
        return "; ".join(wrong) or "refused by the line pattern"

    def _canonical(self, good: bytes) -> bytes:
        if self._rearrange is not None:
            pattern, template = self._rearrange
            good = pattern.sub(template, good)
        for marker in self._null_markers:
            good = marker.sub(b"", good)
        return self._escape(good)

    def _escape(self, buffer: bytes) -> bytes:
        looks_null = False
        if b"\\" in buffer:
            buffer = buffer.replace(b"\\", b"\\\\")
            looks_null = b"\\\\N" in buffer
        if b"\r" in buffer:
            buffer = buffer.replace(b"\r", b"\\\r")
        if self._table.framing is Framing.PIPE:
            if b"\t" in buffer:
                buffer = buffer.replace(b"\t", b"\\\t")
            # The trailing "|" goes by way of NUL, which no good line holds: replacing two bytes by two and deleting in
            # the pass that translates takes two thirds of the time of replacing two bytes by one.
            buffer = buffer.replace(b"|\n", b"\0\n").translate(_PIPE_TO_TAB, b"\0")
        if looks_null:
            buffer = _LOOKS_NULL.sub(rb"\\\\\\N", buffer)
        return buffer


def _null_marker(marker: str, delimiter: bytes) -> re.Pattern[bytes]:
    """Finds a field that is exactly ``marker``, which comes first: so a search has bytes to look for."""
    beside, text = re.escape(delimiter), re.escape(marker.encode())
    return re.compile(rb"%b(?<![^%b\n]%b)(?![^%b\n])" % (text, beside, text, beside))


def _repaired(text: bytes) -> bytes:
    """With U+FFFD for what is not UTF-8."""
    return text.decode("utf-8", "replace").encode()


def _is_utf8(buffer: bytes) -> bool:
    try:
        buffer.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
