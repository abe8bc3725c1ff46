"""The sensor's decision: from what is published, loaded and asked for to one request, or the reason for none.

Pure: nothing is read here but its arguments, so every case can be tried without a source, a clock or an instance.
Nothing is loaded twice because the cursor was reset or somebody loaded a table by hand: the version published is
compared with the version loaded, and the cursor only keeps times and attempts.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from medgen_pipeline.orchestration.release_sensor import words
from medgen_pipeline.orchestration.release_sensor.cursor import Asked
from medgen_pipeline.release import FileVersion, SourceMemory

# How long after a request the next one for the same versions may follow; the number of requests is one more.
RETRY_AFTER = (timedelta(minutes=15), timedelta(hours=3))


@dataclass(frozen=True)
class Followed:
    """A table whose file is followed.

    Attributes:
        asset: Its key, with slashes, as everywhere in this module.
        name: Of the table.
        file_name: As the source names it.
        url: Of the file.
    """

    asset: str
    name: str
    file_name: str
    url: str


@dataclass(frozen=True)
class Published:
    """What the source shows, and how it is followed.

    Attributes:
        source: Its URL.
        tables: Those that are followed.
        memory: What was seen.
        release_of: Names the release that files of these versions make.
        quiet: How long no file may have changed before a release is complete.
        rollback: How long an older file must be there before it is followed.
    """

    source: str
    tables: Sequence[Followed]
    memory: SourceMemory
    release_of: Callable[[Iterable[FileVersion]], str]
    quiet: timedelta
    rollback: timedelta

    def version(self, table: Followed) -> FileVersion | None:
        """The version published now, or None where there is no such file."""
        seen = self.memory.files.get(table.file_name)
        return seen.version if seen else None


class Loaded(Protocol):
    """What is known of the assets. Each question is asked when its answer is needed, and then once."""

    def has(self, asset: str) -> bool:
        """Whether there is such an asset."""

    def state(self, asset: str) -> str:
        """Changes with each materialization."""

    def version(self, asset: str) -> FileVersion | None:
        """The file's version that a table was last made from."""

    def url(self, asset: str) -> str | None:
        """The file's URL of that time."""

    def pinned(self, asset: str) -> str:
        """The release that a table is pinned to, or nothing."""

    def downstream(self, assets: Iterable[str]) -> set[str]:
        """These assets and those downstream of them that a run can make."""

    def run_under_way(self, assets: Iterable[str]) -> str:
        """A sentence about a run that makes some of these, or nothing."""

    def failed_checks(self, except_of: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Blocking checks of other assets that have failed, each with its asset."""


@dataclass(frozen=True)
class Failure:
    """Why a request did not lead to the asset; ``final`` where another one would not either."""

    text: str
    final: bool = False


@dataclass(frozen=True)
class Request:
    """One run.

    Attributes:
        assets: What it makes, in order.
        versions: Of the files that have changed, by asset.
        release: The release they make.
        run_key: Dagster runs a key once for ever.
        attempt: Which request for these versions it is.
    """

    assets: tuple[str, ...]
    versions: Mapping[str, FileVersion]
    release: str
    run_key: str
    attempt: int


@dataclass(frozen=True)
class Decision:
    """What came of a tick.

    Attributes:
        request: The run to ask for, or None.
        reason: Why none is asked for.
        notes: What somebody should know in any case.
        asked: What has been asked for and has not come about.
    """

    request: Request | None
    reason: str
    notes: tuple[str, ...]
    asked: Mapping[str, Asked]


def decide(
    published: Published,
    loaded: Loaded,
    asked: Mapping[str, Asked],
    failures: Callable[[str, Asked], Failure],
    now: datetime,
) -> Decision:
    """Decide what to ask for.

    Args:
        published: What the source shows.
        loaded: What is known of the assets.
        asked: What was asked for, by asset.
        failures: Why what was asked for an asset has not led to it.
        now: By our own clock.
    """
    return _Decider(published, loaded, asked, failures, now).decide()


class _Decider:
    """The steps of one decision, over the same arguments."""

    def __init__(
        self,
        published: Published,
        loaded: Loaded,
        asked: Mapping[str, Asked],
        failures: Callable[[str, Asked], Failure],
        now: datetime,
    ) -> None:
        self._published = published
        self._loaded = loaded
        self._failures = failures
        self._now = now
        self._notes: list[str] = []
        self._tables = {table.asset: table for table in published.tables}
        self._pending = {table.asset: table for table in published.tables if self._is_pending(table)}
        self._asked = {asset: one for asset, one in asked.items() if self._is_open(asset, one)}
        self._notes += self._missing_files()

    def decide(self) -> Decision:
        wanted = [*self._pending, *(asset for asset in self._asked if asset not in self._tables)]
        if not wanted:
            files = sum(1 for table in self._published.tables if self._published.version(table))
            return self._nothing(words.nothing_new(files, self._published.source))
        if waiting := self._publication_under_way() or self._loaded.run_under_way(wanted):
            return self._nothing(waiting)
        chosen = self._without_what_stays_stale([asset for asset in wanted if self._is_due(asset)])
        assets = self._without_those_behind_a_failed_check(self._loaded.downstream(chosen))
        return self._ask_for(chosen, sorted(assets)) if assets else self._nothing("")

    def _nothing(self, reason: str) -> Decision:
        return Decision(None, reason, tuple(self._notes), self._asked)

    # --- what is published and loaded ----------------------------------------------------------------------------

    def _is_pending(self, table: Followed) -> bool:
        published, loaded = self._published.version(table), self._loaded.version(table.asset)
        is_as_loaded = published is None or (loaded is not None and published.matches(loaded))
        if is_as_loaded or not self._loaded.has(table.asset):
            return False
        if release := self._loaded.pinned(table.asset):
            self._notes.append(words.pinned(table.file_name, table.name, release))
        return not release

    def _is_open(self, asset: str, asked: Asked) -> bool:
        """Whether what was asked for is still wanted and has not come about."""
        if table := self._tables.get(asset):
            return asset in self._pending and asked.state == str(self._published.version(table))
        return self._loaded.has(asset) and asked.state == self._loaded.state(asset)

    def _missing_files(self) -> Iterator[str]:
        files = self._published.memory.files
        for table in self._published.tables:
            seen = files.get(table.file_name)
            if seen and seen.version is None:
                yield words.file_is_missing(table.file_name, table.name, seen.since)
        if absent := [table.file_name for table in self._published.tables if table.file_name not in files]:
            yield words.never_had(absent)

    # --- whether it is time --------------------------------------------------------------------------------------

    def _publication_under_way(self) -> str:
        name, last = max(self._published.memory.files.items(), key=lambda item: item[1].since)
        if last.since + self._published.quiet <= self._now:
            return ""
        return words.being_published(name, last.since, self._published.quiet)

    def _is_due(self, asset: str) -> bool:
        """Whether nothing speaks against it; what does is noted."""
        against = self._against_going_back(asset) or self._against_asking_again(asset)
        if against:
            self._notes.append(against)
        return not against

    def _against_going_back(self, asset: str) -> str:
        """The published file may be older than the loaded one, of the same source: a mirror that was put back."""
        table = self._tables.get(asset)
        if table is None:
            return ""
        published, loaded = self._published.version(table), self._loaded.version(asset)
        if loaded is None or published is None or published.modified >= loaded.modified:
            return ""
        memory = self._published.memory
        due = max(memory.files[table.file_name].since, memory.began) + self._published.rollback
        if self._loaded.url(asset) != table.url or due <= self._now:
            return ""
        return words.went_back(table.file_name, published, loaded, due, asset)

    def _against_asking_again(self, asset: str) -> str:
        asked = self._asked.get(asset)
        if asked is None:
            return ""
        failure = self._failures(asset, asked)
        if failure.final:
            return words.not_again(asset, failure.text)
        if asked.attempts > len(RETRY_AFTER):
            return words.given_up(asset, asked.attempts, failure.text)
        at = datetime.fromisoformat(asked.at)
        due = at + RETRY_AFTER[asked.attempts - 1]
        # Before that time, our clock was put back.
        return words.again_later(asset, due, failure.text) if at <= self._now < due else ""

    # --- what belongs to it --------------------------------------------------------------------------------------

    def _without_what_stays_stale(self, chosen: Sequence[str]) -> list[str]:
        """Without what is downstream of a table that is out of date and stays so for now."""
        stale = self._loaded.downstream(asset for asset in self._pending if asset not in chosen)
        return [asset for asset in chosen if asset in self._pending or asset not in stale]

    def _without_those_behind_a_failed_check(self, assets: set[str]) -> set[str]:
        """Without what is downstream of a table whose blocking check has failed and is not made again in the same run.

        Dagster lets a blocking check stop what is downstream in its own run alone.
        """
        left = set(assets)
        for check, of in self._loaded.failed_checks(except_of=assets):
            if behind := (left & self._loaded.downstream([of])) - self._tables.keys():
                left -= behind
                self._notes.append(words.held_back(behind, check, of))
        return left

    # --- the request ---------------------------------------------------------------------------------------------

    def _ask_for(self, chosen: Sequence[str], assets: Sequence[str]) -> Decision:
        """One run of ``assets``, which are the chosen ones and what is downstream of them."""
        wanted = {asset: self._published.version(table) for asset, table in self._pending.items() if asset in chosen}
        versions = {asset: version for asset, version in wanted.items() if version}
        states = {asset: str(versions[asset]) if asset in versions else self._loaded.state(asset) for asset in assets}
        attempts = {asset: 1 + self._asked[asset].attempts for asset in chosen if asset in self._asked}
        attempt = max(attempts.values(), default=1)
        seen = self._published.memory.files.values()
        release = self._published.release_of(versions.values() or [one.version for one in seen if one.version])
        run_key = f"{release}/{self._digest(states)}/attempt-{attempt}"
        at = f"{self._now:%Y-%m-%dT%H:%M:%SZ}"
        asked = {asset: Asked(state, attempts.get(asset, 1), at, run_key) for asset, state in states.items()}
        request = Request(tuple(assets), versions, release, run_key, attempt)
        return Decision(request, "", tuple(self._notes), {**self._asked, **asked})

    def _digest(self, states: Mapping[str, str]) -> str:
        """Names what is asked for. A version may come back after another, so the times belong to it."""
        memory = self._published.memory
        since = {name: str(sighting.since) for name, sighting in memory.files.items()}
        what = [str(memory.began), since, dict(states)]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
