"""Rows of the past: what changed since a release, and a table as it was."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from medgen_pipeline.cli.common import any_table, warehouse_to_read
from medgen_pipeline.cli.rows import format_option, limit_option, write_rows

if TYPE_CHECKING:
    from medgen_pipeline.catalog import Table

_KINDS = ("insert", "update_postimage", "delete")


@click.command()
@click.argument("table")
@click.argument("since")
@click.argument("until", required=False)
@click.option("--summary", is_flag=True, help="Only how many rows each release inserted, updated and deleted.")
@format_option("csv")
@limit_option(0)
def changes(table: str, since: str, until: str | None, *, summary: bool, form: str, limit: int) -> None:
    """Write what changed in TABLE after release SINCE, up to release UNTIL.

    As CSV it is the change feed as it is. In the other formats an updated row is one line, with before and after side
    by side where they differ.
    """
    from medgen_pipeline.loaders.records import FEED_COLUMNS

    entry = any_table(table)
    with warehouse_to_read() as loader:
        feed = loader.read_changes(entry, since, until)
        if summary:
            write_rows(("release", "inserted", "updated", "deleted"), _counts(feed), form, limit)
        elif form == "csv":
            write_rows((*FEED_COLUMNS, *entry.column_names), feed, form, limit)
        else:
            write_rows(("change", "release", *entry.column_names), side_by_side(entry, feed), form, limit)


@click.command()
@click.argument("table")
@click.argument("release")
@format_option("csv")
@limit_option(0)
def as_of(table: str, release: str, *, form: str, limit: int) -> None:
    """Write the rows TABLE had after RELEASE was loaded."""
    entry = any_table(table)
    with warehouse_to_read() as loader:
        write_rows(entry.column_names, loader.read_as_of(entry, release), form, limit)


def _counts(feed: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Of each load in the feed: its release, and how many rows it inserted, updated and deleted."""
    counts: dict[tuple[Any, str], Counter[str]] = {}
    for kind, release, _, load_id, *_ in feed:
        counts.setdefault((load_id, release), Counter())[kind] += 1
    for (_, release), found in counts.items():
        yield (release, *(found[kind] for kind in _KINDS))


def side_by_side(table: "Table", feed: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """The feed with a line for each change: in one of an update, ``before → after`` where the two differ.

    Two keys that differ in case alone may be one to the order of the feed, so the two rows are told by their key.
    """
    places = [table.column_names.index(name) for name in table.key]
    before: dict[tuple[Any, ...], Sequence[Any]] = {}
    for kind, release, _, _, *values in feed:
        key = tuple(values[place] for place in places)
        if kind == "update_preimage":
            before[key] = values
        elif kind == "update_postimage":
            yield ("update", release, *map(_before_and_after, before.pop(key, values), values))
        else:
            yield (kind, release, *values)


def _before_and_after(before: Any, after: Any) -> Any:
    return (
        after if before == after else " → ".join("NULL" if value is None else str(value) for value in (before, after))
    )
