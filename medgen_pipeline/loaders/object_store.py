"""Rows on their way through object storage: parts of a fixed size, one request each, and nothing left behind.

Below ``<table folder><load id>/`` lies what one load sends. How many rows will come is not known beforehand, so a part
is closed once it is large enough, and sent whole while the next one fills: one thread encodes beside the one that
frames, and several send. At no time is more in memory than the parts under way. What an object store takes
otherwise, S3 or a volume, is its ``ObjectStore``; what is in a part, text or Parquet, its ``Part``.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, Self, TypeVar

from medgen_pipeline.errors import MedgenError

logger = logging.getLogger(__name__)
Rows = TypeVar("Rows")  # what a part takes at a time: canonical bytes, a record batch
Taken = TypeVar("Taken", contravariant=True)

_THREADS = 4
_WAITING = 2  # turns that wait for the thread that encodes


class ObjectStore(Protocol):
    """Where objects are kept, by full names with slashes. An error names the object, and is one of the contract's."""

    def put(self, name: str, body: bytes) -> None:
        """Write a whole object, in the place of one that is there. Called from several threads at once."""

    def names(self, folder: str) -> Iterable[str]:
        """The objects whose names begin with ``folder``."""

    def remove(self, names: Collection[str]) -> None:
        """Remove objects; one that is not there hinders nothing."""


class Part(Protocol[Taken]):
    """One object in the making."""

    def write(self, rows: Taken) -> int:
        """Take rows; returns how many bytes there are by now."""

    def finish(self) -> bytes:
        """The object, whole; called once."""


class LoadFolder:
    """The objects of one load of one table.

    Attributes:
        name: The folder's, with a slash at its end.
    """

    def __init__(self, store: ObjectStore, table_folder: str, load_id: int, *, threads: int = _THREADS) -> None:
        """Nothing is sent.

        Args:
            store: Where the objects are kept.
            table_folder: What the folders of all loads of the table are in; it ends with a slash.
            load_id: Of this load.
            threads: How many send at the same time.
        """
        self.name = f"{table_folder}{load_id}/"
        self._store = store
        self._table_folder = table_folder
        self._threads = threads
        self._sent: list[str] = []

    def __enter__(self) -> Self:
        """Nothing is sent."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was sent, whatever happened, without hiding why this is called."""
        try:
            self.remove()
        except MedgenError as error:
            logger.warning("objects stay until the next load sweeps them: %s", error)

    def put(self, name: str, body: bytes) -> str:
        """Send an object; returns its full name. It is removed with the others also where this fails."""
        full = f"{self.name}{name}"
        self._sent.append(full)
        self._store.put(full, body)
        return full

    def send(
        self, turns: Iterable[Rows], new_part: Callable[[], Part[Rows]], suffix: str, part_bytes: int
    ) -> list[str]:
        """Send rows in parts; returns the parts' full names in their order.

        Args:
            turns: The rows, a megabyte or so at a time.
            new_part: Makes an empty part.
            suffix: How the parts' names end.
            part_bytes: A part is closed by the turn that makes it as large.
        """
        parts: list[str] = []
        filling: Part[Rows] | None = None

        def write(rows: Rows) -> None:
            nonlocal filling
            filling = filling or new_part()
            if filling.write(rows) >= part_bytes:
                close()

        def close() -> None:
            nonlocal filling
            if filling is not None:
                name, body, filling = f"part-{len(parts):05d}{suffix}", filling.finish(), None
                parts.append(f"{self.name}{name}")
                sender.submit(self.put, name, body)

        with _Sender(self._threads) as sender:
            for rows in turns:
                sender.in_order(write, rows)
            sender.in_order(close)
        return parts

    def remove(self) -> None:
        """Remove what was sent; harmless when there is nothing."""
        if self._sent:
            self._store.remove(self._sent)
            self._sent.clear()

    def sweep(self, dead_loads: Collection[int]) -> None:
        """Remove what loads of this table have left that are known to have ended.

        Other folders are not touched: another database may use the same place.
        """
        dead = {f"{self._table_folder}{load_id}/" for load_id in dead_loads} - {self.name}
        width = len(self._table_folder)
        left = [name for name in self._store.names(self._table_folder) if name[: name.find("/", width) + 1] in dead]
        if left:
            logger.warning("%s: removing %d objects of loads that ended badly", self._table_folder, len(left))
            self._store.remove(left)


class _Sender:
    """Threads that send, one that encodes, and limits on how much waits for them."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="send")
        self._one_thread = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._room = threading.BoundedSemaphore(threads + 1)
        self._room_in_order = threading.BoundedSemaphore(_WAITING)
        self._error: BaseException | None = None

    def __enter__(self) -> "_Sender":
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        """Wait for what is under way; raise the first error unless another is on its way."""
        try:
            self._end(cancel=exc_type is not None)
        finally:  # where an interrupt ends the wait: nothing may be sent after the folder has been emptied
            self._end(cancel=True)
        if exc_type is None and self._error is not None:
            raise self._error

    def _end(self, *, cancel: bool) -> None:
        # The one that encodes hands over to those that send, so it ends first.
        for threads in (self._one_thread, self._threads):
            threads.shutdown(wait=True, cancel_futures=cancel)

    def in_order(self, step: Callable[..., None], *arguments: object) -> None:
        """Do this in the one thread, after all that it was given before."""
        self._start(self._one_thread, self._room_in_order, step, *arguments)

    def submit(self, send: Callable[..., object], *arguments: object) -> None:
        """Send in a thread, when there is room."""
        self._start(self._threads, self._room, send, *arguments)

    def _start(
        self, threads: ThreadPoolExecutor, room: threading.Semaphore, step: Callable[..., object], *arguments: object
    ) -> None:
        room.acquire()
        if self._error is not None:
            room.release()
            raise self._error
        threads.submit(step, *arguments).add_done_callback(partial(self._done, room))

    def _done(self, room: threading.Semaphore, future: Future[Any]) -> None:
        # The error first: whoever has waited for room must find it.
        if not future.cancelled() and self._error is None:
            self._error = future.exception()
        room.release()
