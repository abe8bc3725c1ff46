"""Curated tables of whole releases: the same on both backends, and the same whether followed or rebuilt."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from medgen_pipeline.catalog import CURATED_TABLES
from medgen_pipeline.load import LoadResult
from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.release import Archive
from medgen_pipeline.release.sample import write_sample
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small synthetic release and its successor."""
    folder = tmp_path_factory.mktemp("samples")
    for name, successor in (("2026-01-07", False), ("2026-01-14", True)):
        write_sample(folder / name, scale=0.05, successor=successor)
    return folder / "2026-01-07", folder / "2026-01-14"


@dataclass(frozen=True)
class BothBackends:
    """PostgreSQL and Redshift, fed with the same files. Redshift's schema is behind the gate, in the same database."""

    postgres: CuratedWarehouse
    redshift: CuratedWarehouse


def outcome(result: LoadResult) -> tuple[object, ...]:
    """What must not depend on the backend."""
    return result.counts, result.report, result.strategy, result.mode


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
