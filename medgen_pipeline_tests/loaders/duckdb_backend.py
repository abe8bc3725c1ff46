"""A DuckDB file as the conformance suite's warehouse."""

from pathlib import Path

import duckdb

from medgen_pipeline.testing import Backend, Row

MAIN = "main"


class DuckDBFile(Backend):
    """A file that does not exist yet, named as the schema is, so that the tables are in the file's own."""

    no_connections = "DuckDB runs in the loader's process: there is no connection to lose"

    @classmethod
    def of(cls, folder: Path) -> "DuckDBFile":
        return cls(f"duckdb:///{folder}/medgen.duckdb")

    def place(self, part: str = "") -> str:
        return super().place(part) if part or self.schema != "medgen" else MAIN

    def query(self, statement: str) -> list[Row]:
        with duckdb.connect(self.dsn.removeprefix("duckdb:///")) as connection:
            return connection.execute(statement).fetchall()

    def schemas(self) -> set[str]:
        return super().schemas() - {MAIN}

    def create_schema(self, name: str) -> None:
        if name != MAIN:
            super().create_schema(name)
