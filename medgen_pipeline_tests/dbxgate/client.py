"""The vendor's connector, quicker: the gate of its own process has the call and gives the answer, each in one piece.

By itself it asks urllib3 for each byte or two, which takes more time than the gate and its engine together. What it
sends, and what it makes of an answer, stays as it is; ``test_wire.py`` and loads of other processes use it unchanged.
Over HTTPS goes whatever a fault may strike, and who is not let in.
"""

import logging
import os
from io import BytesIO
from typing import Any, ClassVar

import pytest
import urllib3
from databricks.sql.backend import thrift_backend
from thrift.protocol import TBinaryProtocol
from thrift.transport.TTransport import CReadableTransport, TMemoryBuffer

from medgen_pipeline_tests.dbxgate.gate import Gate
from medgen_pipeline_tests.dbxgate.service import CutError

_http: Any = vars(thrift_backend)["databricks"].sql.auth.thrift_http_client  # which cannot be imported by itself


class _InOnePiece(_http.THttpClient, CReadableTransport):  # type: ignore[misc]  # ships no types
    gate: ClassVar[Gate]
    _THttpClient__wbuf: BytesIO
    headers: Any

    def flush(self) -> None:
        """Send the call, and read its answer."""
        headers: dict[str, str] = dict(self._headers)
        self._THttpClient__auth_provider.add_headers(headers)
        if self.gate.is_here(self.port) and self.gate.lets_in(headers["Authorization"]) and self.gate.is_calm:
            call, self._THttpClient__wbuf = self._THttpClient__wbuf.getvalue(), BytesIO()
            self._answer = BytesIO(self._answered(call))
            self.code, self.headers = 200, {}
        else:
            super().flush()
            self._answer = BytesIO(super().read(None))

    def _answered(self, call: bytes) -> bytes:
        out, cuts = TMemoryBuffer(), self.gate.cuts
        try:
            self.gate.answer(call, out)
            lost = self.gate.service.cut_after() or self.gate.cuts != cuts
        except CutError:
            lost = True
        if lost:  # since the call
            raise urllib3.exceptions.ProtocolError("Connection aborted.")
        return bytes(out.getvalue())

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


def quicken(patch: pytest.MonkeyPatch, gate: Gate) -> None:
    """Let connections of this process be such."""
    patch.setattr(_http, "THttpClient", _InOnePiece)
    patch.setattr(_InOnePiece, "gate", gate, raising=False)
    patch.setattr(TBinaryProtocol, "TBinaryProtocol", TBinaryProtocol.TBinaryProtocolAccelerated)
    # pytest takes every call and answer that the connector logs, written out.
    patch.setattr(logging.getLogger("databricks.sql.unsafe"), "disabled", True)
    # A connection reads the system's authorities, which takes 20 ms, though the gate's is another.
    patch.setenv("SSL_CERT_FILE", os.devnull)
