"""Connections to one PostgreSQL: opening, cancelling, locking, and errors in the contract's terms.

Two connections: one does the work and holds the table's advisory lock, so that the lock goes when the work's connection
goes; the other writes the audit, so that the record survives a rollback. What is executed is other modules' business.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders.base import LoaderError, LostConnectionError, TableBusyError
from medgen_pipeline.loaders.postgres.config import PostgresConfig
from medgen_pipeline.loaders.postgres.names import TableNames, schemas

logger = logging.getLogger(__name__)

AUDIT_DDL: LiteralString = """
CREATE TABLE IF NOT EXISTS {audit}.load_run (
    load_id bigint PRIMARY KEY,
    dagster_run_id text,
    table_name text NOT NULL,
    release text NOT NULL,
    source_sha256 text NOT NULL,
    content_sha256 text NOT NULL,
    table_shape text NOT NULL,
    strategy text,
    mode text,
    status text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    rows_extracted bigint,
    rows_rejected bigint,
    rows_repaired bigint,
    rows_inserted bigint,
    rows_updated bigint,
    rows_deleted bigint,
    rows_unchanged bigint,
    guard text,
    error text
);
CREATE INDEX IF NOT EXISTS load_run_table_name_idx ON {audit}.load_run (table_name, load_id);
CREATE TABLE IF NOT EXISTS {audit}.rejected_row (
    load_id bigint NOT NULL REFERENCES {audit}.load_run,
    line_number bigint NOT NULL,
    reason text NOT NULL,
    raw bytea NOT NULL,
    PRIMARY KEY (load_id, line_number)
);
"""

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
_LOCK_POLL_SECONDS = 0.2
# How long the server may take to end the session that held a lock before, once its connection is closed.
_RETAKE_SECONDS = 5.0

Params = Sequence[Any] | Mapping[str, Any] | None


class PostgresSession:
    """The open connections of one loader."""

    def __init__(self, db_dsn: str, config: PostgresConfig) -> None:
        """Remember where to connect; nothing is opened."""
        self.config = config
        self._dsn = db_dsn
        self._work: psycopg.Connection[Any] | None = None
        self._audit: psycopg.Connection[Any] | None = None
        self._locked_table: str | None = None

    def open(self) -> None:
        """Open the work connection and create the schemas and audit tables that are missing."""
        if self._work is not None and not self._work.closed:
            return
        self._work = self._connect("load")
        try:
            self._require_utf8()
            self._ensure_schemas()
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
            raise LoaderError(
                f"PostgreSQL at {self.where}: {doing}: {error.diag.message_primary or error}. "
                "The role needs CREATE on the database, or on the schemas "
                f"{', '.join(schemas(self.config.schema))} that somebody else has created."
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

    def run(
        self, statement: LiteralString, names: TableNames, params: Params = None, **more: sql.Composable
    ) -> psycopg.Cursor[Any]:
        """Execute ``statement`` on the work connection with the names of one table filled in."""
        return self.work.execute(sql.SQL(statement).format(**names.parts, **more), params)

    def value(self, statement: LiteralString, names: TableNames, params: Params = None, **more: sql.Composable) -> Any:
        """The first column of the first row, or None."""
        row = self.run(statement, names, params, **more).fetchone()
        return None if row is None else row[0]

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

    def _ensure_schemas(self) -> None:
        """Create what is missing. Looks first, so that a role without CREATE can work in schemas made for it."""
        names = schemas(self.config.schema)
        with self.errors("creating schemas"):
            if self._schemas_stand(names):
                return
            with self.work.transaction():
                # CREATE ... IF NOT EXISTS of two sessions at once still collides in pg_namespace.
                self.work.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"medgen:{names[0]}"])
                found = self.work.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", [list(names)])
                existing = {row[0] for row in found}
                for name in names:
                    if name not in existing:
                        self.work.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
                self.work.execute(sql.SQL(AUDIT_DDL).format(audit=sql.Identifier(names[3])))

    def _schemas_stand(self, names: Sequence[str]) -> bool:
        row = self.work.execute(
            "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = ANY(%s)),"
            " (SELECT count(*) FROM pg_tables WHERE schemaname = %s AND tablename IN ('load_run', 'rejected_row'))",
            [list(names), names[3]],
        ).fetchone()
        return row == (len(names), 2)
