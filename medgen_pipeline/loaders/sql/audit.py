"""The record of loads in ``<schema>_audit``: ``load_run`` and ``rejected_row``, written on a connection of its own.

A success alone is recorded in the transaction that publishes. Both tables are laid out here; a backend
fills in its types, keys and distribution.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Generic, LiteralString, NoReturn, TypeVar

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
from medgen_pipeline.loaders.sql.guard import Guard
from medgen_pipeline.loaders.sql.names import schemas
from medgen_pipeline.loaders.sql.session import (
    AnyCursor,
    Cursor,
    Relation,
    SqlSession,
    require_made_by_loads,
)
from medgen_pipeline.rows.records import RejectedRow

logger = logging.getLogger(__name__)
T = TypeVar("T")

# {run_keys}, {row_keys}, {run_layout} and {row_layout} are what a backend adds inside and behind the parentheses.
# "raw" is a reserved word in Redshift.
TABLES: Mapping[str, LiteralString] = {
    "load_run": "CREATE TABLE IF NOT EXISTS {audit}.load_run (load_id {integer_type} NOT NULL,"
    " dagster_run_id {name_type}, table_name {name_type} NOT NULL, release {name_type} NOT NULL,"
    " source_sha256 {name_type} NOT NULL, content_sha256 {name_type} NOT NULL, table_shape {name_type} NOT NULL,"
    " strategy {name_type}, mode {name_type}, status {name_type} NOT NULL, started_at {timestamp_type} NOT NULL,"
    " finished_at {timestamp_type}, rows_extracted {integer_type}, rows_rejected {integer_type},"
    " rows_repaired {integer_type}, rows_inserted {integer_type}, rows_updated {integer_type},"
    " rows_deleted {integer_type}, rows_unchanged {integer_type}, guard {text_type}, error {text_type} {run_keys})"
    " {run_layout}",
    "rejected_row": "CREATE TABLE IF NOT EXISTS {audit}.rejected_row (load_id {integer_type} NOT NULL,"
    " line_number {integer_type} NOT NULL, reason {text_type} NOT NULL, {raw} {binary_type} NOT NULL {row_keys})"
    " {row_layout}",
}
# What such a table of an earlier version has, which no load has marked.
COLUMNS: Mapping[str, frozenset[str]] = {
    "load_run": frozenset(field.name for field in fields(LoadRecord)),
    "rejected_row": frozenset(("load_id", "line_number", "reason", "raw")),
    "commit_lock": frozenset(("held",)),
}
_CREATION_ATTEMPTS = 8
ADDITIONS = ("run_keys", "row_keys", "run_layout", "row_layout")


class SqlAudit(Generic[AnyCursor]):
    """Reads and writes the audit of one schema.

    Attributes:
        tables: The audit's tables and how they are made.
        additions: What a backend adds to them.
        beside: What a load appends to a table's name for relations that it makes beside production.
    """

    tables: ClassVar[Mapping[str, LiteralString]] = TABLES
    additions: ClassVar[Mapping[str, LiteralString]] = {}
    beside: ClassVar[Sequence[str]] = ()

    def __init__(self, session: SqlSession[AnyCursor]) -> None:
        """Nothing is opened."""
        self._session = session
        self._schema = session.schemas.audit
        self._parts = {
            **session.dialect.words,
            "audit": sql.Identifier(self._schema),
            "raw": sql.Identifier("raw"),
        }
        self._seen = False

    def exists(self) -> bool:
        """Whether there is a record of loads. Looks only: a database that is merely read is not written to."""
        if not self._seen:
            with self._session.errors("looking for the audit"):
                self._seen = "load_run" in self._session.relations([self._schema]).get(self._schema, ())
        return self._seen

    def require_audit(self) -> None:
        """Raise LoaderError where nothing was ever loaded, or not here."""
        if not self.exists():
            raise LoaderError(
                f"{self._session.where}: expected the record of loads {self._schema}.load_run, found none: nothing was "
                f"loaded into schema {self._session.schema} of this database. Check MEDGEN_DSN and MEDGEN_SCHEMA, or "
                "load first."
            )

    def ensure_schemas(self) -> None:
        """Create what is missing. Looks first, so that a user without CREATE can work in schemas made for it.

        Raises:
            LoaderError: A table of the audit's is not the audit's, so nothing may be written to it.
        """
        for attempt in range(_CREATION_ATTEMPTS):
            try:
                self._ensure_schemas()
            except LoaderError:
                # IF NOT EXISTS does not keep two first loads from colliding in the catalog. The next look says whether
                # the other one has made what is missing.
                with self._session.errors("creating schemas"):
                    complete = self._missing(self._found()) == ([], [])
                if not complete and attempt + 1 == _CREATION_ATTEMPTS:
                    raise
            else:
                return

    def _ensure_schemas(self) -> None:
        with self._session.errors("creating schemas"):
            found = self._found()
            audit = self._schema
            tables = {name: relation for name, relation in found.get(audit, {}).items() if name in self.tables}
            unmarked = [name for name, relation in tables.items() if not relation.made_by_loads]
            for name in unmarked:
                if not COLUMNS[name] <= set(self._session.columns(audit, name)):
                    require_made_by_loads(audit, name, tables[name])
            if self._missing(found) != ([], []):
                self._create()
        if "load_run" in unmarked:
            self._adopt(found, unmarked)

    def _found(self) -> dict[str, dict[str, Relation]]:
        return self._session.relations(self._session.schemas)

    def _missing(self, found: Mapping[str, Collection[str]]) -> tuple[list[str], list[str]]:
        """The schemas and the tables of the audit that do not exist."""
        names = self._session.schemas
        unused = {names.history} if self._session.capabilities.views == "none" else set()
        return [name for name in names if name not in {*found, *unused}], sorted(
            self.tables.keys() - set(found.get(names.audit, ()))
        )

    def _adopt(self, found: Mapping[str, Mapping[str, Relation]], unmarked: Sequence[str]) -> None:
        """Mark what an earlier version has made, which marked nothing: the audit, and what loads have left behind.

        Loads leave behind what they staged where they end without success. Where the tables of another installation
        may be in the schema for staging, nothing there is taken for a load's.
        """
        production, staging, _, audit, _ = self._session.schemas
        scratch = ("", "__changes", "__difference", "__kept")
        try:
            with self._session.errors("marking what an earlier version has made"):
                if not self._session.relations([schemas(staging).audit]):
                    for table, newest, succeeded in self._session.execute(
                        sql.SQL(
                            "SELECT table_name, MAX(load_id), MAX(CASE WHEN status = 'succeeded' THEN load_id END)"
                            " FROM {audit}.load_run GROUP BY table_name"
                        ).format(**self._parts)
                    ).fetchall():
                        left = [(staging, f"{table}{suffix}") for suffix in scratch if newest != succeeded]
                        left += [(production, f"{table}{suffix}") for suffix in self.beside]
                        for place in left:
                            if place[1] in found.get(place[0], {}):
                                self._session.mark(sql.Identifier(*place))
                for name in unmarked:
                    self._session.mark(sql.Identifier(audit, name))
        except LoaderError as error:
            logger.warning("%s: only their owner can mark them: %s", audit, error)

    def _create(self) -> None:
        new_schemas, new_tables = self._missing(self._found())
        for name in new_schemas:
            self._session.create_schema(name)
        added = {word: sql.SQL(self.additions.get(word, "")).format(**self._parts) for word in ADDITIONS}
        for name in new_tables:
            self._session.execute(sql.SQL(self.tables[name]).format(**self._parts, **added))
            self._session.mark(sql.Identifier(self._schema, name))

    def start(self, start: LoadStart) -> int:
        """Mark abandoned predecessors and insert a running load. The caller holds the table's lock."""
        table = start.table

        def body() -> int:
            self._run(
                "UPDATE {audit}.load_run SET status = {abandoned}, finished_at = {now},"
                " error = 'its process ended without closing it; found by the next load'"
                " WHERE table_name = {name} AND status = {running}",
                abandoned=LoadStatus.ABANDONED,
                name=table.name,
                running=LoadStatus.RUNNING,
            )
            newest = self._run("SELECT MAX(load_id) FROM {audit}.load_run WHERE table_name = {name}", name=table.name)
            load_id = new_load_id(newest.fetchone()[0])
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
        self._session.execute(statement)
        self.require(load_id, status)

    def confirm(self, load_id: int) -> None:
        """Record the success of a load that has recorded what it would leave."""
        self._session.execute(
            sql.SQL(
                "UPDATE {audit}.load_run SET status = {succeeded}, finished_at = {now}"
                " WHERE load_id = {load_id} AND status = {running}"
            ).format(**self._parts, succeeded=LoadStatus.SUCCEEDED, load_id=load_id, running=LoadStatus.RUNNING)
        )
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
            row = self._session.execute_audit(statement).fetchone()
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
