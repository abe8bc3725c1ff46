"""The open connections of one loader, transactions that are repeated as a whole, and errors in the contract's terms.

A connection is a session of HTTP requests. Where an answer is lost, the statement may have been executed: outside a
transaction it is sent again, for each is harmless when executed twice; in one, all of the transaction is.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, LiteralString, TypeVar

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.databricks.config import DatabricksConfig
from medgen_pipeline.loaders.databricks.connect import Connector, driver_errors
from medgen_pipeline.loaders.databricks.dialect import DIALECT, PROPERTIES
from medgen_pipeline.loaders.databricks.failures import StatementError, error_of
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.records import LoaderError, load_started, new_load_id
from medgen_pipeline.loaders.sql.names import MARK
from medgen_pipeline.loaders.sql.names import schemas as schemas_of
from medgen_pipeline.loaders.sql.session import TABLE, Relations, SqlSession, pause

if TYPE_CHECKING:
    import pyarrow as pa
    from databricks.sql.client import Connection

logger = logging.getLogger(__name__)
T = TypeVar("T")

_BATCH_ROWS = 10_000
_LONGEST_QUERY = 24 * 60 * 60.0
QUERY_SCRATCH = "medgen_pipeline__"
# https://docs.databricks.com/aws/en/sql/language-manual/information-schema/tables
_TABLES = ("MANAGED", "EXTERNAL")
_DEFINING = ("CREATE", "ALTER", "DROP")


class Answer:
    """The rows of a statement, all in memory.

    Attributes:
        rowcount: How many rows it has written, where it is one that writes.
    """

    def __init__(self, rows: Sequence[tuple[Any, ...]] = (), *, counts: bool = False) -> None:
        """``counts``: whether the first value of its one row is how many rows it has written."""
        self._rows = list(rows)
        self.rowcount = int(rows[0][0] or 0) if counts and rows else -1

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, or None."""
        return self._rows.pop(0) if self._rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        rows, self._rows = self._rows, []
        return rows


class Line:
    """One connection, and whether a transaction is open on it."""

    def __init__(self, connector: Connector, config: DatabricksConfig, purpose: str) -> None:
        """Nothing is opened."""
        self._connector, self._config, self._purpose = connector, config, purpose
        self._connection: Connection | None = None
        self._began = False

    def open(self) -> "Connection":
        """The connection, opened where there is none."""
        if self._connection is None:
            self._connection = self._connector.open(self._purpose)
        return self._connection

    @property
    def is_open(self) -> bool:
        """Whether it was opened and not closed since."""
        return self._connection is not None

    @property
    def is_idle(self) -> bool:
        """Whether it is open and no transaction is."""
        return self.is_open and not self._began

    def close(self) -> None:
        """Close it, which rolls back; harmless when it is closed."""
        connection, self._connection, self._began = self._connection, None, False
        if connection is not None:
            try:
                connection.close()
            except driver_errors() as error:
                logger.debug("closing a connection: %s", error)

    def execute(self, text: str, parameters: Sequence[Any] | None = None, body: bytes | None = None) -> Answer:
        """Execute one statement; again where others got in its way or its answer was lost, but in a transaction.

        Args:
            text: The statement.
            parameters: Its values.
            body: What a PUT sends.
        """
        if self._began:
            return self._once(text, parameters, body)
        attempts, sent_before = self._config.conflict_attempts, False
        for attempt in range(1, attempts + 1):
            try:
                return self._once(text, parameters, body)
            except StatementError as error:
                if sent_before and error.is_done and text.startswith(_DEFINING):
                    return Answer()
                if attempt == attempts or not (error.is_conflict or (error.lost and not sent_before)):
                    raise
                logger.info("%s, attempt %d: %s", text.split(None, 1)[0], attempt, error)
                sent_before |= error.lost
                pause(self._config.conflict_backoff_seconds, attempt)
        raise AssertionError("unreachable")

    def _once(self, text: str, parameters: Sequence[Any] | None, body: bytes | None) -> Answer:
        try:
            with self.open().cursor() as cursor:
                cursor.execute(text, parameters, input_stream=BytesIO(body) if body is not None else None)
                if body is not None or not cursor.description:
                    return Answer()
                rows = list(_tuples(cursor.fetchall_arrow()))
                return Answer(rows, counts=cursor.description[0][0] == "num_affected_rows")
        except driver_errors() as error:
            found = error_of(error)
            if found.lost or found.gone:
                self.close()
            raise found from error

    def transaction(self, body: Callable[[], T]) -> T:
        """Run ``body`` in a transaction, and all of it again where others got in its way or an answer was lost."""
        for attempt in range(1, self._config.conflict_attempts + 1):
            try:
                self._once("BEGIN TRANSACTION", None, None)
                self._began = True
                result = body()
                self._once("COMMIT", None, None)
            except BaseException as error:
                self._roll_back()
                again = isinstance(error, StatementError) and (error.is_conflict or error.lost)
                if not again or attempt == self._config.conflict_attempts:
                    raise
                logger.info("a transaction, attempt %d: %s", attempt, error)
                pause(self._config.conflict_backoff_seconds, attempt)
            else:
                self._began = False
                return result
        raise AssertionError("unreachable")

    def _roll_back(self) -> None:
        """End a transaction that failed; where that fails too, its session ends."""
        if self._began and self._connection is not None:
            try:
                self._once("ROLLBACK", None, None)
            except StatementError as error:
                logger.debug("rolling back: %s", error)
                self.close()
        self._began = False

    def stream(self, text: str, parameters: Sequence[Any] | None) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, some at a time."""
        for batch in self.batches(text, parameters):
            yield from _tuples(batch)

    def batches(self, text: str, parameters: Sequence[Any] | None) -> Iterator["pa.RecordBatch"]:
        """The same as Arrow record batches."""
        try:
            with self.open().cursor() as cursor:
                cursor.execute(text, parameters)
                while (rows := cursor.fetchmany_arrow(_BATCH_ROWS)).num_rows:
                    yield from rows.to_batches()
        except driver_errors() as error:
            raise error_of(error) from error


def _tuples(rows: "pa.Table | pa.RecordBatch") -> Iterator[tuple[Any, ...]]:
    """The rows; the connector would make them by way of pandas, which takes longer than a small answer itself."""
    return zip(*(column.to_pylist() for column in rows.columns), strict=True)


class DatabricksSession(SqlSession[Answer]):
    """The open connections of one loader."""

    dialect: ClassVar[Dialect] = DIALECT
    # The information schema shows what the user may see.
    list_relations: ClassVar[LiteralString] = (
        "SELECT s.schema_name, t.table_name, t.table_type, t.comment FROM information_schema.schemata s"
        " LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name WHERE s.schema_name IN ({})"
    )

    def __init__(self, db_dsn: str, config: DatabricksConfig) -> None:
        """Remember where to connect; nothing is opened."""
        self.config = config
        self.schema = config.schema
        self.connector = Connector(db_dsn)
        self._work = self.new_line("load")
        self._audit = self.new_line("audit")
        self._opened = False
        self.before_work: Callable[[], None] = lambda: None

    def new_line(self, purpose: str) -> Line:
        """A connection that is not open yet."""
        return Line(self.connector, self.config, purpose)

    def open(self) -> None:
        with self.errors("connecting"):
            self._work.open()
        self._opened = True

    def close(self) -> None:
        self._work.close()
        self._audit.close()
        self._opened = False

    @property
    def where(self) -> str:
        """Host and catalog, without credentials."""
        return self.connector.where

    @property
    def catalog(self) -> str:
        """The catalog of all schemas."""
        return self.connector.place.catalog

    @property
    def work(self) -> Line:
        """The connection of the load itself."""
        if not self._opened:
            raise LoaderError("The loader is not connected: call connect() or use it in a with statement.")
        self.before_work()
        return self._work

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except StatementError as error:
            raise error.as_error(f"Databricks at {self.where}: {doing}") from error

    def execute(self, statement: sql.Statement) -> Answer:
        return self.work.execute(*self.dialect.render(statement))

    @property
    def only_looks(self) -> bool:
        return self._work.is_idle and not self._audit.is_open

    def execute_audit(self, statement: sql.Statement) -> Answer:
        return self._audit.execute(*self.dialect.render(statement))

    def put(self, statement: sql.Statement, body: bytes) -> None:
        """Send a file to a volume."""
        self.work.execute(*self.dialect.render(statement), body)

    def transaction(self, body: Callable[[], T]) -> T:
        return self.work.transaction(body)

    def cancel(self) -> None:
        """Go on with fresh connections. What runs is cancelled when its session is closed."""
        self.close()
        self.open()

    def stream(self, statement: sql.Statement) -> Iterator[tuple[Any, ...]]:
        with self.errors("reading the history"):
            yield from self.work.stream(*self.dialect.render(statement))

    def batches(self, statement: sql.Statement, schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
        """See the base class; as the driver has them."""
        with self.errors("reading rows"):
            for batch in self.work.batches(*self.dialect.render(statement)):
                yield batch.rename_columns(schema.names).cast(schema)

    def kind_of(self, kind: str) -> str:
        return TABLE if kind in _TABLES else kind.lower().replace("_", " ")

    def scratch_name(self, name: str) -> sql.Identifier:
        """See the base class; an ordinary table, for a session's own are not taken in transactions."""
        return sql.Identifier(schemas_of(self.schema).staging, f"{QUERY_SCRATCH}{name}__{new_load_id(None)}")

    def make_query_scratch(self, name: sql.Identifier, query: sql.Statement) -> None:
        statement = sql.SQL("CREATE TABLE IF NOT EXISTS {} COMMENT {} {} AS SELECT * FROM ({}) AS filled WHERE 1 = 0")
        self.execute(statement.format(name, sql.Literal(MARK), sql.SQL(PROPERTIES), query))

    def sweep_query_scratch(self, found: Relations) -> None:
        """See the base class: their names tell when they began."""
        staging, oldest = schemas_of(self.schema).staging, time.time() - _LONGEST_QUERY
        for name, relation in found.get(staging, {}).items():
            began = name.rpartition("__")[2]
            is_scratch = name.startswith(QUERY_SCRATCH) and began.isdigit() and relation.made_by_loads
            if is_scratch and load_started(int(began)) < oldest:
                self.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(staging, name)))
