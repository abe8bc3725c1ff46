"""A DuckDB file as the conformance suite's warehouse."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

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


@contextmanager
def kept_open() -> Iterator[None]:
    """Keep the first file open that somebody opens: opening one takes as long as a small load."""
    connect, kept = duckdb.connect, ExitStack()

    def connect_and_keep(path: Path | str = ":memory:", **more: Any) -> duckdb.DuckDBPyConnection:
        opened = connect(path, **more)
        if path != ":memory:":
            duckdb.connect = connect
            kept.enter_context(connect(path, **more))
        return opened

    with kept, pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", connect_and_keep)
        yield
