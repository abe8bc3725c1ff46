"""A source's sensor, turned on by a click, before some of the source's files are published again."""

import time

import pytest
from playwright.sync_api import Page, expect

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.catalog.sources.genereviews import GENEREVIEWS, TABLES
from medgen_pipeline.rows.published import content_of
from medgen_pipeline.testing import Row
from medgen_pipeline_tests.integration.support import publish
from medgen_pipeline_tests.loaders.support import query
from medgen_pipeline_tests.ui.conftest import Window
from medgen_pipeline_tests.ui.deployment import UiDeployment
from medgen_pipeline_tests.webserver import ended, runs_of

pytestmark = pytest.mark.ui

SENSOR = f"new_{GENEREVIEWS.name}_release_sensor"
NAMES = sorted(table.name for table in TABLES)


def published(deployment: UiDeployment, rows: int, *tables: SourceTable) -> None:
    for table in tables:
        publish(deployment.genereviews, table, content_of(table, [[b"1"] * len(table.columns)] * rows))


def loads(deployment: UiDeployment) -> list[Row]:
    """Each successful load's table and rows inserted."""
    names = ", ".join(f"'{name}'" for name in NAMES)
    return query(
        deployment.warehouse.dsn,
        "SELECT table_name, rows_inserted FROM medgen_audit.load_run"  # noqa: S608  # names of ours
        f" WHERE table_name IN ({names}) AND status = 'succeeded' ORDER BY load_id",
    )


def next_run(deployment: UiDeployment, before: int) -> list[str]:
    """Wait for the sensor's next run and its end; the tables that it makes."""
    deadline = time.monotonic() + 120
    while len(runs := runs_of(deployment.address, sensor_name=SENSOR)) == before:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert len(runs) == before + 1
    assert ended(deployment.address, runs[0]["id"]) == "SUCCESS"
    return sorted(key["path"][-1] for key in runs[0]["assetSelection"])


def test_a_release_on_the_server_leads_to_one_run_of_just_the_changed_tables(
    window: Window, deployment: UiDeployment
) -> None:
    published(deployment, 5, *TABLES)
    press_the_switch(window)
    window.leave()
    assert next_run(deployment, 0) == NAMES
    published(deployment, 8, *TABLES[:2])
    assert next_run(deployment, 1) == sorted(table.name for table in TABLES[:2])
    *first, one, other = loads(deployment)
    assert sorted(first) == [(name, 5) for name in NAMES]
    assert sorted([one, other]) == sorted((table.name, 3) for table in TABLES[:2])
    page = press_the_switch(window)
    for said in ("1 run requested", "0 runs requested"):
        page.get_by_text(said).first.wait_for()


def press_the_switch(window: Window) -> Page:
    """On the sensor's page."""
    page = window.open(f"/locations/medgen_pipeline/sensors/{SENSOR}")
    switch = page.get_by_role("checkbox").first
    was_on = switch.is_checked()
    switch.press(" ")
    expect(switch).to_be_checked(checked=not was_on)
    return page
