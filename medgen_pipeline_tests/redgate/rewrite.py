"""Redshift's DDL as PostgreSQL's: physical attributes and keys go, byte lengths become CHECK constraints.

Called after the rules, so a statement is well-formed here; what it may still get wrong is what names refer to.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from medgen_pipeline_tests.gates.lexer import Cursor, Statement, Token, quoted_name, render, split_list, words
from medgen_pipeline_tests.redgate.allowlist import TYPES
from medgen_pipeline_tests.redgate.errors import BYTES_CONSTRAINT, RefusedError, not_emulated, syntax_error

MAX_VARCHAR_BYTES = 65_535
MAX_CHAR_BYTES = 4_096
MAX_DECIMAL_DIGITS = 38
_DEFAULT_BYTES = {"TEXT": 256, "VARCHAR": 256, "NVARCHAR": 256, "CHARACTER VARYING": 256, "BPCHAR": 256}
_DEFAULT_DECIMAL = "18, 0"
_PAGE = "r_CREATE_TABLE_NEW"
LAYOUT_CONSTRAINT = "redgate_layout_"
_KEY_WORDS = ("PRIMARY", "UNIQUE", "FOREIGN", "CONSTRAINT")
_COLUMN_ATTRIBUTES = words(
    "COLLATE CONSTRAINT DEFAULT DISTKEY ENCODE GENERATED IDENTITY NOT NULL PRIMARY REFERENCES SORTKEY UNIQUE"
)


@dataclass
class Physical:
    """What a table definition says about distribution and order; PostgreSQL stores none of it."""

    style: str = ""
    distribution: list[str] | None = None
    order: list[str] | None = None

    @property
    def constraint(self) -> str:
        """A constraint that holds nothing but, in its name, all of this: for ALTER TABLE APPEND and LIKE."""
        layout = repr((self.style, self.distribution, self.order)).encode()
        return f"CONSTRAINT {LAYOUT_CONSTRAINT}{zlib.crc32(layout):08x} CHECK (true)"

    def check(self, columns: Sequence[str]) -> None:
        """Redshift refuses keys that are no columns, and DISTSTYLE KEY without a key."""
        for name in [*(self.distribution or ()), *(self.order or ())]:
            if name not in columns:
                raise RefusedError("key-column", f'column "{name}" named in key does not exist', _PAGE, "42703")
        if (self.style == "KEY" and not self.distribution) or (
            self.distribution and self.style not in ("", "KEY", "AUTO")
        ):
            raise RefusedError("distribution-key", "DISTSTYLE KEY and a DISTKEY column need each other", _PAGE, "42601")


def column_type(cursor: Cursor) -> tuple[str, int]:
    """The type ahead as PostgreSQL's, and the number of bytes a VARCHAR may hold (0 for other types)."""
    first = cursor.take()
    name = first.keyword
    if name in ("DOUBLE", "CHARACTER") and cursor.next.keyword in ("PRECISION", "VARYING"):
        name = f"{name} {cursor.take().keyword}"
    arguments = [token.text.upper() for token in cursor.group() if token.text != ","] if cursor.next.text == "(" else []
    if zone := cursor.one_of(("WITH", "WITHOUT")):
        cursor.accept("TIME", "ZONE")
        name = f"{name} {zone} TIME ZONE"
    if name not in TYPES:
        raise RefusedError("column-type", f'type "{first.text.lower()}" is not supported', "c_Supported_data_types")
    if TYPES[name] == "varchar":
        length = _length(name, arguments, MAX_VARCHAR_BYTES)
        return f"varchar({length})", length
    if TYPES[name] == "char":
        return f"char({_length(name, arguments, MAX_CHAR_BYTES)})", 0
    if TYPES[name] == "numeric":
        if arguments and int(arguments[0]) > MAX_DECIMAL_DIGITS:
            raise RefusedError(
                "type-length", "DECIMAL precision must be between 1 and 38", "r_Numeric_types201", "22023"
            )
        return f"numeric({', '.join(arguments) or _DEFAULT_DECIMAL})", 0
    return TYPES[name], 0


def _length(name: str, arguments: Sequence[str], most: int) -> int:
    if not arguments or name in ("TEXT", "BPCHAR"):
        return _DEFAULT_BYTES.get(name, 1)
    length = most if arguments[0] == "MAX" else int(arguments[0])
    if length > most:
        raise RefusedError(
            "type-length", f"length for type {name.lower()} cannot exceed {most}", "r_Character_types", "22023"
        )
    return length


def column(cursor: Cursor, physical: Physical) -> tuple[str, str]:
    """The column definition ahead: its name, and its definition for PostgreSQL."""
    name = cursor.take().identifier
    type_name, most_bytes = column_type(cursor)
    parts = [quoted_name(name), type_name]
    while cursor.next.kind != "end":
        parts.append(_attribute(cursor, name, physical))
    if most_bytes:
        parts.append(f"CONSTRAINT {bytes_constraint(name)} CHECK (octet_length({quoted_name(name)}) <= {most_bytes})")
    return name, " ".join(filter(None, parts))


def bytes_constraint(column_name: str) -> str:
    """The constraint that holds a column's byte length; names are unique within a table and may not be too long."""
    return f"{BYTES_CONSTRAINT}{zlib.crc32(column_name.encode()):08x}"


def _attribute(cursor: Cursor, name: str, physical: Physical) -> str:
    start = cursor.position
    match word := cursor.take().keyword:
        case "NOT":
            cursor.accept("NULL")
            return "NOT NULL"
        case "NULL" | "UNIQUE":
            return ""
        case "PRIMARY":
            cursor.accept("KEY")
            return "NOT NULL"
        case "DISTKEY":
            physical.distribution = [name]
            return ""
        case "SORTKEY":
            physical.order = [name]
            return ""
        case "ENCODE":
            cursor.take()
            return ""
        case "REFERENCES":
            cursor.relation()
            if cursor.next.text == "(":
                cursor.group()
            return ""
        case "DEFAULT":
            return "DEFAULT " + render(_default(cursor))
        case "IDENTITY" | "GENERATED":
            by_default = cursor.accept("BY", "DEFAULT", "AS", "IDENTITY")
            seed, step = (render(part) for part in split_list(cursor.group()))
            how = "BY DEFAULT" if by_default else "ALWAYS"
            return f"NOT NULL GENERATED {how} AS IDENTITY (START {seed} INCREMENT {step})"
    raise not_emulated(f"the column attribute {word or cursor.tokens[start].text}", _PAGE)


def _default(cursor: Cursor) -> list[Token]:
    found: list[Token] = []
    while cursor.next.kind != "end" and (not found or cursor.next.keyword not in _COLUMN_ATTRIBUTES):
        if cursor.next.text == "(":
            start = cursor.position
            cursor.group()
            found += cursor.tokens[start : cursor.position]
        else:
            found.append(cursor.take())
    return as_postgres(found)


def _table_attributes(cursor: Cursor, physical: Physical) -> None:
    while cursor.next.kind != "end" and cursor.next.keyword != "AS":
        if cursor.accept("BACKUP"):
            cursor.take()
        elif cursor.accept("DISTSTYLE"):
            physical.style = cursor.take().keyword
        elif cursor.accept("DISTKEY"):
            physical.distribution = cursor.names()
        elif cursor.one_of(("COMPOUND", "INTERLEAVED")) or cursor.next.keyword == "SORTKEY":
            cursor.accept("SORTKEY")
            physical.order = [] if cursor.accept("AUTO") else cursor.names()
        elif not cursor.accept("ENCODE", "AUTO"):
            raise syntax_error(cursor.next.text, _PAGE)


def create_table(statement: Statement) -> str:
    """CREATE TABLE, with a column list, LIKE or AS."""
    cursor = Cursor(statement.tokens)
    physical = Physical()
    cursor.accept("CREATE")
    cursor.accept("LOCAL")
    temporary = "TEMP " if cursor.one_of(("TEMP", "TEMPORARY")) else ""
    cursor.accept("TABLE")
    guard = "IF NOT EXISTS " if cursor.accept("IF", "NOT", "EXISTS") else ""
    relation = render(cursor.relation())
    if "#" in relation:
        raise not_emulated("a temporary table by the sign #", _PAGE)
    items = split_list(cursor.group()) if cursor.next.text == "(" else []
    _table_attributes(cursor, physical)
    head = f"CREATE {temporary}TABLE {guard}{relation}"
    if cursor.accept("AS"):
        names = f" ({', '.join(render(item) for item in items)})" if items else ""
        return f"{head}{names} AS {render(as_postgres(cursor.rest))}"
    return f"{head} ({', '.join(_table_items(items, physical))})"


def _table_items(items: Sequence[Sequence[Token]], physical: Physical) -> list[str]:
    columns: dict[str, str] = {}
    like: list[str] = []
    keyed: list[str] = []
    for item in items:
        cursor = Cursor(item)
        if cursor.accept("LIKE"):
            # CONSTRAINTS brings the byte lengths; keys are not copied, as on Redshift.
            like.append(f"LIKE {render(item[1:])} INCLUDING CONSTRAINTS")
        elif cursor.next.keyword in _KEY_WORDS:
            keyed += _key(cursor)
        else:
            name, definition = column(cursor, physical)
            columns[name] = definition
    for name in keyed:
        if name not in columns:
            raise RefusedError("key-column", f'column "{name}" named in key does not exist', _PAGE, "42703")
    if not like:
        physical.check(list(columns))
    defined = [
        definition + (" NOT NULL" if name in keyed and "NOT NULL" not in definition else "")
        for name, definition in columns.items()
    ]
    return [*defined, *(like or [physical.constraint])]


def _key(cursor: Cursor) -> list[str]:
    """Columns of a PRIMARY KEY, which makes them NOT NULL. All keys are informational and end here."""
    if cursor.accept("CONSTRAINT"):
        cursor.take()
    return cursor.names() if cursor.accept("PRIMARY", "KEY") else []


def as_postgres(tokens: Sequence[Token]) -> list[Token]:
    """Expressions: SYSDATE is a function of ``compat.sql``, and MAX as a length is a number."""
    result: list[Token] = []
    for before, token in zip([*tokens[:1], *tokens], tokens, strict=False):
        text = token.text
        if token.keyword == "SYSDATE":
            text = "redgate.sysdate()"
        elif token.keyword == "MAX" and before.text == "(" and len(result) > 1 and result[-2].keyword in TYPES:
            text = str(MAX_VARCHAR_BYTES)
        result.append(token._replace(text=text))
    return result
