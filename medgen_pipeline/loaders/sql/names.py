"""The names of one load's relations, and the pieces that statements about one table are made of.

No statement is executed here, and no word is a warehouse's own: those are its dialect's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, NamedTuple

from medgen_pipeline.catalog import Column, Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.records import ADDED, FEED_COLUMNS, REMOVED, ChangeType

MARK = "Made by medgen_pipeline."
"""How the comment begins of whatever a load makes beside production; nothing else there is dropped or written."""


class Schemas(NamedTuple):
    """The schemas of one installation."""

    tables: str
    staging: str
    changes: str
    audit: str
    history: str


def schemas(schema: str) -> Schemas:
    """The schemas that go with that of the tables."""
    return Schemas(schema, *(f"{schema}_{part}" for part in ("staging", "changes", "audit", "history")))


def require_schema(schema: str, max_identifier_bytes: int) -> None:
    """Refuse a name that the schema of the tables cannot have, or that another installation's schema might have.

    Raises:
        ValueError: With what is wrong and what to do.
    """
    longest = max_identifier_bytes - max(len(name) for name in schemas("")[1:])
    suffix = next((name for name in schemas("")[1:] if schema.casefold().endswith(name)), "")
    if suffix:
        wrong = f"ends in {suffix}, as the schema does that goes with the tables in {schema[: -len(suffix)]!r}"
    elif not 0 < len(schema.encode()) <= longest:
        wrong = f"has {len(schema.encode())} bytes, expected 1 to {longest}: {max(schemas(''), key=len)} is appended"
    elif schema != schema.strip():
        wrong = "begins or ends with a blank"
    elif not schema.isprintable() or "%" in schema:
        wrong = "has a control character or % in it"
    elif schema.casefold().startswith("pg_") or schema.casefold() == "information_schema":
        wrong = "is one of those that belong to the database itself"
    else:
        return
    raise ValueError(f"The schema {schema!r} {wrong}. Choose another name in MEDGEN_SCHEMA, such as medgen.")


def fill(statement: LiteralString, names: Schemas, parts: Mapping[str, Any]) -> sql.Statement:
    """A statement of ``AbstractNativeLoader.query`` with its names filled in."""
    named = {
        name: sql.Identifier(names.tables, part.name) if isinstance(part, Table) else part
        for name, part in parts.items()
    }
    return sql.SQL(statement).format(
        schema=sql.Literal(names.tables),
        audit=sql.Identifier(names.audit),
        changes=sql.Identifier(names.changes),
        **named,
    )


class TableNames:
    """Every relation a load of one table touches.

    Attributes:
        dialect: The warehouse's.
        schema: Schema of production.
        schemas: The others with it.
        table: The catalog's entry.
        parts: The names a statement may use in braces.
        scratch: Schema and name of what a load makes for itself and nobody else needs, by its name in ``parts``.
    """

    def __init__(self, dialect: Dialect, names: Schemas, table: Table) -> None:
        """Derive the names; see ``schemas``."""
        self.dialect = dialect
        self.schema = names.tables
        self.table = table
        self.changes_name = f"{table.name}__changes"
        self.schemas = names
        self._columns = {column.name: column for column in table.columns}
        staging = self.schemas.staging
        # What a load makes for itself and nobody else needs.
        self.scratch = {
            "staging": (staging, table.name),
            "changes": (staging, self.changes_name),
            "difference": (staging, f"{table.name}__difference"),
            "kept": (staging, f"{table.name}__kept"),
        }
        self.production = sql.Identifier(names.tables, table.name)
        self.staging = sql.Identifier(staging, table.name)
        self.feed = sql.Identifier(self.schemas.changes, table.name)
        self.history = sql.Identifier(self.schemas.history, table.name)
        self.parts: dict[str, sql.Statement] = {
            **dialect.words,
            "production": self.production,
            **{part: sql.Identifier(*place) for part, place in self.scratch.items()},
            "feed": self.feed,
            "history": self.history,
            "audit": sql.Identifier(self.schemas.audit),
            "columns": self.columns(),
            "key": self.columns(None, table.key),
            "definitions": self.define(table.columns),
            "feed_columns": sql.SQL(", ").join(map(sql.Identifier, FEED_COLUMNS)),
            **{change.name.lower(): sql.Literal(change.value) for change in ChangeType},
            "added": sql.SQL(", ").join(sql.Literal(change.value) for change in ADDED),
            "removed": sql.SQL(", ").join(sql.Literal(change.value) for change in REMOVED),
            "layout": dialect.layout(table),
            "feed_layout": dialect.feed_layout(table),
        }

    def define(self, columns: Sequence[Column]) -> sql.Statement:
        """Column names with their types, as CREATE TABLE takes them."""
        return sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column.name), self.dialect.column_type(column)) for column in columns
        )

    def cast(self, column: Column) -> sql.Statement:
        """A column of another type as one of the catalog's; what is no number becomes NULL."""
        return self.dialect.cast(sql.Identifier(column.name), column)

    @property
    def other_columns(self) -> list[str]:
        """The columns outside the key."""
        return [name for name in self.table.column_names if name not in self.table.key]

    def columns(self, alias: str | None = None, names: Sequence[str] | None = None) -> sql.Statement:
        """Comma-separated columns, all of the table's unless ``names`` says which."""
        chosen = self.table.column_names if names is None else names
        return sql.SQL(", ").join(_column(alias, name) for name in chosen)

    def key_matches(self, left: str, right: str) -> sql.Statement:
        """The keys are equal and not NULL."""
        return sql.SQL(" AND ").join(
            self.dialect.equal(_column(left, name), _column(right, name), self._columns[name].type)
            for name in self.table.key
        )

    def same(self, left: str, right: str, names: Sequence[str] | None = None) -> sql.Statement:
        """Row equality that takes NULL for equal to NULL."""
        return sql.SQL(" AND ").join(
            self.dialect.equal_or_null(_column(left, name), _column(right, name), self._columns[name].type)
            for name in names or self.table.column_names
        )

    def identity(self, alias: str | None = None, names: Sequence[str] | None = None) -> sql.Statement:
        """What to group by so that a group holds equal rows only; NULL groups with NULL."""
        chosen = self.table.column_names if names is None else names
        return sql.SQL(", ").join(
            self.dialect.identity(_column(alias, name), self._columns[name].type) for name in chosen
        )

    def row_hash(self, alias: str) -> sql.Statement:
        """A number of the whole row; the sum over a table does not depend on the order of its rows."""
        return self.dialect.row_hash([(_column(alias, column.name), column.type) for column in self.table.columns])

    def missing(self, found: Mapping[str, str]) -> list[str]:
        """The catalog's columns, with their types, that are not among those found.

        Args:
            found: Types by name, in the words of the warehouse's own catalog.
        """
        return sorted(
            f"{column.name} {self.dialect.text(self.dialect.column_type(column))}"
            for column in self.table.columns
            if column.name not in found or not self.dialect.is_reported(column.type, found[column.name])
        )


def _column(alias: str | None, name: str) -> sql.Identifier:
    return sql.Identifier(name) if alias is None else sql.Identifier(alias, name)
