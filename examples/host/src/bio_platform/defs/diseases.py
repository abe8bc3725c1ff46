"""A table of the platform's own, downstream of MedGen's concepts."""

import dagster as dg

from medgen_pipeline.orchestration.io_manager import WarehouseTable


@dg.asset(key_prefix="bio", ins={"concept": dg.AssetIn(key=["bio", "medgen", "concept"])})
def diseases(concept: WarehouseTable) -> dg.MaterializeResult[None]:
    """What is known of a table: where it is, and its columns."""
    return dg.MaterializeResult(
        value=None, metadata={"made_of": f"{concept.schema}.{concept.name}", "columns": list(concept.columns)}
    )
