"""Code locations that differ from the package's own in their executor alone, for the bench of a whole run.

Each is a function, which Dagster's commands take as ``--attribute``; a step's process finds it by the same name. How
many steps may be at work at a time comes from the environment, which those processes have too.
"""

import os
from typing import Any

import dagster as dg

from medgen_pipeline.orchestration import processes
from medgen_pipeline.orchestration.build import build_definitions

CONCURRENT = "BENCH_CONCURRENT"


def step_processes() -> dg.Definitions:
    """The project's own executor."""
    concurrent = int(os.environ[CONCURRENT])
    return build_definitions(executor=processes.step_processes.configured({"max_concurrent": concurrent}))


def spawn() -> dg.Definitions:
    """Each step in a process of its own that begins with nothing."""
    return _multiprocess({"spawn": {}})


def forkserver() -> dg.Definitions:
    """Each step in a fork of a process that has imported the package."""
    return _multiprocess({"forkserver": {"preload_modules": ["medgen_pipeline.orchestration.build"]}})


def in_process() -> dg.Definitions:
    """One step after the other, in the run's own process."""
    return build_definitions(executor=dg.in_process_executor)


def _multiprocess(start_method: dict[str, Any]) -> dg.Definitions:
    config = {"max_concurrent": int(os.environ[CONCURRENT]), "start_method": start_method}
    return build_definitions(executor=dg.multiprocess_executor.configured(config))
