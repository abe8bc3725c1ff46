"""What tests use: a Databricks SQL warehouse that the vendor's own connector connects to.

    with Gate(folder) as gate:
        databricks.sql.connect(**gate.connect_arguments())

Thrift over HTTPS in front of Delta tables. One thread a connection, one more for a statement that runs.
"""

import base64
import json
import os
import shutil
import socket
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from databricks.sql.thrift_api.TCLIService import TCLIService
from thrift.protocol.TBinaryProtocol import TBinaryProtocolAccelerated
from thrift.transport.TTransport import TMemoryBuffer

from medgen_pipeline_tests.dbxgate.catalog import CATALOG
from medgen_pipeline_tests.dbxgate.engine import Engine, Running
from medgen_pipeline_tests.dbxgate.errors import GateError, concurrent
from medgen_pipeline_tests.dbxgate.faults import Fault
from medgen_pipeline_tests.dbxgate.service import CutError, Service
from medgen_pipeline_tests.dbxgate.warehouse import Session, Warehouse
from medgen_pipeline_tests.gates.faults import Drop, FaultPlan, StatementLog
from medgen_pipeline_tests.gates.server import Listener, Started, server_tls

TOKEN = "dapi-of-the-gate"
CLIENT = ("client-of-the-gate", "secret-of-the-gate")
HTTP_PATH = "/sql/1.0/warehouses/gate"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, gate: "Gate") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gate = gate

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may go at any time; that is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: _Server

    def setup(self) -> None:
        """Remember the connection, so that it can be cut."""
        super().setup()
        self.server.gate.connections.add(self.connection)

    def finish(self) -> None:
        """Forget it."""
        self.server.gate.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the base class
        """Nothing is logged."""

    def _say(self, status: int, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self) -> None:  # its name in the base class
        """Feature flags and the like: there are none."""
        self._say(404, b"{}")

    def do_POST(self) -> None:  # its name in the base class
        """A call of Thrift, or a request for a token."""
        body, gate = self._body(), self.server.gate
        if self.path == "/oidc/v1/token":
            self._say(*gate.new_token(self.headers.get("Authorization", ""), parse_qs(body.decode())))
        elif self.path != HTTP_PATH:
            self._say(404, b"{}")
        elif not gate.lets_in(self.headers.get("Authorization", "")):
            self._say(403, headers={"x-databricks-reason-phrase": "Invalid access token."})
        else:
            self._call(body)

    def _call(self, body: bytes) -> None:
        gate, out = self.server.gate, TMemoryBuffer()
        try:
            gate.answer(body, out)
        except CutError as fault:
            if not fault.status:
                self._cut()
                return
            self._say(fault.status, headers={"Retry-After": f"{fault.seconds:g}"})
            return
        if gate.service.cut_after():
            self._cut()
            return
        self._say(200, out.getvalue(), {"Content-Type": "application/x-thrift"})

    def _presigned(self) -> None:
        body, gate = self._body(), self.server.gate
        address = urlsplit(self.path)
        try:
            gate.service.suffer(f"{self.command} {address.path}")
        except CutError as fault:
            self._say(fault.status) if fault.status else self._cut()
            return
        ticket = parse_qs(address.query).get("ticket", [""])[0]
        self._say(gate.warehouse.volumes.move(self.command, ticket, body))

    do_PUT = do_DELETE = _presigned  # noqa: N815  # their names in the base class


class Gate(Started):
    """A Databricks SQL warehouse for tests.

    Attributes:
        tokens: Those that are let in.
        connections: Of clients.
        cuts: How often they were cut.
        service: The calls.
        warehouse: What is behind them; another one after ``reset``.
    """

    def __init__(self, root: Path) -> None:
        """Nothing is opened yet.

        Args:
            root: A folder of its own, for tables, files and the certificate.
        """
        self.root = root
        self.tokens = {TOKEN}
        self.connections: set[socket.socket] = set()
        self.cuts = 0
        self._plan = FaultPlan()
        self._generation = 0
        self._process = os.getpid()

    def start(self) -> None:
        """Start the engine, and listen on a free port of localhost."""
        self.root.mkdir(parents=True, exist_ok=True)
        context = server_tls("localhost", self.certificate)
        self._engine = Engine(self.root / "engine")
        self.service = Service(self._plan)
        self._processor: Any = TCLIService.Processor(self.service)  # type: ignore[no-untyped-call]  # generated
        server = _Server(self)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(server.server_address[1])
        self._listener = Listener(server, "dbxgate")
        self._open()

    def _open(self) -> None:
        self._generation += 1
        folder = self.root / f"warehouse{self._generation}"
        self.warehouse = Warehouse(folder, f"https://localhost:{self.port}", self._engine)
        self.service.warehouse = self.warehouse

    def reset(self) -> None:
        """An empty warehouse: no session, no table, no fault, nothing in the log."""
        self.cut()
        self.heal()
        self.log.clear()
        gone = self.root / f"warehouse{self._generation}"
        self._engine.clear(gone)
        shutil.rmtree(gone, ignore_errors=True)
        self._open()

    def stop(self) -> None:
        """End all."""
        self._listener.stop(self.cut)
        self.service.stop()
        self._engine.stop()

    # --- what a client needs -----------------------------------------------------------------------------------------

    @property
    def certificate(self) -> Path:
        """The authority that a client trusts."""
        return self.root / "authority.pem"

    def dsn(self, user: str = "token", secret: str = TOKEN) -> str:
        """Address of the gate."""
        query = urlencode({"catalog": CATALOG, "tls_ca_file": str(self.certificate)})
        return f"databricks://{user}:{secret}@localhost:{self.port}{HTTP_PATH}?{query}"

    def connect_arguments(self, **more: Any) -> dict[str, Any]:
        """Those of databricks.sql.connect."""
        return {
            "server_hostname": "localhost",
            "http_path": HTTP_PATH,
            "access_token": TOKEN,
            "_port": self.port,
            "_tls_trusted_ca_file": str(self.certificate),
            "enable_telemetry": False,
            "ignore_transactions": False,
            **more,
        }

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Run a statement in a session of its own, past the connector and the faults; its rows."""
        table = self.warehouse.execute(Session(), text, (), Running()).table
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    # --- what tests order --------------------------------------------------------------------------------------------

    @property
    def log(self) -> StatementLog:
        """What clients sent, in order."""
        return self._plan.log

    def order(self, fault: Fault) -> None:
        """Let matching statements suffer this."""
        self._plan.order(fault)

    def heal(self) -> None:
        """Order no faults any more."""
        self._plan.clear()
        self.tokens = {TOKEN}
        self.warehouse.volumes.status = 0

    def drop_before(self, pattern: str, skip: int = 0, times: int | None = 1) -> None:
        """Cut the connection when the next matching statement arrives; it has no effect."""
        self.order(Fault(pattern, drop=Drop.BEFORE, skip=skip, times=times))

    def drop_after(self, pattern: str, skip: int = 0, times: int | None = 1) -> None:
        """Cut the connection when the next matching statement has taken effect; the client never learns it."""
        self.order(Fault(pattern, drop=Drop.AFTER, skip=skip, times=times))

    def conflict(self, pattern: str, times: int | None = 1) -> None:
        """Fail matching statements as if others had committed first; for ever where ``times`` is None."""
        self.order(Fault(pattern, error=concurrent("a table"), times=times))

    def refuse(
        self, pattern: str, message: str, condition: str = "INTERNAL_ERROR", sqlstate: str = "XX000", skip: int = 0
    ) -> None:
        """Answer the next matching statement with an error."""
        self.order(Fault(pattern, error=GateError(condition, message, sqlstate), skip=skip))

    def slow(self, pattern: str, seconds: float, times: int | None = None) -> None:
        """Let matching statements take so much longer."""
        self.order(Fault(pattern, seconds=seconds, times=times))

    def status(self, pattern: str, status: int, times: int | None = 1, seconds: float = 0, skip: int = 0) -> None:
        """Answer matching statements with an HTTP status and so many seconds as Retry-After; they have no effect."""
        self.order(Fault(pattern, status=status, times=times, seconds=seconds, skip=skip))

    def expire_token(self) -> None:
        """Let nobody in, until healed."""
        self.tokens = set()

    def fill_volumes(self, status: int = 507) -> None:
        """Refuse files with this HTTP status, until healed."""
        self.warehouse.volumes.status = status

    def cut(self) -> None:
        """End all sessions and connections, as a restart of the warehouse does."""
        self.cuts += 1
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.service.end_sessions()

    # --- for clients of this process ---------------------------------------------------------------------------------

    def is_here(self, port: int) -> bool:
        """Whether this is the gate at the port, and not a copy that a fork has made of it."""
        return self.port == port and self._process == os.getpid()

    @property
    def is_calm(self) -> bool:
        """Whether there is no fault that could strike."""
        return self._plan.is_calm

    # --- for the handlers --------------------------------------------------------------------------------------------

    def answer(self, call: bytes, out: TMemoryBuffer) -> None:
        """Answer a call of Thrift."""
        self._processor.process(*map(TBinaryProtocolAccelerated, (TMemoryBuffer(call), out)))

    def lets_in(self, authorization: str) -> bool:
        """Whether the header names a token that is good."""
        return authorization.removeprefix("Bearer ") in self.tokens

    def new_token(self, authorization: str, form: dict[str, list[str]]) -> tuple[int, bytes]:
        """OAuth from machine to machine; the status and the answer."""
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else ""
        if given != ":".join(CLIENT) or form.get("grant_type") != ["client_credentials"]:
            return 401, b'{"error": "invalid_client"}'
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return 200, json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).encode()
