"""Rows as Markdown, which is how Dagster's UI shows them."""

from collections.abc import Iterable, Sequence
from typing import Any

from medgen_pipeline.access.report.facts import Item, Report
from medgen_pipeline.catalog import Metric
from medgen_pipeline.catalog.curated.release_report import CONCEPT_PAGE, SHOWN

# Dagster shows Markdown without images, so a plot in it is made of characters.
_BAR_BLOCKS = 8
_PREVIEWED = 60  # characters of a value
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def table_of(metric: Metric, rows: Sequence[tuple[Any, ...]]) -> str:
    """A table in Markdown, with bars where the metric has some; names of MedGen's may hold any character."""
    if not rows:
        return "none"
    columns = metric.columns
    if metric.bars:
        drawn = [row[columns.index(metric.bars)] for row in rows]
        most = max(drawn)
        columns = (*columns, "")
        rows = [(*row, _bar(value, most)) for row, value in zip(rows, drawn, strict=True)]
    pages = [metric.pages.get(column, "") for column in columns]
    return _table(columns, (map(_linked, row, pages) for row in rows))


def preview_of(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """Some rows of a table in Markdown; a long value is cut, since all of it becomes part of Dagster's storage."""
    return _table(columns, [tuple(map(_cut, row)) for row in rows]) if rows else "no rows"


def changes_of(report: Report) -> str:
    """The first concepts of each topic of a report in Markdown, and how many more there are."""
    lines: list[tuple[Any, ...]] = []
    for topic in report.topics:
        shown = topic.items[:SHOWN]
        lines += [(topic.name, _linked(item.cui, CONCEPT_PAGE), _cut(item.name), _change(item)) for item in shown]
        if beyond := topic.concepts - len(shown):
            lines.append((topic.name, "", f"{beyond:,} more", ""))
    return _table(("what", "CUI", "name", "change"), lines) if lines else "none"


def _change(item: Item) -> str:
    facts = [f"{sign} {fact.id} {fact.note}" for sign, side in (("−", item.gone), ("+", item.came)) for fact in side]  # noqa: RUF001  # a minus sign
    return _cut(item.detail or ", ".join(facts))


def _cut(value: Any) -> str:
    text = "" if value is None else str(value)  # numbers are identifiers here
    return text if len(text) <= _PREVIEWED else f"{text[: _PREVIEWED - 1]}…"


def _table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _linked(value: Any, page: str) -> Any:
    return f"[{value}]({page.format(value)})" if page and value is not None else value


def _bar(value: int, most: int) -> str:
    """A bar of blocks and eighths of one; anything above zero is visible."""
    eighths = max(round(8 * _BAR_BLOCKS * value / most), 1) if value else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    text = "" if value is None else " ".join(str(value).split())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
