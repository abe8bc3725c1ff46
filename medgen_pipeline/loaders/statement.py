"""SQL that no driver and no warehouse has shaped yet: text of this package's own, names, and values.

A dialect (``loaders.dialect``) writes it out. What is not the package's own text is a name or a value, so none can be
taken for SQL: a value in braces is sent beside the text as a parameter, or written into it where it is a ``Literal``.
"""

from collections.abc import Iterable
from functools import lru_cache
from string import Formatter
from typing import Any, LiteralString, NamedTuple


class Name(NamedTuple):
    """A name, with those of what it is in before it."""

    parts: tuple[str, ...]


class Constant(NamedTuple):
    """A value that is written into the text."""

    value: Any


class Parameter(NamedTuple):
    """A value that is sent beside the text."""

    value: Any


Piece = str | Name | Constant | Parameter


class Statement:
    """A statement or a part of one."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        """Of these pieces, in this order."""
        self.pieces = pieces

    def join(self, parts: "Iterable[Statement]") -> "Statement":
        """The parts with this between them."""
        pieces: list[Piece] = []
        for part in parts:
            if pieces:
                pieces += self.pieces
            pieces += part.pieces
        return Statement(tuple(pieces))


class SQL(Statement):
    """Text of this package's own. ``format`` puts a statement, or a value as a parameter, in the place of braces."""

    __slots__ = ()

    def __init__(self, text: LiteralString) -> None:
        """As it is: nobody else's words."""
        self.pieces = (text,)

    def format(self, *args: Any, **named: Any) -> Statement:
        """Fill in: ``{}`` and ``{0}`` from ``args``, ``{name}`` from ``named``."""
        pieces: list[Piece] = []
        for text, field in _parsed(str(self.pieces[0])):
            if text:
                pieces.append(text)
            if field is not None:
                part = args[field] if isinstance(field, int) else named[field]
                pieces += value(part).pieces
        return Statement(tuple(pieces))


class Identifier(Statement):
    """A name: ``Identifier(schema, table)``."""

    __slots__ = ()

    def __init__(self, *parts: str) -> None:
        """The last one is its own."""
        self.pieces = (Name(parts),)


class Literal(Statement):
    """A value in the text, for where no parameter is allowed."""

    __slots__ = ()

    def __init__(self, value: Any) -> None:
        """A text, a whole number, a truth value or None."""
        self.pieces = (Constant(value),)


def value(part: Any) -> Statement:
    """A statement as it is, anything else as a parameter."""
    return part if isinstance(part, Statement) else Statement((Parameter(part),))


@lru_cache(maxsize=1024)
def _parsed(template: str) -> tuple[tuple[str, str | int | None], ...]:
    """The text before each pair of braces, and what is in them."""
    found: list[tuple[str, str | int | None]] = []
    unnumbered = 0
    for text, field, _, _ in Formatter().parse(template):
        if not field and field is not None:
            found.append((text, unnumbered))
            unnumbered += 1
        else:
            found.append((text, int(field) if field and field.isdigit() else field))
    return tuple(found)
