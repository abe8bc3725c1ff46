"""The Redshift that the loaders' tests share: a gate in front of the test's own database, and an S3."""

from collections.abc import Iterator

import pytest

from medgen_pipeline_tests.loaders.redshift_support import BUCKET, ROLE, Warehouse
from medgen_pipeline_tests.redgate.gate import Gate
from medgen_pipeline_tests.redgate.s3server import S3Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An S3 with one empty bucket, found by boto3 as it would find any other endpoint."""
    s3_server.reset()
    s3_server.client().create_bucket(Bucket=BUCKET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
    return s3_server


@pytest.fixture
def warehouse(database: str, s3: S3Server) -> Iterator[Warehouse]:
    with Gate(database, s3.client_settings, roles=[ROLE]) as gate:
        yield Warehouse(database, gate, s3)
