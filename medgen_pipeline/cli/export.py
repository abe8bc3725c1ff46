"""Tables out of the warehouse, as files."""

import click

from medgen_pipeline.cli.common import warehouse_to_read


@click.command()
@click.argument("place")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
def export(place: str, tables: tuple[str, ...]) -> None:
    """Write each TABLE to PLACE; without TABLE, all that were loaded.

    PLACE is a folder, or `s3://BUCKET/PREFIX`: each release gets a folder in it, with a Parquet file for each table and
    a data dictionary, and the file `latest` holds that folder's name. Or it is a file that ends in `.duckdb`. What has
    not changed is not written again.
    """
    from medgen_pipeline.access.export import export as export_tables

    try:
        done = export_tables(warehouse_to_read, place, tables, click.echo)
    except LookupError as error:
        raise click.ClickException(str(error)) from error
    written = f"{len(done.written)} written, {len(done.kept)} as before"
    click.echo(f"{done.path}: release {done.release}, {written}, {done.rows:,} rows, {done.size:,} bytes")
