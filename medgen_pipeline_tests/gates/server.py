"""A server in a thread of its own, and a certificate that its clients trust."""

import socketserver
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Self

import trustme

_POLL_SECONDS = 0.02  # to stop at once; as it comes it takes half a second, which would be most of a test's time


class Started(ABC):
    """What runs within a ``with``."""

    @abstractmethod
    def start(self) -> None:
        """Answer from now on."""

    @abstractmethod
    def stop(self) -> None:
        """Answer no more."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Listener:
    """Answers from the beginning."""

    def __init__(self, server: socketserver.BaseServer, name: str) -> None:
        """Start a thread of this name for a server that is bound to its port."""
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name=name)
        self._thread.start()

    def stop(self, cut: Callable[[], None] = lambda: None) -> None:
        """Let nobody in any more, ``cut`` who is there, and wait until they are gone."""
        self._server.shutdown()
        self._thread.join()
        cut()
        self._server.server_close()


def server_tls(host: str, authority_file: Path) -> ssl.SSLContext:
    """For a server at ``host``; who trusts the authority in ``authority_file``, which is written, trusts it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(authority_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context
