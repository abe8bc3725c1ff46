"""Jobs: which assets or checks run together. Sensors and schedules name these."""

import dagster as dg

from medgen_pipeline.assets.tables import TABLE_GROUP, table_key
from medgen_pipeline.catalog import TABLES
from medgen_pipeline.checks import DRIFT_CHECK

_KEYS = [table_key(table) for table in TABLES]
# A load proves that what it publishes is the file; reading all of it once more is for check_medgen.
_DRIFT_CHECKS = dg.AssetSelection.checks(*(dg.AssetCheckKey(key, DRIFT_CHECK) for key in _KEYS))

refresh_medgen = dg.define_asset_job(
    "refresh_medgen",
    selection=dg.AssetSelection.groups(TABLE_GROUP).downstream().materializable() - _DRIFT_CHECKS,
    description="Bring every MedGen table to NCBI's current release, and with it what hangs on the tables.",
)

check_medgen = dg.define_asset_job(
    "check_medgen",
    selection=dg.AssetSelection.checks_for_assets(*_KEYS),
    executor_def=dg.in_process_executor,  # the warehouse does the work; 18 step processes would only cost memory
    description="Check every MedGen table as it stands, and compare it with the file it was made from.",
)
