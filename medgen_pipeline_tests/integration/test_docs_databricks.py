"""docs/databricks.md, taken at its word."""

import os
import re
import subprocess
import sys

import yaml

from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.loaders.databricks.config import DatabricksConfig
from medgen_pipeline.loaders.sql import schemas
from medgen_pipeline.orchestration.targets import DatabricksTarget
from medgen_pipeline.testing.loads import MERGED
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.instance import PROJECT

PAGE = Document("docs/databricks.md")
_SET = re.compile(r"export (\w+)='([^']+)'")


def test_a_loader_takes_the_dsn_and_the_run_config_of_the_page() -> None:
    variables = dict(_SET.findall("\n".join(PAGE.blocks("sh"))))
    assert set(variables) == {"MEDGEN_DSN", "MEDGEN_LIVE_DATABRICKS_DSN"}
    for dsn in variables.values():
        loader = LoaderFactory.create_loader(dsn, {})
        assert loader.table_uri(MERGED) == "databricks://host/main/medgen/merged"
    (text,) = PAGE.blocks("yaml")
    config = yaml.safe_load(text)["resources"]["medgen_warehouse"]["config"]["target"]["databricks"]
    assert config.pop("dsn") == {"env": "MEDGEN_DSN"}
    target = DatabricksTarget(dsn=variables["MEDGEN_DSN"], **config)
    assert DatabricksConfig.from_mapping(config) == DatabricksConfig()
    assert f"{DatabricksConfig().conflict_attempts} times in all by default" in PAGE.text
    assert target.loader().table_uri(MERGED).endswith("/medgen/merged")


def test_the_grants_are_for_the_schemas_of_the_loader() -> None:
    (statements,) = PAGE.blocks("sql")
    assert set(re.findall(r"ON SCHEMA main\.(\w+)", statements)) == set(schemas("medgen"))


def test_the_page_s_command_for_a_workspace_finds_the_suite() -> None:
    command = PAGE.blocks("sh")[-1].splitlines()[-1].split()
    assert command[:3] == [".venv/bin/python", "-m", "pytest"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEDGEN_LIVE_")}
    done = subprocess.run(
        [sys.executable, *command[1:], "-p", "no:cacheprovider"],
        cwd=PROJECT,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 skipped" in done.stdout
    assert "set MEDGEN_LIVE_DATABRICKS_DSN" in done.stdout
