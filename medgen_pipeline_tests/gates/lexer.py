"""SQL text cut into tokens, and tokens put together again for PostgreSQL. No knowledge of any statement."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<blank>\s+ | --[^\n]* | /\*.*?\*/)
      | (?P<string>'(?>(?:[^'\\]++ | '' | \\.)*)')
      | (?P<name>"(?>(?:[^"]++ | "")*)")
      | (?P<parameter>\$\d+)
      | (?P<number>(?:\d+(?:\.\d*)? | \.\d+)(?:[eE][+-]?\d+)?)
      | (?P<word>[A-Za-z_\#\x80-\U0010ffff][\w$]*)
      | (?P<symbol>:: | <> | != | <= | >= | \|\| | .)""",
    re.VERBOSE | re.DOTALL,
)
_OCTAL_OR_CHARACTER = re.compile(r"\\([0-7]{1,3}|.)", re.DOTALL)
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_REPEATED_GROUP = re.compile(r"(\([^()]*\))(?: , \1)+")


def words(text: str) -> frozenset[str]:
    """A set written as a line of text."""
    return frozenset(text.split())


class Token(NamedTuple):
    """A piece of SQL; ``kind`` is the group of the pattern above."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        """The word in upper case; a quoted name is never a keyword."""
        return self.text.upper() if self.kind in ("word", "symbol") else ""

    @property
    def identifier(self) -> str:
        """The name the warehouse knows: lower case even when quoted (AWS: r_names; Databricks: sql-ref-identifiers)."""
        if self.kind == "name":
            quote = self.text[0]
            return self.text[1:-1].replace(quote * 2, quote).lower()
        return self.text.lower() if self.kind == "word" else ""

    @property
    def value(self) -> str:
        """What a literal means to a server of version 8.0.2, where a backslash escapes in every string."""
        plain = self.text[1:-1].replace("''", "'")
        return _OCTAL_OR_CHARACTER.sub(lambda found: _unescaped(found[1]), plain)

    @property
    def rendered(self) -> str:
        """The token as PostgreSQL must read it to mean the same."""
        if self.kind == "string":
            return quoted_literal(self.value)
        return quoted_name(self.identifier) if self.kind == "name" else self.text


def _unescaped(escaped: str) -> str:
    return chr(int(escaped, 8)) if escaped[0] in "01234567" else _CONTROL.get(escaped, escaped)


def quoted_literal(value: str) -> str:
    """A literal for PostgreSQL with standard_conforming_strings on."""
    return "'" + value.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """An identifier for PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'


def render(tokens: Sequence[Token]) -> str:
    """The tokens as SQL for PostgreSQL; comments are gone."""
    return " ".join(token.rendered for token in tokens)


@dataclass(frozen=True)
class Statement:
    """One statement without its semicolon."""

    text: str
    tokens: tuple[Token, ...]

    @cached_property
    def shape(self) -> str:
        """The statement without its values and names: what the grammar and most rules look at.

        Words are upper case, each literal is 'x' or 1, each quoted name is "q", and a repeated group in parentheses
        (rows of an INSERT) is there once. So the same statement for another table or run has the same shape.
        """
        stand_ins = {"string": "'x'", "name": '"q"', "parameter": "1", "number": "1"}
        parts = [stand_ins.get(token.kind) or token.text.upper() for token in self.tokens]
        return _REPEATED_GROUP.sub(r"\1", " ".join(parts))


def split(sql: str, pattern: re.Pattern[str] = _TOKEN) -> list[Statement]:
    """The statements of a text; empty ones are left out.

    Args:
        sql: The text.
        pattern: What a token is, with a group for each kind; Redshift's by default.
    """
    statements: list[Statement] = []
    tokens: list[Token] = []
    for found in pattern.finditer(sql + "\n;"):  # the line ends a comment, the semicolon the last statement
        token = Token(str(found.lastgroup), found.group(), found.start(), found.end())
        if token.text == ";" and token.kind == "symbol":
            if tokens:
                statements.append(Statement(sql[tokens[0].start : tokens[-1].end], tuple(tokens)))
            tokens = []
        elif token.kind != "blank":
            tokens.append(token)
    return statements


class Cursor:
    """Reads tokens from left to right. The statement has passed the grammar, so this need not explain errors well."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def rest(self) -> Sequence[Token]:
        """The tokens not yet taken."""
        return self.tokens[self.position :]

    @property
    def next(self) -> Token:
        """The token ahead; at the end an empty one."""
        return self.tokens[self.position] if self.position < len(self.tokens) else Token("end", "", -1, -1)

    def take(self) -> Token:
        """The token ahead, and step over it."""
        token = self.next
        self.position += 1
        return token

    def accept(self, *keywords: str) -> bool:
        """Step over these keywords if all are ahead."""
        ahead = tuple(token.keyword for token in self.tokens[self.position : self.position + len(keywords)])
        if ahead != keywords:
            return False
        self.position += len(keywords)
        return True

    def one_of(self, keywords: Sequence[str]) -> str:
        """Step over the keyword ahead if it is one of these, and say which; otherwise an empty string."""
        return self.take().keyword if self.next.keyword in keywords else ""

    def group(self) -> list[Token]:
        """The tokens between the parenthesis ahead and the one that closes it."""
        self.take()
        start, depth = self.position, 1
        while depth and self.next.kind != "end":
            depth += {"(": 1, ")": -1}.get(self.take().keyword, 0)
        return list(self.tokens[start : self.position - 1])

    def names(self) -> list[str]:
        """The identifiers of a list in parentheses."""
        return [token.identifier for token in self.group() if token.identifier]

    def relation(self) -> list[Token]:
        """A table name, with or without schema."""
        start = self.position
        self.take()
        while self.next.text == ".":
            self.position += 2
        return list(self.tokens[start : self.position])


def split_list(tokens: Sequence[Token]) -> list[list[Token]]:
    """The parts of a list at its outermost commas."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.keyword, 0)
        if token.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts
