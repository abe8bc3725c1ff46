"""How Redshift writes SQL, and what makes two rows the same there.

Redshift ignores trailing blanks when it compares text, so equality and grouping here always take a value's length in
bytes along (https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html). No statement is executed here.
"""

from collections.abc import Sequence
from typing import ClassVar, LiteralString

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.records import LoaderError
from medgen_pipeline.loaders.redshift.config import CAPABILITIES

# What stands for NULL where NULL is told by more than that.
_ANY_VALUE: dict[ColumnType, LiteralString] = {
    ColumnType.INTEGER: "0",
    ColumnType.BOOLEAN: "FALSE",
    ColumnType.DATE: "CAST('1970-01-01' AS DATE)",
}
_HASHED: dict[ColumnType, LiteralString] = {
    ColumnType.TEXT: "{}",
    ColumnType.INTEGER: "{}",
    ColumnType.BOOLEAN: "CASE WHEN {} THEN 1 ELSE 0 END",
    ColumnType.DATE: "TO_CHAR({}, 'YYYY-MM-DD')",
}


class RedshiftDialect(Dialect):
    """The words of Redshift, through psycopg."""

    parameter: ClassVar[LiteralString] = "%s"
    now: ClassVar[LiteralString] = "GETDATE()"
    name_type: ClassVar[LiteralString] = "VARCHAR(255)"
    text_type: ClassVar[LiteralString] = "VARCHAR(65535)"
    binary_type: ClassVar[LiteralString] = "VARCHAR(65535)"
    # It holds on to no table, which would keep columns from being dropped and widened.
    view_end: ClassVar[LiteralString] = " WITH NO SCHEMA BINDING"

    def escape(self, text: str) -> str:
        r"""See the base class.

        Redshift reads a backslash in '...' as an escape and does not know E'...' (8.0 syntax), so none may get there.
        """
        if "\\" in text:
            raise LoaderError(f"Redshift loader: a backslash cannot be written in SQL text: {text!r}.")
        return super().escape(text)

    def column_type(self, column: Column) -> sql.Statement:
        """See the base class, or VARCHAR with a real width: wide columns cost memory in every query that reads them."""
        width = CAPABILITIES.text_bytes(column)
        return super().column_type(column) if width is None else sql.SQL("VARCHAR({})").format(sql.Literal(width))

    def is_reported(self, kind: ColumnType, reported: str) -> bool:
        """See the base class. A width is no other type: ``publish.widen`` follows the catalog's."""
        return reported == ("character varying" if kind is ColumnType.TEXT else self.types[kind].lower())

    def equal(self, left: sql.Statement, right: sql.Statement, kind: ColumnType) -> sql.Statement:
        if kind is not ColumnType.TEXT:
            return super().equal(left, right, kind)
        return sql.SQL("{0} = {1} AND OCTET_LENGTH({0}) = OCTET_LENGTH({1})").format(left, right)

    def equal_or_null(self, left: sql.Statement, right: sql.Statement, kind: ColumnType) -> sql.Statement:
        """See the base class; made of equalities alone, because there is no IS DISTINCT FROM."""
        if kind is not ColumnType.TEXT:
            return sql.SQL("COALESCE({0}, {2}) = COALESCE({1}, {2}) AND NVL2({0}, 1, 0) = NVL2({1}, 1, 0)").format(
                left, right, sql.SQL(_ANY_VALUE[kind])
            )
        return sql.SQL(
            "COALESCE({0}, '') = COALESCE({1}, '')"
            " AND COALESCE(OCTET_LENGTH({0}), -1) = COALESCE(OCTET_LENGTH({1}), -1)"
        ).format(left, right)

    def identity(self, value: sql.Statement, kind: ColumnType) -> sql.Statement:
        """See the base class: lengths tell blanks."""
        return sql.SQL("{0}, OCTET_LENGTH({0})").format(value) if kind is ColumnType.TEXT else value

    def row_hash(self, values: Sequence[tuple[sql.Statement, ColumnType]]) -> sql.Statement:
        """See the base class.

        It is the hash of the columns' hashes as text, which fit in 20 characters each, so that rows that swap values
        change the sum. FNV_HASH does not ignore trailing
        blanks. What it makes of NULL is not documented, so it never gets one, nor a boolean or a date.
        https://docs.aws.amazon.com/redshift/latest/dg/r_FNV_HASH.html
        """
        hashes = sql.SQL(" || ',' || ").join(
            sql.SQL("CAST(CASE WHEN {} IS NULL THEN 0 ELSE FNV_HASH({}) END AS VARCHAR(20))").format(
                value, sql.SQL(_HASHED[kind]).format(value)
            )
            for value, kind in values
        )
        return sql.SQL("CAST(FNV_HASH({}) AS DECIMAL(38, 0))").format(hashes)

    def layout(self, table: Table) -> sql.Statement:
        """Rows of a key together, and sorted by it."""
        return _layout(table, table.index_columns)

    def feed_layout(self, table: Table) -> sql.Statement:
        """Rows of a key together, and those of a load."""
        return _layout(table, ["_load_id"])


DIALECT = RedshiftDialect()


def _layout(table: Table, sort: Sequence[str]) -> sql.Statement:
    return sql.SQL("DISTSTYLE KEY DISTKEY ({}) COMPOUND SORTKEY ({})").format(
        sql.Identifier(table.index_columns[0]), sql.SQL(", ").join(map(sql.Identifier, sort))
    )
