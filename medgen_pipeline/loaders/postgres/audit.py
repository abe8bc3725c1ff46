"""What is PostgreSQL's own about the record of loads: types, keys, and a lock while its tables are made."""

from collections.abc import Mapping
from typing import Any, ClassVar, LiteralString

import psycopg

from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.sql.audit import SqlAudit
from medgen_pipeline.loaders.sql.audit_tables import TABLES


class PostgresAudit(SqlAudit[psycopg.Cursor[Any]]):
    """Reads and writes the audit of one schema."""

    tables: ClassVar[Mapping[str, LiteralString]] = {
        **TABLES,
        "load_run": TABLES["load_run"]
        + "; CREATE INDEX IF NOT EXISTS load_run_table_name_idx ON {audit}.load_run (table_name, load_id)",
    }
    additions: ClassVar[Mapping[str, LiteralString]] = {
        "run_keys": ", PRIMARY KEY (load_id)",
        "row_keys": ", PRIMARY KEY (load_id, line_number), FOREIGN KEY (load_id) REFERENCES {audit}.load_run",
    }
    _session: PostgresSession

    def _create(self) -> None:
        with self._session.work.transaction():
            # CREATE ... IF NOT EXISTS of two sessions at once still collides in pg_namespace.
            self._session.work.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"medgen:{self._session.schema}"]
            )
            super()._create()

    def set_guard(self, load_id: int, guard: str) -> None:
        """Replace the guard of a finished load."""
        self._write(
            lambda: self._run(
                "UPDATE {audit}.load_run SET guard = {guard} WHERE load_id = {load_id}", guard=guard, load_id=load_id
            )
        )
