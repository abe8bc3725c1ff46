"""What production is expected to hold: the proof that nothing but this package's loads wrote to it.

A cluster keeps no trace of who wrote a row, and reads columns fast. So the proof is the content: production is as left
exactly when its number of rows and the sum of their hashes are. The sum is carried from load to load by the change sets
alone and never read back from production. Two tables of equal size that differ have equal sums once in 2 to the 64.
"""

import json
from dataclasses import asdict, dataclass
from typing import Self

from psycopg import sql

from medgen_pipeline.loaders.base import LoadRecord
from medgen_pipeline.loaders.redshift.names import TableNames
from medgen_pipeline.loaders.redshift.session import RedshiftSession


@dataclass(frozen=True)
class Content:
    """What a table holds, in two numbers."""

    rows: int
    checksum: int


@dataclass(frozen=True)
class Guard:
    """What a load left behind, as the audit keeps it.

    Attributes:
        rows: Production's rows.
        checksum: Sum of the rows' hashes.
        unique_key: Whether the catalog's key is unique and never NULL in them.
        feed_since: The load whose state the change feed reaches back to: the last one that had nothing to compare with.
    """

    rows: int
    checksum: int
    unique_key: bool
    feed_since: int

    @property
    def content(self) -> Content:
        """What production should hold."""
        return Content(self.rows, self.checksum)

    def to_json(self) -> str:
        """As the audit stores it."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, record: LoadRecord | None) -> Self | None:
        """The guard of a recorded load, or None where it has none."""
        if record is None or record.guard is None:
            return None
        return cls(**json.loads(record.guard))


def read_content(session: RedshiftSession, names: TableNames, relation: sql.Composable) -> Content:
    """Add up a relation in one scan."""
    rows, checksum = session.row(
        "SELECT COUNT(*), COALESCE(SUM({hash}), 0) FROM {relation} t",
        names,
        hash=names.row_hash("t"),
        relation=relation,
    )
    return Content(int(rows), int(checksum))


def production_stands(session: RedshiftSession, names: TableNames) -> bool:
    """Whether something has production's name."""
    return bool(column_widths(session, names.schema, names.table.name))


def column_widths(session: RedshiftSession, schema: str, table: str) -> dict[str, tuple[str, int | None]]:
    """The columns of a relation: type and, of text, width in bytes. Empty where there is no such relation."""
    rows = session.work.execute(
        "SELECT column_name, data_type, character_maximum_length FROM svv_columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        [schema, table],
    ).fetchall()
    return {str(name): (str(data_type), width) for name, data_type, width in rows}


def is_as_left(session: RedshiftSession, names: TableNames, guard: Guard) -> bool:
    """Whether production holds what the load with this guard left."""
    stands = set(names.table.column_names) <= set(column_widths(session, names.schema, names.table.name))
    return stands and read_content(session, names, names.production) == guard.content
