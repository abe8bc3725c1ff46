"""The record of loads: complete, outliving what it records, closed once; and what tables were, read from it."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import pytest

from medgen_pipeline.catalog import ColumnType, Table
from medgen_pipeline.loaders import (
    AbstractNativeLoader,
    ApplyMode,
    LoadDetail,
    LoaderError,
    LoadStatus,
    Strategy,
)
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import LOADS_WITH_REJECTED_ROWS
from medgen_pipeline.loading.checks import ACROSS_TABLES, OF_ONE_TABLE
from medgen_pipeline.loading.rollback import undo
from medgen_pipeline.loading.subject import Subject
from medgen_pipeline.rows.records import RejectedRow
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.loads import (
    CHANGED_B,
    HISTORY,
    MERGED,
    MONDO,
    NAMES,
    PUBMED,
    RELEASES,
    A,
    B,
    C,
    D,
    compared,
    differences,
    last_of,
    load,
    start_of,
)
from medgen_pipeline.testing.tiers import Behaviour

# Two rows exchange what they have in one column.
_SWAPS: tuple[LiteralString, ...] = (
    "UPDATE {production} SET current_cui = CASE current_cui WHEN 'a' THEN 'b' ELSE 'a' END",
    "UPDATE {production} SET date_of_action = CASE date_of_action WHEN 'x' THEN 'y' ELSE 'x' END",
)
_BESIDE = ("_staging", "_changes", "_audit", "_history")
OLD: list[Row] = [(f"C{number}", f"name {number}", "GTR", "N") for number in range(20)]


class AuditContract(Behaviour):
    """``log_run_start``, ``log_run_detail``, ``log_rejected_rows``, ``log_run_finish``, ``last_load``."""

    def test_a_load_is_recorded_with_all_that_is_known_of_it(self, backend: Backend) -> None:
        began = datetime.now(UTC) - timedelta(minutes=10)  # the server's clock may differ
        releases: list[list[Row]] = [[A, B], [CHANGED_B, C, D]]
        for release, rows in zip(RELEASES, releases, strict=False):
            load(backend.new_loader(), NAMES, rows, release)
        contents = (start_of(NAMES, rows=rows).content_sha256 for rows in releases)
        assert backend.loads(
            *("dagster_run_id", "table_name", "release", "source_sha256", "content_sha256", "table_shape"),
            *("strategy", "mode", "status", "rows_extracted", "rows_rejected", "rows_repaired"),
            *("rows_inserted", "rows_updated", "rows_deleted", "rows_unchanged", "error"),
        ) == [
            ("a-dagster-run", "names", release, "a" * 64, next(contents), NAMES.shape, "warehouse", *metrics, None)
            for release, *metrics in (
                (RELEASES[0], "first", "succeeded", 2, 0, 0, 2, 0, 0, 0),
                (RELEASES[1], "delta", "succeeded", 3, 0, 0, 2, 1, 1, 0),
            )
        ]
        with backend.new_loader() as loader:
            last = last_of(loader, NAMES)
        assert last.finished_at is not None
        assert began < last.started_at <= last.finished_at < began + timedelta(minutes=20)

    def test_load_ids_grow_with_time_and_tell_loads_apart(self, backend: Backend) -> None:
        with backend.new_loader() as loader:
            ids = [loader.log_run_start(start_of(NAMES)) for _ in range(3)]
        assert ids == sorted(set(ids))
        assert [row[0] for row in backend.loads("load_id")] == ids

    def test_a_record_survives_what_it_records_and_is_closed_once(self, backend: Backend) -> None:
        awkward = 'it\'s \\N, 100 %s {x} "quoted" é'
        with backend.new_loader() as loader:
            load_id = loader.log_run_start(start_of(NAMES))
            loader.log_run_detail(
                load_id, LoadDetail(strategy=Strategy.SNAPSHOT, rows_extracted=5, rows_rejected=2, rows_repaired=1)
            )
            assert loader.log_run_finish(load_id, LoadStatus.FAILED, awkward) is LoadStatus.FAILED
            assert loader.log_run_finish(load_id, LoadStatus.SUCCEEDED) is LoadStatus.FAILED
            assert loader.last_load(NAMES) is None
        assert backend.loads("strategy", "rows_extracted", "rows_rejected", "rows_repaired", "status", "error") == [
            ("snapshot", 5, 2, 1, "failed", awkward)
        ]

    def test_an_audit_that_no_load_made_is_not_written_to(self, backend: Backend) -> None:
        backend.create_schema(f"{backend.schema}_audit")
        backend.run("CREATE TABLE {load_run} (mine INTEGER)")
        with pytest.raises(LoaderError, match=r"load_run is in the way: .* found no comment"):
            load(backend.new_loader(), NAMES, [A])
        assert backend.run("SELECT COUNT(*) FROM {load_run}") == [(0,)]

    def test_a_load_that_succeeded_stays_so(self, backend: Backend) -> None:
        with backend.new_loader() as loader:
            compared(loader, NAMES, [A])
            loader.apply_changes(NAMES, ApplyMode.FIRST)
            load_id = int(str(backend.loads("load_id")[0][0]))
            assert loader.log_run_finish(load_id, LoadStatus.INTERRUPTED, "too late") is LoadStatus.SUCCEEDED
        assert backend.loads("status", "error") == [("succeeded", None)]

    def test_a_load_that_is_not_recorded_cannot_be_finished(self, backend: Backend) -> None:
        with backend.new_loader() as loader:
            loader.log_run_start(start_of(NAMES))
            with pytest.raises(LoaderError, match="load 1 is not in the audit"):
                loader.log_run_finish(1, LoadStatus.FAILED, "why")

    def test_rejected_rows_keep_number_reason_and_bytes(self, backend: Backend) -> None:
        rows = [
            RejectedRow(7, "NUL byte", b"a\0\xffb"),
            RejectedRow(9, "it's \\", b"x\\y"),
            RejectedRow(2**40, "é", b""),
        ]
        with backend.new_loader() as loader:
            load_id = loader.log_run_start(start_of(NAMES))
            loader.log_rejected_rows(load_id, [])
            loader.log_rejected_rows(load_id, rows[:1])
            loader.log_rejected_rows(load_id, rows[1:])
        found = backend.run(
            "SELECT load_id, line_number, reason, {raw} FROM {rejected_row} ORDER BY line_number",
            raw=sql.Identifier("raw"),
        )
        assert [tuple(row[:3]) for row in found] == [(load_id, row.line_number, row.reason) for row in rows]
        # As bytes, or where a warehouse has none, as text in which what is no text can be told.
        assert [row[3] for row in found] in ([row.raw for row in rows], [r"a\x00\xffb", r"x\y", ""])

    def test_rejected_rows_are_kept_for_the_last_loads_of_a_table_that_had_some(self, backend: Backend) -> None:
        def rejecting(loader: AbstractNativeLoader, table: Table) -> int:
            load_id = loader.log_run_start(start_of(table))
            loader.log_rejected_rows(load_id, [RejectedRow(2, "x", b"y"), RejectedRow(3, "x", b"y")])
            return load_id

        with backend.new_loader() as loader:
            other = rejecting(loader, HISTORY)
            all_loads = [rejecting(loader, NAMES) for _ in range(LOADS_WITH_REJECTED_ROWS + 2)]
            loader.log_run_start(start_of(NAMES))  # one without any takes no place
        found = backend.run("SELECT DISTINCT load_id FROM {rejected_row} ORDER BY 1")
        assert found == [(load_id,) for load_id in (other, *all_loads[2:])]

    def test_many_rejected_rows_are_recorded_at_once(self, backend: Backend) -> None:
        with backend.new_loader() as loader:
            load_id = loader.log_run_start(start_of(NAMES))
            loader.log_rejected_rows(load_id, [RejectedRow(number, "x", b"y" * 50) for number in range(1000)])
        assert backend.run("SELECT COUNT(*), MAX(line_number) FROM {rejected_row}") == [(1000, 999)]

    def test_a_dead_predecessor_is_marked_abandoned_by_the_next_load_of_its_table(self, backend: Backend) -> None:
        with backend.new_loader() as loader:
            loader.log_run_start(start_of(NAMES))
        with backend.new_loader() as loader:
            loader.log_run_start(start_of(HISTORY))
        load(backend.new_loader(), NAMES, [A])
        found = backend.loads("table_name", "status", "error")
        assert [row[:2] for row in found] == [("names", "abandoned"), (HISTORY.name, "running"), ("names", "succeeded")]
        assert "ended without closing it" in str(found[0][2])

    def test_the_last_load_is_the_newest_successful_one_of_the_table(self, backend: Backend) -> None:
        loader = backend.new_loader()
        with loader:
            assert loader.last_load(NAMES) is None
        load(loader, NAMES, [A])
        load(loader, MERGED, [("C1", "C2"), ("C3", "C4")], RELEASES[2])
        with loader:
            loader.log_run_finish(loader.log_run_start(start_of(NAMES, RELEASES[1])), LoadStatus.FAILED, "why")
            last = last_of(loader, NAMES)
        assert (last.release, last.rows_inserted, last.mode, last.table_shape) == (RELEASES[0], 1, "first", NAMES.shape)


class HistoryContract(Behaviour):
    """``is_as_left``, ``find_drift``, ``read_changes``, ``read_as_of``."""

    def test_what_a_load_left_is_brought_back_by_undoing_what_came_since(self, backend: Backend) -> None:
        null, row = (None, None, None), ("C1", "C2", "Jan")
        releases: list[list[Row]] = [[row, row, null], [row, null, null], [("C9", None, None), row, row]]
        load(backend.new_loader(), HISTORY, releases[0], RELEASES[0])
        with backend.new_loader() as loader:
            first = last_of(loader, HISTORY)
        for release, rows in zip(RELEASES[1:], releases[1:], strict=False):
            load(backend.new_loader(), HISTORY, rows, release)
        result = undo(backend.new_loader(), HISTORY, first)
        assert result.counts == differences(HISTORY, releases[2], releases[0])
        assert result.rows_moved == 2  # what came and went again is not staged
        assert backend.production(HISTORY) == Counter(releases[0])
        with backend.new_loader() as loader:
            last = last_of(loader, HISTORY)
            assert (last.release, last.pinned, first.pinned) == (RELEASES[0], True, False)
            assert Counter(loader.read_as_of(HISTORY, RELEASES[2])) == Counter(releases[2])

    def test_the_changes_between_two_releases_are_those_of_the_loads_between(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        with backend.new_loader() as loader:  # before the first change there is none, and the table is what it was
            assert list(loader.read_changes(NAMES, RELEASES[0])) == []
            assert Counter(loader.read_as_of(NAMES, RELEASES[0])) == Counter([A, B])
        load(backend.new_loader(), NAMES, [A, CHANGED_B], RELEASES[1])
        load(backend.new_loader(), NAMES, [CHANGED_B, D], RELEASES[2])
        second: list[Row] = [("update_preimage", RELEASES[1], *B), ("update_postimage", RELEASES[1], *CHANGED_B)]
        third: list[Row] = [("delete", RELEASES[2], *A), ("insert", RELEASES[2], *D)]
        with backend.new_loader() as loader:

            def changes(since: str, until: str | None = None) -> list[Row]:
                found = list(loader.read_changes(NAMES, since, until))
                assert [row[3] for row in found] == sorted(row[3] for row in found)  # loads in their order
                assert all(isinstance(row[2], datetime) for row in found)
                return [(*row[:2], *row[4:]) for row in found]

            assert Counter(changes(RELEASES[0])) == Counter(second + third)
            assert changes(RELEASES[0], RELEASES[1]) == second  # an update is told before and after
            assert Counter(changes(RELEASES[1])) == Counter(third)
            assert changes(RELEASES[2]) == []
            assert changes(RELEASES[0], RELEASES[0]) == []

    def test_releases_that_were_never_loaded_or_are_in_the_wrong_order_are_refused(self, backend: Backend) -> None:
        for release, row in zip(RELEASES, (A, B), strict=False):
            load(backend.new_loader(), NAMES, [row], release)
        with backend.new_loader() as loader:
            for read in (loader.read_changes, loader.read_as_of):
                with pytest.raises(LoaderError, match=f"{RELEASES[1]}, {RELEASES[0]}"):
                    list(read(NAMES, "2025-12-31"))
            with pytest.raises(LoaderError, match=f"{RELEASES[0]} was loaded before {RELEASES[1]}; swap the two"):
                list(loader.read_changes(NAMES, RELEASES[1], RELEASES[0]))

    def test_a_release_is_not_told_by_a_feed_that_others_have_deleted_from(self, backend: Backend) -> None:
        states: list[list[Row]] = [[A], [A, B], [A, CHANGED_B]]
        for release, rows in zip(RELEASES, states, strict=False):
            load(backend.new_loader(), NAMES, rows, release)
        backend.run("DELETE FROM {feed} WHERE _release = '2026-01-14'", NAMES)
        with backend.new_loader() as loader:
            for read in (loader.read_changes, loader.read_as_of):
                with pytest.raises(LoaderError, match=r"has 2 rows of the loads after \d+, expected 3"):
                    list(read(NAMES, RELEASES[0]))
            assert Counter(loader.read_as_of(NAMES, RELEASES[1])) == Counter([A, B])

    def test_who_only_reads_creates_nothing(self, backend: Backend) -> None:
        """Whoever reads may have mistyped the database or the schema."""
        nothing = rf"expected the record of loads {backend.schema}_audit\.load_run, found none"
        with backend.new_loader() as loader:
            assert loader.last_load(NAMES) is None
            assert loader.query("SELECT 1") == [(1,)]
            for method, release in (("read_changes", "2026-01-07"), ("read_as_of", "2026-01-07")):
                with pytest.raises(LoaderError, match=nothing):
                    getattr(loader, method)(NAMES, release)
            with pytest.raises(LoaderError, match="no load is recorded"):
                loader.find_drift(NAMES)
        assert not backend.schemas() & {backend.place(part) for part in ("", *_BESIDE)}
        assert backend.left_outside() == []

    def test_a_table_that_was_made_anew_has_no_history_before_that(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A])
        backend.run("DROP TABLE {production}", NAMES)
        assert load(backend.new_loader(), NAMES, [A, B], RELEASES[1]).baseline
        with backend.new_loader() as loader:
            assert Counter(loader.read_as_of(NAMES, RELEASES[1])) == Counter([A, B])
            with pytest.raises(LoaderError, match="not within reach"):
                list(loader.read_as_of(NAMES, RELEASES[0]))

    def test_drift_finds_two_rows_that_swapped_values(self, backend: Backend) -> None:
        """Sums over single columns stay as they were, and so does a sum over a hash that is linear in columns."""
        load(backend.new_loader(), HISTORY, [("C1", "a", "x"), ("C2", "b", "y")])
        for swap in _SWAPS:
            backend.run(swap, HISTORY)
            with backend.new_loader() as loader:
                assert loader.find_drift(HISTORY).found, swap
            backend.run(swap, HISTORY)  # and back
            with backend.new_loader() as loader:
                assert not loader.find_drift(HISTORY).found

    def test_a_dropped_table_is_drift(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        backend.run("DROP TABLE {production}", NAMES)
        with backend.new_loader() as loader:
            last = last_of(loader, NAMES)
            assert not loader.is_as_left(NAMES, last)
            drift = loader.find_drift(NAMES)
            assert (drift.found, drift.rows, drift.expected_rows) == (True, 0, len(OLD))

    def test_there_is_no_drift_of_a_table_that_was_never_loaded(self, backend: Backend) -> None:
        with backend.new_loader() as loader, pytest.raises(LoaderError, match="names: no load is recorded"):
            loader.find_drift(NAMES)


class QueryContract(Behaviour):
    """``query``, and the checks that ask with it."""

    def test_a_query_names_tables_the_audit_and_the_schema(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        with backend.new_loader() as loader:
            assert loader.query(
                "SELECT COUNT(*) FROM {any} WHERE {column} = {cui}", any=NAMES, column=sql.SQL("cui"), cui="C7"
            ) == [(1,)]
            assert loader.query("SELECT table_name, status FROM {audit}.load_run") == [("names", "succeeded")]
            assert loader.query("SELECT MAX({schema}) FROM {any}", any=NAMES) == [(backend.place(),)]

    def test_a_query_that_fails_is_an_error_of_the_contract(self, backend: Backend) -> None:
        with backend.new_loader() as loader, pytest.raises(LoaderError, match="answering a query"):
            loader.query("SELECT COUNT(*) FROM {table}", table=NAMES)

    def test_no_check_finds_anything_in_tables_as_the_loader_makes_them(self, backend: Backend) -> None:
        tables = (NAMES, MERGED, MONDO, HISTORY, PUBMED)  # one of each kind
        for table in tables:
            row = tuple(7 if column.type is ColumnType.INTEGER else "C1" for column in table.columns)
            load(backend.new_loader(), table, [row])
        with backend.new_loader() as loader:
            for table in tables:
                for check in (*OF_ONE_TABLE, *ACROSS_TABLES):
                    if check.applies(table):
                        assert check.find(Subject(loader, table)).passed, (table.name, check.name)
