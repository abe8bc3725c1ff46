"""Rows of the past as CSV: what changed since a release, and a table as it was."""

import csv
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from medgen_pipeline.cli.common import warehouse_to_read

if TYPE_CHECKING:
    from medgen_pipeline.catalog import Table


@click.command()
@click.argument("table")
@click.argument("since")
@click.argument("until", required=False)
def changes(table: str, since: str, until: str | None) -> None:
    """Write what changed in TABLE after release SINCE, up to release UNTIL, as CSV."""
    from medgen_pipeline.loaders.records import FEED_COLUMNS

    entry = _table(table)
    with warehouse_to_read() as loader:
        _write_csv((*FEED_COLUMNS, *entry.column_names), loader.read_changes(entry, since, until))


@click.command()
@click.argument("table")
@click.argument("release")
def as_of(table: str, release: str) -> None:
    """Write the rows TABLE had after RELEASE was loaded, as CSV."""
    entry = _table(table)
    with warehouse_to_read() as loader:
        _write_csv(entry.column_names, loader.read_as_of(entry, release))


def _table(name: str) -> "Table":
    from medgen_pipeline.catalog import any_table_by_name

    try:
        return any_table_by_name(name)
    except LookupError as error:
        raise click.ClickException(str(error)) from error


def _write_csv(header: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(header)
    writer.writerows(rows)
