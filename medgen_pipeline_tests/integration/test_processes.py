"""The executor's promise: a process for each step, and one that is killed is one failed step, or one more attempt."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import dagster as dg
import pytest

from medgen_pipeline.orchestration import processes
from medgen_pipeline_tests.instance import PROJECT

# "again" is killed once and "gone" each time; {threads} more threads are at work in the run's process.
LOCATION = """
import os, pathlib, signal, threading, time
import dagster as dg
from medgen_pipeline.orchestration.processes import step_processes

if {threads}:
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
LOADED_BY = os.getpid()

@dg.asset
def steady():
    return dg.MaterializeResult(metadata={{"process": os.getpid(), "loaded_by": LOADED_BY}})

@dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
def again(context):
    if context.retry_number == 0:
        os.kill(os.getpid(), signal.SIGKILL)

@dg.asset
def gone():
    os.kill(os.getpid(), signal.SIGKILL)

@dg.asset(deps=[gone])
def after_it(): ...

executor = step_processes.configured({{"preload_modules": ["location"]}})
steady_job = dg.define_asset_job("steady_job", selection=[steady])
defs = dg.Definitions(assets=[steady, again, gone, after_it], jobs=[steady_job], executor=executor)
"""


MATERIALIZE = ["asset", "materialize", "-m", "location", "--select"]
# A launched run is one of a code server, as the UI and the daemon start them.
LAUNCH = ["job", "launch", "-m", "location", "-j"]
INSTANCE = """
telemetry: {enabled: false}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
"""


def run_of(location: Path, commands: Path, command: list[str], threads: int = 0) -> Iterator[dg.DagsterEvent]:
    """The events of the run that a command leads to."""
    (location / "location.py").write_text(LOCATION.format(threads=threads))
    (location / "dagster.yaml").write_text(INSTANCE)
    done = subprocess.run(
        [str(commands / "dagster"), *command],
        cwd=location,
        env={**os.environ, "DAGSTER_HOME": str(location), "PYTHONPATH": f"{location}:{PROJECT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    with dg.DagsterInstance.from_config(str(location)) as instance:
        (record,) = instance.get_run_records()
        deadline = time.monotonic() + 120
        while not instance.get_run_records()[0].dagster_run.is_finished:
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.1)
        for entry in instance.all_logs(record.dagster_run.run_id):
            if entry.dagster_event:
                yield entry.dagster_event


def assert_a_process_of_its_own(events: list[dg.DagsterEvent], *, copied: bool) -> None:
    """That ``steady`` had one, which had not loaded the code location again; a copy of the run's, or of another."""
    made = next(event for event in events if event.is_step_materialization and event.step_key == "steady")
    metadata = made.step_materialization_data.materialization.metadata
    process, loaded_by = metadata["process"].value, metadata["loaded_by"].value
    assert process != loaded_by
    run = next(event for event in events if (event.message or "").startswith("Executing steps using"))
    assert (f"pid: {loaded_by})" in (run.message or "")) is copied


def test_a_killed_step_is_a_failure_of_its_own_and_the_others_are_made(commands: Path, tmp_path: Path) -> None:
    events = list(run_of(tmp_path, commands, [*MATERIALIZE, "*"]))
    ended = {(event.step_key, event.event_type) for event in events}
    kinds = dg.DagsterEventType
    assert {step for step, kind in ended if kind is kinds.STEP_SUCCESS} == {"steady", "again"}
    assert ("again", kinds.STEP_UP_FOR_RETRY) in ended
    assert {step for step, kind in ended if kind is kinds.STEP_FAILURE} == {"gone"}
    assert "after_it" not in {step for step, kind in ended if kind is kinds.STEP_START}
    assert any(event.step_key == "gone" and "signal 9 (SIGKILL)" in (event.message or "") for event in events)
    assert_a_process_of_its_own(events, copied=sys.platform == "linux")


def test_a_run_with_unknown_threads_is_not_copied_and_a_killed_step_is_a_failure_of_its_own(
    commands: Path, tmp_path: Path
) -> None:
    events = list(run_of(tmp_path, commands, [*MATERIALIZE, "key:steady or key:gone"], threads=1))
    ended = {(event.step_key, event.event_type) for event in events}
    assert {("steady", dg.DagsterEventType.STEP_SUCCESS), ("gone", dg.DagsterEventType.STEP_FAILURE)} <= ended
    assert any(event.step_key == "gone" and "signal 9 (SIGKILL)" in (event.message or "") for event in events)
    assert_a_process_of_its_own(events, copied=False)


def test_a_run_of_a_code_server_s_is_copied_although_it_has_threads(commands: Path, tmp_path: Path) -> None:
    events = list(run_of(tmp_path, commands, [*LAUNCH, "steady_job"]))
    assert_a_process_of_its_own(events, copied=sys.platform == "linux")


def test_a_step_with_much_to_tell_is_not_held_up_by_one_with_nothing_to_tell() -> None:
    copies = processes.Copies(dg.DagsterInstance.ephemeral())
    telling, silent = copies.Queue(), copies.Queue()
    telling.put("event")
    began = time.monotonic()
    with pytest.raises(Empty):
        silent.get(block=True, timeout=60)
    assert time.monotonic() - began < 50
    assert telling.get(block=True, timeout=60) == "event"
    telling.put("another")
    telling.close()
    with pytest.raises(Empty):  # the end of a step is no event
        silent.get(block=True, timeout=0.01)
    silent.put("event")
    assert silent.get(block=True, timeout=60) == "event"
    silent.close()
