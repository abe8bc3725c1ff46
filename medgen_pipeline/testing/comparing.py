"""The change set: exact counts, duplicates and NULLs included, however it is found; and the feed that it becomes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.loaders import ApplyMode, ChangeCounts, LoaderError, Strategy
from medgen_pipeline.loading.staging import stage
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.loads import (
    CHANGED_B,
    HISTORY,
    MERGED,
    MONDO,
    NAMES,
    PUBMED,
    RELEASES,
    YES_OR_NO,
    A,
    B,
    C,
    D,
    begun,
    compared,
    differences,
    last_of,
    load,
    random_releases,
    signed,
    start_of,
    undone,
)
from medgen_pipeline.testing.tiers import Behaviour

BASELINE = ChangeCounts(by_key=True, baseline=True)
# What some collation, normal form, padding or escape takes for the same.
_ALIKE: Sequence[tuple[str | None, str | None]] = (
    *(("a", "a "), ("a", "A"), ("é", "e\u0301"), ("ß", "ss")),
    *(("a", " a"), ("a", None), (None, "\\N"), ("1", "01")),
)


class ComparisonContract(Behaviour):
    """``execute_cdc`` under both strategies, ``keep_unchanged``."""

    def test_a_first_load_publishes_every_row_and_a_second_one_what_changed_with_its_feed(
        self, backend: Backend
    ) -> None:
        assert load(backend.new_loader(), NAMES, [A, B, C]) == replace(BASELINE, inserted=3)
        assert backend.production(NAMES) == Counter([A, B, C])
        assert backend.feed(NAMES) == Counter()
        assert backend.leftovers([NAMES]) == []
        counts = load(backend.new_loader(), NAMES, [A, CHANGED_B, D], RELEASES[1])
        assert counts == ChangeCounts(inserted=1, updated=1, deleted=1, unchanged=1, by_key=True)
        assert backend.production(NAMES) == Counter([A, CHANGED_B, D])
        assert backend.feed(NAMES) == Counter(
            [
                ("delete", RELEASES[1], *C),
                ("update_preimage", RELEASES[1], *B),
                ("update_postimage", RELEASES[1], *CHANGED_B),
                ("insert", RELEASES[1], *D),
            ]
        )
        assert backend.leftovers([NAMES]) == []

    @pytest.mark.parametrize("key", [("cui",), ("cui", "is_so", "day"), ()])
    def test_truth_values_and_days_are_compared_as_such_and_null_is_none_of_them(
        self, backend: Backend, key: tuple[str, ...]
    ) -> None:
        table = replace(YES_OR_NO, key=key, key_proven=bool(key))
        first, second = date(2026, 1, 7), date(1969, 12, 31)
        rows: list[Row] = [("C1", True, first), ("C2", False, None), ("C3", None, second), ("C4", True, first)]
        after: list[Row] = [("C1", False, first), ("C2", None, None), ("C3", None, first), ("C4", True, first)]
        load(backend.new_loader(), table, rows)
        assert backend.production(table) == Counter(rows)
        counts = load(backend.new_loader(), table, after, RELEASES[1])
        assert (counts.unchanged, counts.updated + counts.inserted) == (1, 3)
        assert backend.production(table) == Counter(after)
        assert undone(backend, table, Counter(after), RELEASES[1]) == Counter(rows)
        assert load(backend.new_loader(), table, after, RELEASES[2]).unchanged == 4
        with backend.new_loader() as loader:
            assert not loader.find_drift(table).written_to
            assert Counter(loader.read_as_of(table, RELEASES[0])) == Counter(rows)

    def test_the_same_rows_again_change_nothing(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        counts = load(backend.new_loader(), NAMES, [B, A], RELEASES[1])
        assert counts == ChangeCounts(unchanged=2, by_key=True)
        assert backend.feed(NAMES) == Counter()
        assert backend.loads("mode") == [("first",), ("unchanged",)]

    def test_an_empty_release_is_loaded_and_compared(self, backend: Backend) -> None:
        assert load(backend.new_loader(), NAMES, []) == BASELINE
        assert backend.production(NAMES) == Counter()
        assert load(backend.new_loader(), NAMES, [A, B], RELEASES[1]).inserted == 2
        assert load(backend.new_loader(), NAMES, [], RELEASES[2]) == ChangeCounts(deleted=2, by_key=True)
        assert backend.production(NAMES) == Counter()
        assert backend.feed(NAMES).total() == 4

    def test_duplicates_of_a_keyless_table_are_counted_one_by_one(self, backend: Backend) -> None:
        row, other, null = ("C1", "C2", "Nov 2026"), ("C3", None, "Nov 2026"), (None, None, None)
        load(backend.new_loader(), HISTORY, [row, row, row, other, null, null])
        counts = load(backend.new_loader(), HISTORY, [row, other, other, null], RELEASES[1])
        assert counts == ChangeCounts(inserted=1, updated=0, deleted=3, unchanged=3, by_key=False)
        assert backend.production(HISTORY) == Counter([row, other, other, null])
        change = ("delete", RELEASES[1])
        assert backend.feed(HISTORY) == Counter(
            {(*change, *row): 2, (*change, *null): 1, ("insert", RELEASES[1], *other): 1}
        )

    def test_an_unproven_key_that_repeats_loses_no_row_and_can_become_unique_again(self, backend: Backend) -> None:
        one, two, other = ("M1", "C1", "Jan", "0"), ("M1", "C1", "Jan", "1"), ("M2", "C2", "Jan", "1")
        assert load(backend.new_loader(), MONDO, [one, other]).by_key
        repeated = load(backend.new_loader(), MONDO, [one, two, other])
        assert repeated == ChangeCounts(inserted=1, updated=0, deleted=0, unchanged=2, by_key=False)
        assert backend.production(MONDO) == Counter([one, two, other])
        assert not load(backend.new_loader(), MONDO, [two, other]).by_key  # production's key still repeats
        assert load(backend.new_loader(), MONDO, [one, other]) == ChangeCounts(updated=1, unchanged=1, by_key=True)

    def test_an_unproven_key_that_repeats_in_the_first_release_is_loaded_whole(self, backend: Backend) -> None:
        one, two = ("M1", "C1", "Jan", "0"), ("M1", "C1", "Jan", "1")
        assert load(backend.new_loader(), MONDO, [one, two, one]) == replace(BASELINE, inserted=3, by_key=False)
        assert backend.production(MONDO) == Counter([one, two, one])

    def test_a_key_with_null_in_it_is_compared_by_whole_rows(self, backend: Backend) -> None:
        whole, broken = ("M1", "C1", "Jan", "0"), (None, "C1", "Jan", "0")
        assert not load(backend.new_loader(), MONDO, [whole, broken]).by_key
        counts = load(backend.new_loader(), MONDO, [whole, broken, broken])
        assert counts == ChangeCounts(inserted=1, updated=0, deleted=0, unchanged=2, by_key=False)
        assert backend.production(MONDO) == Counter([whole, broken, broken])

    def test_a_table_that_is_all_key_has_no_updates(self, backend: Backend) -> None:
        one, two, three = ("C1", "C2"), ("C1", "C3"), ("C9", "C3")
        load(backend.new_loader(), MERGED, [one, two])
        counts = load(backend.new_loader(), MERGED, [two, three])
        assert (counts.inserted, counts.updated, counts.deleted, counts.unchanged) == (1, 0, 1, 1)

    @pytest.mark.parametrize("table", [NAMES, HISTORY], ids=lambda table: table.name)
    def test_values_that_look_alike_are_not_equal(self, backend: Backend, table: SourceTable) -> None:
        rows = [
            [(f"C{number}", value, *(None for _ in table.columns[2:])) for number, value in enumerate(values)]
            for values in zip(*_ALIKE, strict=True)
        ]
        load(backend.new_loader(), table, rows[0])
        counts = load(backend.new_loader(), table, rows[1])
        changes = (counts.updated, counts.inserted, counts.deleted)
        assert changes == ((len(_ALIKE), 0, 0) if table.key else (0, len(_ALIKE), len(_ALIKE)))
        assert backend.production(table) == Counter(rows[1])

    def test_keys_that_look_alike_are_two_keys(self, backend: Backend) -> None:
        rows = [(key, "x", None, "N") for key in ("C1", "C1 ", "c1", "Ć1", "C\u03011")]
        assert load(backend.new_loader(), NAMES, rows) == replace(BASELINE, inserted=5)
        assert load(backend.new_loader(), NAMES, rows[1:]) == ChangeCounts(deleted=1, unchanged=4, by_key=True)
        assert backend.production(NAMES) == Counter(rows[1:])

    def test_nulls_are_equal_to_nulls_in_every_column(self, backend: Backend) -> None:
        rows: list[Row] = [(1, None, None, 5), (None, "C1", None, None), (2, None, "x", None)]
        load(backend.new_loader(), PUBMED, rows)
        assert load(backend.new_loader(), PUBMED, rows).changed == 0
        counts = load(backend.new_loader(), PUBMED, [(1, None, None, None), *rows[1:]])
        assert counts.inserted + counts.updated == 1
        assert counts.unchanged == 2

    @pytest.mark.parametrize("table", [MONDO, MERGED, HISTORY], ids=lambda table: table.name)
    def test_any_releases_give_the_counts_and_the_feed_of_brute_force(
        self, backend: Backend, table: SourceTable
    ) -> None:
        before: list[Row] | None = None
        states = {}
        for number, rows in enumerate(random_releases(table, 6)):
            release = f"2026-02-{number + 1:02}"
            counts = load(backend.new_loader(), table, rows, release)
            if before is not None:
                assert counts == differences(table, before, rows), release
                assert undone(backend, table, Counter(rows), release) == Counter(before)
            states[release] = Counter(rows)
            assert backend.production(table) == states[release]
            before = rows
        with backend.new_loader() as loader:
            assert {release: Counter(loader.read_as_of(table, release)) for release in states} == states
            assert loader.is_as_left(table, last_of(loader, table))
            drift = loader.find_drift(table)
            assert (drift.found, drift.rows, drift.expected_rows) == (False, len(rows), len(rows))

    def test_comparing_touches_no_production_row(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        with backend.new_loader() as loader:
            assert compared(loader, NAMES, [CHANGED_B]).changed == 2
            assert backend.production(NAMES) == Counter([A, B])
            assert backend.feed(NAMES) == Counter()

    def test_staged_lines_are_the_change(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B, C])
        counts = self._apply_lines(backend, NAMES, removed=[B, C], added=[CHANGED_B, D])
        assert counts == ChangeCounts(inserted=1, updated=1, deleted=1, unchanged=1, by_key=True)
        assert backend.production(NAMES) == Counter([A, CHANGED_B, D])
        assert undone(backend, NAMES, backend.production(NAMES), RELEASES[1]) == Counter([A, B, C])

    def test_staged_lines_of_a_keyless_table_are_copies(self, backend: Backend) -> None:
        row, null = ("C1", None, "Jan"), (None, None, None)
        load(backend.new_loader(), HISTORY, [row, row, row, null])
        counts = self._apply_lines(backend, HISTORY, removed=[row, row, null], added=[null, null])
        assert counts == ChangeCounts(inserted=1, updated=0, deleted=2, unchanged=2, by_key=False)
        assert backend.production(HISTORY) == Counter([row, null, null])

    def test_a_staged_line_that_repeats_a_kept_key_is_a_row_of_its_own(self, backend: Backend) -> None:
        load(backend.new_loader(), MONDO, [("M1", "C1", "Jan", "0"), ("M2", "C1", "Jan", "0")])
        counts = self._apply_lines(backend, MONDO, removed=[], added=[("M1", "C1", "Jan", "1")])
        assert counts == ChangeCounts(inserted=1, updated=0, deleted=0, unchanged=2, by_key=False)
        assert backend.production(MONDO).total() == 3
        # and the next comparison knows that the key repeats
        assert not load(backend.new_loader(), MONDO, [("M1", "C1", "Jan", "0")], RELEASES[2]).by_key

    def test_no_staged_lines_are_no_change(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        assert self._apply_lines(backend, NAMES, [], [], ApplyMode.UNCHANGED) == ChangeCounts(unchanged=2, by_key=True)

    def test_staged_lines_need_an_earlier_load(self, backend: Backend) -> None:
        with begun(backend.new_loader(), NAMES, strategy=Strategy.SNAPSHOT) as loader:
            stage(loader, NAMES, [signed([], [A])], Strategy.SNAPSHOT)
            with pytest.raises(LoaderError, match=r"names: no recorded load"):
                loader.execute_cdc(NAMES)

    def test_an_unchanged_release_stands_in_for_staging_and_comparison(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        with backend.new_loader() as loader:
            loader.log_run_start(start_of(NAMES, RELEASES[1]))
            last = last_of(loader, NAMES)
            assert loader.is_as_left(NAMES, last)
            assert loader.keep_unchanged(NAMES, last) == ChangeCounts(unchanged=2, by_key=True)
            loader.apply_changes(NAMES, ApplyMode.UNCHANGED)
        with backend.new_loader() as loader:
            last = last_of(loader, NAMES)
            assert (last.release, last.mode, last.rows_after) == (RELEASES[1], "unchanged", 2)
            assert loader.is_as_left(NAMES, last)

    @staticmethod
    def _apply_lines(
        backend: Backend,
        table: SourceTable,
        removed: list[Row],
        added: list[Row],
        mode: ApplyMode = ApplyMode.DELTA,
    ) -> ChangeCounts:
        with begun(backend.new_loader(), table, RELEASES[1], Strategy.SNAPSHOT) as loader:
            lines = [signed(removed, added)]
            assert stage(loader, table, lines, Strategy.SNAPSHOT) == len(removed) + len(added)
            counts = loader.execute_cdc(table)
            assert loader.apply_changes(table, mode) == counts
            loader.cleanup(table)
            last = last_of(loader, table)
            assert loader.is_as_left(table, last)
            assert not loader.find_drift(table).found
        return counts
