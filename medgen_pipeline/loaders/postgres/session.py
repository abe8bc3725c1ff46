"""Connections to one PostgreSQL: opening, cancelling, locking, and errors in the contract's terms.

Two connections: one does the work and holds the table's advisory lock, so that the lock goes when the work's connection
goes; the other writes the audit, so that the record survives a rollback. What is executed is other modules' business.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, LiteralString, TypeVar
from urllib.parse import quote

import psycopg
from psycopg import errors as pg_errors
from psycopg.conninfo import conninfo_to_dict

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders.base import LoaderError, LostConnectionError, TableBusyError
from medgen_pipeline.loaders.postgres.config import PostgresConfig
from medgen_pipeline.loaders.sql.session import Params, SqlSession, Statement, missing_right

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Setting names are PostgreSQL's; see https://www.postgresql.org/docs/current/runtime-config-resource.html.
# jit: compiling costs more than it saves on these plans. search_path: nothing of the user's may shadow a built-in.
# row_security: a policy that hides rows from the loader would make it insert them again; "off" makes that an error.
_SESSION = (
    "SET search_path = pg_catalog, pg_temp; SET jit = off; SET client_min_messages = warning;"
    " SET timezone = 'UTC'; SET datestyle = 'ISO'; SET statement_timeout = 0;"
    " SET row_security = off"
)
# Without it the server sees that a killed client is gone only when its statement ends; until then that keeps the
# table's lock. The setting needs poll() with POLLRDHUP or its like, so a server on Windows refuses it.
_NOTICE_DEAD_CLIENT = "SET client_connection_check_interval = '2s'"
# libpq gives no SQLSTATE before a session exists, so the server's wording is all there is to tell these apart.
_REFUSALS = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "not permitted",
    "no password",
    "invalid",  # sslmode, port, channel_binding ...
    "Servname not supported",  # a port that is no number, as glibc's getaddrinfo puts it
)
_BATCH_ROWS = 10_000
_LOCK_POLL_SECONDS = 0.2
# How long the server may take to end the session that held a lock before, once its connection is closed.
_RETAKE_SECONDS = 5.0


class PostgresSession(SqlSession[psycopg.Cursor[Any]]):
    """The open connections of one loader."""

    now: ClassVar[LiteralString] = "clock_timestamp()"

    def __init__(self, db_dsn: str, config: PostgresConfig) -> None:
        """Remember where to connect; nothing is opened."""
        self.config = config
        self.schema = config.schema
        self._dsn = db_dsn
        self._work: psycopg.Connection[Any] | None = None
        self._audit: psycopg.Connection[Any] | None = None
        self._locked_table: str | None = None

    def open(self) -> None:
        """Open the work connection."""
        if self._work is not None and not self._work.closed:
            return
        self._work = self._connect("load")
        try:
            self._require_utf8()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close both connections, which frees the table's lock; harmless when they are closed."""
        for connection in (self._work, self._audit):
            if connection is not None:
                connection.close()
        self._work = self._audit = self._locked_table = None

    def cancel(self) -> None:
        """Cancel the running statement, reconnect, and take the table's lock again if it was held.

        psycopg cancels by itself only on KeyboardInterrupt; after Dagster's interrupt the server would go on and hold
        its locks, and the connection stays in use (seen with psycopg 3.3.9).

        Raises:
            TableBusyError: Another load has taken the lock. The session is closed, so that nothing of what is in
                staging, which is the other load's now, can be touched.
        """
        if self._work is not None and not self._work.closed:
            try:
                self._work.cancel_safe(timeout=10)
            except psycopg.Error as error:
                logger.warning("could not cancel the running statement: %s", error)
        table = self._locked_table
        self.close()
        self.open()
        if table is not None:
            try:
                self._take_lock(table, _RETAKE_SECONDS)
            except BaseException:
                self.close()
                raise

    @property
    def work(self) -> psycopg.Connection[Any]:
        """The connection of the load itself."""
        if self._work is None:
            raise LoaderError("The loader is not connected: call connect() or use it in a with statement.")
        return self._work

    @property
    def audit(self) -> psycopg.Connection[Any]:
        """The connection of the audit, opened when first used and after a break."""
        if self._audit is None or self._audit.closed:
            self._audit = self._connect("audit")
        return self._audit

    @property
    def where(self) -> str:
        """Host, port and database, without credentials."""
        parts = conninfo_to_dict(self._dsn)
        host = quote(str(parts.get("host", "localhost")), safe=":")
        return f"{host}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn the driver's errors into the contract's, naming what was being done."""
        try:
            yield
        except pg_errors.InsufficientPrivilege as error:
            message = error.diag.message_primary or str(error)
            raise LoaderError(
                f"PostgreSQL at {self.where}: {doing}: {message}. {missing_right(message, 'role', self.schema)}"
            ) from error
        except pg_errors.LockNotAvailable as error:
            raise TableBusyError(
                f"PostgreSQL at {self.where}: {doing}: another session has kept the table locked for longer than this "
                f"load waits ({error}). End that session, or load again later."
            ) from error
        except pg_errors.DuplicateTable as error:
            raise LoaderError(
                f"PostgreSQL at {self.where}: {doing}: {error.diag.message_primary or error}. The loader did not make "
                "it, or not for this table: an index keeps its name when its table is renamed. Rename or drop it, and "
                "load again."
            ) from error
        except psycopg.OperationalError as error:
            raise LostConnectionError(f"PostgreSQL at {self.where}: {doing}: {error}") from error
        except psycopg.Error as error:
            raise LoaderError(f"PostgreSQL at {self.where}: {doing}: {error}") from error

    def execute(self, statement: Statement, params: Params = None) -> psycopg.Cursor[Any]:
        """Execute on the work connection."""
        return self.work.execute(statement, params)

    def execute_audit(self, statement: Statement, params: Params = None) -> psycopg.Cursor[Any]:
        """Execute on the audit's connection."""
        return self.audit.execute(statement, params)

    def transaction(self, body: Callable[[], T]) -> T:
        """Run ``body`` in a transaction."""
        with self.work.transaction():
            return body()

    def stream(self, statement: Statement) -> Iterator[tuple[Any, ...]]:
        """Rows of one statement through a server-side cursor, in constant memory."""
        with self.errors("reading the history"), self.work.transaction(), self.work.cursor("history") as cursor:
            cursor.itersize = _BATCH_ROWS
            cursor.execute(statement)
            yield from cursor

    def set(self, name: LiteralString, value: str) -> None:
        """Change a setting for the rest of the session."""
        self.work.execute("SELECT set_config(%s, %s, false)", [name, value])

    def set_local(self, name: LiteralString, value: str) -> None:
        """Change a setting for the rest of the transaction."""
        self.work.execute("SELECT set_config(%s, %s, true)", [name, value])

    def take_table_lock(self, table: Table) -> None:
        """Take the session's advisory lock on ``schema.table``, or say who holds it.

        Polls instead of waiting in the server: a waiting statement would hold back VACUUM's horizon.

        Raises:
            TableBusyError: The lock was not free within ``lock_timeout_seconds``.
        """
        self._take_lock(f"{self.config.schema}.{table.name}", self.config.lock_timeout_seconds)

    def _take_lock(self, table: str, seconds: float) -> None:
        lock_name = f"medgen_pipeline:{table}"
        deadline = time.monotonic() + seconds
        with self.errors(f"locking {table}"):
            while not self._try_lock(lock_name):
                if time.monotonic() >= deadline:
                    raise TableBusyError(
                        f"{table}: waited {seconds:g} s for another load of this table: "
                        f"{self._lock_holder(lock_name)}. Wait for it or end it, then load again."
                    )
                time.sleep(min(_LOCK_POLL_SECONDS, seconds / 10))
        self._locked_table = table

    def _try_lock(self, lock_name: str) -> bool:
        row = self.work.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [lock_name]).fetchone()
        return row == (True,)

    def _lock_holder(self, lock_name: str) -> str:
        holder = self.work.execute(
            "SELECT a.pid, a.usename, coalesce(host(a.client_addr), 'this machine'), a.backend_start"
            " FROM pg_locks l JOIN pg_stat_activity a USING (pid), (SELECT hashtextextended(%s, 0) AS key) k"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
            " AND l.classid = ((k.key >> 32) & 4294967295)::oid AND l.objid = (k.key & 4294967295)::oid",
            [lock_name],
        ).fetchone()
        if holder is None:
            return "it has just ended"
        pid, user, host, since = holder
        return f"server process {pid} of {user} from {host}, connected since {since:%Y-%m-%d %H:%M:%S} UTC"

    def _connect(self, purpose: str) -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                client_encoding="utf8",
                application_name=f"medgen_pipeline {purpose}",
                keepalives_idle=30,
                connect_timeout=30,
            )
            connection.execute(_SESSION)
            try:
                connection.execute(_NOTICE_DEAD_CLIENT)
            except pg_errors.InvalidParameterValue as error:
                logger.debug("the server cannot look after dead clients: %s", error)
        except psycopg.OperationalError as error:
            text = str(error).strip()
            if any(phrase in text for phrase in _REFUSALS):
                raise LoaderError(
                    f"PostgreSQL at {self.where} refuses the connection: {text}. Check the DSN."
                ) from error
            raise LostConnectionError(
                f"PostgreSQL at {self.where} cannot be reached: {text}. Is the server running?"
            ) from error
        return connection

    def _require_utf8(self) -> None:
        encoding = self.work.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise LoaderError(
                f"PostgreSQL at {self.where}: the database's encoding is {encoding}, expected UTF8. "
                "Create the database with ENCODING 'UTF8' TEMPLATE template0."
            )
