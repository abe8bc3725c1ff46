r"""Whole runs of all tables as users start them, beside psql's ``\copy`` of the same files into the same server.

Three runs: a first load, the next release, and the same once more with nothing changed. Before them one of the same
assets and checks with empty steps, which is the least that Dagster takes. Each is a process tree of its own, ``dagster
asset materialize``, on a server with ``wal_level=replica``.

Run as ``python -m medgen_pipeline_tests.bench.run --help``. Prints and judges; asserts nothing.
"""

import json
import logging
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import dagster as dg

from medgen_pipeline.catalog import SourceTable, any_table_by_name
from medgen_pipeline.catalog.sources.medgen import TABLES
from medgen_pipeline.cli.instance import INSTANCE_YAML
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES, step_name, table_of_step
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.bench import locations
from medgen_pipeline_tests.bench import report as reports
from medgen_pipeline_tests.bench.baseline import RawCopy
from medgen_pipeline_tests.bench.ground import OPEN_GATES, Ground, open_ground, sample_weeks
from medgen_pipeline_tests.bench.report import Record, above, verdict
from medgen_pipeline_tests.bench.tree import Command, run_command
from medgen_pipeline_tests.ncbi_double import NcbiDouble, ncbi_double

LIMITS = {"first": 3.0, "next": 0.8, "unchanged": 0.3}
"""Of each run, how many times the raw copies it may take."""
MOST_MB = 500
MOST_TIMES_EMPTY = 2.2
"""How many times a run with empty steps that may take in which nothing has changed."""
RATIO = {"ratio": ("wall_s", "raw_s"), "empty_ratio": ("wall_s", "empty_s"), "least_ratio": ("empty_s", "raw_s")}
SHARES = ("start", "fetch", "load", "checks", "curated", "dagster")
"""Where a run's time went: see README.md."""
EXECUTORS: Mapping[str, Sequence[str]] = {
    "default": ("-m", "medgen_pipeline.definitions"),
    **{
        made.__name__.replace("_", "-"): ("-m", locations.__name__, "-a", made.__name__)
        for made in (locations.step_processes, locations.spawn, locations.forkserver, locations.in_process)
    },
}


@dataclass(frozen=True)
class Plan:
    """What is run: the two releases, which tables, and how Dagster runs them."""

    old: Path
    new: Path
    tables: Sequence[SourceTable]
    executor: str
    concurrent: int

    def command(self) -> list[str]:
        """As a user types it; with some of NCBI's tables alone, no curated table is made."""
        config = {"ops": {step_name(_key(table)): {"config": OPEN_GATES} for table in self.tables}}
        return self._materialize(EXECUTORS[self.executor], "--config-json", json.dumps(config))

    def empty_command(self) -> list[str]:
        """The same assets with empty steps."""
        return self._materialize(("-m", locations.__name__, "-a", locations.empty.__name__))

    def _materialize(self, location: Sequence[str], *config: str) -> list[str]:
        chosen = " or ".join(f'key:"{_key(table).to_user_string()}"' for table in self.tables)
        selection = "*" if len(self.tables) == len(TABLES) else chosen
        command = (sys.executable, "-m", "dagster", "asset", "materialize")
        return [*command, *location, "--select", selection, *config]


def _key(table: SourceTable) -> dg.AssetKey:
    return DEFAULT_NAMES.table_key(table)


def measure(ground: Ground, double: NcbiDouble, plan: Plan) -> Iterator[Record]:
    """The three runs, in a warehouse and with an archive and a Dagster instance that hold nothing yet."""
    raw_seconds = sum(RawCopy(ground, table, plan.old).run().copy_seconds for table in plan.tables)
    ground.settle()
    empty_seconds = run_command(plan.empty_command(), _environment(ground, double, plan)).seconds
    environment = _environment(ground, double, plan)
    home = Path(environment["DAGSTER_HOME"])
    for name, release in (("first", plan.old), ("next", plan.new), ("unchanged", plan.new)):
        double.directory = release
        double.seen.clear()
        ground.settle()
        done = run_command(plan.command(), environment)
        seconds = {"raw_s": raw_seconds, "empty_s": empty_seconds, "wall_s": done.seconds}
        happened = {"run": name, **seconds, **_what_happened(home, done)}
        yield reports.with_ratios(happened | {"tree_mb": done.peak_mb, "requests": len(double.seen)}, RATIO)
    ground.clear()


def _environment(ground: Ground, double: NcbiDouble, plan: Plan) -> dict[str, str]:
    """Of a command with an archive and a Dagster instance that hold nothing yet."""
    home = Path(tempfile.mkdtemp(prefix="run-", dir=ground.home))
    (home / "dagster.yaml").write_text(INSTANCE_YAML)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MEDGEN_", "DAGSTER_", "PYTHON"))},
        "MEDGEN_DSN": ground.dsn,
        "MEDGEN_HOME": str(home),
        "MEDGEN_SOURCE_URL": double.url,
        "DAGSTER_HOME": str(home),
        locations.CONCURRENT: str(plan.concurrent),
    }


def _what_happened(home: Path, command: Command) -> Record:
    """Where the time of the last run went and what it did, from its events."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (run,) = instance.get_run_records(limit=1)
        events = [
            (entry.timestamp, entry.dagster_event)
            for entry in instance.all_logs(run.dagster_run.run_id)
            if entry.dagster_event
        ]
    made: list[dict[str, Any]] = [
        {name: entry.value for name, entry in event.step_materialization_data.materialization.metadata.items()}
        for _, event in events
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION
    ]
    spans = shared(phases(events, command.began), command.began, command.began + command.seconds)
    return {
        **{f"{share}_s": spans[share] for share in SHARES},
        "loads_s": sum(one["medgen/load_seconds"] for one in made),
        "steps": len({event.step_key for _, event in events if event.event_type is dg.DagsterEventType.STEP_SUCCESS}),
        "rows": sum(one["dagster/row_count"] for one in made),
        "changes": sum(one[f"cdc/{kind}"] for one in made for kind in ("inserted", "updated", "deleted")),
    }


Span = tuple[float, float, str]
"""From when to when what was at work."""


def phases(events: Iterable[tuple[float, dg.DagsterEvent]], began: float) -> Iterator[Span]:
    """What was at work when, by a run's events in their order."""
    kinds = dg.DagsterEventType
    at: dict[str, dict[dg.DagsterEventType, float]] = defaultdict(dict)
    for timestamp, event in events:
        if event.event_type is kinds.RUN_START:
            yield began, timestamp, "start"
        # A check has an output as well; that of an asset has the name of its step.
        if event.step_key and not (event.is_successful_output and event.step_output_data.output_name != event.step_key):
            at[event.step_key][event.event_type] = timestamp  # the last one: of the attempt that succeeded
    for step, times in at.items():
        start, end = times[kinds.STEP_START], times[kinds.STEP_SUCCESS]
        if starting := times.get(kinds.STEP_WORKER_STARTING):
            yield starting, start, "start"
        # Dagster reports the output between the asset and the IO manager, and that it was handled after it.
        published = times[kinds.HANDLED_OUTPUT] if kinds.ASSET_MATERIALIZATION in times else start
        if published > start and isinstance(any_table_by_name(table_of_step(step)), SourceTable):
            yield start, times[kinds.STEP_OUTPUT], "fetch"
            yield times[kinds.STEP_OUTPUT], published, "load"
        else:
            yield start, published, "curated"
        yield published, end, "checks"


def shared(spans: Iterable[Span], began: float, ended: float) -> dict[str, float]:
    """A run's seconds by what was at work: several share the time in which they were; that of nothing is Dagster's."""
    edges = sorted(
        [(min(max(at, began), ended), step, what) for start, end, what in spans for at, step in ((start, 1), (end, -1))]
    )
    seconds: dict[str, float] = dict.fromkeys(SHARES, 0.0)
    active: dict[str, int] = dict.fromkeys(SHARES, 0)
    last = began
    for at, step, what in [*edges, (ended, 0, "dagster")]:
        busy = sum(active.values())
        for name, number in active.items():
            seconds[name] += (at - last) * number / busy if busy else 0.0
        seconds["dagster"] += 0.0 if busy else at - last
        active[what] += step
        last = at
    return seconds


def medians(records: Sequence[Record]) -> list[Record]:
    """Each of the three runs as its rounds' median; of memory, the largest."""
    whole = []
    for name in LIMITS:
        rounds = [record for record in records if record["run"] == name]
        numbers = {
            key: (max if key.endswith("_mb") else median)(record[key] for record in rounds)
            for key in rounds[0]
            if key not in {"run", *RATIO}
        }
        whole.append(reports.with_ratios({"run": name} | numbers, RATIO))
    return whole


def verdicts(runs: Sequence[Record], files: int) -> Iterator[str]:
    """Which limits hold, and where they do not; ``runs`` are medians."""
    for run in runs:
        limit = LIMITS[run["run"]]
        yield verdict(f"{run['run']} at most {limit} times the raw copies", above([run], "ratio", limit))
    yield verdict(f"the process tree at most {MOST_MB} MB of memory", above(runs, "tree_mb", MOST_MB))
    unchanged = [run for run in runs if run["run"] == "unchanged"]
    # One before all others, whether the source is there.
    yield verdict("nothing changed: one request for each file", above(unchanged, "requests", files + 1))
    yield verdict("nothing changed: no row", above(unchanged, "changes", 0))
    told = f"nothing changed: at most {MOST_TIMES_EMPTY} times the same assets and checks with empty steps"
    yield verdict(told, above(unchanged, "empty_ratio", MOST_TIMES_EMPTY))


@click.command()
@reports.release_options
@reports.successor_option
@reports.tables_option
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Rounds.")
@click.option("--executor", type=click.Choice(list(EXECUTORS)), default="default", show_default=True)
@click.option(
    "--concurrent", type=click.IntRange(1), default=2, show_default=True, help="Steps at a time; not of the default's."
)
def main(
    release: Path | None,
    successor: Path | None,
    scale: float,
    tables: list[SourceTable],
    json_file: Path | None,
    repeat: int,
    executor: str,
    concurrent: int,
) -> None:
    """Time whole runs of all tables beside psql's raw copies of the files, and say which limits hold."""
    folder = Settings.read().directory / "bench"
    old, new = reports.releases(release, successor, partial(sample_weeks, folder, scale))
    plan = Plan(old, new, tables, executor, concurrent)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line per request
    with open_ground(folder) as ground, ncbi_double(old) as double:
        records = reports.shown(record for _ in range(repeat) for record in measure(ground, double, plan))
        click.echo("\nmedians")
        runs = reports.shown(medians(records))
        reports.conclude({"rounds": records, "runs": runs}, list(verdicts(runs, len(tables))), json_file)


if __name__ == "__main__":
    main()
