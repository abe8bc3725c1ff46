"""The vendor's connector, quicker: it takes an answer in one piece and reads it with Thrift's own C.

By itself it asks urllib3 for each byte or two, which takes more time than the gate and its engine together. What it
sends, and what it makes of an answer, stays as it is; ``test_wire.py`` and loads of other processes use it unchanged.
"""

import logging
import os
from io import BytesIO
from typing import Any

import pytest
from databricks.sql.backend import thrift_backend
from thrift.protocol import TBinaryProtocol
from thrift.transport.TTransport import CReadableTransport

_http: Any = vars(thrift_backend)["databricks"].sql.auth.thrift_http_client  # which cannot be imported by itself


class _InOnePiece(_http.THttpClient, CReadableTransport):  # type: ignore[misc]  # ships no types
    def flush(self) -> None:
        """Send the call, and read its answer."""
        super().flush()
        self._answer = BytesIO(super().read(None))

    def read(self, sz: int) -> bytes:
        """A part of it."""
        return self._answer.read(sz)

    @property
    def cstringio_buf(self) -> BytesIO:
        """Where Thrift's C reads."""
        return self._answer

    def cstringio_refill(self, *_: Any) -> Any:
        """There is no more."""
        raise EOFError


def quicken(patch: pytest.MonkeyPatch) -> None:
    """Let connections of this process be such."""
    patch.setattr(_http, "THttpClient", _InOnePiece)
    patch.setattr(TBinaryProtocol, "TBinaryProtocol", TBinaryProtocol.TBinaryProtocolAccelerated)
    # pytest takes every call and answer that the connector logs, written out.
    patch.setattr(logging.getLogger("databricks.sql.unsafe"), "disabled", True)
    # A connection reads the system's authorities, which takes 20 ms, though the gate's is another.
    patch.setenv("SSL_CERT_FILE", os.devnull)
