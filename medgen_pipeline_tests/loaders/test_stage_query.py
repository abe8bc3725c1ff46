"""``stage_query`` and ``read_query`` where a backend has more to promise than the conformance suite asks."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from medgen_pipeline.catalog import CuratedTable, Query
from medgen_pipeline.catalog.curated.columns import integer, text
from medgen_pipeline.catalog.query import Constant, Scratch
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderError
from medgen_pipeline.loaders.postgres.loader import PostgresNativeLoader
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
    """A whole load of the table; its counts."""
    with warehouse.new_loader() as loader:
        loader.log_run_start(start_of(table))
        loader.initialize_staging(table)
        loader.stage_query(table, table.query)
        counts = loader.execute_cdc(table)
        loader.apply_changes(table, counts.mode)
        loader.cleanup(table)
    return counts.inserted, counts.updated, counts.deleted, counts.unchanged


def test_a_backend_without_curated_tables_says_so_and_what_to_do(database: str) -> None:
    class Plain(PostgresNativeLoader):
        """As a third party's backend may be: the contract has these methods, and it has no better ones."""

        capabilities = replace(PostgresNativeLoader.capabilities, backend="plain", curated=False)
        stage_query = AbstractNativeLoader.stage_query
        read_query = AbstractNativeLoader.read_query

    table = table_of("SELECT 1 AS number, cui FROM {names}")
    loader = Plain.from_dsn(database, {"schema": "medgen"})
    with pytest.raises(LoaderError, match=r"made_up cannot be made: the backend plain has no curated tables\. Set "):
        loader.stage_query(table, table.query)
    with pytest.raises(LoaderError, match=r"an answer from names cannot be made: .+ MEDGEN_CURATED=false"):
        loader.read_query(table.query, 1)


def test_a_value_that_sql_text_cannot_hold_is_refused(curated_warehouse: CuratedWarehouse) -> None:
    asked = Query(text="SELECT cui FROM {names} WHERE cui IN ({wanted})", parameters={"wanted": ("C1", "back\\slash")})
    curated_warehouse.give("names", NAMES)
    with curated_warehouse.new_loader() as loader, pytest.raises(LoaderError, match="it has a backslash"):
        loader.read_query(asked, 1)
    quoted = asked.with_parameters({"wanted": ("C1", "it's")})
    with curated_warehouse.new_loader() as loader:
        assert loader.read_query(quoted, 9) == [("C1",)]


# PostgreSQL alone


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
            loader.apply_changes(table, counts.mode)
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
