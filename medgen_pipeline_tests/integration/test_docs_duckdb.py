"""docs/duckdb.md, taken at its word. That the file has all tables, and who reads them alike: test_backends.py."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.targets import DuckDBTarget
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.integration.conftest import Installation
from medgen_pipeline_tests.loaders.duckdb_backend import kept_open

PAGE = Document("docs/duckdb.md")
FILE = "medgen.duckdb"


def test_the_code_of_the_page_reads_what_its_command_has_loaded_and_what_is_made_of_it(
    commands: Path, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = tmp_path / "2026-01-07"
    write_sample(release, scale=0.2)
    monkeypatch.setenv("MEDGEN_SOURCE_URL", release.as_uri())
    installation = Installation(tmp_path, {"PATH": f"{commands}:/usr/bin:/bin", "HOME": str(tmp_path)})
    command = PAGE.blocks("sh")[0].replace("'*'", "'key:\"medgen/names\"'")
    done = installation.shell(command, MEDGEN_SOURCE_URL=release.as_uri())
    assert done.returncode == 0, done.stderr[-3000:]
    # The rest of what `concept` is made from, in this process: the command has one for each table.
    monkeypatch.setenv("MEDGEN_DSN", f"duckdb:///{tmp_path}/{FILE}")
    monkeypatch.setenv("MEDGEN_HOME", str(tmp_path / ".medgen"))
    concept = dg.AssetSelection.assets(["medgen", "concept"]).upstream().materializable()
    definitions = build_definitions()
    job = definitions.resolve_implicit_global_asset_job_def()
    rest = concept.resolve(definitions.resolve_asset_graph()) - {dg.AssetKey(["medgen", "names"])}
    with kept_open():
        assert (
            job.get_subset(asset_selection=rest, asset_check_selection=set())
            .execute_in_process(instance=instance)
            .success
        )
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(PAGE.blocks("python")[0], found)  # noqa: S102  # the page's
    assert len(found["rows"]) == len(found["in_polars"]) == len(found["in_pandas"]) > 100
    assert isinstance(found["in_polars"], pl.DataFrame)
    assert found["gone"] == []  # there is one release


def test_the_run_config_of_the_page_is_a_target() -> None:
    config = yaml.safe_load(PAGE.blocks("yaml")[0])["resources"]["medgen_warehouse"]["config"]["target"]["duckdb"]
    assert DuckDBTarget(**{**config, "dsn": "duckdb:///f"}).memory_limit == config["memory_limit"]
