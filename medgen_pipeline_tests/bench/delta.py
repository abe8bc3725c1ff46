r"""The load of a next release beside psql's ``\copy`` of it, by both strategies; and of a release that stayed the same.

Run as ``python -m medgen_pipeline_tests.bench.delta --help``. Prints and judges; asserts nothing.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import click

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.bench import report as reports
from medgen_pipeline_tests.bench.baseline import RawCopy
from medgen_pipeline_tests.bench.ground import Ground, open_ground, sample_weeks
from medgen_pipeline_tests.bench.report import Record, above, verdict
from medgen_pipeline_tests.bench.step import Step, run_step
from medgen_pipeline_tests.ncbi_double import NcbiDouble, ncbi_double

RATIOS = {"snapshot_ratio": ("snapshot_s", "raw_s"), "warehouse_ratio": ("warehouse_s", "raw_s")}
# In place whatever part of the table changes: what is measured is the delta.
_WAREHOUSE = {"force_warehouse": True}


def measure(ground: Ground, double: NcbiDouble, table: SourceTable, old: Path, repeat: int | None) -> Record:
    """From ``old`` to the release that ``double`` serves by either strategy and by psql, and to the same once more."""
    new = double.directory
    raw_copy = RawCopy(ground, table, new)
    MedgenSource(url=double.url, home=str(ground.home)).fetch(table)  # so that the archive knows what this URL gives
    snapshots, warehouses, raws, repeats = [], [], [], []
    for _ in reports.rounds(repeat, new / table.file_name):
        ground.bring_to(table, old)
        snapshots.append(run_step(ground, table, ground.offer(new)))
        ground.bring_to(table, old)
        warehouses.append(run_step(ground, table, ground.offer(new), _WAREHOUSE))
        raws.append(raw_copy.run())
        double.seen.clear()
        double.body_bytes = 0
        repeats.append(run_step(ground, table, double.url))
    ground.clear()
    record = {
        "table": table.name,
        "rows": repeats[0].metadata["dagster/row_count"],
        "changes": sum(_changes(snapshots[0])),
        "raw_s": median(raw.copy_seconds for raw in raws),
        "fetch_s": median(step.fetch_seconds for step in snapshots),
        "load_s": median(step.metadata["medgen/load_seconds"] for step in snapshots),
        "snapshot_s": median(step.seconds for step in snapshots),
        "wall_s": median(step.wall_seconds for step in snapshots),
        "snapshot_mb": max(step.peak_rss_mb for step in snapshots),
        "warehouse_s": median(step.seconds for step in warehouses),
        "warehouse_mb": max(step.peak_rss_mb for step in warehouses),
        "unchanged_s": median(step.seconds for step in repeats),
        "requests": len(double.seen),
        "body_bytes": double.body_bytes,
    }
    same = _changes(snapshots[0]) == _changes(warehouses[0]) and record["rows"] == raws[0].rows
    return reports.with_ratios(record, RATIOS) | {
        "snapshot": _way(snapshots[0]),
        "warehouse": _way(warehouses[0]),
        "results": "same" if same else "DIFFER",
        "note": raw_copy.note,
    }


def _changes(step: Step) -> tuple[int, ...]:
    return tuple(step.metadata[f"cdc/{kind}"] for kind in ("inserted", "updated", "deleted"))


def _way(step: Step) -> str:
    """The strategy and the mode of a load, as it reports them."""
    return f"{step.metadata['medgen/strategy']} {step.metadata['medgen/mode']}"


def verdicts(records: Sequence[Record]) -> Iterator[str]:
    """Which limits hold, and where they do not."""
    judged = [one for one in records if one["table"] == "medgen_pubmed_lnk"]
    judged.append(reports.total(f"all {len(records)} tables", records, RATIOS))
    large = [one for one in records if one["rows"] > 1_000_000]
    yield verdict("snapshot at most 0.7 times the raw copy: links to PubMed, all", above(judged, "snapshot_ratio", 0.7))
    yield verdict("snapshot at most 400 MB of memory", above(records, "snapshot_mb", 400))
    yield verdict("warehouse at most 4 times the raw copy above a million rows", above(large, "warehouse_ratio", 4))
    slow = [one for one in records if one["unchanged_s"] > max(0.3, one["raw_s"] / 5)]  # a scan of it: the guard's
    yield verdict("an unchanged release at most a fifth of the raw copy, or 0.3 s", above(slow, "unchanged_s", 0))
    yield verdict("an unchanged release takes one request a table", above(records, "requests", 1))
    yield verdict("an unchanged release fetches no body", above(records, "body_bytes", 0))
    others = [f"{one['table']} {one['snapshot']}" for one in records if not one["snapshot"].startswith("snapshot")]
    yield verdict("strategy snapshot wherever the other was not asked for", others)
    differing = [one["table"] for one in records if one["results"] != "same"]
    yield verdict("both strategies find the same changes and end with the raw copy's rows", differing)


@click.command()
@reports.options
@reports.successor_option
def main(
    release: Path | None,
    successor: Path | None,
    scale: float,
    tables: list[SourceTable],
    repeat: int | None,
    json_file: Path | None,
) -> None:
    """Time the load of a next release beside psql's raw copy of it, and say which limits hold."""
    folder = Settings.read().directory / "bench"
    old, new = reports.releases(release, successor, partial(sample_weeks, folder, scale))
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line per request
    with open_ground(folder) as ground, ncbi_double(new) as double:
        reports.report((measure(ground, double, table, old, repeat) for table in tables), RATIOS, verdicts, json_file)


if __name__ == "__main__":
    main()
