"""Back to an earlier release and forth again, from files and from the feed, on every backend; and who stays there."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.loaders import LoaderError, LoadRecord, Strategy
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.loading.load import LoadOptions, PinnedError
from medgen_pipeline.loading.rollback import UnknownReleaseError, find_release, known_releases, pins, undo, unpin
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline.testing import Backend
from medgen_pipeline.testing.files import OPEN_GATES
from medgen_pipeline.testing.loads import HISTORY, NAMES, RELEASES, differences
from medgen_pipeline_tests.faults.support import publish, rows_of
from medgen_pipeline_tests.loaders.cases import THOROUGH, THOROUGHLY, skip_what_others_stand_for
from medgen_pipeline_tests.loaders.curated_support import READ, CuratedWarehouse
from medgen_pipeline_tests.loaders.going_back import History
from medgen_pipeline_tests.loaders.support import PostgresBackend, new_loader

FIRST, NEWEST = RELEASES[0], RELEASES[-1]
# Where a load is killed: so many places, spread evenly over its statements.
PLACES = 10 if THOROUGHLY else 2
ROUTES = pytest.mark.parametrize("keep_files", [True, False], ids=["from files", "by the feed"])


@pytest.fixture
def postgres(database: str) -> PostgresBackend:
    return PostgresBackend(database)


@pytest.fixture(params=["postgres", "redshift", "databricks"])
def backend(request: pytest.FixtureRequest) -> Backend:
    # From files it is a load like any other, which the conformance suite has killed everywhere on each backend.
    skip_what_others_stand_for(request, {request.function.__name__: ("postgres", "by the feed")})
    made: Backend = request.getfixturevalue(request.param)
    if request.param == "databricks":
        made.config["lease_seconds"] = 3
    return made


@ROUTES
@pytest.mark.parametrize("table", [NAMES, HISTORY] if THOROUGHLY else [HISTORY], ids=lambda table: table.name)
def test_a_table_goes_back_three_releases_and_forth_again_whatever_kills_it_on_the_way(
    backend: Backend, tmp_path: Path, table: SourceTable, keep_files: bool
) -> None:
    history = History(backend, tmp_path, table, keep_files)
    there_and_back = ((FIRST, NEWEST), (NEWEST, FIRST))
    statements = {}
    for release, before in there_and_back:
        since = history.last_load().load_id
        statements[release] = history.statements(release)
        history.require(release, since, before)
    # Through a gate, each way at another place.
    for turn in range(PLACES if THOROUGHLY or isinstance(backend, PostgresBackend) else 1):
        for way, (release, before) in enumerate(there_and_back):
            place = (turn + way) % PLACES
            since = history.last_load().load_id
            history.go_to_and_die(release, at=statements[release] * (2 * place + 1) // (2 * PLACES))
            history.go_to(release)
            history.require(release, since, before)


@ROUTES
def test_counts_of_a_table_with_a_key_are_by_key_either_way(
    postgres: PostgresBackend, tmp_path: Path, keep_files: bool
) -> None:
    history = History(postgres, tmp_path, NAMES, keep_files)
    result = history.go_to(FIRST)
    rows = {release: rows_of(NAMES, variant, count=60) for variant, release in enumerate(RELEASES, 1)}
    assert result.counts == differences(NAMES, rows[NEWEST], rows[FIRST])
    assert result.counts.updated > 0
    assert result.strategy is Strategy.SNAPSHOT or keep_files


def known(history: History) -> dict[str, str]:
    with history.backend.new_loader() as loader:
        found = known_releases(loader, history.table, Archive(history.archive))
    return {one.release: one.where for one in found}


def test_releases_are_listed_with_where_they_are(postgres: PostgresBackend, tmp_path: Path) -> None:
    history = History(postgres, tmp_path, NAMES, keep_files=True)
    assert known(history) == dict.fromkeys(reversed(RELEASES), "archive, feed")
    history.keep_files = False
    assert known(history) == dict.fromkeys(reversed(RELEASES), "feed")
    postgres.run("UPDATE {load_run} SET status = 'failed' WHERE release = '2026-01-14'")
    assert "2026-01-14" not in known(history)


@pytest.fixture
def history(postgres: PostgresBackend, tmp_path: Path) -> History:
    """Of a table whose earlier files are gone."""
    return History(postgres, tmp_path, NAMES, keep_files=False)


def test_a_file_that_was_never_loaded_is_a_release_and_one_that_was_loaded_has_the_release_of_its_load(
    history: History,
) -> None:
    archive = Archive(history.home / "archive")
    table = replace(NAMES, name="merged")  # another one, whose file has the same name
    with history.backend.new_loader() as loader:
        assert [one.where for one in known_releases(loader, table, archive)] == ["archive"] * len(RELEASES)
    history.backend.run("UPDATE {load_run} SET release = '2025-12-31' WHERE release = '2026-01-07'")
    with history.backend.new_loader() as loader:
        found = {one.release: one for one in known_releases(loader, NAMES, archive)}
        assert found["2025-12-31"].file == found["2026-01-07"].file
        assert find_release(loader, NAMES, archive, "2025-12-31").release == "2025-12-31"
        for record in (archive.root / "records").iterdir():  # as one that an earlier version has noted
            record.write_text(re.sub(r'"modified": ".+"', '"modified": ""', record.read_text()))
        known = {one.release for one in known_releases(loader, NAMES, archive)}
    assert known == {"2025-12-31", *RELEASES[1:]}


def test_a_file_that_is_damaged_is_not_gone_back_to_and_the_feed_is(history: History) -> None:
    history.keep_files = True
    archive = Archive(history.archive)
    with history.backend.new_loader() as loader:
        (first,) = (one.file for one in known_releases(loader, NAMES, archive) if one.release == FIRST)
        assert first is not None
        path = archive.address_of(first)
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        assert isinstance(find_release(loader, NAMES, archive, FIRST), LoadRecord)


def test_an_unknown_release_is_an_error_that_lists_what_there_is(history: History) -> None:
    said = r"neither in the archive nor within reach of the change feed.*2026-01-28 \(feed\); 2026-01-21 \(feed\);"
    with pytest.raises(UnknownReleaseError, match=said):
        history.go_to("2026-01-08")


def test_the_feed_leads_back_no_further_than_to_where_others_have_written(history: History) -> None:
    first = load_of(history, FIRST)
    history.backend.run("DELETE FROM {production} WHERE cui = 'C0000010'", NAMES)
    history.keep_files = True
    history.go_to(NEWEST)  # repairs it
    assert history.backend.production(NAMES) == history.rows[NEWEST]
    history.keep_files = False
    assert known(history) == {NEWEST: "feed"}
    with pytest.raises(LoaderError, match=r"names: load \d+ \(release 2026-01-07\) is no longer within reach"):
        undo(history.backend.new_loader(), NAMES, first)


def load_of(history: History, release: str) -> LoadRecord:
    """What a table whose files are gone is brought to a release by."""
    with history.backend.new_loader() as loader:
        found = find_release(loader, history.table, Archive(history.archive), release)
    assert isinstance(found, LoadRecord)
    return found


def test_what_others_have_written_is_not_taken_for_what_loads_have_left(history: History) -> None:
    first, newest = load_of(history, FIRST), load_of(history, NEWEST)
    undo(history.backend.new_loader(), NAMES, newest)  # one more load, which changes nothing
    history.backend.run("UPDATE {production} SET name = 'by hand' WHERE cui = 'C0000010'", NAMES)
    before = history.backend.production(NAMES)
    for found in (first, newest, history.last_load()):
        with pytest.raises(LoaderError, match=r"cannot be brought back by the change feed.*release: newest first"):
            undo(history.backend.new_loader(), NAMES, found)
    assert history.backend.production(NAMES) == before
    assert history.backend.leftovers([NAMES]) == []


def test_a_feed_that_somebody_has_edited_leads_nowhere(history: History) -> None:
    history.backend.run("DELETE FROM {feed} WHERE _change_type = 'insert' AND _release = '2026-01-14'", NAMES)
    with pytest.raises(LoaderError, match=r"does not lead back to the .* rows that it left.*Was the feed edited"):
        history.go_to(FIRST)
    assert history.backend.production(NAMES) == history.rows[NEWEST]


def test_a_load_that_goes_back_by_the_feed_is_recorded_as_the_one_it_goes_back_to(history: History) -> None:
    history.backend.run("UPDATE {load_run} SET rows_rejected = 3 WHERE release = '2026-01-07'")
    first = load_of(history, FIRST)
    undo(history.backend.new_loader(), NAMES, first, "run 7")
    last = history.last_load()
    assert (last.rows_rejected, last.source_sha256, last.content_sha256) == (
        3,
        first.source_sha256,
        first.content_sha256,
    )
    assert history.backend.loads("dagster_run_id")[-1] == ("run 7",)


def test_the_feed_leads_back_over_any_change_of_size(history: History) -> None:
    folder = publish(history.home / "2026-02-04", NAMES, rows_of(NAMES, 1, count=60)[:6], bad_lines=0)
    source = ReleaseSource(folder.as_uri(), Archive(history.home / "archive")).fetch(NAMES)
    load_table(history.backend.new_loader(), NAMES, source, Archive(history.archive), LoadOptions(OPEN_GATES))
    history.go_to(NEWEST)
    assert history.backend.production(NAMES) == history.rows[NEWEST]


@pytest.mark.skipif(not THOROUGHLY, reason=f"half a minute of two processors: set {THOROUGH}")
def test_curated_tables_follow_their_tables_back_and_equal_their_rebuild(
    database: str, samples: tuple[Path, Path], tmp_path: Path
) -> None:
    warehouse, archive = CuratedWarehouse(lambda: new_loader(database), database), Archive(tmp_path)
    loads = {}
    for release in samples:
        warehouse.bring_to(release, archive)
        warehouse.make_all()
        with new_loader(database) as loader:
            loads[release.name] = {table.name: loader.last_load(table) for table in READ}
    for table in READ:
        first = loads[samples[0].name][table.name]
        assert first is not None
        undo(new_loader(database), table, first)
    followed = warehouse.make_all()
    assert sum(result.strategy is Strategy.SNAPSHOT for result in followed.values()) > len(followed) // 2
    for name, result in followed.items():
        rebuilt = warehouse.make_alone(name, force_rebuild=True)
        assert rebuilt.counts.unchanged == rebuilt.counts.rows_after == result.counts.rows_after, name


# --- pins ---


def test_a_pinned_table_is_not_loaded_by_who_has_not_looked_and_can_be_let_go(history: History) -> None:
    history.go_to(FIRST)
    history.go_to(FIRST)  # where it is
    archive = Archive(history.home / "archive")
    newest = ReleaseSource((history.home / NEWEST).as_uri(), archive).fetch(NAMES)
    with pytest.raises(PinnedError, match="names was pinned to release 2026-01-07 meanwhile"):
        load_table(history.backend.new_loader(), NAMES, newest, archive, LoadOptions(OPEN_GATES))
    assert pins(history.backend.new_loader(), [NAMES, HISTORY]) == {"names": FIRST}
    assert history.backend.production(NAMES) == history.rows[FIRST]
    feed = history.backend.feed(NAMES)

    assert unpin(history.backend.new_loader(), NAMES) == FIRST
    assert unpin(history.backend.new_loader(), NAMES) == ""
    assert pins(history.backend.new_loader(), [NAMES]) == {}
    assert history.backend.feed(NAMES) == feed
    assert history.backend.loads("mode")[-1] == ("unchanged",)
    load_table(history.backend.new_loader(), NAMES, newest, archive, LoadOptions(OPEN_GATES))
    assert history.backend.production(NAMES) == history.rows[NEWEST]


def test_a_load_of_what_is_published_lets_a_table_go(history: History) -> None:
    history.go_to(FIRST)
    archive = Archive(history.home / "archive")
    newest = ReleaseSource((history.home / NEWEST).as_uri(), archive).fetch(NAMES)
    load_table(history.backend.new_loader(), NAMES, newest, archive, LoadOptions(OPEN_GATES, pin=False))
    assert not history.last_load().pinned
    assert Counter(history.backend.production(NAMES)) == history.rows[NEWEST]


def test_a_table_that_was_never_loaded_has_no_release_and_no_pin(postgres: PostgresBackend, tmp_path: Path) -> None:
    with postgres.new_loader() as loader:
        assert known_releases(loader, NAMES, Archive(tmp_path)) == []
    assert unpin(postgres.new_loader(), NAMES) == ""
    assert not postgres.schemas() & {"medgen", "medgen_audit"}
