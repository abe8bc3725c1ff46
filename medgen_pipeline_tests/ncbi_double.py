"""A local double of https://ftp.ncbi.nlm.nih.gov/pub/medgen/: real HTTP on the loopback, faults on demand.

It serves a directory through werkzeug, which knows Last-Modified, ETag, Range, If-Range and HEAD; what NCBI was not
seen to send can be switched off. A fault answers, or delays, one later request. Nothing of the package is used here.
"""

import gzip
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response
from werkzeug.exceptions import NotFound, RequestedRangeNotSatisfiable
from werkzeug.utils import send_from_directory

PREFIX = "/pub/medgen/"
_BLOCK_BYTES = 64 << 10
_GZIP_TYPE = "application/x-gzip"  # named, or werkzeug would add "Content-Encoding: gzip" to .gz files

Fault = Callable[["NcbiDouble", Request], Response | None]
"""Answers a request itself, or prepares something and returns None: then the file is served as usual."""


@dataclass(frozen=True)
class Seen:
    """One request that arrived, and how it was answered."""

    method: str
    file_name: str
    headers: dict[str, str]  # of the request
    status: int
    at: float  # time.monotonic()


class NcbiDouble:
    """The files of ``directory`` under :attr:`url`; see :func:`ncbi_double`."""

    def __init__(self, server: HTTPServer, directory: Path, *, etag: bool, ranges: bool) -> None:
        """Attach to a server that runs."""
        self.directory = directory
        self.url = server.url_for(PREFIX)
        self.seen: list[Seen] = []
        self.body_bytes = 0
        self._etag = etag
        self._ranges = ranges
        self._faults: list[tuple[str, Fault]] = []
        self._lock = threading.Lock()
        server.expect_request(re.compile(f"^{PREFIX}")).respond_with_handler(self._answer)

    def inject(self, *faults: Fault, on: str = "GET") -> None:
        """Let the next requests of this method meet these faults, one each, in order."""
        self._faults += [(on, fault) for fault in faults]

    def methods(self) -> list[str]:
        """Return the methods of all requests so far."""
        return [seen.method for seen in self.seen]

    def served(self, request: Request) -> Path:
        """Return the file a request asks for."""
        return self.directory / request.path.removeprefix(PREFIX)

    def serve(self, request: Request) -> Response:
        """Answer without a fault."""
        path = self.served(request)
        environ = dict(request.environ)
        if not self._ranges:
            environ.pop("HTTP_RANGE", None)
        mimetype = _GZIP_TYPE if path.suffix == ".gz" else "text/plain"
        try:
            response = send_from_directory(self.directory, path.name, environ, mimetype=mimetype, etag=self._etag)
        except (NotFound, RequestedRangeNotSatisfiable) as error:
            return Response(error.description, error.code)
        if request.method == "HEAD":
            response.close()
            response.response = []
            return response
        # In memory: werkzeug 3.1 forgets to close a file when the client hangs up.
        response.direct_passthrough = False
        data = response.get_data()
        response.close()
        response.response = [data[at : at + _BLOCK_BYTES] for at in range(0, len(data), _BLOCK_BYTES)]
        if not self._ranges:
            response.headers.pop("Accept-Ranges", None)
        if path.suffix == ".txt" and "gzip" in request.headers.get("Accept-Encoding", ""):
            return _compressed_on_the_fly(response)
        return response

    def _answer(self, request: Request) -> Response:
        fault = self._next_fault(request.method)
        response = (fault and fault(self, request)) or self.serve(request)
        self._count_body(response)
        name = request.path.removeprefix(PREFIX)
        self.seen.append(Seen(request.method, name, dict(request.headers), response.status_code, time.monotonic()))
        return response

    def _next_fault(self, method: str) -> Fault | None:
        with self._lock:
            for position, (wanted, fault) in enumerate(self._faults):
                if wanted == method:
                    del self._faults[position]
                    return fault
        return None

    def _count_body(self, response: Response) -> None:
        body = response.response

        def counted() -> Iterator[bytes]:
            for block in body:
                data = block.encode() if isinstance(block, str) else block
                self.body_bytes += len(data)
                yield data

        response.response = counted()


class _PromptServer(HTTPServer):
    """Stops at once; as it comes it takes half a second, which would be most of a test's time."""

    def thread_target(self) -> None:
        assert self.server
        self.server.serve_forever(poll_interval=0.01)


@contextmanager
def ncbi_double(
    directory: Path, *, etag: bool = True, ranges: bool = True, tls: SSLContext | None = None
) -> Iterator[NcbiDouble]:
    """Serve ``directory`` for the length of the block.

    Args:
        directory: Holds the files; they may change meanwhile.
        etag: Whether to send one.
        ranges: Whether to understand Range.
        tls: For https.
    """
    with _PromptServer(threaded=True, ssl_context=tls) as server:
        yield NcbiDouble(server, directory, etag=etag, ranges=ranges)
        server.check()


def status(code: int, **headers: str) -> Fault:
    """Answer with a status and no body; write header names with underscores."""

    def fault(_: NcbiDouble, __: Request) -> Response:
        return Response("", code, {name.replace("_", "-"): value for name, value in headers.items()})

    return fault


def cut_after(byte_count: int, *, wait_for: threading.Event | None = None) -> Fault:
    """Announce the whole answer, send this many bytes of it, wait if asked to, and drop the connection."""

    def fault(double: NcbiDouble, request: Request) -> Response:
        response = double.serve(request)
        data = response.get_data()

        def body() -> Iterator[bytes]:
            yield data[:byte_count]
            if wait_for:
                wait_for.wait(60)
            raise ConnectionAbortedError

        response.response = body()
        response.content_length = len(data)
        return response

    return fault


def instead(data: bytes, **headers: str) -> Fault:
    """Send other bytes under the file's name, complete and with status 200."""

    def fault(_: NcbiDouble, __: Request) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(data, 200, named, mimetype=_GZIP_TYPE)

    return fault


def before(action: Callable[[], object], fault: Fault | None = None) -> Fault:
    """Do something, for example replace a file, and then answer with a fault or as usual."""

    def acting(double: NcbiDouble, request: Request) -> Response | None:
        action()
        return fault(double, request) if fault else None

    return acting


def overlook_if_range(fault: Fault) -> Fault:
    """Let a fault happen, and honour Range but not If-Range, as some caches do."""

    def overlooking(double: NcbiDouble, request: Request) -> Response | None:
        request.environ.pop("HTTP_IF_RANGE", None)
        return fault(double, request)

    return overlooking


def at_most(byte_count: int) -> Fault:
    """Answer a Range request with fewer bytes than asked for, as RFC 9110 allows."""

    def fault(_: NcbiDouble, request: Request) -> None:
        start = int(request.environ["HTTP_RANGE"].removeprefix("bytes=").partition("-")[0])
        request.environ["HTTP_RANGE"] = f"bytes={start}-{start + byte_count - 1}"

    return fault


def headed(fault: Fault | None = None, **headers: str | None) -> Fault:
    """Change headers of an answer; None leaves one out, and without Content-Length a body ends with the connection."""

    def changing(double: NcbiDouble, request: Request) -> Response:
        response = (fault and fault(double, request)) or double.serve(request)
        for name, value in headers.items():
            response.headers.pop(name.replace("_", "-"), None)
            if value is not None:
                response.headers[name.replace("_", "-")] = value
        return response

    return changing


def _compressed_on_the_fly(response: Response) -> Response:
    """Answer as NCBI does where the client accepts gzip: other bytes, and no length."""
    response.set_data(gzip.compress(response.get_data()))
    response.headers["Content-Encoding"] = "gzip"
    del response.headers["Content-Length"]
    return response
