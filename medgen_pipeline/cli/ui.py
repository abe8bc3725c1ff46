"""Dagster's UI on the demo's instance, and the variables for Dagster's other commands."""

import os
import shlex
import socket
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import click

from medgen_pipeline.cli.common import typed
from medgen_pipeline.cli.instance import variables
from medgen_pipeline.errors import missing_extra

# A daemon shows that it lives twice a minute.
_DAEMON_SECONDS = 45


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Of the UI.")
def ui(port: int) -> None:
    """Open Dagster's UI on the demo's instance and database, with Dagster's daemon. Ctrl-C ends both.

    A workspace.yaml in the working directory says which code is shown; without one it is this package's.
    """
    if find_spec("dagster_webserver") is None:
        raise click.ClickException(missing_extra("medgen ui", "dagster-webserver", "ui"))
    environment = variables()
    _warn_of_another_daemon(Path(environment["DAGSTER_HOME"]))
    _require_free_port(port)
    os.environ.update(environment)
    # Dagster says that `dg dev` be used instead, which is in another package.
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    command = [sys.executable, *quiet, "-m", "dagster", "dev", "--port", str(port)]
    if not Path("workspace.yaml").exists():
        command += ["--workspace", str(Path(__file__).with_name("workspace.yaml"))]
    os.execv(sys.executable, command)  # noqa: S606  # it takes over the terminal


@click.command()
def env() -> None:
    """Print variables for Dagster's commands, to work on the demo's instance: eval "$(medgen env)".

    Variables that are set already keep their values. MEDGEN_SOURCE_URL is the newest sample release, once there is one.
    """
    for name, value in variables().items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _warn_of_another_daemon(home: Path) -> None:
    from medgen_pipeline.orchestration.local import last_heartbeat, open_instance

    with open_instance(home) as instance:
        beat = last_heartbeat(instance)
    if beat is not None and (ago := time.time() - beat) < _DAEMON_SECONDS:
        click.echo(
            f"Warning: a daemon of the instance {home} was at work {max(ago, 0):.0f} s ago. If it still runs, end one "
            "of the two: both would start the same schedules and sensors.",
            err=True,
        )


def _require_free_port(port: int) -> None:
    """Dagster would go on without a UI."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise click.ClickException(
                f"Port {port} of 127.0.0.1 cannot be used for the UI: {error.strerror}. End what uses it, or choose "
                f"another one: {typed('ui', port + 1)}"
            ) from error
