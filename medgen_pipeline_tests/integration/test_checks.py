"""The checks in runs: which of them a run makes, what they stop, and how they are shown."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from medgen_pipeline.catalog import CURATED_TABLES, table_by_name
from medgen_pipeline.catalog.model import WEEKLY
from medgen_pipeline.cli import main
from medgen_pipeline.loaders.records import LostConnectionError
from medgen_pipeline.loading.checks import ACROSS_TABLES, OF_ONE_TABLE
from medgen_pipeline.loading.findings import judge_row_count
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.check_report import counts_by_table, last_results
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.rows.published import content_of
from medgen_pipeline_tests.instance import PROJECT
from medgen_pipeline_tests.integration.support import Deployment, load_runs, publish
from medgen_pipeline_tests.loaders.support import query

NAMES, MERGED = table_by_name("names"), table_by_name("merged")
NAMES_KEY, MERGED_KEY = (dg.AssetKey(["medgen", table.name]) for table in (NAMES, MERGED))
GOOD = [[f"C{number}".encode(), b"a name", b"GTR", b"N"] for number in range(50)]


@dg.asset(key=["reports", "names"], deps=[NAMES_KEY])
def report_on_names() -> None:
    """Downstream of names."""


@dg.asset(key=["reports", "merged"], deps=[MERGED_KEY])
def report_on_merged() -> None:
    """Downstream of merged."""


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "2026-01-07"
    publish(folder, NAMES, content_of(NAMES, GOOD))
    publish(folder, MERGED, content_of(MERGED, [[b"C100", b"C1"], [b"C101", b"C999"]]))
    return folder


@pytest.fixture(autouse=True)
def _nothing_recorded(instance: dg.DagsterInstance) -> None:
    instance.wipe()


@pytest.fixture
def definitions(database: str, tmp_path: Path, release: Path) -> dg.Definitions:
    resources = {
        DEFAULT_NAMES.source: MedgenSource(url=release.as_uri(), home=str(tmp_path / "home")),
        DEFAULT_NAMES.warehouse: WarehouseIOManager(target=DatabaseTarget(dsn=database)),
    }
    tables = build_definitions(resources=resources, tables=[NAMES.name, MERGED.name], curated=False, environment={})
    return dg.Definitions.merge(tables, dg.Definitions([report_on_names, report_on_merged]))


def run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    *keys: dg.AssetKey,
    config: Mapping[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize assets with their checks, as the UI's button does."""
    job = definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=list(keys), raise_on_error=False, run_config=config
    )


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {f"{one.asset_key.path[-1]}: {one.check_name}": one for one in result.get_asset_check_evaluations()}


def made(result: dg.ExecuteInProcessResult) -> list[str]:
    return sorted(
        event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key
    )


def test_materializing_a_table_checks_it_and_no_other(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, NAMES_KEY)
    assert result.success
    found = evaluations(result)
    assert {name: one.passed for name, one in found.items()} == {
        "names: schema_matches_catalog": True,
        "names: key_is_unique": True,
        "names: required_columns_are_filled": True,
        "names: row_count_within_history": True,
        "names: no_rejected_rows": True,
        "names: no_repaired_rows": True,
        "names: is_not_pinned": True,
        "names: production_equals_file": True,
    }
    assert found["names: required_columns_are_filled"].metadata["check/rows"].value == 50


def test_orphans_are_a_warning_judged_after_the_tables_of_the_run(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, MERGED_KEY, NAMES_KEY)
    assert result.success
    orphans = evaluations(result)["merged: references_resolve"]
    assert (orphans.passed, orphans.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert orphans.metadata["check/orphans_to_cui"].value == 1
    assert orphans.description == "Rows whose to_cui is not in names.cui: 1, with 1 different values."


@pytest.fixture
def a_key_that_repeats(release: Path) -> dict[str, Any]:
    """A release whose key repeats, and the run config that publishes it all the same."""
    publish(release, NAMES, content_of(NAMES, [*GOOD, GOOD[0]]))
    return {"ops": {"medgen__names": {"config": {"accept_broken_key": True}}}}


def test_a_repeated_key_stops_what_is_downstream_of_the_table_and_nothing_else(
    definitions: dg.Definitions, instance: dg.DagsterInstance, a_key_that_repeats: dict[str, Any]
) -> None:
    reports = [report_on_names.key, report_on_merged.key]
    result = run(definitions, instance, NAMES_KEY, MERGED_KEY, *reports, config=a_key_that_repeats)
    assert not result.success
    assert made(result) == ["medgen/merged", "medgen/names", "reports/merged"]
    key = evaluations(result)["names: key_is_unique"]
    assert (key.passed, key.blocking, key.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert "in more than one row: 1." in (key.description or "")
    assert evaluations(result)["names: no_rejected_rows"].passed  # the others are made all the same
    (said,) = said_by_the_hook(instance, result.run_id)
    assert said.startswith("medgen/names failed a check that blocks. ")
    assert "medgen/names: key_is_unique. Next: see what the check says." in said


def said_by_the_hook(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [
        entry.user_message
        for entry in instance.all_logs(run_id)
        if entry.level == logging.ERROR and "Next: " in entry.user_message
    ]


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_try_that_failed_with_the_checks_is_made_again_without_a_load(
    database: str,
    tmp_path: Path,
    release: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    comes_back: bool,
) -> None:
    patience = dg.RetryPolicy(max_retries=2, delay=0.01)
    monkeypatch.setattr("medgen_pipeline.orchestration.assets.tables.RETRIES", patience)
    there = DatabaseTarget.loader

    def unplugged(_: DatabaseTarget) -> None:
        raise LostConnectionError("the warehouse has gone")

    def when(entry: dg.EventLogEntry) -> None:
        happened = entry.dagster_event and entry.dagster_event.event_type
        if happened is dg.DagsterEventType.ASSET_MATERIALIZATION:
            monkeypatch.setattr(DatabaseTarget, "loader", unplugged)
        elif happened is dg.DagsterEventType.STEP_UP_FOR_RETRY and comes_back:
            monkeypatch.setattr(DatabaseTarget, "loader", there)

    deployment = Deployment(database, tmp_path / "home", instance, curated=False, checks=True)
    run = deployment.materialize(release, NAMES, on_event=when)
    assert (run.success, run.retries) == ((True, 1) if comes_back else (False, 2))
    assert [row[0] for row in load_runs(database, "status")] == ["succeeded"]
    assert run.metadata["names"]["cdc/inserted"] == 50
    assert ("names.key_is_unique" in run.checks) is comes_back
    said = said_by_the_hook(instance, run.run_id)
    assert [line.partition(". ")[0] for line in said] == ([] if comes_back else ["medgen/names could not be checked"])


def test_checks_can_be_made_alone_and_then_look_at_every_row(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: str
) -> None:
    first = run(definitions, instance, NAMES_KEY)
    by_load = evaluations(first)["names: required_columns_are_filled"].metadata
    assert str(by_load["check/answered_by"].value).startswith("load ")
    again = evaluations(run(definitions, instance, NAMES_KEY))["names: required_columns_are_filled"].metadata
    assert again["check/answered_by"].value == "the record: what it reads has not changed since its last look"
    assert again["check/last_look"] == dg.MetadataValue.dagster_run(first.run_id)
    query(database, "UPDATE medgen.names SET name = NULL WHERE cui = 'C1'")
    wanted = {dg.AssetCheckKey(NAMES_KEY, name) for name in ("required_columns_are_filled", "production_equals_file")}
    job = definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(), asset_check_selection=wanted
    )
    alone = job.execute_in_process(instance=instance, raise_on_error=False)
    assert made(alone) == []
    assert {name: one.passed for name, one in evaluations(alone).items()} == {
        "names: required_columns_are_filled": False,
        "names: production_equals_file": False,
    }
    # What was found meanwhile is no record of what the next load repairs.
    repaired = evaluations(run(definitions, instance, NAMES_KEY))["names: required_columns_are_filled"]
    assert (repaired.passed, repaired.metadata["check/rows"].value) == (True, 50)


def test_a_missing_value_is_an_error_that_stops_nothing(
    definitions: dg.Definitions, instance: dg.DagsterInstance, release: Path
) -> None:
    publish(release, NAMES, content_of(NAMES, [*GOOD, [b"C77", b"", b"GTR", b"N"]]))
    result = run(definitions, instance, NAMES_KEY, report_on_names.key)
    assert result.success
    assert made(result) == ["medgen/names", "reports/names"]
    required = evaluations(result)["names: required_columns_are_filled"]
    assert (required.passed, required.blocking, required.severity) == (False, False, dg.AssetCheckSeverity.ERROR)


def test_a_table_that_does_not_load_leaves_the_checks_of_the_others(
    definitions: dg.Definitions, instance: dg.DagsterInstance, release: Path
) -> None:
    (release / NAMES.file_name).write_bytes(b"no gzip")
    result = run(definitions, instance, NAMES_KEY, MERGED_KEY, report_on_merged.key)
    assert made(result) == ["medgen/merged", "reports/merged"]
    assert {name for name in evaluations(result) if name.startswith("merged")} == {
        "merged: schema_matches_catalog",
        "merged: required_columns_are_filled",
        "merged: row_count_within_history",
        "merged: no_rejected_rows",
        "merged: no_repaired_rows",
        "merged: is_not_pinned",
        "merged: production_equals_file",
    }


def test_the_refresh_makes_every_check_but_the_one_that_reads_whole_tables(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    job = definitions.resolve_job_def("refresh_medgen")
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert made(result) == ["medgen/merged", "medgen/names", "reports/merged", "reports/names"]
    found = set(evaluations(result))
    assert "names: production_equals_file" not in found
    assert {"names: key_is_unique", "merged: row_count_within_history"} <= found


def test_a_check_that_was_planned_and_not_made_is_a_warning_beside_what_it_found_before(
    definitions: dg.Definitions, release: Path, tmp_path: Path
) -> None:
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {"DAGSTER_HOME": str(tmp_path / "dagster"), "MEDGEN_HOME": str(tmp_path)}

    def asked(*options: str) -> tuple[int, list[str]]:
        done = CliRunner().invoke(main, ["checks", *options], env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output.splitlines()

    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        checks = len(run(definitions, instance, NAMES_KEY).get_asset_check_evaluations())
        assert counts_by_table(last_results(instance)) == {"names": f"{checks} passed"}
        published = (release / NAMES.file_name).read_bytes()
        (release / NAMES.file_name).write_bytes(b"no gzip")
        failed = run(definitions, instance, NAMES_KEY)
        status, lines = asked()
        assert (status, len(lines), lines[-1]) == (0, checks + 1, f"{checks} checks were made; 0 count as errors")
        assert lines[0].startswith(
            f"warning: medgen/names: is_not_pinned: not made: run {failed.run_id} planned it and ended with FAILURE: "
        )
        assert asked("--strict")[0] == 1
        (release / NAMES.file_name).write_bytes(published)
        publish(release, NAMES, content_of(NAMES, [*GOOD, [b"C77", b"", b"GTR", b"N"]]))
        run(definitions, instance, NAMES_KEY)
        (release / NAMES.file_name).write_bytes(b"no gzip")
        run(definitions, instance, NAMES_KEY)
        status, lines = asked()
        assert (status, len(lines), lines[-1]) == (1, checks + 2, f"{checks} checks were made; 1 count as errors")
        assert counts_by_table(last_results(instance)) == {"names": f"1 failed, {checks - 1} warned"}


# docs/checks.md

PAGE = (PROJECT / "docs" / "checks.md").read_text()


def test_the_page_lists_every_check_as_it_is() -> None:
    shown = re.findall(r"^\| `(\w+)` \| .+? \| (error|warning) \| (yes|no) \|$", PAGE, re.MULTILINE)
    assert shown == [
        (check.name, "error" if check.is_error else "warning", "yes" if check.blocking else "no")
        for check in (*OF_ONE_TABLE, *ACROSS_TABLES)
    ]


def test_the_page_lists_every_rule_of_curated_tables() -> None:
    shown = re.findall(r"^\| `(\w+)` \| `(\w+)` \| .+? \| (yes|no) \|$", PAGE, re.MULTILINE)
    rules = [(table.name, rule) for table in CURATED_TABLES for rule in table.rules]
    assert sorted(shown) == sorted((table, rule.name, "yes" if rule.blocking else "no") for table, rule in rules)


def test_the_page_s_metrics_are_those_of_the_code() -> None:
    assert judge_row_count(0, [1000]) == (False, 900, 1100)
    for said in ("10 % around the median of the last 12 releases", "six times their usual distance"):
        assert said in PAGE
    (row_count,) = (check for check in OF_ONE_TABLE if check.name == "row_count_within_history")
    assert "within 10 % of the median of the 12 releases before, or within 6 times" in row_count.description
    warn, fail = WEEKLY.late, WEEKLY.missed
    assert f"for {warn.days} days and fails after {fail.days}." in PAGE
