"""Reads what loads left behind: drift of production, the change feed, a table as of an earlier release. Reads only."""

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from medgen_pipeline.loaders.base import Drift, LoaderError, LoadRecord
from medgen_pipeline.loaders.names import schemas
from medgen_pipeline.loaders.redshift.guard import Guard, column_widths, production_stands, read_content
from medgen_pipeline.loaders.redshift.names import TableNames
from medgen_pipeline.loaders.redshift.session import RedshiftSession


def find_drift(session: RedshiftSession, names: TableNames, last: LoadRecord | None) -> Drift:
    """Compare production with what the loads' files add up to, in one scan.

    Redshift does not say who wrote a row, so foreign rows are neither counted nor shown; the sums tell that there are.
    """
    guard = Guard.of(last)
    if guard is None:
        raise LoaderError(
            f"{names.schema}.{names.table.name}: no load is recorded, so there is nothing to compare with."
        )
    if not production_stands(session, names):
        return Drift(guard.rows, 0, checksum_matches=False, foreign_rows=0, sample=())
    found = read_content(session, names, names.production)
    return Drift(guard.rows, found.rows, checksum_matches=found.checksum == guard.checksum, foreign_rows=0, sample=())


def read_changes(
    session: RedshiftSession, names: TableNames, last: LoadRecord | None, since: str, until: str | None
) -> Iterator[tuple[Any, ...]]:
    """Feed rows of the loads after release ``since``, up to and including ``until``."""
    after = _load_of(session, names, last, since)
    upto = _load_of(session, names, last, until) if until else None
    if upto is not None and upto < after:
        raise LoaderError(f"{names.table.name}: release {until} was loaded before {since}; swap the two.")
    if not _feed_stands(session, names):
        return iter(())
    return _stream(
        session,
        sql.SQL(
            "SELECT _change_type, _release, _commit_timestamp, _load_id, {columns} FROM {feed}"
            " WHERE _load_id > {after} {limit} ORDER BY _load_id, {columns}, _change_type DESC"
        ).format(
            **names.parts,
            after=sql.Literal(after),
            limit=sql.SQL("" if upto is None else "AND _load_id <= {}").format(sql.Literal(upto)),
        ),
    )


def read_as_of(
    session: RedshiftSession, names: TableNames, last: LoadRecord | None, release: str
) -> Iterator[tuple[Any, ...]]:
    """The rows of the table as the last load of ``release`` left it: production, less every later change."""
    after = _load_of(session, names, last, release)
    if not _feed_stands(session, names):
        return _stream(session, sql.SQL("SELECT {columns} FROM {production}").format(**names.parts))
    rows = _stream(
        session,
        sql.SQL(
            "SELECT {columns}, SUM(_one) FROM (SELECT {columns}, 1 AS _one FROM {production} UNION ALL"
            " SELECT {columns}, CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE -1 END AS _one"
            " FROM {feed} WHERE _load_id > {after}) AS undone GROUP BY {identity} HAVING SUM(_one) <> 0"
        ).format(**names.parts, after=sql.Literal(after), identity=names.identity()),
    )
    return (row[:-1] for row in rows for _ in range(int(row[-1])))


def _feed_stands(session: RedshiftSession, names: TableNames) -> bool:
    return bool(column_widths(session, schemas(names.schema)[2], names.table.name))


def _load_of(session: RedshiftSession, names: TableNames, last: LoadRecord | None, release: str) -> int:
    """The last successful load of a release, if the feed reaches back to it."""
    guard = Guard.of(last)
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


def _stream(session: RedshiftSession, statement: sql.Composed) -> Iterator[tuple[Any, ...]]:
    """Rows as they come, in constant memory. A cursor would gather all of them on the leader node first.

    https://docs.aws.amazon.com/redshift/latest/dg/declare.html
    """
    with session.errors("reading the history"), session.work.cursor() as cursor:
        yield from cursor.stream(statement)
