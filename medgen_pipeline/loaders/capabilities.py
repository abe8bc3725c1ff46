"""What a backend can and cannot do, as data. Code that depends on a backend's nature reads it here, never its name."""

from dataclasses import dataclass
from typing import Literal

from medgen_pipeline.catalog import Column, ColumnType


@dataclass(frozen=True)
class LoaderCapabilities:
    """The limits and guarantees of one backend.

    Attributes:
        backend: Short name, used as the asset's kind in the UI and in messages.
        max_identifier_bytes: Longest table or column name.
        max_text_bytes: Longest text value; with ``declares_text_width`` a longer one is a rejected row.
        enforced_keys: Whether a unique constraint is checked, and so proves that a key is unique.
        documentation: The vendor's pages these values were read from.
        curated: Whether tables can be made from others inside the warehouse: ``stage_query`` and ``read_query``.
        declares_text_width: Whether a text column has a width in bytes, so that a longer value is a rejected row.
        transactional_ddl: Whether tables that a transaction makes, alters or drops are as they were when it is rolled
            back. Where not, because it is then committed or because it refuses them, none is touched in a transaction:
            a first load's table can be seen empty for a moment.
        spanning_transactions: Whether a transaction covers several tables. Where not, a table is changed at once and
            each table by itself: change feed, production and audit one after the other, so that a crash between two of
            them can be told and is healed by the next load. No table is made in such a transaction either.
        delete_join: How rows are deleted that another table names: ``DELETE … USING``, ``DELETE … WHERE EXISTS``, or by
            ``MERGE``.
        views: What CREATE OR REPLACE VIEW may change: ``fixed``: not the view's columns; ``growing``: some may be added
            at the end; ``none``: there are no views over tables of several schemas, and so none of the tables' history.
        leased_lock: Whether the table's lock is a lease, which a holder that dies keeps until it runs out. Where not,
            it is free at once.
        bulk_encoding: What ``bulk_load`` is given: ``text``, chunks of canonical bytes, or ``arrow``, record batches of
            some megabytes with the staging table's columns: strings, integers of 64 bits, booleans, dates.
    """

    backend: str
    max_identifier_bytes: int
    max_text_bytes: int
    enforced_keys: bool
    documentation: tuple[str, ...]
    curated: bool = False
    declares_text_width: bool = False
    transactional_ddl: bool = True
    spanning_transactions: bool = True
    delete_join: Literal["using", "exists", "merge"] = "using"
    views: Literal["none", "fixed", "growing"] = "none"
    leased_lock: bool = False
    bulk_encoding: Literal["text", "arrow"] = "text"

    def text_bytes(self, column: Column) -> int | None:
        """The width a text column is declared with here, or None where it has none."""
        if self.declares_text_width and column.type is ColumnType.TEXT:
            return min(column.max_bytes, self.max_text_bytes)
        return None
