"""The tables of the audit, ``load_run`` and ``rejected_row``: how they are laid out, made and recognized.

A backend fills in its types, keys and distribution.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import ClassVar, Generic, LiteralString

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import LoaderError, LoadRecord
from medgen_pipeline.loaders.sql.names import schemas
from medgen_pipeline.loaders.sql.session import AnyCursor, Relation, SqlSession, require_made_by_loads

logger = logging.getLogger(__name__)

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


class AuditTables(Generic[AnyCursor]):
    """Makes the schemas of an installation and the audit's tables.

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
        self._parts = {**session.dialect.words, "audit": sql.Identifier(self._schema), "raw": sql.Identifier("raw")}
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
        self._seen = True
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
