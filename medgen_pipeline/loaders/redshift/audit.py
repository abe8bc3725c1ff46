"""What is Redshift's own about the record of loads: widths and layout, one writer at a time, text instead of bytes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, LiteralString, TypeVar

import psycopg

from medgen_pipeline.loaders.records import LoadStatus
from medgen_pipeline.loaders.redshift.session import COMMIT_LOCK, RedshiftSession
from medgen_pipeline.loaders.sql.audit import SqlAudit
from medgen_pipeline.loaders.sql.audit_tables import TABLES
from medgen_pipeline.rows.records import RejectedRow

logger = logging.getLogger(__name__)
T = TypeVar("T")

_LONGEST_TEXT = 65535
_NO_COLLISION = ("42501", "42601")  # insufficient privilege, syntax error


class RedshiftAudit(SqlAudit[psycopg.Cursor[Any]]):
    """Reads and writes the audit of one schema."""

    tables: ClassVar[Mapping[str, LiteralString]] = {
        **TABLES,
        "commit_lock": "CREATE TABLE IF NOT EXISTS {audit}.commit_lock (held SMALLINT)",
    }
    additions: ClassVar[Mapping[str, LiteralString]] = {
        "run_layout": "DISTSTYLE ALL COMPOUND SORTKEY (load_id)",
        "row_layout": "DISTSTYLE EVEN COMPOUND SORTKEY (load_id)",
    }
    beside: ClassVar[Sequence[str]] = ("__new",)
    _session: RedshiftSession

    def ended_loads(self, table_name: str) -> set[int]:
        """The loads of a table that no longer run."""
        with self._session.errors("reading the audit"):
            rows = self._run(
                "SELECT load_id FROM {audit}.load_run WHERE table_name = {name} AND status <> {running}",
                name=table_name,
                running=LoadStatus.RUNNING,
            ).fetchall()
        return {int(row[0]) for row in rows}

    def _create(self) -> None:
        for attempt in range(1, self._session.config.conflict_attempts + 1):
            try:
                with self._session.work.transaction():
                    super()._create()
            except psycopg.Error as error:
                # IF NOT EXISTS of two sessions at once still collides, with whatever message the catalog has.
                if error.sqlstate in _NO_COLLISION or attempt == self._session.config.conflict_attempts:
                    raise
                logger.info("creating schemas, attempt %d: %s", attempt, error)
                self._session.pause(attempt)
            else:
                return

    def _write(self, body: Callable[[], T]) -> T:
        """One transaction on the audit's connection, after those that publish."""

        def once() -> T:
            with self._session.audit.transaction():
                self._run(COMMIT_LOCK)
                return body()

        with self._session.errors("writing the audit"):
            return self._session.repeatedly(once)

    def _rejected(self, row: RejectedRow) -> tuple[int, str, bytes | str]:
        r"""Bytes as text for a person to read: what is not UTF-8, and NUL, as ``\xff``."""
        raw = row.raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
        return row.line_number, self._fitting(row.reason), self._fitting(raw)

    def _fitting(self, text: str) -> str:
        return text.replace("\0", "").encode()[:_LONGEST_TEXT].decode("utf-8", "ignore")
