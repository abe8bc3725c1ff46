"""Code locations for the bench of a whole run: the package's own with another executor, and with empty steps.

Each is a function, which Dagster's commands take as ``--attribute``; a step's process finds it by the same name. How
many steps may be at work at a time comes from the environment, which those processes have too.
"""

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg

from medgen_pipeline.orchestration import processes
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.engines import keep_engines

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


def empty() -> dg.Definitions:
    """The same assets, checks, executor and kept connections, with steps that do nothing: no run can take less."""
    keep_engines()
    whole = build_definitions()
    tables = [_empty_asset(step) for step in whole.assets or () if isinstance(step, dg.AssetsDefinition)]
    across = [_empty_checks(step) for step in whole.asset_checks or ()]
    return dg.Definitions(assets=tables, asset_checks=across, executor=processes.step_processes)


def _empty_asset(step: dg.AssetsDefinition) -> dg.AssetsDefinition:
    specs = [spec.with_io_manager_key("io_manager") for spec in step.specs]

    @dg.multi_asset(name=step.op.name, specs=specs, check_specs=list(step.check_specs))
    def nothing() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        yield dg.MaterializeResult()
        yield from _passed(step)

    return nothing


def _empty_checks(step: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(name=step.op.name, specs=list(step.check_specs))
    def nothing() -> Iterator[dg.AssetCheckResult]:
        yield from _passed(step)

    return nothing


def _passed(step: dg.AssetsDefinition) -> Iterator[dg.AssetCheckResult]:
    for spec in step.check_specs:
        yield dg.AssetCheckResult(asset_key=spec.asset_key, check_name=spec.name, passed=True)


def _multiprocess(start_method: dict[str, Any]) -> dg.Definitions:
    config = {"max_concurrent": int(os.environ[CONCURRENT]), "start_method": start_method}
    return build_definitions(executor=dg.multiprocess_executor.configured(config))
