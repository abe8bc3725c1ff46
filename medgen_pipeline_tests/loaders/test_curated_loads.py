"""When a curated table is kept, when it follows changes, when it is rebuilt, and what a failure leaves."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medgen_pipeline.catalog import ColumnType, CuratedTable, Query, table_by_name, upstream_of
from medgen_pipeline.loaders import ApplyMode, LoaderError, LostConnectionError, Strategy
from medgen_pipeline.loading.curated_load import (
    CuratedOptions,
    MissingUpstreamError,
    UpstreamChangedError,
    load_curated,
)
from medgen_pipeline.testing import Row
from medgen_pipeline_tests.loaders.cases import THOROUGHLY
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse, curated
from medgen_pipeline_tests.loaders.support import new_loader, query, session

LINKS = [(1, "C1", "Any", 1), (1, "C1", "Any", 2), (2, "C2", "Any", 1)]
MORE_LINKS = [(1, "C1", "Any", 2), (2, "C2", "Any", 1), (2, "C2", "Any", 9), (3, "C3", "Any", 1)]


# Of the others PostgreSQL stands for Redshift: what they add to these is no SQL, or that of loads of files.
ON_BOTH = (
    "test_following_gives_what_a_rebuild_gives_behind_the_gate_too",
    "test_an_upstream_that_is_loaded_meanwhile_is_not_recorded_as_what_was_read",
)


def counts_of(warehouse: CuratedWarehouse) -> list[Row]:
    return warehouse.rows("concept_literature", ["cui", "link_count"])


# Kept


def test_a_table_is_kept_without_a_query_as_long_as_nothing_it_is_made_from_changes(
    curated_warehouse: CuratedWarehouse,
) -> None:
    curated_warehouse.give("medgen_pubmed_lnk", LINKS)
    assert curated_warehouse.make_alone("concept_literature").mode is ApplyMode.FIRST
    curated_warehouse.give("medgen_pubmed_lnk", LINKS, "2026-01-14")
    curated_warehouse.edit("ALTER TABLE medgen.medgen_pubmed_lnk RENAME TO elsewhere")  # a query would fail now
    result = curated_warehouse.make_alone("concept_literature")
    assert (result.mode, result.counts.unchanged, result.counts.changed) == (ApplyMode.UNCHANGED, 2, 0)
    assert result.strategy_reason == "nothing it is made from has changed since the last load"
    runs = "SELECT release, mode, status FROM medgen_audit.load_run WHERE table_name = 'concept_literature'"
    assert sorted(query(curated_warehouse.database, runs)) == [
        ("2026-01-07", "first", "succeeded"),
        ("2026-01-14", "unchanged", "succeeded"),
    ]


def test_a_change_of_any_table_that_it_is_made_from_is_followed(database: str) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    for name in ("cui_redirect", "concept", "concept_parent"):
        for optional in curated(name).optional:
            warehouse.give(optional, [])
        warehouse.make(name)
        for upstream in upstream_of(curated(name)):
            if not isinstance(upstream, CuratedTable):
                row = dict.fromkeys(upstream.column_names, f"C{len(warehouse.given)}")
                numbers = {column.name: 7 for column in upstream.columns if column.type is ColumnType.INTEGER}
                warehouse.give(upstream.name, [{**row, **numbers, "cui": f"C-{name}"}], "2026-01-14")
                assert warehouse.make_alone(name).strategy_reason.startswith(
                    f"followed the changes of {upstream.name} since"
                ), upstream
        assert warehouse.make_alone(name).strategy_reason.startswith("nothing")


def test_another_choice_of_settings_and_a_forced_rebuild_run_the_query(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give_names("C1", "C2", "C3")
    curated_warehouse.give("concept_parent", [("C1", "C2", "HPO"), ("C2", "C3", "MSH")])
    assert curated_warehouse.make_alone("concept_ancestor").counts.rows_after == 3
    one_step = curated_warehouse.make_alone("concept_ancestor", max_depth=1)
    assert (one_step.mode, one_step.counts.deleted) == (ApplyMode.DELTA, 1)
    assert curated_warehouse.make_alone("concept_ancestor", max_depth=1).strategy_reason.startswith("nothing")
    forced = curated_warehouse.make_alone("concept_ancestor", force_rebuild=True)
    assert forced.counts.inserted == 1
    assert forced.strategy_reason == "the run config asks for it"


def test_rows_edited_by_hand_are_found_and_healed(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("medgen_pubmed_lnk", LINKS)
    curated_warehouse.make_alone("concept_literature")
    right = curated_warehouse.rows("concept_literature")
    curated_warehouse.edit("UPDATE medgen.concept_literature SET link_count = 99 WHERE cui = 'C1'")
    with curated_warehouse.new_loader() as loader:
        assert loader.find_drift(curated("concept_literature")).found
    result = curated_warehouse.make_alone("concept_literature")
    assert result.strategy_reason.startswith("production is not as the last load left it: ")
    assert curated_warehouse.rows("concept_literature") == right


def test_what_changed_and_what_was_can_be_read_as_of_any_table(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("medgen_pubmed_lnk", LINKS)
    curated_warehouse.make_alone("concept_literature")
    before = curated_warehouse.rows("concept_literature")
    curated_warehouse.give("medgen_pubmed_lnk", MORE_LINKS, "2026-01-14")
    curated_warehouse.make_alone("concept_literature")
    table = curated("concept_literature")
    with curated_warehouse.new_loader() as loader:
        changes = Counter(row[0] for row in loader.read_changes(table, "2026-01-07", "2026-01-14"))
        assert changes == {"update_preimage": 2, "update_postimage": 2, "insert": 1}
        assert sorted(loader.read_as_of(table, "2026-01-07")) == before


# Followed


def test_literature_follows_the_change_feed(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("medgen_pubmed_lnk", LINKS)
    curated_warehouse.make_alone("concept_literature")
    curated_warehouse.give("medgen_pubmed_lnk", MORE_LINKS, "2026-01-14")
    result = curated_warehouse.make_alone("concept_literature")
    assert result.strategy_reason == "followed the changes of medgen_pubmed_lnk since the last load"
    assert result.strategy is Strategy.SNAPSHOT
    assert counts_of(curated_warehouse) == [("C1", 1), ("C2", 2), ("C3", 1)]


def test_literature_follows_releases_that_it_was_not_made_for(curated_warehouse: CuratedWarehouse) -> None:
    for release, rows in (("2026-01-07", LINKS), ("2026-01-14", MORE_LINKS), ("2026-01-21", LINKS[1:])):
        curated_warehouse.give("medgen_pubmed_lnk", rows, release)
        if release == "2026-01-07":
            curated_warehouse.make_alone("concept_literature")
    result = curated_warehouse.make_alone("concept_literature")
    assert result.strategy_reason.startswith("followed")
    assert counts_of(curated_warehouse) == [("C1", 1), ("C2", 1)]


def test_the_audit_is_asked_only_about_tables_that_were_loaded_since(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    warehouse.give_names("C1")
    warehouse.make("concept_name")
    warehouse.give("names", [("C1", "Another name", "GTR", "N")], "2026-01-14")
    loader, asked = warehouse.new_loader(), list[Query]()
    read_query = loader.read_query

    def noted(asking: Query, most: int) -> list[Row]:
        asked.append(asking)
        return read_query(asking, most)

    monkeypatch.setattr(loader, "read_query", noted)
    assert load_curated(loader, curated("concept_name")).strategy is Strategy.SNAPSHOT
    assert {one.parameters["table_name"] for one in asked if "table_name" in one.parameters} == {"names"}


def test_a_feed_that_does_not_reach_back_means_a_rebuild(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("medgen_pubmed_lnk", LINKS)
    curated_warehouse.make_alone("concept_literature")
    curated_warehouse.edit("DROP TABLE medgen.medgen_pubmed_lnk")  # the next load is a first one and feeds nothing
    curated_warehouse.give("medgen_pubmed_lnk", MORE_LINKS, "2026-01-14")
    result = curated_warehouse.make_alone("concept_literature")
    assert "the change feed of medgen_pubmed_lnk does not reach back" in result.strategy_reason
    assert counts_of(curated_warehouse) == [("C1", 1), ("C2", 2), ("C3", 1)]


def test_a_table_made_from_rows_that_others_had_written_is_rebuilt(curated_warehouse: CuratedWarehouse) -> None:
    """Also where the load that heals them has the content of the load before."""
    curated_warehouse.give("medgen_pubmed_lnk", LINKS)
    curated_warehouse.edit("DELETE FROM medgen.medgen_pubmed_lnk WHERE cui = 'C2'")
    curated_warehouse.make_alone("concept_literature")
    assert counts_of(curated_warehouse) == [("C1", 2)]
    curated_warehouse.give("medgen_pubmed_lnk", LINKS, "2026-01-14")
    result = curated_warehouse.make_alone("concept_literature")
    assert "made from rows of medgen_pubmed_lnk that somebody else had written" in result.strategy_reason
    assert counts_of(curated_warehouse) == [("C1", 2), ("C2", 1)]


def test_an_upstream_that_is_loaded_meanwhile_is_not_recorded_as_what_was_read(
    curated_warehouse: CuratedWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    curated_warehouse.give("medgen_pubmed_lnk", LINKS)
    curated_warehouse.make_alone("concept_literature")
    curated_warehouse.give("medgen_pubmed_lnk", MORE_LINKS, "2026-01-14")
    loader = curated_warehouse.new_loader()
    stage = loader.stage_query

    def load_before_staging(*arguments: object) -> int:
        curated_warehouse.give("medgen_pubmed_lnk", LINKS[:1], "2026-01-21")
        return stage(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loader, "stage_query", load_before_staging)
    with pytest.raises(UpstreamChangedError, match="medgen_pubmed_lnk was loaded meanwhile"):
        load_curated(loader, curated("concept_literature"))
    assert counts_of(curated_warehouse) == [("C1", 2), ("C2", 1)]
    curated_warehouse.make_alone("concept_literature")
    assert counts_of(curated_warehouse) == [("C1", 1)]


# Upstream table, what it holds in two releases.
TWO_RELEASES: dict[str, tuple[str, Sequence[Mapping[str, object] | Row], Sequence[Mapping[str, object] | Row]]] = {
    "concept_parent": (
        "mgrel",
        [{"cui1": "C1", "cui2": "C2", "rel": "PAR", "sab": "HPO"}],
        [{"cui1": "C1", "cui2": "C3", "rel": "PAR", "sab": "HPO"}],
    ),
    "concept_literature": ("medgen_pubmed_lnk", LINKS, MORE_LINKS),
    "release_report": ("names", [("C1", "One", "GTR", "N")], [("C1", "Uno", "GTR", "N")]),
}


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("concept_parent", "log_run_start"),  # when it waits for the table's lock
        ("concept_parent", "stage_query"),
        ("concept_literature", "log_run_start"),
    ],
)
def test_an_upstream_that_comes_and_goes_while_a_load_waits_or_reads_does_not_leave_wrong_rows(
    curated_warehouse: CuratedWarehouse, name: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of the later release under the fingerprint of the earlier one would be kept when that one comes back."""
    upstream, earlier, later = TWO_RELEASES[name]
    curated_warehouse.give_names("C1", "C2", "C3")
    curated_warehouse.give(upstream, earlier)
    curated_warehouse.make(name)
    loader = curated_warehouse.new_loader()
    step = getattr(loader, moment)

    def after_a_load_of_the_upstream(*arguments: object) -> object:
        curated_warehouse.give(upstream, later, "2026-01-14")
        return step(*arguments)

    monkeypatch.setattr(loader, moment, after_a_load_of_the_upstream)
    with pytest.raises(UpstreamChangedError, match=f"release 2026-01-07.*{upstream} was loaded meanwhile"):
        load_curated(loader, curated(name), CuratedOptions(force_rebuild=True))
    curated_warehouse.give(upstream, earlier, "2026-01-21")
    curated_warehouse.make_alone(name)
    found = curated_warehouse.rows(name)
    curated_warehouse.make_alone(name, force_rebuild=True)
    assert curated_warehouse.rows(name) == found


@pytest.mark.parametrize("curated_warehouse", ["postgres"], indirect=True)
def test_neither_does_one_whose_loads_a_report_reads(
    curated_warehouse: CuratedWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one backend: the report is made from every table, and most of them have to be loaded first."""
    test_an_upstream_that_comes_and_goes_while_a_load_waits_or_reads_does_not_leave_wrong_rows(
        curated_warehouse, "release_report", "stage_query", monkeypatch
    )


LINK = st.tuples(st.integers(1, 3), st.sampled_from(["C1", "C2", "C3", "C4"]), st.just("Any"), st.integers(1, 4))
RELEASES = st.lists(st.lists(LINK, max_size=8), min_size=2, max_size=5)


def expected_literature(rows: Sequence[Row]) -> list[Row]:
    counts = Counter(row[1] for row in rows)
    return sorted(
        (cui, count, 100 * sum(other < count for other in counts.values()) // len(counts))
        for cui, count in counts.items()
    )


@given(releases=RELEASES)
@settings(
    max_examples=25 if THOROUGHLY else 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_following_gives_what_a_rebuild_gives_whatever_changes(database: str, releases: list[list[Row]]) -> None:
    """Inserts, deletes, updates (a link of another concept), repeated rows, releases without a link."""
    query(database, "DROP SCHEMA IF EXISTS medgen, medgen_staging, medgen_changes, medgen_audit CASCADE")
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    for number, rows in enumerate(releases):
        warehouse.give("medgen_pubmed_lnk", rows, f"release {number}")
        reason = warehouse.make_alone("concept_literature").strategy_reason
        assert number == 0 or reason.startswith(("followed", "nothing"))
        assert warehouse.rows("concept_literature") == expected_literature(rows)


@pytest.mark.parametrize("curated_warehouse", ["redshift"], indirect=True)
def test_following_gives_what_a_rebuild_gives_behind_the_gate_too(curated_warehouse: CuratedWarehouse) -> None:
    twice = [LINKS[0], LINKS[0], *LINKS[2:]]
    for number, rows in enumerate([LINKS, twice, [], MORE_LINKS]):
        curated_warehouse.give("medgen_pubmed_lnk", rows, f"release {number}")
        reason = curated_warehouse.make_alone("concept_literature").strategy_reason
        assert number == 0 or reason.startswith("followed")
        assert curated_warehouse.rows("concept_literature") == expected_literature(rows)


def test_a_table_that_it_can_be_made_without_counts_from_its_first_load_on_and_no_longer_where_its_source_is_off(
    database: str,
) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    warehouse.give("merged", [("C1", "C9")])
    warehouse.give_names("C9")
    assert warehouse.make("cui_redirect").counts.rows_after == 1
    assert warehouse.make_alone("cui_redirect").strategy_reason.startswith("nothing")
    history = [("C2", "C9", "Feb 16 2016")]
    warehouse.give("concept_id_history", history)
    made = warehouse.make_alone("cui_redirect")
    assert made.strategy_reason.startswith("the last load was made without concept_id_history")
    assert warehouse.rows("cui_redirect", ["cui", "source"]) == [("C1", "MedGen"), ("C2", "ClinVar")]
    warehouse.give("concept_id_history", [*history, ("C3", "C9", "Feb 16 2016")], "2026-01-14")
    assert warehouse.make_alone("cui_redirect").strategy_reason.startswith("followed")
    off = curated("cui_redirect").without([table_by_name("concept_id_history")])
    made = load_curated(warehouse.new_loader(), off)
    assert made.strategy_reason == "its query or a setting has changed since the last load"
    warehouse.give("merged", [("C1", "C9"), ("C4", "C9")], "2026-01-14")
    assert load_curated(warehouse.new_loader(), off).strategy_reason.startswith("followed the changes of merged")
    assert warehouse.rows("cui_redirect", ["cui", "source"]) == [("C1", "MedGen"), ("C4", "MedGen")]


# Refused and failed


def test_a_table_whose_upstream_was_never_loaded_says_which(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give_names("C1")
    with pytest.raises(MissingUpstreamError, match="concept_parent cannot be made: mgrel was never loaded"):
        curated_warehouse.make_alone("concept_parent")
    with pytest.raises(
        MissingUpstreamError, match="concept_literature, concept_name, cui_redirect, medgen_id_mappings, mgdef, mgsty"
    ):
        curated_warehouse.make_alone("concept")
    runs = "SELECT count(*) FROM medgen_audit.load_run WHERE table_name <> 'names'"
    assert query(curated_warehouse.database, runs) == [(0,)]


def test_a_query_that_repeats_its_key_publishes_nothing(curated_warehouse: CuratedWarehouse) -> None:
    """As where the key of an upstream table was accepted although it repeats."""
    curated_warehouse.give("names", [("C1", "One", "GTR", "N"), ("C1", "Uno", "GTR", "N")])
    for upstream in ("mgdef", "mgsty", "medgen_id_mappings", "mgconso", "medgen_pubmed_lnk"):
        curated_warehouse.give(upstream, [])
    with pytest.raises(LoaderError, match=r"its query gives a row of the same key \(cui\) twice.*names"):
        curated_warehouse.make("concept")
    statuses = "SELECT status FROM medgen_audit.load_run WHERE table_name = 'concept'"
    assert query(curated_warehouse.database, statuses) == [("failed",)]
    assert query(curated_warehouse.database, "SELECT to_regclass('medgen.concept') IS NULL") == [(True,)]
    left = "SELECT count(*) FROM pg_tables WHERE schemaname = 'medgen_staging'"
    assert query(curated_warehouse.database, left) == [(0,)]


def test_a_load_whose_backend_is_ended_during_the_query_leaves_production_and_the_next_one_heals(
    database: str,
) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    warehouse.give("medgen_pubmed_lnk", LINKS)
    warehouse.make_alone("concept_literature")
    before = warehouse.rows("concept_literature")
    warehouse.give("medgen_pubmed_lnk", MORE_LINKS, "2026-01-14")
    with session(database) as other, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE medgen.concept_literature IN ACCESS EXCLUSIVE MODE")  # the increment reads it
        building = pool.submit(warehouse.make_alone, "concept_literature")
        end_waiting_backend(database, building.done)
        with pytest.raises(LostConnectionError):
            building.result()
    assert warehouse.rows("concept_literature") == before
    statuses = "SELECT status FROM medgen_audit.load_run WHERE table_name = 'concept_literature' ORDER BY load_id"
    assert query(database, statuses) == [("succeeded",), ("failed",)]
    warehouse.make_alone("concept_literature")
    assert warehouse.rows("concept_literature") == expected_literature(MORE_LINKS)


def end_waiting_backend(database: str, has_ended: Callable[[], bool]) -> None:
    """End the load that waits for a relation's lock."""
    waiting = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    while not query(database, waiting):
        assert not has_ended()


def test_two_loads_of_a_curated_table_wait_for_each_other(database: str) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    warehouse.give("medgen_pubmed_lnk", LINKS)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: warehouse.make_alone("concept_literature"), range(4)))
    assert sorted(result.mode for result in results) == ["first", "unchanged", "unchanged", "unchanged"]
    assert warehouse.rows("concept_literature") == expected_literature(LINKS)
