"""The contract's methods for a warehouse that speaks SQL and has transactions over several tables.

What is left to a backend: names and types, connections, the table's lock, and the native path into staging. Whatever
else it has a better way for, it overrides.
"""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, LiteralString

from psycopg import sql

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.loaders.contract import AbstractNativeLoader
from medgen_pipeline.loaders.records import (
    FEED_COLUMNS,
    ApplyMode,
    ChangeCounts,
    Drift,
    LoadDetail,
    LoaderError,
    LoadRecord,
    LoadStart,
    LoadStatus,
    Strategy,
    UnknownTableError,
)
from medgen_pipeline.loaders.sql import history
from medgen_pipeline.loaders.sql.audit import SqlAudit
from medgen_pipeline.loaders.sql.compare import (
    Comparison,
    baseline,
    compare_staged_lines,
    compare_with_production,
)
from medgen_pipeline.loaders.sql.guard import Guard, read_content
from medgen_pipeline.loaders.sql.names import BaseTableNames, define, fill, require_schema, schemas
from medgen_pipeline.loaders.sql.publish import apply_delta, make_anew, make_text, prepare_feed, replace_rows
from medgen_pipeline.loaders.sql.session import AnyCursor, SqlSession, require_made_by_loads
from medgen_pipeline.rows.records import RejectedRow

logger = logging.getLogger(__name__)

# As pg_class has them: what can be production, and words for what cannot.
_TABLES = ("r", "p")
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


class SqlNativeLoader(AbstractNativeLoader, Generic[AnyCursor]):
    """A loader whose audit and history are SQL tables.

    Attributes:
        scheme: Of the tables' URLs.
    """

    scheme: ClassVar[str]

    def __init__(self, session: SqlSession[AnyCursor], audit: SqlAudit[AnyCursor]) -> None:
        """Nothing is opened.

        Raises:
            ValueError: The schema cannot have its name.
        """
        require_schema(session.schema, self.capabilities.max_identifier_bytes)
        self._session = session
        self._audit = audit
        self._start: LoadStart | None = None
        self._load_id = 0
        self._last: LoadRecord | None = None
        self._strategy = Strategy.WAREHOUSE
        self._found: Comparison | None = None

    @abstractmethod
    def _names(self, table: Table) -> BaseTableNames:
        """The names of a table's relations."""

    @abstractmethod
    def _take_lock(self, table: Table) -> None:
        """Take the table's lock, giving up one held before.

        Raises:
            TableBusyError: It was not free within ``lock_timeout_seconds``; the message names the holder.
        """

    def _prepare(self) -> None:
        """Create what a load needs and is missing: the schemas and the audit's tables."""
        self._audit.ensure_schemas()

    def _obstacles(self, names: BaseTableNames) -> list[str]:
        """What users have attached to production that would be lost with the table, as words; see ``_fits``."""
        del names
        return []

    def connect(self) -> None:
        """See the base class."""
        self._session.open()

    def close(self) -> None:
        """See the base class."""
        self._session.close()

    def table_uri(self, table: Table) -> str:
        """See the base class."""
        return f"{self.scheme}://{self._session.where}/{self._session.schema}/{table.name}"

    # --- audit ---------------------------------------------------------------------------------------------------

    def log_run_start(self, start: LoadStart) -> int:
        """See the base class."""
        self._prepare()
        self._take_lock(start.table)
        self._load_id = self._audit.start(start)
        self._start = start
        self._last = self.last_load(start.table)
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

    # --- staging and comparison ----------------------------------------------------------------------------------

    def initialize_staging(self, table: Table, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        """See the base class."""
        names = self._names(table)
        self._strategy, self._found = strategy, None

        def create() -> None:
            self._session.drop_scratch(names)
            sign = sql.SQL("_sign CHAR(1) NOT NULL, " if strategy is Strategy.SNAPSHOT else "")
            self._session.make_scratch(
                "staging", "CREATE TABLE {staging} ({sign}{definitions}) {layout}", names, sign=sign
            )

        with self._session.errors(f"creating the staging table of {table.name}"):
            self._require_room(names)
            self._session.transaction(create)

    def _require_room(self, names: BaseTableNames) -> None:
        """Refuse early what a load would refuse later: a table or a feed that no load made."""
        if self._start is None:
            return
        self._fits(names)
        changes = schemas(names.schema)[2]
        feed = self._session.relations([changes]).get(changes, {}).get(names.table.name)
        # A user's comment may have taken the mark's place. The feed's own columns tell it as well.
        if feed is not None and not set(FEED_COLUMNS) <= set(self._session.columns(changes, names.table.name)):
            require_made_by_loads(changes, names.table.name, feed)

    def cleanup(self, table: Table) -> None:
        """See the base class."""
        with self._session.errors(f"cleaning up the staging of {table.name}"):
            self._session.transaction(lambda: self._session.drop_scratch(self._names(table)))

    def execute_cdc(self, table: Table) -> ChangeCounts:
        """See the base class."""
        session, names, last = self._session, self._names(table), Guard.of(self._last)
        with session.errors(f"comparing {table.name} with production"):
            if self._strategy is Strategy.SNAPSHOT:
                if last is None:
                    raise LoaderError(f"{table.name}: no recorded load to apply staged changes to.")
                found = session.transaction(lambda: compare_staged_lines(session, names, last))
            elif self._fits(names):
                found = session.transaction(lambda: compare_with_production(session, names, last))
            else:
                found = session.transaction(lambda: baseline(session, names))
        self._found = found
        return found.counts

    def _fits(self, names: BaseTableNames) -> bool:
        """Whether production stands in the catalog's shape. Columns that somebody has taken from it are put back.

        Raises:
            UnknownTableError: No recorded load made it, and this one may not take it over.
            LoaderError: Something that is no table, or has other columns, has production's name, or what users have
                attached to a table of an earlier shape would be lost.
        """
        place = f"{names.schema}.{names.table.name}"
        relation = self._session.relations([names.schema]).get(names.schema, {}).get(names.table.name)
        if relation is None:
            return False
        if relation.kind not in _TABLES:
            raise LoaderError(
                f"{place} is {_KINDS.get(relation.kind, 'something else')}, expected a table. Rename or drop it, and "
                "the next load makes the table."
            )
        standing = self._session.columns(names.schema, names.table.name)
        missing = history.missing_columns(names, standing)
        if self._last is None:
            if missing:
                found = sorted(" ".join(column) for column in standing.items())
                raise LoaderError(
                    f"{place} exists, but not as the catalog has it: missing {missing}, found {found}. Rename or drop "
                    "it, and the next load makes it anew as a first load."
                )
            if self._start is None or not self._start.take_over:
                raise UnknownTableError(
                    f"{place} exists, and no load of it is recorded: expected no table, or one that an earlier load "
                    "has made. Rename or drop it, or choose another MEDGEN_SCHEMA. take_over makes it this load's: its "
                    "rows are compared with the release, and those that are not in it are deleted."
                )
            return True
        if missing and self._last.table_shape == names.table.shape:
            logger.warning("%s has lost columns: %s. They are added, and filled from the release.", place, missing)
            self._session.transaction(lambda: self._put_back(names, standing))
            return True
        if missing and (obstacles := self._obstacles(names)):
            raise LoaderError(
                f"{place} has the shape of an earlier version (missing {missing}) and must "
                f"be made anew, but {', '.join(obstacles)} would be lost. Remove that, load, and put it back."
            )
        return not missing

    def _put_back(self, names: BaseTableNames, standing: Mapping[str, str]) -> list[Column]:
        """Give production the columns that somebody has dropped, or given another type; returns those."""
        lost = [column for column in names.table.columns if standing.get(column.name) != names.types[column.type]]
        for column in lost:
            if column.name in standing and column.type is ColumnType.TEXT:
                make_text(self._session, names, names.production, column)
                continue
            if column.name in standing:
                name = sql.Identifier(column.name)
                self._session.run("ALTER TABLE {production} DROP COLUMN {name}", names, name=name)
            definition = define([column], names.column_type)
            self._session.run("ALTER TABLE {production} ADD COLUMN {definition}", names, definition=definition)
        return lost

    def keep_unchanged(self, table: Table, last: LoadRecord) -> ChangeCounts:
        """See the base class."""
        left = Guard.of(last)
        if left is None:
            raise no_guard(table, last)
        counts = ChangeCounts(0, 0, 0, left.rows, by_key=left.unique_key)
        self._found = Comparison(counts, left.content, left.checksum, left.unique_key)
        return counts

    # --- publication ---------------------------------------------------------------------------------------------

    def can_swap(self, table: Table) -> bool:
        """See the base class; here a swap replaces all rows and keeps the table."""
        del table
        return True

    def apply_changes(self, table: Table, mode: ApplyMode) -> ChangeCounts:
        """See the base class."""
        names, session = self._names(table), self._session
        start, found = self._begun(table)

        def body() -> None:
            if found.production is None:
                make_anew(session, names)
            elif mode is ApplyMode.SWAP:
                replace_rows(session, names, start, self._load_id, found)
            elif mode is ApplyMode.DELTA:
                apply_delta(session, names, start, self._load_id, found)
            self._audit.succeed(self._load_id, mode, found.counts, self._guard_after(found))

        with session.errors(f"publishing {table.name}"):
            if found.production is not None and mode is not ApplyMode.UNCHANGED:
                prepare_feed(session, names)
            session.transaction(body)
        return found.counts

    def _begun(self, table: Table) -> tuple[LoadStart, Comparison]:
        """The start of the running load and what its comparison found, or an error where there is nothing to apply."""
        if self._start is None or self._found is None:
            raise nothing_to_apply(table)
        return self._start, self._found

    def _guard_after(self, found: Comparison) -> Guard:
        """What the load leaves behind, inside its transaction."""
        last = Guard.of(self._last)
        return Guard(
            rows=found.counts.rows_after,
            checksum=found.checksum_after,
            unique_key=found.unique_key,
            feed_since=self._load_id if last is None or found.counts.baseline else last.feed_since,
        )

    # --- history -------------------------------------------------------------------------------------------------

    def is_as_left(self, table: Table, last: LoadRecord) -> bool:
        """See the base class; reads production's columns once."""
        names, left = self._names(table), Guard.of(last)
        with self._session.errors(f"looking at {table.name}"):
            if left is None or history.damage(self._session, names, left):
                return False
            return read_content(self._session, names, names.production) == left.content

    def find_drift(self, table: Table) -> Drift:
        """See the base class."""
        with self._session.errors(f"checking {table.name} for drift"):
            return history.find_drift(self._session, self._names(table), Guard.of(self.last_load(table)))

    def read_changes(self, table: Table, since: str, until: str | None = None) -> Iterator[tuple[Any, ...]]:
        """See the base class."""
        self._audit.require_audit()
        guard = Guard.of(self.last_load(table))
        with self._session.errors(f"reading the changes of {table.name}"):
            return history.read_changes(self._session, self._names(table), guard, since, until)

    def read_as_of(self, table: Table, release: str) -> Iterator[tuple[Any, ...]]:
        """See the base class."""
        self._audit.require_audit()
        guard = Guard.of(self.last_load(table))
        with self._session.errors(f"reading {table.name} as of {release}"):
            return history.read_as_of(self._session, self._names(table), guard, release)

    def query(
        self, statement: LiteralString, params: Sequence[Any] = (), **parts: Table | sql.Composable
    ) -> list[tuple[Any, ...]]:
        """See the base class."""
        with self._session.errors("answering a query"):
            return self._session.execute(fill(statement, self._session.schema, parts), params).fetchall()


def no_guard(table: Table, last: LoadRecord) -> LoaderError:
    """The error where nothing can be taken for unchanged."""
    return LoaderError(f"{table.name}: load {last.load_id} left no guard, so nothing can be taken for unchanged.")


def nothing_to_apply(table: Table) -> LoaderError:
    """The error where a step of the load is missing."""
    return LoaderError(f"{table.name}: nothing to apply: log_run_start and execute_cdc come first.")
