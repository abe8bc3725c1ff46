"""Publishes a change set: in place, or by putting a new table in production's place. One transaction each.

Nothing is dropped with CASCADE, and TRUNCATE is never used: it would commit the transaction it is in.
"""

import logging
from collections.abc import Callable
from typing import LiteralString

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from medgen_pipeline.loaders.base import (
    LoaderError,
    LoadStart,
    LoadStatus,
    ProductionChangedError,
    TableBusyError,
)
from medgen_pipeline.loaders.names import schemas
from medgen_pipeline.loaders.redshift.attached import copy_attached, describe_production
from medgen_pipeline.loaders.redshift.audit import RedshiftAudit
from medgen_pipeline.loaders.redshift.compare import Comparison
from medgen_pipeline.loaders.redshift.guard import Content, column_widths, read_content
from medgen_pipeline.loaders.redshift.names import TableNames, column_type, definitions
from medgen_pipeline.loaders.redshift.session import COMMIT_LOCK, RedshiftSession, describe, is_conflict

logger = logging.getLogger(__name__)

_FEED: LiteralString = (
    "CREATE TABLE IF NOT EXISTS {feed} (_change_type VARCHAR(16) NOT NULL, _release VARCHAR(255) NOT NULL,"
    " _commit_timestamp TIMESTAMPTZ NOT NULL, _load_id BIGINT NOT NULL, {definitions})"
    " DISTSTYLE KEY DISTKEY ({dist}) COMPOUND SORTKEY (_load_id)"
)


def in_one_transaction(session: RedshiftSession, audit: RedshiftAudit, load_id: int, body: Callable[[], None]) -> None:
    """Run ``body`` in a transaction that commits once, whatever happens to the connection or between transactions.

    A connection that breaks around COMMIT leaves open whether it happened. The audit knows: ``body`` records success
    in the same transaction, and the question is asked behind the lock that the transaction holds until it has ended.
    """
    for attempt in range(1, session.config.conflict_attempts + 1):
        try:
            with session.work.transaction():
                session.work.execute(
                    sql.SQL(COMMIT_LOCK).format(audit=sql.Identifier(schemas(session.config.schema)[3]))
                )
                _require_running(session, audit, load_id)
                body()
        except psycopg.Error as error:
            lost = session.work.closed
            if attempt == session.config.conflict_attempts or not (lost or is_conflict(error)):
                raise
            logger.warning("publishing, attempt %d: %s", attempt, describe(error))
            session.pause(attempt)
            if lost:
                session.open()
                if audit.status(load_id) is LoadStatus.SUCCEEDED:
                    logger.warning("the connection broke while the transaction was committed; the load stands")
                    return
        else:
            return


def _require_running(session: RedshiftSession, audit: RedshiftAudit, load_id: int) -> None:
    if audit.status_on(session.work, load_id) is not LoadStatus.RUNNING:
        raise LoaderError(f"load {load_id} is no longer running in the audit: another load has taken over.")


def widen(session: RedshiftSession, names: TableNames) -> None:
    """Give production's and the feed's text columns the catalog's widths where those have grown.

    Outside a transaction, as Redshift demands; a widened column holds what it held.
    https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html
    """
    for schema, relation in ((names.schema, names.production), (schemas(names.schema)[2], names.feed)):
        standing = column_widths(session, schema, names.table.name)
        for column in names.table.columns:
            width = standing.get(column.name, ("", None))[1]
            wanted = column_type(column)
            if width is not None and f"VARCHAR({width})" != wanted.as_string() and width < column.max_bytes:
                session.run(
                    "ALTER TABLE {relation} ALTER COLUMN {column} TYPE {wanted}",
                    names,
                    relation=relation,
                    column=sql.Identifier(column.name),
                    wanted=wanted,
                )


def prepare_feed(session: RedshiftSession, names: TableNames) -> None:
    """Make the feed, and the columns it lacks: one per statement, and Redshift has no IF NOT EXISTS for them."""
    session.run(_FEED, names, dist=sql.Identifier(names.index_columns[0]))
    standing = column_widths(session, schemas(names.schema)[2], names.table.name)
    for column in names.table.columns:
        if column.name not in standing:
            session.run("ALTER TABLE {feed} ADD COLUMN {definition}", names, definition=definitions([column]))


def prepare_new_table(session: RedshiftSession, names: TableNames, found: Comparison) -> None:
    """Move the staged rows to a table beside production that will have its name. Moves blocks, copies nothing.

    ALTER TABLE knows no SET SCHEMA, and APPEND runs in no transaction.
    https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE_APPEND.html
    """

    def create() -> None:
        session.run("DROP TABLE IF EXISTS {new}", names)
        session.run("CREATE TABLE {new} ({definitions}) {layout}", names)

    session.transaction(create)
    session.repeatedly(lambda: session.run("ALTER TABLE {new} APPEND FROM {staging}", names))
    if read_content(session, names, names.parts["new"]) != found.after:
        raise ProductionChangedError(
            f"{names.schema}.{names.table.name}: the staged rows did not arrive whole in the new table. "
            "Nothing was published; load again."
        )


def apply_delta(session: RedshiftSession, names: TableNames, start: LoadStart, load_id: int, found: Comparison) -> None:
    """Delete and insert in place, and feed. Inside the caller's transaction."""
    _require_unchanged(session, names, found)
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
    _write_feed(session, names, start, load_id)
    _require_published(session, names, found.after)


def _delete_copies(session: RedshiftSession, names: TableNames) -> None:
    """Delete as many copies as the change set has: all equal rows go, and those too many come back."""
    session.run("CREATE TABLE {kept} ({definitions}) {layout}", names)
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


def swap_strictly(
    session: RedshiftSession, names: TableNames, start: LoadStart, load_id: int, found: Comparison
) -> None:
    """Replace all rows and keep the table. Inside the caller's transaction; readers need nothing but their snapshot."""
    _require_unchanged(session, names, found)
    _write_feed(session, names, start, load_id)
    session.run("DELETE FROM {production}", names)
    session.run("INSERT INTO {production} ({columns}) SELECT {columns} FROM {staging}", names)
    _require_published(session, names, found.after)


def swap_by_renaming(
    session: RedshiftSession, names: TableNames, start: LoadStart, load_id: int, found: Comparison, *, first: bool
) -> None:
    """Put the new table in production's place. Inside the caller's transaction.

    The old table stays, under another name, for readers that had just found it: dropping it here would give them
    "could not open relation with OID" (https://github.com/dbt-labs/dbt-core/issues/3112).
    """
    if found.production is not None:
        _require_unchanged(session, names, found)
        _write_feed(session, names, start, load_id)
    if not first:
        copy_attached(session, names)
        session.set_timeout(session.config.swap_wait_seconds)
        try:
            session.run("ALTER TABLE {production} RENAME TO {name}", names, name=sql.Identifier(names.retired_name))
        except psycopg.Error as error:
            if isinstance(error, pg_errors.QueryCanceled) or "cancelled on user's request" in str(error):
                raise TableBusyError(
                    f"{names.schema}.{names.table.name}: waited {session.config.swap_wait_seconds:g} s for running "
                    "readers. Nothing was published."
                ) from error
            raise
    session.run("ALTER TABLE {new} RENAME TO {name}", names, name=sql.Identifier(names.table.name))
    if first:
        describe_production(session, names)
    else:
        session.set_timeout(0)


def _write_feed(session: RedshiftSession, names: TableNames, start: LoadStart, load_id: int) -> None:
    """Append the change set to the table's feed, which follows Delta Lake's change data feed."""
    session.run(
        "INSERT INTO {feed} (_change_type, _release, _commit_timestamp, _load_id, {columns})"
        " SELECT _change_type, CAST(%s AS VARCHAR(255)), GETDATE(), CAST(%s AS BIGINT), {columns} FROM {changes}",
        names,
        [start.release, load_id],
    )


def _require_unchanged(session: RedshiftSession, names: TableNames, found: Comparison) -> None:
    if found.production is None or read_content(session, names, names.production) != found.production:
        raise ProductionChangedError(
            f"{names.schema}.{names.table.name}: somebody else wrote to the table since it was compared. "
            "Nothing was published; load again."
        )


def _require_published(session: RedshiftSession, names: TableNames, expected: Content) -> None:
    observed = read_content(session, names, names.production)
    if observed != expected:
        raise LoaderError(
            f"{names.schema}.{names.table.name}: the change set would leave {observed.rows:,} rows, expected "
            f"{expected.rows:,}, or other values. Nothing was published; please report this."
        )
