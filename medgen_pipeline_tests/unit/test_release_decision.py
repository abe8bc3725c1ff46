"""The sensor's decision, case by case, without a source, an instance or a clock. The whole way: test_sensor.py."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.orchestration.release_sensor.cursor import Asked
from medgen_pipeline.orchestration.release_sensor.decision import (
    RETRY_AFTER,
    Decision,
    Failure,
    Followed,
    Published,
    decide,
)
from medgen_pipeline.release import FileVersion, SourceMemory
from medgen_pipeline.release.probe import Sighting

NOW = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OLD, NEW = FileVersion(NOW - 7 * DAY, 10), FileVersion(NOW - 2 * HOUR, 11)
NAMES, MERGED = (
    Followed(f"medgen/{name}", name, f"{name.upper()}.gz", f"https://ncbi.test/{name.upper()}.gz")
    for name in ("names", "merged")
)
CONCEPT = "medgen/concept"


@dataclass
class Records:
    """What an instance would know: both tables as of the old release, and one asset downstream of both."""

    versions: dict[str, FileVersion] = field(default_factory=lambda: {NAMES.asset: OLD, MERGED.asset: OLD})
    states: dict[str, str] = field(default_factory=dict)
    url_of: dict[str, str] = field(default_factory=lambda: {one.asset: one.url for one in (NAMES, MERGED)})
    run: str = ""
    pins: dict[str, str] = field(default_factory=dict)
    checks: list[tuple[str, str]] = field(default_factory=list)

    def has(self, asset: str) -> bool:
        return asset in {NAMES.asset, MERGED.asset, CONCEPT}

    def state(self, asset: str) -> str:
        return self.states.get(asset, "1")

    def version(self, asset: str) -> FileVersion | None:
        return self.versions.get(asset)

    def url(self, asset: str) -> str | None:
        return self.url_of.get(asset)

    def pinned(self, asset: str) -> str:
        return self.pins.get(asset, "")

    def downstream(self, assets: Iterable[str]) -> set[str]:
        found = set(assets)
        return found | {CONCEPT} if found else found

    def run_under_way(self, assets: Iterable[str]) -> str:
        return self.run if [*assets] else ""

    def failed_checks(self, except_of: Iterable[str]) -> Iterator[tuple[str, str]]:
        others = set(except_of)
        return ((check, of) for check, of in self.checks if of not in others)


def published(
    names: FileVersion | None = OLD, merged: FileVersion | None = OLD, since: datetime = NOW - HOUR
) -> Published:
    files = {
        table.file_name: Sighting("", version, since, NOW) for table, version in ((NAMES, names), (MERGED, merged))
    }
    memory = SourceMemory("https://ncbi.test/", NOW - 30 * DAY, files)
    return Published(
        memory.source,
        (NAMES, MERGED),
        memory,
        lambda versions: f"{max(version.modified for version in versions):%Y-%m-%d}",
        quiet=timedelta(minutes=30),
        rollback=DAY,
    )


def decided(
    what: Published,
    records: Records | None = None,
    asked: Mapping[str, Asked] | None = None,
    failure: Failure | None = None,
    now: datetime = NOW,
) -> Decision:
    return decide(what, records or Records(), asked or {}, lambda *_: failure or Failure("its run failed."), now)


def asked_for(version: FileVersion, attempts: int = 1, at: datetime = NOW) -> dict[str, Asked]:
    return {NAMES.asset: Asked(str(version), attempts, f"{at:%Y-%m-%dT%H:%M:%SZ}", "key")}


def test_nothing_is_asked_for_while_everything_is_as_loaded() -> None:
    decision = decided(published())
    assert (decision.request, decision.reason) == (None, "Nothing new: 2 files at https://ncbi.test/ are as loaded.")


def test_a_changed_file_leads_to_its_table_and_what_is_downstream() -> None:
    decision = decided(published(names=NEW))
    request = decision.request
    assert request is not None
    assert request.assets == (CONCEPT, NAMES.asset)
    assert {one.attempts for one in decision.asked.values()} == {1}
    assert request.versions == {NAMES.asset: NEW}
    assert (request.release, request.attempt) == ("2026-01-07", 1)


def test_a_pinned_table_is_left_there_and_what_is_downstream_follows_the_others() -> None:
    pinned = Records(pins={NAMES.asset: "2025-12-31"})
    decision = decided(published(names=NEW), pinned)
    assert decision.request is None
    (note,) = decision.notes
    assert "names is pinned to release 2025-12-31" in note
    request = decided(published(names=NEW, merged=NEW), pinned).request
    assert request is not None
    assert request.assets == (CONCEPT, MERGED.asset)


def test_a_release_is_waited_for_until_no_file_has_changed_for_the_quiet_time() -> None:
    what = published(names=NEW, since=NOW - timedelta(minutes=29))
    assert decided(what).reason.startswith("A release is being published, as it seems: NAMES.gz changed at 11:31 UTC.")
    assert decided(what, now=NOW + timedelta(minutes=1)).request


def test_a_run_that_makes_what_is_wanted_is_waited_for() -> None:
    assert decided(published(names=NEW), Records(run="Run 1 is at work.")).reason == "Run 1 is at work."


def test_what_was_asked_for_is_asked_for_again_after_a_while_and_then_given_up() -> None:
    what, at = published(names=NEW, since=NOW - DAY), NOW - HOUR
    for attempts, wait in enumerate(RETRY_AFTER, start=1):
        asked = asked_for(NEW, attempts, at)
        early = decided(what, asked=asked, now=at + wait - timedelta(seconds=1))
        assert early.request is None
        assert "is asked for again from" in early.notes[0]
        due = decided(what, asked=asked, now=at + wait).request
        assert due is not None
        assert due.attempt == attempts + 1
    last = decided(what, asked=asked_for(NEW, len(RETRY_AFTER) + 1), now=NOW + 9 * DAY)
    assert last.request is None
    assert "was asked for 3 times and is given up: its run failed." in last.notes[0]


def test_a_new_version_begins_anew_whatever_was_asked_for_the_one_before() -> None:
    decision = decided(published(names=NEW), asked=asked_for(OLD, 3))
    assert decision.request is not None
    assert decision.request.attempt == 1


def test_what_another_request_cannot_mend_is_not_asked_for_again() -> None:
    decision = decided(published(names=NEW), asked=asked_for(NEW), failure=Failure("the gate is closed.", final=True))
    assert decision.request is None
    assert decision.notes == (
        "medgen/names is not asked for again: the gate is closed. Correct it and materialize medgen/names.",
    )


def test_a_clock_that_was_put_back_does_not_hold_a_request_back() -> None:
    assert decided(published(names=NEW), asked=asked_for(NEW, at=NOW + DAY)).request


def test_a_table_that_was_loaded_by_hand_is_forgotten() -> None:
    records = Records(versions={NAMES.asset: NEW, MERGED.asset: OLD})
    decision = decided(published(names=NEW), records, asked_for(NEW))
    assert (decision.request, dict(decision.asked)) == (None, {})


def test_an_asset_downstream_that_was_not_made_is_asked_for_by_itself() -> None:
    records = Records(versions={NAMES.asset: NEW, MERGED.asset: OLD}, states={CONCEPT: "7"})
    asked = {CONCEPT: Asked("7", 1, f"{NOW - DAY:%Y-%m-%dT%H:%M:%SZ}", "key")}
    decision = decided(published(names=NEW), records, asked)
    assert decision.request is not None
    assert decision.request.assets == (CONCEPT,)
    made = replace(records, states={CONCEPT: "8"})
    assert decided(published(names=NEW), made, asked).request is None


def test_an_asset_downstream_waits_for_a_table_that_stays_out_of_date() -> None:
    asked = asked_for(NEW) | {CONCEPT: Asked("1", 1, f"{NOW - DAY:%Y-%m-%dT%H:%M:%SZ}", "key")}
    assert decided(published(names=NEW), asked=asked).request is None


def test_an_older_file_is_followed_only_when_it_has_been_there_for_a_day() -> None:
    records = Records(versions={NAMES.asset: NEW, MERGED.asset: OLD})
    what = published(names=OLD)
    assert "NAMES.gz went back in time" in decided(what, records).notes[0]
    assert decided(what, records, now=NOW + DAY).request
    elsewhere = replace(records, url_of={NAMES.asset: "https://mirror.test/NAMES.gz", MERGED.asset: MERGED.url})
    assert decided(what, elsewhere).request


def test_a_file_of_the_same_time_and_another_size_is_no_older_one() -> None:
    assert decided(published(names=replace(OLD, size=11))).request


def test_a_file_that_the_source_never_had_is_noted_and_holds_no_other_up() -> None:
    what = published(names=NEW)
    files = {NAMES.file_name: what.memory.files[NAMES.file_name]}
    decision = decided(replace(what, memory=replace(what.memory, files=files)))
    assert decision.notes == ("The source never had MERGED.gz.",)
    assert decision.request is not None
    assert decision.request.assets == (CONCEPT, NAMES.asset)


def test_an_asset_that_was_asked_for_and_is_defined_no_more_is_forgotten() -> None:
    decision = decided(published(), asked={"host/gone": Asked("1", 1, f"{NOW - DAY:%Y-%m-%dT%H:%M:%SZ}", "key")})
    assert (decision.request, decision.asked) == (None, {})


def test_a_missing_file_is_noted_and_its_table_left_alone() -> None:
    decision = decided(published(names=None))
    assert decision.request is None
    assert decision.notes[0].startswith("NAMES.gz has been missing since 2026-01-07 11:00 UTC; names stays as it is.")


def test_what_is_behind_a_failed_check_of_another_table_is_held_back() -> None:
    decision = decided(published(names=NEW), Records(checks=[("key_is_unique", MERGED.asset)]))
    assert decision.request is not None
    assert decision.request.assets == (NAMES.asset,)
    assert "medgen/concept is held back by the check key_is_unique of medgen/merged" in decision.notes[0]
    both = decided(published(names=NEW, merged=NEW), Records(checks=[("key_is_unique", MERGED.asset)]))
    assert both.request is not None
    assert CONCEPT in both.request.assets


VERSIONS = st.sampled_from([None, OLD, NEW, FileVersion(NOW - DAY, None)])


@given(
    names=VERSIONS,
    merged=VERSIONS,
    loaded=st.dictionaries(st.sampled_from([NAMES.asset, MERGED.asset]), VERSIONS.filter(bool)),
    minutes=st.integers(0, 60 * 48),
    attempts=st.integers(1, 4),
    final=st.booleans(),
)
def test_a_request_names_only_what_is_wanted_and_never_what_is_as_loaded(
    names: FileVersion | None,
    merged: FileVersion | None,
    loaded: dict[str, FileVersion],
    minutes: int,
    attempts: int,
    *,
    final: bool,
) -> None:
    now = NOW + timedelta(minutes=minutes)
    decision = decided(
        published(names, merged), Records(loaded), asked_for(NEW, attempts), Failure("why.", final=final), now
    )
    if decision.request is None:
        assert decision.reason or decision.notes
        return
    for asset, version in decision.request.versions.items():
        assert not (asset in loaded and version.matches(loaded[asset]))
    assert set(decision.request.assets) == {CONCEPT, *decision.request.versions}
    assert decision.asked.keys() >= set(decision.request.assets)


def test_a_run_key_is_the_same_for_the_same_request_and_another_for_the_next_attempt() -> None:
    what = published(names=NEW)
    first, again = decided(what).request, decided(what).request
    retried = decided(what, asked=asked_for(NEW, at=NOW - DAY)).request
    assert first is not None
    assert again is not None
    assert retried is not None
    assert first.run_key == again.run_key
    assert retried.run_key == first.run_key.replace("attempt-1", "attempt-2")
