r"""A whole first load beside psql's ``\copy`` of the same files into the same server, table by table, in one run.

Run as ``python -m medgen_pipeline_tests.bench.load --help``. Prints and judges; asserts nothing. Seconds of another
machine or another day compare with nothing; the ratios do.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

import click

from medgen_pipeline.catalog import TABLES, Table, table_by_name
from medgen_pipeline.io_manager import medgen_home
from medgen_pipeline_tests.bench.baseline import RawCopy, RawLoad, csv_filters, filtered
from medgen_pipeline_tests.bench.ground import Ground, open_ground, sample_release
from medgen_pipeline_tests.bench.step import Step, run_step

STAGING_LIMIT, LOAD_LIMIT, RSS_LIMIT_MB = 1.15, 1.5, 350.0
# Below this, connecting and committing weigh more than rows; such tables are judged together.
SMALL_ROWS = 100_000
# From this size on, one pair takes long enough to be its own average.
LARGE_ROWS = 2_000_000
# A bad row of a small release would close this gate, and the bench is about time.
_CONFIG = {"max_rejected_percent": 100.0}


@dataclass(frozen=True)
class Figures:
    """The medians of one table, or the sums over several."""

    name: str
    rows: int
    raw_rows: int
    fetch_seconds: float
    raw_copy_seconds: float
    staging_seconds: float
    raw_load_seconds: float
    load_seconds: float
    peak_rss_mb: float
    note: str = ""

    @property
    def staging_ratio(self) -> float:
        """Our staging over the raw copy."""
        return self.staging_seconds / self.raw_copy_seconds

    @property
    def load_ratio(self) -> float:
        """Our whole load over the raw copy with the same index builds."""
        return self.load_seconds / self.raw_load_seconds

    def record(self) -> dict[str, object]:
        """All of it, for JSON."""
        ratios = {"staging_ratio": self.staging_ratio, "load_ratio": self.load_ratio}
        return {**asdict(self), **ratios, "rows_per_second": self.rows / self.load_seconds}

    def line(self) -> str:
        """All of it, for people; the columns are those of ``HEADING``."""
        return _line(
            self.name,
            f"{self.rows:,}",
            f"{self.fetch_seconds:.2f}",
            f"{self.raw_copy_seconds:.2f}",
            f"{self.staging_seconds:.2f}",
            f"{self.staging_ratio:.2f}",
            f"{self.raw_load_seconds:.2f}",
            f"{self.load_seconds:.2f}",
            f"{self.load_ratio:.2f}",
            f"{self.rows / self.load_seconds:,.0f}",
            f"{self.peak_rss_mb:.0f}",
        ) + (f"  {self.note}" if self.note else "")


def _line(first: str, *others: str) -> str:
    return f"{first:<26}" + "".join(f"{text:>13}" for text in others)


HEADING = _line(
    "table", "rows", "fetch s", "copy s", "staging s", "ratio", "copy+index s", "load s", "ratio", "rows/s", "RSS MB"
)


def measure(ground: Ground, table: Table, release: Path, repeat: int | None) -> Figures:
    """Alternate our load and the raw one; every second pair begins with the raw one."""
    first, indexes = _our_load(ground, table, release)
    path = release / table.file_name
    filters = csv_filters(table, path, rejected=first.rejected, repaired=first.repaired)
    raw_copy = RawCopy(ground.dsn, table, filtered(table, path, filters, ground.home))
    steps, raw_loads = [first], [raw_copy.run(indexes)]
    for number in range(1, repeat or (3 if first.rows < LARGE_ROWS else 1)):
        raw_first = number % 2 == 1
        if raw_first:
            raw_loads.append(raw_copy.run(indexes))
        steps.append(_our_load(ground, table, release)[0])
        if not raw_first:
            raw_loads.append(raw_copy.run(indexes))
    return _medians(table, steps, raw_loads, filters)


def _our_load(ground: Ground, table: Table, release: Path) -> tuple[Step, list[str]]:
    """A first load into an empty database, and the definitions of the indexes it made."""
    ground.clear()
    step = run_step(table, home=ground.home, release=release, config=_CONFIG)
    indexes = ground.indexes(table)
    ground.clear()
    return step, indexes


def _medians(table: Table, steps: Sequence[Step], raw_loads: Sequence[RawLoad], filters: Sequence[str]) -> Figures:
    return Figures(
        name=table.name,
        rows=steps[0].rows,
        raw_rows=raw_loads[0].rows,
        fetch_seconds=steps[0].fetch_seconds,  # the later ones find the file in the archive
        raw_copy_seconds=median(raw.copy_seconds for raw in raw_loads),
        staging_seconds=median(step.staging_seconds for step in steps),
        raw_load_seconds=median(raw.copy_seconds + raw.index_seconds for raw in raw_loads),
        load_seconds=median(step.load_seconds for step in steps),
        peak_rss_mb=max(step.peak_rss_mb for step in steps),
        note=f"raw copy of the file after {' | '.join(filters)}" if filters else "",
    )


def total(name: str, figures: Sequence[Figures]) -> Figures:
    """Several tables as one: the sums, and the largest memory."""
    numbers = [spec.name for spec in fields(Figures) if spec.name not in {"name", "note"}]
    sums: dict[str, Any] = {number: sum(getattr(one, number) for one in figures) for number in numbers}
    return Figures(name, **{**sums, "peak_rss_mb": max(one.peak_rss_mb for one in figures)})


def verdicts(figures: Sequence[Figures]) -> Iterator[str]:
    """Which limits hold, and where they do not."""
    judged = [one for one in figures if one.rows >= SMALL_ROWS]
    if small := [one for one in figures if one.rows < SMALL_ROWS]:
        judged.append(total(f"the {len(small)} tables below {SMALL_ROWS:,} rows together", small))
    slow = [f"{one.name} {one.staging_ratio:.2f}" for one in judged if one.staging_ratio > STAGING_LIMIT]
    yield _verdict(f"staging at most {STAGING_LIMIT} times the raw copy", slow)
    ratio = total("total", figures).load_ratio
    too_slow = [f"{ratio:.2f}"] if ratio > LOAD_LIMIT else []
    yield _verdict(f"all loads at most {LOAD_LIMIT} times the raw copies and index builds", too_slow)
    large = [f"{one.name} {one.peak_rss_mb:.0f}" for one in figures if one.peak_rss_mb >= RSS_LIMIT_MB]
    yield _verdict(f"every step below {RSS_LIMIT_MB:.0f} MB of memory", large)
    differing = [f"{one.name} {one.rows:,}, raw {one.raw_rows:,}" for one in figures if one.rows != one.raw_rows]
    yield _verdict("as many rows as the raw copy", differing)


def _verdict(limit: str, broken_by: Sequence[str]) -> str:
    return f"{limit}: {'NO: ' + '; '.join(broken_by) if broken_by else 'yes'}"


def _tables(names: str) -> list[Table]:
    try:
        return [table_by_name(name) for name in names.split(",")] if names else list(TABLES)
    except LookupError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--release", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Instead of a sample.")
@click.option("--scale", default=100.0, show_default=True, help="Size of the sample: 100 gives 22 million rows.")
@click.option("--tables", default="", help="Comma-separated; all 17 where absent.")
@click.option("--repeat", type=click.IntRange(1), help="Pairs per table [default: 3, and 1 from 2 million rows on]")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Also write the figures here."
)
def main(release: Path | None, scale: float, tables: str, repeat: int | None, json_file: Path | None) -> None:
    """Time the first load of a release beside psql's raw copy of it, and say which limits hold."""
    chosen, folder = _tables(tables), medgen_home() / "bench"
    release = release or sample_release(folder, scale)
    click.echo(HEADING)
    figures = []
    with open_ground(folder) as ground:
        for table in chosen:
            figures.append(measure(ground, table, release, repeat))
            click.echo(figures[-1].line())
    whole = total("total", figures)
    click.echo("\n".join([whole.line(), "", *verdicts(figures)]))
    if json_file:
        result = {
            "tables": [one.record() for one in figures],
            "total": whole.record(),
            "limits": list(verdicts(figures)),
        }
        json_file.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
