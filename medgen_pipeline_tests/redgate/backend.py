"""The PostgreSQL behind one client: opened by libpq, used in turn by the gate and, byte for byte, by the client.

libpq opens the session, so any DSN and any authentication will do. The gate's own queries go through psycopg. The
client's messages go through a second handle of the same socket while psycopg is idle, so types, formats and
transactions stay PostgreSQL's. No threads here: one client, one thread, one backend.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from medgen_pipeline_tests.redgate import wire
from medgen_pipeline_tests.redgate.copycommand import CopyCommand
from medgen_pipeline_tests.redgate.copyload import LoadReport
from medgen_pipeline_tests.redgate.errors import translated
from medgen_pipeline_tests.redgate.plan import SCHEMA, SEARCH_PATH_TAIL
from medgen_pipeline_tests.redgate.wire import Message

_STATUS = {TransactionStatus.IDLE: b"I", TransactionStatus.INTRANS: b"T", TransactionStatus.INERROR: b"E"}
# With a timeout Python leaves the socket non-blocking below, as libpq needs it, and waits by itself.
_SECONDS = 3600.0
_INSTALL_LOCK = 7_357
_DIAGNOSTICS = {
    "C": "sqlstate",
    "M": "message_primary",
    "D": "message_detail",
    "H": "message_hint",
    "n": "constraint_name",
    "c": "column_name",
}
_RECORD_ERROR = """
    INSERT INTO redgate.stl_load_errors
        (tbl, query, filename, line_number, colname, type, col_length, raw_line, raw_field_value, err_code, err_reason)
    VALUES (coalesce(to_regclass(%s)::oid::integer, 0), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
# The names under which Redshift's load errors know types.
_SHORT_TYPES = {
    "character varying": "varchar",
    "character": "char",
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}


def _connect(dsn: str, database: str) -> psycopg.Connection:
    # Without TLS, because the raw handle of the socket sees what is on the wire.
    return psycopg.connect(
        dsn, dbname=database, autocommit=True, prepare_threshold=None, sslmode="disable", gssencmode="disable"
    )


def install_compat(connection: psycopg.Connection) -> None:
    """Give this database the functions and views of ``compat.sql``, once."""
    # Not to_regnamespace: it would still give what it has cached before the wait for the lock.
    absent = "SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)"
    if connection.execute(absent, (SCHEMA,)).fetchone() == (False,):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_INSTALL_LOCK,))
        if connection.execute(absent, (SCHEMA,)).fetchone() == (True,):
            connection.execute(resources.files(__package__).joinpath("compat.sql").read_bytes())


class Backend:
    """A PostgreSQL session prepared to look like Redshift's."""

    def __init__(self, dsn: str, database: str, isolation: str) -> None:
        self._dsn, self._database = dsn, database
        self._connection = _connect(dsn, database)
        self.status = b"I"
        install_compat(self._connection)
        self.execute("SELECT set_config('default_transaction_isolation', %s, false)", (isolation,))
        self.execute("SELECT set_config('search_path', %s, false)", (f'"$user", public{SEARCH_PATH_TAIL}',))
        self.execute("SET timezone TO 'UTC'")
        self._socket = socket.socket(fileno=os.dup(self._connection.fileno()))
        self._socket.settimeout(_SECONDS)
        self._stream = self._socket.makefile("rb")

    @property
    def process_id(self) -> int:
        """PostgreSQL's number of the session."""
        return self._connection.pgconn.backend_pid

    @contextmanager
    def own_queries(self) -> Iterator[psycopg.Connection]:
        """The session for the gate's own use; PostgreSQL's errors become Redshift's."""
        try:
            yield self._connection
        except psycopg.Error as error:
            if self._connection.closed or error.sqlstate is None:
                raise ConnectionError("PostgreSQL has closed the session") from error
            fields = {letter: getattr(error.diag, name) for letter, name in _DIAGNOSTICS.items()}
            raise translated({letter: value for letter, value in fields.items() if value}) from error
        finally:
            self.status = _STATUS.get(TransactionStatus(self._connection.pgconn.transaction_status), b"E")

    def execute(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a query of the gate's, unseen by the client, inside the client's transaction if there is one."""
        with self.own_queries() as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def relay(self, request: bytes) -> Iterator[Message]:
        """Send a client's messages on and give PostgreSQL's answers, without the final ReadyForQuery."""
        self._socket.sendall(request)
        while (message := wire.read_message(self._stream)).kind != b"Z":
            yield message
        self.status = message.body

    def abort(self) -> None:
        """Fail the client's transaction, if there is one: PostgreSQL has not seen the statement that was refused."""
        if self.status == b"T":
            with self.own_queries() as connection, _expected_failure():
                connection.execute("SELECT 1/0")

    def record(self, query_id: int, command: CopyCommand, report: LoadReport) -> None:
        """Write load errors on a connection of its own: system tables do not roll back with the client."""
        rows = []
        for part, error in report.errors:
            column = error.column
            kind = _SHORT_TYPES.get(column.type, column.type) if column else ""
            texts = [text[:1000].decode("utf-8", "replace").replace("\0", "?") for text in (error.raw, error.value)]
            described = (column.name if column else "", kind[:10], str(column.length) if column else "")
            rows.append(
                (
                    command.table,
                    query_id,
                    part.uri[:256],
                    error.line,
                    *described,
                    *texts,
                    error.code,
                    error.reason[:100],
                )
            )
        with _connect(self._dsn, self._database) as connection:
            connection.cursor().executemany(_RECORD_ERROR, rows)

    def cancel(self) -> None:
        """Stop what runs; called from another thread."""
        self._connection.cancel_safe(timeout=5)

    def close(self) -> None:
        """End the session; PostgreSQL rolls back what is open."""
        self._stream.close()
        self._socket.close()
        self._connection.close()


@contextmanager
def _expected_failure() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.DivisionByZero:
        return
