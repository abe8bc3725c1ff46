"""docs/duckdb.md, taken at its word. That the file has all tables, and who reads them alike: test_backends.py."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.orchestration.targets import DuckDBTarget
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.integration.conftest import Installation

PAGE = Document("docs/duckdb.md")
FILE = "medgen.duckdb"


@pytest.fixture(scope="module")
def folder(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder, after the commands of the page, for `concept` and what it is made from."""
    folder, release = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("release")
    write_sample(release, scale=0.2)
    installation = Installation(folder, {"PATH": f"{commands}:/usr/bin:/bin", "HOME": str(folder)})
    command = PAGE.blocks("sh")[0].replace("'*'", "'+key:\"medgen/concept\"'")
    done = installation.shell(command, MEDGEN_SOURCE_URL=release.as_uri())
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_code_of_the_page_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found: dict[str, Any] = {}
    exec(PAGE.blocks("python")[0], found)  # noqa: S102  # the page's
    assert len(found["rows"]) == len(found["in_polars"]) == len(found["in_pandas"]) > 100
    assert isinstance(found["in_polars"], pl.DataFrame)
    assert found["gone"] == []  # there is one release


def test_the_run_config_of_the_page_is_a_target() -> None:
    config = yaml.safe_load(PAGE.blocks("yaml")[0])["resources"]["medgen_warehouse"]["config"]["target"]["duckdb"]
    assert DuckDBTarget(**{**config, "dsn": "duckdb:///f"}).memory_limit == config["memory_limit"]
