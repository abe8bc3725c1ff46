"""Rows and loads for the suite: canonical bytes, one load by hand, and what a comparison must say, by brute force."""

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from medgen_pipeline.catalog import Column, ColumnType, Table, table_by_name
from medgen_pipeline.loaders import (
    AbstractNativeLoader,
    ChangeCounts,
    LoadDetail,
    LoadRecord,
    LoadStart,
    Strategy,
)
from medgen_pipeline.loaders.records import REMOVED
from medgen_pipeline.loading.staging import stage
from medgen_pipeline.testing.backend import Backend, Row

NAMES = table_by_name("names")  # a proven key
MERGED = table_by_name("merged")  # every column is key
MONDO = table_by_name("mondo_cui_history")  # an unproven key, and columns beside it
HISTORY = table_by_name("medgen_cui_history")  # no key
PUBMED = table_by_name("medgen_pubmed_lnk")  # integers
# Curated tables have them.
YES_OR_NO = Table(
    name="yes_or_no",
    columns=(
        Column("cui", "cui", "A concept."),
        Column("is_so", "is_so", "Yes or no.", type=ColumnType.BOOLEAN),
        Column("day", "day", "A day.", type=ColumnType.DATE),
    ),
    key=("cui",),
    key_proven=True,
    description="For tests.",
)

A, B, C, D = ("C1", "a", "GTR", "N"), ("C2", "b", None, "N"), ("C3", None, None, None), ("C4", "d", "x", "N")
CHANGED_B = ("C2", "b", "HPO", "N")
RELEASES = ("2026-01-07", "2026-01-14", "2026-01-21", "2026-01-28")


def canonical(rows: Iterable[Row]) -> bytes:
    """Rows as canonical bytes, written independently of the framing."""
    return b"".join(b"\t".join(_field(value) for value in row) + b"\n" for row in rows)


def _field(value: object) -> bytes:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    for special in ("\\", "\t", "\r", "\n"):
        text = text.replace(special, "\\" + special)
    return text.encode() if text != "\\\\N" else b"\\\\\\N"


def signed(removed: Iterable[Row], added: Iterable[Row]) -> bytes:
    """Lines as strategy *snapshot* stages them."""
    return b"".join(sign + b"\t" + canonical([row]) for sign, rows in ((b"-", removed), (b"+", added)) for row in rows)


def start_of(table: Table, release: str = RELEASES[0], rows: Sequence[Row] = ()) -> LoadStart:
    """What is known before a load begins; equal ``rows`` mean equal files."""
    content = hashlib.sha256(repr(rows).encode()).hexdigest()
    return LoadStart(table, release, "a" * 64, content, "a-dagster-run")


@contextmanager
def begun(
    loader: AbstractNativeLoader, table: Table, release: str = RELEASES[0], strategy: Strategy = Strategy.WAREHOUSE
) -> Iterator[AbstractNativeLoader]:
    """A load up to the point where rows are staged; ``loader`` is not connected."""
    with loader:
        loader.log_run_start(start_of(table, release))
        loader.initialize_staging(table, strategy)
        yield loader


def last_of(loader: AbstractNativeLoader, table: Table) -> LoadRecord:
    """The last load, where there is one; ``loader`` is connected."""
    last = loader.last_load(table)
    assert last is not None
    return last


def compared(
    loader: AbstractNativeLoader, table: Table, rows: Sequence[Row], release: str = RELEASES[1]
) -> ChangeCounts:
    """A load on an open loader, up to the point where only publication is left."""
    load_id = loader.log_run_start(start_of(table, release, rows))
    loader.initialize_staging(table)
    assert stage(loader, table, [canonical(rows)]) == len(rows)
    loader.log_run_detail(
        load_id, LoadDetail(strategy=Strategy.WAREHOUSE, rows_extracted=len(rows), rows_rejected=0, rows_repaired=0)
    )
    return loader.execute_cdc(table)


def load(loader: AbstractNativeLoader, table: Table, rows: Sequence[Row], release: str = RELEASES[0]) -> ChangeCounts:
    """One whole load through the contract, as ``load_table`` does it, without gates; ``loader`` is not connected."""
    with loader:
        counts = compared(loader, table, rows, release)
        assert loader.apply_changes(table, counts.mode) == counts
        loader.cleanup(table)
    return counts


def differences(table: Table, before: Sequence[Row], after: Sequence[Row]) -> ChangeCounts:
    """What two releases differ by, by brute force."""
    places = [table.column_names.index(name) for name in table.key]
    keys = [[tuple(row[place] for place in places) for row in rows] for rows in (before, after)]
    by_key = bool(places) and all(len(set(side)) == len(side) and None not in itertools.chain(*side) for side in keys)
    unchanged = (Counter(before) & Counter(after)).total()
    updated = len(set(keys[0]) & set(keys[1])) - unchanged if by_key else 0
    return ChangeCounts(
        inserted=len(after) - unchanged - updated,
        updated=updated,
        deleted=len(before) - unchanged - updated,
        unchanged=unchanged,
        by_key=by_key,
    )


def undone(backend: Backend, table: Table, rows: Counter[Row], release: str) -> Counter[Row]:
    """What the table held before ``release``, from what it held after it and the change feed."""
    rebuilt = Counter(rows)
    for (change, of_release, *values), copies in backend.feed(table).items():
        if of_release == release:
            rebuilt[tuple(values)] += copies if change in REMOVED else -copies
    assert min(rebuilt.values(), default=0) >= 0, "the feed takes rows away that were not there"
    return +rebuilt


def random_releases(table: Table, number: int) -> Iterator[list[Row]]:
    """Small releases with duplicates, NULLs and keys that sometimes repeat; each shares rows with the one before."""
    generator = random.Random(table.name)  # noqa: S311  # repeatable, not secret
    values = ["a", "a ", "A", "b", "é", "e\u0301", "\\N", None]

    def row() -> Row:
        first = generator.choice(
            ["M1", "M2", "M3", "M4", "m1", "M1 ", None] if generator.random() < 0.3 else ["M5", "M6"]
        )
        return (first, *(generator.choice(values) for _ in table.columns[1:]))

    rows: list[Row] = []
    for _ in range(number):
        kept = [row for row in rows if generator.random() < 0.7]
        rows = kept + [row() for _ in range(generator.randrange(5))]
        generator.shuffle(rows)
        yield rows
