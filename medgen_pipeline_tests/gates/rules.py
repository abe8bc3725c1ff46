"""A table of refusals: what a rule is, and how one is written as a pattern of a statement's shape."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from medgen_pipeline_tests.gates.lexer import Statement


@dataclass(frozen=True)
class Rule:
    """One thing that a warehouse does not run.

    Attributes:
        name: By which the refusal is known.
        test: Gives the offending piece of a statement, or an empty string.
        message: The warehouse's words; the offending piece fills the braces.
        page: The vendor's, which says so.
        sqlstate: Five characters.
    """

    name: str
    test: Callable[[Statement], str]
    message: str
    page: str
    sqlstate: str = "0A000"


def shape(pattern: str) -> Callable[[Statement], str]:
    """A test that looks for a pattern in the statement's shape; a group in it is the offending piece."""
    compiled = re.compile(pattern)

    def test(statement: Statement) -> str:
        found = compiled.search(statement.shape)
        return (found[found.lastindex or 0] or found[0]) if found else ""

    return test
