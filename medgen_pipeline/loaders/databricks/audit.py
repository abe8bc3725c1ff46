"""What is Databricks' own about the record of loads: the leases beside it, and rows that are added once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, LiteralString, TypeVar

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.databricks.dialect import PROPERTIES
from medgen_pipeline.loaders.databricks.session import Answer, DatabricksSession
from medgen_pipeline.loaders.records import LoadStatus
from medgen_pipeline.loaders.sql.audit import SqlAudit

T = TypeVar("T")

_ROWS_AT_ONCE = 200


class DatabricksAudit(SqlAudit[Answer]):
    """Reads and writes the audit of one schema."""

    additions: ClassVar[Mapping[str, LiteralString]] = {"run_layout": PROPERTIES, "row_layout": PROPERTIES}
    _session: DatabricksSession

    def __init__(self, session: DatabricksSession, wait_for_turn: Callable[[], None]) -> None:
        """Nothing is opened; ``wait_for_turn`` lets those finish that publish, and would meet what is written here."""
        super().__init__(session)
        self._wait_for_turn = wait_for_turn

    def _write(self, body: Callable[[], T]) -> T:
        with self._session.errors("writing the audit"):
            self._wait_for_turn()
            return body()

    def is_published(self, load_id: int) -> bool:
        """Whether a load has succeeded, as the work connection sees it.

        Raises:
            LoaderError: It is not running any more either: another one has taken its place.
        """
        status = self._status(self._session.execute, load_id)
        if status not in (LoadStatus.SUCCEEDED, LoadStatus.RUNNING):
            self.refuse(load_id)
        return status is LoadStatus.SUCCEEDED

    def _insert(
        self, table: LiteralString, key: Sequence[LiteralString], rows: Sequence[Mapping[LiteralString, Any]]
    ) -> None:
        """See the base class; rows that are there already are not added again."""
        columns = list(rows[0])
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            values = sql.SQL(", ").join(
                sql.SQL("({})").format(sql.SQL(", ").join(map(_literal, row.values())))
                for row in rows[start : start + _ROWS_AT_ONCE]
            )
            names = [sql.Identifier(column) for column in columns]
            self._run(
                "MERGE INTO {audit}.{table} AS held USING"
                " (SELECT {columns} FROM (VALUES {values}) AS listed ({columns})) AS given ON {same}"
                " WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({given})",
                table=sql.SQL(table),
                values=values,
                columns=sql.SQL(", ").join(names),
                same=sql.SQL(" AND ").join(
                    sql.SQL("held.{0} = given.{0}").format(sql.Identifier(column)) for column in key
                ),
                given=sql.SQL(", ").join(sql.SQL("given.{}").format(name) for name in names),
            )


def _literal(value: Any) -> sql.Statement:
    """In the text: a statement has only so many parameters."""
    return value if isinstance(value, sql.Statement) else sql.Literal(value)
