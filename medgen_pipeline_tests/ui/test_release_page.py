"""The page of a report as people use it: search, choose, on a phone, in the dark, by keyboard, without a network."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from medgen_pipeline.access.report.facts import Fact, Item
from medgen_pipeline.access.report.page import write_page
from medgen_pipeline_tests.reports import HOSTILE, UNTIL, report_of, sample_report, topic

pytestmark = pytest.mark.ui

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 375, "height": 812}


@pytest.fixture(autouse=True)
def no_complaint() -> None:
    """In place of that of the UI's tests: no deployment is needed here. ``opened`` looks at the console."""


@dataclass(frozen=True)
class Shown:
    """A page in a browser, and what it has asked for."""

    page: Page
    requests: list[str]

    def section(self, name: str) -> "Section":
        return Section(self, name)


@dataclass(frozen=True)
class Section:
    shown: Shown
    name: str

    @property
    def rows(self) -> list[str]:
        return self.shown.page.locator(f"[id='list-{self.name}'] .rows > li").all_inner_texts()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "page.html"
    write_page(sample_report(), path)
    return path


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """One for all tests: a new one takes as long as most of them. Each begins with nothing in it."""
    page = browser.new_page()
    yield page
    page.close()


@contextmanager
def opened(tab: Page, path: Path, *, state: str = "", dark: bool = False, phone: bool = False) -> Iterator[Shown]:
    """The page in a window, in which no error may occur."""
    tab.goto("about:blank")
    tab.set_viewport_size(PHONE if phone else DESKTOP)
    tab.emulate_media(color_scheme="dark" if dark else "light")
    requests: list[str] = []
    complaints: list[str] = []
    listeners: dict[str, Callable[[Any], None]] = {
        "request": lambda request: requests.append(request.url),
        "console": lambda said: complaints.append(said.text),
        "pageerror": lambda error: complaints.append(str(error)),
    }
    for event, listener in listeners.items():
        tab.on(event, listener)  # type: ignore[call-overload]  # one of its words
    tab.goto(f"{path.as_uri()}{state}")
    yield Shown(tab, requests)
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    assert complaints == []


@pytest.fixture
def shown(tab: Page, written: Path) -> Iterator[Shown]:
    with opened(tab, written) as made:
        yield made


def test_the_page_asks_nobody_for_anything(shown: Shown, written: Path) -> None:
    shown.page.get_by_label("Search").fill("syndrome")
    assert shown.requests == [written.as_uri()]
    first = shown.page.locator(".rows a").first
    assert re.fullmatch(r"https://www\.ncbi\.nlm\.nih\.gov/medgen/CN?\d+", first.get_attribute("href") or "")


def test_all_topics_are_there_with_ten_concepts_each_and_the_rest_by_a_button(shown: Shown) -> None:
    page = shown.page
    counts = {name: len(shown.section(name).rows) for name in ("new disease", "new concept", "renamed", "retired")}
    assert counts == {"new disease": 10, "new concept": 6, "renamed": 10, "retired": 2}
    section = page.get_by_role("region", name=re.compile("^Renamed"))
    section.get_by_role("button", name="Show 43 more").click()
    expect(section.locator(".rows > li")).to_have_count(53)
    expect(section.locator(".more")).to_be_hidden()
    assert page.evaluate("document.activeElement.closest('li').matches(':nth-child(11)')")  # one goes on reading there


def test_a_search_finds_in_all_topics_what_a_row_shows_whatever_its_case(shown: Shown) -> None:
    page, report = shown.page, sample_report()
    renamed = report.topics[2].items[40]
    search = page.get_by_label("Search")
    search.fill(renamed.cui.lower())
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^\d of \d+ listed entries match\.$"))
    (row,) = shown.section("renamed").rows
    assert (renamed.name or "") in row
    for name, text in (
        ("genes", "smpl"),
        ("identifiers", "omim:910007"),
        ("phenotypes", "hp:9"),
        ("retired", "NOT rep"),
    ):
        search.fill(text)
        rows = shown.section(name).rows
        assert rows
        assert all(text.lower() in row.lower() for row in rows)
    search.fill("no such thing")
    expect(page.get_by_role("status")).to_have_text("0 of 248 listed entries match.")
    expect(page.locator(".topic:visible")).to_have_count(0)
    search.fill("")
    expect(page.locator(".topic:visible")).to_have_count(8)


def test_a_topic_is_chosen_by_its_number_and_is_part_of_the_address(shown: Shown, tab: Page, written: Path) -> None:
    page = shown.page
    page.get_by_role("button", name="Genes").click()
    expect(page.get_by_label("Topic")).to_have_value("genes")
    expect(page.locator(".topic:visible h2")).to_have_text(["Genes 15"])
    page.get_by_label("Search").fill("syndrome")
    expect(page).to_have_url(re.compile("#topic=genes&q=syndrome$"))
    with opened(tab, written, state="#topic=genes&q=syndrome"):
        expect(page.get_by_label("Search")).to_have_value("syndrome")
        expect(page.locator(".topic:visible")).to_have_count(1)
    page.get_by_role("button", name="Genes").click()
    expect(page.get_by_label("Topic")).to_have_value("")


def test_before_and_after_are_told_in_words_too_and_what_differs_is_marked(shown: Shown) -> None:
    item = shown.page.locator("[id='list-renamed'] .rows > li").first
    before, after = item.locator(".facts li").all()
    assert re.fullmatch(r"−\s*before: \w+ disease type \d+", before.text_content() or "")  # noqa: RUF001  # a minus sign
    assert re.fullmatch(r"\+\s*now: \w+ syndrome type \d+", after.text_content() or "")
    expect(item.locator("del")).to_have_text("disease")
    expect(item.locator("ins")).to_have_text("syndrome")


def test_the_page_is_used_by_keyboard(shown: Shown) -> None:
    page = shown.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the lists")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("merged")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Topic")).to_be_focused()
    levels = page.evaluate("[...document.querySelectorAll('h1, h2')].map(heading => heading.tagName)")
    assert levels == ["H1", *["H2"] * (len(levels) - 1)]
    names = page.evaluate("[...document.querySelectorAll('svg')].every(plot => plot.getAttribute('aria-label'))")
    assert names


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_nothing_is_wider_than_the_window_and_text_stands_out(
    tab: Page, written: Path, dark: bool, phone: bool
) -> None:
    with opened(tab, written, dark=dark, phone=phone) as shown:
        page = shown.page
        assert page.evaluate("document.documentElement.scrollWidth") <= (PHONE if phone else DESKTOP)["width"]
        wide = page.evaluate(
            "[...document.querySelectorAll('main *')].filter(element => !element.closest('.quiet, .sr, thead')"
            " && element.getBoundingClientRect().right > innerWidth + 1).map(element => element.outerHTML.slice(0, 80))"
        )
        assert wide == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (luminance(background) < 0.1) is dark
        for selector in (
            "h1",
            ".lead",
            ".about",
            ".rows a",
            ".rows .meta",
            "del",
            "ins",
            ".cards .name",
            ".none",
            "thead th",
        ):
            assert contrast(page, selector) >= 4.5, selector


def contrast(page: Page, selector: str) -> float:
    """Of an element's text against what is behind it, as WCAG counts it."""
    text, behind = page.locator(selector).first.evaluate(
        "element => { const text = getComputedStyle(element).color; let behind = element;"
        " while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;"
        " return [text, getComputedStyle(behind).backgroundColor]; }"
    )
    dark, bright = sorted((luminance(text), luminance(behind)))
    return (bright + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_hostile_name_is_text_and_nothing_else(tab: Page, tmp_path: Path) -> None:
    fact = Fact(HOSTILE, HOSTILE, HOSTILE)
    topics = [
        topic("new disease", [Item("C1", HOSTILE, 1)]),
        topic("renamed", [Item("C2", HOSTILE, 1, f"{HOSTILE} before")]),
        topic("merged", [Item("C3", HOSTILE, 0, HOSTILE, HOSTILE)]),
        topic("genes", [Item("javascript:alert(1)", None, 1, gone=(fact,), came=(fact,))]),
    ]
    path = tmp_path / "hostile.html"
    write_page(report_of(topics), path)
    with opened(tab, path) as shown:  # an alert would be a dialog that nobody closes
        assert shown.page.locator("script").count() == 2
        assert shown.page.locator("img").count() == 0
        assert HOSTILE.split()[0] in shown.section("new disease").rows[0]
        links = shown.page.locator(".rows a").evaluate_all("links => links.map(link => link.href)")
        assert all(link.startswith("https://www.ncbi.nlm.nih.gov/") for link in links)
        assert shown.requests == [path.as_uri()]


def test_without_javascript_the_counts_are_there(browser: Browser, written: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written.as_uri())
    expect(page.get_by_role("button", name="Identifiers")).to_contain_text("3,207")
    expect(page.get_by_role("row", name="gene_disease")).to_contain_text(UNTIL)
    expect(page.locator("noscript p")).to_be_visible()
    context.close()
