"""What a statement mentions: relations, called functions, cast types, the setting. Read from tokens, no parse tree.

It may see a relation or a call where there is none (``TRIM(BOTH FROM x)``); that refuses too much, never too little.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from medgen_pipeline_tests.gates.lexer import Cursor, Statement, Token, words
from medgen_pipeline_tests.redgate.allowlist import CATALOG_PREFIXES, TYPES

_BEFORE_RELATION = words("FROM INTO JOIN UPDATE USING")
_NO_RELATION = words("SELECT STDIN STDOUT PROGRAM SET")
_AFTER_RELATION = words(
    """ANTI CROSS EXCEPT FULL GROUP HAVING INNER INTERSECT JOIN LEFT LIMIT MINUS NATURAL ON ORDER QUALIFY RIGHT SET
    UNION USING VALUES WHEN WHERE SELECT"""
)
_BEFORE_COLUMN_LIST = words("AS COPY EXISTS INTO REFERENCES TABLE VIEW .")
# Words that may stand before a parenthesis and call nothing.
_NO_FUNCTIONS = words(
    """ALL AND ANY AS BETWEEN BY CASE DISTINCT DISTKEY ELSE EXCEPT EXISTS FROM HAVING IDENTITY IN INSERT INTERSECT IS
    JOIN KEY LIKE LIMIT MATCHED MINUS NOT ON OR OVER QUALIFY SELECT SET SORTKEY THEN UNION UNIQUE USING VALUES WHEN
    WHERE WITH"""
)


class Relation(NamedTuple):
    """A table or view that a statement names."""

    schema: str
    name: str

    @property
    def of_catalog(self) -> bool:
        """Whether Redshift owns it. Nothing says so but its name."""
        return self.schema in ("pg_catalog", "information_schema") or self.name.startswith(CATALOG_PREFIXES)


def relations(statement: Statement) -> list[Relation]:
    """Tables and views that are read or written; names of common table expressions are left out."""
    cursor = Cursor(statement.tokens)
    found: list[Relation] = []
    while cursor.next.kind != "end":
        if cursor.take().keyword not in _BEFORE_RELATION:
            continue
        while cursor.next.identifier and cursor.next.keyword not in _NO_RELATION:
            parts = [token.identifier for token in cursor.relation() if token.identifier]
            found.append(Relation("".join(parts[-2:-1]), parts[-1]))
            cursor.accept("AS")
            if cursor.next.identifier and cursor.next.keyword not in _AFTER_RELATION:
                cursor.take()
            if not cursor.accept(","):
                break
    defined_here = set(_common_table_expressions(statement.tokens))
    return [relation for relation in found if relation.schema or relation.name not in defined_here]


def _common_table_expressions(tokens: tuple[Token, ...]) -> Iterator[str]:
    for before, name, after, parenthesis in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
        if before.keyword in ("WITH", "RECURSIVE", ",") and (after.keyword, parenthesis.keyword) == ("AS", "("):
            yield name.identifier


def calls(statement: Statement) -> list[str]:
    """Names of the functions that are called, with their schema where one is given."""
    found = []
    tokens = statement.tokens
    for index, (token, following) in enumerate(pairwise(tokens)):
        if following.text != "(" or not token.identifier:
            continue
        qualified = index > 1 and tokens[index - 1].text == "."
        before = tokens[index - 3 if qualified else index - 1].keyword if index else ""
        if token.keyword in _NO_FUNCTIONS or token.keyword in TYPES or before in _BEFORE_COLUMN_LIST:
            continue
        found.append((tokens[index - 2].identifier + "." if qualified else "") + token.identifier)
    return found


def cast_types(statement: Statement) -> Iterator[str]:
    """First words of the types to which the statement casts."""
    open_casts: list[bool] = []
    tokens = statement.tokens
    for before, token in pairwise(tokens):
        if token.text == "(":
            open_casts.append(before.keyword == "CAST")
        elif token.text == ")" and open_casts:
            open_casts.pop()
        elif before.text == "::" or (before.keyword == "AS" and open_casts and open_casts[-1]):
            yield token.identifier.upper()


def setting(statement: Statement) -> str:
    """The parameter of a SET, RESET or SHOW."""
    cursor = Cursor(statement.tokens)
    cursor.take()
    cursor.one_of(("LOCAL", "SESSION"))
    return cursor.next.identifier if statement.shape.startswith(("SET ", "RESET ", "SHOW ")) else ""
