"""Drift of production, with the rows that others have written: PostgreSQL can tell. Reads only."""

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.postgres.guard import Guard
from medgen_pipeline.loaders.postgres.names import TableNames
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.records import Drift
from medgen_pipeline.loaders.sql.history import damage, required

_SAMPLE_ROWS = 20


def find_drift(session: PostgresSession, names: TableNames, left: Guard | None) -> Drift:
    """Compare production with what the loads' files add up to, in one scan.

    The checksum is carried from load to load by the change sets alone and never read back from production, so it also
    finds what left no trace in the transaction ids.
    """
    guard = required(left, names)
    if damaged := damage(session, names, guard):
        return damaged
    foreign = sql.SQL("p.xmin <> ALL ({}::text[]::xid[])").format([str(xid) for xid in guard.writers])
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
        expected_rows=guard.rows,
        rows=rows,
        checksum_matches=checksum == guard.checksum,
        foreign_rows=foreign_rows,
        sample=tuple(sample),
    )
