"""One SQLAlchemy engine for each file of an instance in SQLite: a fifth of the CPU of a run goes into making them.

Dagster makes one for each event, with which SQLAlchemy compiles the event's statements anew. A kept engine has no
connection while it is not in use: each use opens and closes the file as before, and a copy of the process may use it.
"""

from functools import lru_cache
from typing import Any

from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS

# Runs, schedules, assets, and a file of events for each run that is at work.
_FILES = 16


def keep_engines() -> None:
    """Let this process keep them; of an instance in PostgreSQL Dagster does so itself."""
    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        module.create_engine = _engine_of  # type: ignore[attr-defined]  # not for others


def _engine_of(url: str, **_: Any) -> Any:
    """With Dagster's own options for events, whatever it asks for."""
    return _kept(url)


@lru_cache(maxsize=_FILES)
def _kept(url: str) -> Any:
    no_pool = sqlite_event_log.NullPool  # type: ignore[attr-defined]  # Dagster's own import
    return create_engine(url, poolclass=no_pool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
