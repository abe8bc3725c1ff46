"""The code location Dagster loads; the only place that chooses an executor. Assembly is in ``orchestration.build``."""

from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.processes import step_processes

# Two tables at a time: NCBI drops clients with more connections.
EXECUTOR = step_processes.configured({"max_concurrent": 2, "preload_modules": ["medgen_pipeline.preloaded"]})

defs = build_definitions(executor=EXECUTOR)
