"""A table taken to an earlier release in this process or in one that is killed on the way; every backend alike."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderFactory, LoadRecord
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import REMOVED
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.loading.load import LoadOptions, LoadResult
from medgen_pipeline.loading.rollback import find_release, undo
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline.testing import Backend, Row
from medgen_pipeline.testing.files import OPEN_GATES
from medgen_pipeline.testing.loads import RELEASES, last_of
from medgen_pipeline.testing.processes import process_of
from medgen_pipeline_tests.faults.support import publish, rows_of


def go_to_and_die(dsn: str, settings: Mapping[str, Any], *arguments: Any) -> None:
    """The same in a process of its own."""
    go_to(dsn, settings, *arguments)


def go_to(
    dsn: str, settings: Mapping[str, Any], archive: Path, table_name: str, release: str, kill_at: int | None = None
) -> LoadResult:
    """Bring a table to a release as an asset does; where ``kill_at`` is given, die before that statement."""
    table = table_by_name(table_name)
    with LoaderFactory.create_loader(dsn, settings) as looking:
        found = find_release(looking, table, Archive(archive), release)
    loader = LoaderFactory.create_loader(dsn, settings)
    with statements_counted(loader, kill_at):
        if isinstance(found, LoadRecord):
            return undo(loader, table, found)
        return load_table(loader, table, found, Archive(archive), LoadOptions(OPEN_GATES, pin=True))


@contextmanager
def statements_counted(loader: AbstractNativeLoader, kill_at: int | None = None) -> Iterator[list[str]]:
    """The statements that a loader has sent, as they are sent; the process dies before one of them."""
    sent: list[str] = []
    session = loader._session  # type: ignore[attr-defined]  # that of every loader here
    for method in ("execute", "execute_audit"):
        setattr(session, method, _counted(getattr(session, method), sent, kill_at))
    yield sent


def _counted(execute: Callable[[sql.Statement], Any], sent: list[str], kill_at: int | None) -> Callable[..., Any]:
    @wraps(execute)
    def counted(statement: sql.Statement) -> Any:
        if len(sent) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        sent.append(str(statement.pieces[0]))
        return execute(statement)

    return counted


@dataclass
class History:
    """A table that has been brought from the first release to the last, each from its file.

    Attributes:
        backend: Where it is.
        home: For files.
        table: The table.
        keep_files: Whether the archive has the files of the earlier releases.
        rows: What each release holds, from what its file was written from.
    """

    backend: Backend
    home: Path
    table: SourceTable
    keep_files: bool
    rows: dict[str, Counter[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Load all releases."""
        archive = Archive(self.home / "archive")
        for variant, release in enumerate(RELEASES, 1):
            self.rows[release] = Counter(rows_of(self.table, variant, count=60))
            folder = publish(self.home / release, self.table, rows_of(self.table, variant, count=60), bad_lines=0)
            source = ReleaseSource(folder.as_uri(), archive).fetch(self.table)
            load_table(self.backend.new_loader(), self.table, source, archive, LoadOptions(OPEN_GATES))

    @property
    def archive(self) -> Path:
        return self.home / ("archive" if self.keep_files else "empty")

    def go_to(self, release: str) -> LoadResult:
        return go_to(self.backend.dsn, self.backend.settings(), self.archive, self.table.name, release)

    def statements(self, release: str) -> int:
        """How many statements such a load sends."""
        table = self.table
        with self.backend.new_loader() as looking:
            found = find_release(looking, table, Archive(self.archive), release)
        loader = self.backend.new_loader()
        with statements_counted(loader) as sent:
            if isinstance(found, LoadRecord):
                undo(loader, table, found)
            else:
                load_table(loader, table, found, Archive(self.archive), LoadOptions(OPEN_GATES, pin=True))
        return len(sent)

    def go_to_and_die(self, release: str, at: int) -> None:
        process = process_of(go_to_and_die, self.backend, self.archive, self.table.name, release, at)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, process.exitcode

    def last_load(self) -> LoadRecord:
        with self.backend.new_loader() as loader:
            return last_of(loader, self.table)

    def require(self, release: str, since: int, before: str) -> None:
        """Production is the release's file, pinned; what the feed has since a load leads back to what was before."""
        production = self.backend.production(self.table)
        assert production == self.rows[release]
        last = self.last_load()
        assert (last.release, last.pinned) == (release, True)
        changes = self.backend.run(
            "SELECT _change_type, {columns} FROM {feed} WHERE _load_id > {since}", self.table, since=sql.Literal(since)
        )
        replayed = Counter(production)
        for change, *values in changes:
            replayed[tuple(values)] += 1 if change in REMOVED else -1
        assert +replayed == self.rows[before]
        assert min(replayed.values()) >= 0
        assert self.backend.leftovers([self.table]) == []
        with self.backend.new_loader() as loader:
            assert not loader.find_drift(self.table).found
