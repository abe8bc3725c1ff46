"""One table's asset materialized in a process of its own, as Dagster runs a step, and what that took."""

import multiprocessing
import os
import resource
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import dagster._core.instance.factory
import dagster._core.storage.sqlite_storage
import upath.core  # noqa: F401  # as those two: Dagster imports it with the first run, here once for all steps

from medgen_pipeline.catalog import CuratedTable, SourceTable
from medgen_pipeline.orchestration.assets.curated import build_curated_asset
from medgen_pipeline.orchestration.assets.tables import build_table_asset
from medgen_pipeline.orchestration.build import default_resources
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.bench.ground import OPEN_GATES, Ground

# As the code location's executor starts its steps: a fork of a process that has imported the package and done nothing.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Step:
    """What a step reports: the materialization's numbers and texts, and its cost.

    ``seconds`` is the step by Dagster's own clock: fetch, connection, load, events. ``wall_seconds`` is the process.
    """

    metadata: dict[str, Any]
    fetch_seconds: float
    seconds: float
    peak_rss_mb: float
    wall_seconds: float = 0.0


def run_step(ground: Ground, table: SourceTable, source_url: str, config: Mapping[str, Any] | None = None) -> Step:
    """Materialize ``table`` from ``source_url``; ``config`` is the asset's."""
    return _run(ground, table, {"MEDGEN_SOURCE_URL": source_url}, {**OPEN_GATES, **(config or {})})


def run_curated_step(ground: Ground, table: CuratedTable) -> Step:
    """Materialize ``table`` from what is in the warehouse."""
    return _run(ground, table, {}, {})


def _run(
    ground: Ground, table: SourceTable | CuratedTable, environment: Mapping[str, str], config: Mapping[str, Any]
) -> Step:
    started = time.monotonic()
    with ProcessPoolExecutor(1, PROCESSES) as pool:
        step = pool.submit(_materialize, table, {"MEDGEN_HOME": str(ground.home), **environment}, config).result()
    return replace(step, wall_seconds=time.monotonic() - started)


def _materialize(table: SourceTable | CuratedTable, environment: Mapping[str, str], config: Mapping[str, Any]) -> Step:
    for name in list(os.environ):
        if name.startswith(("MEDGEN_", "DAGSTER_")):
            del os.environ[name]
    os.environ.update(environment)
    if isinstance(table, CuratedTable):
        asset = build_curated_asset(table, DEFAULT_NAMES, kind="postgres")
    else:
        asset = build_table_asset(table, DEFAULT_NAMES, kind="postgres")
    run_config = {
        "ops": {asset.op.name: {"config": config}},
        "loggers": {"console": {"config": {"log_level": "ERROR"}}},
    }
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset],
            resources=default_resources(Settings.read()),
            instance=instance,
            run_config=run_config,
            selection=dg.AssetSelection.assets(asset.key).without_checks(),
        )
        at = {entry.dagster_event_type: entry.timestamp for entry in instance.all_logs(result.run_id)}
    (event,) = result.asset_materializations_for_node(asset.op.name)
    started = at[dg.DagsterEventType.STEP_START]
    return Step(
        {name: entry.value for name, entry in event.metadata.items() if isinstance(entry.value, int | float | str)},
        # Dagster reports the output between the asset and the IO manager.
        fetch_seconds=at[dg.DagsterEventType.STEP_OUTPUT] - started,
        seconds=at[dg.DagsterEventType.STEP_SUCCESS] - started,
        peak_rss_mb=peak_rss_mb(),
    )


def peak_rss_mb() -> float:
    """The most memory this process has had.

    Linux's ru_maxrss does not forget what the parent had at the fork: below a parent of 500 MB a bare Python shows
    500 MB and not its 10 (seen on 6.x). VmHWM counts what the process itself has mapped.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # macOS counts bytes
