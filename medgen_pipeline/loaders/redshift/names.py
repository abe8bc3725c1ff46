"""The names of one load's relations as Redshift takes them, and what makes two rows the same there.

Redshift ignores trailing blanks when it compares text, so equality and grouping here always take a value's length in
bytes along (https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html). No statement is executed here.
"""

from collections.abc import Iterable, Sequence

from psycopg import sql

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.loaders.base import LoaderError
from medgen_pipeline.loaders.names import BaseTableNames, define
from medgen_pipeline.loaders.redshift.config import CAPABILITIES


def literal(value: str) -> sql.Literal:
    r"""A string in SQL where no parameter is allowed.

    Redshift reads a backslash in '...' as an escape and does not know E'...' (8.0 syntax), so none may get there.
    """
    if "\\" in value:
        raise LoaderError(f"Redshift loader: a backslash cannot be written in SQL text: {value!r}.")
    return sql.Literal(value)


def column_type(column: Column) -> sql.Composable:
    """BIGINT, or VARCHAR with a real width: wide columns cost memory in every query that reads them."""
    width = CAPABILITIES.text_bytes(column)
    return sql.SQL("BIGINT") if width is None else sql.SQL("VARCHAR({})").format(sql.Literal(width))


def definitions(columns: Sequence[Column]) -> sql.Composed:
    """Column names with their types, as CREATE TABLE takes them."""
    return define(columns, column_type)


class TableNames(BaseTableNames):
    """Every relation a load of one table touches."""

    def __init__(self, schema: str, table: Table) -> None:
        """Derive the names."""
        super().__init__(schema, table)
        self._types = {column.name: column.type for column in table.columns}
        self.changes_name = f"{table.name}__changes"
        self.new_name = f"{table.name}__new"
        self.retired_name = f"{table.name}__retired"
        self.parts |= {
            "difference": sql.Identifier(self.staging_schema, f"{table.name}__difference"),
            "kept": sql.Identifier(self.staging_schema, f"{table.name}__kept"),
            "new": sql.Identifier(schema, self.new_name),
            "retired": sql.Identifier(schema, self.retired_name),
            "definitions": definitions(table.columns),
            "layout": sql.SQL("DISTSTYLE KEY DISTKEY ({}) COMPOUND SORTKEY ({})").format(
                sql.Identifier(self.index_columns[0]), self.columns(None, self.index_columns)
            ),
        }

    @property
    def scratch(self) -> tuple[sql.Composable, ...]:
        """What a load makes in staging for itself."""
        return self.staging, *(self.parts[name] for name in ("changes", "difference", "kept"))

    def identity(self, alias: str | None = None, names: Sequence[str] | None = None) -> sql.Composed:
        """What to group by so that a group holds equal rows only: NULL groups with NULL, and lengths tell blanks."""
        chosen = self.table.column_names if names is None else names
        lengths = [sql.SQL("OCTET_LENGTH({})").format(_column(alias, name)) for name in chosen if self._is_text(name)]
        return sql.SQL(", ").join([*(_column(alias, name) for name in chosen), *lengths])

    def key_matches(self, left: str, right: str) -> sql.Composed:
        """The keys are equal and not NULL. Plain equality first: it is what a join can be planned by."""
        return sql.SQL(" AND ").join(self._equal(left, right, self.table.key))

    def same(self, left: str, right: str, names: Sequence[str] | None = None) -> sql.Composed:
        """Row equality that takes NULL for equal to NULL, made of equalities alone, so that it can be hash-joined."""
        chosen = self.table.column_names if names is None else names
        return sql.SQL(" AND ").join(self._equal_or_null(left, right, chosen))

    def row_hash(self, alias: str) -> sql.Composed:
        """A 64-bit hash of the whole row; the sum over a table does not depend on the order of its rows.

        It is the hash of the columns' hashes, which fit in 20 characters each. FNV_HASH does not ignore trailing
        blanks. What it makes of NULL is not documented, so it never gets one.
        https://docs.aws.amazon.com/redshift/latest/dg/r_FNV_HASH.html
        """
        hashes = sql.SQL(" || ',' || ").join(
            sql.SQL("CAST(CASE WHEN {column} IS NULL THEN 0 ELSE FNV_HASH({column}) END AS VARCHAR(20))").format(
                column=_column(alias, name)
            )
            for name in self.table.column_names
        )
        return sql.SQL("CAST(FNV_HASH({}) AS DECIMAL(38, 0))").format(hashes)

    def _equal(self, left: str, right: str, names: Sequence[str]) -> Iterable[sql.Composed]:
        for name in names:
            sides = _column(left, name), _column(right, name)
            yield sql.SQL("{} = {}").format(*sides)
            if self._is_text(name):
                yield sql.SQL("OCTET_LENGTH({}) = OCTET_LENGTH({})").format(*sides)

    def _equal_or_null(self, left: str, right: str, names: Sequence[str]) -> Iterable[sql.Composed]:
        for name in names:
            sides = _column(left, name), _column(right, name)
            if self._is_text(name):
                yield sql.SQL("COALESCE({}, '') = COALESCE({}, '')").format(*sides)
                yield sql.SQL("COALESCE(OCTET_LENGTH({}), -1) = COALESCE(OCTET_LENGTH({}), -1)").format(*sides)
            else:
                yield sql.SQL("COALESCE({}, 0) = COALESCE({}, 0)").format(*sides)
                yield sql.SQL("NVL2({}, 1, 0) = NVL2({}, 1, 0)").format(*sides)

    def _is_text(self, name: str) -> bool:
        return self._types[name] is ColumnType.TEXT


def _column(alias: str | None, name: str) -> sql.Identifier:
    return sql.Identifier(name) if alias is None else sql.Identifier(alias, name)
