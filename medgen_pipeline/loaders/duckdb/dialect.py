"""How DuckDB writes SQL, where it has other words than most."""

from collections.abc import Sequence

from medgen_pipeline.catalog import ColumnType
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.dialect import Dialect


class DuckDBDialect(Dialect):
    """The words of DuckDB."""

    def row_hash(self, values: Sequence[tuple[sql.Statement, ColumnType]]) -> sql.Statement:
        """Half of an MD5 over the columns, each after its length: DuckDB's ``hash`` may change between versions."""
        text = sql.SQL("COALESCE(STRLEN({0}::VARCHAR) || ':' || {0}::VARCHAR, '-')")
        row = sql.SQL(" || ").join(text.format(value) for value, _ in values)
        return sql.SQL("MD5_NUMBER_LOWER({})::HUGEINT").format(row)
