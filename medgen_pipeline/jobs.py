"""Jobs: which assets or checks run together. Sensors and schedules name these."""

import dagster as dg

from medgen_pipeline.assets.tables import TABLE_GROUP
from medgen_pipeline.catalog import TABLES

refresh_medgen = dg.define_asset_job(
    "refresh_medgen",
    # A load proves what it publishes; reading all of it once more is for check_medgen.
    selection=dg.AssetSelection.groups(TABLE_GROUP).downstream().materializable().without_checks(),
    description="Bring every MedGen table to NCBI's current release, and with it what hangs on the tables.",
)

check_medgen = dg.define_asset_job(
    "check_medgen",
    selection=dg.AssetSelection.checks_for_assets(*(dg.AssetKey(["medgen", table.name]) for table in TABLES)),
    description="Compare every MedGen table with the file it was made from.",
)
