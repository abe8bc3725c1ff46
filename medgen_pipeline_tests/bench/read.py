"""Rows out of a full-size release: as Arrow, beside a binary COPY to nothing, and as Parquet, beside reading.

Run as ``python -m medgen_pipeline_tests.bench.read --help``. Prints and judges; asserts nothing.
"""

import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

# These two here and not by whoever reads first, so that no clock runs while they are imported.
import adbc_driver_postgresql.dbapi  # noqa: F401
import click
import pyarrow.parquet  # noqa: F401

from medgen_pipeline.access.export import export
from medgen_pipeline.access.read import read
from medgen_pipeline.catalog import SourceTable, any_table_by_name
from medgen_pipeline.demo.binaries import find_binaries
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderFactory
from medgen_pipeline.loaders.config import DEFAULT_SCHEMA
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.bench import report as reports
from medgen_pipeline_tests.bench.baseline import shell
from medgen_pipeline_tests.bench.ground import Ground, open_ground, sample_release
from medgen_pipeline_tests.bench.report import Record, verdict
from medgen_pipeline_tests.bench.step import PROCESSES, peak_rss_mb

RATIOS = {"read_ratio": ("read_s", "copy_s"), "export_ratio": ("export_s", "read_s")}


class Taken(NamedTuple):
    """What came out of the warehouse: rows, seconds, the most memory of the process, MB that it has written."""

    rows: int
    seconds: float
    rss_mb: float
    written_mb: float = 0


def measure(ground: Ground, tables: Sequence[SourceTable], release: Path, repeat: int | None) -> Iterator[Record]:
    """Load each table, and then take its rows out in three ways, in turn."""
    for table in tables:
        ground.bring_to(table, release)
        copies, reads, exports = [], [], []
        for _ in reports.rounds(repeat, release / table.file_name):
            copies.append(_copy(ground, table))
            reads.append(_in_a_process(partial(_read, ground.dsn, table.name)))
            exports.append(_in_a_process(partial(_export, ground.dsn, table.name)))
        yield reports.with_ratios(
            {
                "table": table.name,
                "rows": reads[0].rows,
                "copy_s": median(copies),
                "read_s": median(taken.seconds for taken in reads),
                "export_s": median(taken.seconds for taken in exports),
                "parquet_mb": exports[0].written_mb,
                "read_rss_mb": max(taken.rss_mb for taken in reads),
                "export_rss_mb": max(taken.rss_mb for taken in exports),
            },
            RATIOS,
        )


def _copy(ground: Ground, table: SourceTable) -> float:
    copy = f"COPY {DEFAULT_SCHEMA}.{table.name} TO STDOUT (FORMAT binary)"
    psql = shlex.join([str(find_binaries().directory / "psql"), "-X", "-d", ground.dsn, "-c", copy])
    started = time.monotonic()
    shell(f"{psql} > /dev/null")
    return time.monotonic() - started


def _in_a_process(take: Callable[[], Taken]) -> Taken:
    with ProcessPoolExecutor(1, PROCESSES) as pool:
        return pool.submit(take).result()


def _read(dsn: str, name: str) -> Taken:
    started = time.monotonic()
    rows = sum(batch.num_rows for batch in read(partial(_loader, dsn), any_table_by_name(name)))
    return Taken(rows, time.monotonic() - started, peak_rss_mb())


def _export(dsn: str, name: str) -> Taken:
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        done = export(partial(_loader, dsn), folder, [name])
        return Taken(done.rows, time.monotonic() - started, peak_rss_mb(), done.size / 1e6)


def _loader(dsn: str) -> AbstractNativeLoader:
    return LoaderFactory.create_loader(dsn, {"schema": DEFAULT_SCHEMA})


def verdicts(records: Sequence[Record]) -> Iterator[str]:
    """Which limits hold, and where they do not. Small tables are judged together: connecting takes longer."""
    whole = [reports.total(f"all {len(records)} tables", records, RATIOS)]
    large = [record for record in records if record["rows"] > 1_000_000]
    reading = reports.above([*large, *whole], "read_ratio", 1.3)
    yield verdict("reading, above a million rows and all, at most 1.3 times the binary copy", reading)
    yield verdict("export of all at most 2 times reading", reports.above(whole, "export_ratio", 2))
    memory = [line for key in ("read_rss_mb", "export_rss_mb") for line in reports.above(records, key, 400)]
    yield verdict("at most 400 MB of memory", memory)


@click.command()
@reports.options
def main(
    release: Path | None, scale: float, tables: Sequence[SourceTable], repeat: int | None, json_file: Path | None
) -> None:
    """Time reading and exporting tables beside a binary copy to nothing; say which limits hold."""
    folder = Settings.read().directory / "bench"
    with open_ground(folder) as ground:
        measured = measure(ground, tables, release or sample_release(folder, scale), repeat)
        reports.report(measured, RATIOS, verdicts, json_file)


if __name__ == "__main__":
    main()
