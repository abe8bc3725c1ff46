"""The contract's methods that load, for a warehouse that speaks SQL and changes a table at once.

What is left to a backend: names and types, connections, the table's lock, and the native path into staging. Where it
has a better way to compare, to prove or to publish, it overrides the step below that does it.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from medgen_pipeline.catalog import Query, Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import (
    FEED_COLUMNS,
    ApplyMode,
    ChangeCounts,
    LoadDetail,
    LoaderError,
    LoadRecord,
    LoadStart,
    LoadStatus,
    ProductionChangedError,
    Strategy,
    UnknownTableError,
)
from medgen_pipeline.loaders.sql import history, one_by_one
from medgen_pipeline.loaders.sql import query as queries
from medgen_pipeline.loaders.sql.audit import SqlAudit
from medgen_pipeline.loaders.sql.compare import Comparison, baseline, compare_staged_lines, compare_with_production
from medgen_pipeline.loaders.sql.guard import Content, Guard
from medgen_pipeline.loaders.sql.names import TableNames
from medgen_pipeline.loaders.sql.publish import (
    apply_delta,
    describe,
    drop_unpublished,
    fill_production,
    fit_columns,
    fit_feed,
    make_feed,
    make_production,
)
from medgen_pipeline.loaders.sql.reader import SqlReader
from medgen_pipeline.loaders.sql.session import TABLE, AnyCursor, Relations, SqlSession, require_made_by_loads
from medgen_pipeline.loaders.sql.validity import keep_view
from medgen_pipeline.rows.records import RejectedRow

logger = logging.getLogger(__name__)


@dataclass
class LoadState:
    """What a loader knows of the load at work: from ``log_run_start`` until the next one, or until ``close``.

    Attributes:
        start: What the load was told; None where none has begun.
        load_id: Its id in the audit.
        last: The newest successful load before it.
        strategy: How its change set is found.
        found: What the comparison has found.
        fitted: Whether production's columns were changed for it, so that what ``last`` left no longer speaks of them.
        unproven: The tables it reads that are not as their loads left them.
        undone_to: The load whose state it brings back.
    """

    start: LoadStart | None = None
    load_id: int = 0
    last: LoadRecord | None = None
    strategy: Strategy = Strategy.WAREHOUSE
    found: Comparison[Any] | None = None
    fitted: bool = False
    unproven: set[str] = field(default_factory=set)
    undone_to: LoadRecord | None = None


class SqlNativeLoader(SqlReader[AnyCursor]):
    """A loader whose audit and history are SQL tables."""

    def __init__(self, session: SqlSession[AnyCursor], audit: SqlAudit[AnyCursor]) -> None:
        """Nothing is opened.

        Raises:
            ValueError: The schema cannot have its name.
        """
        super().__init__(session, audit)
        self._load = LoadState()

    def close(self) -> None:
        self._load = LoadState()
        super().close()

    @abstractmethod
    def _take_lock(self, table: Table) -> None:
        """Take the table's lock, giving up one held before.

        Raises:
            TableBusyError: It was not free within ``lock_timeout_seconds``; the message names the holder.
        """

    def _prepare(self) -> None:
        """Create what a load needs and is missing: the schemas and the audit's tables."""
        self._audit.ensure_schemas()

    # --- audit ---------------------------------------------------------------------------------------------------

    def log_run_start(self, start: LoadStart) -> int:
        self._prepare()
        self._take_lock(start.table)
        self._settle(start.table)
        self._load = LoadState(start, self._audit.start(start), self.last_load(start.table))
        return self._load.load_id

    def log_run_detail(self, load_id: int, detail: LoadDetail) -> None:
        self._audit.detail(load_id, detail)

    def log_rejected_rows(self, load_id: int, rows: Sequence[RejectedRow]) -> None:
        self._audit.rejected_rows(load_id, rows)

    def log_run_finish(self, load_id: int, status: LoadStatus, error: str | None = None) -> LoadStatus:
        if self._load.start is not None and self._load.load_id == load_id:
            self._settle(self._load.start.table)
        return self._audit.finish(load_id, status, error)

    # --- staging and comparison ----------------------------------------------------------------------------------

    def initialize_staging(self, table: Table, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        names = self._names(table)
        self._load.strategy, self._load.found, self._load.undone_to = strategy, None, None

        def create() -> None:
            self._session.drop_scratch(names, found=found)
            self._create_staging(table)
            self._session.make_scratches(names)

        with self._session.errors(f"creating the staging table of {table.name}"):
            found = self._session.relations(self._session.schemas)
            if self._load.start is not None:
                self._exists(names, found)
                self._require_own_feed(names, found)
            self._session.sweep_query_scratch(found)
            self._session.ddl(create)

    def _create_staging(self, table: Table) -> None:
        names = self._names(table)
        sign = sql.SQL("_sign {} NOT NULL, " if self._load.strategy is Strategy.SNAPSHOT else "")
        self._session.make_marked(
            "staging",
            "CREATE TABLE {staging} ({sign}{definitions}) {layout}",
            names,
            sign=sign.format(names.parts["name_type"]),
        )

    def _require_own_feed(self, names: TableNames, found: Relations) -> None:
        """Refuse early what a load would refuse late: a feed that no load made."""
        changes = names.schemas.changes
        feed = found.get(changes, {}).get(names.table.name)
        if feed is None or feed.made_by_loads:
            return
        # A user's comment may have taken the mark's place. The feed's own columns tell it as well.
        if not set(FEED_COLUMNS) <= set(self._session.columns(changes, names.table.name)):
            require_made_by_loads(changes, names.table.name, feed)

    def cleanup(self, table: Table) -> None:
        with self._session.errors(f"cleaning up the staging of {table.name}"):
            self._session.ddl(lambda: self._session.drop_scratch(self._names(table)))

    def execute_cdc(self, table: Table) -> ChangeCounts:
        names, last = self._names(table), self._guard_of(self._load.last)
        with self._session.errors(f"comparing {table.name} with production"):
            if self._load.strategy is Strategy.SNAPSHOT:
                if last is None:
                    raise LoaderError(f"{table.name}: no recorded load to apply staged changes to.")
                found = self._compare_lines(table)
                # A row that somebody else has written may be one of the file's, whose key it then repeats.
                if table.key_proven and not found.counts.key_is_unique and not self._is_in(table, last.state):
                    raise ProductionChangedError(f"{names.schema}.{table.name}: somebody else wrote to the table.")
            elif self._exists(names):  # asked again: somebody may have dropped it while the file was staged
                found = self._compare_whole(table)
            else:
                found = self._compare_nothing(table)
        self._require_undone(table, found)
        self._load.found = found
        return found.counts

    def _compare_lines(self, table: Table) -> Comparison[Any]:
        """The staged lines that were removed from the file against those that were added to it."""
        names, last = self._names(table), history.required(self._guard_of(self._load.last), self._names(table))
        return self._session.together(lambda: compare_staged_lines(self._session, names, last))

    def _compare_whole(self, table: Table) -> Comparison[Any]:
        """The staged file against production."""
        names, last = self._names(table), self._guard_of(self._comparable)
        return self._session.together(lambda: compare_with_production(self._session, names, last))

    def _compare_nothing(self, table: Table) -> Comparison[Any]:
        """The staged rows alone: there is no production."""
        return self._session.together(lambda: baseline(self._session, self._names(table)))

    @property
    def _comparable(self) -> LoadRecord | None:
        """The last load, where what it left behind still speaks of the columns that there are."""
        return None if self._load.fitted else self._load.last

    def _look_at(self, upstream: Sequence[tuple[Table, LoadRecord]]) -> None:
        """Note which tables of these are not as their loads left them. In the transaction of the query that reads them.

        Raises:
            ProductionChangedError: Under ``SNAPSHOT`` one is not.
        """
        self._load.unproven = set()
        for table, load in upstream:
            left = self._guard_of(load)
            if left is not None and self._is_in(table, left.state):
                continue
            found = f"{self._session.schema}.{table.name} is not as its load {load.load_id} left it"
            if self._load.strategy is Strategy.SNAPSHOT:
                raise ProductionChangedError(f"{found}: somebody else wrote to the table.")
            logger.warning("%s: somebody else wrote to the table. What is made from it has that in it, too.", found)
            self._load.unproven.add(table.name)

    def _exists(self, names: TableNames, relations: Relations | None = None) -> bool:
        """Whether there is a production. Under ``WAREHOUSE`` it has the catalog's columns afterwards.

        Raises:
            ProductionChangedError: Under ``SNAPSHOT``, where it is not as a load leaves it.
            UnknownTableError: No recorded load made it, and this one may not take it over.
            LoaderError: Something that is no table has production's name, or a table with other columns that no
                recorded load made.
        """
        place = f"{names.schema}.{names.table.name}"
        relations = self._session.relations([names.schema]) if relations is None else relations
        relation = relations.get(names.schema, {}).get(names.table.name)
        if relation is not None and relation.kind != TABLE:
            raise LoaderError(
                f"{place} is a {relation.kind}, expected a table. Rename or drop it, and the next load makes the table."
            )
        left = self._guard_of(self._load.last)
        if relation is not None and relation.made_by_loads and not self.capabilities.transactional_ddl:
            # One without rows, where the last load left some, is what a first load has made and did not come to fill.
            filled = left is not None and left.rows == 0
            relation = None if not filled and drop_unpublished(self._session, names) else relation
        found = self._session.columns(names.schema, names.table.name)
        missing = names.missing(found)
        unknown = missing or left is None
        if unknown and self._load.last is not None and self._load.strategy is Strategy.SNAPSHOT:
            raise ProductionChangedError(f"{place} is not as a load leaves it: missing {missing or 'its guard'}.")
        if relation is None:
            return False
        # One with none of the columns is not a damaged table of ours but another, put in its place.
        if self._load.last is None or not found.keys() & set(names.table.column_names):
            self._require_takeover(place, missing, found)
            return True
        changed = self._load.last.table_shape != names.table.shape
        if missing:
            if not changed:
                logger.warning("%s has lost columns: %s. They are added, and filled from the release.", place, missing)
            self._session.altering(lambda: self._session.ddl(lambda: fit_columns(self._session, names, found)))
        if changed:
            self._fit_key(names.table)
        self._load.fitted |= changed or bool(missing)
        return True

    def _require_takeover(self, place: str, missing: Sequence[str], found: Mapping[str, str]) -> None:
        """Raise where production is a table that no recorded load made and that this one may not take over."""
        if missing:
            columns = sorted(" ".join(column) for column in found.items())
            raise LoaderError(
                f"{place} exists, but not as the catalog has it: missing {missing}, found {columns}. Rename or drop "
                "it, and the next load makes the table."
            )
        if self._load.start is None or not self._load.start.take_over:
            raise UnknownTableError(
                f"{place} exists, and no load of it is recorded: expected no table, or one that an earlier load "
                "has made. Rename or drop it, or choose another MEDGEN_SCHEMA. take_over makes it this load's: its "
                "rows are compared with the release, and those that are not in it are deleted."
            )

    def _fit_key(self, table: Table) -> None:
        """Take from production what enforces the key of an earlier catalog entry."""

    def keep_unchanged(self, table: Table, last: LoadRecord) -> ChangeCounts:
        left = self._guard_of(last)
        if left is None:
            raise LoaderError(
                f"{table.name}: load {last.load_id} left no guard, so nothing can be taken for unchanged."
            )
        counts = ChangeCounts(unchanged=left.rows, by_key=left.unique_key)
        self._load.found = Comparison(
            counts=counts, production=left.state, checksum_after=left.checksum, unique_key=left.unique_key
        )
        return counts

    def stage_query(self, table: Table, query: Query, upstream: Sequence[tuple[Table, LoadRecord]] = ()) -> int:
        if not self.capabilities.curated:
            return super().stage_query(table, query, upstream)

        signed, names = self._load.strategy is Strategy.SNAPSHOT, self._names(table)
        with self._session.errors(f"building {table.name}"):
            return queries.fill(self._session, names, query, signed=signed, before=lambda: self._look_at(upstream))

    def stage_undone(self, table: Table, load: LoadRecord) -> int:
        with self._session.errors(f"undoing the changes of {table.name}"):
            staged = history.stage_undone(self._session, self._names(table), load.load_id)
        self._load.undone_to = load
        return staged

    def _require_undone(self, table: Table, found: Comparison[Any]) -> None:
        """Raise LoaderError where a change set that is to undo others would not leave what the earlier load had left.

        Where the catalog's entry has changed since, the sums of that time are of other columns.
        """
        load, left = self._load.undone_to, self._guard_of(self._load.undone_to)
        if load is None or left is None or load.table_shape != table.shape:
            return
        if left.content != Content(found.counts.rows_after, found.checksum_after):
            raise LoaderError(
                f"{table.name}: what the change feed has since load {load.load_id} (release {load.release}) does not "
                f"lead back to the {left.rows:,} rows that it left. Nothing was published. Was the feed edited?"
            )

    # --- publication ---------------------------------------------------------------------------------------------

    def apply_changes(self, table: Table, mode: ApplyMode) -> ChangeCounts:
        _, found = self._begun(table)

        def publish() -> None:
            feed = None
            if mode is ApplyMode.FIRST:
                self._publish_first(table)
            elif mode is ApplyMode.DELTA:
                if self.capabilities.transactional_ddl:
                    feed = make_feed(self._session, self._names(table))
                self._apply_delta(table)
            guard = self._guard_after(table, found, mode)
            if self.capabilities.transactional_ddl:
                self._keep_history(table, guard, feed)
            self._audit.succeed(self._load.load_id, mode, found.counts, guard)

        with self._session.errors(f"publishing {table.name}"):
            self._before_publishing(table, mode)
            if self.capabilities.spanning_transactions:
                self._in_one_transaction(publish)
            else:
                self._publish_one_by_one(table, mode)
            self._after_publishing(table, mode)
        return found.counts

    def _begun(self, table: Table) -> tuple[LoadStart, Comparison[Any]]:
        """The start of the running load and what its comparison found, or an error where there is nothing to apply."""
        if self._load.start is None or self._load.found is None:
            raise LoaderError(f"{table.name}: nothing to apply: log_run_start and execute_cdc come first.")
        return self._load.start, self._load.found

    def _before_publishing(self, table: Table, mode: ApplyMode) -> None:
        """What may be done before, and remain where the publication fails."""
        feed = None
        if mode is ApplyMode.DELTA:
            feed = self._session.altering(lambda: fit_feed(self._session, self._names(table)))
        if self.capabilities.transactional_ddl:
            return
        if mode is ApplyMode.FIRST:
            # The mark, which the description replaces, tells the next load whose it is where this one dies.
            make_production(self._session, self._names(table))
            if not self.dialect.layout_marks:
                self._session.mark(self._names(table).production)
        self._keep_history(table, self._guard_after(table, self._begun(table)[1], mode), feed)

    def _keep_history(self, table: Table, guard: Guard, feed: Mapping[str, str] | None = None) -> None:
        """See to it that the table has its feed, whose columns may be known, and the view that joins the two."""
        names = self._names(table)
        feed = make_feed(self._session, names, feed)
        keep_view(self._session, names, guard.feed_since, feed)

    def _in_one_transaction(self, body: Callable[[], None]) -> None:
        self._session.transaction(body)

    def _publish_one_by_one(self, table: Table, mode: ApplyMode) -> None:
        (start, found), guard = self._begun(table), self._guard_after(table, self._begun(table)[1], mode)
        one_by_one.publish(
            *(self._session, self._audit, self._names(table), start, self._load.load_id, mode, found, guard),
            lambda: self._change_production(table, mode),
        )

    def _change_production(self, table: Table, mode: ApplyMode) -> None:
        """Bring production to what was found, at once, where no transaction covers more than one table.

        A warehouse without any transaction fills a table beside production and has the two exchanged.
        """
        one_by_one.change_at_once(self._session, self._names(table), mode, self._begun(table)[1])

    def _settle(self, table: Table) -> None:
        """Finish or undo what a load of the table left half published. Called under its lock."""
        if not self.capabilities.spanning_transactions:
            one_by_one.settle(self._session, self._audit, self._names(table), partial(self._is_as_left, table))

    def _publish_first(self, table: Table) -> None:
        names = self._names(table)
        if not self.capabilities.transactional_ddl:
            fill_production(self._session, names)
            return
        make_production(self._session, names)
        fill_production(self._session, names)
        describe(self._session, names)

    def _apply_delta(self, table: Table) -> None:
        start, found = self._begun(table)
        apply_delta(self._session, self._names(table), start, self._load.load_id, found)

    def _guard_after(self, table: Table, found: Comparison[Any], mode: ApplyMode) -> Guard:
        """What the load leaves behind, inside its transaction."""
        start, _ = self._begun(table)
        del mode
        last = None if found.counts.baseline else self._guard_of(self._load.last)
        unbroken = self._load.load_id
        if last is not None and self._load.last is not None and self._is_state_of(found.production, last):
            unbroken = last.unbroken_since or self._load.last.load_id
        return Guard(
            rows=found.counts.rows_after,
            checksum=found.checksum_after,
            unique_key=found.unique_key,
            feed_since=self._load.load_id if last is None else last.feed_since,
            unbroken_since=unbroken,
            made_from={name: load for name, load in start.made_from.items() if name not in self._load.unproven},
            unproven=sorted(self._load.unproven),
            pinned=start.pinned,
            filled=found.filled,
        )

    def _is_state_of(self, production: Any, left: Guard) -> bool:
        """Whether a state that a comparison has found is the one that a load left behind."""
        return bool(production == left.state)

    def _after_publishing(self, table: Table, mode: ApplyMode) -> None:
        """What is worth doing once the change is published."""
        if mode is ApplyMode.FIRST and not self.capabilities.transactional_ddl:
            describe(self._session, self._names(table))
