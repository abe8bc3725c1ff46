"""The executor of the project's code location: a process for each step, which begins with all that the run has loaded.

A run of all tables has a step for each, and most are short. With Dagster's own executor every step's process loads the
code location and opens the instance again, which takes more than most steps do. Here it is a copy of the run's process
where that is safe, and otherwise of one that has loaded the code location. All else is Dagster's: events, retries,
interrupts, and that a killed process is one failed step. docs/benchmarks.md compares the executors.
"""

import gc
import threading
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, ForkProcess
from multiprocessing.context import _concrete_contexts as contexts  # type: ignore[attr-defined]  # not in typeshed
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.child_process_executor import ChildProcessCommand
from dagster._core.executor.multiprocess import MultiprocessExecutor

from medgen_pipeline.orchestration.engines import close_connections, connections_kept

# Linux lists the threads here, also those that Python does not know of.
_THREADS = Path("/proc/self/task")
# What Dagster has at work in a run that a code server started (verified on 1.13.27): one thread waits to be told to
# stop the run, one for what the run tells the server, which is nothing before its end. No copy needs a lock of theirs.
_WAITING = {"termination-handler", "QueueFeederThread"}
_COPY = "copy_of_the_run"
STEPS_AT_A_TIME = 2
"""NCBI drops clients with more connections."""


@dg.executor(
    name="step_processes",
    config_schema={
        "max_concurrent": dg.Field(int, default_value=STEPS_AT_A_TIME, description="Steps at a time."),
        "preload_modules": dg.Field(
            [str],
            default_value=["medgen_pipeline.orchestration.build"],
            description="What the process that steps' are copied from imports, where the run's cannot be copied.",
        ),
    },
    requirements=dg.multiple_process_executor_requirements(),
)
def step_processes(context: dg.InitExecutorContext) -> dg.Executor:
    """Run each step in a process of its own, some at a time."""
    config: Mapping[str, Any] = context.executor_config
    return _StepProcesses(
        retries=RetryMode.ENABLED,
        max_concurrent=config["max_concurrent"],
        start_method="forkserver",
        explicit_forkserver_preload=config["preload_modules"],
    )


class _StepProcesses(MultiprocessExecutor):
    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        if can_be_copied():
            # Where Dagster's executor looks for the start method that it was told.
            contexts[_COPY] = Copies(plan_context.instance)
            self._start_method = _COPY
            # What is there stays to the run's end: neither the copies nor the end look for garbage in it.
            gc.freeze()
        with connections_kept():
            yield from super().execute(plan_context, execution_plan)


def can_be_copied() -> bool:
    """Whether a copy of this process has all that it has: of several threads a copy has one, and the locks of all.

    Not on macOS, whose own libraries do not bear it.
    """
    others = {thread.name for thread in threading.enumerate()} - {threading.main_thread().name}
    return _THREADS.is_dir() and others <= _WAITING and len(list(_THREADS.iterdir())) == 1 + len(others)


class Copies(ForkContext):
    """Starts a step's process as a copy of this one."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        """Starts nothing yet; ``instance`` is the run's."""
        self._instance = instance
        self._queues: list[_Events] = []

    def Queue(self, maxsize: int = 0) -> Any:  # noqa: N802  # its name there
        """What a step's process is to tell its events by."""
        self._queues = [queue for queue in self._queues if not queue.is_closed]
        self._queues.append(queue := _Events(self, maxsize))
        return queue

    @property
    def readable(self) -> list[Connection]:
        """Where events of steps arrive."""
        return [queue.reader for queue in self._queues if not queue.is_closed]

    def Process(  # type: ignore[override]  # noqa: N802  # a class there
        self, target: Callable[..., object], args: tuple[Any, ChildProcessCommand]
    ) -> ForkProcess:
        """A step's process, not started."""
        return ForkProcess(target=_run, args=(self._instance, target, args))


class _Events(Queue):  # type: ignore[type-arg]  # no generic class when it runs
    """What a step's process tells.

    Dagster's executor asks one queue after the other and waits 20 ms at each: a step with thirty events would be held
    up for half a second by one that has nothing to tell. So whoever waits here waits for all.
    """

    def __init__(self, context: Copies, maxsize: int) -> None:
        super().__init__(maxsize, ctx=context)
        self._context = context

    @property
    def reader(self) -> Connection:
        return self._reader  # type: ignore[attr-defined,no-any-return]  # not in typeshed

    @property
    def is_closed(self) -> bool:
        return self._closed  # type: ignore[attr-defined,no-any-return]  # not in typeshed

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # as it is there
        if block and self.reader not in wait(self._context.readable, timeout):
            raise Empty
        return super().get(block, timeout)


def _run(instance: dg.DagsterInstance, target: Callable[..., object], args: tuple[Any, ChildProcessCommand]) -> None:
    """In the copy: the instance that the run has opened is open, and Dagster need not open it again.

    No connection is shared: what the run keeps was closed before the copy, and PostgreSQL's storage makes one for each
    use.
    """
    dg.DagsterInstance.from_ref = staticmethod(lambda _: instance)  # type: ignore[assignment,method-assign]  # until the step ends
    try:
        target(*args)
    finally:
        close_connections()
