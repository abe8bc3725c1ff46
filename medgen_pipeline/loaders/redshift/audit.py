"""The record of loads in ``<schema>_audit``: ``load_run`` and ``rejected_row``, written on a connection of its own.

Also creates the schemas, because the audit comes before everything else.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from medgen_pipeline.framing import RejectedRow
from medgen_pipeline.loaders.base import (
    LoadDetail,
    LoaderError,
    LoadRecord,
    LoadStart,
    LoadStatus,
    LostConnectionError,
    new_load_id,
)
from medgen_pipeline.loaders.names import schemas
from medgen_pipeline.loaders.redshift.session import COMMIT_LOCK, RedshiftSession

logger = logging.getLogger(__name__)
T = TypeVar("T")

_LOAD_RUN: LiteralString = (
    "CREATE TABLE IF NOT EXISTS {audit}.load_run (load_id BIGINT NOT NULL, dagster_run_id VARCHAR(255),"
    " table_name VARCHAR(127) NOT NULL, release VARCHAR(255) NOT NULL, source_sha256 VARCHAR(64) NOT NULL,"
    " content_sha256 VARCHAR(64) NOT NULL, table_shape VARCHAR(64) NOT NULL, strategy VARCHAR(16), mode VARCHAR(16),"
    " status VARCHAR(16) NOT NULL, started_at TIMESTAMPTZ NOT NULL, finished_at TIMESTAMPTZ, rows_extracted BIGINT,"
    " rows_rejected BIGINT, rows_repaired BIGINT, rows_inserted BIGINT, rows_updated BIGINT, rows_deleted BIGINT,"
    " rows_unchanged BIGINT, guard VARCHAR(4096), error VARCHAR(65535)) DISTSTYLE ALL COMPOUND SORTKEY (load_id)"
)
# "raw" is a reserved word in Redshift.
_REJECTED_ROW: LiteralString = (
    "CREATE TABLE IF NOT EXISTS {audit}.rejected_row (load_id BIGINT NOT NULL, line_number BIGINT NOT NULL,"
    ' reason VARCHAR(65535) NOT NULL, "raw" VARCHAR(65535) NOT NULL) DISTSTYLE EVEN COMPOUND SORTKEY (load_id)'
)
_COMMIT_LOCK: LiteralString = "CREATE TABLE IF NOT EXISTS {audit}.commit_lock (held SMALLINT)"
_TABLES = (_LOAD_RUN, _REJECTED_ROW, _COMMIT_LOCK)
_LONGEST_TEXT = 65535
_NO_COLLISION = ("42501", "42601")  # insufficient privilege, syntax error


class RedshiftAudit:
    """Reads and writes the audit of one schema."""

    def __init__(self, session: RedshiftSession) -> None:
        """Nothing is opened."""
        self._session = session
        self._names = schemas(session.config.schema)
        self._schema = sql.Identifier(self._names[3])

    def ensure_schemas(self) -> None:
        """Create what is missing. Looks first, so that a user without CREATE can work in schemas made for it."""
        with self._session.errors("creating schemas"):
            for attempt in range(1, self._session.config.conflict_attempts + 1):
                if self._schemas_stand():
                    return
                try:
                    self._create_schemas()
                except psycopg.Error as error:
                    # IF NOT EXISTS of two sessions at once still collides, with whatever message the catalog has.
                    if error.sqlstate in _NO_COLLISION or attempt == self._session.config.conflict_attempts:
                        raise
                    logger.info("creating schemas, attempt %d: %s", attempt, error)
                    self._session.pause(attempt)

    def _schemas_stand(self) -> bool:
        schemas_found = self._session.work.execute(
            "SELECT COUNT(*) FROM pg_namespace WHERE nspname IN (%s, %s, %s, %s)", self._names
        ).fetchone()
        tables_found = self._session.work.execute(
            "SELECT COUNT(*) FROM svv_tables WHERE table_schema = %s"
            " AND table_name IN ('load_run', 'rejected_row', 'commit_lock')",
            [self._names[3]],
        ).fetchone()
        return (schemas_found, tables_found) == ((len(self._names),), (len(_TABLES),))

    def _create_schemas(self) -> None:
        with self._session.work.transaction():
            for name in self._names:
                self._session.work.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))
            for statement in _TABLES:
                self._session.work.execute(sql.SQL(statement).format(audit=self._schema))

    def start(self, start: LoadStart) -> int:
        """Mark abandoned predecessors and insert a running load. The caller holds the table's lock."""
        table_name = start.table.name

        def body() -> int:
            self._run(
                "UPDATE {audit}.load_run SET status = %s, finished_at = GETDATE(),"
                " error = 'its process ended without a word; found by the next load'"
                " WHERE table_name = %s AND status = %s",
                [LoadStatus.ABANDONED, table_name, LoadStatus.RUNNING],
            )
            newest = self._run("SELECT MAX(load_id) FROM {audit}.load_run WHERE table_name = %s", [table_name])
            row = newest.fetchone()
            load_id = new_load_id(row[0] if row else None)
            self._run(
                "INSERT INTO {audit}.load_run (load_id, dagster_run_id, table_name, release, source_sha256,"
                " content_sha256, table_shape, status, started_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, GETDATE())",
                [
                    load_id,
                    start.dagster_run_id,
                    table_name,
                    start.release,
                    start.source_sha256,
                    start.content_sha256,
                    start.table.shape,
                    LoadStatus.RUNNING,
                ],
            )
            return load_id

        return self._write(body)

    def detail(self, load_id: int, detail: LoadDetail) -> None:
        """Add what framing saw."""
        self._write_again_if_lost(
            lambda: self._run(
                "UPDATE {audit}.load_run SET strategy = %s, rows_extracted = %s, rows_rejected = %s,"
                " rows_repaired = %s WHERE load_id = %s",
                [detail.strategy, detail.rows_extracted, detail.rows_rejected, detail.rows_repaired, load_id],
            )
        )

    def rejected_rows(self, load_id: int, rows: Sequence[RejectedRow]) -> None:
        """Append lines that were set aside, all in one statement."""
        if not rows:
            return
        row = "(CAST(%s AS BIGINT), CAST(%s AS BIGINT), CAST(%s AS VARCHAR(65535)), CAST(%s AS VARCHAR(65535)))"
        statement = sql.SQL('INSERT INTO {}.rejected_row (load_id, line_number, reason, "raw") VALUES {}').format(
            self._schema, sql.SQL(", ").join([sql.SQL(row)] * len(rows))
        )
        values = [
            value for row in rows for value in (load_id, row.line_number, _fitting(row.reason), _as_text(row.raw))
        ]
        with self._session.errors("recording rejected rows"):
            self._session.repeatedly(lambda: self._session.audit.execute(statement, values))

    def finish(self, load_id: int, status: LoadStatus, error: str | None) -> LoadStatus:
        """Close a running record; returns the status that stands."""

        def body() -> LoadStatus | None:
            self._run(
                "UPDATE {audit}.load_run SET status = %s, error = %s, finished_at = GETDATE()"
                " WHERE load_id = %s AND status = %s",
                [status, None if error is None else _fitting(error), load_id, LoadStatus.RUNNING],
            )
            return self.status_on(self._session.audit, load_id)

        found = self._write_again_if_lost(body)
        if found is None:
            raise LoaderError(f"load {load_id} is not in the audit: was load_run emptied?")
        return found

    def status(self, load_id: int) -> LoadStatus | None:
        """The status of a load, once no transaction is at work that could still change it."""
        return self._write_again_if_lost(lambda: self.status_on(self._session.audit, load_id))

    def status_on(self, connection: psycopg.Connection[Any], load_id: int) -> LoadStatus | None:
        """The status of a load as ``connection`` sees it."""
        statement = sql.SQL("SELECT status FROM {audit}.load_run WHERE load_id = %s").format(audit=self._schema)
        row = connection.execute(statement, [load_id]).fetchone()
        return None if row is None else LoadStatus(row[0])

    def ended_loads(self, table_name: str) -> set[int]:
        """The loads of a table that no longer run."""
        with self._session.errors("reading the audit"):
            rows = self._run(
                "SELECT load_id FROM {audit}.load_run WHERE table_name = %s AND status <> %s",
                [table_name, LoadStatus.RUNNING],
            ).fetchall()
        return {int(row[0]) for row in rows}

    def last_success(self, table_name: str) -> LoadRecord | None:
        """The newest successful load of a table."""
        names = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(LoadRecord))
        statement = sql.SQL(
            "SELECT {names} FROM {audit}.load_run WHERE table_name = %s AND status = %s ORDER BY load_id DESC LIMIT 1"
        ).format(names=names, audit=self._schema)
        with (
            self._session.errors("reading the audit"),
            self._session.audit.cursor(row_factory=class_row(LoadRecord)) as cursor,
        ):
            return cursor.execute(statement, [table_name, LoadStatus.SUCCEEDED]).fetchone()

    def _write(self, body: Callable[[], T]) -> T:
        """One transaction on the audit's connection, after those that publish."""

        def once() -> T:
            with self._session.audit.transaction():
                self._run(COMMIT_LOCK)
                return body()

        with self._session.errors("writing the audit"):
            return self._session.repeatedly(once)

    def _write_again_if_lost(self, body: Callable[[], T]) -> T:
        """The same for what may happen twice: the connection may have broken while it was idle."""
        try:
            return self._write(body)
        except LostConnectionError as error:
            logger.info("writing the audit once more: %s", error)
            return self._write(body)

    def _run(self, statement: LiteralString, params: Sequence[Any] | None = None) -> psycopg.Cursor[Any]:
        return self._session.audit.execute(sql.SQL(statement).format(audit=self._schema), params)


def _fitting(text: str) -> str:
    return text.replace("\0", "").encode()[:_LONGEST_TEXT].decode("utf-8", "ignore")


def _as_text(raw: bytes) -> str:
    r"""Bytes as text for a person to read: what is not UTF-8, and NUL, as ``\xff``."""
    return _fitting(raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00"))
