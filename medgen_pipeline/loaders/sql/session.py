"""The seam between the SQL that backends share and the connections of one of them.

Statements come as ``loaders.statement`` has them; ``dialect.render`` gives a driver its text and its parameters. No
table's rows are read or written here.
"""

import random
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, LiteralString, Protocol, TypeVar

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.arrow import batches_of
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.records import LoaderError
from medgen_pipeline.loaders.sql.names import MARK, Schemas, TableNames
from medgen_pipeline.loaders.sql.names import schemas as schemas_of

if TYPE_CHECKING:
    import pyarrow as pa


def missing_right(message: str, role: str, schema: str) -> str:
    """What to do about a refusal for want of rights, by what the server says; all of it where its words are unknown."""
    names = ", ".join(schemas_of(schema))
    reader = "Who only reads needs USAGE on the schema and SELECT on the table."
    create = (
        f"The {role} needs CREATE on the database, or on the schemas {names} that somebody else has created. {reader}"
    )
    own = (
        f"The {role} must own the table, or be a member of the role that does: it makes, replaces and drops the tables "
        f"in {names}. ALTER TABLE ... OWNER TO gives it one. {reader}"
    )
    hidden = (
        f"A policy would hide rows from the {role}, and the load would take them for missing: ALTER TABLE ... NO FORCE "
        "ROW LEVEL SECURITY where it owns the table, else ALTER ROLE ... BYPASSRLS."
    )
    if "row-level security" in message:
        return hidden
    if re.search(r"permission denied for (schema|database)", message):
        return create
    if re.search(r"permission denied for (table|relation|view)|must be owner of", message):
        return own
    return f"{create} {own} {hidden}"


# What a comparison and a publication need for themselves.
SCRATCH: Mapping[str, LiteralString] = {
    "changes": "CREATE TABLE {changes} (_change_type {name_type} NOT NULL, {definitions}) {layout}",
    "difference": "CREATE TABLE {difference} ({definitions}, _copies {integer_type} NOT NULL) {layout}",
    "kept": "CREATE TABLE {kept} ({definitions}) {layout}",
}
TABLE, VIEW = "table", "view"
# By ``relkind`` of PostgreSQL's ``pg_class``.
_KINDS = {"r": TABLE, "p": TABLE, "v": VIEW, "m": "materialized view", "f": "foreign table"}
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Relation:
    """What a database says of a table or view.

    Attributes:
        kind: ``TABLE``, or the word for something else.
        comment: Its comment, or nothing.
    """

    kind: str
    comment: str

    @property
    def made_by_loads(self) -> bool:
        """Whether it has the mark of this package's loads."""
        return self.comment.startswith(MARK)


Relations = Mapping[str, Mapping[str, Relation]]


def require_made_by_loads(schema: str, name: str, relation: Relation) -> None:
    """Raise LoaderError for what a load would write to or drop and has not made."""
    if relation.made_by_loads:
        return
    found = f"the comment {relation.comment!r}" if relation.comment else "no comment"
    raise LoaderError(
        f"{schema}.{name} is in the way: a load needs this name, and what has it was not made by one: expected a "
        f"comment that begins with {MARK!r}, found {found}. It was not touched. Rename or drop it, or choose another "
        f"MEDGEN_SCHEMA. If a load of an earlier version left it: COMMENT ON TABLE {schema}.{name} IS '{MARK}'"
    )


def pause(seconds: float, attempt: int) -> None:
    """Wait before the next attempt, twice as long each time, and not as long as everybody else.

    Args:
        seconds: The wait after the first attempt.
        attempt: The one that has failed, from 1.
    """
    longest = min(seconds * 2 ** (attempt - 1), _LONGEST_PAUSE)
    time.sleep(random.uniform(longest / 2, longest))  # noqa: S311  # spreads retries, hides nothing


class Cursor(Protocol):
    """The answer to a statement, as DB-API 2.0 has it."""

    @property
    def rowcount(self) -> int:
        """How many rows an INSERT, UPDATE or DELETE has written."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""


T = TypeVar("T")
AnyCursor = TypeVar("AnyCursor", bound=Cursor)


class SqlSession(ABC, Generic[AnyCursor]):
    """The open connections of one loader: one does the work, one writes the audit, which must survive a rollback.

    Attributes:
        dialect: The warehouse's.
        capabilities: The loader's, which sets them.
        schema: Schema of the tables.
        list_relations: Of some schemas, the relations: schema, name, kind and comment, without a name where a schema is
            empty. From PostgreSQL's catalog, which Redshift has too, and which every role can read.
    """

    dialect: ClassVar[Dialect]
    list_relations: ClassVar[LiteralString] = (
        "SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_namespace n"
        " LEFT JOIN pg_class c ON c.relnamespace = n.oid"
        " LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname IN ({})"
    )
    capabilities: LoaderCapabilities
    schema: str

    @property
    def schemas(self) -> Schemas:
        """That one and those beside it."""
        return schemas_of(self.schema)

    @abstractmethod
    def open(self) -> None:
        """Connect, also after ``close``; a second call on an open session changes nothing."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections; harmless when they are closed."""

    @property
    @abstractmethod
    def where(self) -> str:
        """The database, without credentials, as the middle of a URL."""

    @abstractmethod
    def errors(self, doing: str) -> AbstractContextManager[None]:
        """Turn the driver's errors into the contract's, naming what was being done."""

    @abstractmethod
    def execute(self, statement: sql.Statement) -> AnyCursor:
        """Execute on the work connection."""

    @abstractmethod
    def execute_audit(self, statement: sql.Statement) -> AnyCursor:
        """Execute on the audit's connection, which is opened when first used and again after a break."""

    def read_audit(self, statement: sql.Statement) -> AnyCursor:
        """Read the audit. Who only looks opens no second connection for that."""
        return self.execute(statement) if self.only_looks else self.execute_audit(statement)

    @property
    def only_looks(self) -> bool:
        """Whether the work connection is open and idle, and no audit was written yet."""
        return False

    @abstractmethod
    def transaction(self, body: Callable[[], T]) -> T:
        """Run ``body`` in a transaction of the work connection: all of it happens or nothing.

        Without the capability ``spanning_transactions`` it writes to one table.
        Where others get in its way, a backend that can may run the whole of it again.
        """

    def ddl(self, body: Callable[[], T]) -> T:
        """Run ``body``, which makes, alters or drops tables: in a transaction where that can be one."""
        return self.transaction(body) if self.capabilities.transactional_ddl else body()

    def together(self, body: Callable[[], T]) -> T:
        """Run ``body``, which writes to several tables of the load's own: in a transaction where one covers them."""
        return self.transaction(body) if self.capabilities.spanning_transactions else body()

    def altering(self, body: Callable[[], T]) -> T:
        """Run ``body``, which alters tables that others may be using; a backend may limit how long it waits for them.

        In no transaction of its own, unless the backend makes it one.
        """
        return body()

    @abstractmethod
    def stream(self, statement: sql.Statement) -> Iterator[tuple[Any, ...]]:
        """The rows of a query on the work connection, in constant memory."""

    def batches(self, statement: sql.Statement, schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
        """The rows of a query as Arrow record batches, in constant memory."""
        return batches_of(self.stream(statement), schema)

    def changed(self, statement: sql.Statement) -> int:
        """Execute on the work connection; returns how many rows that has written."""
        return self.execute(statement).rowcount

    def run(self, statement: LiteralString, names: TableNames, **more: Any) -> AnyCursor:
        """Execute ``statement`` on the work connection with the names of one table, and ``more``, filled in."""
        return self.execute(sql.SQL(statement).format(**{**names.parts, **more}))

    def row(self, statement: LiteralString, names: TableNames, **more: Any) -> Any:
        """The first row, or None."""
        return self.run(statement, names, **more).fetchone()

    def value(self, statement: LiteralString, names: TableNames, **more: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.row(statement, names, **more)
        return None if row is None else row[0]

    def relations(self, schemas: Sequence[str]) -> dict[str, dict[str, Relation]]:
        """The schemas of these that exist, each with its tables and views by name."""
        found: dict[str, dict[str, Relation]] = {}
        statement = sql.SQL(self.list_relations).format(sql.SQL(", ").join(map(sql.Literal, schemas)))
        for schema, name, kind, comment in self.execute(statement).fetchall():
            relations = found.setdefault(str(schema), {})
            if name is not None:
                relations[str(name)] = Relation(self.kind_of(str(kind)), str(comment or ""))
        return found

    def kind_of(self, kind: str) -> str:
        """A relation's kind, by what ``list_relations`` says of it."""
        return _KINDS.get(kind, "relation of another kind")

    def make_scratch(self, part: str, statement: LiteralString, names: TableNames, **more: Any) -> AnyCursor:
        """Make one of ``names.scratch``, in the place of what was left of it, and mark it."""
        self.drop_scratch(names, part)
        return self.make_marked(part, statement, names, **more)

    def make_marked(self, part: str, statement: LiteralString, names: TableNames, **more: Any) -> AnyCursor:
        """Make a table that does not exist, one of ``names.parts``, and mark it."""
        cursor = self.run(statement, names, **more)
        if not self.dialect.layout_marks:
            self.mark(names.parts[part])
        return cursor

    def clear_scratch(self, part: str, names: TableNames) -> None:
        """See to it that one of ``SCRATCH`` exists and is empty; in a transaction or in none."""
        if self.capabilities.transactional_ddl:
            self.make_scratch(part, SCRATCH[part], names)
        else:  # ``make_scratches`` has made it
            self.run("DELETE FROM {relation}", names, relation=names.parts[part])

    def make_scratches(self, names: TableNames) -> None:
        """Make what a transaction of the load will need and cannot make, once ``drop_scratch`` has made way."""
        if not self.capabilities.transactional_ddl:
            for part, statement in SCRATCH.items():
                self.make_marked(part, statement, names)

    def scratch_name(self, name: str) -> sql.Identifier:
        """A table of a query's own. A temporary one hides a permanent one, so nobody else takes its name."""
        return sql.Identifier(f"medgen_pipeline__{name}")

    def make_query_scratch(self, name: sql.Identifier, query: sql.Statement) -> None:
        """Make such a table in no transaction, empty, with the columns of a query."""
        self.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))  # a failure has left it behind
        statement = sql.SQL("CREATE TEMP TABLE {} AS SELECT * FROM ({}) AS filled WHERE 1 = 0")
        self.execute(statement.format(name, query))

    def sweep_query_scratch(self, found: Relations) -> None:
        """Drop what queries that died have left of ``scratch_name``, where that outlives a session."""

    def drop_scratch(self, names: TableNames, *only: str, found: Relations | None = None) -> None:
        """Drop what loads have left of ``names.scratch``.

        Args:
            names: The table's names.
            only: The parts to drop; all where none is named.
            found: What ``relations`` has just said.

        Raises:
            LoaderError: Something else has a name that the load needs; nothing was dropped.
        """
        places = {part: place for part, place in names.scratch.items() if not only or part in only}
        if found is None:
            found = self.relations(sorted({schema for schema, _ in places.values()}))
        left = [part for part, (schema, name) in places.items() if name in found.get(schema, {})]
        for part in left:
            schema, name = places[part]
            require_made_by_loads(schema, name, found[schema][name])
        for part in left:
            self.run("DROP TABLE IF EXISTS {relation}", names, relation=names.parts[part])

    def mark(self, relation: sql.Statement) -> None:
        """Say in the comment of a table that a load has made it."""
        self.comment(relation, None, MARK)

    def comment(self, relation: sql.Statement, column: str | None, text: str) -> None:
        """Describe a table, or one of its columns, where the warehouse has comments."""
        statement = self.dialect.comment(relation, column, text)
        if statement is not None:
            self.execute(statement)

    def create_schema(self, name: str) -> None:
        """Create a schema that may exist."""
        self.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))

    def columns(self, schema: str, name: str) -> dict[str, str]:
        """The columns of a table with their types, in their order; empty where nothing has this name."""
        statement = sql.SQL(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = {schema} AND table_name = {name} ORDER BY ordinal_position"
        ).format(schema=schema, name=name)
        return {str(row[0]): str(row[1]) for row in self.execute(statement).fetchall()}
