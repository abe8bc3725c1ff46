"""The server ends a load's session, or dies itself, at points of every phase."""

import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.demo.embedded_postgres import USER_SETTINGS, EmbeddedPostgres
from medgen_pipeline_tests.faults.support import (
    Fault,
    Scenario,
    Trials,
    edit,
    end_backend,
    jobs,
    kill_server,
    rows_of,
    strike_everywhere,
)
from medgen_pipeline_tests.folders import short_lived
from medgen_pipeline_tests.loaders.cases import THOROUGHLY
from medgen_pipeline_tests.loaders.support import read

FEWEST_POINTS = 20
# By default one table, and that without a key where the process is killed (test_killed_process).
TABLES = pytest.mark.parametrize("table_name", ["names", "medgen_cui_history"] if THOROUGHLY else ["names"])


@TABLES
def test_a_load_whose_session_ends_anywhere_leaves_the_old_release_or_the_new_one(
    table_name: str, database: str, tmp_path: Path
) -> None:
    struck = strike_everywhere(database, tmp_path, table_by_name(table_name), partial(end_backend, database, "load"))
    assert len(struck) >= FEWEST_POINTS
    assert {outcome.exit_code for outcome in struck} == {
        0,
        1,
    }  # it ends by itself: well after the commit, else in error


def test_a_load_whose_audit_session_ends_leaves_the_old_release_or_the_new_one(database: str, tmp_path: Path) -> None:
    end_audit, later_loads = partial(end_backend, database, "audit"), [Scenario.SNAPSHOT, Scenario.WAREHOUSE]
    strike_everywhere(database, tmp_path, table_by_name("names"), end_audit, later_loads)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server that may be killed, with the settings users have: what it has committed, it has on disk."""
    folder = short_lived("medgen-pg-")
    made = EmbeddedPostgres(folder / "pg", {**USER_SETTINGS, "shared_buffers": "16MB"})
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.location, ignore_errors=True)
        shutil.rmtree(folder)


@pytest.mark.parametrize("scenario", [Scenario.SNAPSHOT, Scenario.WAREHOUSE])
def test_a_server_that_dies_comes_back_with_the_old_release_or_the_new_one(
    scenario: Scenario, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    dsn, data = server.ensure_running(), server.location / "data"
    crash, stop = (partial(kill_server, data, how) for how in (signal.SIGKILL, signal.SIGQUIT))
    names = table_by_name("names")
    with Trials(dsn, tmp_path, names, scenario, revive=server.ensure_running) as trials:
        phases = trials.phases()
        copying, commit = phases.index("bulk_load") + 4, phases.index("_after_publishing") - 1
        points = ((crash, copying, True), (stop, commit, False), (crash, commit, True), (crash, commit + 1, False))
        # Both publish by the same statements: of the difference of two files what strikes at the commit is enough.
        for strike, at, under_way in points if THOROUGHLY or scenario is Scenario.WAREHOUSE else points[2:3]:
            trials.strike(Fault(strike, at, under_way))


def test_an_edit_of_every_row_after_a_crash_is_noticed(server: EmbeddedPostgres, tmp_path: Path) -> None:
    dsn, names = server.ensure_running(), table_by_name("names")
    (release,) = (job() for job in jobs(dsn, tmp_path, names, 1))
    release.run()
    kill_server(server.location / "data", signal.SIGKILL)
    server.ensure_running()
    edit(dsn, "UPDATE medgen.names SET name = 'by hand'")
    release.run()
    assert Counter(read(dsn, "medgen", names)) == Counter(rows_of(names, 1))
