"""Redshift's grammar, as the sqlfluff project keeps it. One function, remembered by a statement's shape."""

import hashlib
import logging
import re
import tempfile
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

from sqlfluff.core import Linter

# sqlfluff logs each step of its parser below WARNING.
logging.getLogger("sqlfluff").setLevel(logging.WARNING)

# Beside pytest's own: what one worker has had parsed, the others and later runs need not.
_KEPT = Path(__file__).parents[2] / ".pytest_cache" / "redgate"
# What is there three times or more, such as an expression of each column, is the same to a grammar twice.
_REPEATED = re.compile(r"((?: ,| \|\|| AND) .{1,400}?)(?:\1){2,}(?= )")


@cache
def _linter() -> Linter:
    return Linter(dialect="redshift")


@lru_cache(maxsize=4096)
def grammar_error(shape: str) -> str:
    """What sqlfluff's Redshift dialect cannot parse in this statement; empty when all of it is well-formed.

    Some 10 ms for a short shape that nobody has seen before, a second or more for a curated table's (sqlfluff 4.5.0).
    """
    # A name with its schema must be in one piece.
    text = _REPEATED.sub(_twice, shape + " ").replace(" . ", ".") + ";\n"
    kept = _KEPT / hashlib.sha256(f"{version('sqlfluff')} {text}".encode()).hexdigest()
    try:
        return kept.read_text()
    except OSError:
        violations = _linter().parse_string(text).violations
        error = str(violations[0].desc()) if violations else ""
        _keep(kept, error)
        return error


def _twice(found: re.Match[str]) -> str:
    once = found[1]
    return once * 2 if once.count("(") == once.count(")") else found[0]


def _keep(path: Path, text: str) -> None:
    """Write a file at once, where one can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError:
        return
