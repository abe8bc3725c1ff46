"""The names of one load's relations, DuckDB's types, and a row's hash. No statement is executed here."""

from collections.abc import Mapping
from typing import ClassVar, LiteralString

from psycopg import sql

from medgen_pipeline.catalog import ColumnType
from medgen_pipeline.loaders.sql import BaseTableNames


class DuckDBNames(BaseTableNames):
    """Every relation a load of one table touches."""

    types: ClassVar[Mapping[ColumnType, LiteralString]] = {ColumnType.TEXT: "VARCHAR", ColumnType.INTEGER: "BIGINT"}

    def row_hash(self, alias: str) -> sql.Composed:
        """Half of an MD5 over the columns, each after its length: DuckDB's ``hash`` may change between versions."""
        value = sql.SQL("COALESCE(STRLEN({0}::VARCHAR) || ':' || {0}::VARCHAR, '-')")
        values = [value.format(sql.Identifier(alias, name)) for name in self.table.column_names]
        return sql.SQL("MD5_NUMBER_LOWER({})::HUGEINT").format(sql.SQL(" || ").join(values))
