"""All curated tables of a full-size release beside plain copies of the tables they are made from, in one run.

Run as ``python -m medgen_pipeline_tests.bench.curated --help``. Prints and judges; asserts nothing.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import click

from medgen_pipeline.catalog import CuratedTable, SourceTable, any_table_by_name, upstream_of
from medgen_pipeline.loaders.config import DEFAULT_SCHEMA
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.bench import report as reports
from medgen_pipeline_tests.bench.ground import Ground, open_ground, sample_weeks
from medgen_pipeline_tests.bench.report import Record, verdict
from medgen_pipeline_tests.bench.step import Step, run_curated_step
from medgen_pipeline_tests.medgen import CURATED_TABLES, TABLES

# What each table's steps are divided by, and what all of them together are.
RATIOS = {"build_ratio": ("build_s", "inputs_s"), "next_ratio": ("next_s", "inputs_s")}
TOTAL_RATIOS = {"build_ratio": ("build_s", "once_s"), "next_ratio": ("next_s", "once_s")}
_COPIES = "plain_copy"


def measure(ground: Ground, old: Path, new: Path, tables: Sequence[CuratedTable]) -> list[Record]:
    """Curated tables of ``old``, of the same once more, and of ``new``; each after copies of what it reads."""
    upstream = {one.name for table in tables for one in upstream_of(table)}
    sources = [source for source in TABLES if source.name in upstream]
    for source in sources:
        ground.bring_to(source, old)
    copied: set[str] = set()
    records, builds = [], []
    for table in tables:
        # What is optional is a sibling's, which is not loaded.
        read = [name for name in table.query.tables if name not in (table.name, *table.optional)]
        copies = {name: _copy(ground, name) for name in read}
        fresh = {name for name in copies if isinstance(any_table_by_name(name), SourceTable)} - copied
        copied |= fresh
        build = _run(ground, table)
        builds.append(build)
        records.append(
            {
                "table": table.name,
                "rows": build.metadata["dagster/row_count"],
                "inputs_s": sum(copies.values()),
                "once_s": float(sum(copies[name] for name in fresh)),
                "build_s": build.seconds,
                "load_s": build.metadata["medgen/load_seconds"],
            }
        )
    again = [_run(ground, table) for table in tables]
    for source in sources:
        ground.bring_to(source, new)
    nexts = [_run(ground, table) for table in tables]
    return [
        reports.with_ratios(
            record
            | {
                "again_s": unchanged.seconds,
                "next_s": following.seconds,
                "changes": sum(following.metadata[f"cdc/{kind}"] for kind in ("inserted", "updated", "deleted")),
            },
            RATIOS,
        )
        for record, unchanged, following in zip(records, again, nexts, strict=True)
    ]


def _run(ground: Ground, table: CuratedTable) -> Step:
    step = run_curated_step(ground, table)
    ground.settle()
    return step


def _copy(ground: Ground, name: str) -> float:
    """Seconds that a plain copy of a table takes, with what the server sets up by itself."""
    ground.execute(f"CREATE SCHEMA {_COPIES}")
    ground.settle()
    started = time.monotonic()
    ground.execute(f"CREATE TABLE {_COPIES}.{name} AS TABLE {DEFAULT_SCHEMA}.{name}")
    seconds = time.monotonic() - started
    ground.execute(f"DROP SCHEMA {_COPIES} CASCADE")
    ground.settle()
    return seconds


def verdicts(records: Sequence[Record]) -> Iterator[str]:
    """Which limits hold, and where they do not."""
    whole = [reports.total("all", records, TOTAL_RATIOS)]
    yield verdict(
        "all tables at most 2 times a copy of each of NCBI's tables they read", reports.above(whole, "build_ratio", 2)
    )
    yield verdict("after the next release at most the same", reports.above(whole, "next_ratio", 2))


def _chosen(_: click.Context, __: click.Parameter, names: str) -> list[CuratedTable]:
    """The tables with those of ours that they read, in the catalog's order: each after what it reads."""
    there = {table.name for table in CURATED_TABLES}
    chosen = set(names.split(",")) if names else there
    if unknown := chosen - there:
        raise click.BadParameter(f"no curated tables of MedGen's alone: {', '.join(sorted(unknown))}")
    for table in reversed(CURATED_TABLES):
        if table.name in chosen:
            chosen.update(table.query.tables)
    return [table for table in CURATED_TABLES if table.name in chosen]


@click.command()
@reports.release_options
@reports.successor_option
@click.option(
    "--tables", default="", callback=_chosen, help="Comma-separated; with those that they read. All where absent."
)
def main(
    release: Path | None, successor: Path | None, scale: float, json_file: Path | None, tables: list[CuratedTable]
) -> None:
    """Time the curated tables of a release and of the next beside copies of what they read; say which limits hold."""
    folder = Settings.read().directory / "bench"
    old, new = reports.releases(release, successor, partial(sample_weeks, folder, scale))
    with open_ground(folder) as ground:
        reports.report(measure(ground, old, new, tables), TOTAL_RATIOS, verdicts, json_file)


if __name__ == "__main__":
    main()
