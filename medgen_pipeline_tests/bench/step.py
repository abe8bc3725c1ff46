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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import dagster as dg

from medgen_pipeline.assets.tables import build_table_asset
from medgen_pipeline.build import default_resources
from medgen_pipeline.catalog import Table, table_by_name
from medgen_pipeline.io_manager import SOURCE_KEY, WAREHOUSE_KEY


@dataclass(frozen=True)
class Step:
    """What a step reports: the materialization's metadata, the fetch by itself, the peak of the process's memory."""

    metadata: dict[str, Any]
    fetch_seconds: float
    peak_rss_mb: float

    @property
    def rows(self) -> int:
        """Rows of production afterwards."""
        return int(self.metadata["dagster/row_count"])

    @property
    def rejected(self) -> int:
        """Lines set aside."""
        return int(self.metadata["medgen/rejected_rows"])

    @property
    def repaired(self) -> int:
        """Rows with repaired UTF-8."""
        return int(self.metadata["medgen/repaired_rows"])

    @property
    def staging_seconds(self) -> float:
        """From the table's lock until all rows are staged."""
        return float(self.metadata["medgen/staging_seconds"])

    @property
    def load_seconds(self) -> float:
        """From the table's lock to the commit, indexes and statistics included."""
        return float(self.metadata["medgen/load_seconds"])


def run_step(table: Table, *, home: Path, release: Path, config: Mapping[str, Any]) -> Step:
    """Materialize ``table`` from the files in ``release`` into the embedded server below ``home``.

    Args:
        table: The catalog's entry.
        home: MEDGEN_HOME of the step.
        release: Directory of the release.
        config: The asset's run config.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEDGEN_", "DAGSTER_"))}
    environment |= {"MEDGEN_HOME": str(home), "MEDGEN_SOURCE_URL": release.absolute().as_uri()}
    done = subprocess.run(
        [sys.executable, "-m", __name__, table.name, json.dumps(config)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the step of {table.name} failed:\n{done.stderr[-4000:]}")
    return Step(**json.loads(done.stdout))


def _materialize(table: Table, config: Mapping[str, Any]) -> Step:
    resources = default_resources(os.environ)
    started = time.monotonic()
    resources[SOURCE_KEY].fetch(table)  # the asset's own fetch then finds the file in the archive
    fetched = time.monotonic()
    asset = build_table_asset(table, kind=resources[WAREHOUSE_KEY].kind)
    run_config = {"ops": {asset.op.name: {"config": dict(config)}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([asset], resources=resources, instance=instance, run_config=run_config)
        (event,) = result.asset_materializations_for_node(asset.op.name)
    numbers = {
        name: entry.value for name, entry in event.metadata.items() if isinstance(entry.value, int | float | str)
    }
    return Step(numbers, fetched - started, _peak_rss_mb())


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
    click.echo(json.dumps(asdict(_materialize(table_by_name(sys.argv[1]), json.loads(sys.argv[2])))))
