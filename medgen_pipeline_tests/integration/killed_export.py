"""A process that exports until it is killed. A module of its own, so that such a process imports little."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

# Once for all processes that are copied from the one that imports this.
import adbc_driver_postgresql.dbapi  # noqa: F401
import pyarrow.parquet  # noqa: F401

from medgen_pipeline.access.export import export
from medgen_pipeline.loaders.postgres import PostgresNativeLoader

_CHANGES = {"os.mkdir", "os.link", "os.rename", "between tables"}


def export_until(event: int, dsn: str, place: Path) -> None:
    """Export, and be killed when the file system is about to be changed for the so-manieth time, or between tables."""
    left = event

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if name in _CHANGES or writes:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    export(lambda: PostgresNativeLoader.from_dsn(dsn, {}), str(place), told=lambda _: sys.audit("between tables"))
