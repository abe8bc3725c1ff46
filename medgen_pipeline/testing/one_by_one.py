"""Backends whose tables are atomic one by one: what a crash on the way leaves is told and healed by the next load."""

from collections import Counter

import pytest

from medgen_pipeline.loaders import ApplyMode, LoadStatus, WarehouseBusyError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.loads import NAMES, RELEASES, A, B, C, compared, load, undone
from medgen_pipeline.testing.publishing import reading
from medgen_pipeline.testing.tiers import Behaviour, needs

OLD: list[Row] = [(f"C{number}", f"name {number}", "GTR", "N") for number in range(20)]
NEW: list[Row] = [*OLD[5:], A, B]
FINAL: list[Row] = [*OLD[10:], C]


@needs(spanning_transactions=False)
class OneByOneContract(Behaviour):
    """Feed, production and audit are written in this order; a load that died between two of them is made whole."""

    def test_the_feed_has_every_change_of_a_load_that_is_said_to_have_succeeded(self, backend: Backend) -> None:
        """To whoever reads ``load_run`` first, and of the feed what belongs to its loads."""
        load(backend.new_loader(), NAMES, OLD)
        load(backend.new_loader(), NAMES, NEW, RELEASES[1])

        def told() -> tuple[tuple[int, int, int], ...]:
            succeeded = backend.run(
                "SELECT load_id, rows_inserted + rows_deleted + 2 * rows_updated FROM {load_run}"
                " WHERE status = 'succeeded' AND mode <> 'first'"
            )
            fed = Counter(row[0] for row in backend.run("SELECT _load_id FROM {feed}", NAMES))
            return tuple((int(str(one)), int(str(changes)), fed[one]) for one, changes in succeeded)

        with reading(told) as seen:
            for number in range(4):
                load(backend.new_loader(), NAMES, OLD[number % 2 :], f"2026-03-0{number + 1}")
        assert len(seen) > 1
        assert all(changes == fed for loads in seen for _, changes, fed in loads)

    def test_a_load_that_died_when_production_was_changed_has_succeeded(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        load(backend.new_loader(), NAMES, NEW, RELEASES[1])
        self._take_back_success(backend, RELEASES[1])
        load(backend.new_loader(), NAMES, FINAL, RELEASES[2])
        assert backend.statuses() == ["succeeded", "succeeded", "succeeded"]
        self._assert_replays(backend, (RELEASES[2], FINAL), (RELEASES[1], NEW), before=OLD)

    def test_the_changes_of_a_load_that_died_before_production_was_changed_are_removed(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        backend.run("CREATE TABLE {schema}.kept AS SELECT * FROM {production}", NAMES)
        load(backend.new_loader(), NAMES, NEW, RELEASES[1])
        backend.run("DELETE FROM {production}", NAMES)
        backend.run("INSERT INTO {production} SELECT * FROM {schema}.kept", NAMES)
        self._take_back_success(backend, RELEASES[1])
        load(backend.new_loader(), NAMES, FINAL, RELEASES[2])
        assert backend.statuses() == ["succeeded", "abandoned", "succeeded"]
        self._assert_replays(backend, (RELEASES[2], FINAL), before=OLD)

    def test_a_first_load_that_died_when_its_rows_were_in_has_succeeded(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        self._take_back_success(backend, RELEASES[0])
        assert load(backend.new_loader(), NAMES, NEW, RELEASES[1]).unchanged == 15
        assert backend.statuses() == ["succeeded", "succeeded"]
        self._assert_replays(backend, (RELEASES[1], NEW), before=OLD)

    def test_a_load_that_did_not_hear_of_its_success_learns_of_it(self, backend: Backend) -> None:
        load(backend.new_loader(), NAMES, OLD)
        with backend.new_loader() as loader:
            compared(loader, NAMES, NEW)
            loader.apply_changes(NAMES, ApplyMode.DELTA)
            self._take_back_success(backend, RELEASES[1])
            load_id = int(str(backend.loads("load_id")[-1][0]))
            assert loader.log_run_finish(load_id, LoadStatus.FAILED, "no answer") is LoadStatus.SUCCEEDED
            loader.cleanup(NAMES)
        self._assert_replays(backend, (RELEASES[1], NEW), before=OLD)

    @pytest.mark.parametrize("method", ["read_changes", "read_as_of"])
    def test_history_is_not_read_while_feed_and_production_may_be_apart(self, backend: Backend, method: str) -> None:
        load(backend.new_loader(), NAMES, OLD)
        load(backend.new_loader(), NAMES, NEW, RELEASES[1])
        self._take_back_success(backend, RELEASES[1])
        with backend.new_loader() as loader, pytest.raises(WarehouseBusyError, match="is being published, or died"):
            list(getattr(loader, method)(NAMES, RELEASES[0]))

    @staticmethod
    def _take_back_success(backend: Backend, release: str) -> None:
        """As if the load's process had died before it could record it."""
        backend.run("UPDATE {load_run} SET status = 'running' WHERE release = {release}", release=sql.Literal(release))

    @staticmethod
    def _assert_replays(backend: Backend, *states: tuple[str, list[Row]], before: list[Row]) -> None:
        """Production is the first; without the changes of its release it is the next one, and at last ``before``."""
        found = backend.production(NAMES)
        for release, rows in states:
            assert found == Counter(rows)
            found = undone(backend, NAMES, found, release)
        assert found == Counter(before)
        with backend.new_loader() as loader:
            assert not loader.find_drift(NAMES).found
        assert {str(release) for _, release, *_ in backend.feed(NAMES)} == {release for release, _ in states}
