"""The embedded PostgreSQL: start, stop, status, its URL, its psql."""

import os

import click

from medgen_pipeline.cli.common import embedded, settings


@click.group()
def server() -> None:
    """The embedded PostgreSQL below MEDGEN_HOME, which is used where MEDGEN_DSN is not set."""


@server.command()
def start() -> None:
    """Start it, and create it first where there is none."""
    click.echo(f"running: {embedded().ensure_running()}")


@server.command()
def stop() -> None:
    """Stop it. The data stay."""
    embedded().stop()
    click.echo("stopped")


@server.command()
@click.pass_context
def status(ctx: click.Context) -> None:
    """Say whether it runs. As with pg_ctl, the exit code is 3 where it does not."""
    postgres = embedded()
    if postgres.is_running():
        click.echo(f"running: {postgres.dsn()}")
    else:
        click.echo(f"not running; its place is {postgres.location}")
        ctx.exit(3)


@server.command()
def dsn() -> None:
    """Print its URL for psql and other clients; it is started where it does not run."""
    click.echo(embedded().ensure_running())


@server.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def psql(arguments: tuple[str, ...]) -> None:
    """Open its psql, with psql's own ARGUMENTS; no other installation is needed."""
    from medgen_pipeline.demo.binaries import find_binaries

    url = embedded().ensure_running()
    program = find_binaries(only=settings().pg_bin).directory / "psql"
    os.execv(program, [str(program), "--dbname", url, *arguments])  # noqa: S606  # psql takes over the terminal
