"""The contract's methods for PostgreSQL: which step of a load uses which module of this package."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict

from medgen_pipeline.catalog import Query, Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.postgres import compare, guard, history, publish, query_stage
from medgen_pipeline.loaders.postgres.audit import PostgresAudit
from medgen_pipeline.loaders.postgres.config import CAPABILITIES, PostgresConfig
from medgen_pipeline.loaders.postgres.names import TableNames
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.records import ApplyMode, Drift, LoaderError, LoadRecord, ProductionChangedError, Strategy
from medgen_pipeline.loaders.sql import guard as sql_guard
from medgen_pipeline.loaders.sql import history as sql_history
from medgen_pipeline.loaders.sql.compare import Comparison
from medgen_pipeline.loaders.sql.loader import SqlNativeLoader
from medgen_pipeline.loaders.sql.names import schemas
from medgen_pipeline.rows.records import count_rows
from medgen_pipeline.urls import split_url


@dataclasses.dataclass
class _Staged:
    """What is in the staging table that a load has made.

    Attributes:
        for_good: Whether the table is to become production.
        rows: How many there are.
        by: The transaction that wrote them.
    """

    for_good: bool = False
    rows: int = 0
    by: int = 0


class PostgresNativeLoader(SqlNativeLoader[psycopg.Cursor[Any]]):
    """Loads into PostgreSQL 14 or later."""

    capabilities: ClassVar[LoaderCapabilities] = CAPABILITIES
    scheme: ClassVar[str] = "postgresql"
    _session: PostgresSession
    _audit: PostgresAudit

    def __init__(self, db_dsn: str, config: PostgresConfig) -> None:
        """Remember where to connect; nothing is opened."""
        session = PostgresSession(db_dsn, config)
        super().__init__(session, PostgresAudit(session))
        self._config = config
        self._staged = _Staged()

    def _guard_of(self, record: LoadRecord | None) -> guard.Guard | None:
        return guard.Guard.of(record)

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """See the base class; ``config`` is that of ``PostgresConfig``."""
        split_url(db_dsn, "PostgreSQL loader: the DSN")
        try:
            conninfo_to_dict(db_dsn)
        except psycopg.ProgrammingError:
            # libpq's message quotes the DSN, password included, so neither message nor cause is passed on.
            raise ValueError(
                "PostgreSQL loader: the DSN is not a valid connection URI. Expected the form "
                "postgresql://USER:PASSWORD@HOST:PORT/DATABASE with special characters percent-encoded."
            ) from None
        return cls(db_dsn, PostgresConfig.from_mapping(config))

    def cancel(self) -> None:
        self._session.cancel()

    def _take_lock(self, table: Table) -> None:
        self._session.take_table_lock(table)

    # --- staging -------------------------------------------------------------------------------------------------

    def _create_staging(self, table: Table) -> None:
        """As a logged table where it is to become production; all else is scratch, and needs no WAL."""
        names = self._names(table)
        first = guard.production_oid(self._session, names) is None
        self._staged = _Staged(for_good=first and self._load.strategy is Strategy.WAREHOUSE)
        self._session.make_marked(
            "staging",
            "CREATE {scratch} TABLE {staging} ({sign}{definitions})",
            names,
            scratch=sql.SQL("" if self._staged.for_good else "UNLOGGED"),
            sign=sql.SQL('_sign "char", ' if self._load.strategy is Strategy.SNAPSHOT else ""),
        )

    def bulk_load(self, table_name: str, data_iterator: Iterator[bytes]) -> int:
        """See the base class.

        TRUNCATE in the transaction of the COPY makes a repeated call start afresh, lets ``wal_level=minimal`` skip the
        write-ahead log, and allows FREEZE, which saves VACUUM a pass over the rows of a first load.
        """
        staging = sql.Identifier(schemas(self._config.schema).staging, table_name)
        work = self._session.work
        sent, earlier, self._staged.rows = 0, self._staged.rows, 0
        if earlier:
            with self._session.errors(f"emptying the staging table of {table_name}"):
                self._session.execute(sql.SQL("TRUNCATE {}").format(staging))
        with self._session.errors(f"COPY into the staging table of {table_name}"), work.transaction():
            self._session.execute(sql.SQL("TRUNCATE {}").format(staging))
            with work.cursor() as cursor:
                into = sql.SQL("COPY {} FROM STDIN (FORMAT text, NULL '', FREEZE true)").format(staging)
                with cursor.copy(self.dialect.text(into)) as copy:
                    for chunk in data_iterator:
                        sent += count_rows(chunk)
                        copy.write(chunk)
                held = cursor.rowcount
            if held != sent:
                raise LoaderError(f"{table_name}: sent {sent:,} rows, PostgreSQL holds {held:,}; nothing was kept.")
            self._staged.by = self._current_transaction()
        self._staged.rows = held
        return held

    def stage_query(self, table: Table, query: Query, upstream: Sequence[tuple[Table, LoadRecord]] = ()) -> int:
        names, follows = self._names(table), self._load.strategy is Strategy.SNAPSHOT
        with self._session.errors(f"building {table.name}"), self._session.work.transaction():
            place = query_stage.begin(self._session, whole=not follows)
            self._look_at(upstream)
            self._staged.rows = query_stage.fill(
                self._session, names, query, place, logged=self._staged.for_good, signed=follows
            )
            self._staged.by = self._current_transaction()
        return self._staged.rows

    def read_query(self, query: Query, most: int) -> list[tuple[Any, ...]]:
        with self._session.errors("reading the warehouse"), self._session.work.transaction():
            return query_stage.read(self._session, query, most)

    # --- change data capture -------------------------------------------------------------------------------------

    def _compare_lines(self, table: Table) -> Comparison[Any]:
        names = self._names(table)
        last = sql_history.required(self._guard_of(self._load.last), names)
        # What a process killed in between would leave unmarked no later load would drop.
        return self._session.together(lambda: compare.compare_staged_lines(self._session, names, last))

    def _compare_whole(self, table: Table) -> Comparison[Any]:
        last = self._guard_of(self._comparable)
        return compare.compare_with_production(self._session, self._names(table), self._staged.rows, last)

    def _compare_nothing(self, table: Table) -> Comparison[Any]:
        return compare.baseline(self._session, self._names(table), self._staged.rows)

    def _is_in(self, table: Table, state: Any) -> bool:
        return guard.is_written_by(self._session, self._names(table), state)

    def _is_state_of(self, production: Any, left: sql_guard.Guard) -> bool:
        return isinstance(left, guard.Guard) and left.covers(production)

    def find_drift(self, table: Table) -> Drift:
        """See the base class; also shows the rows that others have written."""
        with self._session.errors(f"checking {table.name} for drift"):
            return history.find_drift(self._session, self._names(table), self._guard_of(self.last_load(table)))

    # --- publication ---------------------------------------------------------------------------------------------

    def _in_one_transaction(self, body: Callable[[], None]) -> None:
        self._session.publication(body)

    def _fit_key(self, table: Table) -> None:
        self._session.altering(lambda: publish.drop_other_key(self._session, self._names(table)))

    def _publish_first(self, table: Table) -> None:
        if not self._staged.for_good:
            # An unlogged table would be empty after the server's next crash.
            raise ProductionChangedError(
                f"{self._config.schema}.{table.name}: it was there when the load began, and has gone since. Nothing "
                "was published; load again."
            )
        publish.publish_first(self._session, self._names(table))

    def _apply_delta(self, table: Table) -> None:
        names, (start, found) = self._names(table), self._begun(table)
        publish.apply_delta(self._session, names, start, self._load.load_id, found)
        publish.check_values(self._session, names, found, self._load.strategy)

    def _guard_after(self, table: Table, found: Comparison[Any], mode: ApplyMode) -> guard.Guard:
        if found.production is None:
            writers, columns = {self._staged.by}, guard.read_columns(self._session, self._names(table))
        else:
            writers, columns = set(found.production.ids), found.production.columns
        if mode is ApplyMode.DELTA:
            writers.add(self._current_transaction())
        left = super()._guard_after(table, found, mode)
        return guard.Guard(**dataclasses.asdict(left), writers=tuple(sorted(writers)), columns=columns)

    def _after_publishing(self, table: Table, mode: ApplyMode) -> None:
        """Indexes to look rows up by, statistics for the planner, and the key's index once it is unique again."""
        names, (_, found) = self._names(table), self._begun(table)
        if table.lookups:
            self._session.altering(lambda: publish.make_lookups(self._session, names))
        much = found.counts.changed * 100 >= found.counts.rows_after
        if mode is ApplyMode.FIRST:
            self._session.transaction(lambda: compare.analyze_quickly(self._session, names, names.production))
        # PostgreSQL's own autovacuum waits for a tenth; a hundredth keeps plans right and weekly loads cheap.
        elif mode is ApplyMode.DELTA and much:
            self._session.run("ANALYZE {production}", names)
        if table.key and not found.unique_key and publish.regain_unique_key(self._session, names):
            left = sql_history.required(self._guard_of(self.last_load(table)), names)
            self._audit.set_guard(self._load.load_id, dataclasses.replace(left, unique_key=True).to_json())

    def _current_transaction(self) -> int:
        row = self._session.work.execute("SELECT pg_current_xact_id()::xid::text::bigint").fetchone()
        return int(row[0]) if row else 0

    def _names(self, table: Table) -> TableNames:
        return TableNames(self._config.schema, table)
