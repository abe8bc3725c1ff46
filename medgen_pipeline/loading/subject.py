"""One table in the warehouse, as checks look at it, and what a look has found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

from medgen_pipeline.catalog import Table, any_table_by_name
from medgen_pipeline.loaders import AbstractNativeLoader, ApplyMode, FoundColumn, LoadRecord, LoadStatus


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        passed: Whether all is well.
        description: What is wrong and what to do; None where there is nothing to say.
        metrics: Numbers and samples for the UI; plain numbers plot.
        is_error: Whether a failure is an error; None where that is the same for all findings of the check.
    """

    passed: bool
    description: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    is_error: bool | None = None


class Change(NamedTuple):
    """A load that has changed a table's rows; its number is one of its warehouse."""

    load_id: int
    started_at: datetime

    @classmethod
    def of(cls, text: str) -> "Change":
        """The change that :meth:`__str__` has written."""
        number, _, started_at = text.partition(" ")
        return cls(int(number), datetime.fromisoformat(started_at))

    def __str__(self) -> str:
        """As text, which JSON and JavaScript keep exactly."""
        return f"{self.load_id} {self.started_at.astimezone(UTC).isoformat()}"


class Subject:
    """One table in the warehouse; what several checks want to know is read once."""

    def __init__(self, loader: AbstractNativeLoader, table: Table, run_id: str | None = None) -> None:
        """Reads nothing yet; ``loader`` is connected. What Dagster's run ``run_id`` has loaded needs no look."""
        self.loader = loader
        self.table = table
        self.run_id = run_id
        self._others: dict[str, Subject] = {table.name: self}

    def other(self, name: str) -> "Subject":
        """Another table of the same warehouse, or this one by its name."""
        if name not in self._others:
            self._others[name] = Subject(self.loader, any_table_by_name(name), self.run_id)
        return self._others[name]

    @cached_property
    def last_load(self) -> LoadRecord | None:
        """The newest successful load."""
        return self.loader.last_load(self.table)

    @property
    def load_of_run(self) -> LoadRecord | None:
        """The newest successful load where the run has made it: production is as that load has just left it."""
        last = self.last_load
        return last if last and self.run_id and last.dagster_run_id == self.run_id else None

    @cached_property
    def rows_of_load(self) -> "Change | None":
        """The load that last changed the rows; None where somebody else may have changed them since."""
        if self.last_load is None or not (self.load_of_run or self.loader.is_as_left(self.table, self.last_load)):
            return None
        return self.newest_change()

    def newest_change(self) -> "Change | None":
        """The newest load that has changed the rows, as the audit has it now."""
        rows = self.loader.query(
            "SELECT load_id, started_at FROM {audit}.load_run WHERE table_name = {table}"
            " AND status = {succeeded} AND mode <> {unchanged} ORDER BY load_id DESC LIMIT 1",
            table=self.table.name,
            succeeded=LoadStatus.SUCCEEDED,
            unchanged=ApplyMode.UNCHANGED,
        )
        return Change(*rows[0]) if rows else None

    def has(self, change: "Change") -> bool:
        """Whether the audit has this very load: another warehouse, or another history, counts its loads from 1 too."""
        rows = self.loader.query(
            "SELECT load_id, started_at FROM {audit}.load_run WHERE load_id = {load_id} AND table_name = {table}",
            load_id=change.load_id,
            table=self.table.name,
        )
        return [Change(*row) for row in rows] == [change]

    def changes_since(self, load_id: int) -> bool:
        """Whether the change feed has every change since a load left the table."""
        since = self.last_load.feed_since if self.last_load else None
        return since is not None and since <= load_id and not self.loader.feed_damage(self.table, load_id)

    @cached_property
    def columns(self) -> dict[str, FoundColumn]:
        """The columns of production; none where there is no such table."""
        return self.loader.columns(self.table)

    def lacks(self, names: Sequence[str]) -> Finding | None:
        """The finding where columns that a check reads are not there."""
        missing = [name for name in names if name not in self.columns]
        return Finding(False, f"Cannot be judged: {self.table.name} has no {', '.join(missing)}.") if missing else None
