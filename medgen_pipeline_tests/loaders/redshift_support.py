"""A Redshift for the loader's tests: one behind a DSN, be it a cluster or the gate, and what only the gate can show."""

from collections.abc import Mapping
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
import psycopg

from medgen_pipeline.loaders.redshift.connect import connection_parts
from medgen_pipeline.testing import Backend, Row
from medgen_pipeline_tests.loaders.support import query
from medgen_pipeline_tests.redgate.gate import Gate
from medgen_pipeline_tests.redgate.s3server import BUCKET as BUCKET
from medgen_pipeline_tests.redgate.s3server import S3Server

ROLE = "arn:aws:iam::123456789012:role/medgen-load"


class RedshiftBackend(Backend):
    """A Redshift, and the bucket its rows come through."""

    def query(self, statement: str) -> list[Row]:
        """See the base class."""
        with psycopg.connect(
            **connection_parts(self.dsn), autocommit=True, client_encoding="utf8", prepare_threshold=None
        ) as user:
            cursor = user.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def schemas(self) -> set[str]:
        """See the base class."""
        return {str(name) for (name,) in self.query("SELECT nspname FROM pg_namespace")}

    def left_outside(self) -> list[str]:
        """Objects below the loader's prefix."""
        client = boto3.client("s3", region_name=self.config["aws_region"])
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self.config["s3_bucket"], Prefix=f"{self.config.get('s3_prefix', 'medgen')}/{self.schema}/"
        )
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


class GatedRedshift(RedshiftBackend):
    """The gate and its S3, with all that a cluster would not show.

    Attributes:
        database: URL of the PostgreSQL behind the gate, for looks that nothing translates.
        gate: The Redshift.
        s3: The S3.
    """

    def __init__(self, database: str, gate: Gate, s3: S3Server) -> None:
        """Nothing is opened."""
        config: Mapping[str, Any] = {
            "s3_bucket": BUCKET,
            "aws_region": "us-east-1",
            "iam_role": ROLE,
            "conflict_backoff_seconds": 0.01,
        }
        super().__init__(gate.dsn("redshift", sslmode="disable"), config, "medgen")
        self.database, self.gate, self.s3 = database, gate, s3

    def lose_connections(self) -> None:
        """See the base class."""
        self.gate.cut()

    def direct(self, statement: str, *params: object) -> list[Row]:
        """A look past the gate."""
        return query(self.database, statement, *params)

    def exists(self, relation: str) -> bool:
        """Whether there is a relation of this name."""
        return self.direct("SELECT to_regclass(%s) IS NOT NULL", relation) == [(True,)]
