"""Redshift's grammar, as the sqlfluff project keeps it. One function, remembered by a statement's shape.

``well_formed.txt`` has the digests of shapes that were parsed before, so that a new clone need not. What it lacks is
parsed, and added by ``MEDGEN_REWRITE_GOLDEN=1``; the thorough suite parses all again.
"""

import hashlib
import logging
import os
import re
import tempfile
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

from sqlfluff.core import Linter

from medgen_pipeline_tests.loaders.cases import THOROUGHLY

# sqlfluff logs each step of its parser below WARNING.
logging.getLogger("sqlfluff").setLevel(logging.WARNING)

_WELL_FORMED = Path(__file__).with_name("well_formed.txt")
# Beside pytest's own: what one worker has had parsed, the others and later runs need not.
_KEPT = Path(__file__).parents[2] / ".pytest_cache" / "redgate"
# What is there three times or more, such as an expression of each column, is the same to a grammar twice.
_REPEATED = re.compile(r"((?: ,| \|\|| AND) .{1,400}?)(?:\1){2,}(?= )")


@cache
def _linter() -> Linter:
    return Linter(dialect="redshift")


@cache
def _well_formed() -> frozenset[str]:
    return frozenset() if THOROUGHLY else frozenset(_WELL_FORMED.read_text().split())


@lru_cache(maxsize=4096)
def grammar_error(shape: str) -> str:
    """What sqlfluff's Redshift dialect cannot parse in this statement; empty when all of it is well-formed.

    Some 10 ms for a short shape that nobody has seen before, a second or more for a curated table's (sqlfluff 4.5.0).
    """
    # A name with its schema must be in one piece.
    text = _REPEATED.sub(_twice, shape + " ").replace(" . ", ".") + ";\n"
    digest = hashlib.sha256(f"{version('sqlfluff')} {text}".encode()).hexdigest()[:16]
    if digest in _well_formed():
        return ""
    kept = _KEPT / digest
    try:
        error = kept.read_text()
    except OSError:
        violations = _linter().parse_string(text).violations
        error = str(violations[0].desc()) if violations else ""
        _keep(kept, error)
    if os.environ.get("MEDGEN_REWRITE_GOLDEN") and not error:
        with _WELL_FORMED.open("a") as file:
            file.write(f"{digest}\n")
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
