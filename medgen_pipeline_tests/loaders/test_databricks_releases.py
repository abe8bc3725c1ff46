"""Whole releases through Databricks' gate: the same counts, rows and feed as on PostgreSQL."""

from collections import Counter
from pathlib import Path

import pytest

from medgen_pipeline.access.report.facts import Report, gather
from medgen_pipeline.catalog import CURATED_TABLES, TABLES, SourceTable, table_by_name, upstream_of
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.loading.load import LoadOptions
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline.testing.files import OPEN_GATES
from medgen_pipeline_tests.dbxgate.backend import GatedDatabricks
from medgen_pipeline_tests.loaders.cases import THOROUGHLY, skip_what_others_stand_for
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse, curated
from medgen_pipeline_tests.loaders.support import new_loader, outcome, read

REAL = ("2021-08-20", "2021-11-11", "2021-12-02")
ALL = tuple(table.name for table in CURATED_TABLES)


def report(warehouse: CuratedWarehouse) -> Report:
    with warehouse.new_loader() as loader:
        return gather(loader)


def load_both(
    databricks: GatedDatabricks, database: str, home: Path, table: SourceTable, release: Path, *, force_warehouse: bool
) -> None:
    archive = Archive(home)
    source = ReleaseSource(release.as_uri(), archive).fetch(table)
    options = LoadOptions(limits=OPEN_GATES, force_warehouse=force_warehouse)
    loaders = (new_loader(database), databricks.new_loader())
    on_postgres, on_databricks = (load_table(loader, table, source, archive, options) for loader in loaders)
    assert outcome(on_databricks) == outcome(on_postgres)
    assert databricks.production(table) == Counter(read(database, "medgen", table))
    if databricks.feed(table):
        feed = ("_change_type", "_release")
        assert databricks.feed(table) == Counter(read(database, "medgen_changes", table, feed))


@pytest.mark.parametrize("name", ["mgconso", "medgen_pubmed_lnk"])
def test_a_table_of_the_sample_releases_is_the_same_as_on_postgresql(
    databricks: GatedDatabricks, database: str, samples: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    for number, release in enumerate((*samples, samples[0])):
        load_both(databricks, database, tmp_path, table_by_name(name), release, force_warehouse=number == 2)
    assert databricks.left_outside() == []


@pytest.mark.parametrize("names", [("concept_parent", "concept_ancestor"), ALL], ids=["some", "all"])
def test_curated_tables_their_rules_and_metrics_are_the_same_as_on_postgresql(
    databricks: GatedDatabricks,
    database: str,
    samples: tuple[Path, Path],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    names: tuple[str, ...],
) -> None:
    """The catalog's queries are translated; the second release is followed, from the feeds."""
    skip_what_others_stand_for(request, {request.function.__name__: ("some",)})
    tables = [curated(name) for name in names]
    upstream = {one.name: one for table in tables for one in upstream_of(table) if isinstance(one, SourceTable)}
    here = CuratedWarehouse(lambda: new_loader(database), database)
    there = CuratedWarehouse(databricks.new_loader, database)
    for release in samples:
        made = []
        for warehouse in (here, there):
            warehouse.bring_to(release, Archive(tmp_path), *upstream.values())
            made.append({name: outcome(warehouse.make_alone(name)) for name in names})
        assert made[1] == made[0]
    for table in tables:
        assert databricks.production(table) == Counter(here.rows(table)), table.name
        for rule in table.rules:
            found = [sorted(one.findings(table.name, rule.name), key=repr) for one in (here, there)]
            assert found[1] == found[0], rule.name
        assert there.metrics(table.name) == here.metrics(table.name)
    if names is ALL:
        assert report(there) == report(here)
    assert databricks.leftovers([*TABLES, *CURATED_TABLES]) == []


@pytest.mark.real
@pytest.mark.parametrize("name", ["names", "mgrel"] if THOROUGHLY else ["mgrel"])
def test_a_table_of_three_real_releases_is_the_same_as_on_postgresql(
    databricks: GatedDatabricks, database: str, real_releases: Path, tmp_path: Path, name: str
) -> None:
    for number, release in enumerate(REAL):
        table = table_by_name(name)
        load_both(databricks, database, tmp_path, table, real_releases / release, force_warehouse=number == 2)
