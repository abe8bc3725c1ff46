"""Who may know whom: the contracts in pyproject.toml, which `make lint` checks, and what an import cannot show."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from medgen_pipeline.catalog import ALL_TABLES

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "medgen_pipeline"
CONTRACTS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

BREAKS = {
    "layers": ("catalog/query.py", "from medgen_pipeline.loading import gates"),
    "dagster": ("rows/diff.py", "import dagster"),
    "psycopg": ("loaders/sql/session.py", "import psycopg"),
    "backends": ("loaders/redshift/names.py", "from medgen_pipeline.loaders.postgres import names"),
    "arrow": ("loaders/sql/session.py", "import pyarrow"),
    "encoding": ("loading/gates.py", "from medgen_pipeline.rows import arrow"),
    "rows": ("loaders/records.py", "from medgen_pipeline.rows.framing import frame_lines"),
    "tables": ("loading/gates.py", "from medgen_pipeline.catalog.sources.medgen import TABLES"),
}


def test_each_contract_is_broken_by_the_import_that_it_forbids(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for place, statement in BREAKS.values():
        with (tmp_path / PACKAGE.name / place).open("a") as module:
            module.write(f"\n{statement}\n")
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert set(BREAKS) == {contract["id"] for contract in CONTRACTS}
    for contract in CONTRACTS:
        assert f"{contract['name']} BROKEN" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("package", ["rows", "loaders", "loading"])
def test_what_knows_tables_names_none_of_them(package: str) -> None:
    names = {table.name for table in ALL_TABLES}
    any_name = "|".join(names)
    for path in (PACKAGE / package).rglob("*.py"):
        for found in ast.walk(ast.parse(path.read_text())):
            if isinstance(found, ast.Constant) and isinstance(found.value, str):
                assert found.value not in names, f"{path.relative_to(PROJECT)}:{found.lineno}"
                assert not re.search(rf"\b(FROM|JOIN|INTO|TABLE) ({any_name})\b", found.value), path
