"""PostgreSQL's protocol 3.0 as bytes: messages out, messages in, errors, logins. No sockets of its own, no SQL.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import hashlib
import struct
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

from medgen_pipeline_tests.redgate.errors import GateError

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST, PROTOCOL_3_0 = 80877103, 80877104, 80877102, 196608


class Message(NamedTuple):
    """One message: its type letter and its body without the length."""

    kind: bytes
    body: bytes

    @property
    def encoded(self) -> bytes:
        """As it goes over the wire."""
        return self.kind + struct.pack("!i", len(self.body) + 4) + self.body


class Startup(NamedTuple):
    """The first, untyped message of a client."""

    code: int
    body: bytes

    @property
    def parameters(self) -> dict[str, str]:
        """Names and values of a login."""
        words = self.body.decode().split("\0")
        return {name: value for name, value in zip(words[::2], words[1::2], strict=False) if name}


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionError("the peer closed the connection")
    return data


def read_message(stream: BinaryIO) -> Message:
    """The next message; ConnectionError where the peer is gone."""
    head = _exactly(stream, 5)
    return Message(head[:1], _exactly(stream, int.from_bytes(head[1:]) - 4))


def read_startup(stream: BinaryIO) -> Startup:
    """The first message of a client."""
    size, code = struct.unpack("!ii", _exactly(stream, 8))
    return Startup(code, _exactly(stream, size - 8))


def text(body: bytes, position: int = 0) -> tuple[str, int]:
    """The zero-terminated text at a position, and the position behind it."""
    end = body.index(b"\0", position)
    return body[position:end].decode(), end + 1


def bound_values(body: bytes) -> tuple[str, ...]:
    """The parameters of a Bind, for the log: text as it is, binary as hex."""
    _, position = text(body)
    _, position = text(body, position)
    (formats,) = struct.unpack_from("!h", body, position)
    position += 2 + 2 * formats
    (count,) = struct.unpack_from("!h", body, position)
    position += 2
    values = []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, position)
        value = body[position + 4 : position + 4 + max(size, 0)]
        values.append("NULL" if size < 0 else value.decode("utf-8", "backslashreplace"))
        position += 4 + max(size, 0)
    return tuple(values)


def error_fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse by their letters."""
    return {field[:1].decode(): field[1:].decode("utf-8", "replace") for field in body.split(b"\0") if field}


def error_message(error: GateError, severity: str = "ERROR") -> Message:
    """An ErrorResponse."""
    return Message(b"E", _fields(severity, error.sqlstate, error.message, error.detail, error.hint))


def info_message(message: str) -> Message:
    """A NoticeResponse of severity INFO, in which Redshift reports what COPY did."""
    return Message(b"N", _fields("INFO", "00000", message))


def _fields(severity: str, sqlstate: str, message: str, detail: str = "", hint: str = "") -> bytes:
    fields = {"S": severity, "C": sqlstate, "M": message, "D": detail, "H": hint, "R": "redgate"}
    return b"".join(f"{letter}{value}\0".encode() for letter, value in fields.items() if value) + b"\0"


def parameter_status(parameters: Mapping[str, str]) -> bytes:
    """ParameterStatus messages."""
    return b"".join(Message(b"S", f"{name}\0{value}\0".encode()).encoded for name, value in parameters.items())


def md5_answer(user: str, password: str, salt: bytes) -> bytes:
    """What a client answers to a request for an MD5 password, the kind that libpq negotiates with Redshift."""
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode() + b"\0"
