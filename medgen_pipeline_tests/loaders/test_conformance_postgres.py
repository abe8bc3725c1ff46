"""PostgreSQL keeps the contract."""

import pytest

from medgen_pipeline.testing import LoaderConformance
from medgen_pipeline_tests.loaders.adoption import AdoptionContract
from medgen_pipeline_tests.loaders.support import PostgresBackend


class TestPostgres(LoaderConformance, AdoptionContract):
    @pytest.fixture
    def backend(self, database: str) -> PostgresBackend:
        return PostgresBackend(database)
