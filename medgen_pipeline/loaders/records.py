"""The records that cross the contract, and its errors: what a load is told, what it found, what the audit holds."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, LiteralString

from medgen_pipeline.catalog import Table
from medgen_pipeline.errors import PermanentError, TransientError

# Of each table, rejected lines are kept for so many loads that had some.
LOADS_WITH_REJECTED_ROWS = 10
# What a change feed has before the table's own columns; the layout of Delta Lake's change data feed.
FEED_COLUMNS = ("_change_type", "_release", "_commit_timestamp", "_load_id")


class LoaderError(PermanentError):
    """The warehouse refuses what was asked of it, and will refuse it again."""


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


class TooMuchAffectedError(PermanentError):
    """A scratch table of a query got more rows than the query allows it; nothing was staged."""


class Strategy(StrEnum):
    """How the change set is found."""

    # Only the change is staged: told on the client from two archived files, or inside the warehouse from change feeds.
    SNAPSHOT = "snapshot"
    WAREHOUSE = "warehouse"  # in the database, between all that was staged and production


class ApplyMode(StrEnum):
    """How the change set reaches production."""

    FIRST = "first"  # there is no production yet, and the staged table becomes it
    DELTA = "delta"  # rows are deleted, updated and inserted in place
    UNCHANGED = "unchanged"  # there is nothing to do


class ChangeType(StrEnum):
    """What a row of the change feed says, in the words of Delta Lake's change data feed."""

    INSERT = "insert"
    DELETE = "delete"
    PREIMAGE = "update_preimage"  # a row before its update
    POSTIMAGE = "update_postimage"  # and after it


ADDED = (ChangeType.INSERT, ChangeType.POSTIMAGE)
"""The rows that a change puts into the table."""
REMOVED = (ChangeType.DELETE, ChangeType.PREIMAGE)
"""The rows that it takes out."""


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
        made_from: The load of each table that this one is made from, by its name; empty where it is made from a file.
        pinned: Whether the table is to stay at this release, whatever is published.
    """

    table: Table
    release: str
    source_sha256: str
    content_sha256: str
    dagster_run_id: str | None = None
    take_over: bool = False
    made_from: Mapping[str, int] = field(default_factory=dict)
    pinned: bool = False


@dataclass(frozen=True, kw_only=True)
class LoadDetail:
    """What framing saw and how the change set was found; known before the gates."""

    strategy: Strategy
    rows_extracted: int
    rows_rejected: int
    rows_repaired: int


@dataclass(frozen=True, kw_only=True)
class ChangeCounts:
    """The exact difference between what was staged and production.

    Attributes:
        inserted: Rows only in the release.
        updated: Rows whose key is in both and whose other values differ; 0 under whole-row comparison.
        deleted: Rows only in production.
        unchanged: Rows equal in both.
        by_key: Whether rows were matched by the catalog's key; False where it has none or the key repeats.
        baseline: Whether production does not exist yet, so that there is nothing to compare with.
        unique_key: Whether the release's key is unique and never NULL; None: as ``by_key`` says.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    by_key: bool
    baseline: bool = False
    unique_key: bool | None = field(default=None, compare=False)

    @property
    def key_is_unique(self) -> bool:
        """Whether the release's key tells its rows apart; that of a damaged production may not, until it is healed."""
        return self.by_key if self.unique_key is None else self.unique_key

    @property
    def mode(self) -> ApplyMode:
        """How the change reaches production."""
        if self.baseline:
            return ApplyMode.FIRST
        return ApplyMode.DELTA if self.changed else ApplyMode.UNCHANGED

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


# ``ChangeCounts.rows_after`` of a load, from its row in ``load_run``.
ROWS_AFTER: LiteralString = "rows_inserted + rows_updated + rows_unchanged"


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
    def rows_changed(self) -> int:
        """Rows that it inserted, updated and deleted."""
        return (self.rows_inserted or 0) + (self.rows_updated or 0) + (self.rows_deleted or 0)

    @property
    def feed_since(self) -> int | None:
        """The load whose state the change feed reaches back to, or None where that is not known."""
        return self._left_number("feed_since")

    @property
    def unbroken_since(self) -> int | None:
        """The load since which every load found production as the one before had left it, or None: not known.

        What the change feed has since then is all that has happened.
        """
        return self._left_number("unbroken_since")

    @property
    def made_from(self) -> dict[str, int]:
        """The load of each table that this one was made from, as that load had left it."""
        made_from = self.left.get("made_from")
        return made_from if isinstance(made_from, dict) else {}

    @property
    def pinned(self) -> bool:
        """Whether the table is to stay at this load's release."""
        return self.left.get("pinned") is True

    @property
    def feed_reaches(self) -> int | None:
        """The earliest load that the change feed leads back to exactly, or None where that is not known."""
        return self.feed_since if self.unbroken_since is None else self.unbroken_since

    def _left_number(self, name: str) -> int | None:
        number = self.left.get(name)
        return number if isinstance(number, int) else None

    @property
    def left(self) -> dict[str, Any]:
        """What the guard says; empty where there is none, or none that a load has written."""
        return _left_by(self.guard)


def has_foreign_rows(guard: str | None) -> bool:
    """Whether the load of this guard was made from rows that somebody else had written: its hash is not of those."""
    return bool(_left_by(guard).get("unproven"))


def _left_by(guard: str | None) -> dict[str, Any]:
    try:
        found = json.loads(guard or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class FoundColumn:
    """A column of production.

    Attributes:
        type: In the warehouse's words.
        fits: Whether that is the catalog's type for it; True of a column that the catalog does not have.
    """

    type: str
    fits: bool


@dataclass(frozen=True, kw_only=True)
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
    foreign_rows: int = 0
    sample: tuple[tuple[Any, ...], ...] = ()
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

    @property
    def written_to(self) -> bool:
        """Whether others have written, also where what they left is equal."""
        return self.found or self.foreign_rows > 0


def new_load_id(previous: int | None) -> int:
    """A 63-bit id that sorts by time and is unique without asking the backend for a sequence.

    Milliseconds since 1970, then 20 random bits. ``previous`` is the table's last id: loads of one table stay in
    order even where the clock went back.
    """
    now = (time.time_ns() // 1_000_000 << 20) | secrets.randbits(20)
    return now if previous is None or now > previous else previous + 1


def load_started(load_id: int) -> float:
    """When such an id was made, in seconds since 1970."""
    return (load_id >> 20) / 1000
