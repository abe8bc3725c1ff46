"""The code location Dagster loads; the only place that chooses an executor. Assembly is in ``orchestration.build``."""

from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.engines import keep_engines
from medgen_pipeline.orchestration.processes import step_processes

keep_engines()
EXECUTOR = step_processes.configured({"preload_modules": ["medgen_pipeline.preloaded"]})

defs = build_definitions(executor=EXECUTOR)
