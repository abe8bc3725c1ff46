"""How long one answer of a web server may take, and how large it may be, however it comes.

The timeouts of requests are for one piece: a header, a body or 1xx answers that come drop by drop never exceed them.
"""

import http.client
import io
import math
import time
from functools import partial
from typing import Any

from requests.adapters import HTTPAdapter

_MAX_ANSWER_BYTES = 1 << 20


class AnswerLimits:
    """What the answer under way may still take. For one session, which has one request at a time."""

    def __init__(self, seconds: float, silence: float) -> None:
        """Nothing is under way.

        Args:
            seconds: For the whole answer, from the moment its request was sent.
            silence: Seconds without a byte.
        """
        self.silence = silence
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """An answer is waited for."""
        self._until = time.monotonic() + self._seconds
        self._bytes_left: float = _MAX_ANSWER_BYTES

    def extend(self, seconds: float) -> None:
        """What is coming is a file's body: so many seconds from now on, and as many bytes as the caller takes."""
        self._until = time.monotonic() + seconds
        self._bytes_left = math.inf

    def next_timeout(self) -> float:
        """Seconds to wait for the next bytes.

        Raises:
            TimeoutError: The time is up.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer comes too slowly")
        return min(left, self.silence)

    def count(self, size: int) -> None:
        """So many bytes have come.

        Raises:
            ConnectionError: They are too many for an answer that is no file.
        """
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise ConnectionError(f"the answer has more than {_MAX_ANSWER_BYTES} bytes")


class LimitedAdapter(HTTPAdapter):
    """Connections on which every answer keeps the limits, also those of a proxy."""

    def __init__(self, limits: AnswerLimits, **settings: Any) -> None:
        """Nothing is connected; ``settings`` are those of the base class."""
        super().__init__(**settings)
        self._limits = limits

    def get_connection_with_tls_context(self, *args: Any, **settings: Any) -> Any:  # as types-requests has it
        pool: Any = super().get_connection_with_tls_context(*args, **settings)
        pool.ConnectionCls = partial(_connection, type(pool).ConnectionCls, self._limits)
        return pool


def _connection(kind: type[http.client.HTTPConnection], limits: AnswerLimits, **settings: Any) -> Any:
    connection: Any = kind(**settings)  # its response_class is declared a class, and only called
    connection.response_class = partial(_LimitedResponse, limits=limits)
    return connection


class _LimitedResponse(http.client.HTTPResponse):
    """Reads its header, and all that follows, through the limits."""

    def __init__(self, sock: Any, *args: Any, limits: AnswerLimits, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        limits.begin()
        self.fp = io.BufferedReader(_LimitedReader(self.fp.detach(), sock, limits))

    def _read_status(self) -> Any:
        try:
            return super()._read_status()  # type: ignore[misc]  # typeshed leaves it out
        except http.client.RemoteDisconnected:
            raise
        except http.client.BadStatusLine:  # it holds what was said, by a service that is no web server
            raise http.client.BadStatusLine("no answer of a web server") from None


class _LimitedReader(io.RawIOBase):
    """A socket's bytes."""

    def __init__(self, raw: Any, sock: Any, limits: AnswerLimits) -> None:
        super().__init__()
        self._raw, self._sock, self._limits = raw, sock, limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._limits.next_timeout())
        size: int = self._raw.readinto(buffer) or 0
        self._limits.count(size)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()
