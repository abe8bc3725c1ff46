"""What the benches share at their edges: options, a line per table, the total, the verdicts, the JSON.

Metrics are flat records. Their keys are the columns that are printed and the names in the JSON; the README explains
them. Seconds end in ``_s``, memory in ``_mb``, ratios in ``_ratio``.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.catalog.sources.medgen import TABLES

Record = dict[str, Any]
Ratios = Mapping[str, tuple[str, str]]
"""Each ratio's name, and the names of what is divided by what."""

DIRECTORY = click.Path(path_type=Path, exists=True, file_okay=False)
# From this size on, a file takes long enough to be its own average: of MedGen's, only the links to PubMed.
_LARGE_BYTES = 60_000_000


def rounds(repeat: int | None, path: Path) -> range:
    """How often the table of a file is measured."""
    return range(repeat or (3 if path.stat().st_size < _LARGE_BYTES else 1))


def with_ratios(record: Record, ratios: Ratios) -> Record:
    """The record with its ratios at the end."""
    return record | {name: record[above] / record[below] for name, (above, below) in ratios.items()}


def total(name: str, records: Sequence[Record], ratios: Ratios) -> Record:
    """Several tables as one: the sums, the largest memory, and the ratios of the sums."""
    numbers = [key for key, value in records[0].items() if not isinstance(value, str)]
    sums = {key: (max if key.endswith("_mb") else sum)(record[key] for record in records) for key in numbers}
    return with_ratios({"table": name, **sums}, ratios)


def above(records: Iterable[Record], key: str, limit: float) -> list[str]:
    """The tables, or runs, in which a metric is above its limit."""
    return [f"{next(iter(record.values()))} {_text(record[key])}" for record in records if record[key] > limit]


def verdict(limit: str, broken_by: Sequence[str]) -> str:
    """A limit and what breaks it."""
    return f"{limit}: {'NO: ' + '; '.join(broken_by) if broken_by else 'yes'}"


def report(
    measured: Iterable[Record],
    ratios: Ratios,
    verdicts: Callable[[Sequence[Record]], Iterator[str]],
    json_file: Path | None,
) -> None:
    """Print every table as soon as it is measured, then the total and the verdicts; write all of it to the file."""
    records = shown(measured)
    whole = total("total", records, ratios)
    click.echo(_line({key: whole.get(key, "") for key in records[0]}))
    conclude({"tables": records, "total": whole}, list(verdicts(records)), json_file)


def shown(measured: Iterable[Record]) -> list[Record]:
    """Print every record as soon as it is measured, below a heading; all of them."""
    records: list[Record] = []
    for record in measured:
        if not records:
            click.echo(_line({key: key for key in record}))
        click.echo(_line(record))
        records.append(record)
    return records


def conclude(metrics: Mapping[str, Any], limits: Sequence[str], json_file: Path | None) -> None:
    """Print the verdicts; write them to the file with the metrics."""
    click.echo("\n".join(["", *limits]))
    if json_file:
        json_file.write_text(json.dumps({**metrics, "limits": limits}, indent=1))


def _line(record: Record) -> str:
    first, *others = record
    return "  ".join(
        [f"{record[first]:<24}", *(f"{_text(record[key]):>{max(len(key), 9)}}" for key in others)]
    ).rstrip()


def _text(value: float | str) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


_RELEASE = (
    click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="For the metrics."),
    click.option("--scale", default=100.0, show_default=True, help="Size of the sample: 100 gives 22 million rows."),
    click.option("--release", type=DIRECTORY, help="Instead of a sample."),
)

successor_option = click.option("--next", "successor", type=DIRECTORY, help="The release after --release.")


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a bench's command the options of those that measure table by table."""
    repeat_option = click.option(
        "--repeat", type=click.IntRange(1), help="Rounds [default: 3; 1 for the links to PubMed]"
    )
    return release_options(tables_option(repeat_option(command)))


def tables_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give a bench's command the option that chooses tables."""
    return click.option("--tables", default="", callback=_chosen, help="Comma-separated; all 17 where absent.")(command)


def release_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a bench's command the options that all have."""
    for option in _RELEASE:
        command = option(command)
    return command


def releases(release: Path | None, successor: Path | None, weeks: Callable[[], tuple[Path, Path]]) -> tuple[Path, Path]:
    """The two releases of a bench: those that were named, or else ``weeks``.

    Raises:
        click.UsageError: Only one of the two was named.
    """
    if (release is None) != (successor is None):
        raise click.UsageError("--release and --next go together")
    return (release, successor) if release and successor else weeks()


def _chosen(_: click.Context, __: click.Parameter, names: str) -> list[SourceTable]:
    try:
        return [table_by_name(name) for name in names.split(",")] if names else list(TABLES)
    except LookupError as error:
        raise click.BadParameter(str(error)) from error
