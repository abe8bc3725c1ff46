"""A year of three sources, each with its own days, delays and outages, through the pure half of their sensors.

Looking (``release.probe``) and deciding are the product's own; NCBI's server is a dictionary, a run takes no time.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from medgen_pipeline.catalog import Source, SourceTable, source_by_name, tables_of
from medgen_pipeline.orchestration.release_sensor.cursor import Cursor
from medgen_pipeline.orchestration.release_sensor.decision import Failure, Followed, Published, decide
from medgen_pipeline.release import FileVersion, UnavailableSourceError
from medgen_pipeline.release.probe import look
from medgen_pipeline.release.records import Fingerprint
from medgen_pipeline.release.transport.base import TransferOptions, Transport

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
QUIET, TICK = 30 * MINUTE, 15 * MINUTE
MOST_FILES = 4  # enough for some to come later than others
A_LINE_PROVES_NOTHING_FOR = 61 * MINUTE


class Server(Transport):
    """A directory at a web server: for each file when it was changed, to the minute in the listing."""

    def __init__(self) -> None:
        super().__init__(TransferOptions())
        self.changed: dict[str, datetime] = {}
        self.is_down = False
        self.requests = 0

    @classmethod
    def base_url(cls, source: object) -> str:
        raise NotImplementedError

    def download(self, url: str, part: Path) -> Fingerprint:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def _answer(self) -> None:
        self.requests += 1
        if self.is_down:
            raise UnavailableSourceError("down")

    def list_files(self, base_url: str) -> dict[str, str]:
        del base_url
        self._answer()
        return {name: f"{at:%Y-%m-%d %H:%M} 1.0M" for name, at in self.changed.items()}

    def probe(self, url: str) -> Fingerprint:
        self._answer()
        return Fingerprint(url, self.changed[url.rpartition("/")[2]].isoformat(), 7)

    def modified_at(self, fingerprint: Fingerprint) -> datetime:
        return datetime.fromisoformat(fingerprint.modified)


@dataclass
class Following:
    """A source, its sensor, and the tables as its runs leave them.

    Attributes:
        source: The catalog's.
        publications: When each file changes.
        outages: Begin and end.
        server: Where its files are.
        cursor: The sensor's, as text.
        loaded: The version of each table.
        runs: The versions that each run was of.
        seen: What was published when the source was last reached, and since when it is known.
        is_quiet: Whether that has been so for so long that nothing can hide in a line.
    """

    source: Source
    publications: list[tuple[datetime, str]]
    outages: list[tuple[datetime, datetime]]
    server: Server = field(default_factory=Server)
    cursor: str | None = None
    loaded: dict[str, FileVersion] = field(default_factory=dict)
    runs: list[dict[str, FileVersion]] = field(default_factory=list)
    seen: tuple[dict[str, datetime], datetime] = ({}, NEW_YEAR)
    is_quiet: bool = False

    @property
    def tables(self) -> Sequence[SourceTable]:
        return tables_of(self.source)[:MOST_FILES]

    # What the decision asks of the instance: every run succeeds at once.

    def has(self, asset: str) -> bool:
        del asset
        return True

    def state(self, asset: str) -> str:
        del asset
        return str(len(self.runs))

    def version(self, asset: str) -> FileVersion | None:
        return self.loaded.get(asset)

    def pinned(self, asset: str) -> str:
        del asset
        return ""

    def url(self, asset: str) -> str | None:
        return self.source.url + asset

    def downstream(self, assets: Iterable[str]) -> set[str]:
        found = set(assets)
        return found | {"made of them"} if found else found

    def run_under_way(self, assets: Iterable[str]) -> str:
        del assets
        return ""

    def failed_checks(self, except_of: Iterable[str]) -> Iterator[tuple[str, str]]:
        del except_of
        return iter(())

    def tick(self, now: datetime) -> None:
        while self.publications and self.publications[0][0] <= now:
            at, name = self.publications.pop(0)
            self.server.changed[name] = at
        self.server.is_down = any(begin <= now < end for begin, end in self.outages)
        if not self.server.changed:
            return
        cursor = Cursor.read(self.cursor, self.source.url, now)
        self.server.requests = 0
        try:
            memory = look(self.server, self.tables, cursor.memory, now, 30).memory
        except UnavailableSourceError:
            self.cursor = Cursor(cursor.memory.unreachable(now), cursor.asked).write()
            return
        if self.server.changed != self.seen[0]:
            since = now if self.seen[0] else max(self.server.changed.values())
            self.seen, self.is_quiet = (dict(self.server.changed), since), False
        self._count_requests(now)
        tables = [
            Followed(table.file_name, table.name, table.file_name, self.source.url + table.file_name)
            for table in self.tables
        ]
        published = Published(self.source.url, tables, memory, release_of, QUIET, DAY)
        decision = decide(published, self, cursor.asked, lambda *_: Failure("it was not made."), now)
        self.cursor = Cursor(memory, decision.asked).write()
        if decision.request:
            self._run(decision.request.versions, now)
        if now - self.seen[1] >= QUIET:
            assert {name: version.modified for name, version in self.loaded.items()} == self.server.changed

    def _count_requests(self, now: datetime) -> None:
        """A tick is quiet once a line was looked at that can hide no second change."""
        if self.is_quiet:
            assert self.server.requests == 1, "a quiet tick costs one request"
        self.is_quiet = now - self.seen[1] >= A_LINE_PROVES_NOTHING_FOR

    def _run(self, versions: Mapping[str, FileVersion], now: datetime) -> None:
        assert now - self.seen[1] >= QUIET, "a publication was not waited for"
        changed = {name for name, at in self.server.changed.items() if self.loaded.get(name) != FileVersion(at, 7)}
        assert versions.keys() == changed, "a run is of what has changed, and of all of it"
        self.loaded |= versions
        self.runs.append(dict(versions))


def release_of(versions: Iterable[FileVersion]) -> str:
    return max(version.modified for version in versions).date().isoformat()


def a_year(source: Source, chance: random.Random) -> Following:
    """Publications by the source's cadence, now and then late, left out, in two parts or file by file over an hour."""
    files = [table.file_name for table in tables_of(source)[:MOST_FILES]]
    days = 7 if source.cadence.name == "weekly" else 1
    publications = []
    for day in range(0, 364, days):
        if day and chance.random() < 0.1:
            continue
        at = NEW_YEAR + day * DAY + chance.randrange(24 * 60) * MINUTE
        some = files if day == 0 or source.shares_release else chance.sample(files, chance.randint(1, len(files)))
        publications += [(at + chance.randrange(180) * timedelta(seconds=1), name) for name in some]
        if chance.random() < 0.1:  # one of them is made again
            publications.append((at + chance.randrange(2, 70) * MINUTE, chance.choice(files)))
    begins = [NEW_YEAR + chance.randrange(364 * 24) * HOUR for _ in range(12)]
    outages = [(begin, begin + chance.choice([HOUR, 9 * HOUR, 3 * DAY])) for begin in begins]
    return Following(source, sorted(publications), outages)


def ticks(one: Following, chance: random.Random) -> list[datetime]:
    """Every quarter of an hour where something happens, and twice a day where nothing does."""
    moments = {NEW_YEAR + hours * HOUR for hours in range(0, 366 * 24, 12)}
    for at in {at.replace(minute=0, second=0) for at, _ in one.publications}:
        moments |= {at + number * TICK for number in range(chance.randint(1, 8))}
    return sorted(moments)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "source", [source_by_name(name) for name in ("medgen", "gene", "clinvar")], ids=lambda source: source.name
)
def test_a_year_of_any_publications_ends_with_the_last_complete_versions_and_one_run_for_each_change(
    source: Source, seed: int
) -> None:
    chance = random.Random(f"{source.name} {seed}")
    one = a_year(source, chance)
    for now in (at := ticks(one, chance)):
        one.tick(now)
    one.outages.clear()
    for later in (DAY, DAY + HOUR, DAY + 3 * HOUR):
        one.tick(at[-1] + later)
    assert {name: version.modified for name, version in one.loaded.items()} == one.server.changed
    assert len(one.server.changed) == len(one.tables)
    loads = [(name, version) for run in one.runs for name, version in run.items()]
    assert len(loads) == len(set(loads)), "a version was loaded twice"
    runs = len(one.runs)
    one.tick(at[-1] + 2 * DAY)
    assert (len(one.runs), one.server.requests) == (runs, 1)
    assert runs > (25 if source.cadence.name == "weekly" else 200)
