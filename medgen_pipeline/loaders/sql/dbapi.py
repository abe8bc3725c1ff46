"""A session over a driver that keeps DB-API 2.0 (PEP 249): what is left is how to connect, and what its errors mean."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, ClassVar, LiteralString, TypeVar

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import LoaderError
from medgen_pipeline.loaders.sql.session import SqlSession

T = TypeVar("T")
_BATCH_ROWS = 10_000


class DbApiSession(SqlSession[Any]):  # drivers share no type
    """Two connections of a driver, each of whose statements takes effect at once unless a transaction was begun.

    Attributes:
        error: What the driver's errors have in common.
        begin: Begins a transaction that is going to write.
    """

    error: ClassVar[type[Exception]]
    begin: ClassVar[LiteralString] = "BEGIN"

    def __init__(self, schema: str) -> None:
        """Nothing is opened."""
        self.schema = schema
        self._work: Any = None
        self._audit: Any = None

    @abstractmethod
    def connect(self) -> Any:
        """A new connection of the driver, with autocommit."""

    def failure(self, error: Exception) -> type[MedgenError]:
        """What a driver's error means: something transient where a later attempt may succeed with nothing changed."""
        del error
        return LoaderError

    def open(self) -> None:
        if self._work is None:
            with self.errors("connecting"):
                self._work = self.connect()

    def close(self) -> None:
        connections, self._audit, self._work = (self._audit, self._work), None, None
        for connection in connections:
            if connection is not None:
                with suppress(self.error):
                    connection.close()

    @property
    def work(self) -> Any:
        """The connection of the load itself."""
        if self._work is None:
            raise LoaderError("The loader is not connected: call connect() or use it in a with statement.")
        return self._work

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except self.error as error:
            raise self.failure(error)(f"{self.where}: {doing}: {error}") from error

    def execute(self, statement: sql.Statement) -> Any:
        return self._execute(self.work, statement)

    def execute_audit(self, statement: sql.Statement) -> Any:
        if self._audit is None and self.work is not None:
            self._audit = self.connect()
        return self._execute(self._audit, statement)

    def transaction(self, body: Callable[[], T]) -> T:
        self.execute(sql.SQL(self.begin))
        try:
            result = body()
            self.execute(sql.SQL("COMMIT"))
        except BaseException:
            with suppress(self.error):  # the connection may be gone, and the transaction with it
                self.execute(sql.SQL("ROLLBACK"))
            raise
        return result

    def stream(self, statement: sql.Statement) -> Iterator[tuple[Any, ...]]:
        with self.errors("reading the history"), closing(self.execute(statement)) as cursor:
            while batch := cursor.fetchmany(_BATCH_ROWS):
                yield from batch

    def _execute(self, connection: Any, statement: sql.Statement) -> Any:
        text, parameters = self.dialect.render(statement)
        cursor = connection.cursor()
        if parameters is None:
            cursor.execute(text)
        else:
            cursor.execute(text, parameters)
        return cursor
