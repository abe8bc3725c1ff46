"""``stage_query`` and ``read_query`` of every backend: what a query gives is staged, and nothing is left behind."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from medgen_pipeline.catalog import CuratedTable, Query
from medgen_pipeline.catalog.curated.columns import integer, text
from medgen_pipeline.catalog.query import Constant, Scratch
from medgen_pipeline.loaders import ApplyMode, LoaderError
from medgen_pipeline.testing import Row, start_of
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import new_loader, query, session

NAMES = [("C1", "one", "GTR", "N"), ("C2", "two", None, "N"), ("C2", "two", None, "N")]


def table_of(statement: str, *, scratch: Sequence[Scratch] = (), constants: Sequence[Constant] = ()) -> CuratedTable:
    """A curated table of a text and a number, made by this query."""
    return CuratedTable(
        name="made_up",
        columns=(text("cui", "Text.", nullable=True), integer("number", "A number.", nullable=True)),
        key=(),
        key_proven=False,
        description="For tests.",
        query=Query(text=statement, scratch=tuple(scratch), constants=tuple(constants)),
        lineage={"cui": (), "number": ()},
    )


def staged(warehouse: CuratedWarehouse, table: CuratedTable) -> list[Row]:
    """Stage the table's query and read what is in staging."""
    with warehouse.new_loader() as loader:
        loader.log_run_start(start_of(table))
        loader.initialize_staging(table)
        rows = loader.stage_query(table, table.query)
        found = query(warehouse.database, "SELECT cui, number FROM medgen_staging.made_up")
        assert rows == len(found)
        loader.cleanup(table)
    return sorted(found, key=repr)


def published(warehouse: CuratedWarehouse, table: CuratedTable) -> tuple[object, ...]:
    """A whole load of the table; the counts and whether it could have been a swap."""
    with warehouse.new_loader() as loader:
        loader.log_run_start(start_of(table))
        loader.initialize_staging(table)
        loader.stage_query(table, table.query)
        counts = loader.execute_cdc(table)
        can_swap = loader.can_swap(table)
        mode = ApplyMode.SWAP if counts.baseline else ApplyMode.DELTA if counts.changed else ApplyMode.UNCHANGED
        loader.apply_changes(table, mode)
        loader.cleanup(table)
    return counts.inserted, counts.updated, counts.deleted, counts.unchanged, can_swap


def test_null_and_repeated_rows_are_staged_as_the_query_gives_them(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("names", NAMES)
    table = table_of("SELECT source AS cui, LENGTH(name) AS number FROM {names}")
    assert staged(curated_warehouse, table) == sorted([("GTR", 3), (None, 3), (None, 3)], key=repr)


def test_columns_are_taken_by_name_and_a_query_of_no_rows_stages_none(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("names", NAMES)
    assert staged(curated_warehouse, table_of("SELECT 7 AS number, cui FROM {names} WHERE cui = 'C1'")) == [("C1", 7)]
    assert staged(curated_warehouse, table_of("SELECT cui, 7 AS number FROM {names} WHERE cui = 'C3'")) == []


def test_what_was_staged_before_is_gone(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("names", NAMES)
    table = table_of("SELECT cui, 1 AS number FROM {names} WHERE cui = 'C1'")
    with curated_warehouse.new_loader() as loader:
        loader.log_run_start(start_of(table))
        loader.initialize_staging(table)
        assert loader.stage_query(table, table.query) == 1
        assert loader.stage_query(table, table.query) == 1
        assert query(curated_warehouse.database, "SELECT count(*) FROM medgen_staging.made_up") == [(1,)]
        loader.cleanup(table)


def test_a_scratch_table_grows_until_a_run_adds_nothing(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("names", NAMES)
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
    table = table_of("SELECT 'x' AS cui, number FROM {doubled}", scratch=[doubled])
    assert staged(curated_warehouse, table) == sorted([("x", 2**k) for k in range(5)], key=repr)


def test_a_constant_is_a_relation_with_its_rows(curated_warehouse: CuratedWarehouse) -> None:
    constant = Constant("pairs", ("word", "value"), (("it's", 1), ("b", -2)))
    table = table_of("SELECT word AS cui, value AS number FROM {pairs} AS pairs", constants=[constant])
    assert staged(curated_warehouse, table) == sorted([("it's", 1), ("b", -2)], key=repr)


def test_the_feed_of_a_table_that_never_changed_is_empty_and_later_it_is_read(
    curated_warehouse: CuratedWarehouse,
) -> None:
    changes = (
        "SELECT cui, _load_id - _load_id AS number FROM {changes_of_names} AS change WHERE _change_type = 'insert'"
    )
    curated_warehouse.give("names", NAMES[:1])
    assert staged(curated_warehouse, table_of(changes)) == []
    curated_warehouse.give("names", NAMES[:2], "2026-01-14")
    assert staged(curated_warehouse, table_of(changes)) == [("C2", 0)]


def test_a_query_that_fails_leaves_staging_and_production_as_they_were(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("names", NAMES)
    good = table_of("SELECT cui, 1 AS number FROM {names}")
    published(curated_warehouse, good)
    bad = table_of(
        "SELECT cui, CAST(cui AS BIGINT) AS number FROM {held}", scratch=[Scratch("held", "SELECT cui FROM {names}")]
    )
    before = query(curated_warehouse.database, "SELECT cui, number FROM medgen.made_up ORDER BY 1")
    with curated_warehouse.new_loader() as loader:
        loader.log_run_start(start_of(bad))
        loader.initialize_staging(bad)
        with pytest.raises(LoaderError, match="building made_up: "):
            loader.stage_query(bad, bad.query)
        assert query(curated_warehouse.database, "SELECT count(*) FROM medgen_staging.made_up") == [(0,)]
        assert loader.stage_query(good, good.query) == 3  # the scratch table of before is not in the way
        loader.cleanup(bad)
    assert query(curated_warehouse.database, "SELECT cui, number FROM medgen.made_up ORDER BY 1") == before


def test_a_first_table_is_published_and_a_later_one_changes_it(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("names", NAMES)
    table = table_of("SELECT cui, LENGTH(name) AS number FROM {names}")
    assert published(curated_warehouse, table)[:4] == (3, 0, 0, 0)
    curated_warehouse.give("names", [NAMES[0], NAMES[1], ("C3", "three", None, "N")], "2026-01-14")
    assert published(curated_warehouse, table)[:4] == (1, 0, 1, 2)
    assert query(curated_warehouse.database, "SELECT cui FROM medgen.made_up ORDER BY 1") == [("C1",), ("C2",), ("C3",)]


def test_rows_are_read_in_the_order_of_the_query_and_no_more_than_asked_for(
    curated_warehouse: CuratedWarehouse,
) -> None:
    curated_warehouse.give("names", NAMES)
    found = Query(
        text="SELECT cui, COUNT(*) AS rows_of_it FROM {held} GROUP BY cui ORDER BY cui DESC",
        scratch=(Scratch("held", "SELECT cui FROM {names}"),),
    )
    with curated_warehouse.new_loader() as loader:
        assert loader.read_query(found, 9) == [("C2", 2), ("C1", 1)]
        assert loader.read_query(found, 1) == [("C2", 2)]


def test_a_value_that_sql_text_cannot_hold_is_refused(curated_warehouse: CuratedWarehouse) -> None:
    asked = Query(text="SELECT cui FROM {names} WHERE cui IN ({wanted})", parameters={"wanted": ("C1", "back\\slash")})
    curated_warehouse.give("names", NAMES)
    with curated_warehouse.new_loader() as loader, pytest.raises(LoaderError, match="it has a backslash"):
        loader.read_query(asked, 1)
    quoted = asked.with_parameters({"wanted": ("C1", "it's")})
    with curated_warehouse.new_loader() as loader:
        assert loader.read_query(quoted, 9) == [("C1",)]


# PostgreSQL alone


def test_rows_of_a_query_never_take_the_place_of_a_table_that_stands(database: str) -> None:
    """They are not frozen, so a transaction with an older snapshot would see an empty table after a swap."""
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    warehouse.give("names", NAMES)
    table = table_of("SELECT cui, 1 AS number FROM {names}")
    assert published(warehouse, table)[4] is True  # nothing stands yet
    assert published(warehouse, table)[4] is False


def test_a_first_table_is_a_logged_one_and_scratch_for_a_delta_is_not(database: str) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    warehouse.give("names", NAMES)
    table = table_of("SELECT cui, 1 AS number FROM {names}")
    kind = "SELECT relpersistence FROM pg_class WHERE oid = 'medgen_staging.made_up'::regclass"
    for expected in ("p", "u"):
        with warehouse.new_loader() as loader:
            loader.log_run_start(start_of(table))
            loader.initialize_staging(table)
            loader.stage_query(table, table.query)
            assert query(database, kind) == [(expected,)]
            counts = loader.execute_cdc(table)
            loader.apply_changes(table, ApplyMode.SWAP if counts.baseline else ApplyMode.UNCHANGED)
            loader.cleanup(table)


def test_an_older_snapshot_sees_the_old_rows_after_a_curated_load(database: str) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    warehouse.give("names", NAMES)
    table = table_of("SELECT cui, LENGTH(name) AS number FROM {names}")
    published(warehouse, table)
    with session(database) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        warehouse.give("names", [("C9", "nine", None, "N")], "2026-01-14")
        published(warehouse, table)
        assert reader.execute("SELECT count(*) FROM medgen.made_up").fetchone() == (3,)
    assert query(database, "SELECT cui FROM medgen.made_up") == [("C9",)]


def test_all_statements_of_a_query_read_one_snapshot(database: str) -> None:
    """While the first statement waits, another session commits; the second must not see that."""
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    warehouse.give("names", NAMES)
    waits = Scratch("held", "SELECT cui FROM {names}, pg_catalog.pg_advisory_xact_lock_shared(4711)")
    table = table_of(
        "SELECT 'x' AS cui, (SELECT COUNT(*) FROM {held}) * 100 + COUNT(*) AS number FROM {names}", scratch=[waits]
    )
    with session(database) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_xact_lock(4711)")
        building = pool.submit(staged, warehouse, table)
        while query(database, "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'") == [(0,)]:
            assert not building.done(), building.result()
        other.execute("INSERT INTO medgen.names (cui, name) VALUES ('C7', 'seven')")
        other.commit()  # and lets the first statement go on
        assert building.result() == [("x", 303)]
    assert query(database, "SELECT count(*) FROM medgen.names") == [(4,)]
