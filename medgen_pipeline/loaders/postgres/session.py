"""Connections to one PostgreSQL: opening, cancelling, locking, and errors in the contract's terms.

Two connections: one does the work and holds the table's advisory lock, so that the lock goes when the work's connection
goes; the other writes the audit, so that the record survives a rollback, and reads beside the work where that takes
long. What is executed is other modules' business.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, LiteralString, TypeVar
from urllib.parse import quote

import psycopg
from psycopg import errors as pg_errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from medgen_pipeline.catalog import Table
from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.postgres import arrow
from medgen_pipeline.loaders.postgres.config import PostgresConfig
from medgen_pipeline.loaders.postgres.dialect import DIALECT
from medgen_pipeline.loaders.postgres.failures import FAILURES, REFUSALS
from medgen_pipeline.loaders.postgres.pooler import is_pooled, keeps_its_session
from medgen_pipeline.loaders.records import LoaderError, LostConnectionError, TableBusyError
from medgen_pipeline.loaders.sql.failures import failure_of, refusal_of
from medgen_pipeline.loaders.sql.session import SqlSession, missing_right

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Nothing of the user's may shadow a built-in; and the server must read literals as the dialect writes them.
_FIRST = "SET search_path = pg_catalog, pg_temp; SET standard_conforming_strings = on"
# What a role or a database may have set otherwise and what would change the text, the rows or the success of a load.
# Left as they are: default_transaction_read_only, which somebody means, and what only changes plans or places.
# Names are PostgreSQL's; those that a version does not know are left out.
_SETTINGS: Mapping[str, str] = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "timezone_abbreviations": "Default",
    "array_nulls": "on",
    "backslash_quote": "safe_encoding",
    "bytea_output": "hex",
    "client_min_messages": "warning",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",  # each step of a load sees what the one before has committed
    "exit_on_error": "off",
    "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",  # the audit is idle while the work is done
    "jit": "off",  # compiling costs more than it saves on these plans
    "lock_timeout": "0",  # the loader has a limit of its own where others may be in the way
    "quote_all_identifiers": "off",
    "restrict_nonsystem_relation_kind": "",
    "row_security": "off",  # a policy would hide rows, which would be inserted again; "off" makes that an error
    "statement_timeout": "0",
    "stats_fetch_consistency": "cache",
    "transaction_timeout": "0",
    "transform_null_equals": "off",
    "xmlbinary": "base64",
    "xmloption": "content",
}
# What a load commits before its publication is worth nothing without it, so that waits for the disk alone. The
# write-ahead log is flushed in its order: whatever the publication stands on is there with it.
_COMMIT_LATER = "SET synchronous_commit = off"
_COMMIT_NOW = "SET LOCAL synchronous_commit TO DEFAULT"
_SET = "SELECT set_config(key, value, false) FROM json_each_text(%s) WHERE current_setting(key, true) IS NOT NULL"
# Without it the server sees that a killed client is gone only when its statement ends; until then that keeps the
# table's lock. The setting needs poll() with POLLRDHUP or its like, so a server on Windows refuses it.
_NOTICE_DEAD_CLIENT = "SET client_connection_check_interval = '2s'"
_BATCH_ROWS = 10_000
_LOCK_POLL_SECONDS = 0.2
# How long the server may take to end the session that held a lock before, once its connection is closed.
_RETAKE_SECONDS = 5.0


class PostgresSession(SqlSession[psycopg.Cursor[Any]]):
    """The open connections of one loader."""

    dialect: ClassVar[Dialect] = DIALECT
    connections: ClassVar[int] = 2
    # A join would read the comments of all that the server is made of, several times in each load.
    list_relations: ClassVar[LiteralString] = (
        "SELECT n.nspname, c.relname, c.relkind, (SELECT d.description FROM pg_description d"
        " WHERE d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0)"
        " FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname IN ({})"
    )

    def __init__(self, db_dsn: str, config: PostgresConfig) -> None:
        """Remember where to connect; nothing is opened."""
        self.config = config
        self.schema = config.schema
        self._dsn = db_dsn
        self._work: psycopg.Connection[Any] | None = None
        self._audit: psycopg.Connection[Any] | None = None
        self._locked_table: str | None = None
        self._keeps_its_session = False

    def open(self) -> None:
        if self._work is not None and not self._work.closed:
            return
        self._work = self._connect("load")
        try:
            self._require_utf8()
            self._work.execute(_COMMIT_LATER)
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
    def only_looks(self) -> bool:
        return (
            self._audit is None
            and self._work is not None
            and self._work.info.transaction_status is TransactionStatus.IDLE
        )

    @property
    def where(self) -> str:
        """Host, port and database, without credentials."""
        parts = conninfo_to_dict(self._dsn)
        hosts = [quote(host, safe=":") for host in str(parts.get("host", "localhost")).split(",")]
        ports = str(parts.get("port", 5432)).split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports  # as libpq has it
        places = ",".join(f"{host}:{port or 5432}" for host, port in zip(hosts, ports, strict=False))
        return f"{places}/{parts.get('dbname', '')}"

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except pg_errors.InsufficientPrivilege as error:
            message = error.diag.message_primary or str(error)
            raise LoaderError(
                f"PostgreSQL at {self.where}: {doing}: {message}. {missing_right(message, 'role', self.schema)}"
            ) from error
        except pg_errors.DuplicateTable as error:
            raise LoaderError(
                f"PostgreSQL at {self.where}: {doing}: {error.diag.message_primary or error}. The loader did not make "
                "it, or not for this table: an index keeps its name when its table is renamed. Rename or drop it, and "
                "load again."
            ) from error
        except psycopg.Error as error:
            raise self._failed(doing, error) from error

    def _failed(self, doing: str, error: psycopg.Error) -> MedgenError:
        failure = failure_of(error, FAILURES)
        said = str(error).strip().removesuffix(".")
        remedy = failure.remedy.format(connections=self.connections)
        return failure.error(f"PostgreSQL at {self.where}: {doing}: {said}{remedy and f'. {remedy}'}")

    def execute(self, statement: sql.Statement) -> psycopg.Cursor[Any]:
        return self.work.execute(*self.dialect.render(statement))

    def execute_audit(self, statement: sql.Statement) -> psycopg.Cursor[Any]:
        return self.audit.execute(*self.dialect.render(statement))

    @contextmanager
    def beside(self, statement: sql.Statement) -> Iterator[Callable[[], psycopg.Cursor[Any]]]:
        """Execute on the audit's connection, which is idle meanwhile, beside what the work connection executes.

        What it yields waits for the answer. Where the work fails, the statement is cancelled.
        """
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.execute_audit, statement)
            try:
                yield answer.result
            except BaseException:
                if self._audit is not None and not answer.done():
                    with suppress(psycopg.Error):
                        self._audit.cancel_safe(timeout=10)
                raise

    def transaction(self, body: Callable[[], T]) -> T:
        with self.work.transaction():
            return body()

    def publication(self, body: Callable[[], None]) -> None:
        """Run ``body`` in a transaction whose commit waits for what the server's settings demand."""
        with self.work.transaction():
            self.work.execute(_COMMIT_NOW)
            body()

    def altering(self, body: Callable[[], T]) -> T:
        """Run ``body`` in a transaction that waits ``lock_timeout_seconds`` at most for each table."""
        with self.work.transaction():
            self.limit_waiting()
            return body()

    def limit_waiting(self) -> None:
        """Wait ``lock_timeout_seconds`` at most for others, for the rest of the transaction."""
        self.set_local("lock_timeout", f"{self.config.lock_timeout_seconds:g}s")

    def columns(self, schema: str, name: str) -> dict[str, str]:
        """See the base class; from the catalog, which shows them to roles without rights on the table too."""
        rows = self.work.execute(
            "SELECT a.attname::text, format_type(a.atttypid, -1) FROM pg_attribute a WHERE a.attrelid ="
            " (SELECT c.oid FROM pg_class c WHERE c.relname = %s AND c.relnamespace ="
            " (SELECT n.oid FROM pg_namespace n WHERE n.nspname = %s))"
            " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            [name, schema],
        )
        return dict(rows.fetchall())

    def stream(self, statement: sql.Statement) -> Iterator[tuple[Any, ...]]:
        """Rows of one statement through a server-side cursor, in constant memory."""
        with self.errors("reading the history"), self.work.transaction(), self.work.cursor("history") as cursor:
            cursor.itersize = _BATCH_ROWS
            cursor.execute(*self.dialect.render(statement))
            yield from cursor

    def batches(self, statement: sql.Statement, schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
        """See the base class; on a connection of its own, which reads binary COPY without Python per row."""
        return arrow.batches(self._dsn, self.dialect.text(statement), schema, self.errors)

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
        connection = self._reach(purpose)
        try:
            if not self._keeps_its_session and is_pooled(connection):
                self._require_session_pooling(connection)
                connection = self._reach(purpose)
            self._keeps_its_session = True
            connection.execute(_FIRST)
            connection.execute(_SET, [json.dumps(_SETTINGS)])
            try:
                connection.execute(_NOTICE_DEAD_CLIENT)
            except pg_errors.InvalidParameterValue as error:
                logger.debug("the server cannot look after dead clients: %s", error)
        except psycopg.Error as error:
            connection.close()
            raise self._failed("setting up the session", error) from error
        return connection

    def _reach(self, purpose: str) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(
                self._dsn,
                autocommit=True,
                client_encoding="utf8",
                application_name=f"medgen_pipeline {purpose}",
                keepalives_idle=30,
                connect_timeout=30,
            )
        except psycopg.OperationalError as error:
            text = str(error).strip()
            if refusal := refusal_of(error, REFUSALS):
                remedy = refusal.remedy.format(connections=self.connections)
                raise refusal.error(f"PostgreSQL at {self.where} refuses the connection: {text}. {remedy}") from error
            raise LostConnectionError(
                f"PostgreSQL at {self.where} cannot be reached: {text}. Is the server running?"
            ) from error

    def _require_session_pooling(self, connection: psycopg.Connection[Any]) -> None:
        if not keeps_its_session(connection):
            raise LoaderError(
                f"PostgreSQL at {self.where} is behind a pool that gives each transaction another session (pgbouncer "
                "with pool_mode = transaction or statement); a load needs one session for itself, for its lock and its "
                "settings. Use session pooling (pool_mode = session, also for one database or user), or connect to the "
                "server directly. Nothing was changed."
            )

    def _require_utf8(self) -> None:
        encoding = self.work.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise LoaderError(
                f"PostgreSQL at {self.where}: the database's encoding is {encoding}, expected UTF8. "
                "Create the database with ENCODING 'UTF8' TEMPLATE template0."
            )
