"""One load of one table from its archived file to production: frame, stage, compare, gate, apply, audit.

The order of the steps and the reactions to errors live here, once, for the IO manager, the benches and the tests. No
Dagster, no SQL, no network.
"""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip_threaded

from medgen_pipeline.catalog import Table
from medgen_pipeline.errors import MedgenError
from medgen_pipeline.framing import FramedFile, FramingReport, MissingColumnError, RejectedRow
from medgen_pipeline.gates import ClosedGate, GateLimits, GatesClosedError, closed_gates
from medgen_pipeline.loaders import (
    AbstractNativeLoader,
    ApplyMode,
    ChangeCounts,
    LoadDetail,
    LoadStart,
    LoadStatus,
    Strategy,
)
from medgen_pipeline.release import SourceFile

logger = logging.getLogger(__name__)

_REJECTED_BATCH = 1000


@dataclass(frozen=True)
class LoadResult:
    """What a load did.

    Attributes:
        load_id: Its id in the audit.
        strategy: How the change set was found.
        mode: How it was applied.
        counts: What changed.
        report: What framing saw.
        staging_seconds: Reading, framing and bulk loading.
        load_seconds: From the table's lock to the commit.
    """

    load_id: int
    strategy: Strategy
    mode: ApplyMode
    counts: ChangeCounts
    report: FramingReport
    staging_seconds: float
    load_seconds: float


def load_table(
    loader: AbstractNativeLoader,
    table: Table,
    source: SourceFile,
    limits: GateLimits,
    dagster_run_id: str | None = None,
) -> LoadResult:
    """Bring production to ``source``, or leave it as it was and raise.

    Args:
        loader: Not connected yet; it is closed at the end.
        table: The catalog's entry.
        source: A verified file from the archive.
        limits: The gates' limits.
        dagster_run_id: For the audit.

    Raises:
        GatesClosedError: The release looks wrong; staged rows are kept for a look.
        MedgenError: The file cannot be read or the warehouse refuses; see the message.
    """
    with loader:
        started = time.monotonic()
        load_id = loader.log_run_start(
            LoadStart(table, source.release, source.sha256, source.content_sha256, dagster_run_id)
        )
        with _recorded(loader, table, load_id):
            loader.initialize_staging(table)
            report = _stage(loader, table, source.path, load_id, limits)
            staged = time.monotonic()
            counts = loader.execute_cdc(table)
            closed = tuple(closed_gates(table, limits, report, counts))
            if closed:
                raise GatesClosedError(table, closed, load_id)
            mode = choose_mode(counts)
            loader.apply_changes(table, mode)
        return LoadResult(
            load_id=load_id,
            strategy=Strategy.WAREHOUSE,
            mode=mode,
            counts=counts,
            report=report,
            staging_seconds=staged - started,
            load_seconds=time.monotonic() - started,
        )


@contextmanager
def _recorded(loader: AbstractNativeLoader, table: Table, load_id: int) -> Iterator[None]:
    """Close the audit record and clean up, whatever happens inside.

    ``except BaseException``: Dagster's interrupt is not an Exception, and neither is KeyboardInterrupt.
    """
    try:
        yield
    except GatesClosedError as error:
        loader.log_run_finish(load_id, LoadStatus.FAILED, str(error))
        raise
    except Exception as error:
        status = loader.log_run_finish(load_id, LoadStatus.FAILED, str(error))
        if status is not LoadStatus.SUCCEEDED:
            _clean_up(loader, table)
            raise
        logger.warning("%s: the connection broke after the commit; the load stands: %s", table.name, error)
    except BaseException:
        loader.cancel()
        loader.log_run_finish(load_id, LoadStatus.INTERRUPTED, "interrupted from outside")
        _clean_up(loader, table)
        raise
    loader.cleanup(table)


def _clean_up(loader: AbstractNativeLoader, table: Table) -> None:
    """Clean up after an error without hiding it; what stays behind is swept by the next load."""
    try:
        loader.cancel()
        loader.cleanup(table)
    except MedgenError as error:
        logger.warning("%s: staging could not be cleaned up; the next load will: %s", table.name, error)


def _stage(loader: AbstractNativeLoader, table: Table, path: Path, load_id: int, limits: GateLimits) -> FramingReport:
    rejected: list[RejectedRow] = []

    def set_aside(row: RejectedRow) -> None:
        rejected.append(row)
        if len(rejected) >= _REJECTED_BATCH:
            loader.log_rejected_rows(load_id, rejected)
            rejected.clear()

    with open_published(table, path) as stream:
        framed = FramedFile(table, stream, set_aside, frozenset(limits.accept_missing_columns))
        try:
            loader.bulk_load(table.name, one_ahead(iter(framed)))
        except MissingColumnError as error:
            gate = ClosedGate(str(error), "accept_missing_columns", list(error.columns))
            raise GatesClosedError(table, (gate,), load_id) from error
    if rejected:
        loader.log_rejected_rows(load_id, rejected)
    report = framed.report
    loader.log_run_detail(load_id, LoadDetail(Strategy.WAREHOUSE, report.rows, report.rejected, report.repaired))
    return report


@contextmanager
def open_published(table: Table, path: Path) -> Iterator[BinaryIO]:
    """The bytes of an archived file, decompressed in a thread of its own where NCBI compresses it."""
    if table.is_gzip:
        with igzip_threaded.open(path, "rb", threads=1) as stream:
            yield cast("BinaryIO", stream)
    else:
        with path.open("rb") as stream:
            yield stream


def one_ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Prepare the next chunk in a thread while the consumer waits for the warehouse.

    Without it, server and client take turns: 16 M rows took 15 % longer to stage.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="framing") as thread:
        upcoming = thread.submit(next, chunks, b"")
        while chunk := upcoming.result():
            upcoming = thread.submit(next, chunks, b"")
            yield chunk


def choose_mode(counts: ChangeCounts) -> ApplyMode:
    """The cheapest way to publish these changes."""
    if counts.baseline:
        return ApplyMode.SWAP
    return ApplyMode.DELTA if counts.changed else ApplyMode.UNCHANGED
