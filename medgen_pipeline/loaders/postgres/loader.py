"""The contract's methods for PostgreSQL: which step of a load uses which module of this package."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from medgen_pipeline.catalog import Column, Query, Table
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.postgres import compare, guard, history, publish, query_stage
from medgen_pipeline.loaders.postgres.audit import PostgresAudit
from medgen_pipeline.loaders.postgres.config import CAPABILITIES, PostgresConfig
from medgen_pipeline.loaders.postgres.names import TableNames, definitions, schemas
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.records import (
    ApplyMode,
    ChangeCounts,
    Drift,
    LoaderError,
    LoadRecord,
    ProductionChangedError,
    Strategy,
)
from medgen_pipeline.loaders.sql import history as sql_history
from medgen_pipeline.loaders.sql.loader import SqlNativeLoader, no_guard, nothing_to_apply
from medgen_pipeline.loaders.sql.names import BaseTableNames
from medgen_pipeline.rows.records import count_rows
from medgen_pipeline.urls import split_url


class PostgresNativeLoader(SqlNativeLoader[psycopg.Cursor[Any]]):
    """Loads into PostgreSQL 14 or later."""

    capabilities: ClassVar[LoaderCapabilities] = CAPABILITIES
    scheme: ClassVar[str] = "postgresql"
    _session: PostgresSession
    _audit: PostgresAudit

    def __init__(self, db_dsn: str, config: PostgresConfig) -> None:
        """Remember where to connect; nothing is opened."""
        session = PostgresSession(db_dsn, config)
        super().__init__(session, PostgresAudit(session))
        self._config = config
        self._staged_rows = 0
        self._staged_by = 0
        self._staged_for_good = False
        self._compared: compare.Comparison | None = None

    @property
    def _last_guard(self) -> guard.Guard | None:
        return guard.Guard.of(self._last)

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """See the base class; ``config`` is that of ``PostgresConfig``."""
        split_url(db_dsn, "PostgreSQL loader: the DSN")
        try:
            conninfo_to_dict(db_dsn)
        except psycopg.ProgrammingError:
            # libpq's message quotes the DSN, password included, so neither message nor cause is passed on.
            raise ValueError(
                "PostgreSQL loader: the DSN is not a valid connection URI. Expected the form "
                "postgresql://USER:PASSWORD@HOST:PORT/DATABASE with special characters percent-encoded."
            ) from None
        return cls(db_dsn, PostgresConfig.from_mapping(config))

    def cancel(self) -> None:
        """See the base class."""
        self._session.cancel()

    def _take_lock(self, table: Table) -> None:
        self._session.take_table_lock(table)

    # --- staging -------------------------------------------------------------------------------------------------

    def initialize_staging(self, table: Table, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        """See the base class."""
        names = self._names(table)
        self._strategy = strategy
        self._staged_rows = 0
        self._compared = None
        with self._session.errors(f"creating the staging table of {table.name}"), self._session.work.transaction():
            self._require_room(names)
            self._session.drop_scratch(names)
            # What may take production's place is written as production is: a rewrite from unlogged to logged would
            # show an empty table to readers with an older snapshot. All else is scratch and needs no WAL.
            self._staged_for_good = strategy is Strategy.WAREHOUSE and not publish.swap_obstacles(self._session, names)
            self._session.make_scratch(
                "staging",
                "CREATE {scratch} TABLE {staging} ({sign}{definitions})",
                names,
                scratch=sql.SQL("" if self._staged_for_good else "UNLOGGED"),
                sign=sql.SQL('_sign "char", ' if strategy is Strategy.SNAPSHOT else ""),
                definitions=definitions(table.columns),
            )

    def bulk_load(self, table_name: str, data_iterator: Iterator[bytes]) -> int:
        """See the base class.

        TRUNCATE in the transaction of the COPY makes a repeated call start afresh, lets ``wal_level=minimal`` skip the
        write-ahead log, and allows FREEZE, which shows the rows also to readers whose snapshot is older than a swap.
        """
        staging = sql.Identifier(schemas(self._config.schema)[1], table_name)
        work = self._session.work
        sent, earlier, self._staged_rows = 0, self._staged_rows, 0
        if earlier:
            with self._session.errors(f"emptying the staging table of {table_name}"):
                work.execute(sql.SQL("TRUNCATE {}").format(staging))
        with self._session.errors(f"COPY into the staging table of {table_name}"), work.transaction():
            work.execute(sql.SQL("TRUNCATE {}").format(staging))
            with work.cursor() as cursor:
                with cursor.copy(
                    sql.SQL("COPY {} FROM STDIN (FORMAT text, NULL '', FREEZE true)").format(staging)
                ) as copy:
                    for chunk in data_iterator:
                        sent += count_rows(chunk)
                        copy.write(chunk)
                held = cursor.rowcount
            if held != sent:
                raise LoaderError(f"{table_name}: sent {sent:,} rows, PostgreSQL holds {held:,}; nothing was kept.")
            self._staged_by = self._current_transaction()
        self._staged_rows = held
        return held

    def stage_query(self, table: Table, query: Query) -> int:
        """See the base class."""
        names = self._names(table)
        with self._session.errors(f"building {table.name}"):
            # Rows of a query are not frozen as those of COPY are: a swap would show an empty table to readers whose
            # snapshot is older. So only a table that is not there yet is published by one.
            self._staged_for_good = self._staged_for_good and not self._fits(names)
            with self._session.work.transaction():
                self._staged_rows = query_stage.fill(self._session, names, query, logged=self._staged_for_good)
                self._staged_by = self._current_transaction()
        return self._staged_rows

    def read_query(self, query: Query, most: int) -> list[tuple[Any, ...]]:
        """See the base class."""
        with self._session.errors("reading the warehouse"), self._session.work.transaction():
            return query_stage.read(self._session, query, most)

    # --- change data capture -------------------------------------------------------------------------------------

    def is_as_left(self, table: Table, last: LoadRecord) -> bool:
        """See the base class."""
        left = guard.Guard.of(last)
        with self._session.errors(f"looking at {table.name}"):
            names = self._names(table)
            # Dropping a column leaves rows and storage as they were.
            if left is None or sql_history.damage(self._session, names, left):
                return False
            return guard.is_probably_as_left(self._session, names, left)

    def execute_cdc(self, table: Table) -> ChangeCounts:
        """See the base class."""
        names = self._names(table)
        with self._session.errors(f"comparing {table.name} with production"):
            self._session.set("work_mem", self._config.work_mem)
            stands = self._fits(names)
            if self._strategy is Strategy.SNAPSHOT:
                if self._last_guard is None:
                    raise LoaderError(f"{table.name}: no recorded load to apply staged changes to.")
                self._compared = compare.compare_staged_lines(self._session, names, self._last_guard)
            elif stands:
                self._compared = compare.compare_with_production(
                    self._session, names, self._staged_rows, self._last_guard
                )
            else:
                replaced = guard.production_oid(self._session, names) is not None
                suffix = publish.NEW_SUFFIX if replaced else ""
                self._compared = compare.baseline(self._session, names, self._staged_rows, suffix)
        return self._compared.counts

    def keep_unchanged(self, table: Table, last: LoadRecord) -> ChangeCounts:
        """See the base class."""
        left = guard.Guard.of(last)
        if left is None:
            raise no_guard(table, last)
        counts = ChangeCounts(0, 0, 0, left.rows, by_key=left.unique_key)
        self._compared = compare.Comparison(counts, left.written_by, left.checksum)
        return counts

    def find_drift(self, table: Table) -> Drift:
        """See the base class; also shows the rows that others have written."""
        with self._session.errors(f"checking {table.name} for drift"):
            return history.find_drift(self._session, self._names(table), guard.Guard.of(self.last_load(table)))

    def _obstacles(self, names: BaseTableNames) -> list[str]:
        return publish.swap_obstacles(self._session, self._names(names.table))

    def _put_back(self, names: BaseTableNames, standing: Mapping[str, str]) -> list[Column]:
        """See the base class; the columns also get their descriptions back."""
        self._session.set_local("lock_timeout", f"{self._config.lock_timeout_seconds:g}s")
        lost = super()._put_back(names, standing)
        publish.describe_columns(self._session, self._names(names.table), lost)
        return lost

    # --- publication ---------------------------------------------------------------------------------------------

    def can_swap(self, table: Table) -> bool:
        """See the base class."""
        with self._session.errors(f"looking at what is attached to {table.name}"):
            return self._staged_for_good and not publish.swap_obstacles(self._session, self._names(table))

    def apply_changes(self, table: Table, mode: ApplyMode) -> ChangeCounts:
        """See the base class."""
        names = self._names(table)
        found, start = self._compared, self._start
        if found is None or start is None:
            raise nothing_to_apply(table)
        if mode is ApplyMode.SWAP and not self._staged_for_good:
            # An unlogged table in production's place would be empty after the server's next crash.
            raise ProductionChangedError(
                f"{names.schema}.{table.name}: what stood in the way of a new table when the load began has gone "
                "since. Nothing was published; load again."
            )
        with self._session.errors(f"publishing {table.name}"):
            first = guard.production_oid(self._session, names) is None
            if mode is ApplyMode.SWAP and not first:
                publish.prepare_swap(self._session, names, indexed=found.counts.baseline)
            with self._session.work.transaction():
                if mode is ApplyMode.SWAP and first:
                    publish.publish_first(self._session, names)
                elif mode is ApplyMode.SWAP:
                    publish.swap(self._session, names, start, self._load_id, found)
                elif mode is ApplyMode.DELTA:
                    publish.apply_delta(self._session, names, start, self._load_id, found)
                    publish.check_values(self._session, names, found, self._strategy)
                left = self._guard_left(names, found, mode)
                self._audit.succeed(self._load_id, mode, found.counts, left)
            if mode is not ApplyMode.UNCHANGED:
                # PostgreSQL's own autovacuum waits for a tenth; a hundredth keeps plans right and weekly loads cheap.
                worth_analyzing = mode is ApplyMode.SWAP or found.counts.changed * 100 >= found.counts.rows_after
                self._settle(names, left, worth_analyzing=worth_analyzing)
        return found.counts

    def _guard_left(self, names: TableNames, found: compare.Comparison, mode: ApplyMode) -> guard.Guard:
        last = self._last_guard
        before = found.production.ids if found.production else frozenset()
        writers = {
            ApplyMode.SWAP: {self._staged_by},
            ApplyMode.DELTA: {*before, self._current_transaction()},
            ApplyMode.UNCHANGED: before,
        }[mode]
        oid = guard.production_oid(self._session, names) or 0
        return guard.Guard(
            oid=oid,
            filenode=guard.read_filenode(self._session, oid),
            rows=found.counts.rows_after,
            writers=tuple(sorted(writers)),
            unique_key=found.counts.by_key,
            checksum=found.checksum_after,
            feed_since=self._load_id if last is None or found.counts.baseline else last.feed_since,
            writes=self._writes_after(oid, found.counts, mode),
            counted_since=self._counted_since(mode),
        )

    def _writes_after(self, oid: int, counts: ChangeCounts, mode: ApplyMode) -> int | None:
        """The server's count of writes to production as it will be after the commit.

        Added up while others are locked out. Read after the commit, it would take in what somebody else has written
        since, and the next load would take that for its own.
        """
        if mode is ApplyMode.UNCHANGED:
            return self._last_guard.writes if self._last_guard else None
        if mode is ApplyMode.SWAP:
            return self._staged_rows
        before = guard.read_writes(self._session, oid)
        return None if before is None else before + counts.changed

    def _counted_since(self, mode: ApplyMode) -> str:
        """When the count of ``_writes_after`` began."""
        if mode is ApplyMode.UNCHANGED:
            return self._last_guard.counted_since if self._last_guard else ""
        return guard.read_counted_since(self._session)

    def _settle(self, names: TableNames, left: guard.Guard, *, worth_analyzing: bool) -> None:
        """After the commit: statistics for the planner, the key's index, and the server's count of writes."""
        if worth_analyzing:
            self._session.run("ANALYZE {production}", names)
        guard.flush_own_writes(self._session)
        if names.table.key and not left.unique_key and publish.regain_unique_key(self._session, names):
            self._audit.set_guard(self._load_id, dataclasses.replace(left, unique_key=True).to_json())

    def _current_transaction(self) -> int:
        row = self._session.work.execute("SELECT pg_current_xact_id()::xid::text::bigint").fetchone()
        return int(row[0]) if row else 0

    def _names(self, table: Table) -> TableNames:
        return TableNames(self._config.schema, table)
