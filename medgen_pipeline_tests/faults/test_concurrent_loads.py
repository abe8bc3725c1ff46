"""Several loads of one table at once, loads of several tables at once, and edits by hand beside a load."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import ClassVar

import pytest

from medgen_pipeline.catalog import SourceTable, Table, table_by_name
from medgen_pipeline.loaders import (
    ApplyMode,
    ChangeCounts,
    LoaderError,
    ProductionChangedError,
    Strategy,
    TableBusyError,
)
from medgen_pipeline.loaders.postgres import PostgresNativeLoader
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.release import Archive
from medgen_pipeline.testing import canonical, load, start_of
from medgen_pipeline.testing.loads import begun
from medgen_pipeline_tests.faults.support import (
    PROCESSES,
    Attempt,
    Fault,
    Observer,
    Scenario,
    edit,
    jobs,
    rows_of,
    run,
    spread,
)
from medgen_pipeline_tests.loaders.support import new_loader, query, read

ATTEMPTS = 8
NAMES = table_by_name("names")
HISTORY = table_by_name("medgen_cui_history")
OVERLAPS = """
SELECT a.load_id, b.load_id FROM medgen_audit.load_run a JOIN medgen_audit.load_run b ON a.load_id < b.load_id
WHERE b.started_at < a.finished_at
"""


class EditedMeanwhile(PostgresNativeLoader):
    """Somebody edits production after it was found as the last load had left it; the next comparison meets a rival."""

    meanwhile: ClassVar[list[Callable[[], object]]] = []

    def execute_cdc(self, table: Table) -> ChangeCounts:
        self.meanwhile.pop(0)()
        return super().execute_cdc(table)


def test_a_load_keeps_the_lock_while_it_compares_again(database: str, tmp_path: Path) -> None:
    def rival() -> None:
        with new_loader(database, lock_timeout_seconds=0) as other, pytest.raises(TableBusyError):
            other.log_run_start(start_of(NAMES))

    # Without bad lines: a file that has any is compared as a whole from the start.
    old, new = (job() for job in jobs(database, tmp_path, NAMES, 1, 2, bad_lines=0))
    old.run()
    EditedMeanwhile.meanwhile[:] = [lambda: query(database, "DELETE FROM medgen.names"), rival]
    result = load_table(EditedMeanwhile.from_dsn(database, {}), NAMES, new.fetched(), Archive(new.archive), new.options)
    assert EditedMeanwhile.meanwhile == []
    assert result.strategy is Strategy.WAREHOUSE
    assert "production is not as the last load left it: it has 0 rows" in result.strategy_reason
    assert Counter(read(database, "medgen", NAMES)) == Counter(rows_of(NAMES, 2))


@pytest.mark.parametrize("table", [NAMES, HISTORY], ids=lambda table: table.name)
def test_of_eight_loads_at_once_one_applies_at_a_time(table: SourceTable, database: str, tmp_path: Path) -> None:
    variants = range(1, ATTEMPTS + 1)
    releases = {f"2026-01-{variant:02}": rows_of(table, variant) for variant in variants}
    barrier = PROCESSES.Barrier(ATTEMPTS)
    attempts = [
        Attempt(job(scenario.value), barrier=barrier)
        for job, scenario in zip(
            jobs(database, tmp_path, table, *variants), ([*Scenario] * ATTEMPTS)[:ATTEMPTS], strict=True
        )
    ]
    outcomes = [attempt.outcome() for attempt in attempts]
    assert [(outcome.exit_code, outcome.error) for outcome in outcomes] == [(0, "")] * ATTEMPTS
    with Observer(database, table) as observer:
        observer.wait_for_the_end()
        assert observer.query(OVERLAPS) == []
        loads = observer.query("SELECT load_id, release, status FROM medgen_audit.load_run ORDER BY load_id")
        assert {(release, status) for _, release, status in loads} == {(release, "succeeded") for release in releases}
        production = observer.production()
        assert production is not None
        for load_id, release, _ in loads:  # what the feed says was there after each
            assert observer.before(production, int(str(load_id))) == Counter(releases[str(release)])
        assert observer.leftovers() == []
        assert observer.deadlocks() == 0


def test_a_load_that_does_not_want_to_wait_says_who_is_loading(database: str, tmp_path: Path) -> None:
    old, new = jobs(database, tmp_path, NAMES, 1, 2)
    old().run()
    with Observer(database, NAMES) as observer, Observer(database, NAMES) as holder:
        with holder.holding("ACCESS EXCLUSIVE"):  # the load that comes first stops at its comparison
            attempts = [Attempt(new(Scenario.WAREHOUSE.value, lock_timeout_seconds=0.2)) for _ in range(ATTEMPTS)]
            observer.wait_until(lambda: sum(attempt.is_running() for attempt in attempts) == 1)
            observer.wait_for_a_blocked_load()
            ((winner,),) = observer.query(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        outcomes = [attempt.outcome() for attempt in attempts]
        errors = [outcome.error for outcome in outcomes if outcome.error]
        says = f"TableBusyError: medgen.names: waited 0.2 s for another load of this table: server process {winner} of "
        assert [error.startswith(says) for error in errors] == [True] * (ATTEMPTS - 1), errors
        assert observer.production() == Counter(rows_of(NAMES, 2))
        assert observer.statuses_after(0) == ["succeeded", "succeeded"]


def test_loads_of_different_tables_do_not_wait_for_each_other(database: str, tmp_path: Path) -> None:
    old, new = jobs(database, tmp_path, NAMES, 1, 2)
    old().run()
    with Observer(database, NAMES) as observer, Observer(database, NAMES) as holder:
        with holder.holding("SHARE"):
            attempt = Attempt(new())
            observer.wait_for_a_blocked_load()
            for other in jobs(database, tmp_path, HISTORY, 1, 2):
                assert other().run().counts.changed
            assert attempt.is_running()
        assert attempt.outcome().error == ""
        assert observer.production() == Counter(rows_of(NAMES, 2))


def test_a_load_that_has_lost_the_lock_leaves_the_staging_of_its_successor_alone(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medgen_pipeline.loaders.postgres.session._RETAKE_SECONDS", 0.1)
    rows = rows_of(NAMES, 1)
    with new_loader(database) as lost, new_loader(database) as successor:
        lost.log_run_start(start_of(NAMES))
        query(database, "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")
        successor.log_run_start(start_of(NAMES))
        successor.initialize_staging(NAMES)
        successor.bulk_load("names", iter([canonical(rows)]))
        with pytest.raises(TableBusyError):
            lost.cancel()
        with pytest.raises(LoaderError, match="not connected"):
            lost.cleanup(NAMES)
        successor.execute_cdc(NAMES)
        successor.apply_changes(NAMES, ApplyMode.FIRST)
    assert Counter(read(database, "medgen", NAMES)) == Counter(rows)


def test_a_load_that_is_cancelled_keeps_the_lock(database: str) -> None:
    with new_loader(database) as loader, new_loader(database, lock_timeout_seconds=0.1) as other:
        loader.log_run_start(start_of(NAMES))
        loader.cancel()
        with pytest.raises(TableBusyError):
            other.log_run_start(start_of(NAMES))


def test_an_edit_by_hand_during_a_load_is_noticed_whenever_it_comes(database: str, tmp_path: Path) -> None:
    rows = {variant: Counter(rows_of(NAMES, variant)) for variant in (1, 2)}
    job = dict(zip(rows, jobs(database, tmp_path, NAMES, *rows), strict=True))
    last_row = "WHERE cui = (SELECT max(cui) FROM medgen.names)"
    edits = cycle(
        partial(edit, database, f"{by_hand} {last_row}")
        for by_hand in ("UPDATE medgen.names SET name = 'by hand'", "DELETE FROM medgen.names")
    )
    job[2]().run()
    job[1]().run()
    old, new = 1, 2
    seen: set[str] = set()
    with Observer(database, NAMES) as observer:
        for turn, scenario in enumerate([Scenario.SNAPSHOT, Scenario.WAREHOUSE]):
            phases = run(job[new](scenario.value)).phases
            for at in dict.fromkeys(at for at, _ in spread(phases, turn, frozenset(seen))):
                old, new = new, old
                outcome = run(job[new](scenario.value), Fault(next(edits), at))
                # Loads of the same files may differ by a point or two, so the phase is the one that was met.
                phase = outcome.phases[at]
                found, seen = observer.production() or Counter(), {*seen, phase}
                place = (scenario, at, phase, outcome)
                if outcome.error:
                    assert outcome.error.startswith("ProductionChangedError"), place
                    assert (rows[old] - found).total() == 1, place
                elif phase in {"_after_publishing", "cleanup", "_look"}:
                    assert (rows[new] - found).total() == 1, place
                else:
                    assert found == rows[new], place
                job[new]().run()
                assert observer.production() == rows[new], place
            old, new = new, old


def test_an_unlogged_table_never_becomes_production(database: str) -> None:
    load(new_loader(database), NAMES, rows_of(NAMES, 1))
    with begun(new_loader(database), NAMES) as loader:
        loader.bulk_load("names", iter([canonical(rows_of(NAMES, 2))]))
        query(database, "DROP TABLE medgen.names")
        assert loader.execute_cdc(NAMES).baseline
        with pytest.raises(ProductionChangedError, match="it was there when the load began, and has gone since"):
            loader.apply_changes(NAMES, ApplyMode.FIRST)
        loader.cleanup(NAMES)
    load(new_loader(database), NAMES, rows_of(NAMES, 2))
    assert Counter(read(database, "medgen", NAMES)) == Counter(rows_of(NAMES, 2))
