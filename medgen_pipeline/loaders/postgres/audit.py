"""The record of loads in ``<schema>_audit``: ``load_run`` and ``rejected_row``, written on a connection of its own."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from medgen_pipeline.framing import RejectedRow
from medgen_pipeline.loaders.base import LoadDetail, LoaderError, LoadRecord, LoadStart, LoadStatus, new_load_id
from medgen_pipeline.loaders.postgres.names import schemas
from medgen_pipeline.loaders.postgres.session import PostgresSession


class PostgresAudit:
    """Reads and writes the audit of one schema."""

    def __init__(self, session: PostgresSession) -> None:
        """Nothing is opened."""
        self._session = session
        self._schema = sql.Identifier(schemas(session.config.schema)[3])

    def start(self, start: LoadStart) -> int:
        """Mark abandoned predecessors and insert a running load. The caller holds the table's lock."""
        table_name = start.table.name
        self._run(
            "UPDATE {audit}.load_run SET status = %s, finished_at = clock_timestamp(),"
            " error = 'its process ended without a word; found by the next load'"
            " WHERE table_name = %s AND status = %s",
            [LoadStatus.ABANDONED, table_name, LoadStatus.RUNNING],
        )
        newest = self._run("SELECT max(load_id) FROM {audit}.load_run WHERE table_name = %s", [table_name]).fetchone()
        load_id = new_load_id(newest[0] if newest else None)
        self._run(
            "INSERT INTO {audit}.load_run (load_id, dagster_run_id, table_name, release, source_sha256,"
            " content_sha256, table_shape, status) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
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

    def detail(self, load_id: int, detail: LoadDetail) -> None:
        """Add what framing saw."""
        self._run(
            "UPDATE {audit}.load_run SET strategy = %s, rows_extracted = %s, rows_rejected = %s, rows_repaired = %s"
            " WHERE load_id = %s",
            [detail.strategy, detail.rows_extracted, detail.rows_rejected, detail.rows_repaired, load_id],
        )

    def rejected_rows(self, load_id: int, rows: Sequence[RejectedRow]) -> None:
        """Append lines that were set aside."""
        statement = sql.SQL(
            "COPY {audit}.rejected_row (load_id, line_number, reason, raw) FROM STDIN (FORMAT binary)"
        ).format(audit=self._schema)
        with (
            self._session.errors("recording rejected rows"),
            self._session.audit.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            copy.set_types(["int8", "int8", "text", "bytea"])
            for row in rows:
                copy.write_row((load_id, row.line_number, row.reason, row.raw))

    def finish(self, load_id: int, status: LoadStatus, error: str | None) -> LoadStatus:
        """Close a running record; returns the status that stands."""
        self._run(
            "UPDATE {audit}.load_run SET status = %s, error = %s, finished_at = clock_timestamp()"
            " WHERE load_id = %s AND status = %s",
            [status, error, load_id, LoadStatus.RUNNING],
        )
        row = self._run("SELECT status FROM {audit}.load_run WHERE load_id = %s", [load_id]).fetchone()
        if row is None:
            raise LoaderError(f"load {load_id} is not in the audit: was load_run emptied?")
        return LoadStatus(row[0])

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

    def set_guard(self, load_id: int, guard: str) -> None:
        """Replace the guard of a finished load."""
        self._run("UPDATE {audit}.load_run SET guard = %s WHERE load_id = %s", [guard, load_id])

    def _run(self, statement: LiteralString, params: Sequence[Any]) -> psycopg.Cursor[Any]:
        with self._session.errors("writing the audit"):
            return self._session.audit.execute(sql.SQL(statement).format(audit=self._schema), params)
