"""How a client gets in: TLS, password, startup parameters, as on a cluster. Statements are ``session``'s business."""

import contextlib
import secrets
import socket
import ssl
import struct
from collections.abc import Mapping
from typing import BinaryIO

from medgen_pipeline_tests.redgate import wire
from medgen_pipeline_tests.redgate.errors import GateError
from medgen_pipeline_tests.redgate.wire import Message, Startup

_FLUSH_BYTES = 1 << 16
_PARAMETERS = frozenset({"user", "database", "application_name", "client_encoding"})
_UTF8 = frozenset({"utf8", "utf-8", "unicode"})
_AUTHENTICATION_OK, _AUTHENTICATION_MD5 = 0, 5


class FatalError(GateError):
    """The client does not get in."""


class Client:
    """The client's side of a connection: messages in, bytes out in larger pieces."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream: BinaryIO = connection.makefile("rb")
        self._out = bytearray()
        self.muted = False
        self.encrypted = False

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Continue encrypted."""
        self._stream.close()
        self._connection = context.wrap_socket(self._connection, server_side=True)
        self._stream = self._connection.makefile("rb")
        self.encrypted = True

    def startup(self) -> Startup:
        """The client's next untyped message."""
        return wire.read_startup(self._stream)

    def read(self) -> Message:
        """The client's next message."""
        return wire.read_message(self._stream)

    def send(self, data: bytes) -> None:
        """Queue bytes; a long answer leaves while it grows."""
        self._out += data
        if len(self._out) > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is queued; nothing reaches a muted client."""
        if not self.muted:
            self._connection.sendall(self._out)
        self._out.clear()

    def cut(self) -> None:
        """End the connection under the thread that reads it; called from another one."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, whatever the client waits for."""
        self._stream.close()
        self._connection.close()


def first_message(client: Client, tls: ssl.SSLContext | None) -> Startup:
    """Settle encryption; then the client's login or cancel request."""
    while (startup := client.startup()).code in (wire.SSL_REQUEST, wire.GSS_REQUEST):
        if startup.code == wire.SSL_REQUEST and tls:
            client.send(b"S")
            client.flush()
            client.start_tls(tls)
        else:
            client.send(b"N")
            client.flush()
    if startup.code == wire.PROTOCOL_3_0 and tls and not client.encrypted:
        who = f'user "{startup.parameters.get("user")}", database "{startup.parameters.get("database")}"'
        raise FatalError(f'no pg_hba.conf entry for host "127.0.0.1", {who}, SSL off', "28000")
    if startup.code not in (wire.PROTOCOL_3_0, wire.CANCEL_REQUEST):
        raise FatalError("unsupported frontend protocol", "0A000")
    return startup


def authenticate(client: Client, parameters: Mapping[str, str], passwords: Mapping[str, str]) -> None:
    """Refuse unknown startup parameters and, where passwords are set, wrong ones."""
    for name in parameters:
        if name not in _PARAMETERS:
            raise FatalError(f'unrecognized configuration parameter "{name}"', "42704")
    if parameters.get("client_encoding", "utf8").lower() not in _UTF8:
        raise FatalError(f"conversion between UNICODE and {parameters['client_encoding']} is not supported", "22023")
    if not passwords:
        return
    user, salt = parameters["user"], secrets.token_bytes(4)
    client.send(Message(b"R", struct.pack("!i", _AUTHENTICATION_MD5) + salt).encoded)
    client.flush()
    if user not in passwords or client.read().body != wire.md5_answer(user, passwords[user], salt):
        raise FatalError(f'password authentication failed for user "{user}"', "28000")


def welcome(client: Client, parameters: Mapping[str, str], key: bytes) -> None:
    """Tell what a server of version 8.0.2 tells; UNICODE breaks drivers that expect UTF8 (psycopg issue 122)."""
    client.send(Message(b"R", struct.pack("!i", _AUTHENTICATION_OK)).encoded)
    told = {
        "server_version": "8.0.2",
        "server_encoding": "UNICODE",
        "client_encoding": "UTF8" if "client_encoding" in parameters else "UNICODE",
        "DateStyle": "ISO, MDY",
        "TimeZone": "UTC",
        "integer_datetimes": "on",
        "is_superuser": "off",
        "session_authorization": parameters["user"],
    }
    client.send(wire.parameter_status(told) + Message(b"K", key).encoded + Message(b"Z", b"I").encoded)
    client.flush()
