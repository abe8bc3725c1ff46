"""A Databricks for the loader's tests: one behind a DSN, a workspace or the gate, and what only the gate can show."""

from medgen_pipeline.loaders.databricks.connect import Connector, read_dsn
from medgen_pipeline.testing import Backend, Row
from medgen_pipeline_tests.dbxgate.gate import Gate


class DatabricksBackend(Backend):
    """A SQL warehouse, asked by the vendor's connector."""

    def query(self, statement: str) -> list[Row]:
        """See the base class."""
        with Connector(self.dsn).open("test") as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def left_outside(self) -> list[str]:
        """Files in the loader's volume."""
        catalog = read_dsn(self.dsn).catalog
        volumes = "SELECT volume_schema, volume_name FROM information_schema.volumes"
        found = self.query(f"{volumes} WHERE volume_schema = '{self.schema}_staging'")
        folders = [f"/Volumes/{catalog}/{schema}/{name}/" for schema, name in found]
        return [str(row[0]) for folder in folders for row in self.query(f"LIST '{folder}'")]


class GatedDatabricks(DatabricksBackend):
    """The gate, with all that a workspace would not show.

    Attributes:
        gate: The warehouse.
    """

    def __init__(self, gate: Gate) -> None:
        """Nothing is opened."""
        super().__init__(gate.dsn(), {"conflict_backoff_seconds": 0.05}, "medgen")
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
