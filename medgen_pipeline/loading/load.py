"""The steps that all loads share: choose, stage, compare, gate, apply, audit; and the end, whatever it is.

Once, for the IO manager, the benches and the tests. Where rows come from is said by those who build on it:
``file_load``, ``curated_load``. No Dagster, no SQL, no network.
"""

import logging
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from medgen_pipeline.catalog import Table
from medgen_pipeline.errors import MedgenError, TransientError
from medgen_pipeline.loaders import (
    AbstractNativeLoader,
    ApplyMode,
    ChangeCounts,
    LoadDetail,
    LoaderError,
    LoadRecord,
    LoadStatus,
    Strategy,
    UnknownTableError,
)
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loading.gates import ClosedGate, GateLimits, GatesClosedError, closed_gates
from medgen_pipeline.loading.progress import Progress
from medgen_pipeline.rows.records import FramingReport

logger = logging.getLogger(__name__)

_PREVIEWED_ROWS = 10


class PinnedError(TransientError):
    """The table was pinned to a release after it was decided which one to load; another attempt keeps to that."""


@dataclass(frozen=True)
class LoadOptions:
    """What a load may do.

    Attributes:
        limits: The gates' limits.
        force_warehouse: Compare the whole file with production even where a cheaper way would do.
        take_over: Make a table production that has its name and that no recorded load made.
        pin: Whether the table is pinned to the release afterwards; None: no, and one that is pinned is not loaded.
    """

    limits: GateLimits = field(default_factory=GateLimits)
    force_warehouse: bool = False
    take_over: bool = False
    pin: bool | None = None


@dataclass
class LoadResult:
    """What a load did, or has done so far.

    Attributes:
        load_id: Its id in the audit.
        strategy: How the change set was found.
        strategy_reason: Why that way.
        mode: How it was applied.
        counts: What changed.
        report: What framing saw.
        staging_seconds: Reading, diffing, framing and bulk loading.
        rows_moved: Rows that went into staging: none of a release that is the last one again.
        load_seconds: From the table's lock to the end.
        metrics: What the catalog shows beside a load of a curated table: the rows of each metric, by its name.
        rejected_left_out: Rejected lines that the audit counts and does not keep.
        preview: The first rows of production that the warehouse gives, in no order.
    """

    load_id: int
    strategy: Strategy = Strategy.WAREHOUSE
    strategy_reason: str = ""
    mode: ApplyMode = ApplyMode.UNCHANGED
    counts: ChangeCounts = field(default_factory=lambda: ChangeCounts(by_key=False))
    report: FramingReport = field(default_factory=FramingReport)
    staging_seconds: float = 0.0
    rows_moved: int = 0
    load_seconds: float = 0.0
    metrics: Mapping[str, Sequence[tuple[Any, ...]]] = field(default_factory=dict)
    rejected_left_out: int = 0
    preview: Sequence[tuple[Any, ...]] = ()


class Load:
    """The steps that all loads share, and what they found."""

    def __init__(self, loader: AbstractNativeLoader, table: Table, options: LoadOptions, load_id: int) -> None:
        """The loader is connected, and the load is recorded as running."""
        self._loader = loader
        self._table = table
        self._options = options
        self._load_id = load_id
        self._result = LoadResult(load_id)
        self._progress = Progress(table.name)

    def result(self, seconds: float) -> LoadResult:
        """What it did, in so many seconds."""
        return replace(self._result, load_seconds=seconds)

    def _why_compare_everything(self, last: LoadRecord | None) -> str:
        """The doubt that rules the cheaper strategies out, or nothing."""
        if self._options.force_warehouse:
            return "the run config asks for it"
        if last is None:
            return "there is no earlier load"
        if last.table_shape != self._table.shape:
            return "the catalog's entry has changed since the last load"
        if last.guard and not last.left:
            return f"what load {last.load_id} left behind cannot be read (guard in load_run)"
        return ""

    def _is_as_left(self, last: LoadRecord) -> bool:
        """Whether production is as the last load left it; where it is not, this load is going to repair it."""
        if self._loader.is_as_left(self._table, last):
            return True
        self._result.strategy_reason = self._why_repair("")
        return False

    def _why_repair(self, otherwise: str) -> str:
        """What others have made of production; ``otherwise`` where that cannot be seen any more."""
        try:
            drift = self._loader.find_drift(self._table)
            if otherwise and not drift.written_to:
                return otherwise
            found = str(drift)
        except LoaderError as error:  # what makes the load fail as well, in its turn
            found = str(error)
        logger.warning("%s: production is not as its last load left it, and is repaired: %s", self._table.name, found)
        return f"production is not as the last load left it: {found}"

    def _initialize(self, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        """Make room for the rows, unless somebody else's table is in the way."""
        try:
            self._loader.initialize_staging(self._table, strategy)
        except UnknownTableError as error:
            gate = ClosedGate(str(error), "take_over", True)
            raise GatesClosedError(self._table, (gate,), self._load_id, staged=False) from error

    def _keep_unchanged(self, last: LoadRecord) -> None:
        self._result.report = FramingReport(
            rows=last.rows_extracted or 0, rejected=last.rows_rejected or 0, repaired=last.rows_repaired or 0
        )
        self._log_detail()
        self._result.counts = self._loader.keep_unchanged(self._table, last)
        self._loader.apply_changes(self._table, ApplyMode.UNCHANGED)

    def _publish(self) -> None:
        """Compare, pass the gates, apply."""
        self._progress.phase("comparing with production")
        self._result.counts = self._loader.execute_cdc(self._table)
        self._apply()

    def _apply(self) -> None:
        """Pass the gates and apply what was found."""
        self._pass_gates()
        self._result.mode = self._result.counts.mode
        self._progress.phase(f"publishing {self._result.counts.changed:,} changes")
        self._loader.apply_changes(self._table, self._result.mode)

    def _pass_gates(self) -> None:
        """Raise where the change set looks wrong."""
        closed = tuple(closed_gates(self._table, self._options.limits, self._result.report, self._result.counts))
        if closed:
            raise GatesClosedError(self._table, closed, self._load_id)

    def _log_detail(self) -> None:
        report = self._result.report
        self._loader.log_run_detail(
            self._load_id,
            LoadDetail(
                strategy=self._result.strategy,
                rows_extracted=report.rows,
                rows_rejected=report.rejected,
                rows_repaired=report.repaired,
            ),
        )

    # --- the end, whatever it is ---------------------------------------------------------------------------------

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Close the audit record and clean up, whatever happens inside.

        ``except BaseException``: Dagster's interrupt is not an Exception, and neither is KeyboardInterrupt.
        """
        try:
            yield
        except GatesClosedError as error:
            with undisturbed():
                self._finish(LoadStatus.FAILED, str(error))
                if not error.staged:
                    self._clean_up()
            raise
        except BaseException as error:
            with undisturbed():
                self._fresh_connection()
                if (interrupt := _interrupt_in(error)) is not None:
                    self._finish(LoadStatus.INTERRUPTED, "interrupted from outside")
                    self._clean_up()
                    raise interrupt from None
                status = self._finish(LoadStatus.FAILED, str(error))
                if status is not LoadStatus.SUCCEEDED:
                    self._clean_up()
                    raise
            logger.warning("%s: the load is published, but what follows its commit failed: %s", self._table.name, error)
        with undisturbed():
            self._clean_up()
        self._look()

    def _look(self) -> None:
        """Read the preview; a load without one has succeeded all the same."""
        columns = sql.SQL(", ").join(map(sql.Identifier, self._table.column_names))
        try:
            self._result.preview = self._loader.query(
                "SELECT {columns} FROM {table} LIMIT {most}",
                columns=columns,
                table=self._table,
                most=sql.Literal(_PREVIEWED_ROWS),
            )
        except MedgenError as error:
            logger.warning("%s: there is no preview: %s", self._table.name, error)

    def _fresh_connection(self) -> None:
        """The old one may be broken, inside a transaction, or busy with a statement nobody waits for.

        Where another load has taken the table's lock in the meantime, there is no connection afterwards: what is in
        staging is that load's.
        """
        try:
            self._loader.cancel()
        except MedgenError as error:
            logger.warning("%s: cannot reconnect after an error: %s", self._table.name, error)

    def _finish(self, status: LoadStatus, why: str) -> LoadStatus | None:
        """Close the record without hiding an error; a record that stays open is closed by the next load."""
        try:
            return self._loader.log_run_finish(self._load_id, status, why)
        except MedgenError as error:
            logger.warning("%s: the audit could not be closed; the next load will: %s", self._table.name, error)
            return None

    def _clean_up(self) -> None:
        """Clean up without hiding an error; what stays behind is swept by the next load."""
        try:
            self._loader.cleanup(self._table)
        except MedgenError as error:
            logger.warning("%s: staging could not be cleaned up; the next load will: %s", self._table.name, error)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold interrupts back until the end, and drop them where the end is an interrupt already.

    Ctrl-C reaches a step twice, from the terminal and through the process of its run. The second one would break off
    the clean-up that the first one has begun.
    """
    if threading.current_thread() is not threading.main_thread():  # the only one that they reach
        yield
        return
    held: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, _: held.append(number))
    try:
        yield
    except Exception:
        raise
    except BaseException:
        held.clear()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if held:
            signal.raise_signal(held[0])


def _interrupt_in(error: BaseException) -> BaseException | None:
    """The interrupt that ``error`` is, or that it was raised in the wake of.

    Where a signal arrives while psycopg ends a nested transaction, the outer one fails with an error of its own
    (psycopg 3.3.9: "transaction rollback at the wrong nesting level"), which would pass for a failed load.
    """
    cause: BaseException | None = error
    while isinstance(cause, Exception):
        cause = cause.__context__
    return cause
