"""What a person does: look at the graph, click, read what went wrong, put it right.

What takes a run is a fixture of this module, so that each test can also be run alone.
"""

import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import expect

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.testing import Row
from medgen_pipeline_tests.faults.support import Observer
from medgen_pipeline_tests.loaders.support import query
from medgen_pipeline_tests.medgen import CURATED_TABLES, TABLES
from medgen_pipeline_tests.ui.conftest import Window
from medgen_pipeline_tests.ui.deployment import UiDeployment
from medgen_pipeline_tests.webserver import ask, ended, launch, run_job, terminate

pytestmark = pytest.mark.ui

NAMES, MERGED = table_by_name("names"), table_by_name("merged")


# Runs


@pytest.fixture(scope="module")
def terminated(window: Window, deployment: UiDeployment, first_load: str) -> list[Row]:
    """A load of the next release, started by click and terminated by click inside the server; what is active then."""
    del first_load
    deployment.publish("2026-01-14", successor=True)
    with names_locked(deployment) as observer:
        run = window.materialize("medgen/names")
        observer.wait_for_a_blocked_load()
        assert ("relation", "medgen_staging.names") in observer.leftovers()
        window.terminate(run)
        return active(observer)


@contextmanager
def names_locked(deployment: UiDeployment) -> Iterator[Observer]:
    """Nobody gets at ``names`` meanwhile; a session that looks on."""
    dsn = deployment.warehouse.dsn
    with Observer(dsn, NAMES) as holder, Observer(dsn, NAMES) as observer, holder.holding("ACCESS EXCLUSIVE"):
        yield observer


def active(observer: Observer) -> list[Row]:
    """What the server is at work on for the package."""
    return [backend for backend in observer.backends() if backend[2] == "active"]


@pytest.fixture(scope="module")
def second_load(deployment: UiDeployment, terminated: list[Row]) -> None:
    """Materializes ``medgen/names`` again after the terminated run."""
    del terminated
    assert run_job(deployment.address, "refresh_medgen", ["medgen", "names"]) == "SUCCESS"


@pytest.fixture(scope="module")
def refused(deployment: UiDeployment) -> str:
    """Five damaged lines in ``merged``: more than its gate lets pass; the run."""
    published = deployment.source / MERGED.file_name
    content = gzip.decompress(published.read_bytes())
    published.write_bytes(gzip.compress(content + b"a damaged line\n" * 5))
    run = launch(deployment.address, "refresh_medgen", ["medgen", "merged"])
    assert ended(deployment.address, run) == "FAILURE"
    return run


@pytest.fixture(scope="module")
def overridden(window: Window, deployment: UiDeployment, refused: str) -> str:
    """The run config that the refused run offers, given in the launchpad; the run."""
    override = override_offered_by(deployment, refused)
    window.open("/assets/medgen/merged?view=overview")
    window.button("Materialize").locator("xpath=following::button[1]").click()
    window.page.get_by_role("menuitem", name="Open launchpad").click()
    window.page.locator(".CodeMirror").first.click()
    window.page.keyboard.press("Control+A")
    window.page.keyboard.insert_text(override)
    window.text("No errors").wait_for()
    window.page.get_by_role("button", name="Materialize").last.click()
    window.page.wait_for_url("**/runs/*")
    run = window.page.url.rsplit("/", 1)[1]
    window.leave()
    assert ended(window.address, run) == "SUCCESS"
    return run


def override_offered_by(deployment: UiDeployment, run: str) -> str:
    """The YAML of the failure's metadata."""
    for event in events_of(deployment, run):
        for entry in (event.get("failureMetadata") or {}).get("metadataEntries", []):
            if entry["label"] == "medgen/override":
                return str(entry["mdStr"]).removeprefix("```yaml\n").removesuffix("```")
    raise AssertionError("the failure offers no override")


def events_of(deployment: UiDeployment, run: str) -> list[dict[str, Any]]:
    """Everything the UI can show of a run's events."""
    found = ask(
        deployment.address,
        """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events { __typename
          ... on MessageEvent { message }
          ... on ErrorEvent { error { message stack causes { message stack } } }
          ... on ExecutionStepFailureEvent { failureMetadata { description metadataEntries { ...entry } } }
          ... on MaterializationEvent { metadataEntries { ...entry } }
          ... on AssetCheckEvaluationEvent { evaluation { metadataEntries { ...entry } } }
          ... on EngineEvent { metadataEntries { ...entry } } } } } }
        fragment entry on MetadataEntry { label description
          ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString }
          ... on MarkdownMetadataEntry { mdStr } ... on UrlMetadataEntry { url } ... on PathMetadataEntry { path }
          ... on IntMetadataEntry { intRepr } }""",
        run=run,
    )
    events: list[dict[str, Any]] = found["logsForRun"]["events"]
    return events


# Looking


def test_the_graph_has_a_group_of_files_and_two_of_tables_with_every_key(window: Window) -> None:
    tables, curated = ({table.name for table in kind} for kind in (TABLES, CURATED_TABLES))
    groups: dict[str, set[str]] = {"ncbi": set(), "medgen": set(), "medgen_curated": set()}
    for node in ask(window.address, "{ assetNodes { assetKey { path } groupName } }")["assetNodes"]:
        groups.setdefault(node["groupName"], set()).add(node["assetKey"]["path"][-1])
    assert groups["ncbi"] >= tables
    assert (groups["medgen"], groups["medgen_curated"]) == (tables, curated)
    page = window.open("/asset-groups/")
    window.button("Materialize all").wait_for()
    for group in ("medgen_curated", "ncbi"):
        expect(window.button(rf"asset_group {group}\b")).to_be_visible()
    window.button(r"asset_group medgen\b").locator("xpath=preceding::button[1]").click()
    for name in tables:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()


# Clicking


def test_a_terminated_load_leaves_no_table_backend_lock_or_pool_slot(
    deployment: UiDeployment, terminated: list[Row]
) -> None:
    assert terminated == []
    with Observer(deployment.warehouse.dsn, NAMES) as observer:
        observer.wait_for_the_end()
        assert observer.leftovers() == []
    loads = "SELECT status FROM medgen_audit.load_run WHERE table_name = 'names' ORDER BY load_id LIMIT 2"
    assert query(deployment.warehouse.dsn, loads) == [("succeeded",), ("interrupted",)]
    assert claimed_slots(deployment) == []


def claimed_slots(deployment: UiDeployment) -> list[object]:
    found = ask(
        deployment.address, "{ instance { concurrencyLimits { concurrencyKey slotCount claimedSlots { runId } } } }"
    )
    (pool,) = found["instance"]["concurrencyLimits"]
    assert (pool["concurrencyKey"], pool["slotCount"]) == ("medgen_warehouse", 2)
    slots: list[object] = pool["claimedSlots"]
    return slots


@pytest.mark.usefixtures("second_load")
def test_the_page_of_a_table_shows_what_was_loaded_that_it_is_fresh_and_plots_of_its_metrics(
    window: Window, deployment: UiDeployment
) -> None:
    deadline = time.monotonic() + 120  # the daemon judges every half minute
    while names_in_dagster(deployment, "freshnessStatusInfo { freshnessStatus }") != {
        "freshnessStatusInfo": {"freshnessStatus": "HEALTHY"}
    }:
        assert time.monotonic() < deadline
        time.sleep(1)
    page = window.open("/assets/medgen/names?view=overview")
    for said in (
        *("cdc/inserted", "medgen/release", "2026-01-14", "key (cui): unique", NAMES.columns[1].description),
        "Warns if more than 12 days since last materialization",
    ):
        expect(page.get_by_text(said).first).to_be_visible()
    ((rows,),) = query(deployment.warehouse.dsn, "SELECT count(*) FROM medgen.names")
    for said in (f"{rows:,}", "Passing"):
        expect(page.get_by_text(said, exact=True).first).to_be_visible()
    window.button("Plots").click()
    for metric in ("cdc/inserted", "cdc/updated", "cdc/deleted", "medgen/load_seconds"):
        expect(page.get_by_text(metric, exact=True).first).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    plotted = names_in_dagster(
        deployment, "assetMaterializations { metadataEntries { label ... on IntMetadataEntry { intRepr } } }"
    )["assetMaterializations"]
    ((updated,),) = query(
        deployment.warehouse.dsn,
        "SELECT rows_updated FROM medgen_audit.load_run WHERE status = 'succeeded' AND table_name = 'names'"
        " ORDER BY load_id DESC LIMIT 1",
    )
    assert updated
    assert [
        entry["intRepr"] for made in plotted for entry in made["metadataEntries"] if entry["label"] == "cdc/updated"
    ] == [str(updated), "0"]


def names_in_dagster(deployment: UiDeployment, fields: str) -> dict[str, Any]:
    """Fields of the asset ``medgen/names``."""
    node = f'{{ assetNodeOrError(assetKey: {{path: ["medgen", "names"]}}) {{ ... on AssetNode {{ {fields} }} }} }}'
    found: dict[str, Any] = ask(deployment.address, node)["assetNodeOrError"]
    return found


@pytest.mark.usefixtures("second_load")
def test_a_terminated_check_leaves_nothing_running(deployment: UiDeployment) -> None:
    with names_locked(deployment) as observer:
        # As the button *Execute all* of an asset's checks does.
        run = launch(deployment.address, "__ASSET_JOB", checks=[(["medgen", "names"], "key_is_unique")])
        observer.wait_for_a_blocked_load()
        assert terminate(deployment.address, run) == "CANCELED"
        assert active(observer) == []
    assert claimed_slots(deployment) == []


# Refusals


def test_a_closed_gate_says_in_the_run_what_it_is_and_how_to_open_it(
    window: Window, deployment: UiDeployment, refused: str
) -> None:
    page = window.open(f"/runs/{refused}")
    for said in ("merged was not published, production is as it was.", "max_rejected_percent:"):
        expect(page.get_by_text(said).first).to_be_visible()
    assert query(deployment.warehouse.dsn, "SELECT to_regclass('medgen.merged')") == [(None,)]


@pytest.mark.usefixtures("overridden")
def test_the_override_given_in_the_launchpad_publishes_the_table(deployment: UiDeployment) -> None:
    found = query(
        deployment.warehouse.dsn,
        "SELECT status, rows_rejected >= 5 FROM medgen_audit.load_run WHERE table_name = 'merged' ORDER BY load_id",
    )
    assert found == [("failed", True), ("succeeded", True)]


@pytest.mark.usefixtures("overridden")
def test_a_check_s_page_shows_what_it_found(window: Window) -> None:
    page = window.open("/assets/medgen/merged?view=checks&checkDetail=no_rejected_rows")
    for said in ("Lines of the file that were rejected", "check/rejected_rows", "This is a non-blocking asset check."):
        expect(page.get_by_text(said).first).to_be_visible()
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()


# Secrets


@pytest.mark.usefixtures("second_load", "overridden")
def test_no_password_is_in_what_the_ui_shows_or_the_instance_keeps(deployment: UiDeployment) -> None:
    secrets = (deployment.warehouse.password, deployment.instance.password)
    shown = ask(
        deployment.address,
        """query ($all: RepositorySelector!) {
          instance { info }
          allTopLevelResourceDetailsOrError(repositorySelector: $all) { ... on ResourceDetailsList { results {
            name description configuredValues { key value type } configFields { name defaultValueAsJson } } } }
          runsOrError { ... on Runs { results { id runConfigYaml tags { key value } } } } }""",
        all={"repositoryLocationName": "medgen_pipeline", "repositoryName": "__repository__"},
    )
    runs = [run["id"] for run in shown["runsOrError"]["results"]]
    assert len(runs) >= 5
    resources = json.dumps(shown["allTopLevelResourceDetailsOrError"])
    assert "MEDGEN_DSN" in resources
    everything = json.dumps([shown, *(events_of(deployment, run) for run in runs)])
    assert "medgen/source_url" in everything
    kept = query(
        deployment.instance.dsn,
        "SELECT event FROM event_logs UNION ALL SELECT run_body FROM runs UNION ALL SELECT snapshot_body FROM"
        " (SELECT encode(snapshot_body, 'escape') AS snapshot_body FROM snapshots) AS s",
    )
    assert len(kept) > 100
    printed = "".join(log.read_text() for log in deployment.home.glob("*.log"))
    assert "medgen" in printed
    for secret in secrets:
        assert secret not in everything
        assert secret not in printed
        assert not [row for row in kept if secret in str(row[0])]
