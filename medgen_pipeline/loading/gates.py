"""The gates between staging and production: pure functions from metrics to the reasons not to publish.

A gate that closes leaves production as it was. Each names the metric, its limit, and the setting that lets this one
load through. What to do with a closed gate is the caller's business.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from medgen_pipeline.catalog import Table
from medgen_pipeline.errors import PermanentError, require_number
from medgen_pipeline.loaders import ChangeCounts
from medgen_pipeline.rows.records import FramingReport


@dataclass(frozen=True)
class GateLimits:
    """What a load may do without being asked.

    The defaults let every change between the real releases of 2021 to 2025 through, but for the one that took
    ``medgen_pubmed_lnk`` from 240 MB to 82 MB, which deserves a person's look.

    None of the 997,000 real rows read has to be repaired, and one release of ``medgen_pubmed_lnk`` is known that had
    to be. In Latin-1, 115 of the 205,000 rows of ``names`` (0.056 %) would be: only so few have a letter beyond ASCII.

    Attributes:
        max_rejected_percent: Rejected lines, in percent of all lines.
        max_repaired_rows: Rows repaired. In a large file ``max_repaired_percent`` may allow more.
        max_repaired_percent: Rows repaired, in percent of the file's rows. In a small file ``max_repaired_rows`` may
            allow more.
        max_shrink_percent: Rows lost, in percent of production's rows. A table is never emptied.
        max_growth_percent: Rows gained, in percent of production's rows.
        accept_missing_columns: Catalog columns that the header may lack; they become NULL.
        accept_broken_key: Publish although a key proven unique on real releases repeats.
    """

    max_rejected_percent: float = 0.1
    max_repaired_rows: int = 20
    max_repaired_percent: float = 0.01
    max_shrink_percent: float = 30.0
    max_growth_percent: float = 100.0
    accept_missing_columns: tuple[str, ...] = ()
    accept_broken_key: bool = False

    def __post_init__(self) -> None:
        """Refuse limits out of range.

        Raises:
            SettingError: With name, value and range.
        """
        for name in ("max_rejected_percent", "max_repaired_percent", "max_shrink_percent"):
            require_number(name, getattr(self, name), most=100)
        require_number("max_repaired_rows", self.max_repaired_rows, whole=True)
        require_number("max_growth_percent", self.max_growth_percent)


@dataclass(frozen=True)
class ClosedGate:
    """One reason not to publish, and the setting of the asset's run config that overrides it, if any does."""

    reason: str
    setting: str | None = None
    value: object = None


class GatesClosedError(PermanentError):
    """At least one gate is closed; production is as it was."""

    def __init__(self, table: Table, closed: tuple[ClosedGate, ...], load_id: int, *, staged: bool = True) -> None:
        """Compose the message a user reads first: what, why, and that nothing was lost."""
        reasons = " ".join(gate.reason for gate in closed)
        kept = (
            f" The staged rows and the rejected lines (load {load_id}) are kept for a look until the next load of the "
            "table."
            if staged
            else ""
        )
        super().__init__(f"{table.name} was not published, production is as it was. {reasons}{kept}")
        self.staged = staged
        self.table = table
        self.closed = closed

    @property
    def overrides(self) -> dict[str, object]:
        """The run config that lets this load through; empty where none does."""
        found = {gate.setting: gate.value for gate in self.closed if gate.setting is not None}
        return found if len(found) == len(self.closed) else {}


def closed_gates(table: Table, limits: GateLimits, report: FramingReport, counts: ChangeCounts) -> Iterator[ClosedGate]:
    """Every gate these metrics close."""
    lines = report.rows + report.rejected
    if report.rows == 0:
        what = f"None of the {lines:,} lines is a row of it" if lines else "The file has a header and no row"
        yield ClosedGate(
            f"{what}, and no setting lets a load empty a table. Look at the file, and load again once its source has "
            "put it right."
        )
        return
    if report.rejected * 100 > limits.max_rejected_percent * lines:
        percent = 100 * report.rejected / lines
        yield ClosedGate(
            f"{report.rejected:,} of {lines:,} lines were rejected ({percent:.3g} %, at most "
            f"{limits.max_rejected_percent:g} %).",
            "max_rejected_percent",
            _room(percent),
        )
    if report.repaired > max(limits.max_repaired_rows, limits.max_repaired_percent * report.rows / 100):
        yield ClosedGate(
            f"{report.repaired:,} of {report.rows:,} rows were repaired (at most {limits.max_repaired_rows:,} or "
            f"{limits.max_repaired_percent:g} %): they have bytes that are not UTF-8, which became U+FFFD, or broken "
            "lines. Perhaps the file is in another encoding.",
            "max_repaired_rows",
            report.repaired,
        )
    before, after = counts.rows_before, counts.rows_after
    if not counts.baseline and before:
        change = 100 * (after - before) / before
        for verb, percent, limit, setting in (
            ("shrink", -change, limits.max_shrink_percent, "max_shrink_percent"),
            ("grow", change, limits.max_growth_percent, "max_growth_percent"),
        ):
            if percent > limit:
                moved = f"from {before:,} to {after:,} rows ({percent:.3g} %, at most {limit:g} %)"
                yield ClosedGate(f"It would {verb} {moved}.", setting, _room(percent))
    if table.key_proven and not counts.key_is_unique and not limits.accept_broken_key:
        yield ClosedGate(
            f"Its key ({', '.join(table.key)}) repeats, and it never did in a real release.", "accept_broken_key", True
        )


def gate_closed_early(limits: GateLimits, report: FramingReport, most_rows: int) -> ClosedGate | None:
    """The gate for rejected lines, once it is certain to close whatever follows.

    Args:
        limits: The limits.
        report: What has been read of the file.
        most_rows: How many rows the whole file can have.
    """
    if report.rejected * 100 <= limits.max_rejected_percent * (report.rejected + most_rows):
        return None
    lines = report.rows + report.rejected
    reason = (
        f"{report.rejected:,} of the first {lines:,} lines were rejected, and the rest was not read: the file has room "
        f"for {most_rows:,} rows at most, so more than {limits.max_rejected_percent:g} % of its lines are bad."
    )
    if not report.rows:
        return ClosedGate(reason)
    return ClosedGate(reason, "max_rejected_percent", _room(100 * report.rejected / lines))


def _room(percent: float) -> float:
    """The smallest whole percent that lets this load through."""
    return float(math.ceil(percent))
