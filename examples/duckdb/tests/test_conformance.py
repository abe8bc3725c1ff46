"""DuckDB keeps the contract."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.testing import Backend, LoaderConformance, Row


class DuckDBFile(Backend):
    """A database file that does not exist yet."""

    no_connections = "DuckDB runs in the loader's process: there is no connection to lose"

    @property
    def path(self) -> str:
        return self.dsn.removeprefix("duckdb://")

    def query(self, statement: str) -> list[Row]:
        with duckdb.connect(self.path) as connection:
            return connection.execute(statement).fetchall()

    def left_outside(self) -> list[str]:
        return [file.name for file in Path(f"{self.path}.loads").glob("*.tsv")]


class TestDuckDB(LoaderConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> DuckDBFile:
        return DuckDBFile(f"duckdb://{tmp_path}/warehouse.duckdb")


def test_no_driver_of_another_warehouse_is_needed(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from medgen_pipeline.loaders import LoaderFactory\n"
        "from medgen_pipeline.testing.loads import A, B, CHANGED_B, NAMES, RELEASES, load\n"
        "for release, rows in zip(RELEASES, ([A, B], [A, CHANGED_B])):\n"
        "    print(load(LoaderFactory.create_loader(sys.argv[1], {}), NAMES, rows, release).changed)\n"
    )
    dsn = f"duckdb://{tmp_path}/warehouse.duckdb"
    done = subprocess.run([sys.executable, "-c", script, dsn], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2", "1"], done.stderr


def test_a_schema_that_no_file_can_be_named_after_is_refused() -> None:
    with pytest.raises(ValueError, match="has a / in it"):
        LoaderFactory.create_loader("duckdb:///data/warehouse.duckdb", {"schema": "../medgen"})


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("duckdb:///folder/s3cret#1@host", "Percent-encode the password"),
        ("duckdb:///", "names no file"),
        ("duckdb://relative.duckdb", "names no file"),
        ("duckdb:///data/medgen.duckdb", "would be the catalog medgen"),
        ("duckdb:///data/medgen_audit.db", "would be the catalog medgen_audit"),
    ],
)
def test_a_dsn_that_cannot_work_is_refused(dsn: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LoaderFactory.create_loader(dsn, {"schema": "medgen"})
