"""The pictures of docs/: ``make screenshots``. Ordinary runs leave them alone."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from medgen_pipeline.access.report.page import write_page
from medgen_pipeline_tests.instance import PROJECT
from medgen_pipeline_tests.reports import sample_report
from medgen_pipeline_tests.ui.conftest import Window
from medgen_pipeline_tests.ui.deployment import UiDeployment
from medgen_pipeline_tests.webserver import run_job

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(not os.environ.get("MEDGEN_SCREENSHOTS"), reason="the docs' pictures: make screenshots"),
]

IMAGES = PROJECT / "docs" / "images"
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def two_releases(deployment: UiDeployment) -> None:
    """Everything refreshed to one release and to the next."""
    assert run_job(deployment.address, "refresh_medgen") == "SUCCESS"
    deployment.publish("2026-01-14", successor=True)
    assert run_job(deployment.address, "refresh_medgen") == "SUCCESS"


def keep(window: Window, name: str) -> None:
    window.page.mouse.move(0, 0)
    window.page.wait_for_timeout(2000)  # for transitions
    path = IMAGES / f"{name}.png"
    window.page.screenshot(path=path)
    assert path.stat().st_size < MOST_BYTES


@pytest.mark.usefixtures("two_releases")
def test_the_graph(window: Window) -> None:
    page = window.open("/asset-groups/?expanded=global%40global%3Ancbi%2Cglobal%40global%3Amedgen")
    window.button("Materialize all").wait_for()
    window.button("Hide navigation").click()
    window.button("asset_group medgen").locator("xpath=preceding::button[1]").click()
    expect(page.get_by_text("names", exact=True).first).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)
    keep(window, "graph")


@pytest.mark.usefixtures("two_releases")
def test_the_page_of_a_table(window: Window) -> None:
    window.open("/assets/medgen/names?view=overview")
    window.text("cdc/inserted").wait_for()
    keep(window, "table")


@pytest.mark.usefixtures("two_releases")
def test_the_plots_of_a_table(window: Window) -> None:
    page = window.open("/assets/medgen/names?view=overview")
    window.button("Plots").click()
    page.locator("canvas").first.wait_for()
    window.button("Plots").evaluate("button => button.scrollIntoView({block: 'start'})")
    keep(window, "plots")


@pytest.mark.usefixtures("two_releases")
def test_the_checks_of_a_table(window: Window) -> None:
    window.open("/assets/medgen/mgconso?view=checks&checkDetail=no_rejected_rows")
    window.text("check/rejected_rows").wait_for()
    keep(window, "checks")


@pytest.mark.usefixtures("two_releases")
def test_the_report_of_a_release(window: Window) -> None:
    page = window.open("/assets/medgen/release_report?view=overview")
    row = page.locator("tr", has_text="report/tables").last
    row.get_by_text("[Show Markdown]").click()
    expect(page.get_by_text("█").first).to_be_visible(timeout=20_000)
    keep(window, "report")


@pytest.mark.parametrize(
    ("name", "width", "height", "scheme"), [("release", 1280, 1000, "light"), ("release-phone", 375, 780, "dark")]
)
def test_the_page_of_a_release(
    browser: Browser, tmp_path: Path, name: str, width: int, height: int, scheme: str
) -> None:
    write_page(sample_report(), tmp_path / "page.html")
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
    page.goto((tmp_path / "page.html").as_uri() + ("#topic=genes" if scheme == "dark" else "#topic=renamed"))
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()
    assert (IMAGES / f"{name}.png").stat().st_size < MOST_BYTES
