"""Chromium, a page that tolerates no console error, and one deployment for all tests of the UI.

Playwright's event loop runs for as long as `browser` is there, and nothing else that uses asyncio can run in its
thread, Dagster included: the fixtures end with this package.
"""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from medgen_pipeline_tests.ui.deployment import UiDeployment, deployed
from medgen_pipeline_tests.webserver import run_job, runs_of

# Runs wait for the daemon and start a process for each step; on a busy machine that takes a while.
PATIENCE_MS = 120_000

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Root, as CI is, cannot have Chromium's sandbox.
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Window:
    """A window on the UI.

    Attributes:
        page: Playwright's.
        address: Of the webserver.
        complaints: Errors on the browser's console, and exceptions of the page's own code.
    """

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.address}{path}")
        return self.page

    def button(self, name: str) -> Locator:
        """By a part of its name: icons are part of the accessible one."""
        return self.page.get_by_role("button", name=re.compile(name)).first

    def text(self, text: str) -> Locator:
        return self.page.get_by_text(text).first

    def materialize(self, asset: str) -> str:
        """Click *Materialize* on an asset's page; the run of this asset that it leads to.

        The page of a run draws itself anew as long as the run goes on: nobody looks at it.
        """
        before = runs_of(self.address)
        self.open(f"/assets/{asset}?view=overview")
        self.button("Materialize").click()
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while len(runs := runs_of(self.address)) == len(before):
            assert time.monotonic() < deadline, "no run was launched"
            time.sleep(0.3)
        self.leave()
        assert [key["path"] for key in runs[0]["assetSelection"] or ()] in ([], [asset.split("/")])
        return str(runs[0]["id"])

    def leave(self) -> None:
        """Look at nothing: a page that nobody looks at would ask and draw as long as it is open."""
        self.page.goto("about:blank")

    def terminate(self, run: str) -> None:
        """Terminate a run on its page."""
        self.open(f"/runs/{run}")
        self.button("Terminate").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
        self.text("RUN_CANCELED").wait_for()
        self.leave()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install --no-install-recommends chromium fonts-liberation")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def deployment(postgres_server: str) -> Iterator[UiDeployment]:
    """Started once for the package."""
    with deployed(postgres_server) as made:
        made.publish("2026-01-07")
        yield made


@pytest.fixture(scope="package")
def first_load(deployment: UiDeployment) -> str:
    """How a run that materializes ``medgen/names`` ends, before anybody opens a browser."""
    return run_job(deployment.address, "refresh_medgen", ["medgen", "names"])


@pytest.fixture(scope="package")
def window(browser: Browser, deployment: UiDeployment) -> Iterator[Window]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    shown = Window(page, deployment.address)
    expect.set_options(timeout=PATIENCE_MS)
    page.on("console", lambda said: shown.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    yield shown
    page.close()


@pytest.fixture(autouse=True)
def no_complaint(window: Window) -> Iterator[None]:
    """A test fails where the browser's console has an error afterwards."""
    window.complaints.clear()
    yield
    assert window.complaints == []
    window.leave()
