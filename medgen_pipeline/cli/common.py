"""What several commands need: the settings, the warehouse, the embedded server, and how a command is typed here."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from medgen_pipeline.catalog import Table
    from medgen_pipeline.demo.embedded_postgres import EmbeddedPostgres
    from medgen_pipeline.loaders import AbstractNativeLoader
    from medgen_pipeline.settings import Settings

_CLONE = Path(__file__).parents[2]


def settings() -> "Settings":
    """What the environment says."""
    from medgen_pipeline.settings import Settings

    return Settings.read()


def embedded() -> "EmbeddedPostgres":
    """The embedded server below MEDGEN_HOME, whether it exists or not."""
    from medgen_pipeline.demo.embedded_postgres import EmbeddedPostgres

    return EmbeddedPostgres.of(settings())


def warehouse() -> "AbstractNativeLoader":
    """A loader for the warehouse that the environment names, made the way Dagster makes it."""
    from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
    from medgen_pipeline.orchestration.targets import target_of

    resource: WarehouseIOManager = WarehouseIOManager(target=target_of(settings())).process_config_and_initialize()
    try:
        return resource.target.loader()
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def warehouse_to_read() -> "AbstractNativeLoader":
    """The same for commands that only read: of an embedded server that was never created, nothing is created."""
    if not settings().dsn and not embedded().exists:
        raise click.ClickException(
            f"No data to read: MEDGEN_DSN is not set, and there is no embedded PostgreSQL in {embedded().location}. "
            "Set MEDGEN_DSN or MEDGEN_HOME to where the tables are, or load them first."
        )
    return warehouse()


def any_table(name: str) -> "Table":
    """The catalog's entry for the name of a table that somebody has typed."""
    from medgen_pipeline.catalog import any_table_by_name

    try:
        return any_table_by_name(name)
    except LookupError as error:
        raise click.ClickException(str(error)) from error


def typed(command: str, port: int | None = None) -> str:
    """How one types a command here: by ``make`` in a clone, else by the program that runs now."""
    if Path.cwd() == _CLONE and Path("Makefile").exists():
        return f"make {command.split()[-1]}" + (f" PORT={port}" if port else "")
    started = Path(sys.argv[0])
    program = "medgen" if shutil.which("medgen") == str(started) else shlex.quote(str(started))
    return f"{program} {command}" + (f" --port {port}" if port else "")
