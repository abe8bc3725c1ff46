"""One SQLAlchemy engine for each file of an instance in SQLite: a fifth of the CPU of a run goes into making them.

Dagster makes one for each event, with which SQLAlchemy compiles the event's statements anew. A kept engine has no
connection while it is not in use: each use opens and closes the file as before, and a copy of the process may use it.
"""

import sys
from functools import lru_cache
from typing import Any

_STORAGES = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
    "dagster._core.storage.schedules.sqlite.sqlite_schedule_storage",
)
# Runs, schedules, assets, and a file of events for each run that is at work.
_FILES = 16


def keep_engines() -> None:
    """Let this process keep them, if its instance is in SQLite; of one in PostgreSQL Dagster does so itself.

    Dagster's commands and code servers open the instance before they load a code location (1.13.27). What they have not
    imported by then, such as SQLAlchemy and Alembic for an instance elsewhere, is not imported here either.
    """
    for name in _STORAGES:
        if name in sys.modules:
            vars(sys.modules[name])["create_engine"] = _engine_of


def _engine_of(url: str, *, poolclass: type, **_: Any) -> Any:
    """With the timeout of the files of events, whatever else Dagster asks for."""
    return _kept(url, poolclass)


@lru_cache(maxsize=_FILES)
def _kept(url: str, poolclass: type) -> Any:
    from dagster._core.storage.sql import create_engine
    from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS

    return create_engine(url, poolclass=poolclass, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
