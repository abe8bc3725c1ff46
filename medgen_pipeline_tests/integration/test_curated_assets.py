"""Curated tables as Dagster assets: made after their upstream, kept while it is unchanged, judged by rules."""

import gzip
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from medgen_pipeline.catalog import CuratedTable, any_table_by_name, table_by_name
from medgen_pipeline.catalog.curated.release_report import SHOWN
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.failures import reason_of
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.testing import Row
from medgen_pipeline.testing.loads import differences
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.integration.support import Deployment, Run, exists, rows_of
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import new_loader, query, read
from medgen_pipeline_tests.medgen import CURATED_TABLES, TABLES

BASE, SUCCESSOR = "2026-01-07", "2026-01-14"
REPORT = dg.AssetKey(["medgen_export", "report"])
MGREL, NAMES = table_by_name("mgrel"), table_by_name("names")
EACH = pytest.mark.parametrize("table", CURATED_TABLES, ids=lambda table: table.name)


def curated(name: str) -> CuratedTable:
    return next(table for table in CURATED_TABLES if table.name == name)


@dataclass(frozen=True)
class Weeks:
    """Three runs of the whole job: a sample, the same again, and its successor."""

    deployment: Deployment
    folder: Path
    first: Run
    again: Run
    successor: Run


@pytest.fixture(scope="module")
def weeks(
    postgres_server: str, instance: dg.DagsterInstance, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Weeks]:
    folder = tmp_path_factory.mktemp("weeks")
    write_sample(folder / BASE, scale=0.2)
    write_sample(folder / SUCCESSOR, scale=0.2, successor=True)
    with fresh_database(postgres_server) as dsn:
        deployment = Deployment(dsn, folder / "home", instance, checks=True)
        runs = [deployment.materialize(folder / BASE)]
        query(dsn, "CREATE SCHEMA as_of_base")
        for table in CURATED_TABLES:
            query(dsn, f"CREATE TABLE as_of_base.{table.name} AS TABLE medgen.{table.name}")
        runs += [
            replace(deployment, checks=False).materialize(folder / BASE),
            deployment.materialize(folder / SUCCESSOR),
        ]
        assert all(run.success for run in runs), [run.failure for run in runs]
        yield Weeks(deployment, folder, runs[0], runs[1], runs[2])


@EACH
def test_the_job_makes_a_table_and_says_what_it_did(table: CuratedTable, weeks: Weeks) -> None:
    metadata = weeks.first.metadata[table.name]
    assert metadata["dagster/row_count"] == len(read(weeks.deployment.dsn, "as_of_base", table))
    assert metadata["dagster/table_name"] == f"medgen.{table.name}"
    assert metadata["medgen/release"] == BASE
    assert metadata["medgen/mode"] == "first"
    assert metadata["cdc/inserted"] == metadata["dagster/row_count"] > 0
    assert {metric.name for metric in table.metrics} <= set(metadata)


@pytest.mark.parametrize(
    # A table about loads changes with every load.
    "table",
    [table for table in CURATED_TABLES if not table.query.reads_loads],
    ids=lambda table: table.name,
)
def test_a_table_is_kept_and_keeps_its_data_version_while_nothing_changes(table: CuratedTable, weeks: Weeks) -> None:
    assert weeks.again.data_versions[table.name] == weeks.first.data_versions[table.name]
    assert weeks.again.metadata[table.name]["medgen/mode"] == "unchanged"
    assert weeks.again.metadata[table.name]["cdc/unchanged"] == weeks.first.metadata[table.name]["dagster/row_count"]


@EACH
def test_a_table_gets_another_data_version_with_what_it_is_made_from(table: CuratedTable, weeks: Weeks) -> None:
    assert weeks.successor.data_versions[table.name] != weeks.again.data_versions[table.name]
    assert weeks.successor.metadata[table.name]["medgen/release"] == SUCCESSOR
    assert weeks.successor.metadata[table.name]["medgen/mode"] == "delta"


def test_the_data_version_of_a_table_depends_on_its_own_upstream_alone(
    weeks: Weeks, postgres_server: str, tmp_path: Path
) -> None:
    """A release in which one file is new changes the tables made from it, and those made from them."""
    mixed = tmp_path / "2026-01-21"
    mixed.mkdir()
    mapping = table_by_name("medgen_hpo_omim_mapping")
    (mixed / mapping.file_name).write_bytes((weeks.folder / BASE / mapping.file_name).read_bytes())
    with fresh_database(postgres_server, like=weeks.deployment.dsn) as dsn:
        run = replace(weeks.deployment, dsn=dsn, checks=False).materialize(mixed, mapping, *CURATED_TABLES)
    changed = {
        name
        for name, version in run.data_versions.items()
        if version != weeks.successor.data_versions[name] and isinstance(any_table_by_name(name), CuratedTable)
    }
    assert changed == {"disease_phenotype", "release_report"}


def test_every_rule_is_checked_by_the_job_and_holds_on_the_sample(weeks: Weeks) -> None:
    rules = {f"{table.name}.{rule.name}" for table in CURATED_TABLES for rule in table.rules}
    for run in (weeks.first, weeks.successor):
        assert rules <= set(run.checks)
        assert [name for name in rules if not run.checks[name].passed] == []


def test_the_report_is_markdown_with_numbers_beside_it(weeks: Weeks) -> None:
    metadata = weeks.successor.metadata["release_report"]
    assert metadata["report/renamed"] == 50
    assert metadata["report/concepts"].startswith("| what | CUI | name | before, or now |\n| --- | --- | --- | --- |\n")
    assert "| renamed | " in metadata["report/concepts"]
    tables = metadata["report/tables"].splitlines()
    assert tables[0] == "| table | loaded as | rows | inserted | updated | deleted | changed |  |"
    rows = [row.removeprefix("| ").removesuffix(" |").split(" | ") for row in tables[2:]]
    assert [row[0] for row in rows] == sorted(table.name for table in TABLES)
    most = max(int(row[6].replace(",", "")) for row in rows)
    for name, *_, changed, bar in rows:
        full = 8 * int(changed.replace(",", "")) / most
        assert bar.count("█") == pytest.approx(full, abs=1), name
        assert bool(bar) == (changed != "0"), name
    releases = metadata["report/releases"].splitlines()
    assert releases[0].startswith("| release | new disease | new concept | renamed | merged | retired | rows changed |")
    assert [row.split(" | ")[3] for row in releases[2:]] == ["50", "0"]
    assert metadata["report/rows_inserted"] > 0


# The report's page


def made_report(dsn: str, folder: Path, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """A run of the asset alone."""
    definitions = build_definitions(
        environment={"MEDGEN_DSN": dsn, "MEDGEN_REPORTS": str(folder)},
        resources={
            "medgen_warehouse": WarehouseIOManager(target=DatabaseTarget(dsn=dsn)),
        },
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(asset_selection=[REPORT], instance=instance, raise_on_error=False)


def test_the_asset_writes_the_page_of_the_newest_release_with_the_numbers_of_the_report(
    weeks: Weeks, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    folder = tmp_path / "to" / "pages"
    run = made_report(weeks.deployment.dsn, folder, instance)
    (made,) = run.asset_materializations_for_node("medgen_export__report")
    found: dict[str, Any] = {name: value.value for name, value in made.metadata.items()}
    page = folder / f"{SUCCESSOR}.html"
    assert sorted(path.name for path in folder.iterdir()) == [page.name, "latest.html"]
    assert page.read_bytes() == (folder / "latest.html").read_bytes()
    assert (found["medgen/path"], found["medgen/bytes"]) == (str(page), page.stat().st_size)
    assert (found["report/since"], found["medgen/release"]) == (BASE, SUCCESSOR)
    shown = weeks.successor.metadata["release_report"]
    for topic in TOPICS:
        name = f"report/{topic.replace(' ', '_')}"
        assert found[name] == shown[name]
        assert f'<option value="{topic}">' in page.read_text() or not found[name]
    of_concepts = [row for row in cells(found["report/changes"]) if row[0] in TOPICS and row[1]]
    assert [row[1:3] for row in of_concepts] == [row[1:3] for row in cells(shown["report/concepts"]) if row[1]]
    assert {row[0] for row in cells(found["report/changes"])} >= {"identifiers", "phenotypes"}


def test_of_the_first_release_there_is_no_page_and_a_folder_that_cannot_be_is_a_clear_error(
    weeks: Weeks, instance: dg.DagsterInstance, database: str, tmp_path: Path
) -> None:
    CuratedWarehouse(lambda: new_loader(database), database).make("release_report")
    run = made_report(database, tmp_path / "pages", instance)
    assert run.success
    assert run.asset_materializations_for_node("medgen_export__report") == []
    assert not (tmp_path / "pages").exists()
    (tmp_path / "file").touch()
    failed = made_report(weeks.deployment.dsn, tmp_path / "file", instance)
    (failure,) = failed.get_step_failure_events()
    assert reason_of(failure.step_failure_data).startswith(f"MEDGEN_REPORTS is {tmp_path / 'file'}, and no page can be")


# Every metric, against a count that uses neither the package's SQL nor its reading of files

DISEASE_TYPES = {"T019", "T020", "T047", "T048", "T049", "T190", "T191"}
TOPICS = ("new disease", "new concept", "renamed", "merged", "retired")


def topics_of(base: Path, successor: Path) -> dict[str, set[Row]]:
    """The concepts of each topic in the later release: CUI, name, and what the report says beside it."""
    old, new = (
        {cui: str(name).strip() for cui, name, *_ in rows_of(NAMES, release / NAMES.file_name)}
        for release in (base, successor)
    )
    typed, merged, history = (table_by_name(name) for name in ("mgsty", "merged", "medgen_cui_history"))
    diseases = {
        row[typed.column_names.index("cui")]
        for release in (base, successor)
        for row in rows_of(typed, release / typed.file_name)
        if row[typed.column_names.index("tui")] in DISEASE_TYPES
    }
    leads_to: dict[object, set[object]] = defaultdict(set)
    for table, start, end in ((merged, "cui", "to_cui"), (history, "previous_cui", "current_cui")):
        for row in rows_of(table, successor / table.file_name):
            leads_to[row[table.column_names.index(start)]].add(row[table.column_names.index(end)])

    def is_merged(cui: object) -> bool:
        seen, next_ones = {cui}, leads_to[cui]
        while next_ones:
            if next_ones & set(new):
                return True
            seen |= next_ones
            next_ones = {end for one in next_ones for end in leads_to[one]} - seen
        return False

    gone = set(old) - set(new)
    return {
        "new disease": {(cui, new[cui]) for cui in set(new) - set(old) if cui in diseases},
        "new concept": {(cui, new[cui]) for cui in set(new) - set(old) if cui not in diseases},
        "renamed": {(cui, new[cui], old[cui]) for cui in set(new) & set(old) if new[cui] != old[cui]},
        "merged": {(cui, old[cui]) for cui in gone if is_merged(cui)},
        "retired": {(cui, old[cui]) for cui in gone if not is_merged(cui)},
    }


def cells(markdown: str) -> list[list[str]]:
    """The rows of a table in Markdown, without header and without what Markdown has to have escaped."""
    lines = [] if markdown == "none" else markdown.splitlines()[2:]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[re.sub(r"\\(.)", r"\1", cell.strip()).replace("&lt;", "<") for cell in row] for row in rows]


def test_every_metric_of_the_report_agrees_with_the_files(weeks: Weeks) -> None:
    base, successor = weeks.folder / BASE, weeks.folder / SUCCESSOR
    held = {table: [list(rows_of(table, week / table.file_name)) for week in (base, successor)] for table in TABLES}
    empty: dict[str, set[Row]] = {topic: set() for topic in TOPICS}
    first = {table.name: (len(rows[0]), 0, 0, len(rows[0])) for table, rows in held.items()}
    second = {}
    for table, rows in held.items():
        counts = differences(table, *rows)
        second[table.name] = (counts.inserted, counts.updated, counts.deleted, counts.rows_after)
    releases: list[list[str]] = []
    for run, release, topics, tables in (
        (weeks.first, BASE, empty, first),
        (weeks.successor, SUCCESSOR, topics_of(base, successor), second),
    ):
        shown = run.metadata["release_report"]
        totals = {topic: len(concepts) for topic, concepts in topics.items()}
        assert {topic: shown[f"report/{topic.replace(' ', '_')}"] for topic in TOPICS} == totals
        sums = [sum(row[place] for row in tables.values()) for place in range(3)]
        assert [shown[f"report/rows_{what}"] for what in ("inserted", "updated", "deleted")] == sums
        found = {
            row[0]: tuple(int(cell.replace(",", "")) for cell in row[2:7]) for row in cells(shown["report/tables"])
        }
        assert found == {name: (after, *made, sum(made)) for name, (*made, after) in tables.items()}
        listed = [(topic, (cui, *rest)) for topic, cui, *rest in cells(shown["report/concepts"])]
        for topic, concepts in topics.items():
            of_topic = [concept for of, concept in listed if of == topic]
            if len(concepts) > SHOWN:
                assert of_topic.pop() == ("", f"{len(concepts) - SHOWN} more", "")
            assert len(of_topic) == min(len(concepts), SHOWN)
            linked = {(f"[{cui}](https://www.ncbi.nlm.nih.gov/medgen/{cui})", name) for cui, name, *_ in concepts}
            assert {concept[:2] for concept in of_topic} <= linked
        releases.insert(0, [release, *map(str, totals.values()), f"{sum(sums):,}"])
        assert [row[:7] for row in cells(shown["report/releases"])] == releases
    assert all(len(concepts) < 100 for concepts in topics.values())  # so that all of them are listed
    assert topics["merged"]
    assert len(held[table_by_name("merged")][1]) != len(topics["merged"])  # which was once shown in its place


def test_every_metric_of_the_hierarchy_agrees_with_its_edges(weeks: Weeks) -> None:
    for schema, run in (("as_of_base", weeks.first), ("medgen", weeks.successor)):
        shown = run.metadata["concept_ancestor"]
        edges = {(row[0], row[1]) for row in read(weeks.deployment.dsn, schema, curated("concept_parent"))}
        held = {row[:2]: row[2] for row in read(weeks.deployment.dsn, schema, curated("concept_ancestor"))}
        cut = edges - {pair for pair, distance in held.items() if distance == 1}
        assert shown["hierarchy/cut_edges"] == len(cut)
        assert {(row[0], row[1]) for row in cells(shown["hierarchy/cut"])} == cut
        above: dict[object, set[object]] = defaultdict(set)
        for cui, parent in edges - cut:
            above[cui].add(parent)
        level, seen, steps = {(cui, cui) for cui in above}, set[tuple[object, object]](), 0
        while level := {(cui, up) for cui, at in level for up in above.get(at, ())} - seen:
            seen |= level
            steps += 1
        assert shown["hierarchy/greatest_distance"] == steps


@EACH
def test_the_counts_of_a_load_agree_with_its_rows(table: CuratedTable, weeks: Weeks) -> None:
    before, after = (read(weeks.deployment.dsn, schema, table) for schema in ("as_of_base", "medgen"))
    counts = differences(table, before, after)
    first, second = weeks.first.metadata[table.name], weeks.successor.metadata[table.name]
    assert [first[f"cdc/{what}"] for what in ("inserted", "updated", "deleted", "unchanged")] == [len(before), 0, 0, 0]
    assert {what: second[f"cdc/{what}"] for what in ("inserted", "updated", "deleted", "unchanged")} == {
        what: getattr(counts, what) for what in ("inserted", "updated", "deleted", "unchanged")
    }
    assert (first["dagster/row_count"], second["dagster/row_count"]) == (len(before), len(after))


def test_a_kept_table_has_no_rows_per_second(weeks: Weeks) -> None:
    assert "medgen/rows_per_second" in weeks.first.metadata["concept"]
    assert "medgen/rows_per_second" not in weeks.again.metadata["concept"]


def test_column_lineage_leads_to_the_upstream_assets(weeks: Weeks) -> None:
    lineage = weeks.first.metadata["concept"]["dagster/column_lineage"]
    assert lineage.deps_by_column["definition"] == [
        dg.TableColumnDep(asset_key=dg.AssetKey(["medgen", "mgdef"]), column_name="def"),
        dg.TableColumnDep(asset_key=dg.AssetKey(["medgen", "mgdef"]), column_name="source"),
    ]


def test_an_asset_that_is_made_on_its_own_reads_what_stands(weeks: Weeks) -> None:
    run = weeks.deployment.materialize(weeks.folder / SUCCESSOR, curated("concept_parent"))
    assert run.success, run.failure
    assert set(run.metadata) == {"concept_parent"}


# Settings


def test_the_launchpad_offers_sources_and_depth_and_refuses_unknown_ones(weeks: Weeks) -> None:
    ancestors = curated("concept_ancestor")
    everything = weeks.successor.metadata["concept_ancestor"]["dagster/row_count"]

    def made_with(**config: object) -> Run:
        return weeks.deployment.materialize(weeks.folder / SUCCESSOR, ancestors, config=config)

    run = made_with(sources=["HPO"], max_depth=1)
    assert run.success, run.failure
    assert 0 < run.metadata["concept_ancestor"]["dagster/row_count"] < everything
    assert run.metadata["concept_ancestor"]["hierarchy/greatest_distance"] == 1
    assert run.data_versions["concept_ancestor"] != weeks.successor.data_versions["concept_ancestor"]
    refused = made_with(sources=["HP"])
    assert not refused.success
    assert "concept_ancestor: sources is ['HP'], expected some of ['GTR', 'HPO'" in refused.failure
    assert refused.retries == 0
    back = made_with(force_rebuild=True)
    assert back.metadata["concept_ancestor"]["dagster/row_count"] == everything


# What is recorded


def test_what_the_ui_shows_of_a_table_is_what_its_rows_were_made_from(
    database: str, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although its upstream is loaded when the asset has said what it is made from, and the IO manager has not read."""
    monkeypatch.setattr(
        "medgen_pipeline.orchestration.assets.curated.RETRIES", dg.RetryPolicy(max_retries=1)
    )  # at once
    parent, meanwhile = curated("concept_parent"), [tmp_path / SUCCESSOR]
    for release in (BASE, SUCCESSOR):
        write_sample(tmp_path / release, scale=0.05, successor=release == SUCCESSOR)
    deployment = Deployment(database, tmp_path / "home", instance)
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    assert deployment.materialize(tmp_path / BASE, MGREL, NAMES).success

    def load_upstream(entry: dg.EventLogEntry) -> None:
        if entry.dagster_event_type is dg.DagsterEventType.STEP_OUTPUT and meanwhile:
            warehouse.bring_to(meanwhile.pop(), deployment.archive, MGREL)

    run = deployment.materialize(tmp_path / SUCCESSOR, parent, on_event=load_upstream)
    assert (run.success, run.retries, meanwhile) == (True, 1, []), run.failure
    recorded = "SELECT content_sha256, release, status FROM medgen_audit.load_run WHERE table_name = 'concept_parent'"
    version, release = run.data_versions[parent.name], run.metadata[parent.name]["medgen/release"]
    assert release == SUCCESSOR
    assert (version, release, "succeeded") in query(database, recorded)
    again = deployment.materialize(tmp_path / SUCCESSOR, parent)
    assert again.metadata[parent.name]["medgen/mode"] == "unchanged"
    assert again.data_versions[parent.name] == version


# Failures


def test_a_table_whose_upstream_was_never_loaded_fails_for_good_and_names_it(
    database: str, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    write_sample(tmp_path / BASE, scale=0.05)
    deployment = Deployment(database, tmp_path / "home", instance)
    run = deployment.materialize(tmp_path / BASE, curated("concept_parent"))
    assert not run.success
    assert "concept_parent cannot be made: mgrel, names were never loaded. Materialize them first" in run.failure
    assert run.retries == 0


@pytest.fixture
def upside_down(tmp_path: Path) -> Path:
    """A release in which parents and children are the wrong way round."""
    release = tmp_path / BASE
    write_sample(release, scale=0.2)
    path = release / MGREL.file_name
    text = gzip.decompress(path.read_bytes())
    turned = text.replace(b"|PAR|", b"|???|").replace(b"|CHD|", b"|PAR|").replace(b"|???|", b"|CHD|")
    path.write_bytes(gzip.compress(turned))
    return release


def test_a_hierarchy_that_is_upside_down_stops_what_would_be_made_from_it(
    database: str, instance: dg.DagsterInstance, upside_down: Path, tmp_path: Path
) -> None:
    deployment = Deployment(database, tmp_path / "home", instance, checks=True)
    made = [curated(name) for name in ("concept_parent", "concept_ancestor", "concept_xref")]
    wanted = {name for table in made for name in (table.name, *table.query.tables)}
    run = deployment.materialize(upside_down, *(any_table_by_name(name) for name in wanted))
    check = run.checks["concept_parent.parents_are_above"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert check.metadata["check/findings"].value == 3
    (first, *_) = check.metadata["check/sample"].value  # type: ignore[misc]  # a list, of what JSON has
    assert first == {"severity": "ERROR", "CUI": "C0012634", "name": "Disease", "edges up": 17, "edges down": 0}
    assert not run.success
    assert not exists(database, "medgen.concept_ancestor")
    assert exists(database, "medgen.concept_xref")  # which does not depend on it


def test_rules_of_a_table_that_was_never_made_warn_and_drift_of_a_made_one_is_found(
    database: str, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    write_sample(tmp_path / BASE, scale=0.05)
    deployment = Deployment(database, tmp_path / "home", instance)
    parent = curated("concept_parent")
    checks = {
        dg.AssetCheckKey(dg.AssetKey(["medgen", table]), check)
        for table, check in (
            ("concept_ancestor", "no_cycle"),
            ("concept_parent", "production_equals_file"),
            ("concept_parent", "parents_are_above"),
        )
    }
    job = (
        deployment.definitions((tmp_path / BASE).as_uri())
        .resolve_job_def("check_medgen")
        .get_subset(asset_selection=set(), asset_check_selection=checks)
    )
    assert deployment.materialize(tmp_path / BASE, MGREL, NAMES, parent).success
    query(database, "UPDATE medgen.concept_parent SET source = 'edited' WHERE cui = 'C0013581'")
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    found = {
        (evaluation.asset_key.path[-1], evaluation.check_name): evaluation
        for evaluation in result.get_asset_check_evaluations()
    }
    never = found["concept_ancestor", "no_cycle"]
    assert (never.passed, never.severity) == (False, dg.AssetCheckSeverity.WARN)
    drifted = found["concept_parent", "production_equals_file"]
    assert (drifted.passed, drifted.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found["concept_parent", "parents_are_above"].passed


# Staleness, as the UI shows it


def test_a_table_is_unsynced_exactly_when_its_upstream_has_changed(postgres_server: str, tmp_path: Path) -> None:
    from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
    from dagster._core.loader import LoadingContextForTest

    write_sample(tmp_path / BASE, scale=0.05)
    write_sample(tmp_path / SUCCESSOR, scale=0.05, successor=True)
    with fresh_database(postgres_server) as dsn, dg.DagsterInstance.ephemeral() as own:
        deployment = Deployment(dsn, tmp_path / "home", own)
        graph = deployment.definitions("file:///nowhere").resolve_asset_graph()

        def stale() -> set[str]:
            resolver = CachingStaleStatusResolver(own, graph, loading_context=LoadingContextForTest(own))
            return {
                table.name
                for table in CURATED_TABLES
                if resolver.get_status(dg.AssetKey(["medgen", table.name])) is not StaleStatus.FRESH
            }

        parent, ancestor = curated("concept_parent"), curated("concept_ancestor")
        deployment.materialize(tmp_path / BASE, MGREL, NAMES, parent, ancestor)
        assert not {"concept_parent", "concept_ancestor"} & stale()
        deployment.materialize(tmp_path / BASE, MGREL, NAMES)
        assert not {"concept_parent", "concept_ancestor"} & stale()
        deployment.materialize(tmp_path / SUCCESSOR, MGREL)
        assert "concept_parent" in stale()
        deployment.materialize(tmp_path / SUCCESSOR, parent)
        assert "concept_parent" not in stale()
        assert "concept_ancestor" in stale()
        deployment.materialize(tmp_path / SUCCESSOR, ancestor)
        assert not {"concept_parent", "concept_ancestor"} & stale()
