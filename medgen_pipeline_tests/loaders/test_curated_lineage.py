"""The declared lineage against what PostgreSQL says that each query reads."""

from collections.abc import Iterator

import pytest

from medgen_pipeline.catalog import CURATED_TABLES, TABLES, CuratedTable, Query
from medgen_pipeline.loaders import AbstractNativeLoader
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.postgres.config import PostgresConfig
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.sql.query import QueryPlace
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.redshift_support import ROLE, GatedRedshift
from medgen_pipeline_tests.loaders.support import new_loader
from medgen_pipeline_tests.redgate.gate import Gate
from medgen_pipeline_tests.redgate.s3server import S3Server

# What a view reads, column by column, through the views it reads itself.
_READ = """
WITH RECURSIVE reads AS (
    SELECT r.ev_class, d.refobjid, d.refobjsubid FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
), reached AS (
    SELECT refobjid, refobjsubid FROM reads WHERE ev_class = 'built'::regclass
    UNION SELECT r.refobjid, r.refobjsubid FROM reached JOIN reads r ON r.ev_class = reached.refobjid
)
SELECT c.relname || '.' || a.attname FROM reached JOIN pg_class c ON c.oid = refobjid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = refobjsubid WHERE c.relkind = 'r'
"""


@pytest.fixture(scope="module")
def empty_tables(postgres_server: str) -> object:
    """A database with every table, all of them empty."""
    with fresh_database(postgres_server) as database:
        warehouse = CuratedWarehouse(lambda: new_loader(database), database)
        for table in (*TABLES, *CURATED_TABLES):
            warehouse.give(table.name, [])
        yield database


@pytest.mark.parametrize("table", CURATED_TABLES, ids=lambda table: table.name)
def test_every_column_of_the_lineage_is_one_that_the_query_reads(table: CuratedTable, empty_tables: str) -> None:
    declared = {source for sources in table.lineage.values() for source in sources}
    assert declared <= columns_read(empty_tables, table.query)


@pytest.fixture(params=["postgres", "redshift"])
def loader(request: pytest.FixtureRequest, empty_tables: str) -> Iterator[AbstractNativeLoader]:
    if request.param == "postgres":
        with new_loader(empty_tables) as loader:
            yield loader
        return
    s3: S3Server = request.getfixturevalue("s3")
    with (
        Gate(empty_tables, s3.client_settings, roles=[ROLE]) as gate,
        GatedRedshift(empty_tables, gate, s3).new_loader() as loader,
    ):
        yield loader


def test_every_rule_metric_and_setting_runs_on_empty_tables(loader: AbstractNativeLoader) -> None:
    for table in CURATED_TABLES:
        for rule in table.rules:
            found = loader.read_query(rule.query, 9)
            assert all(len(row) == 1 + len(rule.columns) for row in found), (table.name, rule.name)
        for metric in table.metrics:
            rows = loader.read_query(metric.query, 9)
            assert rows == [] if metric.columns else rows == [(0,)], (table.name, metric.name)
        for setting in table.settings:
            assert setting.known is None or loader.read_query(setting.known, 9) == [], (table.name, setting.parameter)


def columns_read(database: str, asked: Query) -> set[str]:
    """The columns of tables that a query reads, by way of views in place of its scratch tables."""
    place = PostgresSession(database, PostgresConfig())
    place.open()
    # No feed is there yet: each is read as its table, whose columns it has.
    parts = QueryPlace(place, analyze=False).parts(asked)
    for scratch in asked.scratch:
        name = place.scratch_name(scratch.name)
        place.execute(sql.SQL("CREATE TEMP VIEW {} AS {}").format(name, sql.SQL(scratch.query).format(**parts)))
        parts[scratch.name] = name
    place.execute(sql.SQL("CREATE TEMP VIEW built AS {}").format(sql.SQL(asked.text).format(**parts)))
    found = {str(row[0]) for row in place.execute(sql.SQL(_READ)).fetchall()}
    place.close()
    return found
