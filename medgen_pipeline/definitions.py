"""The code location Dagster loads; the only place that chooses an executor. Assembly is in ``orchestration.build``."""

import dagster as dg

from medgen_pipeline.orchestration.build import build_definitions

# Two tables at a time: NCBI drops clients with more connections, and each step process takes 100 MB before its data.
# forkserver with a preloaded package starts a step in half the time of spawn (13 s against 22 s for 8 steps, 2 cores).
EXECUTOR = dg.multiprocess_executor.configured(
    {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": ["medgen_pipeline.orchestration.build"]}}}
)

defs = build_definitions(executor=EXECUTOR)
