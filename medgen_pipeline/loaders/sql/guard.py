"""What production is expected to hold: the proof that nothing but this package's loads wrote to it.

Content is proven by the number of rows and the sum of their hashes. The sum is carried from load to load by the change
sets alone and never read back from production. Two tables of equal size that differ have equal sums once in 2 to the
64. A backend that can tell who wrote a row, as PostgreSQL can, adds that and reads less.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, TypeVar

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import LoadRecord
from medgen_pipeline.loaders.sql.names import TableNames
from medgen_pipeline.loaders.sql.session import SqlSession


@dataclass(frozen=True)
class Content:
    """What a table holds, in two numbers."""

    rows: int
    checksum: int


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What a load left behind, as the audit keeps it.

    Attributes:
        rows: Production's rows.
        checksum: Sum of the rows' hashes, carried from load to load by the change sets alone; what production's rows
            must add up to if nobody else has touched them.
        unique_key: Whether the catalog's key is unique and never NULL in them.
        feed_since: The load whose state the change feed reaches back to: the last one that had nothing to compare with.
        unbroken_since: The load since which every load found production as the one before had left it. None is of an
            earlier version.
        made_from: The load of each table that this one was made from, as that load had left it.
        unproven: The tables it was made from that were not as their loads had left them.
        pinned: Whether the table is to stay at the load's release, whatever is published.
        filled: Whether this load looked at all rows and found none that lacks a value it needs.
    """

    rows: int
    checksum: int
    unique_key: bool
    feed_since: int
    unbroken_since: int | None = None
    made_from: Mapping[str, int] = field(default_factory=dict)
    unproven: Sequence[str] = ()
    pinned: bool = False
    filled: bool = False

    @property
    def content(self) -> Content:
        """What production should hold."""
        return Content(self.rows, self.checksum)

    @property
    def state(self) -> Any:
        """What tells that production is as the load left it, in the backend's terms."""
        return self.content

    def to_json(self) -> str:
        """As the audit stores it."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, record: LoadRecord | None) -> Self | None:
        """The guard of a recorded load, or None where it has none that a load has written."""
        known = {one.name for one in fields(cls)}
        left = {name: value for name, value in record.left.items() if name in known} if record else {}
        if not all(isinstance(left.get(name), int) for name in ("rows", "checksum", "unique_key", "feed_since")):
            return None
        try:
            return cls(**left)
        except TypeError:
            return None


AnyGuard = TypeVar("AnyGuard", bound=Guard)


def read_content(session: SqlSession[Any], names: TableNames, relation: sql.Statement) -> Content:
    """Add up a relation in one scan."""
    rows, checksum = session.row(
        "SELECT COUNT(*), COALESCE(SUM({hash}), 0) FROM {relation} t",
        names,
        hash=names.row_hash("t"),
        relation=relation,
    )
    return Content(int(rows), int(checksum))
