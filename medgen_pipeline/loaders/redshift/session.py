"""The open connections of one loader, transactions that are repeated as a whole, and errors in the contract's terms.

Three connections: one does the work; one writes the audit, so that the record survives a rollback; one holds the
table's lock in an open transaction (``lock``). What is executed is other modules' business.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, LiteralString, TypeVar

import psycopg
from psycopg import errors as pg_errors
from psycopg.pq import TransactionStatus

from medgen_pipeline.errors import TransientError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.records import LoaderError
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.loaders.redshift.connect import CONNECTIONS, Connector
from medgen_pipeline.loaders.redshift.dialect import DIALECT
from medgen_pipeline.loaders.sql.failures import failure_of
from medgen_pipeline.loaders.sql.session import SqlSession, missing_right, pause

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Serialises the transactions that publish and that write the audit. Without it they read and write load_run side by
# side, which a database with SERIALIZABLE isolation answers with error 1023.
COMMIT_LOCK: LiteralString = "LOCK {audit}.commit_lock"


class ConflictError(TransientError):
    """Other transactions got in the way of this one more often than it was repeated."""


def is_conflict(error: psycopg.Error) -> bool:
    """Whether Redshift asks for the transaction to be repeated. Nearly every error there has SQLSTATE XX000.

    https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html
    """
    primary = error.diag.message_primary or str(error)
    text = f"{primary} {error.diag.message_detail or ''}"
    return (
        error.sqlstate in {"40001", "40P01"}
        or primary.strip().startswith("1023")
        or "Serializable isolation violation" in text
        or "conflict with concurrent transaction" in text
        or "could not open relation with OID" in text
    )


def describe(error: psycopg.Error) -> str:
    """The message, and of Redshift's framed detail the line that says what happened."""
    detail = error.diag.message_detail or ""
    context = [line.partition("context:")[2].strip() for line in detail.splitlines() if "context:" in line]
    return " ".join(filter(None, [error.diag.message_primary or str(error).strip(), *context]))


class RedshiftSession(SqlSession[psycopg.Cursor[Any]]):
    """The open connections of one loader."""

    dialect: ClassVar[Dialect] = DIALECT

    def __init__(self, db_dsn: str, config: RedshiftConfig) -> None:
        """Remember where to connect; nothing is opened."""
        self.config = config
        self.schema = config.schema
        self.connector = Connector(db_dsn, config)
        self._work: psycopg.Connection[Any] | None = None
        self._audit: psycopg.Connection[Any] | None = None

    def open(self) -> None:
        if self._work is None or self._work.closed:
            self._work = self.connector.open("load")

    def close(self) -> None:
        for connection in (self._work, self._audit):
            if connection is not None:
                connection.close()
        self._work = self._audit = None

    def cancel(self) -> None:
        """Cancel the running statement and reconnect."""
        if self._work is not None and not self._work.closed:
            try:
                self._work.cancel_safe(timeout=10)
            except psycopg.Error as error:
                logger.warning("could not cancel the running statement: %s", error)
        self.close()
        self.open()

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
            self._audit = self.connector.open("audit")
        return self._audit

    @property
    def only_looks(self) -> bool:
        return (
            self._audit is None
            and self._work is not None
            and self._work.info.transaction_status is TransactionStatus.IDLE
        )

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        start = f"Redshift at {self.connector.where}: {doing}"
        try:
            yield
        except pg_errors.InsufficientPrivilege as error:
            message = describe(error)
            raise LoaderError(f"{start}: {message}. {missing_right(message, 'user', self.schema)}") from error
        except psycopg.Error as error:
            if is_conflict(error):
                raise ConflictError(
                    f"{start}: {self.config.conflict_attempts} times in a row other transactions got in the way: "
                    f"{describe(error)}. Nothing was published; load again when the cluster is less busy."
                ) from error
            failure = failure_of(error)
            remedy = failure.remedy.format(connections=CONNECTIONS)
            raise failure.error(f"{start}: {describe(error)}{remedy and f'. {remedy}'}") from error

    @property
    def where(self) -> str:
        """Host, port and database, without credentials."""
        return self.connector.where

    def execute(self, statement: sql.Statement) -> psycopg.Cursor[Any]:
        return self.work.execute(*self.dialect.render(statement))

    def execute_audit(self, statement: sql.Statement) -> psycopg.Cursor[Any]:
        return self.audit.execute(*self.dialect.render(statement))

    def columns(self, schema: str, name: str) -> dict[str, str]:
        """The columns of a table with their types, from the view that AWS documents for that.

        https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_COLUMNS.html
        """
        rows = self.work.execute(
            "SELECT column_name, data_type FROM svv_columns WHERE table_schema = %s AND table_name = %s", [schema, name]
        ).fetchall()
        return {str(column): str(data_type) for column, data_type in rows}

    def stream(self, statement: sql.Statement) -> Iterator[tuple[Any, ...]]:
        """Rows as they come, in constant memory. A cursor would gather all of them on the leader node first.

        https://docs.aws.amazon.com/redshift/latest/dg/declare.html
        """
        with self.errors("reading the history"), self.work.cursor() as cursor:
            yield from cursor.stream(*self.dialect.render(statement))

    def repeatedly(self, body: Callable[[], T]) -> T:
        """Run ``body`` again, after a growing pause, as long as others get in its way.

        ``body`` must be one transaction: a part of one cannot be repeated.
        """
        for attempt in range(1, self.config.conflict_attempts):
            try:
                return body()
            except psycopg.Error as error:
                if not is_conflict(error):
                    raise
                logger.info("another transaction got in the way (attempt %d): %s", attempt, describe(error))
                self.pause(attempt)
        return body()

    def pause(self, attempt: int) -> None:
        """Wait before the next attempt of what others got in the way of."""
        pause(self.config.conflict_backoff_seconds, attempt)

    def transaction(self, body: Callable[[], T]) -> T:
        """Run ``body`` in a transaction of the work connection, repeated as a whole where others get in its way."""

        def once() -> T:
            with self.work.transaction():
                return body()

        return self.repeatedly(once)

    def altering(self, body: Callable[[], T]) -> T:
        """Run ``body``, and again where others get in its way; each of its statements must be repeatable."""
        return self.repeatedly(body)

    def set_timeout(self, seconds: float) -> None:
        """Limit each statement of the work connection; 0 lifts the limit."""
        self.execute(sql.SQL("SET SESSION statement_timeout TO {}").format(sql.Literal(round(seconds * 1000))))

    @contextmanager
    def waiting_at_most(self, seconds: float) -> Iterator[None]:
        """Limit each statement; afterwards there is no limit, unless the connection is broken."""
        self.set_timeout(seconds)
        try:
            yield
        finally:
            if not self.work.closed and self.work.info.transaction_status is TransactionStatus.IDLE:
                self.set_timeout(0)
