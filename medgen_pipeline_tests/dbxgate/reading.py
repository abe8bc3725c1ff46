"""What a statement is and touches: its kind, the tables it names and where, the functions and types it uses."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from medgen_pipeline_tests.dbxgate.allowlist import COMMANDS, TYPES
from medgen_pipeline_tests.dbxgate.catalog import CATALOG, Name
from medgen_pipeline_tests.dbxgate.errors import GateError, RefusedError, not_emulated
from medgen_pipeline_tests.gates import lexer
from medgen_pipeline_tests.gates.lexer import Cursor, Token, words

TOKEN = re.compile(
    r"""(?P<blank>\s+ | --[^\n]* | /\*.*?\*/)
      | (?P<string>'(?>(?:[^'\\]++ | \\.)*)')
      | (?P<double>"(?>(?:[^"\\]++ | \\.)*)")
      | (?P<name>`(?>(?:[^`]++ | ``)*)`)
      | (?P<parameter>\? | (?<![:\w]):[A-Za-z_]\w* | \$\d+ | %s)
      | (?P<number>(?:\d+(?:\.\d*)? | \.\d+)(?:[eE][+-]?\d+)?(?:BD|[LSYDF])?\b)
      | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*)
      | (?P<symbol>:: | <=> | <> | != | == | <= | >= | \|\| | .)""",
    re.VERBOSE | re.DOTALL,
)
_PARSED = words("select insert update delete merge create_table create_view")
# Words that may stand before a parenthesis and call nothing.
_NO_FUNCTIONS = words(
    """ADD ALL AND ANTI ANY AS BETWEEN BY CASE COLUMN COLUMNS CROSS DISTINCT ELSE EXCEPT FILES FILTER FROM FULL GROUP
    GROUPING HAVING IN INNER INSERT INTERSECT INTO IS JOIN LATERAL LEFT_JOIN LIKE LIMIT MATCHED MINUS NATURAL NOT
    OFFSET ON OR ORDER OUTER OVER PARTITION PATTERN QUALIFY RLIKE ROLLUP SELECT SEMI SET SETS TABLE TBLPROPERTIES
    COPY_OPTIONS FORMAT_OPTIONS THEN UNION USING VALUES WHEN WHERE WINDOW WITH WITHIN"""
)
_BEFORE_COLUMN_LIST = words("AS EXISTS INTO TABLE VIEW .")


class Place(NamedTuple):
    """Where a statement names a table, and whether an alias follows."""

    start: int
    end: int
    name: Name
    aliased: bool


@dataclass(frozen=True)
class Reading:
    """A statement, read.

    Attributes:
        lexed: Its tokens.
        kind: What it is: the entry of the allow-list.
        page: The vendor's page.
        places: Where tables are named, from left to right.
    """

    lexed: lexer.Statement
    kind: str
    page: str
    places: tuple[Place, ...] = ()

    @property
    def text(self) -> str:
        """As sent, without a semicolon."""
        return self.lexed.text

    @property
    def cursor(self) -> Cursor:
        """Its tokens, to be read from left to right. Their places are those of the text as sent."""
        return Cursor(self.tokens)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens, with their places in ``text``."""
        first = self.lexed.tokens[0].start
        return tuple(token._replace(start=token.start - first, end=token.end - first) for token in self.lexed.tokens)

    def find(self, keyword: str, after: int = 0) -> Token | None:
        """The first such keyword outside all parentheses, from the token that starts at ``after`` on."""
        depth = 0
        for token in self.tokens:
            depth += {"(": 1, ")": -1}.get(token.keyword, 0)
            if depth == 0 and token.start >= after and token.keyword == keyword:
                return token
        return None


def lex(text: str) -> lexer.Statement:
    """The one statement of a text."""
    found = lexer.split(text, TOKEN)
    if len(found) != 1:
        raise RefusedError("one-statement", f"{len(found)} statements at once", "dev-tools/python-sql-connector")
    return found[0]


def kind_of(statement: lexer.Statement) -> tuple[str, str]:
    """What the statement is, and the vendor's page; refused where nothing on the list begins like it."""
    for pattern, found in COMMANDS.items():
        if re.match(pattern, statement.shape):
            return found
    words_of_it = " ".join(token.text for token in statement.tokens[:3])
    raise RefusedError("unknown-command", f"Syntax error at or near '{words_of_it}'.", "sql/language-manual/")


def read(statement: lexer.Statement) -> Reading:
    """Read a statement that the rules let through."""
    kind, page = kind_of(statement)
    if kind not in _PARSED:
        return Reading(statement, kind, page)
    try:
        tree = parse_one(statement.text, read="databricks")
    except (SqlglotError, ValueError) as error:
        raise GateError("PARSE_SYNTAX_ERROR", str(error).splitlines()[0], "42601") from error
    return Reading(statement, kind, page, tuple(sorted(_places(tree, page))))


def _places(tree: exp.Expr, page: str) -> Iterator[Place]:
    defined_here = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            continue  # a function that gives a table
        if not table.db:
            if table.name.lower() in defined_here:
                continue
            raise RefusedError("unqualified-table", f"name `{table.name}` with its schema", page, "42704")
        if table.catalog and table.catalog.lower() != CATALOG:
            raise GateError("NO_SUCH_CATALOG_EXCEPTION", f"Catalog '{table.catalog}' was not found.", "42704")
        first = table.args["catalog" if table.catalog else "db"].meta["start"]
        end = table.this.meta["end"] + 1
        yield Place(first, end, (table.db.lower(), table.name.lower()), bool(table.alias))


def calls(statement: lexer.Statement) -> Iterator[str]:
    """Names of the functions that are called."""
    tokens = (Token("start", "", -1, -1), *statement.tokens)
    for before, token, following in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if following.text != "(" or token.kind != "word":
            continue
        if token.keyword in _NO_FUNCTIONS or token.keyword in TYPES or before.keyword in _BEFORE_COLUMN_LIST:
            continue
        yield token.text.lower()


def cast_types(statement: lexer.Statement) -> Iterator[str]:
    """First words of the types to which the statement casts."""
    open_casts: list[bool] = []
    for before, token in pairwise(statement.tokens):
        if token.text == "(":
            open_casts.append(before.keyword in ("CAST", "TRY_CAST"))
        elif token.text == ")" and open_casts:
            open_casts.pop()
        elif before.text == "::" or (before.keyword == "AS" and open_casts and open_casts[-1]):
            yield token.text.upper()


def relation(cursor: Cursor) -> Name:
    """Step over a table name; which it is."""
    parts = [token.identifier for token in cursor.relation() if token.identifier]
    if len(parts) < 2:
        raise RefusedError(
            "unqualified-table", f"name `{'.'.join(parts)}` with its schema", "sql/language-manual/", "42704"
        )
    if len(parts) == 3 and parts[0] != CATALOG:
        raise GateError("NO_SUCH_CATALOG_EXCEPTION", f"Catalog '{parts[0]}' was not found.", "42704")
    return parts[-2], parts[-1]


_ESCAPES: Mapping[str, str] = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "0": "\0"}


def literal(token: Token) -> str:
    """What a string literal means (sql-ref-literals: a backslash escapes)."""
    if token.kind != "string":
        raise GateError("PARSE_SYNTAX_ERROR", f"Syntax error at or near '{token.text}'.", "42601")
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), token.text[1:-1], flags=re.DOTALL)


def type_of(tokens: Sequence[Token]) -> str:
    """A column's type in the words of Databricks, of the tokens that spell it."""
    name = TYPES.get(tokens[0].keyword) if tokens else None
    if name is None:
        found = tokens[0].text if tokens else ""
        raise RefusedError(
            "unknown-type",
            f'[UNSUPPORTED_DATATYPE] Unsupported data type "{found}".',
            "sql/language-manual/sql-ref-datatypes",
            "0A000",
        )
    more = "".join(token.text for token in tokens[1:])
    if more and name not in ("varchar", "char", "decimal"):
        raise not_emulated(f"{name} {more}", "sql/language-manual/sql-ref-datatypes")
    return name + (more or ("(10,0)" if name == "decimal" else ""))
