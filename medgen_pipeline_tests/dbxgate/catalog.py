"""What Unity Catalog does for catalog-managed Delta tables: it says which state of a table is the committed one.

A table is a pointer to a directory that is a Delta table. Nobody writes to a directory that a pointer shows: a writer
gets a copy made of hard links, or a new one, and its commit moves the pointers of all tables it wrote, or none.
"""

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from medgen_pipeline_tests.dbxgate.engine import linked
from medgen_pipeline_tests.dbxgate.errors import concurrent

Name = tuple[str, str]  # schema, table

CATALOG = "main"


@dataclass(frozen=True)
class Column:
    """A column: its type in the words of Databricks, lower case."""

    name: str
    type: str
    nullable: bool = True
    comment: str | None = None

    @property
    def definition(self) -> str:
        """As the engine's CREATE TABLE takes it."""
        return f"{quoted(self.name)} {self.stored}{'' if self.nullable else ' NOT NULL'}"

    @property
    def stored(self) -> str:
        """The type in the Delta table."""
        return "string" if self.type.startswith(("varchar", "char")) else self.type


@dataclass(frozen=True)
class Table:
    """A table or view.

    Attributes:
        path: The Delta table that holds its rows.
        columns: In their order.
        stamp: Changes with every commit.
        rows: How many it holds.
        properties: TBLPROPERTIES.
        comment: Of the table.
        loaded: Files that COPY INTO has taken.
        view: The query of a view; empty for a table.
    """

    path: Path
    columns: tuple[Column, ...]
    stamp: int = 0
    rows: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    comment: str | None = None
    loaded: frozenset[str] = frozenset()
    view: str = ""

    @property
    def managed(self) -> bool:
        """Whether it has catalog commits, without which no transaction writes it."""
        return self.properties.get("delta.feature.catalogManaged") == "supported"

    @property
    def definitions(self) -> str:
        """Its columns, as the engine's CREATE TABLE takes them."""
        return ", ".join(column.definition for column in self.columns)


@dataclass
class Unit:
    """One unit of work: a statement under autocommit, or an interactive transaction."""

    seen: dict[Name, Table]
    written: dict[Name, Table] = field(default_factory=dict)
    dropped: set[Name] = field(default_factory=set)

    def current(self, name: Name) -> Table | None:
        """The table as this unit sees it."""
        if name in self.dropped:
            return None
        return self.written.get(name) or self.seen.get(name)

    def put(self, name: Name, table: Table) -> None:
        """The table is this from now on."""
        self.dropped.discard(name)
        self.written[name] = table

    def drop(self, name: Name) -> None:
        """There is no such table from now on."""
        self.written.pop(name, None)
        self.dropped.add(name)


class Catalog:
    """Schemas, tables and volumes."""

    def __init__(self, root: Path) -> None:
        self.root = root / "tables"
        self.root.mkdir(parents=True, exist_ok=True)
        self.schemas: dict[str, str | None] = {"default": None}  # with their comments
        self.tables: dict[Name, Table] = {}
        self.volumes: dict[Name, str | None] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def begin(self) -> Unit:
        """A unit of work that sees what is committed now."""
        with self._lock:
            return Unit(dict(self.tables))

    def new_path(self, name: Name) -> Path:
        """A directory for a state of this table."""
        readable = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in "_".join(name))
        return self.root / f"t{next(self._numbers)}_{readable}"

    def copy(self, name: Name, table: Table) -> Table:
        """The same table in a directory of its own."""
        path = self.new_path(name)
        linked(table.path, path)
        return replace(table, path=path)

    def commit(self, unit: Unit) -> None:
        """Move every pointer, unless somebody else has moved one of them since the unit began."""
        with self._lock:
            for name in {*unit.written, *unit.dropped}:
                before, now = unit.seen.get(name), self.tables.get(name)
                if (before and before.stamp) != (now and now.stamp):
                    raise concurrent(".".join(name))
            stamp = next(self._numbers)
            for name in unit.dropped:
                self.tables.pop(name, None)
            for name, table in unit.written.items():
                self.tables[name] = replace(table, stamp=stamp)


def quoted(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"
