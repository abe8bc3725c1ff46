"""Loads beside each other, and loads that are interrupted or killed: one at a time, and the next one heals."""

import math
import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

import pytest

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import ApplyMode, LoaderError, LoaderFactory, LoadStatus, TableBusyError
from medgen_pipeline.loading.staging import stage
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.loads import (
    HISTORY,
    MERGED,
    MONDO,
    NAMES,
    RELEASES,
    A,
    B,
    C,
    canonical,
    compared,
    load,
    start_of,
    undone,
)
from medgen_pipeline.testing.tiers import Behaviour

# Each is a copy of a process that has imported all of this, and nothing else of the test's.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
_PATIENCE_SECONDS = 120
OLD: list[Row] = [(f"C{number}", f"name {number}", "GTR", "N") for number in range(60)]
NEW: list[Row] = [*OLD[10:], *((f"D{number}", "new", None, "N") for number in range(20))]


class Interrupt(BaseException):
    """As Dagster's, which is no Exception and no KeyboardInterrupt."""


class ConcurrencyContract(Behaviour):
    """The table's lock, and loaders in several threads."""

    def test_a_second_load_of_a_table_waits_and_then_says_for_what(self, backend: Backend) -> None:
        with backend.new_loader() as holder, backend.new_loader(lock_timeout_seconds=0.3) as other:
            holder.log_run_start(start_of(NAMES))
            with pytest.raises(TableBusyError, match=rf"{backend.place()}\.names: waited 0\.3 s for another load"):
                other.log_run_start(start_of(NAMES))
            other.log_run_start(start_of(MERGED))  # another table is free
            holder.close()
            other.log_run_start(start_of(NAMES))
            with pytest.raises(TableBusyError):
                _start(backend, NAMES)  # now it is the other's

    def test_a_patience_that_cannot_be_meant_is_refused(self, backend: Backend) -> None:
        for seconds in (-1, math.nan, math.inf, "soon"):
            with pytest.raises(ValueError, match=f"lock_timeout_seconds is '?{seconds}'?, expected a number"):
                backend.new_loader(lock_timeout_seconds=seconds)

    def test_the_same_table_in_another_schema_is_free(self, backend: Backend) -> None:
        other = backend.in_schema(f"{backend.schema}_other")
        with backend.new_loader() as one, other.new_loader(lock_timeout_seconds=0.3) as two:
            one.log_run_start(start_of(NAMES))
            two.log_run_start(start_of(NAMES))

    def test_a_waiting_load_goes_on_when_the_holder_has_ended(self, backend: Backend) -> None:
        with backend.new_loader() as holder:
            holder.log_run_start(start_of(NAMES))
            timer = threading.Timer(0.5, holder.close)
            timer.start()
            load(backend.new_loader(), NAMES, [A])
            timer.join()
        assert backend.statuses() == ["abandoned", "succeeded"]

    def test_a_cancelled_load_keeps_the_lock_and_goes_on(self, backend: Backend) -> None:
        with backend.new_loader() as loader:
            loader.log_run_start(start_of(NAMES))
            loader.cancel()
            with pytest.raises(TableBusyError):
                _start(backend, NAMES)
            loader.initialize_staging(NAMES)
            assert stage(loader, NAMES, [canonical([A])]) == 1

    def test_of_several_loads_of_a_table_one_applies_at_a_time(self, backend: Backend) -> None:
        releases = {f"2026-04-0{number}": OLD[number : number + 20] for number in range(1, 4)}
        load(backend.new_loader(), NAMES, OLD)
        all_at_once([partial(load, backend.new_loader(), NAMES, rows, label) for label, rows in releases.items()])
        overlaps = backend.run(
            "SELECT a.load_id, b.load_id FROM {load_run} a JOIN {load_run} b ON a.load_id < b.load_id"
            " WHERE b.started_at < a.finished_at"
        )
        assert overlaps == []
        assert backend.statuses() == ["succeeded"] * 4
        state = backend.production(NAMES)
        for (release,) in reversed(backend.loads("release")[1:]):  # what the feed says was there after each
            assert state == Counter(releases[str(release)])
            state = undone(backend, NAMES, state, str(release))
        assert state == Counter(OLD)

    def test_loads_of_several_tables_at_once_do_not_hinder_each_other(self, backend: Backend) -> None:
        def rows_of(table: Table, *numbers: int) -> list[Row]:
            return [(str(number), "C1", *(None for _ in table.columns[2:])) for number in numbers]

        def load_twice(table: Table) -> None:
            load(backend.new_loader(), table, rows_of(table, 1, 2))
            load(backend.new_loader(), table, rows_of(table, 2, 3), RELEASES[1])

        tables = (MERGED, MONDO, HISTORY)
        all_at_once([partial(load_twice, table) for table in tables])
        assert backend.statuses() == ["succeeded"] * 6
        for table in tables:
            after = Counter(rows_of(table, 2, 3))
            assert backend.production(table) == after
            assert undone(backend, table, after, RELEASES[1]) == Counter(rows_of(table, 1, 2))

    def test_loaders_that_connect_at_once_make_the_schemas_together(self, backend: Backend) -> None:
        def connect() -> None:
            with backend.new_loader() as loader:
                assert loader.last_load(NAMES) is None

        all_at_once([connect] * 5)

    def test_a_load_whose_place_was_taken_publishes_nothing(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        with backend.new_loader() as loader:
            compared(loader, NAMES, NEW)
            # As if the lock had been lost and another load had come and gone.
            backend.run("UPDATE {load_run} SET status = 'abandoned' WHERE status = 'running'")
            with pytest.raises(LoaderError, match="another load has taken over"):
                loader.apply_changes(NAMES, ApplyMode.DELTA)
        assert backend.production(NAMES) == Counter(OLD)
        assert backend.feed(NAMES) == Counter()


class InterruptionContract(Behaviour):
    """Interrupts in the process, and processes that die."""

    def test_an_interrupt_while_rows_are_sent_leaves_nothing_and_the_lock_stays(self, backend: Backend) -> None:
        def interrupted() -> Iterator[bytes]:
            yield canonical(NEW)
            raise Interrupt

        load(backend.new_loader(), NAMES, OLD)
        with backend.new_loader() as loader:
            load_id = loader.log_run_start(start_of(NAMES, RELEASES[1]))
            loader.initialize_staging(NAMES)
            with pytest.raises(Interrupt):
                stage(loader, NAMES, interrupted())
            loader.cancel()
            with pytest.raises(TableBusyError):
                _start(backend, NAMES)
            assert loader.log_run_finish(load_id, LoadStatus.INTERRUPTED, "from outside") is LoadStatus.INTERRUPTED
            loader.cleanup(NAMES)
        assert backend.production(NAMES) == Counter(OLD)
        assert backend.leftovers([NAMES]) == []
        assert backend.statuses() == ["succeeded", "interrupted"]

    @pytest.mark.parametrize("point", ["started", "initialized", "half sent", "sent", "compared", "published"])
    def test_a_load_killed_at_a_step_leaves_all_of_a_release_and_the_next_load_heals(
        self, backend: Backend, point: str
    ) -> None:
        load(backend.new_loader(), NAMES, OLD)
        self._kill(backend, point, 0.0)
        published = point == "published"
        assert backend.production(NAMES) == Counter(NEW if published else OLD)
        assert backend.statuses() == ["succeeded", "succeeded" if published else "running"]
        self._heals(backend)

    @pytest.mark.parametrize("delay", [0.0, 0.01])
    def test_a_load_killed_while_it_publishes_leaves_the_old_rows_or_the_new_ones(
        self, backend: Backend, delay: float
    ) -> None:
        load(backend.new_loader(), NAMES, OLD)
        self._kill(backend, "publishing", delay)
        # The server may still be at work for the dead process; the table's lock tells when it is not.
        with backend.new_loader() as loader:
            loader.log_run_start(start_of(HISTORY))
            loader.log_run_start(start_of(NAMES))
        found = backend.production(NAMES)
        assert found in (Counter(OLD), Counter(NEW))
        published = found == Counter(NEW)
        names = [status for table, status in backend.loads("table_name", "status") if table == NAMES.name]
        assert names == ["succeeded", "succeeded" if published else "abandoned", "running"]
        assert undone(backend, NAMES, found, RELEASES[1]) == Counter(OLD)
        self._heals(backend)

    @staticmethod
    def _heals(backend: Backend) -> None:
        final = [A, B, C]
        before = backend.production(NAMES)
        load(backend.new_loader(), NAMES, final, RELEASES[2])
        assert backend.production(NAMES) == Counter(final)
        assert undone(backend, NAMES, Counter(final), RELEASES[2]) == before
        assert "running" not in [
            status for table, status in backend.loads("table_name", "status") if table == NAMES.name
        ]
        assert backend.leftovers([NAMES]) == []
        with backend.new_loader() as loader:
            assert not loader.find_drift(NAMES).found

    @staticmethod
    def _kill(backend: Backend, point: str, delay: float) -> None:
        """Load ``NEW`` in another process and kill it ``delay`` seconds after it has come to ``point``."""
        ours, theirs = PROCESSES.Pipe(duplex=False)
        process = process_of(load_until, backend, point, theirs)
        process.start()
        theirs.close()
        try:
            assert ours.poll(_PATIENCE_SECONDS)
            assert ours.recv() == point
            time.sleep(delay)
        finally:
            process.kill()
            process.join()
            ours.close()


def process_of(target: Callable[..., None], backend: Backend, *arguments: object) -> BaseProcess:
    """A process, not started yet, that is told where a backend is, and ``arguments``."""
    given = (dict(os.environ), target, backend.dsn, backend.settings(), *arguments)
    return PROCESSES.Process(target=_in_environment, args=given)


def _in_environment(environment: Mapping[str, str], target: Callable[..., None], *arguments: object) -> None:
    """In that of the test, which may have set something since the process was made that this one is a copy of."""
    os.environ.update(environment)
    target(*arguments)


def load_until(dsn: str, settings: Mapping[str, Any], point: str, pipe: Connection) -> None:
    """Load ``NEW`` into names up to ``point``, say so, and wait to be killed."""

    def reached(here: str) -> None:
        if here == point:
            pipe.send(here)
            if here != "publishing":
                _wait_for_ever()

    def rows() -> Iterator[bytes]:
        yield canonical(NEW[:30])
        reached("half sent")
        yield canonical(NEW[30:])

    try:
        with LoaderFactory.create_loader(dsn, settings) as loader:
            loader.log_run_start(start_of(NAMES, RELEASES[1]))
            reached("started")
            loader.initialize_staging(NAMES)
            reached("initialized")
            stage(loader, NAMES, rows())
            reached("sent")
            loader.execute_cdc(NAMES)
            reached("compared")
            reached("publishing")
            loader.apply_changes(NAMES, ApplyMode.DELTA)
            reached("published")
            _wait_for_ever()
    except Exception as error:
        pipe.send(repr(error))
        raise


def _wait_for_ever() -> NoReturn:
    while True:
        time.sleep(60)


def _start(backend: Backend, table: Table) -> None:
    """Begin a load of a table without patience."""
    with backend.new_loader(lock_timeout_seconds=0.1) as loader:
        loader.log_run_start(start_of(table))


def all_at_once(bodies: Sequence[Callable[[], object]]) -> None:
    """Call each in a thread of its own; raises the first error of theirs."""
    failures: list[BaseException] = []

    def guarded(body: Callable[[], object]) -> None:
        try:
            body()
        except BaseException as error:  # noqa: BLE001  # handed to the main thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
