"""A page of what changed between two releases."""

from pathlib import Path

import click

from medgen_pipeline.cli.common import warehouse_to_read


@click.command()
@click.argument("since", required=False)
@click.argument("until", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; medgen-UNTIL.html in the working directory where absent.",
)
def report(since: str | None, until: str | None, output: Path | None) -> None:
    """Write a page of what changed after release SINCE, up to release UNTIL.

    Without UNTIL up to the newest one, without SINCE since the one before it. The page is one file that needs nothing
    else: mail it, attach it, put it on any web server.
    """
    from medgen_pipeline.access.report.facts import gather
    from medgen_pipeline.access.report.page import write_page

    with warehouse_to_read() as loader:
        found = gather(loader, since, until)
    path = output or Path(f"medgen-{found.until}.html")
    try:
        size = write_page(found, path)
    except OSError as error:
        raise click.ClickException(f"The page cannot be written to {path}: {error.strerror}.") from error
    click.echo(f"What changed from {found.since} to {found.until}: {path}, {size:,} bytes")
