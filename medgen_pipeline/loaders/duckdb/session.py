"""Connections to one database file, the wait for it, and errors in the contract's terms.

DuckDB runs in the loader's process. Any number of connections of one process share a file. Of several processes one has
it to write, or any number have it to read, so what loads waits until the file is free
(https://duckdb.org/docs/current/connect/concurrency). Who only reads is content to read beside others that do.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, LiteralString, TypeVar

from medgen_pipeline.errors import missing_extra
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.duckdb.config import DuckDBConfig
from medgen_pipeline.loaders.duckdb.dialect import DuckDBDialect
from medgen_pipeline.loaders.records import LoaderError, TableBusyError
from medgen_pipeline.loaders.sql.names import Schemas, schemas
from medgen_pipeline.loaders.sql.session import SqlSession

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

T = TypeVar("T")
logger = logging.getLogger(__name__)

_POLL_SECONDS, _SILENT_SECONDS = 0.2, 2.0
_BATCH_ROWS, _ATTEMPTS = 10_000, 5


class DuckDBSession(SqlSession["duckdb.DuckDBPyConnection"]):
    """The open connections of one loader."""

    dialect: ClassVar[Dialect] = DuckDBDialect()
    # Of this database: each that DuckDB has beside it has a ``main``, too.
    list_relations: ClassVar[LiteralString] = (
        "SELECT s.schema_name, r.name, r.kind, r.comment FROM duckdb_schemas() AS s LEFT JOIN ("
        "SELECT schema_oid, table_name AS name, 'table' AS kind, comment FROM duckdb_tables()"
        " UNION ALL SELECT schema_oid, view_name, 'view', comment FROM duckdb_views() WHERE NOT internal"
        ") AS r ON r.schema_oid = s.oid WHERE s.database_name = current_database() AND s.schema_name IN ({})"
    )

    def __init__(self, path: Path, config: DuckDBConfig) -> None:
        """Nothing is opened."""
        self.path = path
        self.config = config
        self.schema = config.schema_
        self._to_write = False
        self._file: duckdb.DuckDBPyConnection | None = None
        self._work: duckdb.DuckDBPyConnection | None = None
        self._audit: duckdb.DuckDBPyConnection | None = None

    @property
    def schemas(self) -> Schemas:
        return schemas(self.schema)._replace(tables=self.config.schema)

    @property
    def where(self) -> str:
        return f"/{self.path}"

    @property
    def work(self) -> "duckdb.DuckDBPyConnection":
        """The connection of the load itself."""
        if self._work is None:
            raise LoaderError("The loader is not connected: call connect() or use it in a with statement.")
        return self._work

    def require_distinct_names(self) -> None:
        """Refuse a file whose database DuckDB could not tell from a schema in it: ``a.b`` may begin with either.

        Raises:
            ValueError: With what to do.
        """
        database = self.path.name.partition(".")[0]
        if database.casefold() in {name.casefold() for name in self.schemas}:
            raise ValueError(
                f"DuckDB loader: {self.path.name} would be the database {database}, which DuckDB cannot tell from the "
                "schema of that name. Name the file otherwise, such as warehouse.duckdb."
            )

    def open(self) -> None:
        """See the base class. A file that does not exist is not created: it reads as an empty database."""
        if self._file is None:
            if not self.path.parent.is_dir():
                raise LoaderError(f"{self.path}: there is no folder {self.path.parent}. Create it, or correct the DSN.")
            self._connect(to_write=False)

    def create(self) -> None:
        """Go on with the file to write to it; it is created where it does not exist."""
        if not self._to_write:
            self.close()
            self._connect(to_write=True)

    def reconnect(self) -> None:
        """Go on with new connections; what the others were at is rolled back. The file is open throughout."""
        self._disconnect()
        if self._file is not None:  # a cursor is a connection of its own
            self._work, self._audit = self._file.cursor(), self._file.cursor()
            self._work.execute("SET SESSION integer_division = true")  # as the catalog's queries mean it

    def _connect(self, *, to_write: bool) -> None:
        try:
            import duckdb
        except ImportError as error:
            raise LoaderError(missing_extra("DuckDB", "duckdb", "duckdb")) from error
        began, said = time.monotonic(), False
        while self._file is None:
            try:
                self._file = self._opened(to_write)
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                # The latter where this process itself has it open to read.
                if isinstance(error, duckdb.IOException) and "set lock" not in str(error):
                    raise LoaderError(f"{self.path}: {error}") from error
                waited = time.monotonic() - began
                if waited >= self.config.lock_timeout_seconds:
                    raise TableBusyError(
                        f"{self.path}: waited {self.config.lock_timeout_seconds:g} s for whoever has the file open: "
                        f"{error} Close it there, or open it there to read only, and try again."
                    ) from error
                if waited >= _SILENT_SECONDS and not said:
                    logger.warning("%s: waiting for whoever has the file open: %s", self.path, error)
                    said = True
                time.sleep(_POLL_SECONDS)
        self.reconnect()
        self.execute(sql.SQL("SET memory_limit = {}").format(sql.Literal(self.config.memory_limit)))

    def _opened(self, to_write: bool) -> "duckdb.DuckDBPyConnection":
        import duckdb

        self._to_write = to_write
        if not to_write and not self.path.exists():
            return duckdb.connect(":memory:")
        try:
            opened = duckdb.connect(self.path)
            self._to_write = True
        except (duckdb.IOException, duckdb.ConnectionException):
            if to_write:
                raise
            return duckdb.connect(self.path, read_only=True)
        return opened

    def close(self) -> None:
        self._disconnect()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _disconnect(self) -> None:
        for connection in filter(None, (self._audit, self._work)):
            connection.close()
        self._audit = self._work = None

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.TransactionException as error:
            raise TableBusyError(f"{self.path}: {doing}: {error}") from error
        except duckdb.OutOfMemoryException as error:
            raise LoaderError(f"{self.path}: {doing}: {error} The setting memory_limit has more.") from error
        except duckdb.Error as error:
            raise LoaderError(f"{self.path}: {doing}: {error}") from error

    def execute(self, statement: sql.Statement) -> "duckdb.DuckDBPyConnection":
        return self.work.execute(*self.dialect.render(statement))

    def execute_audit(self, statement: sql.Statement) -> "duckdb.DuckDBPyConnection":
        return (self._audit or self.work).execute(*self.dialect.render(statement))

    def changed(self, statement: sql.Statement) -> int:
        """See the base class; DuckDB answers with the number."""
        return int((self.execute(statement).fetchone() or (0,))[0])

    def transaction(self, body: Callable[[], T], attempts: int = _ATTEMPTS) -> T:
        """See the base class; DuckDB refuses a transaction that meets another one, so it is tried again."""
        import duckdb

        for attempt in range(attempts):
            self.work.begin()
            try:
                result = body()
                self.work.commit()
            except BaseException as error:
                with suppress(duckdb.TransactionException):  # a commit that failed has rolled back
                    self.work.rollback()
                if attempt == attempts - 1 or not isinstance(error, duckdb.TransactionException):
                    raise
            else:
                return result
        raise AssertionError("unreachable")

    def kind_of(self, kind: str) -> str:
        return kind

    def columns(self, schema: str, name: str) -> dict[str, str]:
        statement = sql.SQL(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database()"
            " AND schema_name = {} AND table_name = {} ORDER BY column_index"
        ).format(schema, name)
        return dict(self.execute(statement).fetchall())

    def insert(self, into: sql.Identifier, batch: "pa.RecordBatch") -> int:  # noqa: ARG002  # it is read, see below
        """Append rows to a table whose columns are those of the batch; returns how many DuckDB says there were."""
        # DuckDB finds ``batch`` among the names here; a view of it would stay where the transaction fails.
        answer = self.work.execute(self.dialect.text(sql.SQL("INSERT INTO {} SELECT * FROM batch").format(into)))
        return int((answer.fetchone() or (0,))[0])

    def batches(self, statement: sql.Statement, schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
        """See the base class; as DuckDB has them."""
        with self.errors("reading rows"), self.work.cursor() as rows:
            for batch in rows.sql(self.dialect.text(statement)).to_arrow_reader(_BATCH_ROWS):
                yield batch.rename_columns(schema.names).cast(schema)

    def stream(self, statement: sql.Statement) -> Iterator[tuple[Any, ...]]:
        with self.errors("reading the history"), self.work.cursor() as rows:
            yield from iter(rows.execute(*self.dialect.render(statement)).fetchone, None)
