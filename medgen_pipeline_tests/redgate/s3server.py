"""A real S3 over HTTP for tests: moto's, with faults in front. What is stored is moto's business.

moto keeps its buckets per process, so all servers of a process show the same ones; ``start`` empties them.
"""

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]  # ships no types
import pytest
import requests
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from medgen_pipeline_tests.gates.server import Listener, Started

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BUCKET = "stage"  # the one that fixtures make
_CODES = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown"}
_DRAIN_BYTES = 1 << 20
_CUT_AFTER_BYTES = 16


class _QuietHandler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  # werkzeug's name
        """Tests have ``S3Server.requests``; a log line per request would bury theirs."""


@contextmanager
def clients_kept(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """All sessions and clients of the same settings, also the environment's, are one: each takes as long as a load."""
    new_session, new_client = boto3.Session, boto3.Session.client
    sessions: dict[str, Any] = {}  # boto3 has no types
    clients: dict[str, Any] = {}

    def key(*settings: object) -> str:
        return repr((settings, sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))))

    def session(**settings: Any) -> Any:
        if (kept := key(settings)) not in sessions:
            sessions[kept] = new_session(**settings)
        return sessions[kept]

    def client(session: Any, service: str, **settings: Any) -> Any:
        plain = {name: vars(value) if isinstance(value, Config) else value for name, value in settings.items()}
        if (kept := key(session.profile_name, service, plain)) not in clients:
            clients[kept] = new_client(session, service, **settings)
            clients[kept].close = lambda: None  # another thread may be using it
        return clients[kept]

    patch.setattr(boto3, "Session", session)
    patch.setattr(new_session, "client", client)
    yield
    for one in clients.values():
        del one.close
        one.close()


@dataclass
class S3Fault:
    """What happens to requests that match.

    Attributes:
        pattern: Regular expression, searched in "METHOD /bucket/key?query".
        status: Answer with this HTTP status and S3's code for it.
        seconds: Wait this long first.
        cut: Send the beginning of the true answer and then close the connection.
        body: Answer 200 with this instead of the object.
        skip: Let as many matching requests pass before.
        times: How often it strikes; None means always.
    """

    pattern: str
    status: int = 0
    seconds: float = 0.0
    cut: bool = False
    body: bytes = b""
    skip: int = 0
    times: int | None = None


@dataclass
class S3Server(Started):
    """An S3 endpoint in a thread.

    Attributes:
        requests: "METHOD /bucket/key?query" of everything that was asked for.
    """

    requests: list[str] = field(default_factory=list)
    _faults: list[S3Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: BaseWSGIServer | None = None
    _listener: Listener | None = None

    @property
    def endpoint_url(self) -> str:
        """For AWS_ENDPOINT_URL and boto3's ``endpoint_url``."""
        if self._server is None:
            raise RuntimeError("the S3 server is not running: call start() first")
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def client_settings(self) -> dict[str, str]:
        """Keyword arguments for ``boto3.client("s3", ...)``."""
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": "us-east-1",
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "testing",
        }

    def client(self) -> Any:
        """A boto3 client of this server; boto3 has no types."""
        return boto3.client("s3", **self.client_settings)

    def start(self) -> None:
        """Listen on a free port, with no bucket."""
        application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._with_faults(application), threaded=True, request_handler=_QuietHandler
        )
        self._listener = Listener(self._server, "s3")
        self.reset()

    def reset(self) -> None:
        """Remove all buckets, faults and the list of requests."""
        self.heal()
        requests.post(f"{self.endpoint_url}/moto-api/reset", timeout=10).raise_for_status()
        self.requests.clear()

    def stop(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.stop()
        self._server = self._listener = None

    def order(self, fault: S3Fault) -> None:
        """Let matching requests suffer this; of several faults the first ordered strikes."""
        with self._lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """Order no faults any more."""
        with self._lock:
            self._faults.clear()

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The objects in a bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def fill(self, bucket: str, keys: Iterable[str]) -> None:
        """Put empty objects there at once: a thousand requests would take seconds."""
        store = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
        for key in keys:
            store.put_object(bucket, key, b"")

    def _with_faults(self, application: "WSGIApplication") -> "WSGIApplication":
        def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            fault = self._strike(environ)
            if fault is None:
                return application(environ, start_response)
            time.sleep(fault.seconds)
            if fault.body:
                start_response("200 OK", [("Content-Type", "binary/octet-stream")])
                return [fault.body]
            if not fault.status:
                answer = application(environ, start_response)
                return _cut(answer) if fault.cut else answer
            _drain(environ)
            start_response(f"{fault.status} Ordered", [("Content-Type", "application/xml")])
            code = _CODES.get(fault.status, "InternalError")
            return [f"<Error><Code>{code}</Code><Message>ordered by the test</Message></Error>".encode()]

        return serve

    def _strike(self, environ: "WSGIEnvironment") -> S3Fault | None:
        query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{query}"
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.times == 0 or not re.search(fault.pattern, request):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None


def _drain(environ: "WSGIEnvironment") -> None:
    """Read the request's body: a client that is still sending would see a reset instead of the answer."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left and (block := environ["wsgi.input"].read(min(left, _DRAIN_BYTES))):
        left -= len(block)


def _cut(answer: Iterable[bytes]) -> Iterator[bytes]:
    yield b"".join(answer)[:_CUT_AFTER_BYTES]
    raise ConnectionAbortedError("ordered by the test")
