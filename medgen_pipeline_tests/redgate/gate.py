"""What tests use: a server that speaks PostgreSQL's protocol as Amazon Redshift does, in front of a real PostgreSQL.

    with Gate(postgres_dsn, s3.client_settings, roles=[ROLE]) as gate:
        psycopg.connect(gate.dsn(), autocommit=True, client_encoding="utf8", prepare_threshold=None)

One thread per client. The gate's state is what tests order (faults) and read (log); all data are PostgreSQL's.
"""

import contextlib
import itertools
import secrets
import socket
import socketserver
import ssl
import struct
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any
from urllib.parse import quote, urlencode

import boto3  # type: ignore[import-untyped]  # ships no types
import psycopg
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
from psycopg.conninfo import conninfo_to_dict

from medgen_pipeline_tests.gates.faults import Drop, Fault, FaultPlan, StatementLog
from medgen_pipeline_tests.gates.server import Listener, Started
from medgen_pipeline_tests.redgate import login, wire
from medgen_pipeline_tests.redgate.backend import Backend
from medgen_pipeline_tests.redgate.copyload import S3Source
from medgen_pipeline_tests.redgate.errors import GateError, serialization_conflict
from medgen_pipeline_tests.redgate.session import DroppedError, Session


class Isolation(Enum):
    """Isolation of the database (AWS: c_serial_isolation). PostgreSQL's nearest levels stand for Redshift's."""

    SNAPSHOT = "repeatable read"
    SERIALIZABLE = "serializable"


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False  # so that server_close waits for them

    def __init__(self, gate: "Gate") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gate = gate


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = login.Client(self.request)
        # A client may go at any time; that is no event. ssl.SSLError and TimeoutError are OSErrors.
        with contextlib.suppress(OSError, DroppedError), contextlib.closing(client):
            self.server.gate.serve(client)


class Gate(Started):
    """A Redshift for tests.

    Attributes:
        region: The region in which the cluster is said to be.
        passwords: User -> password; empty lets everybody in.
        log: What clients sent.
    """

    def __init__(
        self,
        backend_dsn: str,
        s3: Mapping[str, Any],
        *,
        roles: Iterable[str] = (),
        isolation: Isolation = Isolation.SNAPSHOT,
        passwords: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        torn_rename: bool = False,
    ) -> None:
        """Nothing is opened yet.

        Args:
            backend_dsn: PostgreSQL for a superuser; its database is the one ``dsn`` names.
            s3: Keyword arguments of boto3's S3 client, by which COPY reads.
            roles: ARNs attached to the cluster.
            isolation: Of every transaction.
            passwords: Who may log in; nobody is asked where this is empty.
            tls: Serve, and then demand, TLS.
            torn_rename: Let others see ALTER TABLE ... RENAME before COMMIT, the worst reading of dbt-adapters
                issue 2162.
        """
        self.region = "us-east-1"
        self.passwords = dict(passwords or {})
        self._backend_dsn = backend_dsn
        config = Config(retries={"total_max_attempts": 2, "mode": "standard"}, read_timeout=30)
        client = boto3.client("s3", **s3, config=config)
        self._source = S3Source(client, self.region, frozenset(roles))
        self._isolation, self._tls, self._torn_rename = isolation, tls, torn_rename
        self._faults = FaultPlan()
        self._numbers = itertools.count(1)
        self._sessions: dict[bytes, tuple[login.Client, Backend]] = {}
        self._server: _Server | None = None
        self._listener: Listener | None = None

    @property
    def log(self) -> StatementLog:
        """What clients sent, in order."""
        return self._faults.log

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        if self._server is None:
            raise RuntimeError("the gate is not running: call start() first")
        return int(self._server.server_address[1])

    def dsn(self, scheme: str = "postgresql", user: str = "loader", **options: str) -> str:
        """Address of the gate, with the password of the user where there is one."""
        database = str(conninfo_to_dict(self._backend_dsn).get("dbname") or "postgres")
        password = f":{quote(self.passwords[user], safe='')}" if user in self.passwords else ""
        query = f"?{urlencode(options)}" if options else ""
        return f"{scheme}://{quote(user, safe='')}{password}@127.0.0.1:{self.port}/{quote(database, safe='')}{query}"

    @property
    def open_sessions(self) -> int:
        """How many connections of clients there are."""
        return len(self._sessions)

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = _Server(self)
        self._listener = Listener(self._server, "redgate")

    def stop(self) -> None:
        """Cut all connections, end what runs behind them, and wait for it."""
        if self._listener is not None:
            self._listener.stop(self.cut)
        self._server = self._listener = None

    def cut(self) -> None:
        """Cut all connections there are, and end what runs behind them."""
        for client, backend in list(self._sessions.values()):
            client.cut()
            with contextlib.suppress(psycopg.Error):
                backend.cancel()

    def order(self, fault: Fault) -> None:
        """Let matching statements suffer this."""
        self._faults.order(fault)

    def heal(self) -> None:
        """Order no faults any more."""
        self._faults.clear()

    def drop_before(self, pattern: str, skip: int = 0) -> None:
        """Cut the connection when the next matching statement arrives; it has no effect."""
        self.order(Fault(pattern, drop=Drop.BEFORE, skip=skip))

    def drop_after(self, pattern: str, skip: int = 0) -> None:
        """Cut the connection when the next matching statement has taken effect; the client never learns it."""
        self.order(Fault(pattern, drop=Drop.AFTER, skip=skip))

    def conflict(self, pattern: str, times: int | None = 1) -> None:
        """Answer matching statements with error 1023; for ever where ``times`` is None."""
        self.order(Fault(pattern, error=serialization_conflict(), times=times))

    def refuse(self, pattern: str, message: str, sqlstate: str = "XX000", skip: int = 0) -> None:
        """Answer the next matching statement with an error."""
        self.order(Fault(pattern, error=GateError(message, sqlstate), skip=skip))

    def slow(self, pattern: str, seconds: float, times: int | None = None) -> None:
        """Let matching statements take so much longer."""
        self.order(Fault(pattern, seconds=seconds, times=times))

    def serve(self, client: login.Client) -> None:
        """Serve one connection to its end; called in its own thread."""
        try:
            startup = login.first_message(client, self._tls)
            if startup.code == wire.CANCEL_REQUEST:
                self._cancel(startup.body)
                return
            parameters = startup.parameters
            login.authenticate(client, parameters, self.passwords)
            backend = self._open_backend(parameters.get("database", parameters["user"]))
        except login.FatalError as error:
            client.send(wire.error_message(error, "FATAL").encoded)
            client.flush()
            return
        key = struct.pack("!i", backend.process_id) + secrets.token_bytes(4)
        self._sessions[key] = (client, backend)
        try:
            login.welcome(client, parameters, key)
            number = next(self._numbers)
            user = parameters["user"]
            Session(number, user, client, backend, self._source, self._faults, self._torn_rename).serve()
        finally:
            del self._sessions[key]
            backend.close()

    def _open_backend(self, database: str) -> Backend:
        try:
            return Backend(self._backend_dsn, database, self._isolation.value)
        except psycopg.Error as error:
            raise login.FatalError(str(error), error.sqlstate or "3D000") from error

    def _cancel(self, key: bytes) -> None:
        if key in self._sessions:
            self._sessions[key][1].cancel()
