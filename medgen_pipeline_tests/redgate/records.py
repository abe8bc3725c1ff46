r"""Redshift's delimited text, turned into what PostgreSQL's COPY reads, with Redshift's checks and error numbers.

A regular expression made from the table's columns walks all records that mean the same to both servers at C speed
(2 M rows a second): field count, byte lengths, digits, ASCII for CHAR, NOT NULL. Such a run goes to PostgreSQL as it
is. A record at which the walk stops is converted field by field, or rejected with the error that Redshift logs.
Error numbers and reasons: AWS r_Load_Error_Reference and multi-byte-character-load-errors.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from types import MappingProxyType

from medgen_pipeline_tests.redgate.copycommand import DEFAULT_NULL, CopyCommand
from medgen_pipeline_tests.redgate.errors import LoadFailedError

MAX_RECORD_BYTES = 4 << 20
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_NEVER = re.compile(rb"(?!)")
# PostgreSQL decodes these after a backslash, and \. ends its data; Redshift loads the character itself.
_DECODED_BY_POSTGRES = rb"bfnrtvxN0-7."
_INTEGERS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {"smallint": (15, "Short"), "integer": (31, "Integer"), "bigint": (63, "Long")}
)
_TRUTH = {"1": "t", "t": "t", "true": "t", "y": "t", "yes": "t", "0": "f", "f": "f", "false": "f", "n": "f", "no": "f"}


@dataclass(frozen=True)
class LoadColumn:
    """A column that COPY fills; ``type`` as PostgreSQL's format_type names it, ``length`` in bytes or digits."""

    name: str
    type: str
    length: int
    scale: int
    nullable: bool


@dataclass(frozen=True)
class LoadError:
    """A row of stl_load_errors."""

    line: int
    code: int
    reason: str
    raw: bytes
    column: LoadColumn | None = None
    value: bytes = b""


class _BadFieldError(Exception):
    def __init__(self, code: int, reason: str, column: LoadColumn | None = None, value: bytes = b"") -> None:
        super().__init__(reason)
        self.code, self.reason, self.column, self.value = code, reason, column, value


class RecordConverter:
    """Converts the bytes of one COPY; one instance serves all its parts."""

    def __init__(self, command: CopyCommand, columns: tuple[LoadColumn, ...]) -> None:
        self.columns = columns
        self._delimiter = command.delimiter.encode()
        self._escape = command.escape
        # EMPTYASNULL and NULL AS '' do the same for text (AWS: copy-parameters-data-conversion).
        self._empty_is_null = command.empty_as_null or command.null == ""
        self._null = command.null.encode()
        self.null_marker = b"" if self._empty_is_null else b"\\N"
        stop = re.escape(self._delimiter)
        until = rb"(?>(?:[^\\%s]++|\\.)*)" if self._escape else rb"[^%s]*+"
        self._record = re.compile(until % rb"\n" + rb"\n", re.DOTALL)
        self._field = re.compile(rb"(%s)(?:%s|\Z)" % (until % stop, stop), re.DOTALL)
        self._plain_run = self._run_pattern(stop)

    def _run_pattern(self, stop: bytes) -> re.Pattern[bytes]:
        if self._null not in (b"", DEFAULT_NULL.encode()):
            return _NEVER
        fields = stop.join(self._plain_field(column, stop) for column in self.columns)
        return re.compile(rb"(?:%s\n)*" % fields)

    def _plain_field(self, column: LoadColumn, stop: bytes) -> bytes:
        least = 0 if column.nullable or not self._empty_is_null else 1
        ends = rb"(?=%s|\n)" % stop
        forms = []
        if column.type in _INTEGERS:
            digits = len(str(1 << _INTEGERS[column.type][0])) - 1
            forms.append(rb"-?[0-9]{1,%d}+" % digits)
        elif column.type in ("character varying", "character"):
            high = rb"\x80-\xff" if column.type == "character" else b""
            inner = rb"[^\\\0\r\n%s%s]" % (stop, high)
            forms.append(rb"%s{%d,%d}+" % (inner, least, column.length))
            if self._escape:
                escaped = rb"\\[^\0%s%s]" % (_DECODED_BY_POSTGRES, high)
                forms.append(rb"(?!\\\\N%s)(?>(?:%s|%s){%d,%d})" % (ends, inner, escaped, least, column.length))
        else:
            return rb"(?!)"  # dates, decimals and the like are looked at one by one
        if column.nullable:
            forms.append(rb"" if self._empty_is_null else rb"\\N")
        return rb"(?>%s)" % b"|".join(form + ends for form in forms)

    def convert(self, chunks: Iterable[bytes], failed: Callable[[LoadError], None]) -> Iterator[bytes]:
        """The records of one part as PostgreSQL's text, in blocks; ``failed`` hears of each that is left out."""
        rest, line = b"", 1
        for chunk in chunks:
            buffer = rest + chunk
            position = 0
            while True:
                run_end = self._end_of_run(buffer, position)
                if run_end > position:
                    yield from self._run(buffer[position:run_end], line, failed)
                    line += buffer.count(b"\n", position, run_end)
                record = self._record.match(buffer, run_end)
                if record is None:
                    break
                yield from self._single(record[0], line, failed)
                line += record[0].count(b"\n")
                position = record.end()
            rest = buffer[run_end:]
            if len(rest) > MAX_RECORD_BYTES:
                raise LoadFailedError(f"Row size exceeds 4 MB, line {line}", 1204)
        if rest:
            last = self._record.fullmatch(rest + b"\n")  # the last line need not end with LF
            if last:
                yield from self._single(last[0], line, failed)
            else:
                failed(LoadError(line, 1216, "Invalid input line", rest[:1024]))

    def _end_of_run(self, buffer: bytes, position: int) -> int:
        found = self._plain_run.match(buffer, position)
        return found.end() if found else position

    def _run(self, run: bytes, line: int, failed: Callable[[LoadError], None]) -> Iterator[bytes]:
        try:
            run.decode()
        except UnicodeDecodeError:
            for record in self._record.finditer(run):
                yield from self._single(record[0], line, failed)
                line += record[0].count(b"\n")
        else:
            yield run

    def _single(self, record: bytes, line: int, failed: Callable[[LoadError], None]) -> Iterator[bytes]:
        raw = record[:-1]
        try:
            values = [self._value(column, field) for column, field in zip(self.columns, self._fields(raw), strict=True)]
        except _BadFieldError as error:
            failed(LoadError(line, error.code, error.reason, raw, error.column, error.value))
        else:
            yield self._delimiter.join(values) + b"\n"

    def _fields(self, raw: bytes) -> list[bytes]:
        fields: list[bytes] = []
        position = 0
        while True:
            found = self._field.match(raw, position)
            if found is None:
                raise _BadFieldError(1216, "Invalid input line")
            fields.append(found[1])
            if found.end() == found.end(1):  # no delimiter followed
                break
            position = found.end()
        if len(fields) > len(self.columns):
            raise _BadFieldError(1202, "Extra column(s) found")
        if len(fields) < len(self.columns):
            raise _BadFieldError(1214, "Delimiter not found", self.columns[len(fields) - 1], fields[-1])
        return fields

    def _value(self, column: LoadColumn, field: bytes) -> bytes:
        value = self._decoded(column, field)
        if value is None:
            if not column.nullable:
                raise _BadFieldError(1213, "Missing data for not-null field", column, field)
            return self.null_marker
        for character in (b"\\", b"\n", b"\r", self._delimiter):
            replacement = {b"\n": b"\\n", b"\r": b"\\r"}.get(character, b"\\" + character)
            value = value.replace(character, replacement)
        return value

    def _decoded(self, column: LoadColumn, field: bytes) -> bytes | None:
        text = column.type in ("character varying", "character")
        escaped_null = self._escape and self._null == b"\\N" and field == b"\\\\N"
        if field == self._null or escaped_null or (field == b"" and (self._empty_is_null or not text)):
            return None
        if b"\0" in field or b"\r" in _ESCAPED.sub(b"", field):
            # Redshift ends the record at NUL without a word; what it does with a bare CR is not documented.
            raise _BadFieldError(1216, "redgate: a NUL or an unescaped CR in the data", column, field)
        value = _ESCAPED.sub(rb"\1", field) if self._escape else field
        return _text(column, value) if text else _CONVERSIONS[column.type](column, value.decode("latin-1").strip())


def _text(column: LoadColumn, value: bytes) -> bytes:
    if column.type == "character" and not value.isascii():
        hint = "Multibyte character not supported for CHAR (Hint: Try using VARCHAR). Invalid char: "
        raise _BadFieldError(1220, hint + " ".join(f"{byte:x}" for byte in value if byte > 127), column, value)
    try:
        value.decode()
    except UnicodeDecodeError as error:
        bad = value[error.start : error.end].hex()
        reason = f"String contains invalid or unsupported UTF-8 codepoints. Bad UTF-8 hex sequence: {bad} (error 4)"
        raise _BadFieldError(1220, reason, column, value) from error
    if len(value) > column.length and value[column.length :].strip(b" "):
        kind = "Char" if column.type == "character" else "String"
        raise _BadFieldError(1204, f"{kind} length exceeds DDL length", column, value)
    return value[: column.length]


def _integer(column: LoadColumn, value: str) -> bytes:
    bits, name = _INTEGERS[column.type]
    if not re.fullmatch(r"[+-]?[0-9]+", value):
        bad = re.search(r"[^0-9+-]", value) or re.search(r".?", value)
        shown, position = (bad[0], bad.start()) if bad else ("", 0)
        reason = f"Invalid digit, Value '{shown}', Pos {position}, Type: {name}"
        raise _BadFieldError(1207, reason, column, value.encode())
    if not -(1 << bits) <= int(value) < (1 << bits):
        raise _BadFieldError(1222, f"Overflow, Column type: {name}", column, value.encode())
    return value.encode()


def _decimal(column: LoadColumn, value: str) -> bytes:
    try:
        number = Decimal(value).quantize(Decimal(1).scaleb(-column.scale), rounding=ROUND_DOWN)
    except InvalidOperation as error:
        raise _BadFieldError(1209, f"Invalid digit, Value '{value[:1]}', Pos 0, Type: Decimal", column) from error
    if len(number.as_tuple().digits) > column.length:
        raise _BadFieldError(1204, f"Overflow for NUMERIC({column.length},{column.scale})", column, value.encode())
    return str(number).encode()


def _double(column: LoadColumn, value: str) -> bytes:
    try:
        float(value)
    except ValueError as error:
        raise _BadFieldError(1208, f"Invalid digit, Value '{value[:1]}', Pos 0, Type: Double", column) from error
    return value.encode()


def _boolean(column: LoadColumn, value: str) -> bytes:
    if value.lower() not in _TRUTH:
        raise _BadFieldError(1210, "Unknown boolean format", column, value.encode())
    return _TRUTH[value.lower()].encode()


def _date(column: LoadColumn, value: str) -> bytes:
    try:
        return date.fromisoformat(value).isoformat().encode()
    except ValueError as error:
        raise _BadFieldError(1205, "Invalid Date Format - length must be 10 or more", column, value.encode()) from error


def _timestamp(column: LoadColumn, value: str) -> bytes:
    try:
        return datetime.fromisoformat(value).isoformat(sep=" ").encode()
    except ValueError as error:
        reason = "Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]"
        raise _BadFieldError(1206, reason, column, value.encode()) from error


_CONVERSIONS: Mapping[str, Callable[[LoadColumn, str], bytes]] = MappingProxyType(
    {
        **dict.fromkeys(_INTEGERS, _integer),
        "numeric": _decimal,
        "real": _double,
        "double precision": _double,
        "boolean": _boolean,
        "date": _date,
        "timestamp without time zone": _timestamp,
        "timestamp with time zone": _timestamp,
    }
)
SUPPORTED_TYPES = frozenset({"character varying", "character", *_CONVERSIONS})
