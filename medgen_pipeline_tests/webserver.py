"""Dagster's webserver and daemon as a user starts and ends them, and questions to them by GraphQL."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    environment: Mapping[str, str],
    directory: Path,
    log: Path,
    *,
    ended_by: signal.Signals = signal.SIGINT,
) -> Iterator[str]:
    """Run a command that ends in a webserver on ``port``; the UI's address. It is ended by Ctrl-C, as by a user."""
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        leader = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait_for(address, leader, log.read_text)
            yield address
        finally:
            _end_session(leader, ended_by)


def _wait_for(address: str, leader: "subprocess.Popen[bytes]", log: Callable[[], str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert leader.poll() is None, log()
        try:
            if requests.get(f"{address}/server_info", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.3)
    pytest.fail(f"the UI did not answer:\n{log()}")


def _end_session(leader: "subprocess.Popen[bytes]", ended_by: signal.Signals) -> None:
    """End every process of a session by a signal, and whatever is left after half a minute by force."""
    deadline = time.monotonic() + 30
    for sent in (ended_by, signal.SIGKILL):
        try:
            os.killpg(leader.pid, sent)
            while time.monotonic() < deadline:
                leader.poll()
                os.killpg(leader.pid, 0)
                time.sleep(0.1)
        except ProcessLookupError:
            break
    leader.wait()


def ask(address: str, question: str, **variables: object) -> dict[str, Any]:
    """The data of a GraphQL answer."""
    asked = {"query": question, "variables": variables}
    answer = requests.post(f"{address}/graphql", json=asked, timeout=60).json()
    assert "errors" not in answer, json.dumps(answer)
    found: dict[str, Any] = answer["data"]
    return found


def run_job(address: str, job: str, *assets: Sequence[str]) -> str:
    """Launch a job, whole or for some assets without their checks, and wait; the status that the run ends with."""
    return ended(address, launch(address, job, *assets))


def launch(address: str, job: str, *assets: Sequence[str], checks: Sequence[tuple[Sequence[str], str]] = ()) -> str:
    """Launch a job, whole or for some assets and some checks, each an asset's key and a name; the run."""
    selected = {
        "assetSelection": [{"path": list(path)} for path in assets],
        "assetCheckSelection": [{"assetKey": {"path": list(path)}, "name": name} for path, name in checks],
    }
    launched = ask(
        address,
        "mutation ($what: ExecutionParams!) { launchRun(executionParams: $what) {"
        " ... on LaunchRunSuccess { run { id } } ... on PythonError { message } } }",
        what={
            "mode": "default",
            "selector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": "medgen_pipeline",
                "pipelineName": job,
                **(selected if assets or checks else {}),
            },
        },
    )["launchRun"]
    assert "run" in launched, launched
    return str(launched["run"]["id"])


def terminate(address: str, run: str) -> str:
    """End a run as the button of its page does, and wait; the status that it ends with."""
    done = ask(
        address,
        "mutation ($run: String!) { terminateRun(runId: $run, terminatePolicy: SAFE_TERMINATE) {"
        " ... on TerminateRunSuccess { run { id } } } }",
        run=run,
    )
    assert done["terminateRun"]["run"] == {"id": run}
    return ended(address, run)


def ended(address: str, run: str) -> str:
    """Wait for the end of a run; its status."""
    deadline = time.monotonic() + 600
    while True:
        found = ask(address, "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }", run=run)
        status = str(found["runOrError"]["status"])
        if status in {"SUCCESS", "FAILURE", "CANCELED"}:
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.5)


def runs_of(address: str, **tags: str) -> list[dict[str, Any]]:
    """Runs with these tags, the newest first: ``id``, ``status`` and what they make."""
    found = ask(
        address,
        """query ($tags: [ExecutionTag!]!) { runsOrError(filter: {tags: $tags}) { ... on Runs { results {
          id status assetSelection { path } } } } }""",
        tags=[{"key": f"dagster/{name}", "value": value} for name, value in tags.items()],
    )
    runs: list[dict[str, Any]] = found["runsOrError"]["results"]
    return runs
