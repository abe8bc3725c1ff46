"""Curated tables of whole releases: the same on both backends, and the same whether followed or rebuilt."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from medgen_pipeline.catalog import CURATED_TABLES, TABLES, table_by_name
from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.release import Archive
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift
from medgen_pipeline_tests.loaders.support import new_loader, outcome


@dataclass(frozen=True)
class BothBackends:
    """PostgreSQL and Redshift, fed with the same files. Redshift's schema is behind the gate, in the same database."""

    postgres: CuratedWarehouse
    redshift: CuratedWarehouse


@pytest.fixture
def both(redshift: GatedRedshift) -> BothBackends:
    def on_postgres() -> object:
        return LoaderFactory.create_loader(redshift.database, {"schema": "plain"})

    return BothBackends(
        CuratedWarehouse(on_postgres, redshift.database, "plain"),  # type: ignore[arg-type]
        CuratedWarehouse(redshift.in_schema("shift").new_loader, redshift.database, "shift"),
    )


def test_curated_tables_of_two_releases_are_the_same_on_both_backends(
    both: BothBackends, samples: tuple[Path, Path], tmp_path: Path
) -> None:
    for release in samples:
        for side in (both.postgres, both.redshift):
            side.bring_to(release, Archive(tmp_path))
        on_postgres, on_redshift = both.postgres.make_all(), both.redshift.make_all()
        assert len(on_postgres) == len(CURATED_TABLES)
        for name, result in on_postgres.items():
            assert outcome(on_redshift[name]) == outcome(result), name
            rows = both.postgres.rows(name)
            assert len(rows) > 10, name
            assert both.redshift.rows(name) == rows, name
            assert both.redshift.feed(name) == both.postgres.feed(name), name


@pytest.mark.real
def test_curated_tables_that_follow_real_releases_equal_their_rebuild(
    database: str, real_releases: Path, tmp_path: Path
) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    read = [table_by_name(name) for name in ("names", "mgrel")]
    for table in TABLES:
        if table not in read:
            warehouse.give(table.name, [])
    for release in ("2021-08-20", "2021-11-11", "2021-12-02"):
        warehouse.bring_to(real_releases / release, Archive(tmp_path), *read)
        followed = warehouse.make_all()
        for name, result in followed.items():
            rebuilt = warehouse.make_alone(name, force_rebuild=True)
            assert rebuilt.counts.unchanged == rebuilt.counts.rows_after == result.counts.rows_after, (release, name)
    reasons = {name: result.strategy_reason for name, result in followed.items()}
    assert [name for name, reason in reasons.items() if not reason.startswith(("followed", "nothing"))] == []
    assert sum(reason.startswith("followed") for reason in reasons.values()) == 7
