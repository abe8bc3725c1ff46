"""Jobs: which assets or checks run together. Sensors and schedules name these."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from medgen_pipeline.catalog import Source, SourceTable, Table
from medgen_pipeline.loading.findings import DRIFT_CHECK
from medgen_pipeline.orchestration.executor import looking_first
from medgen_pipeline.orchestration.keys import Names


def build_jobs(tables: Sequence[Table], names: Names) -> list[Any]:  # of a class that Dagster does not export
    """The jobs of a code location that has these tables."""
    keys = [names.table_key(table) for table in tables]
    # A load proves that what it publishes is the file; reading all of it once more is for check_medgen.
    drift_checks = dg.AssetSelection.checks(*(dg.AssetCheckKey(key, DRIFT_CHECK) for key in keys))
    from_files: dict[Source, list[dg.AssetKey]] = {}
    for table in tables:
        if isinstance(table, SourceTable):
            from_files.setdefault(table.source, []).append(names.table_key(table))
    return [
        *(
            dg.define_asset_job(
                names.of_source(source).job,
                selection=dg.AssetSelection.assets(*own).downstream().materializable() - drift_checks,
                description=f"Bring every table of {source.title} to NCBI's current release, and rebuild what is "
                "downstream.",
            )
            for source, own in from_files.items()
        ),
        dg.define_asset_job(
            names.check_job,
            selection=dg.AssetSelection.checks_for_assets(*keys),
            # The warehouse does the work; 27 processes would only cost memory.
            executor_def=looking_first(dg.in_process_executor),
            description="Check every table as it is, and compare it with what it was made from.",
        ),
    ]
