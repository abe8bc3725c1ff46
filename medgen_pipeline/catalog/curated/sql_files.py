"""Reads the queries of curated tables: ``.sql`` files beside their Python description, one script each.

``CREATE TEMP TABLE`` makes a scratch table. ``INSERT`` and ``DELETE`` after it run in turn, again and again, until a
whole round changes no row. The last statement, a ``SELECT``, gives the rows. A line ``-- name: ...`` begins one of
several queries; of the scratch tables before the first of them, each gets those it names. Other comments are the
reader's: they are not sent.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files

from medgen_pipeline.catalog.curated_table import Increment
from medgen_pipeline.catalog.query import Constant, Parameter, Query, Scratch

_NAME = re.compile(r"^-- name: (.+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_SCRATCH = re.compile(r"CREATE TEMP TABLE \{(\w+)\} AS\s+")


def read(name: str, constants: Iterable[Constant] = (), /, **parameters: Parameter) -> Query:
    """The query of a file.

    Args:
        name: Of the file.
        constants: Those that the query may name; it gets those it does.
        parameters: The same.
    """
    return _query(name, _text_of(name), constants, parameters)


def read_named(name: str, constants: Iterable[Constant] = (), /, **parameters: Parameter) -> dict[str, Query]:
    """The queries of a file that has several, by name; arguments as of ``read``."""
    before, *sections = _NAME.split(_text_of(name))
    shared = _query(name, before, constants, parameters).scratch
    found = {}
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        query = _query(f"{name}: {title}", text, constants, parameters)
        found[title] = replace(query, scratch=(*(one for one in shared if f"{{{one.name}}}" in text), *query.scratch))
    return found


def read_increment(name: str, *key: str) -> Increment:
    """The increment of a file: its scratch tables, and its query where it has one."""
    query = _query(name, _text_of(name), (), {})
    return Increment(key=key, scratch=query.scratch, query=Query(text=query.text) if query.text else None)


def _text_of(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _query(name: str, script: str, constants: Iterable[Constant], parameters: dict[str, Parameter]) -> Query:
    scratch: list[Scratch] = []
    text = ""
    for statement in filter(None, map(str.strip, _COMMENT.sub("", script).split(";\n"))):
        if text:
            raise ValueError(f"catalog: {name} goes on behind its query: {statement}")
        if made := _SCRATCH.match(statement):
            scratch.append(Scratch(made[1], statement[made.end() :]))
        elif statement.startswith(("INSERT INTO ", "DELETE FROM ")) and scratch:
            last = scratch.pop()
            scratch.append(Scratch(last.name, last.query, (*last.repeat, statement)))
        elif statement.startswith("SELECT"):
            text = statement
        else:
            raise ValueError(f"catalog: {name} has a statement of another kind: {statement}")
    return Query(
        text=text,
        scratch=tuple(scratch),
        constants=tuple(constant for constant in constants if f"{{{constant.name}}}" in script),
        parameters={name: value for name, value in parameters.items() if f"{{{name}}}" in script},
        source=script,
    )
