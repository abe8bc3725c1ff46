"""Whether a connection keeps its server session: behind pgbouncer that is so with session pooling only.

With transaction or statement pooling each transaction may run in another session. What a load sets in its session would
reach other clients of the pool, its advisory lock would stay behind with nobody to free it, and it would lose both.
"""

import selectors
import time
from typing import Any, LiteralString

import psycopg

# A session that is idle for this long ends itself; see ``keeps_its_session``.
_IDLE = "300ms"
_QUIET_SECONDS = 0.1
_LONGEST_SECONDS = 5.0
_STATE: LiteralString = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('idle_session_timeout')"


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether something between client and server hands out sessions, or at least the keys that cancel them.

    A server gives each client the id of its process. A pooler cannot: it gives a random number of its own.
    """
    return connection.info.backend_pid != _backend(connection)


def keeps_its_session(connection: psycopg.Connection[Any]) -> bool:
    """Whether one server session serves the connection for good; afterwards the connection is closed.

    Certain, also where nobody else uses the pool and the same session would answer every time: the session is told to
    end when it is idle. A connection that owns it ends with it. A pool goes on with another session, and nothing is
    left behind in the one that has ended.

    Raises:
        psycopg.OperationalError: The connection broke while it was asked, which says nothing.
    """
    first = _backend(connection)
    found: tuple[Any, ...] | None = (_backend(connection), _IDLE)  # in a pool in use it has often changed already
    try:
        if found == (first, _IDLE):
            connection.execute("SELECT pg_catalog.set_config('idle_session_timeout', %s, false)", [_IDLE])
        deadline = time.monotonic() + _LONGEST_SECONDS
        while found == (first, _IDLE) and time.monotonic() < deadline:
            # Nothing is sent meanwhile: a session that ends while it serves somebody takes that connection along. A
            # pool that was held up may even read the answer and the end in one go; then they come without a pause.
            if not _hears(connection, _QUIET_SECONDS) and _hears(connection, 1.0):
                return True
            # A pool that resets its sessions after each transaction keeps them alive, and forgets what was set.
            found = connection.execute(_STATE, prepare=False).fetchone()
    finally:
        connection.close()
    return found == (first, _IDLE)


def _hears(connection: psycopg.Connection[Any], seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def _backend(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(_STATE, prepare=False).fetchone()
    return int(row[0]) if row else 0
