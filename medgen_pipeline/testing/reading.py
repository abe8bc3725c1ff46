"""``read``: a table's rows as Arrow record batches, as they are or as of an earlier release."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from medgen_pipeline.catalog import ColumnType
from medgen_pipeline.loaders import LoaderError
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.loads import HISTORY, NAMES, PUBMED, RELEASES, YES_OR_NO, A, B, C, D, load
from medgen_pipeline.testing.tiers import Behaviour

if TYPE_CHECKING:
    import pyarrow as pa

_AWKWARD: list[Row] = [
    ("C1", "a\tb\\N\r", 'it\'s "quoted" %s {x}', None),
    ("C2", "é ∞ 𝄞 ", None, "N"),
    ("C3", None, None, None),
    ("C4", "\\N", "\\", "."),
]


def in_turn(batches: "Iterable[pa.RecordBatch]") -> list[Row]:
    """The rows of batches, in their order."""
    return [row for batch in batches for row in zip(*(column.to_pylist() for column in batch), strict=True)]


def rows_of(batches: "Iterable[pa.RecordBatch]") -> Counter[Row]:
    """The rows of batches, with their copies."""
    return Counter(in_turn(batches))


class ReadContract(Behaviour):
    """``read``."""

    @pytest.fixture(autouse=True)
    def _arrow(self) -> None:
        pytest.importorskip("pyarrow")

    def test_rows_are_read_as_they_are_with_every_character_and_null(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, _AWKWARD)
        with backend.new_loader() as loader:
            assert rows_of(loader.read(NAMES)) == Counter(_AWKWARD)

    def test_numbers_are_numbers_and_the_columns_those_that_were_asked_for(self, backend: Backend) -> None:
        import pyarrow as pa

        rows: list[Row] = [(1, "C1", "one", 2**60), (2, "C2", None, None), (2, "C2", None, None)]
        load(backend.new_loader(), PUBMED, rows)
        types = {ColumnType.TEXT: pa.string(), ColumnType.INTEGER: pa.int64()}
        with backend.new_loader() as loader:
            (whole,) = [batch for batch in loader.read(PUBMED) if batch.num_rows]
            assert whole.schema == pa.schema([(column.name, types[column.type]) for column in PUBMED.columns])
            assert rows_of(loader.read(PUBMED, ["pmid", "cui"])) == Counter([(2**60, "C1"), (None, "C2"), (None, "C2")])

    def test_truth_values_and_days_are_such_and_can_be_asked_for(self, backend: Backend) -> None:
        import pyarrow as pa

        first, second = date(2026, 1, 7), date(1969, 12, 31)
        rows: list[Row] = [("C1", True, first), ("C2", False, second), ("C3", None, None)]
        load(backend.new_loader(), YES_OR_NO, rows)
        load(backend.new_loader(), YES_OR_NO, [("C1", False, None), *rows[1:]], RELEASES[1])
        with backend.new_loader() as loader:
            assert rows_of(loader.read(YES_OR_NO, release=RELEASES[0])) == Counter(rows)
            (whole,) = [batch for batch in loader.read(YES_OR_NO, where={"is_so": False}) if batch.num_rows]
            assert whole.schema.types == [pa.string(), pa.bool_(), pa.date32()]
            assert rows_of([whole]) == Counter([("C1", False, None), ("C2", False, second)])
            assert rows_of(loader.read(YES_OR_NO, ["cui"], {"day": [second, None]})) == Counter(
                [("C1",), ("C2",), ("C3",)]
            )

    def test_rows_are_chosen_by_what_columns_hold(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B, C, D])
        asked: list[tuple[dict[str, Any], str]] = [
            ({"cui": "C2"}, "C2"),
            ({"cui": ["C1", "C4", "C9"]}, "C1 C4"),
            ({"source": None}, "C2 C3"),
            ({"source": ["x", None], "suppress": "N"}, "C2 C4"),
            ({"cui": []}, ""),
            ({"name": "b' OR 1 = 1"}, ""),
        ]
        with backend.new_loader() as loader:
            for where, cuis in asked:
                assert rows_of(loader.read(NAMES, ["cui"], where)) == Counter((cui,) for cui in cuis.split()), where

    def test_an_earlier_release_is_read_as_it_was_with_rows_that_repeat(self, backend: Backend) -> None:
        null, row = (None, None, None), ("C1", "C2", "Jan")
        releases: list[list[Row]] = [[row, row, null], [row, null, null], [], [("C9", None, None), row]]
        for release, rows in zip(RELEASES, releases, strict=True):
            load(backend.new_loader(), HISTORY, rows, release)
        with backend.new_loader() as loader:
            for release, rows in zip(RELEASES, releases, strict=True):
                assert rows_of(loader.read(HISTORY, release=release)) == Counter(rows), release
                assert Counter(loader.read_as_of(HISTORY, release)) == Counter(rows), release
            dates = rows_of(loader.read(HISTORY, ["date_of_action"], {"previous_cui": "C1"}, RELEASES[0]))
            assert dates == Counter([("Jan",), ("Jan",)])

    def test_rows_that_are_read_in_order_are_sorted_by_key_and_bytes_with_null_last(self, backend: Backend) -> None:
        texts = ["B", "a", "é", "Z z", "\u20ac", "10", "9"]  # no language's order, but that of UTF-8
        rows: list[Row] = [("C2", None, None, "N"), *(("C1", text, "x", "N") for text in texts), ("C1", None, "x", "N")]
        load(backend.new_loader(), NAMES, rows)
        load(backend.new_loader(), NAMES, rows[1:], RELEASES[1])
        expected: list[Row] = [*(("C1", text, "x", "N") for text in sorted(texts)), ("C1", None, "x", "N")]
        with backend.new_loader() as loader:
            assert in_turn(loader.read(NAMES, ordered=True)) == expected
            assert in_turn(loader.read(NAMES, release=RELEASES[0], ordered=True)) == [*expected, rows[0]]
            assert in_turn(loader.read(NAMES, ["name"], ordered=True)) == [(name,) for _, name, _, _ in expected]

    def test_what_does_not_exist_is_refused_at_once(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A])
        with backend.new_loader() as loader:
            for asked, said in (
                ({"columns": ["cui", "nmae"]}, r"names has no columns \['nmae'\]; it has \['cui', 'name'"),
                ({"where": {"nmae": "x"}}, r"names has no columns \['nmae'\]"),
                ({"where": {"cui": 7}}, "cui holds str, and cannot be 7"),
                ({"release": "1999-01-01"}, "not within reach"),
            ):
                with pytest.raises(LoaderError, match=said):
                    loader.read(NAMES, **asked)

    def test_a_read_that_is_given_up_leaves_the_loader_as_it_was(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        with backend.new_loader() as loader:
            batches = loader.read(NAMES)
            next(batches)
            del batches
            assert rows_of(loader.read(NAMES)) == Counter([A, B])
