"""A password in a malformed URL is nowhere in what a run leaves behind: output, logs, events, GraphQL, a sensor's tick.

That it is in no error is for ``unit/test_urls.py`` to say, with every kind of fault.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql.schema import create_schema

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.catalog.sources.medgen import TABLES
from medgen_pipeline.cli import main
from medgen_pipeline.errors import PermanentError
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.release_sensor.sensor import follow_source
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.rows.published import header_of
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.integration.support import publish

NAMES = table_by_name("names")
FAULTS = ["{}://u:s3cret@s3cret#1@host/db", "{}://u:s3cret/s3cret@host/db", "{}://u:s3cret%zz@host/db"]
EVENTS = """{ runsOrError { ... on Runs { results { runConfigYaml tags { key value } eventConnection { events {
    ... on MessageEvent { message }
    ... on ExecutionStepFailureEvent { error { message stack errorChain { error { message stack } } } }
    ... on RunFailureEvent { error { message stack } }
} } } } } }"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """What a run needs besides the URL in question."""
    publish(tmp_path / "release", NAMES, header_of(NAMES) + b"C0000001|name|HPO|N|\n")
    found = {
        "MEDGEN_HOME": str(tmp_path / "home"),
        "MEDGEN_DSN": "postgresql://nobody@127.0.0.1:1/none",
        "MEDGEN_SOURCE_URL": (tmp_path / "release").as_uri(),
        "MEDGEN_S3_BUCKET": "bucket",
        "MEDGEN_AWS_REGION": "us-east-1",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.mark.parametrize(
    ("variable", "schemes"),
    [
        ("MEDGEN_DSN", ["postgresql", "redshift", "mysql"]),
        ("MEDGEN_SOURCE_URL", ["https", "file", "s3"]),
        ("MEDGEN_ARCHIVE_URL", ["s3"] * 3),
    ],
)
def test_a_password_in_a_malformed_url_is_left_nowhere(
    variable: str,
    schemes: list[str],
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    instance_home = tmp_path / "instance"
    instance_home.mkdir()
    said: list[str] = []
    runs = 0
    with dg.DagsterInstance.local_temp(str(instance_home)) as instance:
        for url in [fault.format(scheme) for scheme, fault in zip(schemes, FAULTS, strict=True)]:
            monkeypatch.setenv(variable, url)
            definitions = build_definitions(tables=["names"], curated=False, environment=settings | {variable: url})
            job = definitions.resolve_job_def("refresh_medgen")
            names = [dg.AssetKey(["medgen", "names"])]
            run = job.execute_in_process(instance=instance, asset_selection=names, raise_on_error=False)
            assert not run.success
            runs += 1
            said.append(CliRunner().invoke(main, ["changes", "names", "2026-01-07"]).output)
        if variable != "MEDGEN_DSN":
            context = dg.build_sensor_context(instance=instance, definitions=definitions)
            source = MedgenSource.of(Settings.read(settings | {variable: url})).process_config_and_initialize()
            with pytest.raises(PermanentError) as tick:
                follow_source(context, source, datetime.now(UTC), TABLES, DEFAULT_NAMES)
            said.append(str(tick.value))
        with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as workspace:
            shown = create_schema().execute(EVENTS, context_value=workspace.create_request_context())
        assert shown.errors is None
        assert len(re.findall("not a valid connection URI|Unsupported database scheme", str(shown.data))) >= runs
        said.append(str(shown.data))
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 3
    said.extend(capfd.readouterr())
    assert "s3cret" not in "".join(said)
    assert not any(b"s3cret" in data for data in written)
