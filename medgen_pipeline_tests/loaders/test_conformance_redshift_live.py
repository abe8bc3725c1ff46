"""A real Redshift keeps the contract: ``pytest -m redshift_live``, with a cluster named by the environment.

docs/redshift.md says what the variables are, what the user and the role must be allowed, and what is left behind.
"""

import os
import uuid
from collections.abc import Iterator

import pytest

from medgen_pipeline.loaders.sql import schemas
from medgen_pipeline.testing import LoaderConformance
from medgen_pipeline_tests.loaders.redshift_support import RedshiftBackend

pytestmark = pytest.mark.redshift_live

DSN = "MEDGEN_LIVE_DSN"
# The loader's setting: its variable.
VARIABLES = {
    "s3_bucket": "MEDGEN_LIVE_S3_BUCKET",
    "aws_region": "MEDGEN_LIVE_AWS_REGION",
    "iam_role": "MEDGEN_LIVE_IAM_ROLE",
}
MISSING = [name for name in (DSN, *VARIABLES.values()) if not os.environ.get(name)]


class LiveRedshift(RedshiftBackend):
    """The cluster. Ending its sessions takes a superuser, so nobody is asked to lose connections."""

    no_connections = "ending the loader's sessions takes a superuser of the cluster"


if MISSING:

    @pytest.mark.skip(reason=f"no live Redshift: set {', '.join(MISSING)}")
    def test_a_live_redshift_keeps_the_contract() -> None:
        """In place of the suite."""

else:

    class TestLiveRedshift(LoaderConformance):
        @pytest.fixture
        def backend(self) -> Iterator[LiveRedshift]:
            config = {setting: os.environ[name] for setting, name in VARIABLES.items()}
            schema = f"medgen_live_{uuid.uuid4().hex}"
            backend = LiveRedshift(os.environ[DSN], config, schema)
            try:
                yield backend
            finally:
                for name in schemas(schema) + schemas(f"{schema}_other"):
                    backend.query(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
