"""A table's rows as Arrow record batches, as they are or as of an earlier release. Reads only."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.arrow import repeated, schema_of
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.records import LoaderError
from medgen_pipeline.loaders.sql import history
from medgen_pipeline.loaders.sql.guard import Guard
from medgen_pipeline.loaders.sql.names import TableNames
from medgen_pipeline.loaders.sql.session import SqlSession

if TYPE_CHECKING:
    import pyarrow as pa

_COPIES = Column("_copies", "", "How often the row is there.", type=ColumnType.INTEGER)
_TYPES = {ColumnType.TEXT: str, ColumnType.INTEGER: int, ColumnType.BOOLEAN: bool, ColumnType.DATE: date}


def request(
    dialect: Dialect, table: Table, columns: Sequence[str], where: Mapping[str, Any]
) -> tuple[list[Column], sql.Statement]:
    """The columns to read, and the condition.

    Raises:
        LoaderError: There is no such column, or a value is not of its column's type.
    """
    known = {column.name: column for column in table.columns}
    if unknown := [name for name in (*columns, *where) if name not in known]:
        raise LoaderError(f"{table.name} has no columns {unknown}; it has {list(known)}.")
    conditions = [_condition(dialect, known[name], wanted) for name, wanted in where.items()]
    return [known[name] for name in columns or known], sql.SQL(" AND ").join([*conditions] or [history.EVERYTHING])


def _condition(dialect: Dialect, column: Column, wanted: Any) -> sql.Statement:
    values = list(wanted) if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
    name = sql.Identifier(column.name)
    kind = _TYPES[column.type]
    if wrong := [value for value in values if value is not None and type(value) is not kind]:
        raise LoaderError(f"{column.name} holds {kind.__name__}, and cannot be {wrong[0]!r}.")
    if not values:
        return sql.SQL("1 = 0")
    parts = [
        sql.SQL("{} IS NULL").format(name)
        if value is None
        else sql.SQL("({})").format(dialect.equal(name, _value(dialect, column, value), column.type))
        for value in values
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(parts))


def _value(dialect: Dialect, column: Column, value: Any) -> sql.Statement:
    """In the text, because a driver that gives Arrow may take no parameters."""
    if not isinstance(value, date):
        return sql.Literal(value)
    return sql.SQL("CAST({} AS {})").format(sql.Literal(value.isoformat()), dialect.column_type(column))


def order_of(dialect: Dialect, table: Table) -> sql.Statement:
    """Behind a query: in the order of the key and, for rows that have the same, of the other columns."""
    kinds = {column.name: column.type for column in table.columns}
    names = dict.fromkeys((*table.index_columns, *table.column_names))
    keys = (dialect.sort_key(sql.Identifier(name), kinds[name]) for name in names)
    return sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(sql.SQL("{} NULLS LAST").format(key) for key in keys))


def current(
    session: SqlSession[Any], names: TableNames, columns: Sequence[Column], where: sql.Statement, order: sql.Statement
) -> Iterator["pa.RecordBatch"]:
    """The rows that production has."""
    chosen = names.columns(None, [column.name for column in columns])
    statement = sql.SQL("SELECT {chosen} FROM {production} WHERE {where}{order}")
    return session.batches(statement.format(**names.parts, chosen=chosen, where=where, order=order), schema_of(columns))


def as_of(
    session: SqlSession[Any],
    names: TableNames,
    guard: Guard | None,
    release: str,
    columns: Sequence[Column],
    where: sql.Statement,
    order: sql.Statement,
) -> Iterator["pa.RecordBatch"]:
    """The rows that it had after the last load of ``release``."""
    rows = history.as_of(session, names, guard, release, [column.name for column in columns], where)
    statement = sql.SQL("{}{}").format(rows, order)
    return repeated(session.batches(statement, schema_of([*columns, _COPIES])))
