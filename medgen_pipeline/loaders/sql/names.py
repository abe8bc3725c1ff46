"""The names of one load's relations as SQL that is safe to compose, and what makes two rows the same.

No statement is executed here, and no type is named: each backend adds its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, LiteralString, NamedTuple

from psycopg import sql

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.loaders.records import ADDED, FEED_COLUMNS, REMOVED, ChangeType

MARK = "Made by medgen_pipeline."
"""How the comment begins of whatever a load makes beside production; nothing else there is dropped or written."""


class Schemas(NamedTuple):
    """The schemas of one installation."""

    tables: str
    staging: str
    changes: str
    audit: str


def schemas(schema: str) -> Schemas:
    """The schemas that go with that of the tables."""
    return Schemas(schema, f"{schema}_staging", f"{schema}_changes", f"{schema}_audit")


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


def fill(statement: LiteralString, schema: str, parts: Mapping[str, Table | sql.Composable]) -> sql.Composed:
    """A statement of ``AbstractNativeLoader.query`` with its names filled in."""
    named = {
        name: sql.Identifier(schema, part.name) if isinstance(part, Table) else part for name, part in parts.items()
    }
    return sql.SQL(statement).format(schema=sql.Literal(schema), audit=sql.Identifier(schemas(schema).audit), **named)


def define(columns: Sequence[Column], type_of: Callable[[Column], sql.Composable]) -> sql.Composed:
    """Column names with their types, as CREATE TABLE takes them."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), type_of(column)) for column in columns
    )


class BaseTableNames(ABC):
    """Every relation a load of one table touches.

    Attributes:
        schema: Schema of production.
        schemas: The others with it.
        table: The catalog's entry.
        parts: The names a statement may use in braces.
        scratch: Schema and name of what a load makes for itself and nobody else needs, by its name in ``parts``.
        types: Of the columns, as the backend's information_schema words them.
        feed_types: Of the columns that a change feed has before the table's own.
        retype: The statements that give a column, ``{old}`` of ``{relation}``, the type of the catalog: ``{value}`` of
            what it held. ``{new}`` is a name that is free.
    """

    types: ClassVar[Mapping[ColumnType, LiteralString]]
    feed_types: ClassVar[Sequence[LiteralString]] = ("VARCHAR(16)", "VARCHAR(255)", "TIMESTAMPTZ", "BIGINT")
    retype: ClassVar[Sequence[LiteralString]] = (
        "ALTER TABLE {relation} ADD COLUMN {new} {type}",
        "UPDATE {relation} SET {new} = {value}",
        "ALTER TABLE {relation} DROP COLUMN {old}",
        "ALTER TABLE {relation} RENAME COLUMN {new} TO {old}",
    )

    def __init__(self, schema: str, table: Table) -> None:
        """Derive the names; see ``schemas``."""
        self.schema = schema
        self.table = table
        self.changes_name = f"{table.name}__changes"
        self.schemas = schemas(schema)
        staging = self.schemas.staging
        # What a load makes for itself and nobody else needs.
        self.scratch = {
            "staging": (staging, table.name),
            "changes": (staging, self.changes_name),
            "difference": (staging, f"{table.name}__difference"),
            "kept": (staging, f"{table.name}__kept"),
        }
        self.production = sql.Identifier(schema, table.name)
        self.staging = sql.Identifier(staging, table.name)
        self.feed = sql.Identifier(self.schemas.changes, table.name)
        self.parts: dict[str, sql.Composable] = {
            "production": self.production,
            **{part: sql.Identifier(*place) for part, place in self.scratch.items()},
            "feed": self.feed,
            "audit": sql.Identifier(self.schemas.audit),
            "columns": self.columns(),
            "key": self.columns(None, table.key),
            "definitions": define(table.columns, self.column_type),
            "feed_columns": sql.SQL(", ").join(map(sql.Identifier, FEED_COLUMNS)),
            "feed_definitions": sql.SQL(", ").join(
                sql.SQL("{} {} NOT NULL").format(sql.Identifier(name), sql.SQL(words))
                for name, words in zip(FEED_COLUMNS, self.feed_types, strict=True)
            ),
            **{change.name.lower(): sql.Literal(change.value) for change in ChangeType},
            "added": sql.SQL(", ").join(sql.Literal(change.value) for change in ADDED),
            "removed": sql.SQL(", ").join(sql.Literal(change.value) for change in REMOVED),
            "layout": sql.SQL(""),
            "feed_layout": sql.SQL(""),
        }

    def column_type(self, column: Column) -> sql.Composable:
        """A column's type, as CREATE TABLE takes it."""
        return sql.SQL(self.types[column.type])

    def cast(self, column: Column) -> sql.Composed:
        """A column of another type as one of the catalog's; what is no number becomes NULL."""
        name = sql.Identifier(column.name)
        if column.type is ColumnType.TEXT:
            return sql.SQL("CAST({} AS {})").format(name, self.column_type(column))
        words = sql.SQL("CAST({} AS VARCHAR(64))").format(name)
        return sql.SQL("CASE WHEN {0} ~ '^-?[0-9]+$' AND LENGTH({0}) < 19 THEN CAST({0} AS {1}) END").format(
            words, self.column_type(column)
        )

    @property
    def index_columns(self) -> tuple[str, ...]:
        """What the table is looked up by."""
        return self.table.index_columns

    @property
    def other_columns(self) -> list[str]:
        """The columns outside the key."""
        return [name for name in self.table.column_names if name not in self.table.key]

    def columns(self, alias: str | None = None, names: Sequence[str] | None = None) -> sql.Composed:
        """Comma-separated columns, all of the table's unless ``names`` says which."""
        chosen = self.table.column_names if names is None else names
        return sql.SQL(", ").join(
            sql.Identifier(name) if alias is None else sql.Identifier(alias, name) for name in chosen
        )

    def key_matches(self, left: str, right: str) -> sql.Composed:
        """The keys are equal and not NULL. Plain equality first: it is what a join can be planned by."""
        return sql.SQL(" AND ").join(self.equal(left, right, self.table.key))

    def same(self, left: str, right: str, names: Sequence[str] | None = None) -> sql.Composed:
        """Row equality that takes NULL for equal to NULL and that a hash join can use."""
        return sql.SQL(" AND ").join(self.equal_or_null(left, right, names or self.table.column_names))

    def equal(self, left: str, right: str, names: Sequence[str]) -> Iterator[sql.Composed]:
        """Conditions under which the columns are equal and none is NULL."""
        for name in names:
            yield sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name))

    def equal_or_null(self, left: str, right: str, names: Sequence[str]) -> Iterator[sql.Composed]:
        """Conditions under which the columns are equal or both NULL."""
        for name in names:
            yield sql.SQL("{} IS NOT DISTINCT FROM {}").format(sql.Identifier(left, name), sql.Identifier(right, name))

    def identity(self, alias: str | None = None, names: Sequence[str] | None = None) -> sql.Composed:
        """What to group by so that a group holds equal rows only; NULL groups with NULL."""
        return self.columns(alias, names)

    def literal(self, text: str) -> sql.Literal:
        """A string in SQL where no parameter is allowed."""
        return sql.Literal(text)

    @abstractmethod
    def row_hash(self, alias: str) -> sql.Composed:
        """A 64-bit hash of the whole row as a number whose sum over a table cannot overflow.

        It must not be linear in the columns' hashes: the sum would be the same after two rows had swapped values.
        """
