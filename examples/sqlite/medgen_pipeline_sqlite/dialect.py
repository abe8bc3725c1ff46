"""How SQLite writes SQL, where it has other words than most."""

from collections.abc import Sequence
from typing import LiteralString

from medgen_pipeline.catalog import ColumnType, Table
from medgen_pipeline.loaders import Dialect
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.sql.names import MARK

LAYOUT: LiteralString = f"/* {MARK} */ STRICT"


class SqliteDialect(Dialect):
    """The words of SQLite."""

    now = "(strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))"
    name_type = text_type = date_type = "TEXT"
    integer_type = boolean_type = "INTEGER"
    timestamp_type = "TEXT"
    layout_marks = True

    def matches(self, text: sql.Statement, pattern: str) -> sql.Statement:
        """By a function that the session brings."""
        return sql.SQL("{} REGEXP {}").format(text, sql.Literal(pattern))

    def equal_or_null(self, left: sql.Statement, right: sql.Statement, kind: ColumnType) -> sql.Statement:
        """IS NOT DISTINCT FROM came with 3.39."""
        del kind
        return sql.SQL("{} IS {}").format(left, right)

    def row_hash(self, values: Sequence[tuple[sql.Statement, ColumnType]]) -> sql.Statement:
        """By a function that the session brings."""
        return sql.SQL("row_hash({})").format(sql.SQL(", ").join(value for value, _ in values))

    def layout(self, table: Table) -> sql.Statement:
        """Strict, or a number's column takes text. SQLite keeps the statement, and what is said in it."""
        del table
        return sql.SQL(LAYOUT)

    feed_layout = layout

    def comment(self, relation: sql.Statement, column: str | None, text: str) -> None:
        """There are none."""
