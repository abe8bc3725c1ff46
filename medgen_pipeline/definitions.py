"""The code location Dagster loads. Stays this short; assembly is in ``build.py``."""

from medgen_pipeline.orchestration.build import build_definitions

defs = build_definitions()
