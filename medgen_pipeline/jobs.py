"""Jobs: which assets are materialized together. Sensors and schedules name these."""

import dagster as dg

from medgen_pipeline.assets.tables import TABLE_GROUP

refresh_medgen = dg.define_asset_job(
    "refresh_medgen",
    selection=dg.AssetSelection.groups(TABLE_GROUP),
    description="Bring every MedGen table to NCBI's current release.",
)
