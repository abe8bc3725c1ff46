"""How PostgreSQL writes SQL. No statement is executed here."""

from collections.abc import Sequence
from typing import ClassVar, LiteralString

from medgen_pipeline.catalog import Column, ColumnType
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.dialect import Dialect


class PostgresDialect(Dialect):
    """The words of PostgreSQL, through psycopg. Every session has ``standard_conforming_strings`` on."""

    parameter: ClassVar[LiteralString] = "%s"
    now: ClassVar[LiteralString] = "clock_timestamp()"
    name_type: ClassVar[LiteralString] = "text"
    text_type: ClassVar[LiteralString] = "text"
    integer_type: ClassVar[LiteralString] = "bigint"
    timestamp_type: ClassVar[LiteralString] = "timestamptz"
    binary_type: ClassVar[LiteralString] = "bytea"
    # In place, so that indexes, grants and comments of the column stay.
    retype: ClassVar[Sequence[LiteralString]] = ("ALTER TABLE {relation} ALTER COLUMN {old} TYPE {type} USING {value}",)

    def sort_key(self, value: sql.Statement, kind: ColumnType) -> sql.Statement:
        """See the base class, whatever the database's own collation is."""
        return sql.SQL('{} COLLATE "C"').format(value) if kind is ColumnType.TEXT else value

    def row_hash(self, values: Sequence[tuple[sql.Statement, ColumnType]]) -> sql.Statement:
        """See the base class.

        Each column's hash is the seed of the next one's. hash_record_extended adds the columns' hashes up, weighted by
        their places, so two rows that exchange a value leave the sum as it was (PostgreSQL 18.4, and no less quick).
        """
        result: sql.Statement = sql.SQL("0::bigint")
        for value, kind in values:
            text = value if kind is ColumnType.TEXT else sql.SQL("{}::text").format(value)
            # A null is not an empty text: it changes the seed.
            result = sql.SQL("hashtextextended(coalesce({}, ''), {} # ({} IS NULL)::int)").format(text, result, value)
        return result

    def view(
        self, name: sql.Identifier, columns: Sequence[Column], query: sql.Statement, text: str
    ) -> Sequence[sql.Statement]:
        """See the base class. A view would hold on to its tables; what a function holds is text.

        The planner puts the query of such a function in its place, so that indexes are used as in a view:
        https://wiki.postgresql.org/wiki/Inlining_of_SQL_functions. A record has its columns from whoever calls, so that
        the function can always be replaced.
        """
        ((schema, table),) = (piece.parts for piece in name.pieces if isinstance(piece, sql.Name))
        function = sql.Identifier(schema, f"{table}__rows")
        defined = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column.name), self.column_type(column)) for column in columns
        )
        rows = sql.SQL("SELECT * FROM {}() AS rows ({})").format(function, defined)
        body = sql.Literal(self.text(query))
        return (
            sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS SETOF record LANGUAGE sql STABLE AS {}").format(
                function, body
            ),
            *super().view(name, columns, rows, text),
        )


DIALECT = PostgresDialect()
