"""How many connections to a host are open at once, over all processes that use one archive."""

import logging
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from medgen_pipeline.release.errors import ConnectionsInUseError
from medgen_pipeline.release.folder import ArchiveFolder

_log = logging.getLogger(__name__)


@contextmanager
def counted_connection(folder: ArchiveFolder, host: str, limit: int, patience: float | None = None) -> Iterator[None]:
    """Wait until fewer than ``limit`` connections to a host are open, over all processes, and count as one.

    Args:
        folder: Where they are counted.
        host: Its name and port.
        limit: At most so many at once.
        patience: Seconds to wait; None for ever.

    Raises:
        ConnectionsInUseError: None was free in time.
        ArchiveError: The directory cannot be used.
    """
    slug = re.sub(r"[^\w.-]+", "_", host, flags=re.ASCII)
    with folder.usable():
        folder.make("locks")
        held = _first_free([folder.lock(f"{slug}-{number}") for number in range(1, limit + 1)], host, patience)
    try:
        yield
    finally:
        held.release()


def _first_free(locks: list[FileLock], host: str, patience: float | None) -> FileLock:
    started, said = time.monotonic(), False
    while True:
        for lock in locks:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            return lock
        if patience is not None and time.monotonic() - started > patience:
            raise ConnectionsInUseError(f"{host}: {len(locks)} connections are open, and no more are made.")
        if not said:
            _log.info("%s: %d connections are open; waiting for one of them", host, len(locks))
            said = True
        time.sleep(random.uniform(0.1, 0.3))  # noqa: S311  # not a secret
