"""Dagster's SQLite without reading the hundred files of its schema's revisions for each instance and each run."""

from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.sql import get_alembic_config


def keep_revisions() -> None:
    """Let this process, and those that are copied from it, read them once for each storage."""
    read = ScriptDirectory.from_config
    kept: dict[object, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        storage = config.config_file_name
        if storage not in kept:
            kept[storage] = read(config)
        return kept[storage]

    ScriptDirectory.from_config = from_config  # type: ignore[method-assign]  # for the storages' alone


def read_revisions() -> None:
    """Read them now, for the processes that are copied."""
    keep_revisions()
    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        ScriptDirectory.from_config(get_alembic_config(module.__file__)).get_current_head()
