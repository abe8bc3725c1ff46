"""Earlier releases of a table: which there are, how production goes back to one, and how it stays there.

From the archive it is the ordinary load of that file (``file_load``). Where the archive has none, what undoes the
change feed is staged inside the warehouse, then compared and applied like the change of any other load.

A table that was brought to a release by choice is pinned: what the newest load of it left says so
(``LoadRecord.pinned``), so that production and pin move together, and every host sees both.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medgen_pipeline.catalog import SourceTable, Table
from medgen_pipeline.errors import PermanentError
from medgen_pipeline.loaders import (
    AbstractNativeLoader,
    LoaderError,
    LoadRecord,
    LoadStart,
    LoadStatus,
    ProductionChangedError,
    Strategy,
)
from medgen_pipeline.loading.load import Load, LoadOptions, LoadResult
from medgen_pipeline.release import Archive, Record, SourceFile
from medgen_pipeline.rows.records import FramingReport

NEWEST = "newest"
"""What stands for the release that is published now, whatever the table is pinned to."""


class UnknownReleaseError(PermanentError):
    """A release is neither in the archive nor within reach of the change feed."""


@dataclass(frozen=True)
class KnownRelease:
    """A release that a table can be brought to.

    Attributes:
        release: Its name.
        file: Its file in the archive.
        load: Its last load, where the change feed leads back to that.
    """

    release: str
    file: Record | None
    load: LoadRecord | None

    @property
    def where(self) -> str:
        """Where it is, in words."""
        return ", ".join(name for name, there in (("archive", self.file), ("feed", self.load)) if there)


def known_releases(loader: AbstractNativeLoader, table: SourceTable, archive: Archive) -> list[KnownRelease]:
    """The releases that ``table`` can be brought to, the newest first; ``loader`` is connected.

    What a release was is what its last load has made of it. A file that was never loaded has the release it was
    fetched as.
    """
    loads = _loads(loader, table)
    reach = loads[0].feed_reaches if loads else None
    last_of = {load.release: load for load in reversed(loads)}
    versions = archive.versions_of(table.file_name)
    of_hash = {version.sha256: version for version in reversed(versions)}
    files = {version.release: version for version in reversed(versions) if version.release not in last_of}
    loaded = {load.source_sha256 for load in loads}
    # The release of one whose time of publication is not known any more is a guess; the record of loads knows better.
    guessed = [release for release, one in files.items() if not one.fingerprint.modified and one.sha256 in loaded]
    for release in guessed:
        del files[release]
    files |= {name: of_hash[load.source_sha256] for name, load in last_of.items() if load.source_sha256 in of_hash}
    in_feed = {release: load for release, load in last_of.items() if reach is not None and load.load_id >= reach}
    return [
        KnownRelease(release, files.get(release), in_feed.get(release))
        for release in sorted(files.keys() | in_feed.keys(), reverse=True)
    ]


def find_release(
    loader: AbstractNativeLoader, table: SourceTable, archive: Archive, release: str
) -> SourceFile | LoadRecord:
    """What a table is brought to a release by: its file or, where the archive has it not, the load to go back to.

    Raises:
        UnknownReleaseError: There is neither; the message lists what there is.
    """
    known = known_releases(loader, table, archive)
    found = next((one for one in known if one.release == release), None)
    if found and found.file and (path := archive.path_of(found.file.sha256)):
        return SourceFile(
            table_name=table.name,
            path=path,
            sha256=found.file.sha256,
            content_sha256=found.file.content_sha256,
            release=release,
            url=found.file.fingerprint.url,
            byte_size=found.file.byte_size,
            last_modified=found.file.last_modified,
            downloaded_bytes=0,
        )
    if found and found.load:
        return found.load
    there = "; ".join(f"{one.release} ({one.where})" for one in known) or "none"
    raise UnknownReleaseError(
        f"{table.name}: release {release!r} is neither in the archive nor within reach of the change feed. There are, "
        f"newest first: {there}."
    )


def pinned_to(loader: AbstractNativeLoader, table: Table) -> str:
    """The release that a table is pinned to, or nothing; ``loader`` is connected."""
    last = loader.last_load(table)
    return last.release if last and last.pinned else ""


def pins(loader: AbstractNativeLoader, tables: Iterable[Table]) -> dict[str, str]:
    """The releases that tables are pinned to, by name, of those that are."""
    with loader:
        found = {table.name: pinned_to(loader, table) for table in tables}
    return {name: release for name, release in found.items() if release}


def undo(
    loader: AbstractNativeLoader, table: SourceTable, load: LoadRecord, dagster_run_id: str | None = None
) -> LoadResult:
    """Bring production back to what ``load`` left, by the change feed, and pin it; or leave it as it was and raise.

    Args:
        loader: Not connected yet; it is closed at the end.
        table: The catalog's entry.
        load: An earlier load, or the last one.
        dagster_run_id: For the audit.

    Raises:
        LoaderError: Others have written to production, so that the feed does not lead back from it.
    """
    return _publish(loader, table, load, dagster_run_id, pinned=True)


def unpin(loader: AbstractNativeLoader, table: SourceTable) -> str:
    """Let a table go: the load that is recorded changes no row. Returns what it was pinned to, or nothing."""
    with loader:
        last = loader.last_load(table)
    if last is None or not last.pinned:
        return ""
    _publish(loader, table, last, None, pinned=False)
    return last.release


def _publish(
    loader: AbstractNativeLoader, table: SourceTable, load: LoadRecord, run_id: str | None, *, pinned: bool
) -> LoadResult:
    with loader:
        started = time.monotonic()
        start = LoadStart(table, load.release, load.source_sha256, load.content_sha256, run_id, pinned=pinned)
        going_back = _GoingBack(loader, table, loader.log_run_start(start), load)
        with going_back.recorded():
            going_back.run(pinned=pinned)
        return going_back.result(time.monotonic() - started)


class _GoingBack(Load):
    """A load that undoes others."""

    def __init__(self, loader: AbstractNativeLoader, table: SourceTable, load_id: int, target: LoadRecord) -> None:
        super().__init__(loader, table, LoadOptions(), load_id)
        self._target = target
        self._result.strategy = Strategy.SNAPSHOT

    def run(self, *, pinned: bool) -> None:
        """Undo what came after, if anything did; to let a table go, nothing may have come."""
        last = self._loader.last_load(self._table)
        if last is None or last.feed_reaches is None or self._target.load_id < last.feed_reaches:
            raise LoaderError(f"{self._place} is no longer within reach of the change feed.")
        is_there = self._target.load_id == last.load_id
        if not pinned and not is_there:
            raise LoaderError(f"{self._table.name} was loaded meanwhile. Look at its pin again.")
        if is_there:
            if pinned:
                self._require_as_left(last)
            self._result.strategy_reason = "it is at this release" if pinned else "its pin was taken away"
            self._keep_unchanged(last)
            return
        self._result.strategy_reason = f"undone what the change feed has since load {self._target.load_id}"
        self._result.report = FramingReport(
            rows=self._target.rows_extracted or 0,
            rejected=self._target.rows_rejected or 0,
            repaired=self._target.rows_repaired or 0,
        )
        started = time.monotonic()
        self._initialize(Strategy.SNAPSHOT)
        self._result.rows_moved = self._loader.stage_undone(self._table, self._target)
        self._result.staging_seconds = time.monotonic() - started
        self._log_detail()
        try:
            self._result.counts = self._loader.execute_cdc(self._table)
            if not self._result.counts.changed:
                self._require_as_left(last)
            self._apply()
        except ProductionChangedError as error:
            raise LoaderError(self._written_to(str(error))) from error

    def _pass_gates(self) -> None:
        """They were passed when this state was loaded."""

    def _require_as_left(self, last: LoadRecord) -> None:
        if not self._is_as_left(last):
            raise LoaderError(self._written_to(self._result.strategy_reason))

    def _written_to(self, found: str) -> str:
        return (
            f"{self._place} cannot be brought back by the change feed, and the archive does not have its file: {found} "
            f"Load {self._table.name} with release: {NEWEST} first, which repairs it."
        )

    @property
    def _place(self) -> str:
        return f"{self._table.name}: load {self._target.load_id} (release {self._target.release})"


def _loads(loader: AbstractNativeLoader, table: Table) -> Sequence[LoadRecord]:
    """The successful loads of a table, the newest first."""
    if loader.last_load(table) is None:  # perhaps there is no record of loads
        return []
    return loader.loads("table_name = {name} AND status = {succeeded}", name=table.name, succeeded=LoadStatus.SUCCEEDED)
