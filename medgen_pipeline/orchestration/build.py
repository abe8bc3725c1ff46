"""Assembly of the code location: assets, resources, jobs, sensor, executor, with overrides for others and for tests.

Reads the environment, once. Opens nothing: connections are made inside a run.
"""

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from medgen_pipeline.catalog import CURATED_TABLES, TABLES
from medgen_pipeline.errors import require_number
from medgen_pipeline.loaders import LoaderCapabilities
from medgen_pipeline.orchestration.asset_checks import build_shared_step, build_table_step
from medgen_pipeline.orchestration.assets.curated import build_curated_asset
from medgen_pipeline.orchestration.assets.tables import build_ncbi_files, build_table_asset, table_key
from medgen_pipeline.orchestration.executor import looking_first
from medgen_pipeline.orchestration.hooks import NOTIFIER_KEY, FailureNotifier, tell_of_failure
from medgen_pipeline.orchestration.io_manager import (
    SOURCE_KEY,
    WAREHOUSE_KEY,
    WEEK_MINUTES,
    MedgenSource,
    WarehouseIOManager,
    capabilities_of,
    default_target,
)
from medgen_pipeline.orchestration.jobs import build_jobs
from medgen_pipeline.orchestration.release_sensor.sensor import INTERVAL_MINUTES, build_release_sensor
from medgen_pipeline.orchestration.schedules import weekly_refresh

# Two tables at a time: NCBI drops clients with more connections, and each step process takes 100 MB before its data.
# forkserver with a preloaded package starts a step in half the time of spawn (13 s against 22 s for 8 steps, 2 cores).
_EXECUTOR = looking_first(dg.multiprocess_executor).configured(
    {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": ["medgen_pipeline.orchestration.build"]}}}
)


def default_resources(environment: Mapping[str, str]) -> dict[str, Any]:
    """The resources that the environment variables of docs/settings.md describe.

    The DSN is passed as ``EnvVar`` and not as a value, so that the UI shows the variable's name and never the password.
    """
    return {
        SOURCE_KEY: MedgenSource(),
        WAREHOUSE_KEY: WarehouseIOManager(target=default_target(environment)),
        NOTIFIER_KEY: FailureNotifier(),
    }


def _wants_curated(variables: Mapping[str, str], capabilities: LoaderCapabilities | None) -> bool:
    possible = capabilities is None or capabilities.curated
    chosen = (variables.get("MEDGEN_CURATED") or str(possible)).lower()
    if chosen not in {"true", "false"}:
        raise ValueError(f"MEDGEN_CURATED is {chosen!r}, expected true (make curated tables, too) or false.")
    return chosen == "true"


def _sensor_minutes(variables: Mapping[str, str]) -> float:
    text = variables.get("MEDGEN_SENSOR_MINUTES") or str(INTERVAL_MINUTES)
    try:
        minutes: object = float(text)
    except ValueError:
        minutes = text
    require_number("MEDGEN_SENSOR_MINUTES", minutes, most=WEEK_MINUTES, above=True)
    return float(text)


def build_definitions(
    *,
    resources: Mapping[str, Any] | None = None,
    executor: dg.ExecutorDefinition | None = None,
    environment: Mapping[str, str] | None = None,
    curated: bool | None = None,
) -> dg.Definitions:
    """Build a fresh Definitions object.

    Args:
        resources: Replacements by key (``source``, ``warehouse``, ``notifier``) and additions.
        executor: Instead of two step processes at a time.
        environment: Instead of ``os.environ``.
        curated: Whether curated tables are made, too. From a mirror that has not all 17 files they cannot be. None: as
            ``MEDGEN_CURATED`` says, and otherwise where the backend can make them.

    Raises:
        ValueError: A variable has a value that cannot be meant.
    """
    variables = os.environ if environment is None else environment
    found = {**default_resources(variables), **(resources or {})}
    if isinstance(source := found[SOURCE_KEY], MedgenSource):
        source.check(variables)
    capabilities = capabilities_of(found[WAREHOUSE_KEY].target, variables)
    kind = capabilities.backend if capabilities else "database"
    chosen = CURATED_TABLES if (_wants_curated(variables, capabilities) if curated is None else curated) else ()
    tables = (*TABLES, *chosen)
    made = [
        *(build_table_asset(table, kind=kind) for table in TABLES),
        *(build_curated_asset(table, kind=kind) for table in chosen),
    ]
    return dg.Definitions(
        assets=[*build_ncbi_files(TABLES), *(asset.with_hooks({tell_of_failure}) for asset in made)],
        asset_checks=[
            *(build_table_step(table_key(table), table) for table in tables),
            build_shared_step({table_key(table): table for table in tables}),
        ],
        resources=found,
        jobs=build_jobs(tables),
        schedules=[weekly_refresh],
        sensors=[build_release_sensor(_sensor_minutes(variables))],
        executor=looking_first(executor) if executor else _EXECUTOR,
    )
