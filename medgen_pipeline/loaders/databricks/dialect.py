"""How Databricks writes SQL. No statement is executed here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, LiteralString

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.sql.names import MARK

if TYPE_CHECKING:
    import sqlglot

# Transactions take tables with catalog commits alone, and columns can be dropped and renamed where they are mapped by
# name. https://docs.databricks.com/aws/en/tables/features/catalog-commits
# https://docs.databricks.com/aws/en/delta/column-mapping
PROPERTIES: LiteralString = (
    "TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported', 'delta.columnMapping.mode' = 'name')"
)


class DatabricksDialect(Dialect):
    """The words of Databricks SQL."""

    quote: ClassVar[LiteralString] = "`"
    now: ClassVar[LiteralString] = "CURRENT_TIMESTAMP()"
    name_type: ClassVar[LiteralString] = "STRING"
    text_type: ClassVar[LiteralString] = "STRING"
    timestamp_type: ClassVar[LiteralString] = "TIMESTAMP"
    binary_type: ClassVar[LiteralString] = "BINARY"
    layout_marks: ClassVar[bool] = True
    any_order: ClassVar[LiteralString] = " ORDER BY 1"

    def render(self, statement: sql.Statement) -> tuple[str, list[Any] | None]:
        """See the base class. Bytes have no parameter's type, and what is a kind of text has to be one."""
        pieces = (
            sql.Constant(piece.value) if isinstance(piece, sql.Parameter) and isinstance(piece.value, bytes) else piece
            for piece in statement.pieces
        )
        text, parameters = super().render(sql.Statement(tuple(pieces)))
        return text, parameters and [str(value) if isinstance(value, str) else value for value in parameters]

    def literal(self, value: object) -> str:
        """See the base class; bytes too."""
        return f"X'{value.hex()}'" if isinstance(value, bytes) else super().literal(value)

    def escape(self, text: str) -> str:
        r"""See the base class: a backslash is an escape in '...'."""
        return text.replace("\\", "\\\\").replace("'", "\\'")

    def matches(self, text: sql.Statement, pattern: str) -> sql.Statement:
        return sql.SQL("{} RLIKE {}").format(text, sql.Literal(pattern))

    def is_reported(self, kind: ColumnType, reported: str) -> bool:
        """See the base class; the information schema says LONG where everything else says BIGINT."""
        return (kind is ColumnType.INTEGER and reported.upper() == "LONG") or super().is_reported(kind, reported)

    def row_hash(self, values: Sequence[tuple[sql.Statement, ColumnType]]) -> sql.Statement:
        """See the base class. The hash skips NULL, so it gets one text, with each value after its length.

        https://docs.databricks.com/aws/en/sql/language-manual/functions/xxhash64
        """
        text = sql.SQL("COALESCE(CAST(LENGTH(CAST({0} AS STRING)) AS STRING) || ':' || CAST({0} AS STRING), '-')")
        row = sql.SQL(" || ").join(text.format(value) for value, _ in values)
        return sql.SQL("CAST(XXHASH64({}) AS DECIMAL(20, 0))").format(row)

    def view(
        self, name: sql.Identifier, columns: Sequence[Column], query: sql.Statement, text: str
    ) -> Sequence[sql.Statement]:
        """See the base class: in one statement.

        https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-create-view
        """
        del columns
        return [sql.SQL("CREATE OR REPLACE VIEW {} COMMENT {} AS {}").format(name, sql.Literal(text), query)]

    def layout(self, table: Table) -> sql.Statement:
        """See the base class: also the mark of loads, so that a table is never without it."""
        return _layout(table.index_columns[:1])

    def feed_layout(self, table: Table) -> sql.Statement:
        del table
        return _layout(["_load_id"])

    def catalog_query(self, query: sql.Statement) -> sql.Statement:
        """See the base class: translated by sqlglot, names and values too."""
        import sqlglot  # of the extra, and curated tables alone need it

        written = "".join(_PLAIN.text(sql.Statement((piece,))) for piece in query.pieces)
        tree = sqlglot.parse_one(written, read="postgres")
        if isinstance(tree, sqlglot.exp.Delete):
            _with_alias(tree)
        return sql.Statement((tree.sql("databricks", identify=True),))


class _Plain(Dialect):
    """What sqlglot reads: PostgreSQL's words."""

    def row_hash(self, values: Sequence[tuple[sql.Statement, ColumnType]]) -> sql.Statement:
        raise NotImplementedError(f"no query of the catalog asks for one: {values}")


def _layout(clustered_by: Sequence[str]) -> sql.Statement:
    return sql.SQL("CLUSTER BY ({}) COMMENT {} {}").format(
        sql.SQL(", ").join(map(sql.Identifier, clustered_by)), sql.Literal(MARK), sql.SQL(PROPERTIES)
    )


def _with_alias(tree: "sqlglot.exp.Delete") -> None:
    """Name the table by an alias where its columns are named by schema and table, which an alias makes shorter."""
    from sqlglot import exp

    table = tree.this
    for column in tree.find_all(exp.Column):
        if (column.text("db"), column.table) == (table.db, table.name):
            column.replace(exp.column(column.this.copy(), table="own", quoted=True))
    table.set("alias", exp.TableAlias(this=exp.to_identifier("own", quoted=True)))


_PLAIN = _Plain()
DIALECT = DatabricksDialect()
