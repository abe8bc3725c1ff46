"""What tests of several modules load: warehouses for curated tables, and small releases."""

from pathlib import Path

import pytest

from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline_tests.loaders.cases import skip_what_others_stand_for
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift
from medgen_pipeline_tests.loaders.support import new_loader


@pytest.fixture(params=["postgres", "redshift"])
def curated_warehouse(request: pytest.FixtureRequest) -> CuratedWarehouse:
    """An empty schema of either backend, for curated tables; of Redshift for the tests that a module names, if any."""
    if request.param == "redshift":
        name = request.function.__name__
        if name not in getattr(request.module, "ON_BOTH", (name,)):
            skip_what_others_stand_for(request, {name: ("postgres",)})
        redshift: GatedRedshift = request.getfixturevalue("redshift")
        return CuratedWarehouse(redshift.new_loader, redshift.database)
    database: str = request.getfixturevalue("database")
    return CuratedWarehouse(lambda: new_loader(database), database)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small synthetic release and its successor."""
    folder = tmp_path_factory.mktemp("samples")
    base, successor = folder / "2026-01-07", folder / "2026-01-14"
    write_sample(base, scale=0.02)
    write_sample(successor, scale=0.02, successor=True)
    return base, successor
