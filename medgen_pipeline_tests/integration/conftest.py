"""The demo, run once for the tests that look at what it leaves behind, and an instance of Dagster."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.defs_state import base as defs_state  # no public way

from medgen_pipeline.catalog import tables_of
from medgen_pipeline.demo.embedded_postgres import EmbeddedPostgres
from medgen_pipeline.orchestration.resources import sources_of
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.revisions import keep_revisions

PROJECT = Path(__file__).parents[2]
LOADED = tuple(table for source in sources_of(Settings.read({})) for table in tables_of(source))
"""The tables that are loaded where the environment does not choose the sources: the demo's."""

# Of the make that runs the tests; and what would lead the demo elsewhere.
_FOREIGN = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MEDGEN_DSN", "MEDGEN_SCHEMA", "MEDGEN_SOURCE_URL", "DAGSTER_HOME")


keep_revisions()


@dataclass(frozen=True)
class Installation:
    """A directory with a virtual environment's commands.

    Attributes:
        directory: Where commands run.
        environment: Their environment.
    """

    directory: Path
    environment: dict[str, str]

    @property
    def home(self) -> Path:
        return Path(self.environment["MEDGEN_HOME"])

    @property
    def server(self) -> EmbeddedPostgres:
        """The embedded server of ``home``."""
        return EmbeddedPostgres(self.home / "postgres")

    def make(self, target: str) -> list[str]:
        """The command line of ``make target`` with this directory's commands in place of an installation."""
        stamps = [part for stamp in ("runtime", "test") for part in ("--old-file", f".venv/.{stamp}")]
        return ["make", "--directory", str(PROJECT), f"BIN={self.directory}/.venv/bin", *stamps, target]

    def run(self, command: list[str], stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            input=stdin,
            cwd=self.directory,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def shell(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(["bash", "-euo", "pipefail", "-c", script], **environment)


@dataclass(frozen=True)
class Demo(Installation):
    """An installation after ``make demo``, and what that printed."""

    output: str


@pytest.fixture(scope="session", autouse=True)
def _no_storage_of_an_instance_that_has_gone() -> Iterator[None]:
    """Dagster 1.13.27 keeps the newest instance's storage in a context variable, for components with a state.

    Whenever an instance is collected as garbage, the one before it is put back, which may have gone long before.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defs_state, "set_defs_state_storage", nullcontext)
        yield


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """One for all runs of a module: making one takes as long as a small run."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="session")
def installation(commands: Path) -> Iterator[Installation]:
    """A directory of its own; a server that commands started in it is stopped at the end of the run."""
    directory = commands.parents[1]
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    environment |= {"MEDGEN_HOME": str(directory / "home"), "PYTHONPATH": str(PROJECT)}
    made = Installation(directory, environment)
    yield made
    made.server.stop()
    shutil.rmtree(made.server.location, ignore_errors=True)


@pytest.fixture(scope="session")
def demo(installation: Installation) -> Demo:
    """``make demo``; the files of tests that ask for it are one worker's: ``ON_THE_DEMO``."""
    done = installation.run(installation.make("demo"))
    assert (done.returncode, done.stderr) == (0, "")
    return Demo(installation.directory, installation.environment, done.stdout)
