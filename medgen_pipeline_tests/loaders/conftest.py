"""The warehouses that tests of curated tables run on."""

import pytest

from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift
from medgen_pipeline_tests.loaders.support import new_loader


@pytest.fixture(params=["postgres", "redshift"])
def curated_warehouse(request: pytest.FixtureRequest, database: str) -> CuratedWarehouse:
    """An empty schema of either backend, for curated tables."""
    if request.param == "redshift":
        redshift: GatedRedshift = request.getfixturevalue("redshift")
        return CuratedWarehouse(redshift.new_loader, database)
    return CuratedWarehouse(lambda: new_loader(database), database)
