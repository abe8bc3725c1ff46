"""Asset checks: what stands in the warehouse is looked at. What can be judged before publication is a gate.

``findings`` says what is looked at and how it is judged, without Dagster; ``steps`` makes asset checks of it. Which
check runs when, which blocks and why: docs/checks.md. Concept: https://docs.dagster.io/guides/test/asset-checks.
"""

from medgen_pipeline.checks.findings import ACROSS_TABLES, DRIFT_CHECK, OF_ONE_TABLE, Check, of_one_table
from medgen_pipeline.checks.steps import build_shared_step, build_table_step

__all__ = [
    "ACROSS_TABLES",
    "DRIFT_CHECK",
    "OF_ONE_TABLE",
    "Check",
    "build_shared_step",
    "build_table_step",
    "of_one_table",
]
