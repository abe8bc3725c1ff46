"""``stage_query`` and ``read_query``: what a query gives is staged, and nothing of it is left behind."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest

from medgen_pipeline.catalog import Column, ColumnType, CuratedTable, Query
from medgen_pipeline.catalog.query import Constant, Scratch
from medgen_pipeline.loaders import (
    LoaderError,
    LoadRecord,
    ProductionChangedError,
    Strategy,
    TooMuchAffectedError,
)
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.loads import (
    CHANGED_B,
    NAMES,
    RELEASES,
    A,
    B,
    D,
    begun,
    differences,
    last_of,
    load,
    start_of,
)
from medgen_pipeline.testing.tiers import Behaviour, needs

ROWS: list[Row] = [("C1", "one", "GTR", "N"), ("C2", "two", None, "N"), ("C2", "two", None, "N")]


def made_by(statement: str, *, scratch: Sequence[Scratch] = (), constants: Sequence[Constant] = ()) -> CuratedTable:
    """A curated table of a text and a number, made by this query."""
    return CuratedTable(
        name="made_up",
        columns=(
            Column("cui", "cui", "Text."),
            Column("number", "number", "A number.", type=ColumnType.INTEGER, max_bytes=18),
        ),
        key=(),
        key_proven=False,
        description="For tests.",
        query=Query(text=statement, scratch=tuple(scratch), constants=tuple(constants)),
        lineage={"cui": (), "number": ()},
    )


def staged(backend: Backend, table: CuratedTable) -> list[Row]:
    """Stage the table's query and read what is in staging, sorted."""
    with begun(backend.new_loader(), table) as loader:
        rows = loader.stage_query(table, table.query)
        found = [tuple(row) for row in backend.run("SELECT {columns} FROM {staging}", table)]
        assert rows == len(found)
        loader.cleanup(table)
    return sorted(found, key=repr)


def published(backend: Backend, table: CuratedTable) -> tuple[int, int, int, int]:
    """A whole load of the table; rows inserted, updated, deleted and unchanged."""
    with begun(backend.new_loader(), table) as loader:
        loader.stage_query(table, table.query)
        counts = loader.execute_cdc(table)
        loader.apply_changes(table, counts.mode)
        loader.cleanup(table)
    return counts.inserted, counts.updated, counts.deleted, counts.unchanged


@needs(curated=False)
class NoCuratedContract(Behaviour):
    """A backend that has no curated tables says so when it is asked for one."""

    def test_a_curated_table_is_refused_with_the_setting_that_leaves_them_out(self, backend: Backend) -> None:
        with backend.new_loader() as loader:
            with pytest.raises(LoaderError, match=f"{loader.capabilities.backend} has no curated tables"):
                loader.read_query(Query(text="SELECT COUNT(*) AS counted FROM {names}"), 1)
            table = made_by("SELECT cui, 1 AS number FROM {names}")
            with pytest.raises(LoaderError, match="MEDGEN_CURATED=false"):
                loader.stage_query(table, table.query)


@needs(curated=True)
class CuratedContract(Behaviour):
    """``stage_query`` and ``read_query``."""

    @pytest.fixture
    def curated(self, backend: Backend) -> Backend:
        """The warehouse, with three rows in ``names``."""
        load(backend.new_loader(), NAMES, ROWS)
        return backend

    def test_null_and_repeated_rows_are_staged_as_the_query_gives_them(self, curated: Backend) -> None:
        table = made_by("SELECT source AS cui, LENGTH(name) AS number FROM {names}")
        assert staged(curated, table) == sorted([("GTR", 3), (None, 3), (None, 3)], key=repr)

    def test_columns_are_taken_by_name_and_a_query_of_no_rows_stages_none(self, curated: Backend) -> None:
        assert staged(curated, made_by("SELECT 7 AS number, cui FROM {names} WHERE cui = 'C1'")) == [("C1", 7)]
        assert staged(curated, made_by("SELECT cui, 7 AS number FROM {names} WHERE cui = 'C3'")) == []

    def test_what_was_staged_before_is_gone(self, curated: Backend) -> None:
        table = made_by("SELECT cui, 1 AS number FROM {names} WHERE cui = 'C1'")
        with begun(curated.new_loader(), table) as loader:
            assert loader.stage_query(table, table.query) == 1
            assert loader.stage_query(table, table.query) == 1
            assert len(curated.run("SELECT {columns} FROM {staging}", table)) == 1
            loader.cleanup(table)

    def test_a_scratch_table_grows_until_a_round_adds_nothing(self, curated: Backend) -> None:
        doubled = Scratch(
            "doubled",
            "SELECT CAST(1 AS BIGINT) AS number FROM {names} WHERE cui = 'C1'",
            (
                (
                    "INSERT INTO {doubled} SELECT number * 2 FROM {doubled} WHERE number * 2 > {round} AND number < 16"
                    " AND number * 2 NOT IN (SELECT number FROM {doubled})"
                ),
            ),
        )
        table = made_by("SELECT 'x' AS cui, number FROM {doubled}", scratch=[doubled])
        assert staged(curated, table) == sorted([("x", 2**k) for k in range(5)], key=repr)

    def test_a_constant_is_a_relation_with_its_rows(self, curated: Backend) -> None:
        constant = Constant("pairs", ("word", "value"), (("it's", 1), ("b", -2)))
        table = made_by("SELECT word AS cui, value AS number FROM {pairs} AS pairs", constants=[constant])
        assert staged(curated, table) == sorted([("it's", 1), ("b", -2)], key=repr)

    def test_the_feed_of_a_table_that_never_changed_is_empty_and_later_it_is_read(self, curated: Backend) -> None:
        changes = "SELECT cui, _load_id - _load_id AS number FROM {changes_of_names} AS c WHERE _change_type = 'insert'"
        assert staged(curated, made_by(changes)) == []
        load(curated.new_loader(), NAMES, [*ROWS, ("C3", "three", None, "N")], RELEASES[1])
        assert staged(curated, made_by(changes)) == [("C3", 0)]

    def test_a_query_that_fails_leaves_staging_and_production_as_they_were(self, curated: Backend) -> None:
        good = made_by("SELECT cui, 1 AS number FROM {names}")
        published(curated, good)
        bad = made_by(
            "SELECT cui, cui AS number FROM {held}",
            scratch=[Scratch("held", "SELECT cui FROM {names}")],
        )
        before = curated.production(good)
        with begun(curated.new_loader(), bad) as loader:
            with pytest.raises(LoaderError, match="building made_up: "):
                loader.stage_query(bad, bad.query)
            assert curated.run("SELECT {columns} FROM {staging}", bad) == []
            assert loader.stage_query(good, good.query) == 3  # the scratch table of before is not in the way
            loader.cleanup(bad)
        assert curated.production(good) == before
        assert curated.leftovers() == []

    def test_a_first_table_is_published_and_a_later_one_changes_it(self, curated: Backend) -> None:
        table = made_by("SELECT cui, LENGTH(name) AS number FROM {names}")
        assert published(curated, table) == (3, 0, 0, 0)
        load(curated.new_loader(), NAMES, [ROWS[0], ROWS[1], ("C3", "three", None, "N")], RELEASES[1])
        assert published(curated, table) == (1, 0, 1, 2)
        assert sorted(curated.production(table)) == [("C1", 3), ("C2", 3), ("C3", 5)]

    def test_under_snapshot_a_query_gives_the_rows_that_go_and_those_that_come(self, curated: Backend) -> None:
        table = made_by("SELECT cui, LENGTH(name) AS number FROM {names}")
        published(curated, table)
        # The first and the last row are the same on both sides; of the repeated one a copy goes.
        signed = Query(
            text="SELECT '-' AS _sign, held.cui, held.number FROM {made_up} AS held"
            " UNION ALL SELECT '+', own.cui, LENGTH(own.name) FROM {names} AS own WHERE own.cui = 'C1'"
            " UNION ALL SELECT '+', 'C2', 3 FROM {names} AS own WHERE own.cui = 'C1'"
        )
        with begun(curated.new_loader(), table, RELEASES[1], Strategy.SNAPSHOT) as loader:
            assert loader.stage_query(table, signed) == 5
            counts = loader.execute_cdc(table)
            assert (counts.inserted, counts.deleted, counts.unchanged) == (0, 1, 2)
            loader.apply_changes(table, counts.mode)
            loader.cleanup(table)
            last = last_of(loader, table)
            assert loader.is_as_left(table, last)
        assert sorted(curated.production(table)) == [("C1", 3), ("C2", 3)]

    def test_what_a_table_is_made_from_is_recorded_unless_others_have_written_to_it(self, curated: Backend) -> None:
        table = made_by("SELECT cui, 1 AS number FROM {names}")
        with curated.new_loader() as loader:
            names = last_of(loader, NAMES)
            for edit, recorded in (("", {"names": names.load_id}), ("DELETE FROM {production} WHERE cui = 'C1'", {})):
                if edit:
                    curated.run(edit, NAMES)
                loader.log_run_start(replace(start_of(table), made_from={"names": names.load_id}))
                loader.initialize_staging(table)
                loader.stage_query(table, table.query, [(NAMES, names)])
                loader.apply_changes(table, loader.execute_cdc(table).mode)
                last = last_of(loader, table)
                assert last.made_from == recorded
            signed = Query(text="SELECT '+' AS _sign, cui, 1 AS number FROM {names}")
            loader.log_run_start(start_of(table))
            loader.initialize_staging(table, Strategy.SNAPSHOT)
            with pytest.raises(ProductionChangedError, match="names is not as its load"):
                loader.stage_query(table, signed, [(NAMES, names)])
            loader.cleanup(table)

    def test_a_scratch_table_that_grows_too_large_refuses_the_query(self, curated: Backend) -> None:
        held = Scratch("held", "SELECT cui FROM {names}", most=2, rows="rows are held")
        table = made_by("SELECT cui, 1 AS number FROM {held}", scratch=[held])
        with begun(curated.new_loader(), table) as loader:
            with pytest.raises(TooMuchAffectedError, match="3 rows are held, at most 2 are followed"):
                loader.stage_query(table, table.query)
            loader.cleanup(table)

    def test_a_scratch_table_takes_the_place_of_what_has_its_name(self, curated: Backend) -> None:
        one = Scratch("names", "SELECT own.* FROM {names} AS own WHERE own.cui = 'C1'")
        assert staged(curated, made_by("SELECT cui, 1 AS number FROM {names}", scratch=[one])) == [("C1", 1)]

    def test_rows_are_read_in_the_order_of_the_query_and_no_more_than_asked_for(self, curated: Backend) -> None:
        found = Query(
            text="SELECT cui, COUNT(*) AS rows_of_it FROM {held} GROUP BY cui ORDER BY cui DESC",
            scratch=(Scratch("held", "SELECT cui FROM {names}"),),
        )
        with curated.new_loader() as loader:
            assert loader.read_query(found, 9) == [("C2", 2), ("C1", 1)]
            assert loader.read_query(found, 1) == [("C2", 2)]

    def test_each_read_sees_what_other_loaders_have_published_by_then(self, curated: Backend) -> None:
        """By this a load notices that a table it is made from was loaded meanwhile."""
        asked = Query(text="SELECT COUNT(*) AS loads FROM {load_run} WHERE status = 'succeeded'")
        with curated.new_loader() as loader:
            loader.log_run_start(start_of(made_by("SELECT cui, 1 AS number FROM {names}")))
            for loads in (1, 2):
                assert loader.read_query(asked, 1) == [(loads,)]
                load(curated.new_loader(), NAMES, ROWS, RELEASES[loads])

    def test_what_changed_between_any_two_loads_is_counted_without_what_changed_back(self, backend: Backend) -> None:
        states: list[list[Row]] = [[A, B], [A, CHANGED_B], [CHANGED_B, D], [B, (*D[:1], "d ", *D[2:])]]
        loads: list[LoadRecord] = []
        for release, rows in zip(RELEASES, states, strict=True):
            load(backend.new_loader(), NAMES, rows, release)
            with backend.new_loader() as loader:
                last = last_of(loader, NAMES)
                loads.append(last)
        with backend.new_loader() as loader:
            for (before, first), (after, later) in combinations(zip(states, loads, strict=True), 2):
                counts = differences(NAMES, before, after)
                found = loader.count_changes(NAMES, first, later)
                assert found == (counts.inserted, counts.updated, counts.deleted)
