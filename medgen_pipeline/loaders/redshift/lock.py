"""One load of a table at a time, without advisory locks: an open transaction holds LOCK on a table made for it.

The lock goes when its connection goes, so a process that dies frees it. Readers never meet it: nobody reads that table.
"""

import logging
import math
import time
from datetime import datetime
from typing import Any

import psycopg
from psycopg import errors as pg_errors

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import TableBusyError
from medgen_pipeline.loaders.redshift.dialect import DIALECT
from medgen_pipeline.loaders.redshift.session import RedshiftSession, describe, is_conflict
from medgen_pipeline.loaders.sql.names import schemas

logger = logging.getLogger(__name__)

# How long the cluster may take to end the session that held the lock before, once its connection is closed.
_RETAKE_SECONDS = 5.0


class TableLock:
    """The lock of one table, on a connection of its own."""

    def __init__(self, session: RedshiftSession) -> None:
        """Nothing is opened."""
        self._session = session
        self._connection: psycopg.Connection[Any] | None = None
        self._held: str | None = None

    def take(self, table: Table) -> None:
        """Take the lock of ``table``, giving up the one held before, or say who holds it.

        Raises:
            TableBusyError: It was not free within ``lock_timeout_seconds``.
        """
        self.release()
        self._take(table.name, self._session.config.lock_timeout_seconds)

    def keep(self) -> None:
        """Take the lock again if its connection has broken in the meantime.

        Raises:
            TableBusyError: Another load has taken it: what is in staging is that load's.
        """
        if self._held is None or self._is_alive():
            return
        name = self._held
        self.release()
        self._take(name, _RETAKE_SECONDS)

    def release(self) -> None:
        """Free the lock; harmless when none is held."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._held = None

    def _is_alive(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error as error:
            logger.warning("the lock's connection broke: %s", error)
            return False
        return True

    def _take(self, table_name: str, seconds: float) -> None:
        with self._session.errors(f"locking {table_name}"):
            self._connection = connection = self._session.connector.open("lock")
            mutex = sql.Identifier(schemas(self._session.config.schema).audit, f"lock_{table_name}")
            statement = DIALECT.text(sql.SQL("CREATE TABLE IF NOT EXISTS {} (held SMALLINT)").format(mutex))
            self._session.repeatedly(lambda: connection.execute(statement))
            if not self._wait(connection, mutex, seconds):
                raise TableBusyError(
                    f"{self._session.config.schema}.{table_name}: waited {seconds:g} s for another load of this table: "
                    f"{self._holder(connection, table_name)}. Wait for it or end it, then load again."
                )
        self._held = table_name

    @staticmethod
    def _wait(connection: psycopg.Connection[Any], mutex: sql.Identifier, seconds: float) -> bool:
        """Whether the lock came in time. The transaction stays open, and with it the lock."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 or seconds <= 0:
            # Milliseconds, and 0 would mean no limit at all.
            limit = sql.Literal(max(1, math.ceil(left * 1000)))
            connection.execute(DIALECT.text(sql.SQL("SET statement_timeout TO {}").format(limit)))
            connection.execute("BEGIN")
            try:
                connection.execute(DIALECT.text(sql.SQL("LOCK {}").format(mutex)))
            except psycopg.Error as error:
                if connection.closed or not (_is_timeout(error) or is_conflict(error)):
                    raise
                connection.execute("ROLLBACK")
                seconds = max(seconds, 0.001)
            else:
                connection.execute("SET statement_timeout TO 0")
                return True
        connection.execute("SET statement_timeout TO 0")
        return False

    def _holder(self, connection: psycopg.Connection[Any], table_name: str) -> str:
        """Who holds the lock, as far as this user may see: others' transactions are shown to superusers only."""
        try:
            found = connection.execute(
                "SELECT t.pid, t.txn_owner, t.txn_start FROM svv_transactions t, pg_class c, pg_namespace n"
                " WHERE c.oid = t.relation AND n.oid = c.relnamespace AND n.nspname = %s AND c.relname = %s"
                " AND t.granted AND t.pid <> pg_backend_pid()",
                [schemas(self._session.config.schema).audit, f"lock_{table_name}"],
            ).fetchone()
        except psycopg.Error as error:
            logger.debug("svv_transactions cannot be read: %s", describe(error))
            found = None
        if found is None:
            return "its session is not visible to this user, or has just ended"
        pid, user, since = found
        started = f"{since:%Y-%m-%d %H:%M:%S}" if isinstance(since, datetime) else str(since)
        return f"server process {pid} of {str(user).strip()}, in a transaction since {started} UTC"


def _is_timeout(error: psycopg.Error) -> bool:
    """Whether ``statement_timeout`` ended the statement; Redshift words it as a wish of the user's.

    https://docs.aws.amazon.com/redshift/latest/dg/r_statement_timeout.html
    """
    return isinstance(error, pg_errors.QueryCanceled) or "cancelled on user's request" in str(error)
