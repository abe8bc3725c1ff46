"""The Redshift that the loaders' tests share: a gate in front of the test's own database, and the tests' S3."""

from collections.abc import Iterator

import pytest

from medgen_pipeline_tests.loaders.redshift_support import ROLE, Warehouse
from medgen_pipeline_tests.redgate.gate import Gate
from medgen_pipeline_tests.redgate.s3server import S3Server


@pytest.fixture
def warehouse(database: str, s3: S3Server) -> Iterator[Warehouse]:
    with Gate(database, s3.client_settings, roles=[ROLE]) as gate:
        yield Warehouse(database, gate, s3)
