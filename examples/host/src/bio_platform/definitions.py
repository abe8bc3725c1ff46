"""Everything below ``defs/``, with the platform's own executor, resources and job."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    return dg.Definitions.merge(
        dg.load_from_defs_folder(path_within_project=Path(__file__).parent),
        dg.Definitions(
            resources={"warehouse": "the platform's own, whatever that is", "source": 42},
            executor=dg.in_process_executor,
            jobs=[dg.define_asset_job("refresh_medgen", selection="key:bio/diseases")],
        ),
    )
