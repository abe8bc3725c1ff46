"""What several commands need: settings, warehouse, archive, embedded server, loads as text, how one types a command."""

import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from medgen_pipeline.catalog import SourceTable, Table
    from medgen_pipeline.demo.embedded_postgres import EmbeddedPostgres
    from medgen_pipeline.loaders import AbstractNativeLoader
    from medgen_pipeline.orchestration.local import TableLoad
    from medgen_pipeline.release import Archive
    from medgen_pipeline.settings import Settings

_CLONE = Path(__file__).parents[2]
_WIDTH = 10
_NAMES = 26


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


def archive() -> "Archive":
    """The archive that the environment names."""
    from medgen_pipeline.orchestration.resources import MedgenSource

    source: MedgenSource = MedgenSource.of(settings()).process_config_and_initialize()
    return source.archive()


def source_tables(names: Sequence[str]) -> "list[SourceTable]":
    """NCBI's tables of these names, in the catalog's order; all where there are none."""
    from medgen_pipeline.catalog import TABLES

    known = {table.name: table for table in TABLES}
    if unknown := sorted(set(names) - known.keys()):
        raise click.ClickException(
            f"{', '.join(unknown)}: expected tables that NCBI publishes, some of {', '.join(known)}. What is made from "
            "them follows by itself."
        )
    return [table for table in TABLES if table.name in names or not names]


def typed(command: str, port: int | None = None) -> str:
    """How one types a command here: by ``make`` in a clone, else by the program that runs now."""
    if Path.cwd() == _CLONE and Path("Makefile").exists():
        return f"make {command.split()[-1]}" + (f" PORT={port}" if port else "")
    started = Path(sys.argv[0])
    program = "medgen" if shutil.which("medgen") == str(started) else shlex.quote(str(started))
    return f"{program} {command}" + (f" --port {port}" if port else "")


def lines_of(loads: "Iterable[TableLoad]") -> Iterator[str]:
    """A header, a line for each table once it is loaded, and the totals of NCBI's tables and of the curated ones."""
    from medgen_pipeline.catalog import CURATED_TABLES, TABLES
    from medgen_pipeline.orchestration.local import TableLoad

    groups = {"tables": TABLES, "curated tables": CURATED_TABLES}
    yield "table".ljust(_NAMES) + "".join(name.rjust(_WIDTH) for name in TableLoad._fields[1:])
    done = []
    for load in loads:
        done.append(load)
        yield _line(load.table, load[1:])
    for title, tables in groups.items():
        names = {table.name for table in tables}
        if of_group := [load[1:] for load in done if load.table in names]:
            yield _line(f"{len(of_group)} {title}", tuple(map(sum, zip(*of_group, strict=True))))


def _line(name: str, numbers: Sequence[float]) -> str:
    cells = [f"{number:,.2f}" if isinstance(number, float) else f"{number:,}" for number in numbers]
    return name.ljust(_NAMES) + "".join(cell.rjust(_WIDTH) for cell in cells)
