"""deploy/compose.yaml: what it says, and the commands of its services as processes of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from medgen_pipeline_tests.instance import PROJECT
from medgen_pipeline_tests.webserver import free_port, running

DEPLOY = PROJECT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DAGSTERS = ("code", "webserver", "daemon")


@contextmanager
def composed(home: Path, values: Mapping[str, str], of_the_code: Mapping[str, str]) -> Iterator[str]:
    """Start the three services of Dagster on an instance; the UI's address.

    Args:
        home: DAGSTER_HOME, with its dagster.yaml; what the services print is kept there, in ``*.log``.
        values: Of the variables that compose.yaml gives to a service: each has only its own.
        of_the_code: More variables of the code location.
    """
    ports = {"4000": str(free_port()), "3000": str(free_port())}
    text = (DEPLOY / "workspace.yaml").read_text()
    assert "host: code\n      port: 4000" in text
    (home / "workspace.yaml").write_text(text.replace("host: code", "host: localhost").replace("4000", ports["4000"]))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEDGEN_", "DAGSTER_", "AWS_"))}

    def environment(service: str) -> dict[str, str]:
        own = {name: values[name] for name in SERVICES[service]["environment"] if name in values}
        return {**kept, "DAGSTER_HOME": str(home), **own, **(of_the_code if service == "code" else {})}

    def command(service: str) -> list[str]:
        return _here(SERVICES[service]["command"], ports)

    with ExitStack() as stack:
        stack.enter_context(_background(command("code"), environment("code"), home))
        kind, *health = SERVICES["code"]["healthcheck"]["test"]
        assert kind == "CMD"
        _wait_for_health(int(ports["4000"]), _here(health, ports), environment("code"), home)
        stack.enter_context(_background(command("daemon"), environment("daemon"), home))
        yield stack.enter_context(
            running(
                command("webserver"),
                int(ports["3000"]),
                environment("webserver"),
                home,
                home / "dagster-webserver.log",
                ended_by=signal.SIGKILL,
            )
        )


def _here(command: list[str], ports: Mapping[str, str]) -> list[str]:
    """A command with the installation's program and this machine's ports."""
    program, *arguments = command
    found = shutil.which(program, path=str(Path(sys.executable).parent))
    assert found, f"the installation has no {program}"
    return [found, *(ports.get(argument, argument) for argument in arguments)]


@contextmanager
def _background(command: list[str], environment: dict[str, str], home: Path) -> Iterator[None]:
    """A process with what it starts; killed, as taking themselves down costs them a second each."""
    with (home / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for_health(port: int, check: list[str], environment: dict[str, str], home: Path) -> None:
    """The health check of compose, until it passes; whether anybody listens is asked sooner than by a new process."""
    deadline = time.monotonic() + 120
    while not _listens(port) or subprocess.run(check, env=environment, cwd=home, capture_output=True).returncode:
        assert time.monotonic() < deadline, (home / "dagster.log").read_text()
        time.sleep(0.5)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
