"""Rows as text: a table for the eye, CSV, Markdown or HTML."""

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import click

_DRAWN = {"table": "simple", "md": "github", "html": "html"}
"""Formats that are drawn from all their rows at once, in the words of ``tabulate``."""
_FORMATS = ("csv", *_DRAWN)
_WIDEST = 60


def format_option(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option ``--format``, whose value is for :func:`write_rows`."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(_FORMATS),
        default=default,
        show_default=True,
        help="How rows are written.",
    )


def limit_option(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option ``--limit``: so many rows at most, or 0 for all."""
    return click.option(
        "--limit", type=click.IntRange(min=0), default=default, show_default=True, help="Rows at most; 0: all of them."
    )


def write_rows(header: Sequence[str], rows: Iterable[Sequence[Any]], form: str, limit: int = 0) -> None:
    """Write rows to standard output; how many more there are goes to standard error.

    CSV is written row by row. The other formats take all that they write into memory.
    """
    left = iter(rows)
    shown = islice(left, limit) if limit else left
    if form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(header)
        writer.writerows(shown)
    else:
        click.echo(_drawn(header, shown, form))
    if more := sum(1 for _ in left):
        click.echo(f"{more:,} more rows; --limit 0 writes all of them.", err=True)


def _drawn(header: Sequence[str], rows: Iterable[Sequence[Any]], form: str) -> str:
    from tabulate import tabulate

    cells = [[_cell(value, form) for value in row] for row in rows]
    numeric = [_is_numeric([row[place] for row in cells]) for place in range(len(header))]
    text = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in cells]
    align = ["right" if number else "left" for number in numeric]
    return str(
        tabulate(
            text, headers=list(header), tablefmt=_DRAWN[form], colalign=align if text else None, disable_numparse=True
        )
    )


def _is_numeric(column: Sequence[int | str]) -> bool:
    """Whether it has numbers, and nothing else but empty cells."""
    return any(isinstance(cell, int) for cell in column) and all(isinstance(cell, int) or not cell for cell in column)


def _cell(value: Any, form: str) -> int | str:
    """A value on one line; for the eye alone is it cut, and for Markdown are its signs escaped."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = "" if value is None else " ".join(str(value).split())
    if form == "md":
        return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return f"{text[: _WIDEST - 1]}…" if form == "table" and len(text) > _WIDEST else text
