"""A table of the platform's own, downstream of MedGen's concepts."""

import dagster as dg
import polars as pl

CHOICE = {"columns": ["cui", "name"], "where": {"is_disease": True}}


@dg.asset(key_prefix="bio", ins={"concept": dg.AssetIn(key=["bio", "medgen", "concept"], metadata=CHOICE)})
def diseases(concept: pl.DataFrame) -> dg.MaterializeResult[None]:
    """The concepts that are diseases."""
    return dg.MaterializeResult(value=None, metadata={"dagster/row_count": concept.height, "columns": concept.columns})
