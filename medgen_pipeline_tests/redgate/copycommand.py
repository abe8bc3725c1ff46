"""``COPY ... FROM 's3://...'`` read into a command: the options as a table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from medgen_pipeline_tests.gates.lexer import Cursor, Statement, render
from medgen_pipeline_tests.redgate.errors import RefusedError, not_emulated, syntax_error

DEFAULT_NULL = "\\N"
MAX_MAXERROR = 100_000


class Argument(Enum):
    """What follows an option's name."""

    NOTHING = auto()
    STRING = auto()
    NUMBER = auto()
    SWITCH = auto()  # ON or OFF, also left out
    ROLE = auto()  # a string or the word default


@dataclass(frozen=True)
class Option:
    """One parameter of COPY; ``emulated`` is False where the gate knows it only to refuse it."""

    argument: Argument
    page: str
    emulated: bool = True


_FORMAT = "copy-parameters-data-format"
_COMPRESSION = "copy-parameters-file-compression"
_CONVERSION = "copy-parameters-data-conversion"
_LOAD = "copy-parameters-data-load"
_SOURCE = "copy-parameters-data-source-s3"
_AUTHORIZATION = "copy-parameters-authorization"

OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        "IAM_ROLE": Option(Argument.ROLE, _AUTHORIZATION),
        "CREDENTIALS": Option(Argument.STRING, _AUTHORIZATION, emulated=False),
        "ACCESS_KEY_ID": Option(Argument.STRING, _AUTHORIZATION, emulated=False),
        "SECRET_ACCESS_KEY": Option(Argument.STRING, _AUTHORIZATION, emulated=False),
        "SESSION_TOKEN": Option(Argument.STRING, _AUTHORIZATION, emulated=False),
        "MANIFEST": Option(Argument.NOTHING, _SOURCE),
        "REGION": Option(Argument.STRING, _SOURCE),
        "ENCRYPTED": Option(Argument.NOTHING, _SOURCE, emulated=False),
        "GZIP": Option(Argument.NOTHING, _COMPRESSION),
        "BZIP2": Option(Argument.NOTHING, _COMPRESSION, emulated=False),
        "LZOP": Option(Argument.NOTHING, _COMPRESSION, emulated=False),
        "ZSTD": Option(Argument.NOTHING, _COMPRESSION, emulated=False),
        "DELIMITER": Option(Argument.STRING, _FORMAT),
        "CSV": Option(Argument.NOTHING, _FORMAT, emulated=False),
        "PARQUET": Option(Argument.NOTHING, _FORMAT, emulated=False),
        "ORC": Option(Argument.NOTHING, _FORMAT, emulated=False),
        "JSON": Option(Argument.STRING, _FORMAT, emulated=False),
        "AVRO": Option(Argument.STRING, _FORMAT, emulated=False),
        "ESCAPE": Option(Argument.NOTHING, _CONVERSION),
        "NULL": Option(Argument.STRING, _CONVERSION),
        "EMPTYASNULL": Option(Argument.NOTHING, _CONVERSION),
        "ENCODING": Option(Argument.STRING, _CONVERSION, emulated=False),
        "IGNOREHEADER": Option(Argument.NUMBER, _CONVERSION, emulated=False),
        "REMOVEQUOTES": Option(Argument.NOTHING, _CONVERSION, emulated=False),
        # The following change data silently; a loader that wants an exact copy has no use for them.
        "ACCEPTINVCHARS": Option(Argument.NOTHING, _CONVERSION, emulated=False),
        "BLANKSASNULL": Option(Argument.NOTHING, _CONVERSION, emulated=False),
        "FILLRECORD": Option(Argument.NOTHING, _CONVERSION, emulated=False),
        "TRIMBLANKS": Option(Argument.NOTHING, _CONVERSION, emulated=False),
        "TRUNCATECOLUMNS": Option(Argument.NOTHING, _CONVERSION, emulated=False),
        "IGNOREALLERRORS": Option(Argument.NOTHING, _LOAD, emulated=False),
        "NOLOAD": Option(Argument.NOTHING, _LOAD, emulated=False),
        "MAXERROR": Option(Argument.NUMBER, _LOAD),
        "COMPUPDATE": Option(Argument.SWITCH, _LOAD),
        "STATUPDATE": Option(Argument.SWITCH, _LOAD),
    }
)


@dataclass(frozen=True)
class CopyCommand:
    """A COPY that the gate can run.

    Attributes:
        table: The table as SQL for PostgreSQL.
        table_name: Its bare name, for messages.
        columns: The column list; empty when none was given.
        uri: The object or prefix, ``s3://...``.
        roles: The chain of roles, the cluster's own first.
        region: The bucket's region, where it is not the cluster's.
        manifest: Whether ``uri`` is a manifest.
        gzip: Whether the parts are compressed.
        delimiter: One ASCII character.
        escape: Whether a backslash makes the next character literal.
        null: The text of a NULL.
        empty_as_null: Whether an empty text is NULL.
        max_errors: Bad records at which the load fails.
    """

    table: str
    table_name: str
    columns: tuple[str, ...]
    uri: str
    roles: tuple[str, ...]
    region: str
    manifest: bool
    gzip: bool
    delimiter: str
    escape: bool
    null: str
    empty_as_null: bool
    max_errors: int


def parse_copy(statement: Statement) -> CopyCommand:
    """Read the statement; refuse options that the gate does not emulate.

    Each pair that AWS forbids (CSV and ESCAPE, two compressions, two credentials) has such an option in it.
    """
    cursor = Cursor(statement.tokens)
    cursor.accept("COPY")
    relation = cursor.relation()
    columns = tuple(cursor.names()) if cursor.next.text == "(" else ()
    if not cursor.accept("FROM") or cursor.next.kind != "string":
        raise syntax_error(cursor.next.text, "r_COPY")
    uri = cursor.take().value
    if not re.fullmatch(r"s3://[^/]+/.+", uri):
        raise not_emulated(f"COPY FROM {uri!r}", "copy-parameters-data-source")
    options = _options(cursor)
    _check(options)
    delimiter = str(options.get("DELIMITER", "|"))
    if len(delimiter) != 1 or not delimiter.isascii():
        raise RefusedError("copy-delimiter", "COPY delimiter must be a single ASCII character", _FORMAT, "22023")
    return CopyCommand(
        table=render(relation),
        table_name=relation[-1].identifier,
        columns=columns,
        uri=uri,
        roles=tuple(str(options["IAM_ROLE"]).split(",")),
        region=str(options.get("REGION", "")),
        manifest="MANIFEST" in options,
        gzip="GZIP" in options,
        delimiter=delimiter,
        escape="ESCAPE" in options,
        null=str(options.get("NULL", DEFAULT_NULL)),
        empty_as_null="EMPTYASNULL" in options,
        max_errors=max(1, int(options.get("MAXERROR", 0))),
    )


def _options(cursor: Cursor) -> dict[str, str | int]:
    options: dict[str, str | int] = {}
    while cursor.next.kind != "end":
        if cursor.accept("WITH"):
            continue
        if cursor.accept("FORMAT"):
            cursor.accept("AS")
        name = cursor.take().keyword
        if name not in OPTIONS:
            raise syntax_error(cursor.tokens[cursor.position - 1].text, "r_COPY")
        options[name] = _argument(cursor, OPTIONS[name])
    return options


def _argument(cursor: Cursor, option: Option) -> str | int:
    if option.argument is Argument.NOTHING:
        return ""
    if option.argument is Argument.SWITCH:
        return cursor.one_of(("ON", "OFF", "TRUE", "FALSE", "PRESET"))
    cursor.accept("AS")
    if option.argument is Argument.ROLE and cursor.accept("DEFAULT"):
        return "default"
    expected = "number" if option.argument is Argument.NUMBER else "string"
    if cursor.next.kind != expected:
        raise syntax_error(cursor.next.text, option.page)
    return int(cursor.take().text) if expected == "number" else cursor.take().value


def _check(options: Mapping[str, str | int]) -> None:
    if not {"IAM_ROLE", "CREDENTIALS", "ACCESS_KEY_ID"} & options.keys():
        message = "Failed to authenticate: COPY from Amazon S3 needs IAM_ROLE or other credentials"
        raise RefusedError("copy-authorization", message, _AUTHORIZATION, "XX000")
    for name in options:
        if not OPTIONS[name].emulated:
            raise not_emulated(f"COPY ... {name}", OPTIONS[name].page)
    if int(options.get("MAXERROR", 0)) > MAX_MAXERROR:
        raise RefusedError("copy-maxerror", f"MAXERROR must be between 0 and {MAX_MAXERROR}", _LOAD, "22023")
