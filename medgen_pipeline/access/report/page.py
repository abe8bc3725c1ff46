"""A report as one HTML file that needs nothing beside it: no server, no network, nothing of other people's.

Whatever is not this package's own text is escaped, or text in JSON of which the script makes nothing but text. The
page's policy forbids any request, and any script and style but the two of the page.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from medgen_pipeline.access.report.facts import Fact, Item, Report, TableChange, Topic
from medgen_pipeline.catalog import CuratedTable

_LONGEST = 300  # characters of a text
_FACTS = 40  # of a concept, on each side
_MOST = 1_100_000  # bytes of a topic: with eight of them, the page has less than 10 MB
_BAR, _GAP, _HEIGHT = 5, 2, 28

_TITLES = {
    "new disease": ("New diseases", "Concepts that {since} did not have, with the semantic type of a disease."),
    "new concept": ("Other new concepts", "Concepts that {since} did not have: findings, signs, procedures …"),
    "renamed": ("Renamed", "Concepts whose preferred name is another."),
    "merged": ("Merged", "Concepts that are gone and lead to a current one."),
    "retired": ("Retired", "Concepts that are gone and lead nowhere."),
    "identifiers": ("Identifiers", "Concepts in both releases whose identifiers in other vocabularies differ."),
    "genes": ("Genes", "Diseases in both releases that go with other genes, or with the same ones otherwise."),
    "phenotypes": ("Phenotypes", "Diseases in both releases whose clinical features or inheritance differ."),
}


def page_of(report: Report) -> str:
    """The page."""
    parts = files(__package__)
    style, script = (parts.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    own = " ".join(f"{kind}-src '{_hash(text)}';" for kind, text in (("style", style), ("script", script)))
    shown = [(topic, _listed(topic)) for topic in report.topics if topic.concepts]
    axis = report.releases
    return Template(parts.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        policy=f"default-src 'none'; {own} img-src data:; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        since=escape(report.since),
        until=escape(report.until),
        lead=_lead(report),
        cards="".join(_card(topic, report) for topic in report.topics),
        axis=f"Bars: releases from {escape(axis[0])} to {escape(axis[-1])}; the coloured ones are this page's."
        if len(axis) > 1
        else "",
        options="".join(f'<option value="{topic.name}">{_TITLES[topic.name][0]}</option>' for topic, _ in shown),
        sections="".join(_section(topic, report, len(items)) for topic, items in shown),
        tables=_tables(report),
        version=version("medgen_pipeline"),
        data=_array(f'{{"name":{_json(topic.name)},"items":{_array(items)}}}' for topic, items in shown),
    )


def write_page(report: Report, path: Path) -> int:
    """Write the page where it is to be, whole or not at all; how many bytes it has."""
    content = page_of(report).encode()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
    return len(content)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(value: Any) -> str:
    """JSON that ends no script element and begins no comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _array(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


def _listed(topic: Topic) -> list[str]:
    """The first concepts of a topic, as JSON: as many as there is room for."""
    found, left = [], _MOST
    for item in topic.items:
        text = _json(_item(item))
        left -= len(text.encode()) + 1
        if left < 0:
            break
        found.append(text)
    return found


def _item(item: Item) -> list[Any]:
    """CUI, name, links; then the detail and the target's name, or facts of both sides and how many were cut."""
    head = [item.cui, _cut(item.name), item.links]
    if item.gone or item.came:
        sides = (item.gone, item.came)
        return [*head, *([_fact(fact) for fact in side[:_FACTS]] for side in sides), *(_beyond(side) for side in sides)]
    return [*head, _cut(item.detail), _cut(item.target)] if item.detail else head


def _fact(fact: Fact) -> list[str | None]:
    return [_cut(fact.id), fact.note, _cut(fact.label)]


def _beyond(side: Sequence[Fact]) -> int:
    return max(len(side) - _FACTS, 0)


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _lead(report: Report) -> str:
    """The page in a sentence."""
    counts = {topic.name: topic.concepts for topic in report.topics}
    concepts = next(change for change in report.tables if change.table.name == "names")
    more = concepts.rows - (concepts.before or 0)
    new = counts["new disease"] + counts["new concept"]
    told = [
        f"<b>{new:,}</b> new, {counts['new disease']:,} of them diseases",
        *(f"<b>{counts[name]:,}</b> {name}" for name in ("renamed", "merged", "retired")),
    ]
    grown = f"{abs(more):,} {'more' if more > 0 else 'fewer'} than before" if more else "as many as before"
    return f"MedGen has <b>{concepts.rows:,}</b> concepts, {grown}: {'; '.join(told)}."


def _card(topic: Topic, report: Report) -> str:
    title = _TITLES[topic.name][0]
    what = f"{title} by release" if not topic.gone + topic.came else f"{title}, rows changed by release"
    state = "" if topic.concepts else " disabled"
    return (
        f'<li><button type="button" value="{topic.name}" aria-pressed="false"{state}>'
        f'<strong>{topic.concepts:,}</strong> <span class="name">{title}</span>'
        f"{_bars(topic.history, report, what)}</button></li>"
    )


def _bars(history: Mapping[str, int], report: Report, what: str) -> str:
    """A bar for each release, of several; what happened is visible where it is little."""
    if len(history) < 2:
        return ""
    most = max(history.values(), default=0) or 1
    drawn = []
    for place, (release, number) in enumerate(history.items()):
        height = max(round(_HEIGHT * number / most), 2) if number else 1
        here = ' class="here"' if release in report.between else ""
        drawn.append(
            f'<rect{here} x="{place * (_BAR + _GAP)}" y="{_HEIGHT - height}" width="{_BAR}" height="{height}">'
            f"<title>{escape(release)}: {number:,}</title></rect>"
        )
    width = max(len(history) * (_BAR + _GAP) - _GAP, _BAR)
    last = list(history.items())[-8:]
    told = escape(f"{what}: " + ", ".join(f"{release} {number:,}" for release, number in last))
    return (
        f'<svg role="img" aria-label="{told}" width="{width}" height="{_HEIGHT}" '
        f'viewBox="0 0 {width} {_HEIGHT}" preserveAspectRatio="none">'
        f"{''.join(drawn)}</svg>"
    )


def _section(topic: Topic, report: Report, listed: int) -> str:
    title, about = _TITLES[topic.name]
    facts = f" {topic.gone:,} gone, {topic.came:,} new." if topic.gone + topic.came else ""
    beyond = topic.concepts - listed
    rest = f"{beyond:,} more concepts are not listed: the page is kept small." if beyond else ""
    anchor = f"list-{topic.name}"
    plain = "" if topic.gone + topic.came or topic.name in {"renamed", "merged", "retired"} else " wide"
    return (
        f'<section class="topic" id="{anchor}" aria-labelledby="{anchor}-title"><h2 id="{anchor}-title">{title} '
        f'<span class="count">{topic.concepts:,}</span><span class="count matches"></span></h2>'
        f'<p class="about">{about.format(since=escape(report.since))}{facts}</p><ul class="rows{plain}"></ul>'
        f'<button type="button" class="more" hidden></button><p class="rest">{rest}</p></section>'
    )


def _tables(report: Report) -> str:
    groups: dict[str, list[TableChange]] = {}
    for change in report.tables:
        title = "Curated" if isinstance(change.table, CuratedTable) else "As NCBI publishes them"
        groups.setdefault(title, []).append(change)
    return "".join(
        f'<tbody><tr><th class="group" colspan="7" scope="colgroup">{title}</th></tr>'
        f"{''.join(_row(change, report) for change in changes)}</tbody>"
        for title, changes in groups.items()
    )


def _row(change: TableChange, report: Report) -> str:
    grown = 0 if change.before is None else change.rows - change.before
    sign = "+" if grown > 0 else "−"  # noqa: RUF001  # a minus sign
    delta = f' <span class="delta">{sign}{abs(grown):,}</span>' if grown else ""
    cells = {"Rows": f"{change.rows:,}{delta}"}
    for title, number in (("Inserted", change.inserted), ("Updated", change.updated), ("Deleted", change.deleted)):
        none = "first load" if change.before is None else "0"
        cells[title] = f"{number:,}" if number else f'<span class="none">{none}</span>'
    bars = _bars(change.history, report, f"Rows of {change.table.name} changed by release")
    return (
        f'<tr><th scope="row">{change.table.name}</th><td data-label="Release">{escape(change.release)}</td>'
        + "".join(f'<td data-label="{title}">{cell}</td>' for title, cell in cells.items())
        + f'<td class="plot">{bars}</td></tr>'
    )
