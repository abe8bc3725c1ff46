"""Who wrote production: the proof that nothing but this package's loads did.

PostgreSQL keeps with every row the transaction that wrote it (``xmin``; freezing keeps it too since 9.4). If a table
has as many rows as the last load left, and every one of them was written by a recorded load, then no row was inserted,
updated or deleted by anybody else: an insert or update would show its own transaction, a delete would be missed in the
count. What this cannot see, and what it costs, is in docs/adr/0003-guard.md.
"""

from dataclasses import dataclass

from psycopg import sql

from medgen_pipeline.loaders.postgres.names import TableNames
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.sql import guard as sql_guard


@dataclass(frozen=True, kw_only=True)
class Guard(sql_guard.Guard):
    """What a load left behind, as the audit keeps it.

    Attributes:
        oid: Production's object id; a restored or re-created table has another.
        filenode: Its storage; TRUNCATE, VACUUM FULL and rewriting ALTER TABLE give it another.
        writers: The 32-bit ids of the transactions that wrote them.
        writes: The server's count of rows ever inserted, updated and deleted, or None where it is not known.
        counted_since: When that count began. After a crash, a failover or a reset it begins at 0 again, and an UPDATE
            of every row would bring it back to where a first load left it.
    """

    oid: int
    filenode: int
    writers: tuple[int, ...]
    writes: int | None = None
    counted_since: str = ""

    @property
    def written_by(self) -> "Writers":
        """Production's rows and their writers."""
        return Writers(self.rows, frozenset(self.writers))

    def __post_init__(self) -> None:
        """JSON has lists only."""
        object.__setattr__(self, "writers", tuple(self.writers))


@dataclass(frozen=True)
class Writers:
    """How many rows production holds, and which transactions wrote them."""

    rows: int
    ids: frozenset[int]


def read_writers(session: PostgresSession, names: TableNames) -> Writers:
    """Scan production once (16 M rows: 0.7 s)."""
    found = session.run(
        "SELECT writer::text::bigint, copies FROM"
        " (SELECT xmin AS writer, count(*) AS copies FROM {production} GROUP BY xmin) AS by_writer",
        names,
    ).fetchall()
    return Writers(sum(row[1] for row in found), frozenset(row[0] for row in found))


def is_written_by(session: PostgresSession, names: TableNames, known: Writers) -> bool:
    """Whether production holds just ``known.rows`` rows, all of ``known.ids``. Scans it once (16 M rows: 0.5 s)."""
    rows, by_known = session.run(
        "SELECT count(*), count(*) FILTER (WHERE xmin = ANY (%s::text[]::xid[])) FROM {production}",
        names,
        [[str(writer) for writer in known.ids]],
    ).fetchone() or (None, None)
    return bool(rows == by_known == known.rows)


def production_oid(session: PostgresSession, names: TableNames) -> int | None:
    """Production's object id, or None where there is none."""
    oid = session.value("SELECT to_regclass(%s)::oid::bigint", names, [names.production.as_string(session.work)])
    return None if oid is None else int(oid)


def read_writes(session: PostgresSession, oid: int) -> int | None:
    """The server's count of writes to a table, cheap and nearly current: other sessions report within seconds."""
    row = session.work.execute(
        "SELECT pg_stat_get_tuples_inserted(%(oid)s) + pg_stat_get_tuples_updated(%(oid)s)"
        " + pg_stat_get_tuples_deleted(%(oid)s)",
        {"oid": oid},
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def read_counted_since(session: PostgresSession) -> str:
    """When the server began to count, for itself and for this database."""
    row = session.work.execute(
        "SELECT concat_ws(' ', pg_stat_get_bgwriter_stat_reset_time(), pg_stat_get_db_stat_reset_time(oid))"
        " FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    return str(row[0]) if row else ""


def read_filenode(session: PostgresSession, oid: int) -> int:
    """The storage of a table."""
    row = session.work.execute("SELECT pg_relation_filenode(%s::oid)::bigint", [oid]).fetchone()
    return int(row[0]) if row and row[0] else 0


def what_changes_values(session: PostgresSession, names: TableNames) -> list[str]:
    """What may make of written values others: triggers and rules of users', and foreign keys that act on the table."""
    rows = session.run(
        "SELECT 'trigger ' || g.tgname FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid"
        " WHERE g.tgenabled <> 'D' AND (NOT g.tgisinternal OR p.proname ~ '^RI_FKey_(?!check|noaction|restrict)')"
        " AND (g.tgrelid = {oid} OR g.tgrelid IN (SELECT relid FROM pg_partition_tree({oid})))"
        " UNION SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = {oid} AND ev_enabled <> 'D' ORDER BY 1",
        names,
        oid=sql.Literal(production_oid(session, names) or 0),
    ).fetchall()
    return [str(row[0]) for row in rows]


def flush_own_writes(session: PostgresSession) -> None:
    """Make this session's writes count at once; PostgreSQL 14 cannot, and is then read too early, which is harmless."""
    if session.work.info.server_version >= 150000:
        session.work.execute("SELECT pg_stat_force_next_flush()")


def is_as_left(session: PostgresSession, names: TableNames, guard: Guard) -> bool:
    """Whether nobody but recorded loads has written to production; see the module's docstring."""
    if production_oid(session, names) != guard.oid:
        return False
    return is_written_by(session, names, guard.written_by)


def is_probably_as_left(session: PostgresSession, names: TableNames, guard: Guard) -> bool:
    """The same without a scan where the server's counters stand as the load left them."""
    if production_oid(session, names) != guard.oid:
        return False
    counted = guard.writes is not None and read_writes(session, guard.oid) == guard.writes
    counted = counted and read_counted_since(session) == guard.counted_since
    if counted and read_filenode(session, guard.oid) == guard.filenode:
        return True
    return is_as_left(session, names, guard)
