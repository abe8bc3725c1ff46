"""A sample release, and the demo that loads two of them and shows what changed."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medgen_pipeline.cli.common import lines_of, settings, typed, warehouse
from medgen_pipeline.cli.instance import prepared_dagster_home

if TYPE_CHECKING:
    from medgen_pipeline.loaders import AbstractNativeLoader

# The directory's name is the release's, see ``release.fetch``. A week apart, as NCBI publishes.
_RELEASES = ("2026-01-07", "2026-01-14")

# What one queries with, by the scheme of MEDGEN_DSN.
_CLIENTS = {
    **dict.fromkeys(("postgres", "postgresql"), 'psql "$MEDGEN_DSN"'),
    "duckdb": 'duckdb "${MEDGEN_DSN#duckdb:///}"',
}


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Size; 1 is a hundredth of MedGen and less of its largest table.",
)
@click.option("--next", "successor", is_flag=True, help="Write the release of a week later.")
def sample(out: Path, scale: float, successor: bool) -> None:
    """Write a synthetic release of MedGen and its siblings into OUT, a file for each table."""
    from medgen_pipeline.demo.sample_release import write_sample

    paths = write_sample(out, scale=scale, successor=successor)
    click.echo(f"{len(paths)} files, {sum(path.stat().st_size for path in paths):,} bytes in {out}")


@click.command()
def demo() -> None:
    """Load two sample releases through Dagster and show what changed.

    Into the embedded PostgreSQL, or into MEDGEN_DSN. Run again, it loads both again: the first one then takes the
    tables a week back, and the metrics say so.
    """
    from medgen_pipeline.demo.sample_release import write_sample
    from medgen_pipeline.home import folder_below
    from medgen_pipeline.orchestration.local import LocalRunError, open_instance, refresh

    releases = [folder_below(settings().directory, "sample") / name for name in _RELEASES]
    _refuse_to_replace_real_data(warehouse())
    with open_instance(prepared_dagster_home()) as instance:
        for number, release in enumerate(releases):
            write_sample(release, successor=number > 0)
        for release in releases:
            click.echo(f"Sample release {release.name}")
            started = time.monotonic()
            try:
                for line in lines_of(refresh(release.as_uri(), settings(), instance)):
                    click.echo(line)
            except LocalRunError as error:
                raise click.ClickException(f"release {release.name} did not load completely.\n{error}") from error
            click.echo(f"Dagster took {time.monotonic() - started:.1f} s in all.\n")
    for line in _first_answer():
        click.echo(line)
    click.echo(f"See the assets with their metrics and history:  {typed('ui')}")
    client = _CLIENTS.get(settings().dsn.partition(":")[0])
    if client or not settings().dsn:
        click.echo(f"Query the tables:  {client or typed('server psql')}")


def _refuse_to_replace_real_data(loader: "AbstractNativeLoader") -> None:
    """The gates would stop most tables of a real mirror from being replaced by the sample, but not all."""
    from medgen_pipeline.catalog import TABLES

    with loader:
        for table in TABLES:
            last = loader.last_load(table)
            if last and last.release not in _RELEASES:
                raise click.ClickException(
                    f"Table {table.name} holds release {last.release}, and the demo would replace it by sample "
                    "data. Next: set MEDGEN_SCHEMA to another schema, or MEDGEN_HOME to another directory."
                )


def _first_answer() -> Iterator[str]:
    """What a disease looks like, as lines of text: the fifth question of docs/questions.md."""
    from medgen_pipeline.catalog import Query

    query = Query(
        text="SELECT kind, phenotype_id, phenotype_name FROM {disease_phenotype}"
        " WHERE disease_id = 'OMIM:154700' AND NOT is_negated ORDER BY kind, phenotype_id"
    )
    schema = settings().warehouse_schema
    yield f'Marfan syndrome (OMIM:154700), asked of {schema}.disease_phenotype; the docs have "Fifteen questions":'
    with warehouse() as loader:
        for kind, number, name in loader.read_query(query, 100):
            yield f"  {kind:<13}{number}  {name}"
    yield ""
