"""A gate in front of a fresh database, an S3 server, and short ways to fill both."""

import gzip
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from medgen_pipeline_tests.redgate.gate import Gate
from medgen_pipeline_tests.redgate.s3server import BUCKET as BUCKET
from medgen_pipeline_tests.redgate.s3server import S3Server

ROLE = "arn:aws:iam::123456789012:role/medgen-load"
# What redshift_connector's and psycopg's users must set; test_wire shows what happens without.
PSYCOPG_SETTINGS: dict[str, Any] = {"autocommit": True, "client_encoding": "utf8", "prepare_threshold": None}


@dataclass(frozen=True)
class Stage:
    """Puts parts and manifests into the bucket and writes the COPY that loads them."""

    server: S3Server

    def put(self, key: str, data: bytes) -> str:
        """Store bytes; their address."""
        self.server.client().put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"s3://{BUCKET}/{key}"

    def manifest(self, key: str, parts: Sequence[str], *, mandatory: bool = True) -> str:
        """Store a manifest of these keys; its address."""
        entries = [{"url": f"s3://{BUCKET}/{part}", "mandatory": mandatory} for part in parts]
        return self.put(key, json.dumps({"entries": entries}).encode())

    def copy(self, table: str, *parts: bytes, options: str = "ESCAPE EMPTYASNULL") -> str:
        """Store gzip parts and their manifest; the statement that loads them."""
        keys = [f"{table}/part-{number}.gz" for number, _ in enumerate(parts)]
        for key, part in zip(keys, parts, strict=True):
            self.put(key, gzip.compress(part, 1))
        return self.statement(table, self.manifest(f"{table}.manifest", keys), f"MANIFEST GZIP {options}")

    def statement(self, table: str, uri: str, options: str) -> str:
        """A COPY in the form the loader sends."""
        return f"COPY {table} FROM '{uri}' IAM_ROLE '{ROLE}' {options} DELIMITER '\t' COMPUPDATE OFF STATUPDATE OFF"


@pytest.fixture(scope="session")
def kept_database(postgres_server: str) -> Iterator[str]:
    """A database for all tests of this folder: making one costs more than most of them."""
    name = f"redgate_test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    yield urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def backend_dsn(kept_database: str) -> str:
    """That database, emptied."""
    with psycopg.connect(kept_database, autocommit=True) as direct:
        direct.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS medgen CASCADE")
    return kept_database


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One S3 for the session."""
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server) -> S3Server:
    """The S3 with one empty bucket and no faults."""
    s3_server.reset()
    s3_server.client().create_bucket(Bucket=BUCKET)
    return s3_server


@pytest.fixture
def stage(s3: S3Server) -> Stage:
    """The bucket, to be filled."""
    return Stage(s3)


@pytest.fixture
def gate(backend_dsn: str, s3: S3Server) -> Iterator[Gate]:
    """A gate in front of an empty database."""
    with Gate(backend_dsn, s3.client_settings, roles=[ROLE]) as running:
        yield running


@pytest.fixture
def connection(gate: Gate) -> Iterator[psycopg.Connection]:
    """A client with the settings that Redshift needs."""
    with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as client:
        yield client
