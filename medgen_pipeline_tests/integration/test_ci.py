"""docs/ci.md and the workflow, taken at their word: every outcome, and the status it ends with."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.rows.published import content_of
from medgen_pipeline_tests.integration.conftest import PROJECT, Installation
from medgen_pipeline_tests.integration.support import publish
from medgen_pipeline_tests.loaders.support import query

PAGE = (PROJECT / "docs" / "ci.md").read_text()
WORKFLOW = PROJECT / ".github" / "workflows" / "refresh.yml"
RECIPE, OVERRIDE = re.findall(r"^```sh\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
SELECTION = "export SELECT='key:\"medgen/*\"'\n"

NAMES, MERGED = table_by_name("names"), table_by_name("merged")
GOOD = [[f"C{number}".encode(), b"a name", b"GTR", b"N"] for number in range(50)]


@dataclass(frozen=True)
class Job:
    """A job of CI with a database, a source and a home of its own.

    Attributes:
        installation: Where its commands are.
        release: What NCBI publishes.
        environment: Beside the installation's.
    """

    installation: Installation
    release: Path
    environment: dict[str, str]

    def publish(self, rows: list[list[bytes]] = GOOD, *, after: bytes = b"") -> None:
        publish(self.release, NAMES, content_of(NAMES, rows) + after)

    def run(self, script: str) -> "subprocess.CompletedProcess[str]":
        return self.installation.shell(script, **self.environment)

    def recipe(self, select: str = 'key:"medgen/names"') -> "subprocess.CompletedProcess[str]":
        """The page's commands with a selection of one's own."""
        assert RECIPE.startswith(SELECTION)
        return self.run(RECIPE.replace(SELECTION, f"export SELECT='{select}'\n"))


@pytest.fixture
def job(installation: Installation, database: str, tmp_path: Path) -> Job:
    release = tmp_path / "2026-01-07"
    made = Job(
        installation,
        release,
        {"MEDGEN_HOME": str(tmp_path / "home"), "MEDGEN_DSN": database, "MEDGEN_SOURCE_URL": release.as_uri()},
    )
    made.publish()
    return made


def test_everything_loaded_and_every_check_passed_is_0(job: Job) -> None:
    done = job.recipe()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "medgen/names\n8 checks were made; 0 count as errors\n"


def test_a_table_that_is_not_loaded_is_1(job: Job) -> None:
    job.publish(after=b"a damaged line\n")
    done = job.recipe()
    assert done.returncode == 1
    assert "names was not published, production is as it was." in done.stderr
    assert "checks were made" not in done.stdout


def test_the_override_of_the_page_lets_it_through(job: Job) -> None:
    job.publish(after=b"a damaged line\n")
    done = job.run(f'eval "$(.venv/bin/medgen env)"\n{OVERRIDE}')
    assert done.returncode == 0, done.stderr
    assert query(job.environment["MEDGEN_DSN"], "SELECT count(*) FROM medgen.names") == [(50,)]


def test_a_blocking_check_that_fails_is_1(job: Job) -> None:
    job.publish([*GOOD, GOOD[0]])
    config = OVERRIDE.replace('"max_rejected_percent": 100', '"accept_broken_key": true')
    assert config != OVERRIDE
    done = job.run(f'eval "$(.venv/bin/medgen env)"\n{config}')
    assert done.returncode == 1
    assert "key_is_unique" in done.stderr
    assert query(job.environment["MEDGEN_DSN"], "SELECT count(*) FROM medgen.names") == [(51,)]


def test_a_failed_check_that_blocks_nothing_is_1_by_medgen_checks_alone(job: Job) -> None:
    job.publish([*GOOD, [b"C77", b"", b"GTR", b"N"]])
    done = job.recipe()
    assert done.returncode == 1
    assert "Materialization failed" not in done.stderr
    _, failed, summary = done.stdout.splitlines()
    assert failed.startswith("error: medgen/names: required_columns_are_filled: Empty, of 51 rows: name in 1.")
    assert summary == "8 checks were made; 1 count as errors"


def test_a_warning_is_0_and_with_strict_1(job: Job) -> None:
    publish(job.release, MERGED, content_of(MERGED, [[b"C100", b"C999"]]))
    done = job.recipe('key:"medgen/names" or key:"medgen/merged"')
    assert done.returncode == 0, done.stderr
    assert "warning: medgen/merged: references_resolve: Rows whose to_cui is not in names.cui: 1" in done.stdout
    done = job.run('eval "$(.venv/bin/medgen env)"\n.venv/bin/medgen checks --strict')
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "16 checks were made; 1 count as errors")


def test_a_selection_of_nothing_is_1_and_runs_nothing(job: Job) -> None:
    done = job.recipe('key:"medgen/nmaes"')
    assert (done.returncode, done.stdout) == (1, "")
    assert query(job.environment["MEDGEN_DSN"], "SELECT to_regclass('medgen_audit.load_run')") == [(None,)]


def test_the_table_of_outcomes_is_the_one_tested() -> None:
    rows = re.findall(r"^\| (.+?) \| (\d|not reached, 1 by `grep`) \| (.+?) \|$", PAGE, re.MULTILINE)
    assert [row[1:] for row in rows] == [
        ("0", "0"),
        ("1", "not reached"),
        ("1", "not reached"),
        ("0", "1"),
        ("0", "0"),
        ("0", "1"),
        ("not reached, 1 by `grep`", "not reached"),
    ]


def test_the_workflow_runs_the_recipe_of_the_page() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    job = workflow["jobs"]["refresh"]
    assert job["steps"][-1]["shell"] == "bash"  # GitHub's own default has no pipefail
    assert job["steps"][-1]["run"] == RECIPE.removeprefix(SELECTION) + "\n"
    default = workflow[True]["workflow_dispatch"]["inputs"]["select"]["default"]  # YAML 1.1 reads "on" as true
    assert f"export SELECT='{default}'\n" == SELECTION
    assert default in job["env"]["SELECT"]
    for step in job["steps"]:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step.get("uses", "a/b@" + "0" * 40))
