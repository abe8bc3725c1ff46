"""PostgreSQL keeps the contract."""

import pytest

from medgen_pipeline.testing import LoaderConformance
from medgen_pipeline_tests.loaders.support import PostgresBackend


class TestPostgres(LoaderConformance):
    @pytest.fixture
    def backend(self, database: str) -> PostgresBackend:
        return PostgresBackend(database)
