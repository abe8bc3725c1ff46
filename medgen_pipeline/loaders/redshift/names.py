"""The relations of one load beside those that all backends have. No statement is executed here."""

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.redshift.dialect import DIALECT
from medgen_pipeline.loaders.sql import names


class TableNames(names.TableNames):
    """Every relation a load of one table touches."""

    def __init__(self, schema: str, table: Table) -> None:
        """Derive the names."""
        super().__init__(DIALECT, names.schemas(schema), table)
        self.scratch["new"] = (schema, f"{table.name}__new")
        self.parts["new"] = sql.Identifier(*self.scratch["new"])
