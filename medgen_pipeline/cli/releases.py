"""Which releases there are, back to one of them, and forth again."""

from typing import TYPE_CHECKING

import click

from medgen_pipeline.cli.common import archive, lines_of, source_tables, warehouse, warehouse_to_read
from medgen_pipeline.cli.instance import prepared_dagster_home, settings_of_runs
from medgen_pipeline.cli.rows import format_option, write_rows

if TYPE_CHECKING:
    from medgen_pipeline.loading.rollback import KnownRelease

_HEADER = "table", "release", "from", "bytes", "published", "fetched", "sha256", "content_sha256"
_SHOWN_DIGITS = 12


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@format_option("table")
def releases(tables: tuple[str, ...], form: str) -> None:
    """List the releases that each TABLE can be brought to, the newest first; without TABLE, of all.

    `archive` is where its file is kept, `feed` where the change feed leads back to it. The release that the table holds
    has a star behind it, or the word `pinned` where it is to stay there. CSV has the hashes in full.
    """
    from medgen_pipeline.loading.rollback import known_releases

    chosen, kept = source_tables(tables), archive()
    digits = None if form == "csv" else _SHOWN_DIGITS
    rows: list[tuple[object, ...]] = []
    with warehouse_to_read() as loader:
        for table in chosen:
            last = loader.last_load(table)
            for known in known_releases(loader, table, kept):
                mark = "" if last is None or last.release != known.release else " pinned" if last.pinned else " *"
                rows.append((table.name, f"{known.release}{mark}", known.where, *_of_file(known, digits)))
    write_rows(_HEADER, rows, form)


def _of_file(known: "KnownRelease", digits: int | None) -> tuple[object, ...]:
    file = known.file
    if file is None:
        return (None,) * 5
    times = (f"{time:%Y-%m-%d %H:%M:%S}" for time in (file.last_modified, file.fetched))
    return (file.byte_size, *times, file.sha256[:digits], file.content_sha256[:digits])


@click.command()
@click.argument("release")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
def rollback(release: str, tables: tuple[str, ...]) -> None:
    """Bring each TABLE to RELEASE and pin it there; without TABLE, all that were loaded, of sources that are on.

    As a run of `refresh_medgen` in this process, with what is made from the tables. `medgen releases` lists the
    releases. `newest` for RELEASE brings tables to what is published now and lets them go.
    """
    from medgen_pipeline.loading.rollback import NEWEST, find_release
    from medgen_pipeline.orchestration.local import LocalRunError, go_to, open_instance
    from medgen_pipeline.orchestration.resources import sources_of

    asked, on = source_tables(tables), sources_of(settings_of_runs())
    chosen = [table for table in asked if table.source in on]
    if tables and chosen != asked:  # a table of a source that is off has no asset
        off = dict.fromkeys(table.source.name for table in asked if table not in chosen)
        raise click.ClickException(
            f"{', '.join(off)}: a source that is switched off has no tables to load. Switch it on for this command: "
            f"MEDGEN_SOURCES={','.join((*(source.name for source in on), *off))}."
        )
    with warehouse() as loader:
        if not tables:
            chosen = [table for table in chosen if loader.last_load(table)]
        if release != NEWEST:  # all of it, before anything is touched
            kept = archive()
            for table in chosen:
                find_release(loader, table, kept, release)
    if not chosen:
        raise click.ClickException("No table was loaded yet, so there is none to bring back.")
    with open_instance(prepared_dagster_home()) as instance:
        try:
            for line in lines_of(go_to(release, [table.name for table in chosen], settings_of_runs(), instance)):
                click.echo(line)
        except LocalRunError as error:
            raise click.ClickException(f"not all of it went to release {release}.\n{error}") from error
    if release != NEWEST:
        click.echo("They are pinned: sensor and schedule leave them there. `medgen unpin` lets them go.")


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
def unpin(tables: tuple[str, ...]) -> None:
    """Let each TABLE follow what is published again; without TABLE, all that are pinned.

    Nothing is loaded: the sensor, the schedule or a materialization does that.
    """
    from medgen_pipeline.loading.rollback import unpin as let_go

    for table in source_tables(tables):
        if release := let_go(warehouse(), table):
            click.echo(f"{table.name}: no longer pinned to {release}")
        elif tables:
            click.echo(f"{table.name}: was not pinned")
