"""A client of the vendor's, and short ways to use it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from databricks import sql
from databricks.sql.client import Connection

from medgen_pipeline_tests.dbxgate.backend import GatedDatabricks
from medgen_pipeline_tests.dbxgate.gate import Gate

MANAGED = "TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported')"


@contextmanager
def client(gate: Gate, **more: Any) -> Iterator[Connection]:
    """A connection that sends nothing twice."""
    with sql.connect(**gate.connect_arguments(**{"_enable_v3_retries": False, **more})) as connection:
        yield connection


def run(connection: Connection, text: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    """Run a statement; its rows."""
    with connection.cursor() as cursor:
        cursor.execute(text, list(parameters) if parameters else None)
        return [tuple(row) for row in cursor.fetchall()]


@pytest.fixture
def gate(databricks: GatedDatabricks) -> Gate:
    """An empty warehouse with a schema ``m`` and in it a table ``t``."""
    databricks.query("CREATE SCHEMA m")
    databricks.query(f"CREATE TABLE m.t (k STRING, n BIGINT NOT NULL) {MANAGED}")
    return databricks.gate


@pytest.fixture
def connection(gate: Gate) -> Iterator[Connection]:
    """A client of it."""
    with client(gate) as opened:
        yield opened
