"""``stage_query`` and ``read_query`` where a backend has more to promise than the conformance suite asks."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from medgen_pipeline.catalog import Query
from medgen_pipeline.catalog.query import Scratch
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderError
from medgen_pipeline.loaders.postgres.loader import PostgresNativeLoader
from medgen_pipeline.testing import load
from medgen_pipeline.testing.curated import ROWS, made_by, staged
from medgen_pipeline.testing.loads import NAMES, begun
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import PostgresBackend, query, session


@pytest.fixture
def backend(database: str) -> PostgresBackend:
    """With three rows in ``names``."""
    backend = PostgresBackend(database)
    load(backend.new_loader(), NAMES, ROWS)
    return backend


def test_a_backend_without_curated_tables_says_so_and_what_to_do(database: str) -> None:
    class Plain(PostgresNativeLoader):
        """As a third party's backend may be: the contract has these methods, and it has no better ones."""

        capabilities = replace(PostgresNativeLoader.capabilities, backend="plain", curated=False)
        stage_query = AbstractNativeLoader.stage_query
        read_query = AbstractNativeLoader.read_query

    table = made_by("SELECT 1 AS number, cui FROM {names}")
    loader = Plain.from_dsn(database, {"schema": "medgen"})
    with pytest.raises(LoaderError, match=r"made_up cannot be made: the backend plain has no curated tables\. Set "):
        loader.stage_query(table, table.query)
    with pytest.raises(LoaderError, match=r"an answer from names cannot be made: .+ MEDGEN_CURATED=false"):
        loader.read_query(table.query, 1)


def test_a_value_that_sql_text_cannot_hold_is_refused(curated_warehouse: CuratedWarehouse) -> None:
    asked = Query(text="SELECT cui FROM {names} WHERE cui IN ({wanted})", parameters={"wanted": ("C1", "back\\slash")})
    curated_warehouse.give("names", ROWS)
    with curated_warehouse.new_loader() as loader, pytest.raises(LoaderError, match="it has a backslash"):
        loader.read_query(asked, 1)
    quoted = asked.with_parameters({"wanted": ("C1", "it's")})
    with curated_warehouse.new_loader() as loader:
        assert loader.read_query(quoted, 9) == [("C1",)]


# PostgreSQL alone


def test_a_first_table_is_a_logged_one_and_scratch_for_a_delta_is_not(backend: PostgresBackend) -> None:
    table = made_by("SELECT cui, 1 AS number FROM {names}")
    kind = "SELECT relpersistence FROM pg_class WHERE oid = 'medgen_staging.made_up'::regclass"
    for expected in ("p", "u"):
        with begun(backend.new_loader(), table) as loader:
            loader.stage_query(table, table.query)
            assert backend.query(kind) == [(expected,)]
            counts = loader.execute_cdc(table)
            loader.apply_changes(table, counts.mode)
            loader.cleanup(table)


def test_all_statements_of_a_query_read_one_snapshot(backend: PostgresBackend) -> None:
    """While the first statement waits, another session commits; the second must not see that."""
    waits = Scratch("held", "SELECT cui FROM {names}, pg_catalog.pg_advisory_xact_lock_shared(4711)")
    table = made_by(
        "SELECT 'x' AS cui, (SELECT COUNT(*) FROM {held}) * 100 + COUNT(*) AS number FROM {names}", scratch=[waits]
    )
    with session(backend.dsn) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_xact_lock(4711)")
        building = pool.submit(staged, backend, table)
        while backend.query("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'") == [(0,)]:
            assert not building.done(), building.result()
        other.execute("INSERT INTO medgen.names (cui, name) VALUES ('C7', 'seven')")
        other.commit()  # and lets the first statement go on
        assert building.result() == [("x", 303)]
    assert query(backend.dsn, "SELECT count(*) FROM medgen.names") == [(4,)]
