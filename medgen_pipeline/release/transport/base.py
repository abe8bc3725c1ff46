"""What transports have in common: how patient they are, what each can do, and how far a file has come.

A transport neither knows the archive's layout nor judges what a file contains.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import SplitResult

from medgen_pipeline.errors import MOST_SECONDS, require_number
from medgen_pipeline.release.errors import UnusableSourceError
from medgen_pipeline.release.records import Fingerprint

_log = logging.getLogger(__name__)

BLOCK_BYTES = 256 << 10
_YEARS = range(1970, 2200)


@dataclass(frozen=True)
class TransferOptions:
    """How patient a transfer is.

    Attributes:
        attempts: Tries of one request, and of one file's body, before giving up.
        backoff_factor: Seconds; waits between tries are 0, then 2, 4, 8 ... times this, plus some at random.
        connect_timeout: Seconds until a connection is made.
        read_timeout: Seconds without a byte.
        answer_timeout: Seconds for one whole answer of a web server, but for a file's body.
        min_bytes_per_second: A body that comes more slowly is broken off, and asked for again.
        max_bytes: A published file larger than this is refused; the largest seen had 240 MB.
        max_bytes_setting: What the error tells the user to raise.
        max_release_bytes: The same for all files of a source together; they had 350 MB in 2025.
        auth: User and password of a private mirror; no other host gets them.
        hosts: Servers besides the source's own to which it may redirect: ``host``, or ``host:port``.
        url_setting: The variable with the source's URL, which errors tell the user to check.
    """

    attempts: int = 6
    backoff_factor: float = 1.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    answer_timeout: float = 60.0
    min_bytes_per_second: float = 4096.0
    max_bytes: int = 5 << 30
    max_bytes_setting: str = "max_file_gib"
    max_release_bytes: int = 20 << 30
    auth: tuple[str, str] | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    url_setting: str = "MEDGEN_SOURCE_URL"

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            SettingError: With name, value and range.
        """
        require_number("attempts", self.attempts, 1, 100, whole=True)
        require_number("backoff_factor", self.backoff_factor, most=60)
        require_number("min_bytes_per_second", self.min_bytes_per_second, above=True)
        for name in ("connect_timeout", "read_timeout", "answer_timeout"):
            require_number(name, getattr(self, name), most=MOST_SECONDS, above=True)
        for name in ("max_bytes", "max_release_bytes"):
            require_number(name, getattr(self, name), whole=True)


class Transport(ABC):
    """One kind of source; made for one file, or for one look at all of them, and closed after it."""

    dates_publication: ClassVar[bool]
    """Whether the time of change is the publisher's; a copy in a directory often has the time of copying."""

    max_connections: ClassVar[int | None] = None
    """How many of these may be open to one host at once, counted over all processes; None for any number."""

    def __init__(self, options: TransferOptions) -> None:
        """Keep the options; nothing is opened yet."""
        self._options = options
        self.clock: datetime | None = None
        """What the source's clock showed at its last answer, where it tells."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the source needed."""

    @classmethod
    @abstractmethod
    def base_url(cls, source: SplitResult) -> str:
        """Return the source's URL with a slash at its end and no secrets in it, or raise."""

    @abstractmethod
    def probe(self, url: str) -> Fingerprint:
        """Return the fingerprint of the file as it is now, without reading it."""

    def list_files(self, base_url: str) -> dict[str, str] | None:
        """Return what one request tells of the files below ``base_url``: a text by name that changes with the file.

        The text is empty where it cannot be read. None means a kind of source that lists nothing.
        """
        del base_url
        return None

    @abstractmethod
    def download(self, url: str, part: Path) -> Fingerprint:
        """Write the whole file to ``part`` and return the fingerprint of exactly the version written."""

    @abstractmethod
    def modified_at(self, fingerprint: Fingerprint) -> datetime | None:
        """Return the fingerprint's time of change in UTC, or None where the source does not tell it."""

    def _refuse_oversize(self, url: str, size: int) -> None:
        if size > self._options.max_bytes:
            raise UnusableSourceError(
                f"{url}: {size} bytes or more, and at most {self._options.max_bytes} are accepted. "
                f"If the file is right, raise {self._options.max_bytes_setting} of the resource medgen_source."
            )


class Progress:
    """A log line whenever another tenth of a file has arrived."""

    def __init__(self, url: str, size: int | None) -> None:
        """Say nothing yet; of a file of unknown size nothing is ever said."""
        self._url, self._size = url, size
        self._reported = 0

    def report(self, position: int) -> None:
        """So many bytes are here."""
        if not self._size:
            return
        tenths = position * 10 // self._size
        if self._reported < tenths < 10:
            self._reported = tenths
            _log.info("%s: %d %% of %.1f MB", self._url, tenths * 10, self._size / 1e6)


def plausible(read: Callable[..., datetime], *arguments: Any) -> datetime | None:
    """A time as it is read, or None where that fails or gives a year in which nothing was published."""
    try:
        moment = read(*arguments)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.year in _YEARS else None
