"""The deployment that the browser's tests look at is that of ``deploy/compose.yaml``; this takes no browser."""

import pytest

from medgen_pipeline_tests.loaders.support import query
from medgen_pipeline_tests.ui.deployment import UiDeployment


@pytest.fixture(autouse=True)
def no_complaint() -> None:
    """In place of that of the UI's tests: there is no window."""


def test_the_commands_of_compose_run_a_job_when_they_are_processes_of_their_own(
    deployment: UiDeployment, first_load: str
) -> None:
    assert first_load == "SUCCESS"
    assert query(deployment.warehouse.dsn, "SELECT count(*) > 0 FROM medgen.names") == [(True,)]
