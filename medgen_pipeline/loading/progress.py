"""What a long load says of itself while it is at work: into the log, and so into the run's events. Loads nothing."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator

logger = logging.getLogger(__name__)

_SECONDS = 5.0
_MILLION = 1e6


class Progress:
    """Of one load. One that takes less than a few seconds says nothing; each line is an event in Dagster's storage."""

    def __init__(self, table: str, clock: Callable[[], float] = time.monotonic) -> None:
        """The load begins now."""
        self._table = table
        self._clock = clock
        self._began = self._said = clock()

    def phase(self, doing: str) -> None:
        """Say what begins now, if the load has taken a few seconds already."""
        if self._clock() - self._began >= _SECONDS:
            self._say(doing)

    def counted(self, chunks: Iterable[bytes], rows: Callable[[], int], about: int) -> Iterator[bytes]:
        """The chunks, with a line every few seconds that says how far they are.

        Args:
            chunks: On their way into staging.
            rows: Says how many rows they were so far.
            about: How many there will be, more or less; 0: not known.
        """
        of_about = f" of about {about / _MILLION:.1f}" if about else ""
        for chunk in chunks:
            yield chunk
            if self._clock() - self._said >= _SECONDS:
                self._say(f"staged {rows() / _MILLION:.1f}{of_about} million rows")

    def _say(self, doing: str) -> None:
        logger.info("%s: %s", self._table, doing)
        self._said = self._clock()
