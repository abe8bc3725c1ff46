"""What the suite needs of a warehouse under test: where it is, and another client's look at it."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, LiteralString, Self

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderFactory
from medgen_pipeline.loaders import statement as sql

Row = tuple[object, ...]


class Backend(ABC):
    """One empty warehouse. Loads of other processes must be able to reach it too, but for one that is in memory.

    Attributes:
        dsn: What ``LoaderFactory`` takes; so the scheme must be registered.
        config: The loader's settings beside ``schema`` and ``lock_timeout_seconds``.
        schema: Schema of the tables. It and those that go with it do not exist at a test's beginning.
        no_connections: Why the loader has no connection that could be lost, where it has none.
    """

    no_connections: str = ""

    def __init__(self, dsn: str, config: Mapping[str, Any] | None = None, schema: str = "medgen") -> None:
        """Nothing is opened."""
        self.dsn = dsn
        self.config = dict(config or {})
        self.schema = schema

    @abstractmethod
    def query(self, statement: str) -> list[Row]:
        """Run a statement of plain SQL as a user would, in a session of its own that commits; returns its rows.

        Called from several threads at once, and while loaders are at work.
        """

    def lose_connections(self) -> None:
        """Break every connection that a loader has, as a restart of the server would."""
        raise NotImplementedError("say in no_connections why there are none")

    def left_outside(self) -> list[str]:
        """What loads have left outside the database: objects in a bucket, files."""
        return []

    def place(self, part: str = "") -> str:
        """The schema where the tables are, or another one with it, such as ``_staging``."""
        return f"{self.schema}{part}"

    # --- words of the standard; a warehouse with others overrides them ------------------------------------------------

    def schemas(self) -> set[str]:
        """The schemas that exist."""
        return {str(name) for (name,) in self.query("SELECT schema_name FROM information_schema.schemata")}

    def create_schema(self, name: str) -> None:
        """Create a schema, as a user would."""
        self.run("CREATE SCHEMA {name}", name=sql.Identifier(name))

    def relations(self, part: str = "") -> set[str]:
        """The tables and views of the schema, or of another one with it, such as ``_staging``."""
        found = self.run(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = {name}",
            name=sql.Literal(self.place(part)),
        )
        return {str(name) for (name,) in found}

    # --- made of the above -----------------------------------------------------------------------------------------

    def settings(self, **config: object) -> dict[str, Any]:
        """A loader's settings, ``config`` first. No test waits ten minutes for a lock."""
        return {"schema": self.schema, "lock_timeout_seconds": 60.0, **self.config, **config}

    def in_schema(self, schema: str) -> Self:
        """The same warehouse with tables in another schema."""
        other = copy(self)
        other.schema = schema
        return other

    def new_loader(self, **config: object) -> AbstractNativeLoader:
        """A loader that is not connected yet."""
        return LoaderFactory.create_loader(self.dsn, self.settings(**config))

    def run(self, statement: LiteralString, table: Table | None = None, **parts: sql.Statement) -> list[Row]:
        """Run a statement with the names of the warehouse and of one table filled in, and the dialect's words."""
        production, staging, changes, audit, history = (
            self.place(part) for part in ("", "_staging", "_changes", "_audit", "_history")
        )
        dialect = self.new_loader().dialect
        named: dict[str, sql.Statement] = {
            **dialect.words,
            "schema": sql.Identifier(production),
            "load_run": sql.Identifier(audit, "load_run"),
            "rejected_row": sql.Identifier(audit, "rejected_row"),
        }
        if table is not None:
            named |= {
                "production": sql.Identifier(production, table.name),
                "staging": sql.Identifier(staging, table.name),
                "feed": sql.Identifier(changes, table.name),
                "history": sql.Identifier(history, table.name),
                "columns": sql.SQL(", ").join(map(sql.Identifier, table.column_names)),
            }
        return self.query(dialect.text(sql.SQL(statement).format(**{**named, **parts})))

    def production(self, table: Table) -> Counter[Row]:
        """The table's rows."""
        return Counter(map(tuple, self.run("SELECT {columns} FROM {production}", table)))

    def feed(self, table: Table) -> Counter[Row]:
        """The change feed's rows: type, release, then the table's columns."""
        if table.name not in self.relations("_changes"):
            return Counter()
        return Counter(map(tuple, self.run("SELECT _change_type, _release, {columns} FROM {feed}", table)))

    def loads(self, *columns: str) -> list[Row]:
        """These columns of every recorded load, oldest first."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        return [tuple(row) for row in self.run("SELECT {names} FROM {load_run} ORDER BY load_id", names=names)]

    def statuses(self) -> list[str]:
        """The statuses of all loads, oldest first."""
        return [str(status) for (status,) in self.loads("status")]

    def leftovers(self, tables: Sequence[Table] = ()) -> list[str]:
        """What is there beside production, feed and audit, and should not be once a load has ended.

        Args:
            tables: Those that were loaded; anything else beside them in the schema is left over too.
        """
        beside = self.relations() - {table.name for table in tables} if tables else set()
        return sorted([*self.relations("_staging"), *beside, *self.left_outside()])
