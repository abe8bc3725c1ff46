"""Records that are several lines, each with too few fields, because a value holds a line break.

Such lines are joined where that is the only way to read them. All neighbouring lines with too few fields are looked at
together. From the first one on, lines are added to a record until it has the fields of its table, then the next record
begins. They are joined if that uses up all of them, and

- the first line of a record has a delimiter (the first field, an identifier, is never broken),
- no further line begins like the first one: a first field with letters, digits and signs in the same order makes it a
  record of its own that was cut short,
- what comes of it is a good record, and all together they are no larger than 1 MiB.

Otherwise all of them are rejected. Lines that have all their fields, or more, or a NUL, are never joined. In a file
without a trailing delimiter a break in the last field cannot be told from a bad line, so that is not mended.
"""

import re
from collections.abc import Callable, Sequence

MAX_PIECES_BYTES = 1 << 20
_LETTERS, _DIGITS = re.compile(rb"[A-Za-z\x80-\xff]+"), re.compile(rb"[0-9]+")


class Pieces:
    """Neighbouring lines that may be pieces of records.

    Attributes:
        lines: Those that are held, as long as they may be.
    """

    def __init__(
        self, delimiter: bytes, delimiters: int, record_of: Callable[[Sequence[bytes]], bytes | None], *, joins: bool
    ) -> None:
        """None is held.

        Args:
            delimiter: Between two fields.
            delimiters: How many a record has.
            record_of: The canonical record that lines make together, or None where it is no good one.
            joins: Whether any are joined.
        """
        self.lines: list[bytes] = []
        self._delimiter, self._delimiters = delimiter, delimiters
        self._record_of = record_of
        self._joins = self._adds_up = joins
        self._bytes = 0
        self._records: list[bytes] = []
        self._record_start = 0  # where in the lines the last record begins
        self._found_delimiters = 0  # in that record

    def add(self, line: bytes) -> Sequence[bytes]:
        """Hold a line; returns the lines that turn out to be no pieces, of which this is the last."""
        if self._adds_up and self._fits(line):
            self.lines.append(line)
            return ()
        self._adds_up = False
        return (*self._let_go()[0], line)

    def end(self) -> tuple[Sequence[bytes], Sequence[bytes]]:
        """No further line follows: those held, and the records that they make; without records, they make none."""
        if self._record_start != len(self.lines):
            self._records = []
        self._adds_up = self._joins
        return self._let_go()

    def _let_go(self) -> tuple[Sequence[bytes], Sequence[bytes]]:
        held = self.lines, self._records
        self.lines, self._records = [], []
        self._bytes = self._record_start = 0
        return held

    def _fits(self, line: bytes) -> bool:
        """Whether it may go on with the record, or begin one."""
        self._bytes += len(line)
        if self._bytes > MAX_PIECES_BYTES:
            return False
        delimiters = line.count(self._delimiter)
        if self._record_start == len(self.lines):
            self._found_delimiters = delimiters
            fits = delimiters > 0
        else:
            self._found_delimiters += delimiters
            first = self.lines[self._record_start]
            fits = self._found_delimiters <= self._delimiters and self._beginning(first) != self._beginning(line)
        if fits and self._found_delimiters == self._delimiters:
            record = self._record_of((*self.lines[self._record_start :], line))
            if record is None:
                return False
            self._records.append(record)
            self._record_start = len(self.lines) + 1
        return fits

    def _beginning(self, line: bytes) -> bytes:
        """What the first field is made of: ``A9`` for an identifier such as C0000727."""
        first = line.partition(self._delimiter)[0]
        return _DIGITS.sub(b"9", _LETTERS.sub(b"A", first))
