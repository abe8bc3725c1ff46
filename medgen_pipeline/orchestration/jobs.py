"""Jobs: which assets or checks run together. Sensors and schedules name these."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from medgen_pipeline.catalog import Table
from medgen_pipeline.loading.findings import DRIFT_CHECK
from medgen_pipeline.orchestration.assets.tables import TABLE_GROUP, table_key
from medgen_pipeline.orchestration.executor import looking_first

REFRESH_JOB = "refresh_medgen"
CHECK_JOB = "check_medgen"


def build_jobs(tables: Sequence[Table]) -> list[Any]:  # of a class that Dagster does not export
    """The jobs of a code location that has these tables."""
    keys = [table_key(table) for table in tables]
    # A load proves that what it publishes is the file; reading all of it once more is for check_medgen.
    drift_checks = dg.AssetSelection.checks(*(dg.AssetCheckKey(key, DRIFT_CHECK) for key in keys))
    return [
        dg.define_asset_job(
            REFRESH_JOB,
            selection=dg.AssetSelection.groups(TABLE_GROUP).downstream().materializable() - drift_checks,
            description="Bring every MedGen table to NCBI's current release, and with it what hangs on the tables.",
        ),
        dg.define_asset_job(
            CHECK_JOB,
            selection=dg.AssetSelection.checks_for_assets(*keys),
            executor_def=looking_first(
                dg.in_process_executor
            ),  # the warehouse does the work; 27 processes would only cost memory
            description="Check every MedGen table as it stands, and compare it with what it was made from.",
        ),
    ]
