"""One load of one table from its archived file to production: frame, stage, and what ``load`` does with it.

The choice of strategy and the reading of files live here. What curated tables do instead of framing is in
``curated_load``. No Dagster, no SQL, no network.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip_threaded

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.errors import SettingError
from medgen_pipeline.loaders import AbstractNativeLoader, LoadRecord, LoadStart, ProductionChangedError, Strategy
from medgen_pipeline.loading.gates import ClosedGate, GatesClosedError, gate_closed_early
from medgen_pipeline.loading.load import Load, LoadOptions, LoadResult, PinnedError
from medgen_pipeline.loading.staging import stage
from medgen_pipeline.release import Archive, SourceFile
from medgen_pipeline.rows.diff import LineChanges, diff_files
from medgen_pipeline.rows.framing import FramedFile, frame_lines
from medgen_pipeline.rows.header import MissingColumnError, same_columns
from medgen_pipeline.rows.records import FramingReport, RejectedRow

logger = logging.getLogger(__name__)

# Rejected lines of one load that the audit keeps. A line takes 8 KiB at most.
MAX_REJECTED_ROWS = 10_000
MAX_REJECTED_BYTES = 8 << 20
_REJECTED_BATCH = 1000
_REJECTED_BATCH_BYTES = 1 << 20


def load_table(
    loader: AbstractNativeLoader,
    table: SourceTable,
    source: SourceFile,
    archive: Archive,
    options: LoadOptions | None = None,
    dagster_run_id: str | None = None,
) -> LoadResult:
    """Bring production to ``source``, or leave it as it was and raise.

    Args:
        loader: Not connected yet; it is closed at the end.
        table: The catalog's entry.
        source: A verified file from the archive.
        archive: Where the file of the last load may still be.
        options: Limits and choices.
        dagster_run_id: For the audit.

    Raises:
        SettingError: The options name a column that the table does not have.
        GatesClosedError: The release looks wrong; staged rows are kept for a look.
        MedgenError: The file cannot be read or the warehouse refuses; see the message.
    """
    options = options or LoadOptions()
    if unknown := sorted({*options.limits.accept_missing_columns} - {*table.column_names}):
        raise SettingError(
            f"accept_missing_columns is {unknown}, expected columns of {table.name}: {', '.join(table.column_names)}."
        )
    with loader:
        started = time.monotonic()
        load_id = loader.log_run_start(
            LoadStart(
                table,
                source.release,
                source.sha256,
                source.content_sha256,
                dagster_run_id,
                take_over=options.take_over,
                pinned=bool(options.pin),
            )
        )
        load = _FileLoad(loader, table, source, archive, options, load_id)
        with load.recorded():
            load.run()
        return load.result(time.monotonic() - started)


class _FileLoad(Load):
    """A load of one of NCBI's files."""

    def __init__(
        self,
        loader: AbstractNativeLoader,
        table: SourceTable,
        source: SourceFile,
        archive: Archive,
        options: LoadOptions,
        load_id: int,
    ) -> None:
        super().__init__(loader, table, options, load_id)
        self._table: SourceTable = table
        self._source = source
        self._archive = archive
        self._about = table.typical_rows

    def run(self) -> None:
        """Choose the cheapest strategy that is exact; fall back to comparing everything on any doubt."""
        last = self._loader.last_load(self._table)
        if last and last.pinned and self._options.pin is None:
            raise PinnedError(f"{self._table.name} was pinned to release {last.release} meanwhile. Load again.")
        self._about = last.rows_after if last else self._about
        self._result.strategy_reason = self._why_compare_everything(last)
        if self._result.strategy_reason or last is None:
            self._from_the_whole_file()
        elif last.content_sha256 == self._source.content_sha256:
            if self._is_as_left(last):
                self._result.strategy = Strategy.SNAPSHOT
                self._result.strategy_reason = "the file's content is that of the last load"
                self._keep_unchanged(last)
            else:
                self._from_the_whole_file()
        elif not self._publish_difference(last):
            self._from_the_whole_file()

    def _publish_difference(self, last: LoadRecord) -> bool:
        """Strategy *snapshot*; False where it is not worth it, or production is not what the last file made of it.

        That is looked at once, where nobody can write to it any more: just before the change is applied.
        """
        try:
            if not self._stage_difference(last):
                return False
            self._publish()
        except ProductionChangedError as error:
            self._result.strategy_reason = self._why_repair(str(error))
            return False
        return True

    def _from_the_whole_file(self) -> None:
        self._result.strategy = Strategy.WAREHOUSE
        started = time.monotonic()
        self._initialize()
        self._result.report = self._stage_file()
        self._result.staging_seconds = time.monotonic() - started
        self._publish()

    def _stage_file(self) -> FramingReport:
        rejects = _Rejects(self._loader, self._load_id, self._stop_where_too_many_are_rejected)
        with open_published(self._table, self._source.path) as stream:
            framed = FramedFile(
                self._table,
                stream,
                rejects,
                self._accepted_missing,
                self._text_limits,
                max_file_bytes=self._archive.max_content_bytes,
            )
            self._result.report = framed.report
            with self._missing_columns_close_a_gate():
                chunks = self._progress.counted(framed, lambda: framed.report.rows, self._about)
                self._result.rows_moved += stage(self._loader, self._table, chunks)
        rejects.finish()
        self._result.rejected_left_out = rejects.left_out
        self._log_detail()
        return framed.report

    def _stop_where_too_many_are_rejected(self) -> None:
        """Raise as soon as it is certain that the gate will close, whatever the rest of the file holds."""
        if self._most_rows is None:
            return
        if gate := gate_closed_early(self._options.limits, self._result.report, self._most_rows):
            self._log_detail()
            raise GatesClosedError(self._table, (gate,), self._load_id, staged=False)

    @cached_property
    def _most_rows(self) -> int | None:
        """More rows than the file can have: its bytes over those of a row of empty fields. None where not known."""
        if self._table.is_gzip:
            blocks = self._archive.blocks_of(self._source.sha256)
            content_bytes = None if blocks is None else len(blocks.header) + sum(blocks.lengths)
        else:
            content_bytes = self._source.path.stat().st_size
        fields = max(len(self._table.columns) - len(self._accepted_missing), 1)
        return None if content_bytes is None else content_bytes // fields + 1

    def _stage_difference(self, last: LoadRecord) -> bool:
        """Stage only what differs from the last file; False where that is not worth it."""
        started = time.monotonic()
        earlier = self._archive.path_of(last.source_sha256)
        if earlier is None:
            self._result.strategy_reason = "the archive no longer holds the file of the last load"
            return False
        changes = diff_files(
            partial(open_published, self._table, earlier),
            partial(open_published, self._table, self._source.path),
            self._archive.blocks_of(last.source_sha256),
            self._archive.blocks_of(self._source.sha256),
        )
        if changes is None:
            self._result.strategy_reason = "too much differs from the file of the last load"
            return False
        if not same_columns(self._table, changes.old_header, changes.new_header):
            # Then equal lines are not equal rows, and what the old header lacked was accepted for that load alone.
            self._result.strategy_reason = (
                "the header names other columns than that of the last load, or ends its line otherwise"
            )
            return False
        with self._missing_columns_close_a_gate():
            removed, added = self._frame(changes)
        unknown = removed.report.rejected > (last.rows_rejected or 0)  # an earlier version has taken them for rows
        if unknown or removed.report.pieces or added.report.rejected or self._may_hold_pieces(last):
            # Line numbers, and which lines are one record, take the whole file; bad lines are rare enough for that.
            self._result.strategy_reason = "the file has, or had, lines that are no rows by themselves"
            return False
        self._result.strategy = Strategy.SNAPSHOT
        self._result.strategy_reason = "staged what differs from the file of the last load"
        self._result.report = FramingReport(
            rows=(last.rows_extracted or 0) - removed.report.rows + added.report.rows,
            rejected=(last.rows_rejected or 0) - removed.report.rejected,
            repaired=(last.rows_repaired or 0) - removed.report.repaired + added.report.repaired,
            extra_columns=added.report.extra_columns,
            missing_columns=added.report.missing_columns,
        )
        self._initialize(Strategy.SNAPSHOT)
        lines = (*removed.signed(b"-"), *added.signed(b"+"))
        self._result.rows_moved += stage(self._loader, self._table, lines, Strategy.SNAPSHOT)
        self._log_detail()
        self._result.staging_seconds = time.monotonic() - started
        return True

    def _may_hold_pieces(self, last: LoadRecord) -> bool:
        """Whether lines that both files have may be pieces of a record in one of them and not in the other.

        A line between them that came or went is enough for that. Where the last load neither rejected nor repaired any
        line, and no such line was added, there are none; else the file is read for them, which takes no warehouse.
        """
        if not last.rows_rejected and not last.rows_repaired:
            return False
        with open_published(self._table, self._source.path) as stream:
            framed = FramedFile(self._table, stream, _ignore, self._accepted_missing, self._text_limits)
            return any(framed.report.pieces for _ in framed) or framed.report.pieces > 0

    def _frame(self, changes: LineChanges) -> "tuple[_FramedLines, _FramedLines]":
        removed, added = (
            _FramedLines(*frame_lines(self._table, header, lines, _ignore, self._accepted_missing, self._text_limits))
            for header, lines in ((changes.old_header, changes.removed), (changes.new_header, changes.added))
        )
        return removed, added

    @contextmanager
    def _missing_columns_close_a_gate(self) -> Iterator[None]:
        try:
            yield
        except MissingColumnError as error:
            gate = ClosedGate(str(error), "accept_missing_columns", list(error.columns))
            raise GatesClosedError(self._table, (gate,), self._load_id, staged=False) from error

    @property
    def _accepted_missing(self) -> frozenset[str]:
        return frozenset(self._options.limits.accept_missing_columns)

    @property
    def _text_limits(self) -> dict[str, int]:
        """Bytes of each text column, on a backend that declares them."""
        widths = {column.name: self._loader.capabilities.text_bytes(column) for column in self._table.columns}
        return {name: width for name, width in widths.items() if width is not None}


class _Rejects:
    """Writes rejected lines to the audit, a batch at a time, and counts those for which there is no room."""

    def __init__(self, loader: AbstractNativeLoader, load_id: int, look: Callable[[], None]) -> None:
        """``look`` is called now and then, and may raise GatesClosedError."""
        self._loader = loader
        self._load_id = load_id
        self._look = look
        self._batch: list[RejectedRow] = []
        self._batch_bytes = 0
        self._kept = self._kept_bytes = 0
        self._first_left_out = 0
        self.left_out = 0

    def __call__(self, row: RejectedRow) -> None:
        size = len(row.raw) + len(row.reason)
        if self.left_out or self._kept == MAX_REJECTED_ROWS or self._kept_bytes + size > MAX_REJECTED_BYTES:
            self._first_left_out = self._first_left_out or row.line_number
            self.left_out += 1
        else:
            self._batch.append(row)
            self._kept += 1
            self._kept_bytes += size
            self._batch_bytes += size
            if len(self._batch) >= _REJECTED_BATCH or self._batch_bytes >= _REJECTED_BATCH_BYTES:
                self._flush()
        if (self._kept + self.left_out) % _REJECTED_BATCH == 0:
            try:
                self._look()
            except GatesClosedError:
                self.finish()
                raise

    def finish(self) -> None:
        """Write what is left, and how many lines were left out."""
        if self.left_out:
            why = (
                f"{self.left_out:,} rejected lines from this one on were left out: of one load, {MAX_REJECTED_ROWS:,} "
                f"lines and {MAX_REJECTED_BYTES:,} bytes are kept at most"
            )
            logger.warning("load %d: %s", self._load_id, why)
            self._batch.append(RejectedRow(self._first_left_out, why, b""))
        self._flush()

    def _flush(self) -> None:
        if self._batch:
            self._loader.log_rejected_rows(self._load_id, self._batch)
            self._batch.clear()
            self._batch_bytes = 0


@dataclass(frozen=True)
class _FramedLines:
    """One side of a difference in canonical form."""

    canonical: bytes
    report: FramingReport

    def signed(self, sign: bytes) -> tuple[bytes, ...]:
        """The rows with ``sign`` as their first field. They are lines of a file, so LF only ever ends a record."""
        if not self.canonical:
            return ()
        start = sign + b"\t"
        return (start + self.canonical[:-1].replace(b"\n", b"\n" + start) + b"\n",)


def _ignore(row: RejectedRow) -> None:
    """Rejected lines of the last file are not in production, so nothing has to go; new ones are only counted."""


@contextmanager
def open_published(table: SourceTable, path: Path) -> Iterator[BinaryIO]:
    """The bytes of an archived file, decompressed in a thread of its own where NCBI compresses it."""
    if table.is_gzip:
        with igzip_threaded.open(path, "rb", threads=1) as stream:  # type: ignore[no-untyped-call]  # isal 1.9.1
            yield cast("BinaryIO", stream)
    else:
        with path.open("rb") as stream:
            yield stream
