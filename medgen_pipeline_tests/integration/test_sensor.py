"""The sensor against a double of NCBI's server, with real loads into PostgreSQL and the clock in the test's hand."""

import gzip
import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from medgen_pipeline.catalog import ALL_TABLES, SourceTable, Table, sources_behind, table_by_name
from medgen_pipeline.catalog.sources.medgen import MEDGEN, TABLES
from medgen_pipeline.loading.findings import DRIFT_CHECK
from medgen_pipeline.loading.rollback import unpin
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES, SOURCE_URL, SOURCE_VERSION
from medgen_pipeline.orchestration.release_sensor.cursor import Cursor
from medgen_pipeline.orchestration.release_sensor.decision import RETRY_AFTER
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.release import SourceMemory, UnusableSourceError
from medgen_pipeline.release.transport.connections import counted_connection
from medgen_pipeline.rows.published import content_of
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.integration.daemon import Daemon, Tick
from medgen_pipeline_tests.integration.support import Deployment, exists
from medgen_pipeline_tests.loaders.cases import THOROUGHLY
from medgen_pipeline_tests.loaders.support import new_loader, query
from medgen_pipeline_tests.ncbi_double import (
    NcbiDouble,
    cut_after,
    headed,
    instead,
    listing,
    ncbi_double,
    publish,
    rounded_size,
    status,
    trickled,
)

NAMES, MERGED, SOURCES = (table_by_name(name) for name in ("names", "merged", "medgen_sources"))
MGREL = table_by_name("mgrel")
SERVED = (NAMES, MERGED, SOURCES)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TICK = 15 * MINUTE
WEDNESDAY = datetime(2026, 1, 7, 17, 0, tzinfo=UTC)
PAGE = b"<html><body>We are moving</body></html>"


def rows(table: SourceTable, release: int) -> bytes:
    """The file of a tiny release, as published; every release differs in one row."""
    count = len(table.columns)
    content = content_of(table, [[b"C%07d" % number] + [b"r"] * (count - 1) for number in range(20)])
    content += content_of(table, [[b"C%07d" % (100 + release)] + [b"r"] * (count - 1)]).split(b"\n", 1)[1]
    return gzip.compress(content, mtime=release) if table.is_gzip else content


@dataclass
class Following:
    """A sensor at work: a source, a daemon, and what the clock shows."""

    ncbi: NcbiDouble
    daemon: Daemon
    deployment: Deployment
    now: datetime

    def publish(self, release: int, *tables: SourceTable, modified: datetime | None = None) -> None:
        for table in tables or SERVED:
            publish(self.ncbi.directory, table.file_name, rows(table, release), modified or self.now)

    def loaded_for_dagster(self, tick: Tick, tables: Iterable[Table]) -> None:
        """Record what the tick asked for as loaded, as far as Dagster knows."""
        for table in tables:
            metadata = {}
            if isinstance(table, SourceTable):
                version, url = tick.reported[table.name], f"{self.ncbi.url}{table.file_name}"
                metadata = {SOURCE_VERSION: version, SOURCE_URL: url}
            made = dg.AssetMaterialization(DEFAULT_NAMES.table_key(table), metadata=metadata)
            self.deployment.instance.report_runless_asset_event(made)

    def tick(self, later: timedelta = TICK, *, run: bool = True) -> Tick:
        self.now += later
        self.ncbi.seen.clear()
        return self.daemon.tick(self.now, run=run)

    def settle(self, *, run: bool = True) -> list[Tick]:
        """Ticks for an hour and a quarter; those that asked for something. That is loaded, or Dagster thinks so."""
        ticks = []
        for _ in range(5):
            tick = self.tick(run=run)
            if tick.requests:
                ticks.append(tick)
            if tick.requests and not run:
                self.loaded_for_dagster(tick, [table for table in SERVED if f"medgen/{table.name}" in tick.assets])
        return ticks

    def refuse(self, *tables: SourceTable) -> None:
        """Let a page come in place of the next download of these files, so that their loads fail without retries."""
        self.ncbi.heal()
        for table in tables:
            self.ncbi.inject(*[instead(PAGE)] * 3, of=table.file_name)

    @property
    def loaded(self) -> dict[str, int]:
        """The release each table holds; 1 where no run has loaded it."""
        found = dict.fromkeys((table.name for table in SERVED), 1)
        for table in SERVED:
            if not exists(self.deployment.dsn, f"medgen.{table.name}"):
                continue
            newest = query(self.deployment.dsn, f'SELECT max("{table.columns[0].name}") FROM medgen.{table.name}')  # noqa: S608
            found[table.name] = int(str(newest[0][0])[1:]) - 100
        return found


@pytest.fixture
def deployment(database: str, tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    instance.wipe()
    return Deployment(database, tmp_path / "home", instance, curated=False, tables=[table.name for table in SERVED])


@contextmanager
def following(
    deployment: Deployment, directory: Path, *more: dg.AssetsDefinition | dg.AssetSpec
) -> Iterator[Following]:
    directory.mkdir()
    with ncbi_double(directory, etag=False, ranges=False) as ncbi:
        checks = [one for one in more if isinstance(one, dg.AssetChecksDefinition)]
        assets = [one for one in more if not isinstance(one, dg.AssetChecksDefinition)]
        definitions = dg.Definitions.merge(
            deployment.definitions(ncbi.url), dg.Definitions(assets=assets, asset_checks=checks)
        )
        tables = [table for table in TABLES if deployment.tables is None or table.name in deployment.tables]
        found = Following(ncbi, Daemon(definitions, deployment.instance, tables), deployment, WEDNESDAY)
        ncbi.clock = lambda: found.now
        yield found


@pytest.fixture
def published(deployment: Deployment, tmp_path: Path) -> Iterator[Following]:
    """Release 1 of three tables has been published a day ago."""
    with following(deployment, tmp_path / "ncbi") as found:
        found.publish(1, modified=WEDNESDAY - DAY)
        yield found


@pytest.fixture
def follow(published: Following) -> Following:
    """And it was loaded, as far as Dagster knows; the runs that follow are real."""
    published.loaded_for_dagster(published.tick(run=False), SERVED)
    return published


# --- what leads to a run, and to which ---


@pytest.mark.real
def test_each_real_release_leads_to_one_run_of_exactly_the_table_that_changed(
    deployment: Deployment, real_releases: Path, tmp_path: Path
) -> None:
    everything = replace(deployment, tables=[table.name for table in (*SERVED, MGREL)])
    asked = {}
    with following(everything, tmp_path / "ncbi") as found:
        found.publish(1, modified=datetime(2021, 8, 20, 19, 58, tzinfo=UTC))
        for release in ("2021-08-20", "2021-11-11", "2021-12-02"):
            found.now = datetime.fromisoformat(f"{release}T20:00Z")
            content = (real_releases / release / MGREL.file_name).read_bytes()
            publish(found.ncbi.directory, MGREL.file_name, content, found.now)
            (asked[release],) = found.settle()
            assert "Nothing new: 4 files" in found.tick().skipped
    first, *later = asked.values()
    assert first.assets == sorted(f"medgen/{table.name}" for table in (*SERVED, MGREL))
    assert [tick.assets for tick in later] == [["medgen/mgrel"]] * 2
    for release, tick in asked.items():
        assert tick.tags == {"medgen/release": release, "medgen/attempt": "1"}
        assert tick.runs[0].success
    expected = json.loads((real_releases / "expected_changes.json").read_text())
    for tick, changes in zip(later, expected.values(), strict=True):
        made = tick.runs[0].metadata["mgrel"]
        counts = [changes["mgrel"][kind] for kind in ("inserted", "updated", "deleted")]
        assert [made[f"cdc/{kind}"] for kind in ("inserted", "updated", "deleted")] == counts


def test_curated_tables_are_asked_for_with_the_tables_they_are_made_from_and_no_others(
    database: str, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    instance.wipe()
    deployment = Deployment(database, tmp_path / "home", instance)
    with following(deployment, tmp_path / "ncbi") as found:
        found.publish(1, *TABLES, modified=WEDNESDAY - DAY)
        first = found.tick(run=False)
        of_medgen = [table for table in ALL_TABLES if sources_behind(table) == {MEDGEN}]
        assert first.assets == sorted(f"medgen/{table.name}" for table in of_medgen)
        found.loaded_for_dagster(first, of_medgen)
        found.publish(2, MGREL)
        found.tick(run=False)
        found.tick(run=False)
        tick = found.tick(run=False)
        assert tick.assets == [
            "medgen/concept_ancestor",
            "medgen/concept_parent",
            "medgen/concept_relation",
            "medgen/mgrel",
            "medgen/release_report",
        ]
        checks = {check.to_user_string() for check in tick.requests[0].asset_check_keys or ()}
        assert "medgen/concept_parent:parents_are_above" in checks
        found.loaded_for_dagster(tick, [table for table in of_medgen if f"medgen/{table.name}" in tick.assets])
        assert "Nothing new" in found.tick().skipped


def test_a_first_tick_asks_for_everything_that_is_published_and_never_loaded(
    deployment: Deployment, tmp_path: Path
) -> None:
    with following(replace(deployment, tables=None), tmp_path / "ncbi") as found:
        found.publish(1, modified=WEDNESDAY - DAY)
        tick = found.tick()
        assert tick.assets == ["medgen/medgen_sources", "medgen/merged", "medgen/names"]
        assert tick.tags == {"medgen/release": "2026-01-06", "medgen/attempt": "1"}
        version = f"2026-01-06T17:00:00Z/{len(rows(NAMES, 1))}"
        assert tick.reported["names"] == version
        (run,) = tick.runs
        assert run.success
        assert run.metadata["names"]["medgen/source_version"] == version
        assert found.loaded == {"names": 1, "merged": 1, "medgen_sources": 1}


def test_a_tick_against_an_unchanged_source_costs_one_request(follow: Following) -> None:
    follow.settle()
    tick = follow.tick()
    assert tick.skipped.startswith(f"Nothing new: 3 files at {follow.ncbi.url} are as loaded.")
    assert [(seen.method, seen.file_name) for seen in follow.ncbi.seen] == [("GET", "")]


def test_a_release_is_waited_for_until_no_file_has_changed_for_half_an_hour(follow: Following) -> None:
    follow.publish(2, NAMES)
    tick = follow.tick()
    assert "A release is being published" in tick.skipped
    assert "NAMES.RRF.gz changed at 17:30 UTC" in tick.skipped
    assert "no file has changed for 30 minutes, at 18:00 UTC" in tick.skipped
    follow.publish(2, MERGED)  # 17:30
    assert "MERGED.RRF.gz changed at 17:45 UTC" in follow.tick().skipped
    assert "at 18:15 UTC" in follow.tick().skipped
    tick = follow.tick()
    assert tick.assets == ["medgen/merged", "medgen/names"]
    assert tick.reported.keys() == {"names", "merged"}
    assert follow.loaded == {"names": 2, "merged": 2, "medgen_sources": 1}
    assert follow.settle() == []


def test_what_hangs_on_a_changed_table_is_made_with_it_and_nothing_else(deployment: Deployment, tmp_path: Path) -> None:
    @dg.asset(deps=[["medgen", "names"]], group_name="somebody_s")
    def of_names() -> None: ...

    @dg.asset(deps=[of_names, ["medgen", "merged"]])
    def of_both() -> None: ...

    @dg.asset(deps=[["medgen", "medgen_sources"]])
    def of_sources() -> None: ...

    @dg.asset(deps=[of_names], partitions_def=dg.StaticPartitionsDefinition(["one"]))
    def in_partitions() -> None: ...

    somebody_else_s = dg.AssetSpec("dashboard", deps=[of_names])

    more = (of_names, of_both, of_sources, in_partitions, somebody_else_s)
    with following(deployment, tmp_path / "ncbi", *more) as found:
        found.publish(1, modified=WEDNESDAY - DAY)
        assert {"of_names", "of_both", "of_sources"} < set(found.tick().assets)
        found.publish(2, NAMES)
        assert [tick.assets for tick in found.settle()] == [["medgen/names", "of_both", "of_names"]]
        found.publish(3, MERGED)
        assert [tick.assets for tick in found.settle()] == [["medgen/merged", "of_both"]]


def test_a_release_after_another_is_followed_and_each_run_has_a_key_of_its_own(follow: Following) -> None:
    keys = []
    for release in (2, 3, 2, 3):
        follow.publish(release)
        (tick,) = follow.settle()
        keys += [request.run_key for request in tick.requests]
        assert set(follow.loaded.values()) == {release}
    assert len(set(keys)) == 4
    assert all("/attempt-1" in str(key) for key in keys)


def test_the_run_checks_what_it_makes_but_for_the_check_that_the_job_leaves_out(follow: Following) -> None:
    follow.daemon.checks = True
    follow.publish(2, NAMES)
    (tick,) = follow.settle()
    checked = tick.requests[0].asset_check_keys or []
    assert {check.asset_key for check in checked} == {DEFAULT_NAMES.table_key(NAMES)}
    assert {check.name for check in checked} >= {"schema_matches_catalog", "key_is_unique", "row_count_within_history"}
    assert DRIFT_CHECK not in {check.name for check in checked}
    assert tick.runs[0].checks.keys() == {f"names.{check.name}" for check in checked}


def test_files_published_far_apart_are_marked_on_the_run_and_on_the_table(
    follow: Following, caplog: pytest.LogCaptureFixture
) -> None:
    follow.publish(2, NAMES)
    follow.publish(2, MERGED, modified=WEDNESDAY - 13 * HOUR)
    (tick,) = follow.settle()
    assert tick.tags["medgen/release"] == "2026-01-07"
    assert tick.tags["medgen/release_span"] == "2026-01-07T04:00Z..2026-01-07T17:15Z"
    behind = {name: made["medgen/hours_behind"] for name, made in tick.runs[0].metadata.items()}
    assert behind == {"names": 0, "merged": 13.2}  # the long table is fetched first
    assert "these may be files of two releases" in caplog.text


# --- what is loaded already ---


def test_a_release_that_somebody_loaded_by_hand_is_not_loaded_again(follow: Following) -> None:
    follow.publish(2)
    follow.tick()
    assert follow.deployment.materialize(follow.ncbi.url, *SERVED).success
    assert follow.settle() == []
    assert "Nothing new" in follow.tick().skipped


def test_a_cursor_that_is_damaged_counts_as_lost() -> None:
    lost = Cursor.read(None, "https://a.test/", WEDNESDAY)
    assert lost.memory == SourceMemory("https://a.test/", WEDNESDAY)
    no_files = lost.write().replace('"files": {}', '"files": []')
    of_another = Cursor(SourceMemory("https://b.test/", WEDNESDAY)).write()
    no_zone = lost.write().replace("Z", "")
    for text in ("", "{", "[]", '{"source": "x"}', '"text"', no_files, no_zone, of_another):
        assert Cursor.read(text, "https://a.test/", WEDNESDAY) == lost, text


def test_a_cursor_that_is_lost_loads_nothing_twice_and_loses_nothing(follow: Following) -> None:
    follow.daemon.cursor = None
    assert "Nothing new" in follow.tick().skipped
    follow.publish(2)
    follow.daemon.cursor = None
    assert [tick.assets for tick in follow.settle()] == [["medgen/medgen_sources", "medgen/merged", "medgen/names"]]
    assert follow.settle() == []


def test_the_cursor_of_another_source_says_nothing_of_this_one(follow: Following, tmp_path: Path) -> None:
    publish(tmp_path / "mirror", NAMES.file_name, rows(NAMES, 5), WEDNESDAY)
    follow.daemon.definitions = follow.deployment.definitions((tmp_path / "mirror").as_uri())
    tick = follow.tick(3 * HOUR)
    assert tick.assets == ["medgen/names"]
    assert set(json.loads(follow.daemon.cursor or "")["files"]) == {"NAMES.RRF.gz"}


def test_the_cursor_is_json_with_what_was_seen_and_asked_for(follow: Following) -> None:
    follow.publish(2, NAMES)
    follow.refuse(NAMES)
    for _ in range(3):
        follow.tick()
    cursor = json.loads(follow.daemon.cursor or "")
    assert set(cursor) == {"source", "began", "unreachable_since", "files", "asked"}
    (asked,) = cursor["asked"].items()
    assert asked == (
        "medgen/names",
        {
            "state": f"2026-01-07T17:15:00Z/{len(rows(NAMES, 2))}",
            "attempts": 1,
            "at": "2026-01-07T18:00:00Z",
            "run_key": asked[1]["run_key"],
        },
    )
    assert cursor["source"] == follow.ncbi.url
    assert cursor["files"]["NAMES.RRF.gz"] == {
        "listed": f"2026-01-07 12:15 {rounded_size(len(rows(NAMES, 2))).strip()}",
        "version": f"2026-01-07T17:15:00Z/{len(rows(NAMES, 2))}",
        "since": "2026-01-07T17:30:00Z",
        "checked": cursor["files"]["NAMES.RRF.gz"]["checked"],
    }


# --- runs that fail, or are not finished ---


def test_a_run_that_failed_is_asked_for_again_three_times_in_all_with_longer_waits(follow: Following) -> None:
    follow.publish(2)
    asked = []
    for _ in range(40):
        follow.refuse(*SERVED)
        if (tick := follow.tick()).requests:
            asked.append((follow.now, tick))
    assert [tick.tags["medgen/attempt"] for _, tick in asked] == ["1", "2", "3"]
    (first, _), (second, _), (third, _) = asked
    assert (second - first, third - second) == RETRY_AFTER


def test_a_run_that_failed_in_part_is_asked_for_again_in_that_part(deployment: Deployment, tmp_path: Path) -> None:
    @dg.asset(deps=[["medgen", "names"]])
    def of_names() -> None: ...

    @dg.asset(deps=[["medgen", "merged"]])
    def of_merged() -> None: ...

    with following(deployment, tmp_path / "ncbi", of_names, of_merged) as found:
        found.publish(1, modified=WEDNESDAY - DAY)
        found.refuse(NAMES)
        tick = found.tick()
        assert not tick.runs[0].success
        assert set(tick.runs[0].metadata) == {"merged", "medgen_sources", "of_merged"}
        skipped, again = found.tick(MINUTE), found.tick()
        assert "medgen/names is asked for again from 2026-01-07 17:30 UTC: run " in skipped.skipped
        assert "HTML or XML page" in skipped.skipped
        assert again.assets == ["medgen/names", "of_names"]
        assert again.tags == {"medgen/release": "2026-01-06", "medgen/attempt": "2"}
        assert again.reported == {}
        assert found.settle() == []


def test_an_asset_downstream_that_failed_alone_is_asked_for_again_alone(deployment: Deployment, tmp_path: Path) -> None:
    failures = [RuntimeError("once"), RuntimeError("twice")]

    @dg.asset(deps=[["medgen", "names"]])
    def of_names() -> None:
        if failures:
            raise failures.pop()

    with following(deployment, tmp_path / "ncbi", of_names) as found:
        found.publish(1, modified=WEDNESDAY - DAY)
        ticks = [tick for _ in range(30) if (tick := found.tick()).requests]
        assert [tick.assets for tick in ticks[1:]] == [["of_names"], ["of_names"]]
        assert [tick.tags["medgen/attempt"] for tick in ticks] == ["1", "2", "3"]
        assert [tick.runs[0].success for tick in ticks] == [False, False, True]


def test_a_failed_blocking_check_holds_back_what_hangs_on_its_table_until_it_passes(
    deployment: Deployment, tmp_path: Path
) -> None:
    passes = [True]

    @dg.asset_check(asset=["medgen", "names"], blocking=True)
    def plausible() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passes[0])

    @dg.asset(deps=[["medgen", "names"], ["medgen", "merged"]])
    def of_both() -> None: ...

    with following(deployment, tmp_path / "ncbi", of_both, plausible) as found:
        everything = found.daemon.definitions.resolve_implicit_global_asset_job_def()
        check = {dg.AssetCheckKey(dg.AssetKey(["medgen", "names"]), "plausible")}

        def check_names(*, passed: bool) -> None:
            passes[0] = passed
            job = everything.get_subset(asset_selection=set(), asset_check_selection=check)
            job.execute_in_process(instance=deployment.instance, raise_on_error=False)

        found.publish(1, modified=WEDNESDAY - DAY)
        found.tick()
        check_names(passed=False)
        found.publish(2, MERGED)
        (tick,) = found.settle()
        assert tick.assets == ["medgen/merged"]
        found.publish(2, NAMES)  # loads the table again
        assert [tick.assets for tick in found.settle()] == [["medgen/names", "of_both"]]
        check_names(passed=True)
        found.publish(3, MERGED)
        assert [tick.assets for tick in found.settle()] == [["medgen/merged", "of_both"]]


def test_what_is_given_up_is_named_and_the_next_release_is_followed(follow: Following) -> None:
    follow.publish(2, NAMES)
    for _ in range(4):
        follow.refuse(NAMES)
        follow.now += 4 * HOUR
        follow.tick()
    tick = follow.tick(DAY)
    assert "medgen/names was asked for 3 times and is given up: run " in tick.skipped
    assert "Materialize medgen/names when the cause is gone" in tick.skipped
    follow.ncbi.heal()
    follow.publish(3, MERGED)
    assert [tick.assets for tick in follow.settle()] == [["medgen/merged"]]
    follow.publish(4)
    assert [tick.tags["medgen/attempt"] for tick in follow.settle()] == ["1"]
    assert set(follow.loaded.values()) == {4}


def test_a_closed_gate_is_not_run_into_again_and_the_reason_says_how_to_open_it(published: Following) -> None:
    published.tick()
    short = gzip.compress(content_of(NAMES, [[b"C0000102", b"n", b"s", b"N"]]))
    publish(published.ncbi.directory, NAMES.file_name, short, published.now)
    assert len(published.settle()) == 1
    tick = published.tick()
    assert "medgen/names is not asked for again: run " in tick.skipped
    assert "max_shrink_percent" in tick.skipped
    done = published.deployment.materialize(published.ncbi.url, NAMES, config={"max_shrink_percent": 100})
    assert done.success
    assert "Nothing new" in published.tick().skipped


def test_what_hangs_on_a_table_that_was_refused_is_not_made_without_it(deployment: Deployment, tmp_path: Path) -> None:
    @dg.asset(deps=[["medgen", "names"], ["medgen", "merged"]])
    def of_both() -> None: ...

    with following(deployment, tmp_path / "ncbi", of_both) as found:
        found.publish(1, modified=WEDNESDAY - DAY)
        found.tick()
        found.publish(2, MERGED)
        short = gzip.compress(content_of(NAMES, [[b"C0000102", b"n", b"s", b"N"]]))
        publish(found.ncbi.directory, NAMES.file_name, short, found.now)
        (tick,) = found.settle()
        assert tick.assets == ["medgen/merged", "medgen/names", "of_both"]
        assert set(tick.runs[0].metadata) == {"merged"}
        found.now += DAY
        assert found.settle() == []


@pytest.mark.parametrize("state", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_run_that_is_not_finished_is_waited_for(follow: Following, state: dg.DagsterRunStatus) -> None:
    job = follow.daemon.definitions.resolve_job_def("refresh_medgen")
    names = frozenset({dg.AssetKey(["medgen", "names"])})
    run = follow.deployment.instance.create_run_for_job(job, asset_selection=names, status=state)
    follow.publish(2)
    ticks = [follow.tick() for _ in range(5)]
    assert not any(tick.requests for tick in ticks)
    assert f"Run {run.run_id} (refresh_medgen, " in ticks[-1].skipped
    assert "terminate it" in ticks[-1].skipped
    follow.deployment.instance.report_run_canceled(run)
    assert len(follow.settle(run=False)) == 1


# --- what may go wrong at the source ---


def test_an_outage_is_a_reason_to_skip_that_says_since_when(follow: Following) -> None:
    follow.publish(2)
    follow.ncbi.inject(status(503), status(500), of="")
    first, second, third = follow.tick(), follow.tick(), follow.tick()
    assert "the server answered 503" in first.skipped
    assert "Unreachable since 2026-01-07 17:30 UTC. Nothing was asked for; the next tick looks again." in first.skipped
    assert "the server answered 500" in second.skipped
    assert "Unreachable since 2026-01-07 17:30 UTC" in second.skipped
    assert "A release is being published" in third.skipped
    assert len(follow.settle(run=False)) == 1


def test_a_server_that_asks_for_patience_is_not_asked_again_in_the_same_tick(follow: Following) -> None:
    follow.ncbi.inject(status(429, Retry_After="7200"), of="")
    assert "after what it asks for (Retry-After: 7200)" in follow.tick().skipped
    assert len(follow.ncbi.seen) == 1


def test_an_outage_in_the_middle_of_a_look_is_a_reason_to_skip(follow: Following) -> None:
    follow.publish(2)
    follow.ncbi.inject(status(502), on="HEAD", of="MERGED.RRF.gz")
    assert "MERGED.RRF.gz: the server answered 502" in follow.tick().skipped
    assert len(follow.settle(run=False)) == 1


def test_nobody_listening_is_a_reason_to_skip(follow: Following) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        follow.daemon.definitions = follow.deployment.definitions(address)
        assert "cannot be reached" in follow.tick().skipped


def test_both_connections_in_use_are_a_reason_to_skip(follow: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medgen_pipeline.release.fetch._LOOK_TURN_SECONDS", 0.1)
    archive = follow.deployment.archive
    host = follow.ncbi.url.split("/")[2]
    with counted_connection(archive.folder, host, 2), counted_connection(archive.folder, host, 2):
        assert "2 connections are open, and no more are made" in follow.tick().skipped
    assert "Nothing new" in follow.tick().skipped


def test_a_listing_that_cannot_be_read_is_replaced_by_asking_for_each_file(follow: Following) -> None:
    follow.publish(2)
    for answer in (status(403), status(404), instead(PAGE), instead(b""), instead(b"<a>" * 2_000_000)):
        follow.ncbi.heal()
        follow.ncbi.inject(*[answer] * 9, of="")
        skipped = follow.tick(MINUTE).skipped
        assert "cannot be read, so every file was asked for by itself. NCBI may have changed it" in skipped
    assert [tick.assets for tick in follow.settle(run=False)] == [
        ["medgen/medgen_sources", "medgen/merged", "medgen/names"]
    ]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            "<html><head><title>Index of /pub/medgen/</title></head><body><h1>Index of /pub/medgen/</h1><hr><pre>"
            '<a href="../">../</a>\n<a href="NAMES.RRF.gz">NAMES.RRF.gz</a>      {0:%d-%b-%Y %H:%M}          {1}\n'
            '<a href="MERGED.RRF.gz">MERGED.RRF.gz</a>    07-Jan-2026 11:22    123\n</pre></body></html>',
            id="nginx",
        ),
        pytest.param(
            '<table><tr><th><a href="?C=N;O=D">Name</a></th></tr><tr><td><a href="/pub/medgen/NAMES.RRF.gz">NAMES.R..'
            '</a></td><td align="right">{0:%Y-%m-%d %H:%M}  </td><td align="right">{1} </td></tr><tr><td>'
            "<a href='MERGED.RRF.gz'>MERGED.R..</a></td><td>2026-01-07 11:22</td><td>1</td></tr></table>",
            id="table in one line",
        ),
    ],
)
def test_other_servers_listings_do_as_well(follow: Following, page: str) -> None:
    (follow.ncbi.directory / SOURCES.file_name).unlink()

    def show() -> None:
        shown = (follow.ncbi.directory / NAMES.file_name).stat()
        text = page.format(datetime.fromtimestamp(shown.st_mtime, UTC), shown.st_size)
        follow.ncbi.inject(instead(text.encode()), of="")

    follow.now += HOUR  # the lines of the listing before prove nothing
    for _ in range(6):
        show()
        follow.tick()
    assert [seen.method for seen in follow.ncbi.seen] == ["GET"]
    follow.publish(2, NAMES)
    show()
    follow.tick()
    assert [(seen.method, seen.file_name) for seen in follow.ncbi.seen] == [("GET", ""), ("HEAD", "NAMES.RRF.gz")]


def test_a_page_in_place_of_everything_fails_the_tick_and_says_what_to_do(follow: Following) -> None:
    follow.ncbi.inject(instead(PAGE), of="")
    follow.ncbi.inject(instead(PAGE), on="HEAD")
    with pytest.raises(UnusableSourceError, match=r"does not say when the file changed.*outage or a login page"):
        follow.tick()
    assert "Nothing new" in follow.tick().skipped


def test_a_place_without_any_of_the_files_fails_the_tick_and_says_what_to_do(follow: Following) -> None:
    for table in SERVED:
        (follow.ncbi.directory / table.file_name).unlink()
    with pytest.raises(UnusableSourceError, match=r"has none of MedGen's files. Check MEDGEN_SOURCE_URL"):
        follow.tick()


def test_a_listing_cut_short_is_a_reason_to_skip(follow: Following) -> None:
    follow.publish(2)
    follow.ncbi.inject(cut_after(300), of="")
    assert "cannot be reached (" in follow.tick().skipped
    assert len(follow.settle(run=False)) == 1


def test_a_listing_that_trickles_in_is_a_reason_to_skip(follow: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medgen_pipeline.release.fetch._LOOK_READ_TIMEOUT", 0.3)
    follow.ncbi.inject(trickled(0.1), of="")
    assert "the listing comes too slowly" in follow.tick().skipped


def test_a_source_too_slow_for_a_tick_is_a_reason_to_skip(follow: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medgen_pipeline.release.fetch._LOOK_SECONDS", 0)
    follow.publish(2)
    assert "did not answer for every file within 0 s" in follow.tick().skipped


def test_a_file_that_vanishes_is_named_and_the_others_are_followed(follow: Following) -> None:
    follow.publish(2)
    (follow.ncbi.directory / MERGED.file_name).unlink()
    assert [tick.assets for tick in follow.settle()] == [["medgen/medgen_sources", "medgen/names"]]
    tick = follow.tick()
    assert "MERGED.RRF.gz has been missing since 2026-01-07 17:30 UTC; merged stays as it is" in tick.skipped
    assert "If NCBI renamed the file" in tick.skipped
    follow.publish(2, MERGED)
    assert [tick.assets for tick in follow.settle()] == [["medgen/merged"]]


def test_a_file_that_goes_back_in_time_is_followed_after_a_day(follow: Following) -> None:
    follow.publish(2, NAMES)
    published = follow.now
    (newer,) = follow.settle()
    follow.publish(1, NAMES, modified=WEDNESDAY - DAY)
    seen = follow.now + TICK
    assert follow.settle() == []
    tick = follow.tick()
    assert "NAMES.RRF.gz went back in time: 2026-01-06T17:00:00Z/" in tick.skipped
    assert f"is loaded. It is followed if that is still so at {seen + DAY:%Y-%m-%d %H:%M} UTC" in tick.skipped
    assert "to follow at once, materialize medgen/names" in tick.skipped
    assert newer.tags["medgen/release"] == "2026-01-07"
    follow.now = seen + DAY - TICK
    assert follow.tick().assets == ["medgen/names"]
    assert follow.loaded == {"names": 1, "merged": 1, "medgen_sources": 1}
    assert follow.settle() == []
    follow.publish(2, NAMES, modified=published)  # the very file that was there before
    (again,) = follow.settle()
    assert again.runs, "Dagster runs a key once for ever"
    assert follow.loaded["names"] == 2


def test_a_file_that_went_back_in_time_is_no_older_for_a_lost_cursor(follow: Following) -> None:
    follow.publish(2)
    follow.settle()
    follow.publish(1, NAMES, modified=WEDNESDAY - DAY)
    follow.daemon.cursor = None
    assert follow.settle() == []
    assert "NAMES.RRF.gz went back in time" in follow.tick().skipped


def test_servers_that_disagree_about_the_newest_release_roll_nothing_back(follow: Following) -> None:
    follow.publish(2)
    published = follow.now
    follow.settle()
    for _ in range(4):  # for more than the day after which a file is followed that went back in time
        follow.publish(1, modified=WEDNESDAY - DAY)
        tick = follow.tick(4 * HOUR)
        assert not tick.requests
        follow.publish(2, modified=published)
        assert not follow.tick(4 * HOUR).requests
    assert "A release is being published" in tick.skipped  # never long enough to be said to have gone back
    assert set(follow.loaded.values()) == {2}


def test_a_file_that_goes_back_in_time_holds_no_other_up(follow: Following) -> None:
    follow.publish(1, NAMES, modified=WEDNESDAY - 2 * DAY)
    follow.publish(2, MERGED)
    assert [tick.assets for tick in follow.settle()] == [["medgen/merged"]]


def test_a_second_change_within_the_listing_s_minute_is_seen(follow: Following) -> None:
    minute = follow.now
    follow.publish(2, NAMES, modified=minute + timedelta(seconds=5))
    before = listing(follow.ncbi.directory)
    for _ in range(3):
        follow.tick()
    assert follow.loaded["names"] == 2
    follow.publish(3, NAMES, modified=minute + timedelta(seconds=50))
    assert listing(follow.ncbi.directory) == before
    assert len(follow.settle()) == 1
    assert follow.loaded["names"] == 3


def test_a_second_change_in_the_hour_that_the_server_s_clock_shows_twice_is_seen(follow: Following) -> None:
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    follow.now = first
    follow.publish(2, NAMES)
    before = listing(follow.ncbi.directory)
    for _ in range(4):
        follow.tick()
    assert follow.loaded["names"] == 2
    follow.now = second
    follow.publish(3, NAMES)
    assert listing(follow.ncbi.directory) == before
    assert len(follow.settle()) == 1
    assert follow.loaded["names"] == 3


@pytest.mark.parametrize(
    "ahead", [-400 * DAY, -2 * HOUR, 2 * HOUR, 400 * DAY] if THOROUGHLY else [-400 * DAY, 2 * HOUR]
)
def test_a_source_whose_clock_is_wrong_is_followed_all_the_same(follow: Following, ahead: timedelta) -> None:
    follow.ncbi.clock = lambda: follow.now + ahead
    follow.publish(2, modified=follow.now + ahead)
    waiting = [follow.tick(), follow.tick()]
    assert all("A release is being published" in tick.skipped for tick in waiting)
    if ahead < timedelta():
        follow.now += DAY  # older than what is loaded
    assert len(follow.settle(run=False)) == 1
    skipped = follow.tick().skipped
    assert "The clocks of this machine" in skipped
    assert f"differ by {abs(ahead) // MINUTE} minutes" in skipped


def test_a_clock_of_ours_that_is_put_back_delays_and_repeats_nothing(follow: Following) -> None:
    follow.publish(2)
    follow.tick()
    follow.now -= 10 * DAY
    follow.refuse(NAMES)
    assert [tick.assets for tick in follow.settle()] == [
        ["medgen/medgen_sources", "medgen/merged", "medgen/names"],
        ["medgen/names"],
    ]
    follow.now -= 10 * DAY
    assert follow.settle() == []


def test_a_file_dated_in_the_future_is_waited_for_as_any_other(deployment: Deployment, tmp_path: Path) -> None:
    with following(deployment, tmp_path / "ncbi") as found:
        found.publish(1, modified=WEDNESDAY + 3 * DAY)
        assert "A release is being published" in found.tick().skipped
        assert [tick.tags["medgen/release"] for tick in found.settle()] == ["2026-01-10"]


def test_a_source_that_tells_no_sizes_is_followed(follow: Following) -> None:
    follow.ncbi.inject(*[headed(Content_Length=None)] * 99, on="HEAD")
    follow.publish(2)
    (tick,) = follow.settle()
    assert tick.reported["names"] == "2026-01-07T17:15:00Z/?"
    assert follow.settle() == []


# --- other sources ---


def test_a_directory_is_followed(follow: Following) -> None:
    follow.daemon.definitions = follow.deployment.definitions(follow.ncbi.directory.as_uri())
    assert "Nothing new: 3 files" in follow.tick().skipped
    follow.publish(2, MERGED)
    assert [tick.assets for tick in follow.settle()] == [["medgen/merged"]]
    assert follow.ncbi.seen == []


def test_how_long_is_waited_can_be_set(follow: Following) -> None:
    follow.publish(2)
    of_environment = MedgenSource.of(Settings.read({"MEDGEN_QUIET_MINUTES": "90.5"}))
    minutes = of_environment.quiet_minutes
    follow.daemon.definitions = follow.deployment.definitions(follow.ncbi.url, quiet_minutes=minutes)
    assert "for 90.5 minutes, at 19:00 UTC" in follow.tick().skipped
    follow.daemon.definitions = follow.deployment.definitions(follow.ncbi.url, quiet_minutes=0)
    assert follow.tick().requests


def test_the_password_of_a_private_mirror_is_in_neither_cursor_nor_reason(follow: Following) -> None:
    secret = follow.ncbi.url.replace("//", "//reader:s%40cret@")
    follow.daemon.definitions = follow.deployment.definitions(secret)
    follow.publish(2)
    ticks = [follow.tick() for _ in range(5)]
    follow.ncbi.inject(status(500), of="")
    ticks.append(follow.tick())
    assert "cret" not in repr(ticks) + str(follow.daemon.cursor)


def test_the_sensor_itself_asks_by_the_real_clock(follow: Following) -> None:
    follow.ncbi.clock = lambda: datetime.now(UTC)
    follow.publish(2, modified=datetime.now(UTC) - HOUR)
    follow.daemon.cursor = None
    assert follow.daemon.tick().assets == ["medgen/medgen_sources", "medgen/merged", "medgen/names"]
    assert "Nothing new" in follow.daemon.tick().skipped


# --- pinned tables ---


def test_a_table_that_went_back_stays_there_until_it_is_let_go(follow: Following) -> None:
    dsn, url = follow.deployment.dsn, follow.ncbi.url
    for number in (2, 3):
        follow.publish(number)
        follow.settle()
        follow.now += 7 * DAY
    back = follow.deployment.materialize(url, NAMES, config={"release": "2026-01-07"})
    assert back.success, back.failure
    assert (follow.loaded["names"], follow.loaded["merged"]) == (2, 3)
    skipped = follow.tick().skipped
    assert "NAMES.RRF.gz is not followed: names is pinned to release 2026-01-07" in skipped
    follow.publish(4)
    (asked,) = follow.settle()
    assert asked.assets == ["medgen/medgen_sources", "medgen/merged"]
    assert (follow.loaded["names"], follow.loaded["merged"]) == (2, 4)
    assert unpin(new_loader(dsn), NAMES) == "2026-01-07"
    (asked,) = follow.settle()
    assert asked.assets == ["medgen/names"]
    assert set(follow.loaded.values()) == {4}


def test_nothing_is_asked_for_while_the_warehouse_cannot_say_what_is_pinned(follow: Following) -> None:
    follow.publish(2)
    follow.tick()
    with pytest.MonkeyPatch.context() as patch:
        nowhere = replace(follow.deployment, dsn="postgresql://127.0.0.1:1/none")
        patch.setattr(follow.daemon, "definitions", nowhere.definitions(follow.ncbi.url))
        tick = follow.tick(HOUR)
    assert tick.requests == ()
    assert "the warehouse cannot say which tables are pinned" in tick.skipped
    assert len(follow.settle(run=False)) == 1
