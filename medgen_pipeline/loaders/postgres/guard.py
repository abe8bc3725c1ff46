"""Who wrote production: the proof that nothing but this package's loads did.

PostgreSQL keeps with every row the transaction that wrote it (``xmin``; freezing keeps it too since 9.4). If a table
has as many rows as the last load left, and every one of them was written by a recorded load, then no row was inserted,
updated or deleted by anybody else: an insert or update would show its own transaction, a delete would be missed in the
count. What this cannot see, and what it costs, is in docs/adr/0003-guard.md.
"""

from dataclasses import dataclass

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.postgres.names import TableNames
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.sql import guard as sql_guard


@dataclass(frozen=True, kw_only=True)
class Guard(sql_guard.Guard):
    """What a load left behind, as the audit keeps it.

    Attributes:
        writers: The 32-bit ids of the transactions that wrote production's rows.
        columns: The numbers of its columns: one that was dropped and added again has another. None are known of a load
            of an earlier version.
    """

    writers: tuple[int, ...]
    columns: tuple[int, ...] = ()

    @property
    def state(self) -> "Writers":
        """Production's rows, their writers and its columns."""
        return Writers(self.rows, frozenset(self.writers), self.columns)

    def covers(self, found: "Writers") -> bool:
        """Whether what was found is what the load left: as many rows, and of no other writers."""
        return found.rows == self.rows and found.ids <= self.state.ids and self.columns in {(), found.columns}

    def __post_init__(self) -> None:
        """JSON has lists only."""
        for name in ("writers", "columns"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True)
class Writers:
    """How many rows production holds, which transactions wrote them, and the numbers of its columns."""

    rows: int
    ids: frozenset[int]
    columns: tuple[int, ...]


def read_writers(session: PostgresSession, names: TableNames) -> Writers:
    """Scan production once (16 M rows: 0.7 s)."""
    found = session.run(
        "SELECT writer::text::bigint, copies FROM"
        " (SELECT xmin AS writer, count(*) AS copies FROM {production} GROUP BY xmin) AS by_writer",
        names,
    ).fetchall()
    ids = frozenset(row[0] for row in found)
    return Writers(sum(row[1] for row in found), ids, read_columns(session, names))


def is_written_by(session: PostgresSession, names: TableNames, known: Writers) -> bool:
    """Whether production holds just ``known.rows`` rows, all of ``known.ids``. Scans it once (16 M rows: 0.5 s)."""
    if known.columns and known.columns != read_columns(session, names):
        return False
    rows, by_known = session.run(
        "SELECT count(*), count(*) FILTER (WHERE xmin = ANY ({writers}::text[]::xid[])) FROM {production}",
        names,
        writers=[str(writer) for writer in known.ids],
    ).fetchone() or (None, None)
    return bool(rows == by_known == known.rows)


def read_columns(session: PostgresSession, names: TableNames) -> tuple[int, ...]:
    """The numbers of production's columns, in the catalog's order."""
    rows = session.run(
        "SELECT attname::text, attnum FROM pg_attribute WHERE attrelid = to_regclass({place}) AND NOT attisdropped",
        names,
        place=names.dialect.text(names.production),
    )
    numbers: dict[str, int] = dict(rows.fetchall())
    return tuple(numbers[name] for name in names.table.column_names if name in numbers)


def production_oid(session: PostgresSession, names: TableNames) -> int | None:
    """Production's object id, or None where there is none."""
    oid = session.value("SELECT to_regclass({place})::oid::bigint", names, place=names.dialect.text(names.production))
    return None if oid is None else int(oid)


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
