"""What reaches production, and what readers and other writers see of it: all of a release or nothing."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from typing import TypeVar

import pytest

from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.loaders import (
    ApplyMode,
    ChangeCounts,
    LoaderError,
    LostConnectionError,
    ProductionChangedError,
    Strategy,
)
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loading.staging import stage
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.files import EDITS
from medgen_pipeline.testing.loads import (
    HISTORY,
    MONDO,
    NAMES,
    RELEASES,
    YES_OR_NO,
    A,
    B,
    C,
    D,
    begun,
    canonical,
    compared,
    load,
    signed,
    start_of,
    undone,
)
from medgen_pipeline.testing.tiers import Behaviour, needs
from medgen_pipeline.testing.validity import assert_history_is_as_of

OLD: list[Row] = [(f"C{number}", f"name {number}", "GTR", "N") for number in range(50)]
WIDER = replace(NAMES, columns=(*NAMES.columns, Column("note", "note", "Invented for this test.")))
NUMBERED = replace(HISTORY, columns=(*HISTORY.columns[:2], replace(HISTORY.columns[2], type=ColumnType.INTEGER)))
_LOADS = 2
T = TypeVar("T")


class PublicationContract(Behaviour):
    """``apply_changes``: all of a release or nothing, and no edit of others is lost."""

    def test_nothing_can_be_applied_before_it_is_compared(self, backend: Backend) -> None:
        said = "names: nothing to apply"
        with begun(backend.new_loader(), NAMES) as loader, pytest.raises(LoaderError, match=said):
            loader.apply_changes(NAMES, ApplyMode.DELTA)

    def test_a_loader_that_was_closed_has_no_load_to_publish(self, backend: Backend) -> None:
        """Its lock has gone, and with it whatever it knew."""
        with backend.new_loader() as loader:
            counts = compared(loader, NAMES, [A])
            loader.close()
            loader.connect()
            with pytest.raises(LoaderError, match="log_run_start and execute_cdc come first"):
                loader.apply_changes(NAMES, counts.mode)
        assert backend.relations() == set()

    def test_an_edit_between_comparison_and_apply_is_noticed(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        with backend.new_loader() as loader:
            compared(loader, NAMES, [*OLD[:-1], A])
            for edit in EDITS[::2]:
                for statement in edit:
                    backend.run(statement, NAMES)
                edited = backend.production(NAMES)
                with pytest.raises(ProductionChangedError, match="somebody else wrote to the table since it was"):
                    loader.apply_changes(NAMES, ApplyMode.DELTA)
                assert backend.production(NAMES) == edited
                assert backend.feed(NAMES) == Counter()
                assert backend.statuses() == ["succeeded", "running"]
                # The same loader can compare again, and then publish.
                loader.initialize_staging(NAMES)
                stage(loader, NAMES, [canonical(OLD[1:])])
                loader.execute_cdc(NAMES)
            loader.apply_changes(NAMES, ApplyMode.DELTA)
        assert backend.production(NAMES) == Counter(OLD[1:])

    def test_an_edit_before_staged_lines_are_applied_is_noticed(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        with begun(backend.new_loader(), NAMES, RELEASES[1], Strategy.SNAPSHOT) as loader:
            stage(loader, NAMES, [signed([OLD[0]], [])], Strategy.SNAPSHOT)
            loader.execute_cdc(NAMES)
            backend.run(EDITS[2][0], NAMES)
            edited = backend.production(NAMES)
            with pytest.raises(ProductionChangedError):
                loader.apply_changes(NAMES, ApplyMode.DELTA)
        assert backend.production(NAMES) == edited

    def test_a_publication_that_fails_half_way_changes_nothing(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        backend.run("DROP TABLE {feed}", NAMES)
        # One that refuses what is written to it once production's rows have been.
        backend.run(
            "CREATE TABLE {feed} (_change_type VARCHAR(16), _release VARCHAR(255), _commit_timestamp TIMESTAMP,"
            " _load_id BIGINT, cui VARCHAR(64), name VARCHAR(4096), source VARCHAR(64), suppress VARCHAR(64),"
            " refuses INTEGER NOT NULL)",
            NAMES,
        )
        with pytest.raises(LoaderError, match="publishing names"):
            load(backend.new_loader(), NAMES, OLD[30:], RELEASES[1])
        assert backend.production(NAMES) == Counter(OLD)
        assert backend.feed(NAMES) == Counter()
        assert backend.statuses() == ["succeeded", "running"]
        backend.run("DROP TABLE {feed}", NAMES)
        assert load(backend.new_loader(), NAMES, OLD[30:], RELEASES[1]).deleted == 30
        assert backend.leftovers([NAMES]) == []

    def test_readers_see_the_old_rows_or_the_new_ones_and_nothing_else(self, backend: Backend) -> None:
        old, new = OLD, [A, B, C, D]
        load(backend.new_loader(), NAMES, old)
        with reading(lambda: frozenset(backend.production(NAMES).items())) as seen:
            for number in range(_LOADS):
                rows = old if number % 2 else new
                load(backend.new_loader(), NAMES, rows, f"2026-03-0{number + 1}")
        assert seen <= {frozenset(Counter(rows).items()) for rows in (old, new)}
        assert backend.production(NAMES) == Counter(old)
        assert backend.leftovers([NAMES]) == []


@needs(spanning_transactions=True)
class TransactionContract(Behaviour):
    """What one transaction makes of production, feed and audit."""

    def test_readers_see_feed_and_audit_together(self, backend: Backend) -> None:
        """A load that is said to have succeeded has its changes in the feed, and no other load has."""
        load(backend.new_loader(), NAMES, OLD)
        load(backend.new_loader(), NAMES, OLD[1:], RELEASES[1])

        def told() -> tuple[int, int]:
            ((changes, fed),) = backend.run(
                "SELECT SUM(r.rows_inserted + r.rows_deleted + 2 * r.rows_updated), (SELECT COUNT(*) FROM {feed})"
                " FROM {load_run} r WHERE r.status = 'succeeded' AND r.mode <> 'first'",
                NAMES,
            )
            return int(str(changes)), int(str(fed))

        with reading(told) as seen:
            for number in range(_LOADS):
                load(backend.new_loader(), NAMES, OLD[number % 2 :], f"2026-03-0{number + 1}")
        assert len(seen) > 1
        assert all(changes == fed for changes, fed in seen)


class OthersTablesContract(Behaviour):
    """What users have beside the tables, on top of them or under their names."""

    def test_a_view_of_the_users_shows_the_new_rows(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        backend.run("CREATE VIEW {schema}.only_names AS SELECT name FROM {production}", NAMES)
        for rows in ([(A[0], "new", None, None), (B[0], "other", None, None)], [C, D]):
            load(backend.new_loader(), NAMES, rows)
            assert Counter(backend.run("SELECT name FROM {schema}.only_names")) == Counter((row[1],) for row in rows)
        assert backend.leftovers() == []

    def test_a_table_of_the_users_under_the_same_name_is_not_touched(self, backend: Backend) -> None:
        backend.create_schema(backend.place())
        backend.run("CREATE TABLE {production} (cui VARCHAR(10), mine INTEGER)", NAMES)
        backend.run("INSERT INTO {production} VALUES ('C1', 7)", NAMES)
        with pytest.raises(LoaderError, match=r"names exists, but not as the catalog has it: missing"):
            load(backend.new_loader(), NAMES, [A])
        assert backend.run("SELECT cui, mine FROM {production}", NAMES) == [("C1", 7)]

    def test_a_view_of_the_users_under_the_same_name_is_not_touched(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A])
        backend.run("CREATE TABLE {schema}.moved AS SELECT * FROM {production}", NAMES)
        backend.run("DROP TABLE {production}", NAMES)
        backend.run("CREATE VIEW {production} AS SELECT * FROM {schema}.moved", NAMES)
        with pytest.raises(LoaderError, match=r"names is a view, expected a table\. Rename or drop it"):
            load(backend.new_loader(), NAMES, [B])
        assert backend.production(NAMES) == Counter([A])

    def test_what_no_load_made_is_neither_dropped_nor_written_to(self, backend: Backend) -> None:
        """Another installation's production, mostly: ``names`` of one whose schema is ``medgen_staging``."""
        load(backend.new_loader(), NAMES, [A])
        backend.run("DROP TABLE {feed}", NAMES)
        for part, name in (("_staging", "names"), ("_staging", "names__changes"), ("_changes", "names")):
            place = sql.Identifier(f"{backend.schema}{part}", name)
            backend.run("CREATE TABLE {place} AS SELECT * FROM {production}", NAMES, place=place)
            with pytest.raises(LoaderError, match=rf"{name} is in the way: .* expected a comment that begins"):
                load(backend.new_loader(), NAMES, [B], RELEASES[1])
            with backend.new_loader() as loader, suppress(LoaderError):
                loader.cleanup(NAMES)
            assert backend.run("SELECT cui FROM {place}", place=place) == [("C1",)], (part, name)
            assert backend.production(NAMES) == Counter([A])
            backend.run("DROP TABLE {place}", place=place)


class ColumnsContract(Behaviour):
    """Columns and keys of the catalog that change."""

    def test_a_column_that_the_catalog_gains_is_added_and_filled(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, [A, B])
        load(backend.new_loader(), NAMES, [B, C], RELEASES[1])
        rows = [(*B, "noted"), (*D, None)]
        counts = load(backend.new_loader(), WIDER, rows, RELEASES[2])
        assert counts == ChangeCounts(inserted=1, updated=1, deleted=1, by_key=True)
        assert backend.production(WIDER) == Counter(rows)
        # The feed replays across the change: before it, nothing was noted.
        assert undone(backend, WIDER, backend.production(WIDER), RELEASES[2]) == Counter([(*B, None), (*C, None)])
        counts = load(backend.new_loader(), WIDER, [(*B, "changed"), rows[1]], RELEASES[3])
        assert (counts.updated, counts.unchanged) == (1, 1)
        assert ("update_postimage", RELEASES[3], *B, "changed") in backend.feed(WIDER)
        assert undone(backend, WIDER, backend.production(WIDER), RELEASES[3]) == Counter(rows)
        self._assert_history(backend, WIDER, {RELEASES[1]: [(*B, None), (*C, None)]})

    def test_a_column_that_the_catalog_gives_up_hinders_nothing(self, backend: Backend) -> None:
        load(backend.new_loader(), WIDER, [(*A, "noted"), (*B, None)])
        load(backend.new_loader(), WIDER, [(*A, "changed"), (*B, None)], RELEASES[1])
        load(backend.new_loader(), NAMES, [A, C], RELEASES[2])
        assert backend.production(NAMES) == Counter([A, C])
        load(backend.new_loader(), NAMES, [A, D], RELEASES[3])
        assert undone(backend, NAMES, backend.production(NAMES), RELEASES[3]) == Counter([A, C])
        self._assert_history(backend, NAMES, {RELEASES[1]: [A, B]})

    def test_a_column_that_becomes_text_keeps_what_it_held(self, backend: Backend) -> None:
        load(backend.new_loader(), NUMBERED, [("C1", None, 7), ("C2", None, 8)])
        load(backend.new_loader(), NUMBERED, [("C1", None, 7), ("C2", None, 9)], RELEASES[1])
        counts = load(backend.new_loader(), HISTORY, [("C1", None, "Jan"), ("C2", None, "9")], RELEASES[2])
        assert counts == ChangeCounts(inserted=1, deleted=1, unchanged=1, by_key=False)
        load(backend.new_loader(), HISTORY, [("C1", None, "Feb"), ("C2", None, "9")], RELEASES[3])
        assert backend.production(HISTORY) == Counter([("C1", None, "Feb"), ("C2", None, "9")])
        before: dict[str, list[Row]] = {
            RELEASES[2]: [("C1", None, "Jan"), ("C2", None, "9")],
            RELEASES[0]: [("C1", None, "7"), ("C2", None, "8")],
        }
        self._assert_history(backend, HISTORY, before)

    def test_a_column_that_becomes_a_number_keeps_what_is_one(self, backend: Backend) -> None:
        long = "9" * 19  # more than a number of 64 bits holds
        load(backend.new_loader(), HISTORY, [("C1", None, "7"), ("C2", None, "Jan"), ("C3", None, long)])
        load(backend.new_loader(), HISTORY, [("C1", None, "-8"), ("C2", None, "Jan"), ("C3", None, long)], RELEASES[1])
        counts = load(
            backend.new_loader(), NUMBERED, [("C1", None, -8), ("C2", None, 1), ("C3", None, None)], RELEASES[2]
        )
        assert counts == ChangeCounts(inserted=1, deleted=1, unchanged=2, by_key=False)
        load(backend.new_loader(), NUMBERED, [("C1", None, -8), ("C2", None, 2), ("C3", None, None)], RELEASES[3])
        assert backend.production(NUMBERED) == Counter([("C1", None, -8), ("C2", None, 2), ("C3", None, None)])
        before: list[Row] = [("C1", None, 7), ("C2", None, None), ("C3", None, None)]
        self._assert_history(backend, NUMBERED, {RELEASES[0]: before})

    def test_a_flag_and_a_day_that_were_text_become_a_truth_value_and_a_day_with_their_history(
        self, backend: Backend
    ) -> None:
        worded = replace(
            YES_OR_NO, columns=tuple(replace(column, type=ColumnType.TEXT) for column in YES_OR_NO.columns)
        )
        load(backend.new_loader(), worded, [("C1", "Y", "2026-01-07"), ("C2", "N", None), ("C3", None, None)])
        load(
            backend.new_loader(), worded, [("C1", "N", "2026-01-08"), ("C2", "N", None), ("C3", "?", None)], RELEASES[1]
        )
        found: list[Row] = [("C1", False, date(2026, 1, 8)), ("C2", False, None), ("C3", None, None)]
        assert load(backend.new_loader(), YES_OR_NO, found, RELEASES[2]) == ChangeCounts(unchanged=3, by_key=True)
        load(backend.new_loader(), YES_OR_NO, [*found[:2], ("C3", True, None)], RELEASES[3])
        first: list[Row] = [("C1", True, date(2026, 1, 7)), ("C2", False, None), ("C3", None, None)]
        self._assert_history(backend, YES_OR_NO, {RELEASES[2]: found, RELEASES[0]: first})

    def test_a_key_that_the_catalog_widens_takes_rows_that_repeat_the_earlier_one(self, backend: Backend) -> None:
        wider = replace(MONDO, key=MONDO.column_names[:2])
        one, two = ("M1", "C1", "Jan", "0"), ("M1", "C2", "Jan", "0")
        assert load(backend.new_loader(), MONDO, [one]).by_key
        assert load(backend.new_loader(), wider, [one, two], RELEASES[1]).inserted == 1
        assert load(backend.new_loader(), wider, [two], RELEASES[2]) == ChangeCounts(
            deleted=1, unchanged=1, by_key=True
        )
        assert backend.production(MONDO) == Counter([two])

    @staticmethod
    def _assert_history(backend: Backend, table: Table, states: Mapping[str, list[Row]]) -> None:
        """Production adds up to what the loads' files add up to; feed and view lead back to what it held."""
        with backend.new_loader() as loader:
            assert not loader.find_drift(table).written_to
            for release, rows in states.items():
                assert Counter(loader.read_as_of(table, release)) == Counter(rows), release
            if loader.capabilities.views != "none":
                assert_history_is_as_of(backend, table)


class ConnectionContract(Behaviour):
    """A connection that breaks."""

    def test_a_connection_lost_before_publication_changes_nothing_and_the_loader_goes_on(
        self, backend: Backend
    ) -> None:
        self._require_connections(backend)
        load(backend.new_loader(), NAMES, OLD)
        loader = backend.new_loader()
        with loader:
            load_id = loader.log_run_start(start_of(NAMES, RELEASES[1]))
            loader.initialize_staging(NAMES)

            def breaks() -> Iterator[bytes]:
                yield canonical([A])
                backend.lose_connections()
                yield canonical([B])

            with pytest.raises(LostConnectionError):
                stage(loader, NAMES, breaks())
            assert backend.production(NAMES) == Counter(OLD)
            loader.cancel()  # as load_table does
            loader.cleanup(NAMES)
            assert loader.last_load(NAMES) is not None
            assert str(load_id) == str(backend.loads("load_id")[-1][0])
        assert backend.leftovers([NAMES]) == []
        assert load(loader, NAMES, OLD[1:], RELEASES[2]).deleted == 1

    @staticmethod
    def _require_connections(backend: Backend) -> None:
        if backend.no_connections:
            pytest.skip(backend.no_connections)


@contextmanager
def reading(look: Callable[[], T]) -> Iterator[set[T]]:
    """What another client sees all the while; its errors are the test's."""
    seen = {look()}
    failures: list[Exception] = []
    done = threading.Event()

    def read_all_the_time() -> None:
        try:
            while not done.is_set():
                seen.add(look())
                time.sleep(0.001)
        except Exception as error:  # noqa: BLE001  # whatever a driver raises; handed to the main thread
            failures.append(error)

    thread = threading.Thread(target=read_all_the_time)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
    assert failures == []
