"""The contract's methods that only read, for a warehouse that speaks SQL. ``loader`` has those that load."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, LiteralString

from medgen_pipeline.catalog import Query, Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.contract import AbstractNativeLoader
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.records import Drift, FoundColumn, LoadRecord
from medgen_pipeline.loaders.sql import history, one_by_one, reading
from medgen_pipeline.loaders.sql import query as queries
from medgen_pipeline.loaders.sql.audit import SqlAudit
from medgen_pipeline.loaders.sql.guard import Guard, read_content
from medgen_pipeline.loaders.sql.names import TableNames, fill, require_schema
from medgen_pipeline.loaders.sql.session import AnyCursor, SqlSession

if TYPE_CHECKING:
    import pyarrow as pa


class SqlReader(AbstractNativeLoader, Generic[AnyCursor]):
    """The half of a loader that looks: what is there, what loads have left, and rows.

    Attributes:
        scheme: Of the tables' URLs.
    """

    scheme: ClassVar[str]

    def __init__(self, session: SqlSession[AnyCursor], audit: SqlAudit[AnyCursor]) -> None:
        """Nothing is opened.

        Raises:
            ValueError: The schema cannot have its name.
        """
        require_schema(session.schema, self.capabilities.max_identifier_bytes)
        session.capabilities = self.capabilities
        self._session = session
        self._audit = audit

    @property
    def dialect(self) -> Dialect:
        return self._session.dialect

    def _names(self, table: Table) -> TableNames:
        """The names of a table's relations."""
        return TableNames(self.dialect, self._session.schemas, table)

    def _guard_of(self, record: LoadRecord | None) -> Guard | None:
        """What a recorded load left behind."""
        return Guard.of(record)

    def connect(self) -> None:
        self._session.open()

    def close(self) -> None:
        self._session.close()

    def cancel(self) -> None:
        """See the base class. The table's lock is not the connection's, and stays."""
        self._session.close()
        self._session.open()

    def table_uri(self, table: Table) -> str:
        return f"{self.scheme}://{self._session.where}/{self._session.schemas.tables}/{table.name}"

    def last_load(self, table: Table) -> LoadRecord | None:
        return self._audit.last_success(table.name)

    def is_as_left(self, table: Table, last: LoadRecord) -> bool:
        left = self._guard_of(last)
        with self._session.errors(f"looking at {table.name}"):
            return left is not None and self._is_as_left(table, left)

    def _is_as_left(self, table: Table, left: Guard) -> bool:
        return not history.damage(self._session, self._names(table), left) and self._is_in(table, left.state)

    def columns(self, table: Table) -> dict[str, FoundColumn]:
        wanted = {column.name: column.type for column in table.columns}
        with self._session.errors(f"looking at {table.name}"):
            found = self._session.columns(self._session.schemas.tables, table.name)
        return {
            name: FoundColumn(words, name not in wanted or self.dialect.is_reported(wanted[name], words))
            for name, words in found.items()
        }

    def find_drift(self, table: Table) -> Drift:
        with self._session.errors(f"checking {table.name} for drift"):
            return history.find_drift(self._session, self._names(table), Guard.of(self.last_load(table)))

    def feed_damage(self, table: Table, since: int) -> str:
        with self._session.errors(f"looking at the change feed of {table.name}"):
            return history.feed_damage(self._session, self._names(table), since)

    def read_changes(self, table: Table, since: str, until: str | None = None) -> Iterator[tuple[Any, ...]]:
        guard = self._guard_to_read_by(table)
        with self._session.errors(f"reading the changes of {table.name}"):
            return history.read_changes(self._session, self._names(table), guard, since, until)

    def read_as_of(self, table: Table, release: str) -> Iterator[tuple[Any, ...]]:
        guard = self._guard_to_read_by(table)
        with self._session.errors(f"reading {table.name} as of {release}"):
            return history.read_as_of(self._session, self._names(table), guard, release)

    def count_changes(self, table: Table, first: LoadRecord, last: LoadRecord) -> tuple[int, int, int]:
        with self._session.errors(f"counting the changes of {table.name}"):
            return history.count_changes(self._session, self._names(table), first.load_id, last.load_id)

    def read(
        self,
        table: Table,
        columns: Sequence[str] = (),
        where: Mapping[str, Any] | None = None,
        release: str | None = None,
        *,
        ordered: bool = False,
    ) -> Iterator["pa.RecordBatch"]:
        schema, condition = reading.request(self.dialect, table, columns, where or {})
        order = reading.order_of(self.dialect, table) if ordered else sql.SQL("")
        with self._session.errors(f"reading {table.name}"):
            if release is None:
                return reading.current(self._session, self._names(table), schema, condition, order)
            guard = self._guard_to_read_by(table)
            return reading.as_of(self._session, self._names(table), guard, release, schema, condition, order)

    def _guard_to_read_by(self, table: Table) -> Guard | None:
        self._audit.require_audit()
        if not self.capabilities.spanning_transactions:
            one_by_one.require_settled(self._audit, self._names(table))
        return Guard.of(self.last_load(table))

    def query(self, statement: LiteralString, **parts: Any) -> list[tuple[Any, ...]]:
        if "{audit}" in statement:
            self._audit.require_audit()
        with self._session.errors("answering a query"):
            return self._session.execute(fill(statement, self._session.schemas, parts)).fetchall()

    def _is_in(self, table: Table, state: Any) -> bool:
        """Whether production is in this state, as ``Guard.state`` and ``Comparison.production`` have it."""
        names = self._names(table)
        return bool(read_content(self._session, names, names.production) == state)

    def read_query(self, query: Query, most: int) -> list[tuple[Any, ...]]:
        if not self.capabilities.curated:
            return super().read_query(query, most)
        with self._session.errors("reading the warehouse"):
            return queries.read(self._session, query, most)
