"""Canonical bytes as Arrow tables: every value as it was, and nothing read that is no row."""

import random
from collections.abc import Iterator

import pytest

from medgen_pipeline.catalog import ColumnType
from medgen_pipeline.rows import arrow
from medgen_pipeline.testing.loads import canonical

TEXTS = {"a": ColumnType.TEXT, "b": ColumnType.TEXT}
MIXED = {"n": ColumnType.INTEGER, "b": ColumnType.TEXT}
AWKWARD = [
    "\\N",
    "\\",
    "\\\\",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\\\t\\\r\\\n",
    '"',
    "'",
    " ",
    "a ",
    "NULL",
    "nan",
    "true",
    "1e5",
    "\ufeff",
    "é",
    "🧬",
]


def rows_of(data: bytes, columns: dict[str, ColumnType]) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in arrow.table_of(data, columns).to_pylist()]


def test_every_value_is_what_it_was() -> None:
    rows = [(one, other) for one in [*AWKWARD, None] for other in [*AWKWARD, None]]
    assert rows_of(canonical(rows), TEXTS) == rows
    assert rows_of(canonical([("\ufeffx", None)]), TEXTS) == [("\ufeffx", None)]


def test_random_texts_are_what_they_were() -> None:
    generator = random.Random(7)
    rows = [
        tuple("".join(generator.choices('\\\t\r\nNa"é,', k=generator.randrange(6))) or None for _ in TEXTS)
        for _ in range(2000)
    ]
    assert rows_of(canonical(rows), TEXTS) == rows


def test_a_record_of_empty_fields_is_a_row_of_nulls() -> None:
    assert rows_of(b"\n\nx\n", {"a": ColumnType.TEXT}) == [(None,), (None,), ("x",)]


def test_numbers_have_64_bits() -> None:
    assert rows_of(b"999999999999999999\tx\n-5\t\n\t\n", MIXED) == [
        (999999999999999999, "x"),
        (-5, None),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        (b"few\n", TEXTS),
        (b"a\tb\tc\n", TEXTS),
        (b"few\na\tb\tc\n", TEXTS),
        (b"a\t\xff\n", TEXTS),
        (b"seven\tb\n", MIXED),
        (b"1.0\tb\n", MIXED),
        (b"99999999999999999999\tb\n", MIXED),
        (b"a\rb\tc\n", TEXTS),
        (b"a\rb\n", {"a": ColumnType.TEXT}),
    ],
)
def test_what_is_no_row_is_refused(data: bytes, columns: dict[str, ColumnType]) -> None:
    with pytest.raises(arrow.NoRowsError):
        rows_of(data, columns)


def test_batches_come_in_order_and_few_chunks_wait_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "_BATCH_BYTES", 1)
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield b"%d\n" % number

    found: list[int] = []
    for batch in arrow.batches(chunks(), {"n": ColumnType.INTEGER}):
        found += batch.column(0).to_pylist()
        assert taken - len(found) <= 2
    assert found == list(range(100))


def test_what_is_no_row_ends_the_batches() -> None:
    with pytest.raises(arrow.NoRowsError):
        list(arrow.batches([b"1\n", b"seven\n"], {"n": ColumnType.INTEGER}))
