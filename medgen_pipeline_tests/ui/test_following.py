"""The sensor, turned on by a click, before NCBI publishes some of the files again."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.testing import Row
from medgen_pipeline_tests.loaders.support import query
from medgen_pipeline_tests.ui.conftest import Window, opened
from medgen_pipeline_tests.ui.deployment import UiDeployment, deployed
from medgen_pipeline_tests.webserver import ask, run_job

pytestmark = pytest.mark.ui

NAMES, MERGED, SOURCES = MIRRORED = tuple(table_by_name(name) for name in ("names", "merged", "medgen_sources"))
SENSOR = "/locations/medgen_pipeline/sensors/new_release_sensor"


@pytest.fixture(scope="module")
def following(browser: Browser, postgres_server: str) -> Iterator[UiDeployment]:
    """A deployment of its own, with a small mirror as its source and all of it loaded."""
    del browser
    settings = {"MEDGEN_QUIET_MINUTES": "0", "MEDGEN_SENSOR_MINUTES": "0.1", "MEDGEN_CURATED": "false"}
    with deployed(postgres_server, **settings) as made:
        made.publish("2026-01-07", *MIRRORED)
        assert run_job(made.address, "refresh_medgen", *(("medgen", table.name) for table in MIRRORED)) == "SUCCESS"
        yield made


@pytest.fixture
def sensor_window(browser: Browser, following: UiDeployment) -> Iterator[Window]:
    with opened(browser, following.address) as shown:
        yield shown
        assert shown.complaints == []


def loads(deployment: UiDeployment) -> list[Row]:
    return query(
        deployment.warehouse.dsn, "SELECT table_name, release::text, status FROM medgen_audit.load_run ORDER BY load_id"
    )


def runs_of_the_sensor(deployment: UiDeployment) -> list[tuple[str, set[str]]]:
    """The status of each of its runs, and what it makes."""
    found = ask(
        deployment.address,
        """query ($tags: [ExecutionTag!]!) { runsOrError(filter: {tags: $tags}) { ... on Runs { results {
          status assetSelection { path } } } } }""",
        tags=[{"key": "dagster/sensor_name", "value": "new_release_sensor"}],
    )["runsOrError"]["results"]
    return [(run["status"], {key["path"][-1] for key in run["assetSelection"]}) for run in found]


def test_a_release_on_the_server_leads_to_one_run_of_just_the_changed_tables(
    sensor_window: Window, following: UiDeployment
) -> None:
    before = loads(following)
    page = sensor_window.open(SENSOR)
    page.get_by_role("checkbox").first.press(" ")
    page.get_by_text("0 runs requested").first.wait_for()
    assert runs_of_the_sensor(following) == []
    following.publish("2026-01-14", NAMES, MERGED, successor=True)
    page.get_by_text("1 run requested").first.wait_for()
    deadline = time.monotonic() + 300
    while [status for status, _ in runs_of_the_sensor(following)] not in (["SUCCESS"], ["FAILURE"]):
        assert time.monotonic() < deadline, runs_of_the_sensor(following)
        time.sleep(0.5)
    assert runs_of_the_sensor(following) == [("SUCCESS", {"names", "merged"})]
    assert sorted(loads(following)[len(before) :]) == [
        ("merged", "2026-01-14", "succeeded"),
        ("names", "2026-01-14", "succeeded"),
    ]
