"""The names of one load's relations, and of their indexes. No statement is executed here."""

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.postgres.dialect import DIALECT
from medgen_pipeline.loaders.sql import names


class TableNames(names.TableNames):
    """Every relation a load of one table touches, and its indexes."""

    def __init__(self, schema: str, table: Table) -> None:
        """Derive the names."""
        super().__init__(DIALECT, names.schemas(schema), table)
        self.unique_index = f"{table.name}_key"
        self.plain_index = f"{table.name}_idx"

    def lookup_index(self, column: str) -> str:
        """The name of the index of a column that the table is looked up by."""
        return f"{self.table.name}_{column}_idx"

    def same_row(self, left: str, right: str) -> sql.Statement:
        """Whole-row equality that takes NULL for equal to NULL and can be hash-joined."""
        return sql.SQL(
            "hash_record_extended(ROW({left}), 0) = hash_record_extended(ROW({right}), 0)"
            " AND ROW({left}) IS NOT DISTINCT FROM ROW({right})"
        ).format(left=self.columns(left), right=self.columns(right))
