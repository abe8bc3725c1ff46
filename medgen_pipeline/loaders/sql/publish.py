"""Publishes a change set inside the caller's transaction, with nothing but INSERT and DELETE.

Views, grants and comments stay, because the table does. Nothing is dropped with CASCADE, and TRUNCATE is never used:
some warehouses commit at it.
"""

from functools import partial
from typing import Any, LiteralString

from psycopg import sql

from medgen_pipeline.catalog import Column, ColumnType
from medgen_pipeline.loaders.records import LoaderError, LoadStart, ProductionChangedError
from medgen_pipeline.loaders.sql.compare import Comparison
from medgen_pipeline.loaders.sql.guard import Content, read_content
from medgen_pipeline.loaders.sql.names import BaseTableNames, define, schemas
from medgen_pipeline.loaders.sql.session import SqlSession

_STEPS_TO_TEXT: tuple[LiteralString, ...] = (
    "ALTER TABLE {relation} ADD COLUMN {new} {type}",
    "UPDATE {relation} SET {new} = CAST({old} AS {type})",
    "ALTER TABLE {relation} DROP COLUMN {old}",
    "ALTER TABLE {relation} RENAME COLUMN {new} TO {old}",
)


def prepare_feed(session: SqlSession[Any], names: BaseTableNames) -> None:
    """Make the feed, and the columns it lacks: one per statement, as some warehouses demand. Best in no transaction."""
    standing = session.columns(schemas(names.schema)[2], names.table.name)
    if not standing:
        session.run(
            "CREATE TABLE {feed} (_change_type VARCHAR(16) NOT NULL, _release VARCHAR(255) NOT NULL,"
            " _commit_timestamp TIMESTAMPTZ NOT NULL, _load_id BIGINT NOT NULL, {definitions}) {feed_layout}",
            names,
        )
        session.mark(names.feed)
        return
    for column in names.table.columns:
        if column.name not in standing:
            definition = define([column], names.column_type)
            session.run("ALTER TABLE {feed} ADD COLUMN {definition}", names, definition=definition)
        elif column.type is ColumnType.TEXT and standing[column.name] != names.types[ColumnType.TEXT]:
            session.transaction(partial(make_text, session, names, names.feed, column))


def make_text(session: SqlSession[Any], names: BaseTableNames, relation: sql.Composable, column: Column) -> None:
    """Make text of a column of another type; Redshift could not change it in place. In the caller's transaction."""
    old, new = sql.Identifier(column.name), sql.Identifier(f"{column.name}__text")
    for statement in _STEPS_TO_TEXT:
        session.run(statement, names, relation=relation, old=old, new=new, type=names.column_type(column))


def make_anew(session: SqlSession[Any], names: BaseTableNames) -> None:
    """Make production of the staged rows: there is none yet, or one of an earlier shape."""
    session.run("DROP TABLE IF EXISTS {production}", names)
    session.run("CREATE TABLE {production} ({definitions}) {layout}", names)
    session.run("INSERT INTO {production} ({columns}) SELECT {columns} FROM {staging}", names)


def apply_delta(
    session: SqlSession[Any], names: BaseTableNames, start: LoadStart, load_id: int, found: Comparison
) -> None:
    """Delete and insert in place, and feed. Inside the caller's transaction."""
    require_unchanged(session, names, found)
    if found.counts.by_key:
        session.run(
            "DELETE FROM {production} USING {changes}"
            " WHERE {changes_name}._change_type IN ('delete', 'update_preimage') AND {on}",
            names,
            changes_name=sql.Identifier(names.changes_name),
            on=names.key_matches(names.table.name, names.changes_name),
        )
    elif found.counts.deleted:
        _delete_copies(session, names)
    session.run(
        "INSERT INTO {production} ({columns}) SELECT {columns} FROM {changes}"
        " WHERE _change_type IN ('insert', 'update_postimage')",
        names,
    )
    write_feed(session, names, start, load_id)
    require_published(session, names, found.after)


def _delete_copies(session: SqlSession[Any], names: BaseTableNames) -> None:
    """Delete as many copies as the change set has: all equal rows go, and those too many come back."""
    session.make_scratch("kept", "CREATE TABLE {kept} ({definitions}) {layout}", names)
    session.run(
        "INSERT INTO {kept} ({columns}) SELECT {columns} FROM"
        " (SELECT {p_columns}, d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY {p_identity}) AS _nth"
        "  FROM {production} p JOIN (SELECT {columns}, COUNT(*) AS _copies FROM {changes}"
        "   WHERE _change_type = 'delete' GROUP BY {identity}) d ON {same}) AS numbered WHERE _nth > _copies",
        names,
        p_columns=names.columns("p"),
        p_identity=names.identity("p"),
        identity=names.identity(),
        same=names.same("p", "d"),
    )
    session.run(
        "DELETE FROM {production} USING {changes} WHERE {changes_name}._change_type = 'delete' AND {same}",
        names,
        changes_name=sql.Identifier(names.changes_name),
        same=names.same(names.table.name, names.changes_name),
    )
    session.run("INSERT INTO {production} ({columns}) SELECT {columns} FROM {kept}", names)


def replace_rows(
    session: SqlSession[Any], names: BaseTableNames, start: LoadStart, load_id: int, found: Comparison
) -> None:
    """Replace all rows and keep the table. Inside the caller's transaction; readers need nothing but their snapshot."""
    require_unchanged(session, names, found)
    write_feed(session, names, start, load_id)
    session.run("DELETE FROM {production}", names)
    session.run("INSERT INTO {production} ({columns}) SELECT {columns} FROM {staging}", names)
    require_published(session, names, found.after)


def write_feed(session: SqlSession[Any], names: BaseTableNames, start: LoadStart, load_id: int) -> None:
    """Append the change set to the table's feed, which follows Delta Lake's change data feed."""
    session.run(
        "INSERT INTO {feed} (_change_type, _release, _commit_timestamp, _load_id, {columns})"
        " SELECT _change_type, CAST(%s AS VARCHAR(255)), {now}, CAST(%s AS BIGINT), {columns} FROM {changes}",
        names,
        [start.release, load_id],
    )


def require_unchanged(session: SqlSession[Any], names: BaseTableNames, found: Comparison) -> None:
    """Prove that production is as it was compared."""
    if found.production is None or read_content(session, names, names.production) != found.production:
        raise ProductionChangedError(
            f"{names.schema}.{names.table.name}: somebody else wrote to the table since it was compared. "
            "Nothing was published; load again."
        )


def require_published(session: SqlSession[Any], names: BaseTableNames, expected: Content) -> None:
    """Prove that production is as the change set would have it."""
    observed = read_content(session, names, names.production)
    if observed != expected:
        raise LoaderError(
            f"{names.schema}.{names.table.name}: the change set would leave {observed.rows:,} rows, expected "
            f"{expected.rows:,}, or other values. Nothing was published; please report this."
        )
