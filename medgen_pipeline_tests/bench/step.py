"""One table's asset materialized in a process of its own, as Dagster runs a step, and what that took.

``run_step`` is for benches; run as a program, this module is that process and prints what it measured as JSON.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import dagster as dg

from medgen_pipeline.assets.tables import build_table_asset
from medgen_pipeline.build import default_resources
from medgen_pipeline.catalog import Table, table_by_name
from medgen_pipeline_tests.bench.ground import OPEN_GATES, Ground


@dataclass(frozen=True)
class Step:
    """What a step reports: the materialization's numbers and texts, and its cost.

    ``seconds`` is the step by Dagster's own clock: fetch, connection, load, events. ``wall_seconds`` is the process.
    """

    metadata: dict[str, Any]
    fetch_seconds: float
    seconds: float
    peak_rss_mb: float
    wall_seconds: float


def run_step(ground: Ground, table: Table, source_url: str, config: Mapping[str, Any] | None = None) -> Step:
    """Materialize ``table`` from ``source_url``; ``config`` is the asset's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEDGEN_", "DAGSTER_"))}
    environment |= {"MEDGEN_HOME": str(ground.home), "MEDGEN_SOURCE_URL": source_url}
    command = [sys.executable, "-m", __name__, table.name, json.dumps({**OPEN_GATES, **(config or {})})]
    started = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"the step of {table.name} failed:\n{done.stderr[-4000:]}")
    return Step(**json.loads(done.stdout), wall_seconds=seconds)


def _materialize(table: Table, config: Mapping[str, Any]) -> dict[str, Any]:
    resources = default_resources(os.environ)
    asset = build_table_asset(table, kind="postgres")
    run_config = {"ops": {asset.op.name: {"config": config}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([asset], resources=resources, instance=instance, run_config=run_config)
        at = {entry.dagster_event_type: entry.timestamp for entry in instance.all_logs(result.run_id)}
    (event,) = result.asset_materializations_for_node(asset.op.name)
    plain = {name: entry.value for name, entry in event.metadata.items() if isinstance(entry.value, int | float | str)}
    return {
        "metadata": plain,
        # Dagster reports the output between the asset and the IO manager.
        "fetch_seconds": at[dg.DagsterEventType.STEP_OUTPUT] - at[dg.DagsterEventType.STEP_START],
        "seconds": at[dg.DagsterEventType.STEP_SUCCESS] - at[dg.DagsterEventType.STEP_START],
        "peak_rss_mb": _peak_rss_mb(),
    }


def _peak_rss_mb() -> float:
    """The most memory this process has had.

    Linux's ru_maxrss does not forget what the parent had at the fork: below a parent of 500 MB a bare Python shows
    500 MB and not its 10 (seen on 6.x). VmHWM counts from the start of the program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # macOS counts bytes


if __name__ == "__main__":
    click.echo(json.dumps(_materialize(table_by_name(sys.argv[1]), json.loads(sys.argv[2]))))
