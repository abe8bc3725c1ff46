"""The page of a report as a file: what is in it, what cannot get out of where it was put, and how large it becomes."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from medgen_pipeline.access.report.facts import LISTED, Fact, Item, Report
from medgen_pipeline.access.report.page import page_of, write_page
from medgen_pipeline.catalog import any_table_by_name
from medgen_pipeline.catalog.curated.release_report import CONCEPT_TOPICS, FACT_TOPICS
from medgen_pipeline_tests.reports import HOSTILE, SINCE, UNTIL, report_of, sample_report, topic

MOST_BYTES = 10_000_000


class Parsed(HTMLParser):
    """Every element of a page with its attributes, and the text of each script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: list[tuple[str, str]] = []
        self.comments: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self.blocks.append((dict(attrs).get("type") or tag, ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem and self.blocks:
            kind, text = self.blocks[-1]
            self.blocks[-1] = (kind, text + data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    @property
    def data(self) -> list[dict[str, Any]]:
        (text,) = (text for kind, text in self.blocks if kind == "application/json")
        found: list[dict[str, Any]] = json.loads(text)
        return found


@pytest.fixture(scope="module")
def report() -> Report:
    return sample_report()


def hostile() -> Report:
    fact = Fact(HOSTILE, HOSTILE, HOSTILE)
    item = Item(HOSTILE, HOSTILE, 1, HOSTILE, HOSTILE)
    facts = Item("C1", HOSTILE, 1, gone=(fact,), came=(fact,))
    topics = [*(topic(name, [item]) for name in CONCEPT_TOPICS), *(topic(name, [facts]) for name in FACT_TOPICS)]
    return report_of(topics, SINCE, HOSTILE)


def test_names_of_whatever_characters_stay_what_they_are_and_make_no_element() -> None:
    page, plain = Parsed(page_of(hostile())), Parsed(page_of(sample_report()))
    assert [kind for kind, _ in page.blocks] == ["style", "application/json", "script"]
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in plain.elements}
    assert page.comments == []
    assert page.data[0]["items"][0][:2] == [HOSTILE, HOSTILE]
    assert not re.search("[<>&]", next(text for kind, text in page.blocks if kind == "application/json"))


def test_the_page_allows_no_request_and_no_script_or_style_but_its_own(report: Report) -> None:
    page = Parsed(page_of(report))
    (policy,) = (
        attributes["content"] or ""
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    own = {kind: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for kind, text in page.blocks}
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{own['style']}'",
        f"script-src 'sha256-{own['script']}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    loaded = {value for _, attributes in page.elements for name, value in attributes.items() if name in {"src", "href"}}
    assert loaded == {"data:,", "#lists"}  # links to MedGen are the script's
    assert not any("style" in attributes or "onclick" in attributes for _, attributes in page.elements)


def test_every_number_of_a_report_is_on_its_page(report: Report) -> None:
    page = page_of(report)
    for one in report.topics:
        assert f'value="{one.name}"' in page
        assert f"<strong>{one.concepts:,}</strong>" in page
    for change in report.tables:
        cells = [f"{number:,}" for number in (change.inserted, change.updated, change.deleted)]
        row = re.search(rf'<tr><th scope="row">{change.table.name}</th>.*?</tr>', page)
        assert row
        assert [re.sub("<.*?>", "", cell) for cell in re.findall("<td.*?</td>", row[0])][2:5] == cells
    assert "3,108 more concepts are not listed" in page  # of 3,207 that have other identifiers
    listed = {one["name"]: [item[0] for item in one["items"]] for one in Parsed(page).data}
    assert listed == {one.name: [item.cui for item in one.items] for one in report.topics}


def test_the_page_of_a_change_of_everything_has_ten_megabytes_at_most() -> None:
    name = "Autosomal dominant néphropathie " * 130  # as long as a name may be
    facts = tuple(Fact(f"SNOMEDCT:{number:09}", "allelic variant", name) for number in range(5))
    items = [Item(f"C{number:07}", name, number, name, name) for number in range(LISTED)]
    of_facts = [Item(f"C{number:07}", name, number, gone=facts[:3], came=facts) for number in range(1250)]
    topics = [
        *(topic(name, items, 250_000) for name in CONCEPT_TOPICS),
        *(topic(name, of_facts, 250_000) for name in FACT_TOPICS),
    ]
    page = page_of(report_of(topics))
    assert MOST_BYTES / 2 < len(page.encode()) < MOST_BYTES
    for one in Parsed(page).data:
        listed = len(one["items"])
        assert listed > 300
        assert f"{250_000 - listed:,} more concepts are not listed" in page


def test_a_concept_with_a_great_many_facts_has_some_of_them_and_the_number_of_the_others() -> None:
    facts = tuple(Fact(f"HP:{number:07}", "phenotype", None) for number in range(57))
    (data,) = Parsed(page_of(report_of([topic("phenotypes", [Item("C1", "One", 0, gone=facts)])]))).data
    *_, gone, came, more_gone, more_came = data["items"][0]
    assert (len(gone), came, more_gone, more_came) == (40, [], 17, 0)


def test_a_table_without_an_earlier_state_says_so(report: Report) -> None:
    first = report.tables[0].__class__(any_table_by_name("gene_disease"), UNTIL, None, 12, 0, 0, 0, {UNTIL: 0})
    page = page_of(report_of([]).__class__(SINCE, UNTIL, (UNTIL,), report.topics, (report.tables[0], first)))
    row = page[page.index('<th scope="row">gene_disease') :]
    assert row.count("first load", 0, row.index("</tr>")) == 3


def test_a_page_takes_the_place_of_the_one_before_it_and_leaves_nothing_beside_it(
    report: Report, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")
    assert write_page(report, path) == path.stat().st_size
    assert path.read_text(encoding="utf-8") == page_of(report)
    assert list(tmp_path.iterdir()) == [path]
