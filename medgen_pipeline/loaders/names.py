"""The names of one load's relations as SQL that is safe to compose, as far as every SQL backend has them.

No statement is executed here, and no type is named: each backend adds its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import LiteralString

from psycopg import sql

from medgen_pipeline.catalog import Column, Table


def schemas(schema: str) -> tuple[str, str, str, str]:
    """The schemas of tables, staging, change feeds and audit."""
    return schema, f"{schema}_staging", f"{schema}_changes", f"{schema}_audit"


def fill(statement: LiteralString, schema: str, parts: Mapping[str, Table | sql.Composable]) -> sql.Composed:
    """A statement of ``AbstractNativeLoader.query`` with its names filled in."""
    named = {
        name: sql.Identifier(schema, part.name) if isinstance(part, Table) else part for name, part in parts.items()
    }
    return sql.SQL(statement).format(schema=sql.Literal(schema), audit=sql.Identifier(schemas(schema)[3]), **named)


def define(columns: Sequence[Column], type_of: Callable[[Column], sql.Composable]) -> sql.Composed:
    """Column names with their types, as CREATE TABLE takes them."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), type_of(column)) for column in columns
    )


class BaseTableNames:
    """Every relation a load of one table touches.

    Attributes:
        schema: Schema of production.
        table: The catalog's entry.
        parts: The names a statement may use in braces.
    """

    def __init__(self, schema: str, table: Table) -> None:
        """Derive the names; see ``schemas``."""
        self.schema = schema
        self.table = table
        _, staging, changes, audit = schemas(schema)
        self.staging_schema = staging
        self.production = sql.Identifier(schema, table.name)
        self.staging = sql.Identifier(staging, table.name)
        self.feed = sql.Identifier(changes, table.name)
        self.parts: dict[str, sql.Composable] = {
            "production": self.production,
            "staging": self.staging,
            "changes": sql.Identifier(staging, f"{table.name}__changes"),
            "feed": self.feed,
            "audit": sql.Identifier(audit),
            "columns": self.columns(),
            "key": self.columns(None, table.key),
        }

    @property
    def index_columns(self) -> tuple[str, ...]:
        """What the table is looked up by: its key, or the first column where only the whole row is one."""
        return self.table.key or self.table.column_names[:1]

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
