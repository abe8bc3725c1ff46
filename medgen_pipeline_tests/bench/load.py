r"""A whole first load beside psql's ``\copy`` of the same files into the same server, table by table, in one run.

Run as ``python -m medgen_pipeline_tests.bench.load --help``. Prints and judges; asserts nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import click

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.loaders.config import DEFAULT_SCHEMA
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.bench.baseline import RawCopy
from medgen_pipeline_tests.bench.ground import Ground, open_ground, sample_release
from medgen_pipeline_tests.bench.report import Record, above, options, report, rounds, total, verdict, with_ratios
from medgen_pipeline_tests.bench.step import run_step

RATIOS = {"staging_ratio": ("staging_s", "copy_s"), "load_ratio": ("load_s", "copy_index_s")}
# Below this, connecting and committing weigh more than rows; such tables are judged together.
SMALL_ROWS = 100_000
_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = %s ORDER BY indexname"


def measure(ground: Ground, table: SourceTable, release: Path, repeat: int | None) -> Record:
    """Alternate our load and the raw one, each in a database without the other's table."""
    raw_copy = RawCopy(ground, table, release)
    steps, raws = [], []
    for _ in rounds(repeat, release / table.file_name):
        steps.append(run_step(ground, table, ground.offer(release)))
        indexes = [row[0] for row in ground.execute(_INDEXES, DEFAULT_SCHEMA, table.name)]
        ground.clear()
        raws.append(raw_copy.run(indexes))
        ground.settle()
    record = {
        "table": table.name,
        "rows": steps[0].metadata["dagster/row_count"],
        "raw_rows": raws[0].rows,
        "fetch_s": median(step.fetch_seconds for step in steps),
        "copy_s": median(raw.copy_seconds for raw in raws),
        "staging_s": median(step.metadata["medgen/staging_seconds"] for step in steps),
        "copy_index_s": median(raw.copy_seconds + raw.index_seconds for raw in raws),
        "load_s": median(step.metadata["medgen/load_seconds"] for step in steps),
        "rss_mb": max(step.peak_rss_mb for step in steps),
    }
    return with_ratios(record, RATIOS) | {"note": raw_copy.note}


def verdicts(records: Sequence[Record]) -> Iterator[str]:
    """Which limits hold, and where they do not."""
    judged = [one for one in records if one["rows"] >= SMALL_ROWS]
    if small := [one for one in records if one["rows"] < SMALL_ROWS]:
        judged.append(total(f"{len(small)} tables below {SMALL_ROWS:,} rows", small, RATIOS))
    whole = total("all", records, RATIOS)
    yield verdict("staging at most 1.15 times the raw copy", above(judged, "staging_ratio", 1.15))
    yield verdict("all loads at most 1.5 times the raw copies and index builds", above([whole], "load_ratio", 1.5))
    yield verdict("every step at most 350 MB of memory", above(records, "rss_mb", 350))
    yield verdict("as many rows as the raw copy", [one["table"] for one in records if one["rows"] != one["raw_rows"]])


@click.command()
@options
def main(
    release: Path | None, scale: float, tables: list[SourceTable], repeat: int | None, json_file: Path | None
) -> None:
    """Time the first load of a release beside psql's raw copy of it, and say which limits hold."""
    folder = Settings.read().directory / "bench"
    found = release or sample_release(folder, scale)
    with open_ground(folder) as ground:
        report((measure(ground, table, found, repeat) for table in tables), RATIOS, verdicts, json_file)


if __name__ == "__main__":
    main()
