"""The names of one load's relations as Redshift takes them, and what makes two rows the same there.

Redshift ignores trailing blanks when it compares text, so equality and grouping here always take a value's length in
bytes along (https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html). No statement is executed here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, LiteralString

from psycopg import sql

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.loaders.records import LoaderError
from medgen_pipeline.loaders.redshift.config import CAPABILITIES
from medgen_pipeline.loaders.sql.names import BaseTableNames


def literal(text: str) -> sql.Literal:
    r"""A string in SQL where no parameter is allowed.

    Redshift reads a backslash in '...' as an escape and does not know E'...' (8.0 syntax), so none may get there.
    """
    if "\\" in text:
        raise LoaderError(f"Redshift loader: a backslash cannot be written in SQL text: {text!r}.")
    return sql.Literal(text)


class TableNames(BaseTableNames):
    """Every relation a load of one table touches."""

    types: ClassVar[Mapping[ColumnType, LiteralString]] = {
        ColumnType.TEXT: "character varying",
        ColumnType.INTEGER: "bigint",
    }

    def __init__(self, schema: str, table: Table) -> None:
        """Derive the names."""
        super().__init__(schema, table)
        self._types = {column.name: column.type for column in table.columns}
        self.scratch["new"] = (schema, f"{table.name}__new")
        self.parts |= {
            "new": sql.Identifier(*self.scratch["new"]),
            "layout": _layout(self.index_columns[0], self.columns(None, self.index_columns)),
            "feed_layout": _layout(self.index_columns[0], sql.SQL("_load_id")),
        }

    def column_type(self, column: Column) -> sql.Composable:
        """BIGINT, or VARCHAR with a real width: wide columns cost memory in every query that reads them."""
        width = CAPABILITIES.text_bytes(column)
        return sql.SQL("BIGINT") if width is None else sql.SQL("VARCHAR({})").format(sql.Literal(width))

    def literal(self, text: str) -> sql.Literal:
        """See the base class."""
        return literal(text)

    def identity(self, alias: str | None = None, names: Sequence[str] | None = None) -> sql.Composed:
        """What to group by so that a group holds equal rows only: NULL groups with NULL, and lengths tell blanks."""
        chosen = self.table.column_names if names is None else names
        lengths = [sql.SQL("OCTET_LENGTH({})").format(_column(alias, name)) for name in chosen if self._is_text(name)]
        return sql.SQL(", ").join([*(_column(alias, name) for name in chosen), *lengths])

    def row_hash(self, alias: str) -> sql.Composed:
        """A 64-bit hash of the whole row; the sum over a table does not depend on the order of its rows.

        It is the hash of the columns' hashes as text, which fit in 20 characters each, so that rows that swap values
        change the sum. FNV_HASH does not ignore trailing
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

    def equal(self, left: str, right: str, names: Sequence[str]) -> Iterator[sql.Composed]:
        """See the base class."""
        for name in names:
            sides = _column(left, name), _column(right, name)
            yield sql.SQL("{} = {}").format(*sides)
            if self._is_text(name):
                yield sql.SQL("OCTET_LENGTH({}) = OCTET_LENGTH({})").format(*sides)

    def equal_or_null(self, left: str, right: str, names: Sequence[str]) -> Iterator[sql.Composed]:
        """See the base class; made of equalities alone, because there is no IS DISTINCT FROM."""
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


def _layout(dist: str, sort: sql.Composable) -> sql.Composed:
    return sql.SQL("DISTSTYLE KEY DISTKEY ({}) COMPOUND SORTKEY ({})").format(sql.Identifier(dist), sort)


def _column(alias: str | None, name: str) -> sql.Identifier:
    return sql.Identifier(name) if alias is None else sql.Identifier(alias, name)
