"""One SQLAlchemy engine for each file of an instance in SQLite, and during a run one connection.

Dagster makes one of each for every event: with a new engine SQLAlchemy compiles the event's statements anew, and the
close of a file's last connection moves the event from SQLite's log to the file and waits for the disk twice more. An
empty run of all assets took 24 s, and takes 13 s with the connections of this module (1.13.27, two cores).
"""

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import click

_STORAGES = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
    "dagster._core.storage.schedules.sqlite.sqlite_schedule_storage",
)
# Runs, schedules, assets, and a file of events for each run that is at work.
_FILES = 16
# Of Dagster's commands, those that make a run and end with it. A server's process would keep files open for ever.
_RUNS = {"materialize", "execute", "execute_run", "execute_step"}

_keeps_connections = False
_connected: dict[str, Any] = {}
"""The engines that have a connection, by URL."""


def keep_engines() -> None:
    """Let this process keep engines, if its instance is in SQLite; of one in PostgreSQL Dagster does so itself.

    A kept engine has no connection while it is not in use, but for a run: see ``connections_kept``. In a process that
    ends with its run, all of the process is one.

    Dagster's commands and code servers open the instance before they load a code location (1.13.27). What they have not
    imported by then, such as SQLAlchemy and Alembic for an instance elsewhere, is not imported here either.
    """
    global _keeps_connections
    for name in _STORAGES:
        if name in sys.modules:
            vars(sys.modules[name])["create_engine"] = _engine_of
    command = click.get_current_context(silent=True)
    if command is not None and command.info_name in _RUNS:
        _keeps_connections = True
        atexit.register(close_connections)


@contextmanager
def connections_kept() -> Iterator[None]:
    """Keep a connection to each file until the end, where this process keeps engines.

    Others may read and write meanwhile: between its uses a connection holds no lock. What looks for events by changes
    of a run's file, as the UI's live log does, is told by the file's time.
    """
    global _keeps_connections
    before, _keeps_connections = _keeps_connections, True
    try:
        yield
    finally:
        _keeps_connections = before
        if not before:
            close_connections()


def close_connections() -> None:
    """Close them; the next use opens one again."""
    for url in list(_connected):
        engine = _connected.pop(url)
        type(engine).dispose(engine)


# A connection of SQLite's must not come into a copy of the process: https://www.sqlite.org/howtocorrupt.html, 2.6.
os.register_at_fork(before=close_connections)


def _engine_of(url: str, *, poolclass: type, **_: Any) -> Any:
    """With the timeout of the files of events, whatever else Dagster asks for."""
    if not _keeps_connections:
        return _kept(url, poolclass)
    if len(_connected) == _FILES and url not in _connected:
        close_connections()  # who reads the events of many runs would have all their files open
    _connected[url] = engine = _kept_connected(url)
    return engine


@lru_cache(maxsize=_FILES)
def _kept(url: str, poolclass: type, **pool: int) -> Any:
    from dagster._core.storage.sql import create_engine
    from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS

    # A pool's connection goes from thread to thread, one at a time.
    arguments = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
    return create_engine(url, poolclass=poolclass, connect_args=arguments, **pool)


@lru_cache(maxsize=_FILES)
def _kept_connected(url: str) -> Any:
    """With one connection that stays; what asks for one while that is in use gets its own, which is closed."""
    from sqlalchemy import event
    from sqlalchemy.pool import QueuePool

    engine = _kept(url, QueuePool, pool_size=1, max_overflow=-1)

    @event.listens_for(engine, "checkin")
    def _touch(*_: object) -> None:
        with suppress(OSError):  # gone: the run was deleted
            os.utime(engine.url.database)

    engine.dispose = _stay  # which Dagster calls after each event
    return engine


def _stay() -> None:
    """Nothing."""
