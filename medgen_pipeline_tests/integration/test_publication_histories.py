"""Random histories of publication: whatever NCBI does, production ends as the last complete release, no run repeated.

All is real but the clock and the daemon: HTTP, sensor, runs, loads into PostgreSQL. Two small tables keep it short.
"""

import gzip
import logging
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.rows.published import content_of
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.integration.daemon import Daemon
from medgen_pipeline_tests.integration.support import Run, multiset
from medgen_pipeline_tests.loaders.cases import THOROUGHLY
from medgen_pipeline_tests.ncbi_double import NcbiDouble, instead, ncbi_double, publish, status

TABLES = tuple(table_by_name(name) for name in ("merged", "hpo_cui_history"))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TICK, QUIET = 15 * MINUTE, 30 * MINUTE
START = datetime(2026, 1, 7, 17, 0, tzinfo=UTC)

# What NCBI, the network and the user do; numbers are ticks, sets are tables by their place in TABLES.
_Some = st.frozensets(st.integers(0, len(TABLES) - 1), min_size=1)
_Ticks = st.integers(0, 5)
Act = tuple[str, frozenset[int], int]
ACTS = st.tuples(
    st.sampled_from(
        (
            *("release", "part", "roll back", "restore", "vanish"),  # NCBI
            *("outage", "outage of files", "page", "by hand", "forget", "wait"),
        )
    ),
    _Some,
    _Ticks,
)


@dataclass
class World:
    """NCBI, and a sensor that follows it.

    Attributes:
        newest: The newest release of which any file was published.
        shown: The release of each file as published now.
        stamps: When each file of each release was made.
        seen: What was published at the last tick; None where the sensor knows nothing of it.
        changed: The tick that first met what is published; where it is all the sensor knows, when that was made.
        pages: Downloads that were spoilt.
        run_keys: Of all requests.
        loaded: By table name, the version that production was last made from.
    """

    ncbi: NcbiDouble
    daemon: Daemon
    now: datetime = START
    newest: int = 0
    shown: dict[SourceTable, int] = field(default_factory=dict)
    stamps: dict[tuple[SourceTable, int], datetime] = field(default_factory=dict)
    seen: dict[SourceTable, datetime] | None = None
    changed: datetime = START
    pages: int = 0
    run_keys: list[str] = field(default_factory=list)
    loaded: dict[str, str] = field(default_factory=dict)

    def show(self, table: SourceTable, release: int, *, again: bool = False) -> None:
        """Publish a file; with its old time where it was published before, unless it is made again."""
        path = self.ncbi.directory / table.file_name
        if self.shown.get(table) == release and path.exists() and not again:
            return
        self.now += MINUTE  # two files of one size and second could not be told apart
        if again or (table, release) not in self.stamps:
            self.stamps[table, release] = self.now
        publish(self.ncbi.directory, table.file_name, file_of(table, release), self.stamps[table, release])
        self.shown[table] = release

    def tick(self) -> None:
        self.now += TICK
        tick = self.daemon.tick(self.now)
        if "Unreachable since" not in tick.skipped:
            self._note_what_was_seen()
        for request in tick.requests:
            self.run_keys.append(str(request.run_key))
            assert self.now - self.changed >= QUIET, "a release was not waited for"
        for run in tick.runs:
            for name, made in run.metadata.items():
                assert made["medgen/source_version"] != self.loaded.get(name), f"{name} was loaded twice from one file"
            self._note_what_was_loaded(run)

    def _note_what_was_loaded(self, run: Run) -> None:
        self.loaded |= {name: made["medgen/source_version"] for name, made in run.metadata.items()}

    def _note_what_was_seen(self) -> None:
        published = {
            table: self.stamps[table, release]
            for table, release in self.shown.items()
            if (self.ncbi.directory / table.file_name).exists()
        }
        if published != self.seen:
            self.changed = max(published.values()) if self.seen is None else self.now
            self.seen = published

    def act(self, act: Act) -> None:
        what, some, ticks = act
        tables = [TABLES[number] for number in sorted(some)]
        if what == "release":
            self.newest += 1
            for table in TABLES:
                self.show(table, self.newest)
        elif what == "part":  # the rest comes late, or with the next release
            self.newest += 1
            for table in tables:
                self.show(table, self.newest)
        elif what == "roll back":  # the files keep their times
            for table in tables:
                if self.newest:
                    self.show(table, max(self.newest - 1, 1))
        elif what == "restore":  # old content, made again
            for table in tables:
                if self.newest:
                    self.show(table, max(self.newest - 1, 1), again=True)
        elif what == "outage":
            self.ncbi.inject(*[status(503)] * ticks, of="")
        elif what == "outage of files":
            self.ncbi.inject(*[status(500)] * ticks, on="HEAD")
        elif what == "vanish":
            for table in tables:
                (self.ncbi.directory / table.file_name).unlink(missing_ok=True)
            for _ in range(ticks):
                self._tick_or_fail()
            for table in tables:
                if table in self.shown:
                    self.show(table, self.shown[table])
        elif what == "page" and self.pages < 2:  # no version is given up: three attempts, two failures
            self.pages += 1
            self.ncbi.inject(*[instead(b"<html>We are moving</html>")] * 3, of=tables[0].file_name)
        elif what == "by hand" and len(self.shown) == len(TABLES):
            self.ncbi.heal()
            keys = [dg.AssetKey(["medgen", table.name]) for table in tables]
            run = self.daemon.launch(dg.RunRequest(asset_selection=keys))
            assert run.success
            self._note_what_was_loaded(run)
        elif what == "forget":
            self.daemon.cursor, self.seen = None, None
        for _ in range(ticks):
            self._tick_or_fail()

    def _tick_or_fail(self) -> None:
        """A tick; without a single file at the source it has to fail."""
        if any((self.ncbi.directory / table.file_name).exists() for table in TABLES):
            self.tick()

    def finish(self) -> None:
        """All is well in the end: the newest release is completed, and two days pass."""
        self.ncbi.heal()
        for table in TABLES:
            if self.shown.get(table) != max(self.newest, 1):
                self.show(table, max(self.newest, 1))
        self.newest = max(self.newest, 1)
        for hours in (0, 0, 0, 0, 24, 3, 3):  # what is quiet, what went back in time, what failed
            self.now += hours * HOUR
            self.tick()
        requests = len(self.run_keys)
        self.now += 3 * DAY
        self.tick()
        assert len(self.run_keys) == requests, "the sensor does not come to rest"


def file_of(table: SourceTable, release: int) -> bytes:
    filler = [b"x"] * (len(table.columns) - 1)
    content = content_of(table, [[b"C%07d" % number, *filler] for number in (*range(9), 100 + release)])
    return gzip.compress(content, mtime=release) if table.is_gzip else content


@pytest.fixture(scope="module")
def ncbi() -> Iterator[NcbiDouble]:
    with tempfile.TemporaryDirectory() as directory, ncbi_double(Path(directory), etag=False, ranges=False) as double:
        yield double


@pytest.fixture(scope="module")
def dsn(postgres_server: str) -> Iterator[str]:
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the archive is; emptied before each history."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def definitions(ncbi: NcbiDouble, dsn: str, home: Path) -> dg.Definitions:
    """The code location."""
    return build_definitions(
        resources={
            DEFAULT_NAMES.source: MedgenSource(url=ncbi.url, home=str(home)),
            DEFAULT_NAMES.warehouse: WarehouseIOManager(target=DatabaseTarget(dsn=dsn)),
        },
        environment={},
        tables=[table.name for table in TABLES],
        curated=False,
    )


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Pytest keeps every log line, and here are a hundred thousand."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# Each takes a second. What the sensor decides is a pure function, followed through years without a server
# (unit/test_publication_years).
@settings(max_examples=40 if THOROUGHLY else 12, deadline=None)
@given(st.lists(ACTS, min_size=1, max_size=6))
def test_every_history_ends_with_the_last_complete_release_and_no_run_repeated(
    ncbi: NcbiDouble,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    dsn: str,
    home: Path,
    history: list[Act],
) -> None:
    instance.wipe()
    ncbi.heal()
    for path in ncbi.directory.iterdir():
        path.unlink()
    shutil.rmtree(home)
    world = World(ncbi, Daemon(definitions, instance, TABLES))
    ncbi.clock = lambda: world.now
    for act in history:
        world.act(act)
    world.finish()
    assert len(set(world.run_keys)) == len(world.run_keys)
    for table in TABLES:
        held = {str(row[0]) for row in multiset(dsn, table)}
        assert held == {f"C{number:07}" for number in (*range(9), 100 + world.newest)}
