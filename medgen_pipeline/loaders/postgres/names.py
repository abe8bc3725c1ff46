"""The names of one load's relations as PostgreSQL takes them. No statement is executed here."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, LiteralString

from psycopg import sql

from medgen_pipeline.catalog import ColumnType, Table
from medgen_pipeline.loaders.sql.names import BaseTableNames, schemas

__all__ = ["TYPES", "TableNames", "schemas"]

_WORDS: Mapping[ColumnType, LiteralString] = {ColumnType.TEXT: "text", ColumnType.INTEGER: "bigint"}
TYPES = {column_type: sql.SQL(words) for column_type, words in _WORDS.items()}


class TableNames(BaseTableNames):
    """Every relation a load of one table touches, and its indexes."""

    types: ClassVar[Mapping[ColumnType, LiteralString]] = _WORDS
    feed_types: ClassVar[Sequence[LiteralString]] = ("text", "text", "timestamptz", "bigint")
    # In place, so that indexes, grants and comments of the column stay.
    retype: ClassVar[Sequence[LiteralString]] = ("ALTER TABLE {relation} ALTER COLUMN {old} TYPE {type} USING {value}",)

    def __init__(self, schema: str, table: Table) -> None:
        """Derive the names; see ``schemas``."""
        super().__init__(schema, table)
        self.unique_index = f"{table.name}_key"
        self.plain_index = f"{table.name}_idx"

    def same_row(self, left: str, right: str) -> sql.Composed:
        """Whole-row equality that takes NULL for equal to NULL and can be hash-joined."""
        return sql.SQL(
            "hash_record_extended(ROW({left}), 0) = hash_record_extended(ROW({right}), 0)"
            " AND ROW({left}) IS NOT DISTINCT FROM ROW({right})"
        ).format(left=self.columns(left), right=self.columns(right))

    def row_hash(self, alias: str) -> sql.Composed:
        """A 64-bit hash of the whole row; the sum over a table does not depend on the order of its rows.

        Each column's hash is the seed of the next one's. hash_record_extended adds the columns' hashes up, weighted by
        their places, so two rows that exchange a value leave the sum as it was (PostgreSQL 18.4, and no less quick).
        """
        result = sql.Composed([sql.SQL("0::bigint")])
        for column in self.table.columns:
            name = sql.Identifier(alias, column.name)
            text = name if column.type is ColumnType.TEXT else sql.SQL("{}::text").format(name)
            # A null is not an empty text: it changes the seed.
            result = sql.SQL("hashtextextended(coalesce({}, ''), {} # ({} IS NULL)::int)").format(text, result, name)
        return result
