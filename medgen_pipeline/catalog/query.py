"""SQL as data: a query of a curated table with names in braces, and the small things it is made from.

Nothing is executed here, and no name is turned into SQL: ``loaders.sql.query`` does that for one schema.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from string import Formatter

# What a query may name in braces beside tables: a table's change feed by this prefix, and the record of all loads.
FEED_PREFIX = "changes_of_"
LOAD_RUN = "load_run"


@dataclass(frozen=True)
class Constant:
    """A small relation written out inside a query: facts and choices as rows, with the reasons beside them.

    Attributes:
        name: What the query calls it, in braces.
        columns: Names of its columns; text or integers, as the first row has them.
        rows: Its rows.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int, ...], ...]


@dataclass(frozen=True)
class Absent:
    """A relation without rows, in the place of a table that is not loaded.

    Attributes:
        name: What the query calls it, in braces.
        columns: Its columns by name, each with its kind as ``ColumnType`` has it.
    """

    name: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Scratch:
    """A temporary table of a build: it goes when the query has run.

    Attributes:
        name: What the statements call it, in braces. It may be that of something the query reads: ``query`` then means
            the original, and all that comes later the scratch table.
        query: Its first rows, a SELECT.
        repeat: Statements that run in turn, again and again, until a whole round changes no row: an INSERT grows a
            scratch table, a DELETE shrinks it. ``{round}`` is the number of the round, from 1. That it comes to an end
            on any data is the statements' duty.
        most: How many rows it may have; with more, the whole query is refused. None: any number.
        rows: What its rows are, in the plural, for the message of that refusal.
    """

    name: str
    query: str
    repeat: tuple[str, ...] = ()
    most: int | None = None
    rows: str = ""


Parameter = int | str | tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Query:
    """SQL that runs inside any warehouse, with names in braces. ``loaders.sql.query`` fills them in.

    A name in braces is that of a scratch table, a constant or a parameter of the query, of a table of the catalog, of a
    table's change feed (``changes_of_names``), or ``load_run``, the record of all loads. The SQL is what PostgreSQL 14
    and Redshift both run, and what both give the same answer to: no order of text decides anything but that of
    identifiers, which all collations agree on, and no text with trailing blanks is compared.

    Attributes:
        text: A SELECT.
        scratch: Temporary tables it is made from, in the order they are made.
        constants: Small relations.
        parameters: Values by name; a tuple is a list of values for IN.
        absent: Tables, and feeds of theirs, that it names and that are not loaded.
        source: The same as people read it, with comments; empty where nobody wrote it down.
    """

    text: str
    scratch: tuple[Scratch, ...] = ()
    constants: tuple[Constant, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict, hash=False)
    absent: tuple[Absent, ...] = ()
    source: str = field(default="", compare=False, repr=False)

    @property
    def relations(self) -> tuple[str, ...]:
        """The tables, feeds and record of loads that it reads, in the order they are first named."""
        own = {"round", *self.parameters, *(one.name for one in self.constants), *(one.name for one in self.absent)}
        read: dict[str, None] = {}
        for scratch in self.scratch:
            read |= dict.fromkeys(name for name in _names_in(scratch.query) if name not in own)
            own.add(scratch.name)
            read |= dict.fromkeys(name for text in scratch.repeat for name in _names_in(text) if name not in own)
        return tuple(read | dict.fromkeys(name for name in _names_in(self.text) if name not in own))

    @property
    def rows_of(self) -> tuple[str, ...]:
        """The tables whose rows it reads."""
        return tuple(name for name in self.relations if name != LOAD_RUN and not name.startswith(FEED_PREFIX))

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables whose rows or changes it reads."""
        found = (name.removeprefix(FEED_PREFIX) for name in self.relations if name != LOAD_RUN)
        return tuple(dict.fromkeys(found))

    @property
    def reads_loads(self) -> bool:
        """Whether it reads the record of loads, which every load of any table changes."""
        return LOAD_RUN in self.relations

    def with_parameters(self, parameters: Mapping[str, Parameter]) -> "Query":
        """The same query with other values of some parameters.

        Raises:
            ValueError: The query has no such parameter.
        """
        if unknown := sorted(set(parameters) - set(self.parameters)):
            raise ValueError(f"the query has no parameters {unknown}; it has {sorted(self.parameters)}")
        return replace(self, parameters={**self.parameters, **parameters})

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides the answer besides the tables it reads."""
        parts = (self.text, self.scratch, self.constants, sorted(self.parameters.items()), *self.absent)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def _names_in(text: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(text) if name]
