"""What a run does before its first step and before each retry: it looks whether source and warehouse are there.

Without that look each step would find out by itself, with the retries of all of them: one dead server would take 27
assets and twenty minutes. The look is the executor's, for that is at work in every run, whoever starts it, before any
step is.
"""

import os
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.errors import raise_execution_interrupts
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.resources_init import get_required_resource_keys_to_init, resource_initialization_manager
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster._core.system_config.objects import ResolvedRunConfig
from dagster_shared.error import SerializableErrorInfo

from medgen_pipeline.catalog import SOURCES, tables_of
from medgen_pipeline.errors import MedgenError, PermanentError, TransientError
from medgen_pipeline.loading.rollback import NEWEST
from medgen_pipeline.orchestration.failures import RETRIES, one_line
from medgen_pipeline.orchestration.hooks import NEXT_IF_PERMANENT, NEXT_IF_TRANSIENT, FailureNotifier, LoadFailure
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES, RELEASE_TAG, table_name, table_of_step
from medgen_pipeline.orchestration.resources import MedgenSource

# Seconds between the tries of a look. A server that restarts is back within them.
WAITS = (5, 10, 15)
_LOOKED_AT = (
    *(DEFAULT_NAMES.of_source(source).resource for source in SOURCES),
    *(DEFAULT_NAMES.warehouse, DEFAULT_NAMES.notifier),
)

# A step that is told to stop is one to be tried again to Dagster, whose run has ended then.
_INTERRUPTS = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}


class UnreachableError(TransientError):
    """The source or the warehouse is not there."""


def looking_first(definition: dg.ExecutorDefinition) -> dg.ExecutorDefinition:
    """The executor, with a look at source and warehouse before its first step."""
    create = definition.executor_creation_fn
    if create is None:
        return definition
    return dg.ExecutorDefinition(
        name=definition.name,
        config_schema=definition.config_schema,  # type: ignore[arg-type]  # taken as it is, and not so declared
        requirements=definition.get_requirements,
        executor_creation_fn=lambda context: _LookingFirst(create(context)),
        description=definition.description,
    )


class _LookingFirst(dg.Executor):
    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> RetryMode:
        return self._inner.retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        return self._inner.step_dependency_config

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        _look(plan_context, execution_plan)
        tries: Counter[str] = Counter()
        events = _events(self._inner.execute(plan_context, execution_plan))
        for event in events:
            yield event
            if _is_interrupt_of_the_run(event):
                yield events.throw(dg.DagsterExecutionInterruptedError())
            if not event.is_step_up_for_retry or (error := _failed_with(event)).cls_name in _INTERRUPTS:
                continue
            try:
                _look(plan_context, execution_plan)
            except UnreachableError as outage:
                # The executor ends the steps that are at work, and raises it again.
                yield events.throw(outage)
            else:
                tries[step := str(event.step_key)] += 1
                _warn_of_retry(plan_context, step, tries[step], event, one_line(error.message))


def _events(events: Iterator[dg.DagsterEvent]) -> Generator[dg.DagsterEvent]:
    yield from events


def _is_interrupt_of_the_run(event: dg.DagsterEvent) -> bool:
    """Whether a step was interrupted in the run's own process: the in-process executor would go on with the others."""
    ended_badly = event.is_step_up_for_retry or event.is_step_failure
    return ended_badly and event.pid == os.getpid() and _failed_with(event).cls_name in _INTERRUPTS


def _failed_with(event: dg.DagsterEvent) -> SerializableErrorInfo:
    """What made a step fail or one to be tried again, without Dagster's own frame around it."""
    data = event.step_failure_data if event.is_step_failure else event.step_retry_data
    error = data.error or SerializableErrorInfo("no reason given.", [], None)
    return error.cause or error


def _warn_of_retry(context: PlanOrchestrationContext, step: str, number: int, event: dg.DagsterEvent, why: str) -> None:
    at = datetime.now(UTC) + timedelta(seconds=event.step_retry_data.seconds_to_wait or 0)
    context.log.warning(
        f"Try {number} of {RETRIES.max_retries + 1} of {step} failed: {why} The next begins at {at:%H:%M:%S} UTC."
    )


def _look(context: PlanOrchestrationContext, plan: ExecutionPlan) -> None:
    """Raise UnreachableError, after one message, where a step of the run would miss what it needs."""
    # Dagster holds interrupts back here; nobody must wait for our waits.
    with raise_execution_interrupts():
        _look_with_resources(context, plan)


def _look_with_resources(context: PlanOrchestrationContext, plan: ExecutionPlan) -> None:
    job = context.job.get_definition()
    required = get_required_resource_keys_to_init(plan, job)
    # Of every instance of the pipeline that the run has assets of; nothing of a host's own.
    needed = {key for key in required if key.endswith(_LOOKED_AT)}
    manager = resource_initialization_manager(
        resource_defs=job.resource_defs,
        resource_configs=ResolvedRunConfig.build(job, context.run_config).resources,
        log_manager=context.log,
        execution_plan=None,
        dagster_run=context.dagster_run,
        resource_keys_to_init=needed,
        instance=context.instance,
        emit_persistent_events=False,
        event_loop=None,
    )
    try:
        list(manager.generate_setup_events())
        found = manager.get_object().build(needed)._asdict().values()
        try:
            _require(
                context,
                [one for one in found if isinstance(one, MedgenSource)],
                [one for one in found if isinstance(one, WarehouseIOManager)],
                plan,
            )
        except MedgenError as error:
            if isinstance(error, PermanentError):
                # Dagster's own retries of runs, where an instance has them on, could not help.
                context.instance.add_run_tags(context.run_id, {MAX_RETRIES_TAG: "0"})
            for notifier in [one for one in found if isinstance(one, FailureNotifier)]:
                _tell(context, notifier, error)
            raise UnreachableError(f"The run ends here, what it needs is not there: {error}") from None
    finally:
        list(manager.generate_teardown_events())


def _require(
    context: PlanOrchestrationContext,
    sources: Sequence[MedgenSource],
    warehouses: Sequence[WarehouseIOManager],
    plan: ExecutionPlan,
) -> None:
    """Ask both until they answer or the patience for both is at its end."""
    # A step that only makes checks needs no source.
    loads = set(map(table_name, context.job.get_definition().asset_layer.selected_asset_keys))
    loaded = loads & set(map(table_of_step, plan.step_keys_to_execute))
    # Nor does one that brings its table to an earlier release: perhaps because of what the source publishes.
    ops: Any = context.run_config.get("ops") or {}
    loaded -= {table_of_step(step) for step, op in ops.items() if _goes_back(op)}
    of_source = [
        (source, fetched)
        for source in sources
        if (fetched := [table for table in tables_of(source.source) if table.name in loaded])
    ]
    waits = iter(WAITS)
    number = 1
    while True:
        try:
            for warehouse in warehouses:
                warehouse.require_reachable()
            for source, fetched in of_source:
                source.release_source().require_reachable(fetched)
        except TransientError as error:
            seconds = next(waits, None)
            if seconds is None:
                raise
            at = datetime.now(UTC) + timedelta(seconds=seconds)
            context.log.warning(
                f"Try {number} of {len(WAITS) + 1} to reach what the run needs failed: {one_line(str(error))} "
                f"The next begins at {at:%H:%M:%S} UTC."
            )
            number += 1
            time.sleep(seconds)
        else:
            return


def _goes_back(op: Any) -> bool:
    """Whether the run config of an op names a release that is not to be fetched."""
    config = op.get("config") if isinstance(op, Mapping) else None
    return isinstance(config, Mapping) and config.get("release", "") not in ("", NEWEST)


def _tell(context: PlanOrchestrationContext, notifier: FailureNotifier, error: MedgenError) -> None:
    """Tell the notifier, once, what the hook of each asset would have; the run's own failure has it for the log."""
    if not notifier.enabled:
        return
    failure = LoadFailure(
        asset="What the run was asked for",
        release=context.dagster_run.tags.get(RELEASE_TAG, "not known, no file was fetched"),
        run_id=context.run_id,
        job=context.job_name,
        cause=one_line(str(error)),
        next_action=NEXT_IF_PERMANENT if isinstance(error, PermanentError) else NEXT_IF_TRANSIENT,
    )
    notifier.notify(failure)
