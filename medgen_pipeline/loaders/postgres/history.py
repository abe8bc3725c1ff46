"""Reads what loads left behind: drift of production, the change feed, and a table as of an earlier release.

Reads only. docs/changes.md shows the same queries for use from any client.
"""

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from medgen_pipeline.loaders.base import Drift, LoaderError, LoadRecord
from medgen_pipeline.loaders.postgres.guard import Guard, production_oid
from medgen_pipeline.loaders.postgres.names import TableNames
from medgen_pipeline.loaders.postgres.session import PostgresSession

_SAMPLE_ROWS = 20
_BATCH_ROWS = 10_000


def find_drift(session: PostgresSession, names: TableNames, last: LoadRecord | None) -> Drift:
    """Compare production with what the loads' files add up to, in one scan.

    The checksum is carried from load to load by the change sets alone and never read back from production, so it also
    finds what left no trace in the transaction ids.
    """
    guard = Guard.of(last) if last else None
    if guard is None:
        raise LoaderError(
            f"{names.schema}.{names.table.name}: no load is recorded, so there is nothing to compare with."
        )
    if production_oid(session, names) is None:
        return Drift(guard.rows, 0, checksum_matches=False, foreign_rows=0, sample=())
    foreign = sql.SQL("p.xmin <> ALL ({}::text[]::xid[])").format(sql.Literal([str(xid) for xid in guard.writers]))
    rows, checksum, foreign_rows = session.run(
        "SELECT count(*), coalesce(sum({hash}), 0), count(*) FILTER (WHERE {foreign}) FROM {production} p",
        names,
        hash=names.row_hash("p"),
        foreign=foreign,
    ).fetchone() or (0, 0, 0)
    sample = session.run(
        "SELECT {p_columns} FROM {production} p WHERE {foreign} LIMIT {limit}",
        names,
        p_columns=names.columns("p"),
        foreign=foreign,
        limit=sql.Literal(_SAMPLE_ROWS if foreign_rows else 0),
    ).fetchall()
    return Drift(
        guard.rows, rows, checksum_matches=checksum == guard.checksum, foreign_rows=foreign_rows, sample=tuple(sample)
    )


def read_changes(
    session: PostgresSession, names: TableNames, last: LoadRecord | None, since: str, until: str | None
) -> Iterator[tuple[Any, ...]]:
    """Feed rows of the loads after release ``since``, up to and including ``until``."""
    after = _load_of(session, names, last, since)
    upto = _load_of(session, names, last, until) if until else None
    if upto is not None and upto < after:
        raise LoaderError(f"{names.table.name}: release {until} was loaded before {since}; swap the two.")
    if session.value("SELECT to_regclass(%s)", names, [names.feed.as_string(session.work)]) is None:
        return iter(())
    return _stream(
        session,
        sql.SQL(
            "SELECT _change_type, _release, _commit_timestamp, _load_id, {columns} FROM {feed}"
            " WHERE _load_id > {after} AND ({upto}::bigint IS NULL OR _load_id <= {upto})"
            " ORDER BY _load_id, {columns}, _change_type DESC"
        ).format(**names.parts, after=sql.Literal(after), upto=sql.Literal(upto)),
    )


def read_as_of(
    session: PostgresSession, names: TableNames, last: LoadRecord | None, release: str
) -> Iterator[tuple[Any, ...]]:
    """The rows of the table as the last load of ``release`` left it: production, less every later change."""
    after = _load_of(session, names, last, release)
    if session.value("SELECT to_regclass(%s)", names, [names.feed.as_string(session.work)]) is None:
        return _stream(session, sql.SQL("SELECT {columns} FROM {production}").format(**names.parts))
    return _stream(
        session,
        sql.SQL(
            "SELECT {columns} FROM (SELECT {columns}, sum(one) AS copies FROM ("
            " SELECT {columns}, 1 AS one FROM {production} UNION ALL"
            " SELECT {columns}, CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE -1 END"
            " FROM {feed} WHERE _load_id > {after}) AS undone GROUP BY {columns} HAVING sum(one) <> 0"
            ") AS counted, generate_series(1, copies)"
        ).format(**names.parts, after=sql.Literal(after)),
    )


def _load_of(session: PostgresSession, names: TableNames, last: LoadRecord | None, release: str) -> int:
    """The last successful load of a release, if the feed reaches back to it."""
    guard = Guard.of(last) if last else None
    loads = session.run(
        "SELECT load_id, release FROM {audit}.load_run WHERE table_name = %s AND status = 'succeeded'"
        " AND load_id >= %s ORDER BY load_id DESC",
        names,
        [names.table.name, guard.feed_since if guard else 0],
    ).fetchall()
    for load_id, label in loads:
        if label == release:
            return int(load_id)
    known = dict.fromkeys(label for _, label in loads)
    raise LoaderError(
        f"{names.table.name}: release {release!r} is not within reach of the change feed. Known releases, newest "
        f"first: {', '.join(known) or 'none'}."
    )


def _stream(session: PostgresSession, statement: sql.Composed) -> Iterator[tuple[Any, ...]]:
    """Rows of one statement through a server-side cursor, in constant memory."""
    with session.errors("reading the history"), session.work.transaction(), session.work.cursor("history") as cursor:
        cursor.itersize = _BATCH_ROWS
        cursor.execute(statement)
        yield from cursor
