"""Publishes a change set inside the caller's transaction, with nothing but INSERT and DELETE.

Views, grants and comments stay, because the table does. Nothing is dropped with CASCADE, and TRUNCATE is never used:
some warehouses commit at it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, LiteralString

from medgen_pipeline.catalog import Column, ColumnType
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import LoaderError, LoadStart, ProductionChangedError
from medgen_pipeline.loaders.sql.compare import Comparison
from medgen_pipeline.loaders.sql.guard import Content, read_content
from medgen_pipeline.loaders.sql.names import TableNames
from medgen_pipeline.loaders.sql.session import SqlSession


def fit_feed(session: SqlSession[Any], names: TableNames) -> dict[str, str]:
    """Give a feed the columns it lacks: one per statement, as some warehouses demand. Best in no transaction.

    Returns:
        The columns that it has then, with their types; none where there is no feed.
    """
    found = session.columns(names.schemas.changes, names.table.name)
    fitted = False
    for column in names.table.columns if found else ():
        if column.name not in found:
            _add_column(session, names, names.feed, column)
            fitted = True
        elif column.type is not ColumnType.INTEGER and not names.dialect.is_reported(column.type, found[column.name]):
            # What was text and should be a number stays text: values of earlier releases need not be numbers.
            session.ddl(partial(_retype, session, names, names.feed, column))
            fitted = True
    return session.columns(names.schemas.changes, names.table.name) if fitted else found


def make_feed(session: SqlSession[Any], names: TableNames, found: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Make the feed where there is none. Best with the publication: one that is refused then leaves none.

    Args:
        session: The open session.
        names: The table's names.
        found: The feed's columns with their types, where they are known.

    Returns:
        Those that it has then.
    """
    found = found or session.columns(names.schemas.changes, names.table.name)
    if not found:
        session.make_marked(
            "feed",
            "CREATE TABLE {feed} (_change_type {name_type} NOT NULL, _release {name_type} NOT NULL,"
            " _commit_timestamp {timestamp_type} NOT NULL, _load_id {integer_type} NOT NULL, {definitions})"
            " {feed_layout}",
            names,
        )
        found = session.columns(names.schemas.changes, names.table.name)
    return found


def fit_columns(session: SqlSession[Any], names: TableNames, found: Mapping[str, str]) -> None:
    """Give production the columns that it lacks, or has with another type. In the caller's transaction.

    A column that is added is NULL until a change set fills it.

    Args:
        session: The open session.
        names: The table's names.
        found: The columns that production has, with their types.
    """
    added = [column for column in names.table.columns if column.name not in found]
    for column in added:
        _add_column(session, names, names.production, column)
    for column in names.table.columns:
        if column not in added and not names.dialect.is_reported(column.type, found[column.name]):
            _retype(session, names, names.production, column)
    describe_columns(session, names, added)


def _add_column(session: SqlSession[Any], names: TableNames, relation: sql.Statement, column: Column) -> None:
    definition = names.define([column])
    session.run("ALTER TABLE {relation} ADD COLUMN {definition}", names, relation=relation, definition=definition)


def _retype(session: SqlSession[Any], names: TableNames, relation: sql.Statement, column: Column) -> None:
    for statement in names.dialect.retype:
        session.run(
            statement,
            names,
            relation=relation,
            old=sql.Identifier(column.name),
            new=sql.Identifier(f"{column.name}__new"),
            type=names.dialect.column_type(column),
            value=names.cast(column),
        )


def make_production(session: SqlSession[Any], names: TableNames) -> None:
    """Make production, with no rows yet."""
    session.run("CREATE TABLE {production} ({definitions}) {layout}", names)


def drop_unpublished(session: SqlSession[Any], names: TableNames) -> bool:
    """Drop production where it has no rows, made for a first load that then died; returns whether it had none."""
    if session.row("SELECT 1 FROM {production} LIMIT 1", names) is not None:
        return False
    session.run("DROP TABLE {production}", names)
    return True


def fill_production(session: SqlSession[Any], names: TableNames) -> None:
    """Make the staged rows production's."""
    session.run("INSERT INTO {production} ({columns}) SELECT {columns} FROM {staging}", names)


def describe(session: SqlSession[Any], names: TableNames) -> None:
    """Put the catalog's descriptions where psql, BI tools and data catalogs find them."""
    session.comment(names.production, None, names.table.description)
    describe_columns(session, names, names.table.columns)


def describe_columns(session: SqlSession[Any], names: TableNames, columns: Sequence[Column]) -> None:
    """The same for some of the columns."""
    for column in columns:
        session.comment(names.production, column.name, column.description)


def apply_delta(
    session: SqlSession[Any], names: TableNames, start: LoadStart, load_id: int, found: Comparison[Content]
) -> None:
    """Delete and insert in place, and feed. Inside the caller's transaction."""
    require_unchanged(session, names, found)
    keep_copies(session, names, found)
    change_production(session, names, found)
    write_feed(session, names, start, load_id)
    require_published(session, names, Content(found.counts.rows_after, found.checksum_after))


def change_production(session: SqlSession[Any], names: TableNames, found: Comparison[Content]) -> None:
    """Delete and insert in place."""
    by_key = found.counts.by_key
    if by_key:
        _delete(session, names, names.parts["removed"], names.key_matches(names.table.name, names.changes_name))
    elif found.counts.deleted:
        _delete(session, names, names.parts["delete"], names.same(names.table.name, names.changes_name))
        session.run("INSERT INTO {production} ({columns}) SELECT {columns} FROM {kept}", names)
    session.run(
        "INSERT INTO {production} ({columns}) SELECT {columns} FROM {changes} WHERE _change_type IN ({added})", names
    )


# Delete from production what matches rows of the change set that are of some kinds; by ``capabilities.delete_join``.
_DELETE: Mapping[str, LiteralString] = {
    "using": "DELETE FROM {production} USING {changes} WHERE {change}._change_type IN ({kinds}) AND {matches}",
    "exists": "DELETE FROM {production} WHERE EXISTS"
    " (SELECT 1 FROM {changes} WHERE {change}._change_type IN ({kinds}) AND {matches})",
    "merge": "MERGE INTO {production} AS {name} USING"
    " (SELECT DISTINCT {columns} FROM {changes} WHERE _change_type IN ({kinds})) AS {change} ON {matches}"
    " WHEN MATCHED THEN DELETE",
}


def _delete(session: SqlSession[Any], names: TableNames, kinds: sql.Statement, matches: sql.Statement) -> None:
    session.run(
        _DELETE[session.capabilities.delete_join],
        names,
        name=sql.Identifier(names.table.name),
        change=sql.Identifier(names.changes_name),
        kinds=kinds,
        matches=matches,
    )


def keep_copies(session: SqlSession[Any], names: TableNames, found: Comparison[Content]) -> None:
    """Keep the copies of a row that the change set leaves: where one is deleted all go, and these come back."""
    if found.counts.by_key or not found.counts.deleted:
        return
    session.clear_scratch("kept", names)
    session.run(
        "INSERT INTO {kept} ({columns}) SELECT {columns} FROM"
        " (SELECT {p_columns}, d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY {p_identity}{any_order}) AS _nth"
        "  FROM {production} p JOIN (SELECT {columns}, COUNT(*) AS _copies FROM {changes}"
        "   WHERE _change_type = {delete} GROUP BY {identity}) d ON {same}) AS numbered WHERE _nth > _copies",
        names,
        p_columns=names.columns("p"),
        p_identity=names.identity("p"),
        identity=names.identity(),
        same=names.same("p", "d"),
    )


def write_feed(session: SqlSession[Any], names: TableNames, start: LoadStart, load_id: int) -> None:
    """Append the change set to the table's feed, which follows Delta Lake's change data feed."""
    session.run(
        "INSERT INTO {feed} ({feed_columns}, {columns})"
        " SELECT _change_type, CAST({release} AS {name_type}), (SELECT {now}), CAST({load_id} AS {integer_type}),"
        " {columns} FROM {changes}",
        names,
        release=start.release,
        load_id=load_id,
    )


def require_unchanged(session: SqlSession[Any], names: TableNames, found: Comparison[Content]) -> None:
    """Prove that production is as it was compared."""
    if found.production is None or read_content(session, names, names.production) != found.production:
        raise ProductionChangedError(
            f"{names.schema}.{names.table.name}: somebody else wrote to the table since it was compared. "
            "Nothing was published; load again."
        )


def require_published(session: SqlSession[Any], names: TableNames, expected: Content) -> None:
    """Prove that production is as the change set would have it."""
    observed = read_content(session, names, names.production)
    if observed != expected:
        raise LoaderError(
            f"{names.schema}.{names.table.name}: the change set would leave {observed.rows:,} rows, expected "
            f"{expected.rows:,}, or other values. Nothing was published; please report this."
        )
