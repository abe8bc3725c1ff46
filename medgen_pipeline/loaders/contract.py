"""The contract every backend implements, and the records that cross it.

A loader drives one load of one table at a time: ``log_run_start``, ``initialize_staging``, ``bulk_load``,
``execute_cdc``, ``apply_changes``, ``cleanup``; ``stage_query`` takes ``bulk_load``'s place where
rows come from other tables. Each method's docstring states its invariant. The order of a load, the
gates and the reactions to errors are ``medgen_pipeline.loading.file_load``'s; SQL is the backends'.
"""

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, ClassVar, LiteralString, Self

from psycopg import sql

from medgen_pipeline.catalog import Query, Table
from medgen_pipeline.errors import PermanentError, TransientError
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.rows.framing import RejectedRow

# Of each table, rejected lines are kept for so many loads that had some.
LOADS_WITH_REJECTED_ROWS = 10
# What a change feed has before the table's own columns; the layout of Delta Lake's change data feed.
FEED_COLUMNS = ("_change_type", "_release", "_commit_timestamp", "_load_id")


class LoaderError(PermanentError):
    """The warehouse refuses what was asked of it, and will refuse it again."""


class SwapRefusedError(LoaderError):
    """What users have attached to production keeps a new table from taking its place; a change in place may do."""


class UnknownTableError(LoaderError):
    """Something has production's name that no recorded load made, and the load may not take it over."""


class LostConnectionError(TransientError):
    """The connection to the warehouse could not be opened or broke."""


class TableBusyError(TransientError):
    """Another load of the same table held its lock for longer than this one would wait."""


class WarehouseBusyError(TransientError):
    """The warehouse was short of something, or others were in the way: a deadlock, no free connection, a cancel."""


class ProductionChangedError(TransientError):
    """Production is not as the change set was made for, so nothing was published; a new comparison will do."""


class Strategy(StrEnum):
    """How the change set is found."""

    SNAPSHOT = "snapshot"  # on the client, between two archived files; only the change is staged
    WAREHOUSE = "warehouse"  # in the database, between the staged file and production


class ApplyMode(StrEnum):
    """How the change set reaches production."""

    SWAP = "swap"  # the staged table takes production's place
    DELTA = "delta"  # rows are deleted, updated and inserted in place
    UNCHANGED = "unchanged"  # there is nothing to do


class LoadStatus(StrEnum):
    """The life of one load in the audit."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    ABANDONED = "abandoned"  # its process died; the next load found it


@dataclass(frozen=True)
class LoadStart:
    """What is known before a load begins.

    Attributes:
        take_over: Whether a table of production's name that no recorded load made may become production.
    """

    table: Table
    release: str
    source_sha256: str
    content_sha256: str
    dagster_run_id: str | None = None
    take_over: bool = False


@dataclass(frozen=True)
class LoadDetail:
    """What framing saw and how the change set was found; known before the gates."""

    strategy: Strategy
    rows_extracted: int
    rows_rejected: int
    rows_repaired: int


@dataclass(frozen=True)
class ChangeCounts:
    """The exact difference between what was staged and production.

    Attributes:
        inserted: Rows only in the release.
        updated: Rows whose key is in both and whose other values differ; 0 under whole-row comparison.
        deleted: Rows only in production.
        unchanged: Rows equal in both.
        by_key: Whether rows were matched by the catalog's key; False where it has none or the key repeats.
        baseline: Whether production does not exist yet in this shape, so that there is nothing to compare with.
        unique_key: Whether the release's key is unique and never NULL; None: as ``by_key`` says.
    """

    inserted: int
    updated: int
    deleted: int
    unchanged: int
    by_key: bool
    baseline: bool = False
    unique_key: bool | None = field(default=None, compare=False)

    @property
    def key_is_unique(self) -> bool:
        """Whether the release's key tells its rows apart; that of a damaged production may not, until it is healed."""
        return self.by_key if self.unique_key is None else self.unique_key

    @property
    def rows_before(self) -> int:
        """Rows of production before the change is applied."""
        return self.unchanged + self.updated + self.deleted

    @property
    def rows_after(self) -> int:
        """Rows of production once the change is applied."""
        return self.unchanged + self.updated + self.inserted

    @property
    def changed(self) -> int:
        """Rows the change touches."""
        return self.inserted + self.updated + self.deleted


@dataclass(frozen=True)
class LoadRecord:
    """One row of ``load_run``, as the audit holds it."""

    load_id: int
    dagster_run_id: str | None
    table_name: str
    release: str
    source_sha256: str
    content_sha256: str
    table_shape: str
    strategy: str | None
    mode: str | None
    status: str
    started_at: datetime
    finished_at: datetime | None
    rows_extracted: int | None
    rows_rejected: int | None
    rows_repaired: int | None
    rows_inserted: int | None
    rows_updated: int | None
    rows_deleted: int | None
    rows_unchanged: int | None
    guard: str | None
    error: str | None

    @property
    def rows_after(self) -> int:
        """Rows of production when the load had succeeded."""
        return (self.rows_inserted or 0) + (self.rows_updated or 0) + (self.rows_unchanged or 0)

    @property
    def feed_since(self) -> int | None:
        """The load whose state the change feed reaches back to, or None where that is not known."""
        since = self.left.get("feed_since")
        return since if isinstance(since, int) else None

    @property
    def left(self) -> dict[str, Any]:
        """What the guard says; empty where there is none, or none that a load has written."""
        try:
            found = json.loads(self.guard or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Drift:
    """How production differs from what the loads' files add up to.

    Attributes:
        expected_rows: Rows the last load left.
        rows: Rows there are.
        checksum_matches: Whether the rows' content adds up to what the files added up to.
        foreign_rows: Rows that somebody else has written.
        sample: Some of them, in column order.
        missing_columns: Columns of the catalog, with their types, that it has not; then nothing else was looked at.
    """

    expected_rows: int
    rows: int
    checksum_matches: bool
    foreign_rows: int
    sample: tuple[tuple[Any, ...], ...]
    missing_columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What was found, for a log."""
        if self.missing_columns:
            return f"it has no column {', no column '.join(self.missing_columns)}"
        written = f"rows written by others: {self.foreign_rows:,}" if self.foreign_rows else ""
        if self.rows != self.expected_rows:
            return ", ".join(filter(None, [f"it has {self.rows:,} rows, expected {self.expected_rows:,}", written]))
        return written or ("its rows are the same" if self.checksum_matches else "its rows have other values")

    @property
    def found(self) -> bool:
        """Whether there is any difference."""
        return not self.checksum_matches or self.rows != self.expected_rows


def new_load_id(previous: int | None) -> int:
    """A 63-bit id that sorts by time and is unique without asking the backend for a sequence.

    Milliseconds since 1970, then 20 random bits. ``previous`` is the table's last id: loads of one table stay in
    order even where the clock went back.
    """
    now = (time.time_ns() // 1_000_000 << 20) | secrets.randbits(20)
    return now if previous is None or now > previous else previous + 1


class AbstractNativeLoader(ABC):
    """Loads canonical bytes into one warehouse through its own bulk path.

    Not thread-safe; one instance runs one load of one table at a time. Errors are ``LoaderError`` (permanent),
    ``LostConnectionError`` and ``TableBusyError`` (transient).
    """

    capabilities: ClassVar[LoaderCapabilities]

    @classmethod
    @abstractmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """A loader that is not connected yet; raises ValueError where DSN or config cannot be right."""

    @abstractmethod
    def connect(self) -> None:
        """Open the connection, also after ``close``; a second call on an open loader changes nothing.

        Nothing is created: also those connect who only read, and perhaps the wrong database.
        """

    @abstractmethod
    def close(self) -> None:
        """Release connection and table lock; harmless when called twice or before ``connect``."""

    def __enter__(self) -> Self:
        """Connect."""
        self.connect()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()

    @abstractmethod
    def is_as_left(self, table: Table, last: LoadRecord) -> bool:
        """Whether production is as the load ``last`` left it, as far as can be told without reading its rows."""

    @abstractmethod
    def initialize_staging(self, table: Table, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        """Afterwards an empty staging table exists, whatever a killed run left behind.

        Under ``SNAPSHOT`` it takes canonical rows that begin with one more field, ``+`` or ``-``.

        Raises:
            UnknownTableError: No recorded load made the table that production is to be; see ``LoadStart.take_over``.
            LoaderError: Something else that no load made has a name that the load needs.
        """

    @abstractmethod
    def bulk_load(self, table_name: str, data_iterator: Iterator[bytes]) -> int:
        """Stream canonical bytes into staging through the native path, in constant memory.

        Returns the rows the backend says it holds. They equal the rows sent, or it raises and staging is empty.
        """

    def stage_query(self, table: Table, query: Query) -> int:
        """Fill the empty staging table from a query that runs inside the warehouse, in one snapshot of it.

        For backends with the capability ``curated``. Returns the rows the backend says it holds. A failure leaves
        nothing of the query behind.
        """
        del query
        raise self._no_queries(table.name)

    def read_query(self, query: Query, most: int) -> list[tuple[Any, ...]]:
        """The first ``most`` rows of a query that runs inside the warehouse, as it is when called.

        For backends with the capability ``curated``.
        """
        del most
        raise self._no_queries(f"an answer from {', '.join(query.tables)}")

    def _no_queries(self, wanted: str) -> LoaderError:
        return LoaderError(
            f"{wanted} cannot be made: the backend {self.capabilities.backend} has no curated tables. "
            "Set MEDGEN_CURATED=false."
        )

    @abstractmethod
    def execute_cdc(self, table: Table) -> ChangeCounts:
        """Write the exact change set between staging and production, duplicates and NULLs included.

        Touches no production row. Under ``SNAPSHOT`` the staged lines are the change already.
        """

    @abstractmethod
    def keep_unchanged(self, table: Table, last: LoadRecord) -> ChangeCounts:
        """The counts of a release equal to ``last``'s: stands in for staging and comparison."""

    @abstractmethod
    def can_swap(self, table: Table) -> bool:
        """Whether the staged table can take production's place with nothing of the user's lost."""

    @abstractmethod
    def apply_changes(self, table: Table, mode: ApplyMode) -> ChangeCounts:
        """Publish the change set: production, change feed and audit move together or not at all.

        Readers see the old table or the new one, never a mixture, an error or an empty table.

        Raises:
            ProductionChangedError: Somebody else wrote to production since it was compared.
            SwapRefusedError: Of a swap only; nothing was published, and the same change set may go in place.
        """

    @abstractmethod
    def cleanup(self, table: Table) -> None:
        """Remove whatever a load of this table left in the backend's staging; idempotent."""

    @abstractmethod
    def cancel(self) -> None:
        """Stop what the backend is doing for this loader and continue on a fresh connection."""

    @abstractmethod
    def log_run_start(self, start: LoadStart) -> int:
        """Take the table's lock, mark its abandoned predecessors, and record a running load; returns its id.

        Creates the schemas and the audit where they are missing; no other method does.
        Holding the lock proves that a predecessor still marked as running is dead.

        Raises:
            TableBusyError: Another load holds the lock; the message names it.
        """

    @abstractmethod
    def log_run_detail(self, load_id: int, detail: LoadDetail) -> None:
        """Record what framing saw, on a connection of its own, so that it survives a rollback."""

    @abstractmethod
    def log_rejected_rows(self, load_id: int, rows: Sequence[RejectedRow]) -> None:
        """Record rejected lines, on a connection of its own.

        Those of older loads of the table go: they are kept for the last ``LOADS_WITH_REJECTED_ROWS`` that had some.
        """

    @abstractmethod
    def log_run_finish(self, load_id: int, status: LoadStatus, error: str | None = None) -> LoadStatus:
        """Close the record unless it is closed already; returns the status that stands.

        A load whose connection broke around COMMIT learns here whether it succeeded, because ``apply_changes``
        records success in its own transaction.
        """

    @abstractmethod
    def table_uri(self, table: Table) -> str:
        """Where the table is, without credentials."""

    @abstractmethod
    def find_drift(self, table: Table) -> Drift:
        """Compare production's rows with the files it was made from, reading each row once.

        Raises:
            LoaderError: No load is recorded.
        """

    @abstractmethod
    def read_changes(self, table: Table, since: str, until: str | None = None) -> Iterator[tuple[Any, ...]]:
        """Feed rows of the loads after release ``since`` up to ``until``: four feed columns, then the table's."""

    @abstractmethod
    def read_as_of(self, table: Table, release: str) -> Iterator[tuple[Any, ...]]:
        """The rows the table had after the last load of ``release``, in constant memory and in no order."""

    @abstractmethod
    def last_load(self, table: Table) -> LoadRecord | None:
        """The newest successful load of this table; None also where nothing was ever loaded."""

    @abstractmethod
    def query(
        self, statement: LiteralString, params: Sequence[Any] = (), **parts: Table | sql.Composable
    ) -> list[tuple[Any, ...]]:
        """The rows of one SELECT, all in memory; for checks, which must run on every backend.

        In ``statement``, ``{schema}`` stands for the tables' schema as a string, ``{audit}`` for the name of the
        schema with ``load_run`` and ``rejected_row``, a name in ``parts`` for that table's production or that piece
        of SQL, and ``%s`` for a value of ``params``.
        """
