"""SQLite keeps the contract."""

import subprocess
import sys
from pathlib import Path

import pytest
from medgen_pipeline_sqlite.testing import SqliteFolder

from medgen_pipeline.testing import LoaderConformance


class TestSqlite(LoaderConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> SqliteFolder:
        return SqliteFolder(f"sqlite://{tmp_path}")


def test_no_driver_of_another_warehouse_is_needed(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from medgen_pipeline.loaders import LoaderFactory\n"
        "from medgen_pipeline.testing.loads import A, B, CHANGED_B, NAMES, RELEASES, load\n"
        "for release, rows in zip(RELEASES, ([A, B], [A, CHANGED_B])):\n"
        "    print(load(LoaderFactory.create_loader(sys.argv[1], {}), NAMES, rows, release).changed)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"sqlite://{tmp_path}"], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["2", "1"], done.stderr
