"""A Dagster instance as ``dagster.yaml.example`` has it: storage in a real PostgreSQL, by TCP, with a password.

The tests' own server has a unix socket only; a relay gives it a port. What runs on the instance is the tests' business.
"""

import socket
import socketserver
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from medgen_pipeline_tests.loaders.support import query

PROJECT = Path(__file__).parents[1]
EXAMPLE = PROJECT / "dagster.yaml.example"
PORT_LINE = "      port: 5432\n"


class _Relay(socketserver.BaseRequestHandler):
    """Carries bytes both ways between a client and the server."""

    def handle(self) -> None:
        upstream = self.server.connect()  # type: ignore[attr-defined]
        back = threading.Thread(target=_carry, args=(upstream, self.request), daemon=True)
        back.start()
        _carry(self.request, upstream)
        back.join()
        upstream.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one side has gone; so goes the other
        for end in (source, target):
            end.close()


class _RelayServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False  # clients of a pool stay connected

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        self._host, self._port = str(parts.get("host", "localhost")), int(str(parts.get("port", 5432)))
        super().__init__(("127.0.0.1", 0), _Relay)

    def connect(self) -> socket.socket:
        if self._host.startswith("/"):
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(f"{self._host}/.s.PGSQL.{self._port}")
            return upstream
        return socket.create_connection((self._host, self._port))


@contextmanager
def reachable_by_tcp(dsn: str) -> Iterator[int]:
    """A port of 127.0.0.1 that leads to the server of ``dsn``."""
    with _RelayServer(dsn) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@dataclass(frozen=True)
class Account:
    """A role with a password and a database of its own."""

    port: int
    name: str
    password: str

    @property
    def dsn(self) -> str:
        return f"postgresql://{self.name}:{self.password}@127.0.0.1:{self.port}/{self.name}"

    @property
    def dagster_variables(self) -> dict[str, str]:
        """What ``dagster.yaml.example`` reads."""
        return {
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_DB": self.name,
            "DAGSTER_PG_USER": self.name,
            "DAGSTER_PG_PASSWORD": self.password,
        }


@contextmanager
def account(server: str, port: int, purpose: str) -> Iterator[Account]:
    """Create a role and its database on ``server``; both go at the end, whoever is still connected."""
    made = Account(port, f"{purpose}_{uuid.uuid4().hex[:12]}", f"s3cr3t-{uuid.uuid4().hex}")
    query(server, f"CREATE ROLE {made.name} LOGIN PASSWORD '{made.password}'")
    query(server, f"CREATE DATABASE {made.name} OWNER {made.name}")
    try:
        yield made
    finally:
        query(server, f"DROP DATABASE {made.name} WITH (FORCE)")
        query(server, f"DROP ROLE {made.name}")


def write_instance(home: Path, port: int, text: str | None = None) -> Path:
    """``dagster.yaml`` in a new DAGSTER_HOME: the example's text with another port of PostgreSQL's."""
    home.mkdir(parents=True)
    example = EXAMPLE.read_text() if text is None else text
    assert PORT_LINE in example
    (home / "dagster.yaml").write_text(example.replace(PORT_LINE, f"      port: {port}\n"))
    return home
