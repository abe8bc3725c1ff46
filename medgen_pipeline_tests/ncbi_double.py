"""A local double of https://ftp.ncbi.nlm.nih.gov/pub/medgen/: real HTTP on the loopback, faults on demand.

It serves a directory through werkzeug, which knows Last-Modified, ETag, Range, If-Range and HEAD; what NCBI was not
seen to send can be switched off. The directory's listing is made as Apache makes NCBI's. A fault answers, or delays,
one later request. Nothing of the package is used here.
"""

import gzip
import os
import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from ssl import SSLContext
from zoneinfo import ZoneInfo

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response
from werkzeug.exceptions import NotFound, RequestedRangeNotSatisfiable
from werkzeug.utils import send_from_directory

from medgen_pipeline_tests.gates.server import Listener

PREFIX = "/pub/medgen/"
_EASTERN = ZoneInfo("America/New_York")
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
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.seen: list[Seen] = []
        self.body_bytes = 0
        self._etag = etag
        self._ranges = ranges
        self._faults: list[tuple[str, str | None, Fault]] = []
        self._lock = threading.Lock()
        server.expect_request(re.compile(f"^{PREFIX}")).respond_with_handler(self._answer)

    def inject(self, *faults: Fault, on: str = "GET", of: str | None = None) -> None:
        """Let the next requests meet these faults, one each, in order.

        Args:
            faults: What happens.
            on: The method of the requests.
            of: The name of the file they are for, "" for the listing; any where it is not given.
        """
        self._faults += [(on, of, fault) for fault in faults]

    def heal(self) -> None:
        """Forget the faults that nobody met."""
        self._faults.clear()

    def methods(self) -> list[str]:
        """Return the methods of all requests so far."""
        return [seen.method for seen in self.seen]

    def served(self, request: Request) -> Path:
        """Return the file a request asks for."""
        return self.directory / request.path.removeprefix(PREFIX)

    def serve(self, request: Request) -> Response:
        """Answer without a fault."""
        if request.path == PREFIX:
            return Response(listing(self.directory), mimetype="text/html")
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
        name = request.path.removeprefix(PREFIX)
        fault = self._next_fault(request.method, name)
        response = (fault and fault(self, request)) or self.serve(request)
        self._count_body(response)
        self.seen.append(Seen(request.method, name, dict(request.headers), response.status_code, time.monotonic()))
        return response

    def _next_fault(self, method: str, name: str) -> Fault | None:
        with self._lock:
            for position, (on, of, fault) in enumerate(self._faults):
                if on == method and of in {None, name}:
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
        double = NcbiDouble(server, directory, etag=etag, ranges=ranges)
        assert server.server

        class Dated(server.server.RequestHandlerClass):  # type: ignore[misc,name-defined]  # a class by value
            def date_time_string(self, timestamp: float | None = None) -> str:  # for the header Date
                del timestamp
                return format_datetime(double.clock().astimezone(UTC), usegmt=True)

        server.server.RequestHandlerClass = Dated
        yield double
        server.check()


@contextmanager
def raw_server(answer: Callable[[bytes], Iterable[bytes]]) -> Iterator[str]:
    """A server that says what no web server would: it sends ``answer(request)`` piece by piece, and hangs up.

    Yields its URL.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            request = b"".join(iter(self.rfile.readline, b"\r\n"))
            try:
                for piece in answer(request):
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:  # the client has had enough
                return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    server = Server(("127.0.0.1", 0), Handler)
    listener = Listener(server, "raw")
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
    finally:
        listener.stop()


def publish(directory: Path, name: str, data: bytes, modified: datetime) -> None:
    """Put a file in place of the one published before, at once and dated."""
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / ".draft"
    draft.write_bytes(data)
    os.utime(draft, (modified.timestamp(), modified.timestamp()))
    draft.replace(directory / name)


def listing(directory: Path) -> str:
    """The directory as NCBI's Apache lists it: HTML 3.2, minutes in US Eastern time, rounded sizes."""
    files = sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))
    lines = [
        _listed("/pub/", "Parent Directory", "", "  - "),
        _listed("csv/", "csv/", "2021-03-31 08:05", "  - "),
        *(
            _listed(
                path.name,
                path.name,
                f"{datetime.fromtimestamp(path.stat().st_mtime, _EASTERN):%Y-%m-%d %H:%M}",
                rounded_size(path.stat().st_size),
            )
            for path in files
        ),
    ]
    body = "".join(lines)
    return f"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html>
 <head>
  <title>Index of {PREFIX.rstrip("/")}</title>
 </head>
 <body>
<h1>Index of {PREFIX.rstrip("/")}</h1>
<pre>Name{"":32} Last modified      Size  <hr>{body}<hr></pre>
<a href="https://www.hhs.gov/vulnerability-disclosure-policy/index.html">HHS Vulnerability Disclosure</a>
</body></html>
"""


def _listed(link: str, name: str, modified: str, size: str) -> str:
    return f'<a href="{link}">{name}</a>{"":{max(36 - len(name), 1)}} {modified:16}  {size}  \n'


def rounded_size(byte_count: int) -> str:
    """As Apache writes it: three digits and a unit."""
    size = float(byte_count)
    if size < 973:
        return f"{byte_count:3d} "
    for unit in "KMGT":
        size /= 1024
        if size < 973:
            return f"{size:.1f}{unit}" if size < 9.95 else f"{size:3.0f}{unit}"
    raise ValueError(f"not a file's size: {byte_count}")


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


def trickled(seconds: float) -> Fault:
    """Send the true answer a few bytes at a time."""

    def fault(double: NcbiDouble, request: Request) -> Response:
        response = double.serve(request)
        data = response.get_data()

        def body() -> Iterator[bytes]:
            for position in range(0, len(data), 16):
                time.sleep(seconds)
                yield data[position : position + 16]

        response.response = body()
        response.content_length = len(data)
        return response

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
