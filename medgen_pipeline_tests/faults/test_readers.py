"""Readers of a table while releases replace each other: each read is one release, whole, and none fails."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psycopg

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.loaders import ApplyMode
from medgen_pipeline_tests.faults.support import PROCESSES, Observer, Scenario, jobs, rows_of

FEWEST_READS = 1_000
FEWEST_CHANGES = 16
NAMES = table_by_name("names")
VIEWS = """
CREATE SCHEMA reports;
CREATE VIEW reports.plain AS SELECT * FROM medgen.names;
CREATE VIEW reports.nested AS SELECT * FROM reports.plain;
CREATE VIEW reports.joined AS SELECT n.* FROM medgen.names n JOIN reports.nested USING (cui)
"""
RELATIONS = ("medgen.names", "reports.plain", "reports.nested", "reports.joined")

Summary = tuple[Any, ...]
Session = psycopg.Connection[Summary]
Read = Callable[[Session, Event], Iterator[Summary]]


def summary(session: Session, relation: str) -> Summary:
    """Count and checksum in one statement: one snapshot of the database."""
    found = session.execute(f"SELECT count(*), sum(hashtext(t::text)) FROM {relation} t".encode()).fetchone()  # noqa: S608  # constants
    assert found is not None
    return found


def read_alone(relation: str, session: Session, _: Event) -> Iterator[Summary]:
    """Each statement a transaction; psycopg prepares it, so that its plan meets a table that has gone."""
    while True:
        yield summary(session, relation)


def read_twice(session: Session, _: Event) -> Iterator[Summary]:
    """Two statements in one snapshot, through two relations."""
    session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    for first, second in cycle(zip(RELATIONS, RELATIONS[1:] + RELATIONS[:1], strict=True)):
        with session.transaction():
            both = summary(session, first), summary(session, second)
        assert both[0] == both[1], (first, second, both)
        yield from both


def read_late(session: Session, stop: Event) -> Iterator[Summary]:
    """In a snapshot that was taken before the last change, so that the table may be younger than it."""
    session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    newest = "SELECT max(load_id) FROM medgen_audit.load_run WHERE status = 'succeeded'"
    with psycopg.connect(session.info.dsn, autocommit=True) as watch:
        for relation in cycle(RELATIONS):
            with session.transaction():
                before = session.execute(newest).fetchone()
                while watch.execute(newest).fetchone() == before and not stop.is_set():
                    time.sleep(0.01)
                both = summary(session, relation), summary(session, RELATIONS[0])
            assert both[0] == both[1], (relation, both)
            yield from both


def maintain(statement: str, session: Session, _: Event) -> Iterator[Summary]:
    """Not a reader: VACUUM and the like, beside the others."""
    while True:
        session.execute(statement.encode())
        time.sleep(0.1)
        yield ()


class Reader:
    """A process that reads until it is told to stop, and not before it has read enough."""

    def __init__(self, dsn: str, read: Read, reads: int, stop: Event) -> None:
        self.enough = PROCESSES.Event()
        self._pipe, theirs = PROCESSES.Pipe(duplex=False)
        self._process = PROCESSES.Process(target=_read, args=(dsn, read, reads, self.enough, stop, theirs))
        self._process.start()
        theirs.close()

    def seen(self) -> "Counter[Summary]":
        """How often it has seen what."""
        seen = self._pipe.recv()
        self._pipe.close()
        self._process.join()
        assert isinstance(seen, Counter), seen
        return seen


def _read(
    dsn: str,
    read: Read,
    reads: int,
    enough: Event,
    stop: Event,
    pipe: Pipe,
) -> None:
    seen: Counter[Summary] = Counter()
    try:
        with psycopg.connect(dsn, autocommit=True) as session:
            for one in read(session, stop):
                seen[one] += 1
                if seen.total() >= reads:
                    enough.set()
                time.sleep(0.01)  # the loads go on, and need the time
                if stop.is_set():
                    break
    except (psycopg.Error, AssertionError) as error:
        pipe.send(f"{read}, after {seen.total()} reads: {error!r}")
    else:
        pipe.send(seen)
    finally:
        enough.set()


def test_every_read_beside_loads_and_vacuum_is_one_release(database: str, tmp_path: Path) -> None:
    releases = list(jobs(database, tmp_path, NAMES, 1, 2, 3))
    known: set[Summary] = set()
    with psycopg.connect(database, autocommit=True) as session, Observer(database, NAMES) as observer:
        for job in releases:
            job().run()
            known.add(summary(session, RELATIONS[0]))
        session.execute(VIEWS)
        stop = PROCESSES.Event()
        readers = [
            *(Reader(database, partial(read_alone, relation), FEWEST_READS // 5, stop) for relation in RELATIONS),
            Reader(database, read_twice, FEWEST_READS // 5, stop),
            Reader(database, read_late, 20, stop),
        ]
        others = [
            Reader(database, partial(maintain, statement), 20, stop)
            for statement in ("VACUUM (ANALYZE) medgen.names", "ANALYZE")
        ]
        changes = 0
        try:
            for job, scenario in zip(cycle(releases), cycle([Scenario.SNAPSHOT, Scenario.WAREHOUSE]), strict=False):
                changes += job(scenario.value).run().mode is ApplyMode.DELTA
                if changes >= FEWEST_CHANGES and all(reader.enough.is_set() for reader in (*readers, *others)):
                    break
        finally:
            stop.set()
        seen = sum((reader.seen() for reader in readers), Counter())
        assert all(other.seen() for other in others)
        assert observer.deadlocks() == 0
    assert len(known) == len(releases)
    assert set(seen) == known
    assert seen.total() >= FEWEST_READS


def test_a_report_that_takes_long_sees_one_release_and_does_not_stop_a_load(database: str, tmp_path: Path) -> None:
    job, later = jobs(database, tmp_path, NAMES, 1, 2)
    job().run()
    with psycopg.connect(database) as session, Observer(database, NAMES) as observer:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = summary(session, "medgen.names")
        assert later(Scenario.WAREHOUSE.value).run().mode is ApplyMode.DELTA
        assert observer.production() == Counter(rows_of(NAMES, 2))
        assert summary(session, "medgen.names") == before
