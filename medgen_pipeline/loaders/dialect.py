"""How a warehouse writes what the shared SQL says: names, values, types, equality, hashes. Nothing is executed here.

The words of the base class are those that most warehouses have in common. A dialect overrides what its own has other
words for.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, LiteralString

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.loaders import statement as sql


class Dialect(ABC):
    """The words of one warehouse.

    Attributes:
        quote: What is around a name; doubled within one.
        parameter: What stands for a value that is sent beside the text, as the driver has it.
        now: The server's clock, best one that runs on within a transaction; ``{now}`` in statements.
        name_type: For up to 255 characters.
        text_type: For text of any length.
        integer_type: For integers of 64 bits.
        boolean_type: For yes and no.
        date_type: For days.
        timestamp_type: For points in time.
        binary_type: For the bytes of a line.
        layout_marks: Whether ``layout`` and ``feed_layout`` write the comment that tells what a load has made.
        view_end: What CREATE VIEW has behind the query.
        any_order: What ROW_NUMBER needs in OVER where the order of the rows does not matter.
        retype: The statements that give a column, ``{old}`` of ``{relation}``, the type of the catalog: ``{value}`` of
            what it held. ``{new}`` is a name that is free.
    """

    quote: ClassVar[LiteralString] = '"'
    parameter: ClassVar[LiteralString] = "?"
    now: ClassVar[LiteralString] = "CURRENT_TIMESTAMP"
    name_type: ClassVar[LiteralString] = "VARCHAR"
    text_type: ClassVar[LiteralString] = "VARCHAR"
    integer_type: ClassVar[LiteralString] = "BIGINT"
    boolean_type: ClassVar[LiteralString] = "BOOLEAN"
    date_type: ClassVar[LiteralString] = "DATE"
    timestamp_type: ClassVar[LiteralString] = "TIMESTAMPTZ"
    binary_type: ClassVar[LiteralString] = "BLOB"
    layout_marks: ClassVar[bool] = False
    view_end: ClassVar[LiteralString] = ""
    any_order: ClassVar[LiteralString] = ""
    retype: ClassVar[Sequence[LiteralString]] = (
        "ALTER TABLE {relation} ADD COLUMN {new} {type}",
        "UPDATE {relation} SET {new} = {value}",
        "ALTER TABLE {relation} DROP COLUMN {old}",
        "ALTER TABLE {relation} RENAME COLUMN {new} TO {old}",
    )

    # --- writing out ---------------------------------------------------------------------------------------------

    def render(self, statement: sql.Statement) -> tuple[str, list[Any] | None]:
        """The statement as the driver takes it: its text, and its parameters where it has some."""
        parameters = [piece.value for piece in statement.pieces if isinstance(piece, sql.Parameter)]
        if not parameters:
            return self.text(statement), None
        percent = "%%" if "%" in self.parameter else "%"
        written = (
            self.parameter if isinstance(piece, sql.Parameter) else self._write(piece).replace("%", percent)
            for piece in statement.pieces
        )
        return "".join(written), parameters

    def text(self, statement: sql.Statement) -> str:
        """A statement, or a part of one, that has no parameter."""
        return "".join(map(self._write, statement.pieces))

    def _write(self, piece: sql.Piece) -> str:
        if isinstance(piece, str):
            return piece
        if isinstance(piece, sql.Name):
            return self.identifier(piece.parts)
        if isinstance(piece, sql.Constant):
            return self.literal(piece.value)
        raise TypeError(f"{piece} has no place in a text that is not executed")

    def identifier(self, parts: Sequence[str]) -> str:
        """A name, with those of what it is in before it."""
        return ".".join(f"{self.quote}{part.replace(self.quote, self.quote * 2)}{self.quote}" for part in parts)

    def literal(self, value: object) -> str:
        """A value in the text.

        Raises:
            LoaderError: It cannot be written there.
        """
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return str(value).upper()
        if isinstance(value, int):
            return f" {value}" if value < 0 else str(value)  # "--" begins a comment
        if isinstance(value, str):
            return f"'{self.escape(value)}'"
        raise TypeError(f"{value!r} cannot be written as a literal")

    def escape(self, text: str) -> str:
        """What is between the quotes of a text."""
        return text.replace("'", "''")

    def catalog_query(self, query: sql.Statement) -> sql.Statement:
        """A statement of a curated table's, which PostgreSQL and Redshift run as it is, in this warehouse's words.

        ``docs/adr/0010-dialects.md`` says how to translate one.
        """
        return query

    @cached_property
    def words(self) -> dict[str, sql.Statement]:
        """What statements may name in braces."""
        names = ("now", "name_type", "text_type", "integer_type", "timestamp_type", "binary_type", "any_order")
        return {name: sql.SQL(getattr(self, name)) for name in names}

    # --- types ---------------------------------------------------------------------------------------------------

    @cached_property
    def types(self) -> dict[ColumnType, LiteralString]:
        """What each kind of column is declared as, but for a text's width."""
        return {
            ColumnType.TEXT: self.text_type,
            ColumnType.INTEGER: self.integer_type,
            ColumnType.BOOLEAN: self.boolean_type,
            ColumnType.DATE: self.date_type,
        }

    def column_type(self, column: Column) -> sql.Statement:
        """A column's type, as CREATE TABLE takes it."""
        return sql.SQL(self.types[column.type])

    def is_reported(self, kind: ColumnType, reported: str) -> bool:
        """Whether a type, in the words of the warehouse's own catalog, is this one."""
        return reported.casefold() == self.types[kind].casefold()

    def cast(self, value: sql.Statement, column: Column) -> sql.Statement:
        """A value of another type as one of the column's; what is none, such as no number, becomes NULL."""
        if column.type is ColumnType.TEXT:
            return sql.SQL("CAST({} AS {})").format(value, self.column_type(column))
        text = sql.SQL("CAST({} AS {})").format(value, sql.SQL(self.name_type))
        if column.type is ColumnType.BOOLEAN:
            yes_or_no: LiteralString = (
                "CASE WHEN {0} IN ('Y', 'true') THEN TRUE WHEN {0} IN ('N', 'false') THEN FALSE END"
            )
            return sql.SQL(yes_or_no).format(text)
        pattern = "^-?[0-9]+$" if column.type is ColumnType.INTEGER else "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
        return sql.SQL("CASE WHEN {} AND LENGTH({}) < 19 THEN CAST({} AS {}) END").format(
            self.matches(text, pattern), text, text, self.column_type(column)
        )

    # --- text ----------------------------------------------------------------------------------------------------

    def matches(self, text: sql.Statement, pattern: str) -> sql.Statement:
        """Whether a regular expression with ^ and $ describes a text."""
        return sql.SQL("{} ~ {}").format(text, sql.Literal(pattern))

    # --- rows ----------------------------------------------------------------------------------------------------

    def equal(self, left: sql.Statement, right: sql.Statement, kind: ColumnType) -> sql.Statement:
        """Two values are equal and neither is NULL. Plain equality first: it is what a join can be planned by."""
        del kind
        return sql.SQL("{} = {}").format(left, right)

    def equal_or_null(self, left: sql.Statement, right: sql.Statement, kind: ColumnType) -> sql.Statement:
        """Two values are equal or both NULL; a hash join can use it."""
        del kind
        return sql.SQL("{} IS NOT DISTINCT FROM {}").format(left, right)

    def identity(self, value: sql.Statement, kind: ColumnType) -> sql.Statement:
        """What to group by so that a group holds equal values only; NULL groups with NULL."""
        del kind
        return value

    def sort_key(self, value: sql.Statement, kind: ColumnType) -> sql.Statement:
        """What to sort by so that text is in the order of its bytes."""
        del kind
        return value

    @abstractmethod
    def row_hash(self, values: Sequence[tuple[sql.Statement, ColumnType]]) -> sql.Statement:
        """A 64-bit hash of a whole row as a number whose sum over a table cannot overflow.

        It must not be linear in the columns' hashes: the sum would be the same after two rows had swapped values.
        """

    # --- tables --------------------------------------------------------------------------------------------------

    def comment(self, relation: sql.Statement, column: str | None, text: str) -> sql.Statement | None:
        """The statement that describes a table, or one of its columns; None where there are no comments.

        Then ``layout`` writes the mark of a table that a load has made where ``SqlSession.relations`` finds it.
        """
        what = sql.SQL("TABLE {}").format(relation)
        if column is not None:
            what = sql.SQL("COLUMN {}.{}").format(relation, sql.Identifier(column))
        return sql.SQL("COMMENT ON {} IS {}").format(what, sql.Literal(text))

    def view(
        self, name: sql.Identifier, columns: Sequence[Column], query: sql.Statement, text: str
    ) -> Sequence[sql.Statement]:
        """The statements that make a view, or replace one, and describe it.

        Best one that holds on to no table, so that it hinders nobody who alters or drops one.
        """
        del columns
        made = sql.SQL("CREATE OR REPLACE VIEW {} AS {}{}").format(name, query, sql.SQL(self.view_end))
        return made, sql.SQL("COMMENT ON VIEW {} IS {}").format(name, sql.Literal(text))

    def layout(self, table: Table) -> sql.Statement:
        """What CREATE TABLE has behind the columns, for production and whatever has its columns."""
        del table
        return sql.SQL("")

    def feed_layout(self, table: Table) -> sql.Statement:
        """The same for the table's change feed."""
        del table
        return sql.SQL("")
