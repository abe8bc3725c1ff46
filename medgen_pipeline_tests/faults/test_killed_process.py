"""A load whose process is killed, at points of every phase: production whole, and nothing left after the next load."""

import signal
from pathlib import Path

import pytest

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline_tests.faults.support import Attempt, Observer, jobs, kill, strike_everywhere
from medgen_pipeline_tests.loaders.cases import THOROUGHLY

FEWEST_POINTS = 20
# By default one table, and that with a key where the server ends the session (test_killed_backend).


@pytest.mark.parametrize("table_name", ["names", "medgen_cui_history"] if THOROUGHLY else ["medgen_cui_history"])
def test_a_load_killed_anywhere_leaves_the_old_release_or_the_new_one(
    table_name: str, database: str, tmp_path: Path
) -> None:
    struck = strike_everywhere(database, tmp_path, table_by_name(table_name), kill)
    assert len(struck) >= FEWEST_POINTS
    assert {outcome.exit_code for outcome in struck} == {-signal.SIGKILL}


def test_a_load_killed_while_its_statement_waits_does_not_keep_the_table_locked(database: str, tmp_path: Path) -> None:
    names = table_by_name("names")
    old, new = jobs(database, tmp_path, names, 1, 2)
    old().run()
    with Observer(database, names) as observer, Observer(database, names) as holder:
        with holder.holding("SHARE"):
            attempt = Attempt(new())
            observer.wait_for_a_blocked_load()
            attempt.kill()
            observer.wait_for_the_end()  # although its statement still could not go on
        new().run()
        observer.wait_for_the_end()
        assert observer.leftovers() == []
