"""A real Databricks keeps the contract: ``pytest -m databricks_live``, with a SQL warehouse named by the environment.

docs/databricks.md says what the variable is, what the token's owner must be allowed, and what is left behind.
"""

import os
import uuid
from collections.abc import Iterator

import pytest

from medgen_pipeline.loaders.sql import schemas
from medgen_pipeline.testing import LoaderConformance
from medgen_pipeline_tests.dbxgate.backend import DatabricksBackend

pytestmark = pytest.mark.databricks_live

DSN = "MEDGEN_LIVE_DATABRICKS_DSN"


class LiveDatabricks(DatabricksBackend):
    """The workspace. Others may be at work in the warehouse, so nobody is asked to lose connections."""

    no_connections = "the loader's connections end with a restart of the warehouse, which others may be using"


if not os.environ.get(DSN):

    @pytest.mark.skip(reason=f"no live Databricks: set {DSN}")
    def test_a_live_databricks_keeps_the_contract() -> None:
        """In place of the suite."""

else:

    class TestLiveDatabricks(LoaderConformance):
        @pytest.fixture
        def backend(self) -> Iterator[LiveDatabricks]:
            schema = f"medgen_live_{uuid.uuid4().hex}"
            backend = LiveDatabricks(os.environ[DSN], {"lease_seconds": 20}, schema)
            try:
                yield backend
            finally:
                for name in schemas(schema) + schemas(f"{schema}_other"):
                    backend.query(f"DROP SCHEMA IF EXISTS `{name}` CASCADE")
