"""Curated tables of real releases are the same whether followed or rebuilt; of sample ones: test_redshift_releases."""

from pathlib import Path

import pytest

from medgen_pipeline.catalog import TABLES, table_by_name
from medgen_pipeline.release import Archive
from medgen_pipeline_tests.loaders.cases import THOROUGHLY
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import new_loader


@pytest.mark.real
def test_curated_tables_that_follow_real_releases_equal_their_rebuild(
    database: str, real_releases: Path, tmp_path: Path
) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    read = [table_by_name(name) for name in ("names", "mgrel")]
    for table in TABLES:
        if table not in read:
            warehouse.give(table.name, [])
    releases = ("2021-08-20", "2021-11-11", "2021-12-02")
    for release in releases:
        warehouse.bring_to(real_releases / release, Archive(tmp_path), *read)
        followed = warehouse.make_all()
        if release != releases[-1] and not THOROUGHLY:
            continue  # what an earlier release makes wrong is rarely made good by the last
        for name, result in followed.items():
            rebuilt = warehouse.make_alone(name, force_rebuild=True)
            assert rebuilt.counts.unchanged == rebuilt.counts.rows_after == result.counts.rows_after, (release, name)
    reasons = {name: result.strategy_reason for name, result in followed.items()}
    assert [name for name, reason in reasons.items() if not reason.startswith(("followed", "nothing"))] == []
    assert sum(reason.startswith("followed") for reason in reasons.values()) == 9
