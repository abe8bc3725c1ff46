"""The record of loads in ``<schema>_audit``: ``load_run`` and ``rejected_row``, written on a connection of its own.

A success alone is recorded in the transaction that publishes. The tables are ``audit_tables``'.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, LiteralString, NoReturn, TypeVar

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import (
    LOADS_WITH_REJECTED_ROWS,
    ApplyMode,
    ChangeCounts,
    LoadDetail,
    LoaderError,
    LoadRecord,
    LoadStart,
    LoadStatus,
    LostConnectionError,
    new_load_id,
)
from medgen_pipeline.loaders.sql.audit_tables import AuditTables
from medgen_pipeline.loaders.sql.guard import Guard
from medgen_pipeline.loaders.sql.session import AnyCursor, Cursor
from medgen_pipeline.rows.records import RejectedRow

logger = logging.getLogger(__name__)
T = TypeVar("T")


class SqlAudit(AuditTables[AnyCursor]):
    """Reads and writes the audit of one schema."""

    def start(self, start: LoadStart) -> int:
        """Mark abandoned predecessors and insert a running load. The caller holds the table's lock."""
        table = start.table

        def body() -> int:
            newest, left_running = self._run(
                "SELECT MAX(load_id), MAX(CASE WHEN status = {running} THEN load_id END)"
                " FROM {audit}.load_run WHERE table_name = {name}",
                name=table.name,
                running=LoadStatus.RUNNING,
            ).fetchone()
            if left_running is not None:
                self._run(
                    "UPDATE {audit}.load_run SET status = {abandoned}, finished_at = {now},"
                    " error = 'its process ended without closing it; found by the next load'"
                    " WHERE table_name = {name} AND status = {running}",
                    abandoned=LoadStatus.ABANDONED,
                    name=table.name,
                    running=LoadStatus.RUNNING,
                )
            load_id = new_load_id(newest)
            row: dict[LiteralString, Any] = {
                "load_id": load_id,
                "dagster_run_id": start.dagster_run_id,
                "table_name": table.name,
                "release": start.release,
                "source_sha256": start.source_sha256,
                "content_sha256": start.content_sha256,
                "table_shape": table.shape,
                "status": LoadStatus.RUNNING,
                "started_at": self._parts["now"],
            }
            self._insert("load_run", ["load_id"], [row])
            return load_id

        return self._write(body)

    def detail(self, load_id: int, detail: LoadDetail) -> None:
        """Add what framing saw."""
        self._write_again_if_lost(
            lambda: self._run(
                "UPDATE {audit}.load_run SET strategy = {strategy}, rows_extracted = {extracted},"
                " rows_rejected = {rejected}, rows_repaired = {repaired} WHERE load_id = {load_id}",
                strategy=detail.strategy,
                extracted=detail.rows_extracted,
                rejected=detail.rows_rejected,
                repaired=detail.rows_repaired,
                load_id=load_id,
            )
        )

    def rejected_rows(self, load_id: int, rows: Sequence[RejectedRow]) -> None:
        """Append rejected lines, all in one statement."""
        if not rows:
            return

        def body() -> None:
            columns: tuple[LiteralString, ...] = ("load_id", "line_number", "reason", "raw")
            values = ((load_id, *self._rejected(row)) for row in rows)
            added = [dict(zip(columns, row, strict=True)) for row in values]
            self._insert("rejected_row", ["load_id", "line_number"], added)
            self._prune_rejected_rows(load_id)

        self._write(body)

    def _prune_rejected_rows(self, load_id: int) -> None:
        """Delete those of the table's older loads, so that the audit does not grow for ever."""
        found = self._run(
            "SELECT DISTINCT r.load_id FROM {audit}.rejected_row r JOIN {audit}.load_run l ON l.load_id = r.load_id"
            " WHERE l.table_name = (SELECT table_name FROM {audit}.load_run WHERE load_id = {load_id}) ORDER BY 1",
            load_id=load_id,
        )
        for (old,) in found.fetchall()[:-LOADS_WITH_REJECTED_ROWS]:
            self._run("DELETE FROM {audit}.rejected_row WHERE load_id = {old}", old=old)

    def finish(self, load_id: int, status: LoadStatus, error: str | None) -> LoadStatus:
        """Close a running record; returns the status that it has."""

        def body() -> LoadStatus | None:
            self._run(
                "UPDATE {audit}.load_run SET status = {status}, error = {error}, finished_at = {now}"
                " WHERE load_id = {load_id} AND status = {running}",
                status=status,
                error=None if error is None else self._fitting(error),
                load_id=load_id,
                running=LoadStatus.RUNNING,
            )
            return self._status(self._session.execute_audit, load_id)

        found = self._write_again_if_lost(body)
        if found is None:
            raise LoaderError(f"load {load_id} is not in the audit: was load_run emptied?")
        return found

    def succeed(
        self,
        load_id: int,
        mode: ApplyMode,
        counts: ChangeCounts,
        guard: Guard,
        status: LoadStatus = LoadStatus.SUCCEEDED,
    ) -> None:
        """Record success on the work connection, inside the transaction of the data.

        With the status ``RUNNING``: what the load is about to leave, where no transaction covers all of it.

        Raises:
            LoaderError: The load is not running any more: another one has taken its place.
        """
        statement = sql.SQL(
            "UPDATE {audit}.load_run SET status = {status}, mode = {mode}, finished_at = {now},"
            " rows_inserted = {inserted}, rows_updated = {updated}, rows_deleted = {deleted},"
            " rows_unchanged = {unchanged}, guard = {guard} WHERE load_id = {load_id} AND status = {running}"
        ).format(
            **self._parts,
            status=status,
            mode=mode,
            inserted=counts.inserted,
            updated=counts.updated,
            deleted=counts.deleted,
            unchanged=counts.unchanged,
            guard=guard.to_json(),
            load_id=load_id,
            running=LoadStatus.RUNNING,
        )
        if self._session.changed(statement) != 1:
            self.require(load_id, status)

    def confirm(self, load_id: int) -> None:
        """Record the success of a load that has recorded what it would leave."""
        confirmed = self._session.changed(
            sql.SQL(
                "UPDATE {audit}.load_run SET status = {succeeded}, finished_at = {now}"
                " WHERE load_id = {load_id} AND status = {running}"
            ).format(**self._parts, succeeded=LoadStatus.SUCCEEDED, load_id=load_id, running=LoadStatus.RUNNING)
        )
        if confirmed != 1:
            self.require(load_id, LoadStatus.SUCCEEDED)

    def require(self, load_id: int, status: LoadStatus) -> None:
        """Raise LoaderError unless the load has this status, as the work connection sees it."""
        if self._status(self._session.execute, load_id) is not status:
            self.refuse(load_id)

    def refuse(self, load_id: int) -> NoReturn:
        """Say that a load may not publish any more."""
        raise LoaderError(f"load {load_id} is no longer running in the audit: another load has taken over.")

    def status(self, load_id: int) -> LoadStatus | None:
        """The status of a load, once no transaction is at work that could still change it."""
        return self._write_again_if_lost(lambda: self._status(self._session.execute_audit, load_id))

    def last_success(self, table_name: str) -> LoadRecord | None:
        """The newest successful load of a table; None also where there is no audit."""
        if not self.exists():
            return None
        return self._newest(table_name, LoadStatus.SUCCEEDED, sql.SQL(""))

    def unsettled(self, table_name: str) -> LoadRecord | None:
        """The load that has recorded what it is about to leave, and not that it has left it."""
        return self._newest(table_name, LoadStatus.RUNNING, sql.SQL(" AND guard IS NOT NULL"))

    def _newest(self, table_name: str, status: LoadStatus, condition: sql.Statement) -> LoadRecord | None:
        names = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(LoadRecord))
        statement = sql.SQL(
            "SELECT {names} FROM {audit}.load_run WHERE table_name = {name} AND status = {status}{condition}"
            " ORDER BY load_id DESC LIMIT 1"
        ).format(names=names, name=table_name, status=status, condition=condition, **self._parts)
        with self._session.errors("reading the audit"):
            row = self._session.read_audit(statement).fetchone()
        return None if row is None else LoadRecord(*row)

    # --- what a backend may do otherwise --------------------------------------------------------------------------

    def _write(self, body: Callable[[], T]) -> T:
        """Carry out one change of the audit."""
        with self._session.errors("writing the audit"):
            return body()

    def _insert(
        self, table: LiteralString, key: Sequence[LiteralString], rows: Sequence[Mapping[LiteralString, Any]]
    ) -> None:
        """Add rows, values by column, to one of the audit's tables. ``key`` tells them apart."""
        del key
        values = (sql.SQL(", ").join(map(sql.value, row.values())) for row in rows)
        self._run(
            "INSERT INTO {audit}.{table} ({columns}) VALUES {values}",
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(map(sql.Identifier, rows[0])),
            values=sql.SQL(", ").join(sql.SQL("({})").format(row) for row in values),
        )

    def _rejected(self, row: RejectedRow) -> tuple[int, str, bytes | str]:
        return row.line_number, row.reason, row.raw

    def _fitting(self, text: str) -> str:
        """What of a text can be stored."""
        return text

    # --- statements -----------------------------------------------------------------------------------------------

    def _write_again_if_lost(self, body: Callable[[], T]) -> T:
        """The same for what may happen twice: the connection may have broken while it was idle."""
        try:
            return self._write(body)
        except LostConnectionError as error:
            logger.info("writing the audit once more: %s", error)
            return self._write(body)

    def _status(self, execute: Callable[[sql.Statement], Cursor], load_id: int) -> LoadStatus | None:
        statement = sql.SQL("SELECT status FROM {audit}.load_run WHERE load_id = {load_id}")
        row = execute(statement.format(**self._parts, load_id=load_id)).fetchone()
        return None if row is None else LoadStatus(row[0])

    def _run(self, statement: LiteralString, **values: Any) -> AnyCursor:
        return self._session.execute_audit(sql.SQL(statement).format(**{**self._parts, **values}))
