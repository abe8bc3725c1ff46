"""A Databricks for the loader's tests: one behind a DSN, a workspace or the gate, and what only the gate can show."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from databricks import sql
from databricks.sql.client import Connection

from medgen_pipeline.testing import Backend, Row
from medgen_pipeline_tests.dbxgate.gate import Gate


class DatabricksBackend(Backend):
    """A SQL warehouse, asked by the vendor's connector with a personal access token."""

    def query(self, statement: str) -> list[Row]:
        """See the base class."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    @contextmanager
    def _connection(self, **more: Any) -> Iterator[Connection]:
        address = urlsplit(self.dsn)
        options = {name: values[-1] for name, values in parse_qs(address.query).items()}
        given = {"catalog": options.get("catalog"), "_tls_trusted_ca_file": options.get("tls_ca_file")}
        with sql.connect(
            server_hostname=str(address.hostname),
            http_path=address.path,
            access_token=unquote(address.password or ""),
            _port=address.port or 443,
            enable_telemetry=False,
            **{name: value for name, value in {**given, **more}.items() if value is not None},
        ) as connection:
            yield connection

    def left_outside(self) -> list[str]:
        """Files in the loader's volume."""
        catalog = parse_qs(urlsplit(self.dsn).query).get("catalog", ["main"])[-1]
        volumes = "SELECT volume_schema, volume_name FROM information_schema.volumes"
        found = self.query(f"{volumes} WHERE volume_schema = '{self.schema}_staging'")
        folders = [f"/Volumes/{catalog}/{schema}/{name}/" for schema, name in found]
        return [str(row[0]) for folder in folders for row in self.query(f"LIST '{folder}'")]


class GatedDatabricks(DatabricksBackend):
    """The gate, with all that a workspace would not show.

    Attributes:
        gate: The warehouse.
    """

    def __init__(self, gate: Gate, schema: str = "medgen", config: Mapping[str, Any] | None = None) -> None:
        """Nothing is opened."""
        super().__init__(gate.dsn(), {"conflict_backoff_seconds": 0.01, **(config or {})}, schema)
        self.gate = gate

    def query(self, statement: str) -> list[Row]:
        """See the base class; past the connector, but through the rules."""
        return self.gate.query(statement)

    def lose_connections(self) -> None:
        """See the base class."""
        self.gate.cut()

    def left_outside(self) -> list[str]:
        """Files in any volume."""
        return self.gate.warehouse.volumes.files()
