"""The contract's methods for Redshift: which step of a load uses which module of this package."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, LiteralString, Self

from psycopg import sql

from medgen_pipeline.catalog import Table
from medgen_pipeline.framing import RejectedRow
from medgen_pipeline.loaders.base import (
    AbstractNativeLoader,
    ApplyMode,
    ChangeCounts,
    Drift,
    LoadDetail,
    LoaderError,
    LoadRecord,
    LoadStart,
    LoadStatus,
    Strategy,
    new_load_id,
)
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.names import fill, schemas
from medgen_pipeline.loaders.redshift import attached, bulk, compare, guard, history, publish
from medgen_pipeline.loaders.redshift.audit import RedshiftAudit
from medgen_pipeline.loaders.redshift.config import CAPABILITIES, RedshiftConfig
from medgen_pipeline.loaders.redshift.lock import TableLock
from medgen_pipeline.loaders.redshift.names import TableNames
from medgen_pipeline.loaders.redshift.session import RedshiftSession
from medgen_pipeline.loaders.redshift.stage import Stage

# A connection that was silent for longer may have been forgotten by a firewall on its way.
_STALE_SECONDS = 60.0


class RedshiftNativeLoader(AbstractNativeLoader):
    """Loads into Amazon Redshift, provisioned or serverless, through S3."""

    capabilities: ClassVar[LoaderCapabilities] = CAPABILITIES

    def __init__(self, db_dsn: str, config: RedshiftConfig) -> None:
        """Remember where to connect; nothing is opened."""
        self._config = config
        self._session = RedshiftSession(db_dsn, config)
        self._lock = TableLock(self._session)
        self._audit = RedshiftAudit(self._session)
        self._start: LoadStart | None = None
        self._load_id = 0
        self._strategy = Strategy.WAREHOUSE
        self._staged_rows = 0
        self._found: compare.Comparison | None = None
        self._last_guard: guard.Guard | None = None
        self._swapped_at: float | None = None

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """See the base class; ``config`` is that of ``RedshiftConfig``."""
        return cls(db_dsn, RedshiftConfig.from_mapping(config))

    def connect(self) -> None:
        """See the base class."""
        self._session.open()
        try:
            self._audit.ensure_schemas()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See the base class."""
        self._session.close()
        self._lock.release()

    def cancel(self) -> None:
        """See the base class. The table's lock is on a connection of its own and stays."""
        self._session.cancel()
        try:
            self._lock.keep()
        except BaseException:
            self.close()
            raise

    def table_uri(self, table: Table) -> str:
        """See the base class."""
        return f"redshift://{self._session.connector.where}/{self._config.schema}/{table.name}"

    # --- audit ---------------------------------------------------------------------------------------------------

    def log_run_start(self, start: LoadStart) -> int:
        """See the base class."""
        self._lock.take(start.table)
        self._load_id = self._audit.start(start)
        self._start = start
        self._last_guard = guard.Guard.of(self.last_load(start.table))
        return self._load_id

    def log_run_detail(self, load_id: int, detail: LoadDetail) -> None:
        """See the base class."""
        self._audit.detail(load_id, detail)

    def log_rejected_rows(self, load_id: int, rows: Sequence[RejectedRow]) -> None:
        """See the base class."""
        self._audit.rejected_rows(load_id, rows)

    def log_run_finish(self, load_id: int, status: LoadStatus, error: str | None = None) -> LoadStatus:
        """See the base class."""
        return self._audit.finish(load_id, status, error)

    def last_load(self, table: Table) -> LoadRecord | None:
        """See the base class."""
        return self._audit.last_success(table.name)

    # --- staging -------------------------------------------------------------------------------------------------

    def initialize_staging(self, table: Table, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        """See the base class; also removes from S3 what dead loads of this table left there."""
        names = self._names(table)
        self._strategy = strategy
        self._staged_rows = 0
        self._found = None

        def create() -> None:
            self._drop(names)
            self._session.run(
                "CREATE TABLE {staging} ({sign}{definitions}) {layout}",
                names,
                sign=sql.SQL("_sign CHAR(1) NOT NULL, " if strategy is Strategy.SNAPSHOT else ""),
            )

        with (
            self._session.errors(f"creating the staging table of {table.name}"),
            self._session.waiting_at_most(self._config.swap_wait_seconds),
        ):
            self._session.transaction(create)
        ended = self._audit.ended_loads(table.name)
        with self._stage(table.name) as stage:
            stage.sweep(ended)

    def bulk_load(self, table_name: str, data_iterator: Iterator[bytes]) -> int:
        """See the base class. What was uploaded is removed from S3, whatever happens."""
        staging = sql.Identifier(schemas(self._config.schema)[1], table_name)
        started = time.monotonic()
        with self._stage(table_name) as stage:
            uploaded = stage.upload(data_iterator)
            with self._session.errors(f"COPY into the staging table of {table_name}"):
                if time.monotonic() - started > _STALE_SECONDS:
                    self._session.close()
                    self._session.open()
                self._staged_rows = bulk.copy(self._session, table_name, staging, uploaded)
        return self._staged_rows

    def cleanup(self, table: Table) -> None:
        """See the base class."""
        if self._swapped_at is not None:
            time.sleep(max(0.0, self._swapped_at + self._config.drop_grace_seconds - time.monotonic()))
            self._swapped_at = None
        with (
            self._session.errors(f"cleaning up the staging of {table.name}"),
            self._session.waiting_at_most(self._config.swap_wait_seconds),
        ):
            self._session.repeatedly(lambda: self._drop(self._names(table)))

    def _drop(self, names: TableNames) -> None:
        """Drop what a load of this table makes."""
        relations = [*names.scratch, names.parts["new"], names.parts["retired"]]
        self._session.run("DROP TABLE IF EXISTS {relations}", names, relations=sql.SQL(", ").join(relations))

    def _stage(self, table_name: str) -> Stage:
        return Stage(self._config, table_name, self._load_id or new_load_id(None))

    # --- change data capture -------------------------------------------------------------------------------------

    def is_as_left(self, table: Table, last: LoadRecord) -> bool:
        """See the base class; reads production's columns once."""
        left = guard.Guard.of(last)
        with self._session.errors(f"looking at {table.name}"):
            return left is not None and guard.is_as_left(self._session, self._names(table), left)

    def execute_cdc(self, table: Table) -> ChangeCounts:
        """See the base class."""
        names = self._names(table)
        session, rows, last = self._session, self._staged_rows, self._last_guard
        with session.errors(f"comparing {table.name} with production"):
            if self._strategy is Strategy.SNAPSHOT:
                if last is None:
                    raise LoaderError(f"{table.name}: no recorded load to apply staged changes to.")
                self._found = session.transaction(lambda: compare.compare_staged_lines(session, names, last))
            elif attached.production_fits(session, names, known=last is not None):
                self._found = session.transaction(lambda: compare.compare_with_production(session, names, last))
            else:
                self._found = session.transaction(lambda: compare.baseline(session, names, rows))
        return self._found.counts

    def keep_unchanged(self, table: Table, last: LoadRecord) -> ChangeCounts:
        """See the base class."""
        left = guard.Guard.of(last)
        if left is None:
            raise LoaderError(
                f"{table.name}: load {last.load_id} left no guard, so nothing can be taken for unchanged."
            )
        counts = ChangeCounts(0, 0, 0, left.rows, by_key=left.unique_key)
        self._found = compare.Comparison(counts, left.content, left.checksum, left.unique_key)
        return counts

    def find_drift(self, table: Table) -> Drift:
        """See the base class."""
        with self._session.errors(f"checking {table.name} for drift"):
            return history.find_drift(self._session, self._names(table), self.last_load(table))

    def read_changes(self, table: Table, since: str, until: str | None = None) -> Iterator[tuple[Any, ...]]:
        """See the base class."""
        with self._session.errors(f"reading the changes of {table.name}"):
            return history.read_changes(self._session, self._names(table), self.last_load(table), since, until)

    def read_as_of(self, table: Table, release: str) -> Iterator[tuple[Any, ...]]:
        """See the base class."""
        with self._session.errors(f"reading {table.name} as of {release}"):
            return history.read_as_of(self._session, self._names(table), self.last_load(table), release)

    def query(
        self, statement: LiteralString, params: Sequence[Any] = (), **parts: Table | sql.Composable
    ) -> list[tuple[Any, ...]]:
        """See the base class."""
        with self._session.errors("answering a query"):
            return self._session.work.execute(fill(statement, self._config.schema, parts), params).fetchall()

    # --- publication ---------------------------------------------------------------------------------------------

    def can_swap(self, table: Table) -> bool:
        """See the base class; a strict swap keeps the table, so nothing can stand in its way."""
        with self._session.errors(f"looking at what is attached to {table.name}"):
            return self._config.swap == "strict" or not attached.swap_obstacles(self._session, self._names(table))

    def apply_changes(self, table: Table, mode: ApplyMode) -> ChangeCounts:
        """See the base class."""
        names = self._names(table)
        found, start = self._found, self._start
        if found is None or start is None:
            raise LoaderError(f"{table.name}: nothing to apply: log_run_start and execute_cdc come first.")
        with self._session.errors(f"publishing {table.name}"):
            first = not guard.production_stands(self._session, names)
            renames = mode is ApplyMode.SWAP and (found.production is None or self._config.swap == "rename")
            if mode is not ApplyMode.UNCHANGED:
                publish.widen(self._session, names)
            if found.production is not None and mode is not ApplyMode.UNCHANGED:
                self._session.repeatedly(lambda: publish.prepare_feed(self._session, names))
            if renames:
                publish.prepare_new_table(self._session, names, found)

            def body() -> None:
                if mode is ApplyMode.DELTA:
                    publish.apply_delta(self._session, names, start, self._load_id, found)
                elif renames:
                    publish.swap_by_renaming(self._session, names, start, self._load_id, found, first=first)
                elif mode is ApplyMode.SWAP:
                    publish.swap_strictly(self._session, names, start, self._load_id, found)
                self._record_success(names, found, mode)

            with self._session.waiting_at_most(0):  # a rename that gave way leaves its limit behind
                publish.in_one_transaction(self._session, self._audit, self._load_id, body)
            if renames and not first:
                self._swapped_at = time.monotonic()
        return found.counts

    def _record_success(self, names: TableNames, found: compare.Comparison, mode: ApplyMode) -> None:
        """In the transaction of the data: the audit says succeeded exactly when production changed."""
        last, counts, unique = self._last_guard, found.counts, found.unique_key
        if unique is None:
            unique = compare.key_is_unique(self._session, names, names.production)
        left = guard.Guard(
            rows=counts.rows_after,
            checksum=found.checksum_after,
            unique_key=unique,
            feed_since=self._load_id if last is None or counts.baseline else last.feed_since,
        )
        self._session.run(
            "UPDATE {audit}.load_run SET status = %s, mode = %s, finished_at = GETDATE(), rows_inserted = %s,"
            " rows_updated = %s, rows_deleted = %s, rows_unchanged = %s, guard = %s WHERE load_id = %s",
            names,
            [
                LoadStatus.SUCCEEDED,
                mode,
                counts.inserted,
                counts.updated,
                counts.deleted,
                counts.unchanged,
                left.to_json(),
                self._load_id,
            ],
        )

    def _names(self, table: Table) -> TableNames:
        return TableNames(self._config.schema, table)
