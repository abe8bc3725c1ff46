"""Loads in processes of their own, what can happen to them at a chosen point, and a look at what they leave.

A point is one exchange of the load with the server, or one change to the archive's directory while it fetches. A run
without a fault counts the points and names the phase of each. Fault injection touches psycopg in the child process
alone; nothing of the package is replaced.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg import sql

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders import ApplyMode, LoaderFactory, Strategy
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.loading.load import LoadOptions, LoadResult
from medgen_pipeline.release import Archive, ReleaseSource, SourceFile
from medgen_pipeline.rows.published import line_of
from medgen_pipeline.testing import Row
from medgen_pipeline.testing.files import OPEN_GATES, write
from medgen_pipeline_tests.loaders.cases import THOROUGHLY

# A process that forks from a server without threads starts in 10 ms; one that imports the package takes half a second.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", __name__, "medgen_pipeline.loaders.postgres"])

# The loader's methods that make a phase, found on the stack. A first load's ``log_run_start`` creates the schemas.
_PHASES = frozenset(
    {
        "connect",
        "log_run_start",
        "last_load",
        "is_as_left",
        "initialize_staging",
        "bulk_load",
        "log_rejected_rows",
        "log_run_detail",
        "execute_cdc",
        "apply_changes",
        "_after_publishing",
        "cleanup",
        "_look",  # the load's own: its preview
    }
)
_FILE_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.chmod"})


# Releases


def rows_of(table: SourceTable, variant: int, count: int = 300) -> list[Row]:
    """The good rows of a release. Two variants differ by inserts, updates and deletes, and share most rows.

    With a key, each key is there once. Without one, rows repeat, and another number of times in another variant.
    """
    rows: list[Row] = []
    for number in range(count):
        if (number + variant) % (8 + variant) == 0:
            continue
        changes = number % 11 == variant % 11
        values = [f"{column} {number}{f' v{variant}' if changes else ''}" for column in table.column_names[1:]]
        row: Row = (f"C{number:07}", *(None if (number + place) % 13 == 0 else v for place, v in enumerate(values)))
        rows += [row] * (1 if table.key else 1 + (number + variant * changes) % 3)
    return rows


def publish(folder: Path, table: SourceTable, rows: Sequence[Row], *, bad_lines: int = 1) -> Path:
    """Write a release of one table with lines in it that have to be rejected; returns the folder."""
    lines = [line_of(table, [b"" if value is None else str(value).encode() for value in row])[:-1] for row in rows]
    lines[7:7] = [b"a line that is too short"] * bad_lines
    write(folder, table, lines)
    return folder


# Loads


@dataclass(frozen=True)
class Job:
    """Fetching and loading one table of one release, as an asset does."""

    dsn: str
    archive: Path
    table: SourceTable
    release: Path
    options: LoadOptions = field(default_factory=lambda: LoadOptions(limits=OPEN_GATES))
    lock_timeout_seconds: float = 60.0

    def fetched(self) -> SourceFile:
        return ReleaseSource(self.release.as_uri(), Archive(self.archive)).fetch(self.table)

    def run(self) -> LoadResult:
        source = self.fetched()
        loader = LoaderFactory.create_loader(self.dsn, {"lock_timeout_seconds": self.lock_timeout_seconds})
        return load_table(loader, self.table, source, Archive(self.archive), self.options)


def jobs(dsn: str, folder: Path, table: SourceTable, *variants: int, bad_lines: int = 1) -> Iterator[partial[Job]]:
    """For each variant the making of its job; options are still open."""
    for variant in variants:
        release = publish(folder / f"2026-01-{variant:02}", table, rows_of(table, variant), bad_lines=bad_lines)
        yield partial(Job, dsn, folder / "archive", table, release)


@dataclass(frozen=True)
class Fault:
    """What happens to a load, and when.

    Attributes:
        strike: What happens.
        at: Number of the point.
        under_way: Strike when the statement has been sent and the answer has not been read, instead of before it.
    """

    strike: Callable[[], None]
    at: int
    under_way: bool = False


@dataclass(frozen=True)
class Outcome:
    """The end of a load's process.

    Attributes:
        exit_code: As ``multiprocessing`` has it; negative after a signal.
        result: What the load returned, if it did.
        error: Class and text of the package's error it raised, if it did.
        phases: The phase of every point it passed, in order.
    """

    exit_code: int | None
    result: LoadResult | None = None
    error: str = ""
    phases: tuple[str, ...] = ()


def spread(phases: Sequence[str], turn: int, seen: Collection[str]) -> Iterator[tuple[int, bool]]:
    """Points to strike at, each with whether the statement is under way: some phases at each turn, the commit always.

    Of the publication one quarter at each turn; where all cases run, all of them.

    Args:
        phases: Of all points of a load.
        turn: Number of the scenario; another one gives other phases and other points of them.
        seen: Phases of earlier turns; a new one is always struck.
    """
    at: dict[str, list[int]] = {}
    for number, phase in enumerate(phases):
        at.setdefault(phase, []).append(number)
    for place, (phase, numbers) in enumerate(at.items()):
        quarters = [(numbers[len(numbers) * part // 4], (part + turn) % 2 == 0) for part in (1, 2, 3)]
        if phase == "fetch" and phase not in seen:
            yield from quarters
        elif phase == "apply_changes":
            yield from quarters if THOROUGHLY else [quarters[turn % 3]]
            yield numbers[-1], False
            yield numbers[-1], True
        elif phase not in seen or (place + turn) % 3 == 0:
            yield numbers[(5 * turn + place) % len(numbers)], (place + turn) % 2 == 0


class Attempt:
    """A load that runs in a process of its own."""

    def __init__(self, job: Job, fault: Fault | None = None, barrier: Barrier | None = None) -> None:
        self._pipe, theirs = PROCESSES.Pipe(duplex=False)
        self._process = PROCESSES.Process(target=_attempt, args=(job, fault, barrier, theirs))
        self._process.start()
        theirs.close()

    def is_running(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()

    def outcome(self) -> Outcome:
        """Wait for the end."""
        try:
            said = self._pipe.recv()
        except EOFError:
            said = {}
        self._pipe.close()
        self._process.join()
        return Outcome(self._process.exitcode, **said)


def run(job: Job, fault: Fault | None = None) -> Outcome:
    return Attempt(job, fault).outcome()


def kill(process: int | None = None) -> None:
    """SIGKILL, by default to the process that calls this."""
    os.kill(process or os.getpid(), signal.SIGKILL)


class InterruptedFromOutsideError(BaseException):
    """Like Dagster's, which is no Exception either."""


@contextmanager
def interrupts_raise() -> Iterator[None]:
    """What Dagster does around a step: the handler of a signal raises, wherever the step is."""

    def raise_it(*_: object) -> None:
        raise InterruptedFromOutsideError

    before = {number: signal.signal(number, raise_it) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt() -> None:
    """A SIGTERM to this process."""
    signal.raise_signal(signal.SIGTERM)


def kill_server(data: Path, how: signal.Signals) -> None:
    """End the main process of the server on a cluster; its other processes follow."""
    os.kill(int((data / "postmaster.pid").read_text().partition("\n")[0]), how)


def end_backend(dsn: str, purpose: str) -> None:
    """End the server's process of a load's connection, and wait until it has ended."""
    backends = (
        f"FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'medgen_pipeline {purpose}'"
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) {backends}".encode())
        while connection.execute(f"SELECT {backends}".encode()).fetchone():
            time.sleep(0.002)


def edit(dsn: str, statement: str) -> None:
    """Change production by hand, unless the load keeps writers out."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '1ms'")
        try:
            connection.execute(statement.encode())
        except psycopg.errors.LockNotAvailable:
            return


def _attempt(job: Job, fault: Fault | None, barrier: Barrier | None, pipe: Pipe) -> None:
    points = _Points(fault, job.archive)
    said: dict[str, Any] = {}
    if barrier is not None:
        barrier.wait()
    with points.counted():
        try:
            with interrupts_raise():
                said["result"] = job.run()
        except MedgenError as error:
            said["error"] = f"{type(error).__name__}: {error}"
        except InterruptedFromOutsideError:
            pass
    pipe.send({**said, "phases": tuple(points.phases)})
    sys.exit(0 if "result" in said else 1)


class _Points:
    """Counts the points of a load and lets the fault strike at its own."""

    def __init__(self, fault: Fault | None, archive: Path) -> None:
        self.phases: list[str] = []
        self._fault = fault
        self._archive = str(archive)
        self._struck = False

    @contextmanager
    def counted(self) -> Iterator[None]:
        wait = psycopg.Connection.wait

        def counting_wait(
            connection: psycopg.Connection[Any], generator: Generator[Any, Any, Any], *args: Any, **more: Any
        ) -> Any:
            if self._is_struck_at(_phase()):
                assert self._fault is not None
                if self._fault.under_way:
                    generator = _strike_under_way(generator, self._fault.strike)
                else:
                    self._fault.strike()
            return wait(connection, generator, *args, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(psycopg.Connection, "wait", counting_wait)
            sys.addaudithook(self._on_file)
            yield

    def _is_struck_at(self, phase: str) -> bool:
        if self._struck:  # what the strike itself does is no point
            return False
        self.phases.append(phase)
        self._struck = self._fault is not None and self._fault.at == len(self.phases) - 1
        return self._struck

    def _on_file(self, event: str, arguments: tuple[object, ...]) -> None:
        if (
            event in _FILE_EVENTS
            and str(arguments[0]).startswith(self._archive)
            and threading.current_thread() is threading.main_thread()  # the load itself reads in others
            and self._is_struck_at("fetch")
        ):
            assert self._fault is not None
            self._fault.strike()


def _phase() -> str:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in _PHASES:
            return frame.f_code.co_name
        frame = frame.f_back  # type: ignore[assignment]  # the loop ends with it
    return "open"


def _strike_under_way(generator: Generator[Any, Any, Any], strike: Callable[[], None]) -> Generator[Any, Any, Any]:
    """The same exchange, with a strike at the moment when the client would wait for the first time."""
    try:
        wanted = next(generator)
    except StopIteration as end:  # nothing to wait for
        strike()
        return end.value
    strike()
    try:
        while True:
            wanted = generator.send((yield wanted))
    except StopIteration as end:
        return end.value


# What is left


class Scenario(Enum):
    """How a load gets to production; the value is its options."""

    FIRST = LoadOptions(OPEN_GATES)
    SNAPSHOT = LoadOptions(replace(OPEN_GATES, max_growth_percent=10_001))  # of equal values an Enum makes one
    WAREHOUSE = LoadOptions(OPEN_GATES, force_warehouse=True)

    @property
    def expected(self) -> tuple[Strategy, ApplyMode]:
        """The strategy and the mode that these options are for."""
        return {
            Scenario.FIRST: (Strategy.WAREHOUSE, ApplyMode.FIRST),
            Scenario.SNAPSHOT: (Strategy.SNAPSHOT, ApplyMode.DELTA),
            Scenario.WAREHOUSE: (Strategy.WAREHOUSE, ApplyMode.DELTA),
        }[self]


class Observer:
    """An administrator's session that looks at one table, its audit and its feed."""

    def __init__(self, dsn: str, table: SourceTable) -> None:
        self.table = table
        self._connection = psycopg.connect(dsn, autocommit=True, application_name="observer")
        self._columns = sql.SQL(", ").join(map(sql.Identifier, table.column_names))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def query(self, statement: str, *params: object) -> list[Row]:
        cursor = self._connection.execute(statement.encode(), params or None)
        return cursor.fetchall() if cursor.description else []

    def exists(self, relation: str) -> bool:
        return self.query("SELECT to_regclass(%s) IS NOT NULL", relation) == [(True,)]

    def production(self) -> Counter[Row] | None:
        """Its rows, or None where there is no table."""
        if not self.exists(f"medgen.{self.table.name}"):
            return None
        return Counter(
            self._connection.execute(
                sql.SQL("SELECT {} FROM {}").format(self._columns, sql.Identifier("medgen", self.table.name))
            )
        )

    def newest_load(self) -> int:
        """The id of the newest recorded load, 0 where there is none."""
        if not self.exists("medgen_audit.load_run"):
            return 0
        ((newest,),) = self.query("SELECT coalesce(max(load_id), 0) FROM medgen_audit.load_run")
        return int(str(newest))

    def statuses_after(self, load_id: int) -> list[str]:
        """The statuses of the loads since ``load_id``, oldest first."""
        if not self.exists("medgen_audit.load_run"):
            return []
        found = self.query("SELECT status FROM medgen_audit.load_run WHERE load_id > %s ORDER BY load_id", load_id)
        return [str(status) for (status,) in found]

    def before(self, rows: Counter[Row], load_id: int) -> Counter[Row]:
        """What the table held after ``load_id``, from what it holds now and the feed since then."""
        rebuilt = Counter(rows)
        if self.exists(f"medgen_changes.{self.table.name}"):
            for change, *values in self._connection.execute(
                sql.SQL("SELECT _change_type, {} FROM {} WHERE _load_id > %s").format(
                    self._columns, sql.Identifier("medgen_changes", self.table.name)
                ),
                [load_id],
            ):
                rebuilt[tuple(values)] += 1 if change in {"delete", "update_preimage"} else -1
        assert min(rebuilt.values(), default=0) >= 0, "the feed takes rows away that were not there"
        return +rebuilt

    def backends(self) -> list[Row]:
        return self.query(
            "SELECT pid, application_name, state, wait_event_type, query FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'medgen_pipeline%'"
        )

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Look again and again, less often the longer it takes; the limit only ends a test that would hang."""
        deadline, pause = time.monotonic() + 120, 0.005
        while not condition():
            assert time.monotonic() < deadline, self.backends()
            time.sleep(pause)
            pause = min(1.2 * pause, 0.2)

    def wait_for_a_blocked_load(self) -> None:
        """Until a load waits for a lock inside the server."""
        self.wait_until(lambda: [backend for backend in self.backends() if backend[3] == "Lock"])

    @contextmanager
    def holding(self, mode: str) -> Iterator[None]:
        """Hold a lock on production meanwhile."""
        with self._connection.transaction():
            self.query(f"LOCK TABLE medgen.{self.table.name} IN {mode} MODE")
            yield

    def deadlocks(self) -> int:
        ((count,),) = self.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(str(count))

    def wait_for_the_end(self) -> None:
        """Until no server process works for a load any more."""
        self.wait_until(lambda: not self.backends())

    def leftovers(self) -> list[Row]:
        """Relations outside production, feed and audit, and locks on anything but the system's catalog."""
        return self.query(
            "SELECT 'relation', c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'medgen_staging' OR n.nspname = 'medgen' AND c.relname ~ '__(retired|new|changes)'"
            " UNION ALL SELECT 'lock', concat_ws(' ', locktype, mode, backend_type, query)"
            " FROM pg_locks l LEFT JOIN pg_stat_activity USING (pid)"
            " WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND backend_type IS DISTINCT FROM 'autovacuum worker'"
            " AND (l.locktype = 'advisory' OR l.relation IN (SELECT c.oid FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname LIKE 'medgen%'))"
        )


class Trials:
    """One table that goes from one release to the other, again and again, with something in its way each time."""

    def __init__(
        self,
        dsn: str,
        folder: Path,
        table: SourceTable,
        scenario: Scenario,
        revive: Callable[[], object] | None = None,
    ) -> None:
        """Load the earlier release.

        Args:
            dsn: An empty database.
            folder: For releases and archive.
            table: The table.
            scenario: How it is loaded.
            revive: Brings back the server, where that is what is struck.
        """
        self._scenario = scenario
        self._revive = revive
        self._archive = folder / "archive"
        self._mirror = folder / "mirror"
        bad_lines = int(scenario is not Scenario.SNAPSHOT)  # a file that has, or had, any is compared as a whole
        self._releases = deque(
            (Counter(rows), publish(folder / release, table, rows, bad_lines=bad_lines))
            for release, rows in (("2026-01-07", rows_of(table, 1)), ("2026-01-14", rows_of(table, 2)))
        )
        for _, release in self._releases:
            shutil.copytree(release, self._mirror / release.name)
        self._dsn = dsn
        self._table = table
        self._observer = Observer(dsn, table)
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop_everything()
        self._observer.close()

    def phases(self) -> tuple[str, ...]:
        """The phases of the points of an undisturbed load."""
        job, (new, _) = self._next()
        outcome = run(job)
        assert outcome.result is not None, outcome.error
        assert (outcome.result.strategy, outcome.result.mode) == self._scenario.expected
        assert self._observer.production() == new
        return outcome.phases

    def strike(self, fault: Fault) -> Outcome:
        """Strike one load, and see that production is whole, that the audit and the feed agree, and what comes next."""
        old, _ = self._releases[0]
        job, (new, release) = self._next()
        look = self._observer
        earlier = look.newest_load()
        outcome = run(job, fault)
        if self._revive:
            self._revive()
            look.close()
            look = self._observer = Observer(self._dsn, self._table)
        look.wait_for_the_end()

        found, statuses = look.production(), look.statuses_after(earlier)
        published = found == new
        assert published or found == (None if self._scenario is Scenario.FIRST else old)
        if outcome.result or (outcome.error and not self._revive):
            assert published is bool(outcome.result), "the load does not know what it did"
        assert statuses in ([["succeeded"]] if published else [[], ["running"], ["failed"], ["interrupted"]])
        if self._scenario is not Scenario.FIRST:
            assert look.before(found or Counter(), earlier) == old

        self._job(self._mirror / release.name).run()  # not where the struck load may be in the middle of fetching
        look.wait_for_the_end()
        assert look.production() == new
        struck = ["abandoned" if status == "running" else status for status in statuses]
        assert look.statuses_after(earlier) == [*struck, "succeeded"]
        assert look.leftovers() == []
        assert list((self._archive / "incoming").iterdir()) == []
        if self._scenario is not Scenario.FIRST:
            assert look.before(new, earlier) == old
            assert look.query("SELECT count(*) FROM reports.nested") == [(new.total(),)]
        return outcome

    def _begin(self) -> None:
        """Make the earlier release stand, with views on it; a first load needs nothing to stand."""
        if self._scenario is not Scenario.FIRST:
            for _, release in reversed(self._releases):  # both, so that the archive has them
                self._job(release).run()
            production = f"medgen.{self._table.name}"
            self._observer.query(f"CREATE SCHEMA reports CREATE VIEW plain AS SELECT * FROM {production}")  # noqa: S608  # ours
            self._observer.query("CREATE VIEW reports.nested AS SELECT * FROM reports.plain")

    def _next(self) -> tuple[Job, tuple[Counter[Row], Path]]:
        if self._scenario is Scenario.FIRST:
            self._drop_everything()
        self._releases.rotate()
        return self._job(self._releases[0][1]), self._releases[0]

    def _drop_everything(self) -> None:
        for schema in ("reports", "medgen", "medgen_staging", "medgen_changes", "medgen_audit", "medgen_history"):
            self._observer.query(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        shutil.rmtree(self._archive, ignore_errors=True)

    def _job(self, release: Path) -> Job:
        return Job(self._dsn, self._archive, self._table, release, self._scenario.value)


def strike_everywhere(
    dsn: str, folder: Path, table: SourceTable, strike: Callable[[], None], scenarios: Iterable[Scenario] = Scenario
) -> list[Outcome]:
    """Strike loads of every scenario at points of every phase, one load at a time."""
    struck: list[Outcome] = []
    seen: set[str] = set()
    for turn, scenario in enumerate(scenarios):
        with Trials(dsn, folder / scenario.name, table, scenario) as trials:
            phases = trials.phases()
            for at, under_way in spread(phases, turn, frozenset(seen)):
                try:
                    struck.append(trials.strike(Fault(strike, at, under_way)))
                except Exception as error:
                    error.add_note(f"{table.name}, {scenario.name}, point {at} ({phases[at]}), {under_way=}")
                    raise
                seen.add(phases[at])
            assert seen >= set(phases)
    return struck
