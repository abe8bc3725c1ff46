"""The contract every backend implements. The records that cross it are in ``records``.

A loader drives one load of one table at a time, from ``log_run_start`` to the next one or to ``close``:
``log_run_start``, ``initialize_staging``, ``bulk_load``, ``execute_cdc``, ``apply_changes``, ``cleanup``.
``stage_query`` takes ``bulk_load``'s place where rows come from other tables. Each method's docstring states its
invariant. The order of a load, the gates and the reactions to errors are ``medgen_pipeline.loading.load``'s; SQL
is the backends'.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, LiteralString, Self

from medgen_pipeline.catalog import Query, Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.records import (
    ApplyMode,
    ChangeCounts,
    Drift,
    FoundColumn,
    LoadDetail,
    LoaderError,
    LoadRecord,
    LoadStart,
    LoadStatus,
    Strategy,
)
from medgen_pipeline.rows.records import RejectedRow

if TYPE_CHECKING:
    import pyarrow as pa


class AbstractNativeLoader(ABC):
    """Loads rows into one warehouse through its own bulk path.

    Not thread-safe; one instance runs one load of one table at a time. Errors are ``LoaderError`` (permanent),
    ``LostConnectionError``, ``TableBusyError``, ``WarehouseBusyError`` and ``ProductionChangedError`` (transient).
    """

    capabilities: ClassVar[LoaderCapabilities]

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """How the warehouse writes SQL."""

    @classmethod
    @abstractmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """A loader that is not connected yet; raises ValueError where DSN or config cannot be right."""

    @abstractmethod
    def connect(self) -> None:
        """Open the connection, also after ``close``; a second call on an open loader changes nothing.

        Nothing is created: also those connect who only read, and perhaps the wrong database.
        """

    @abstractmethod
    def close(self) -> None:
        """Release connection and table lock, which ends the load at work; harmless twice or before ``connect``."""

    def __enter__(self) -> Self:
        """Connect."""
        self.connect()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()

    @abstractmethod
    def is_as_left(self, table: Table, last: LoadRecord) -> bool:
        """Whether production is as the load ``last`` left it; reads its rows once at most."""

    @abstractmethod
    def initialize_staging(self, table: Table, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        """Afterwards an empty staging table exists, whatever a killed run left behind.

        Under ``SNAPSHOT`` it takes canonical rows that begin with one more field, ``+`` or ``-``. Under ``WAREHOUSE``,
        columns that production lacks, or has with another type, are added, or changed, without a row being lost.

        Raises:
            ProductionChangedError: Under ``SNAPSHOT``: production is gone, or has not all of its columns.
            UnknownTableError: No recorded load made the table that production is to be; see ``LoadStart.take_over``.
            LoaderError: Something else that no load made has a name that the load needs.
        """

    @abstractmethod
    def bulk_load(self, table_name: str, data_iterator: Iterator[Any]) -> int:
        """Stream rows into staging through the native path, in constant memory.

        They come as the capability ``bulk_encoding`` says. Returns the rows the backend says it holds. They equal the
        rows sent, or it raises and staging is empty.
        """

    def stage_query(self, table: Table, query: Query, upstream: Sequence[tuple[Table, LoadRecord]] = ()) -> int:
        """Fill the empty staging table from a query that runs inside the warehouse, in one snapshot of it.

        For backends with the capability ``curated``. Under ``SNAPSHOT`` the query has one more column, ``_sign``, with
        ``+`` or ``-``. Returns the rows the backend says it holds. A failure leaves nothing of the query behind.

        Args:
            table: The table.
            query: Gives its rows.
            upstream: Tables whose rows it is made from, each with its last load. One that is not as that load left it,
                in the query's own snapshot, is left out of what the load records as ``made_from``.

        Raises:
            ProductionChangedError: Under ``SNAPSHOT``: one of ``upstream`` is not as its load left it.
            TooMuchAffectedError: A scratch table has more rows than the query allows.
        """
        del query, upstream
        raise self._no_queries(table.name)

    def read_query(self, query: Query, most: int) -> list[tuple[Any, ...]]:
        """The first ``most`` rows of a query that runs inside the warehouse, as it is when called.

        For backends with the capability ``curated``.
        """
        del most
        raise self._no_queries(f"an answer from {', '.join(query.tables)}")

    def stage_undone(self, table: Table, load: LoadRecord) -> int:
        """Fill the empty staging table, under ``SNAPSHOT``, with what undoes the loads after ``load``, by the feed.

        Returns the rows the backend says it holds. ``execute_cdc`` raises LoaderError where production would then not
        be what ``load`` left.
        """
        raise LoaderError(
            f"{table.name} cannot go back to load {load.load_id}: the backend {self.capabilities.backend} does not "
            "undo changes by the feed. Only releases in the archive can be brought back."
        )

    def _no_queries(self, wanted: str) -> LoaderError:
        return LoaderError(
            f"{wanted} cannot be made: the backend {self.capabilities.backend} has no curated tables. "
            "Set MEDGEN_CURATED=false."
        )

    @abstractmethod
    def execute_cdc(self, table: Table) -> ChangeCounts:
        """Write the exact change set between staging and production, duplicates and NULLs included.

        Touches no production row. Under ``SNAPSHOT`` the staged lines are the change already.

        Raises:
            ProductionChangedError: Under ``SNAPSHOT``: what others wrote to production keeps the change from being
                told.
        """

    @abstractmethod
    def keep_unchanged(self, table: Table, last: LoadRecord) -> ChangeCounts:
        """The counts of a release equal to ``last``'s, in place of staging and comparison."""

    @abstractmethod
    def apply_changes(self, table: Table, mode: ApplyMode) -> ChangeCounts:
        """Publish the change set: production, change feed and audit move together or not at all.

        Without the capability ``spanning_transactions`` they move one after the other: feed, production, audit; where
        that ends half way, the next load of the table, or ``log_run_finish`` of this one, finishes it or undoes it.

        A table that exists is changed in place, whatever the fraction, so that whatever users have attached to it
        stays. Readers see the old rows or the new ones, never a mixture, an error or an empty table.

        Args:
            table: The table.
            mode: ``FIRST`` exactly where ``execute_cdc`` found a baseline; ``UNCHANGED`` where it found no change.

        Raises:
            ProductionChangedError: Production is not as it was compared, or as the last load left it.
        """

    @abstractmethod
    def cleanup(self, table: Table) -> None:
        """Remove whatever a load of this table left in the backend's staging; idempotent."""

    @abstractmethod
    def cancel(self) -> None:
        """Stop what the backend is doing for this loader and continue on a fresh connection."""

    @abstractmethod
    def log_run_start(self, start: LoadStart) -> int:
        """Take the table's lock, mark its abandoned predecessors, and record a running load; returns its id.

        Creates the schemas and the audit where they are missing; no other method does.
        Holding the lock proves that a predecessor still marked as running is dead. What it published by half is made
        whole first.

        Raises:
            TableBusyError: Another load holds the lock; the message names it.
        """

    @abstractmethod
    def log_run_detail(self, load_id: int, detail: LoadDetail) -> None:
        """Record what framing saw, on a connection of its own, so that it survives a rollback."""

    @abstractmethod
    def log_rejected_rows(self, load_id: int, rows: Sequence[RejectedRow]) -> None:
        """Record rejected lines, on a connection of its own.

        Those of older loads of the table go: they are kept for the last ``LOADS_WITH_REJECTED_ROWS`` that had some.
        """

    @abstractmethod
    def log_run_finish(self, load_id: int, status: LoadStatus, error: str | None = None) -> LoadStatus:
        """Close the record unless it is closed already; returns the status that it has.

        A load whose connection broke around COMMIT learns here whether it succeeded, because ``apply_changes``
        records success in its own transaction.
        """

    @abstractmethod
    def table_uri(self, table: Table) -> str:
        """Where the table is, without credentials."""

    @abstractmethod
    def columns(self, table: Table) -> dict[str, FoundColumn]:
        """Production's columns by name, in their order; none where there is no such table."""

    @abstractmethod
    def find_drift(self, table: Table) -> Drift:
        """Compare production's rows with the files it was made from, reading each row once.

        Raises:
            LoaderError: No load is recorded.
        """

    def feed_damage(self, table: Table, since: int) -> str:
        """What others have made of the change feed since load ``since``, or nothing: it may have been deleted from."""
        del table, since
        return ""

    @abstractmethod
    def read_changes(self, table: Table, since: str, until: str | None = None) -> Iterator[tuple[Any, ...]]:
        """Feed rows of the loads after release ``since`` up to ``until``: four feed columns, then the table's."""

    @abstractmethod
    def read_as_of(self, table: Table, release: str) -> Iterator[tuple[Any, ...]]:
        """The rows the table had after the last load of ``release``, in constant memory and in no order."""

    def count_changes(self, table: Table, first: LoadRecord, last: LoadRecord) -> tuple[int, int, int]:
        """How many rows were inserted, updated and deleted from the state that one load left to that of a later one.

        What changed and changed back is no change. For backends with the capability ``curated``.
        """
        del first, last
        raise self._no_queries(f"a count of what changed in {table.name}")

    def read(
        self,
        table: Table,
        columns: Sequence[str] = (),
        where: Mapping[str, Any] | None = None,
        release: str | None = None,
        *,
        ordered: bool = False,
    ) -> Iterator["pa.RecordBatch"]:
        """The rows of a table as Arrow record batches, in constant memory and as of one moment.

        Text is ``string``, an integer ``int64``, a boolean ``bool``, a date ``date32``. What can be refused is refused
        at once, before the first batch.

        Args:
            table: The table.
            columns: Those of its columns to read, in this order; none: all.
            where: What columns must hold: a value, or one of several in a list; None is NULL.
            release: As the table was after the last load of this release; None: as it is.
            ordered: By the table's key and then by its other columns, text by its bytes and NULL last; otherwise in no
                order.
        """
        del columns, where, release, ordered
        raise LoaderError(f"{table.name}: the backend {self.capabilities.backend} gives no rows out.")

    @abstractmethod
    def last_load(self, table: Table) -> LoadRecord | None:
        """The newest successful load of this table; None also where nothing was ever loaded."""

    @abstractmethod
    def query(self, statement: LiteralString, **parts: Any) -> list[tuple[Any, ...]]:
        """The rows of one SELECT, all in memory; for checks, which must run on every backend.

        In ``statement``, ``{schema}`` is the tables' schema as a string, ``{audit}`` the name of the schema with
        ``load_run`` and ``rejected_row``, ``{changes}`` that of the schema with the change feeds, and another name
        what ``parts`` has for it: a table stands for its production, a statement for itself, and anything else is a
        parameter.

        Raises:
            LoaderError: The warehouse refuses the statement, or it asks for the audit and nothing was ever loaded.
        """

    def loads(self, condition: LiteralString = "TRUE", **values: Any) -> list[LoadRecord]:
        """The loads in the audit of which ``condition`` holds, the newest first."""
        rows = self.query(
            "SELECT {columns} FROM {audit}.load_run WHERE {condition} ORDER BY load_id DESC",
            columns=sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(LoadRecord)),
            condition=sql.SQL(condition).format(**values),
        )
        return [LoadRecord(*row) for row in rows]
