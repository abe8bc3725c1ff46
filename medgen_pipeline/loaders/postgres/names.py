"""The names of one load's relations as SQL that is safe to compose. No statement is executed here."""

from collections.abc import Sequence

from psycopg import sql

from medgen_pipeline.catalog import Column, ColumnType, Table

TYPES = {ColumnType.TEXT: sql.SQL("text"), ColumnType.INTEGER: sql.SQL("bigint")}


def schemas(schema: str) -> tuple[str, str, str, str]:
    """The schemas of tables, staging, change feeds and audit."""
    return schema, f"{schema}_staging", f"{schema}_changes", f"{schema}_audit"


def definitions(columns: Sequence[Column]) -> sql.Composed:
    """Column names with their types, as CREATE TABLE takes them."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), TYPES[column.type]) for column in columns
    )


class TableNames:
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
        self.unique_index = f"{table.name}_key"
        self.plain_index = f"{table.name}_idx"
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
    def own_indexes(self) -> tuple[str, str]:
        """The indexes the loader makes and unmakes; all others are the user's."""
        return self.unique_index, self.plain_index

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

    def key_matches(self, left: str, right: str) -> sql.Composed:
        """``left.k = right.k AND ...`` over the key."""
        return sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name))
            for name in self.table.key
        )

    def same_row(self, left: str, right: str) -> sql.Composed:
        """Whole-row equality that takes NULL for equal to NULL and can be hash-joined."""
        return sql.SQL(
            "hash_record_extended(ROW({left}), 0) = hash_record_extended(ROW({right}), 0)"
            " AND ROW({left}) IS NOT DISTINCT FROM ROW({right})"
        ).format(left=self.columns(left), right=self.columns(right))

    def row_hash(self, alias: str) -> sql.Composed:
        """A 64-bit hash of the whole row; the sum over a table does not depend on the order of its rows."""
        return sql.SQL("hash_record_extended(ROW({}), 0)").format(self.columns(alias))
