"""dagster.yaml.example, taken at its word: a real PostgreSQL holds the instance, a real S3 the steps' output."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from medgen_pipeline.cli.instance import INSTANCE_YAML
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline_tests.instance import EXAMPLE, PROJECT, Account, account, reachable_by_tcp, write_instance
from medgen_pipeline_tests.redgate.s3server import S3Server

BUCKET = "logs-of-dagster"


@pytest.fixture
def storage(postgres_server: str) -> Iterator[Account]:
    with reachable_by_tcp(postgres_server) as port, account(postgres_server, port, "dagster") as made:
        yield made


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        server.client().create_bucket(Bucket=BUCKET)
        yield server


def with_logs_in_s3() -> str:
    """The example with its commented block in place of the one above it."""
    text = re.sub(r"^compute_logs:\n(  .*\n)+", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    block = text[text.index("#compute_logs:") : text.index("\ntelemetry:")]
    return text.replace(block, "".join(line.removeprefix("#") for line in block.splitlines(keepends=True)))


def variables(storage: Account, s3: S3Server) -> dict[str, str]:
    return {
        **storage.dagster_variables,
        "DAGSTER_LOG_BUCKET": BUCKET,
        "MEDGEN_AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }


def test_a_run_on_the_example_s_instance_is_kept_in_postgresql_and_its_output_in_s3(
    commands: Path, storage: Account, s3: S3Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = write_instance(tmp_path / "dagster", storage.port, with_logs_in_s3())
    write_sample(tmp_path / "2026-01-07", scale=0.05)
    settings = {
        **variables(storage, s3),
        "DAGSTER_HOME": str(home),
        "MEDGEN_HOME": str(tmp_path / "home"),
        "MEDGEN_SOURCE_URL": (tmp_path / "2026-01-07").as_uri(),
        "MEDGEN_DSN": database,
    }
    done = subprocess.run(
        [
            *(commands / "dagster", "asset", "materialize"),
            *("-m", "medgen_pipeline.definitions", "--select", 'key:"medgen/names"'),
        ],
        env=os.environ | settings,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_run_records()
        assert run.dagster_run.status is dg.DagsterRunStatus.SUCCESS
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
        assert type(instance.schedule_storage).__name__ == "PostgresScheduleStorage"
        assert instance.get_latest_materialization_event(dg.AssetKey(["medgen", "names"]))
        pool = instance.event_log_storage.get_concurrency_info("medgen_warehouse")
        assert (pool.slot_count, pool.active_slot_count) == (2, 0)
    kept = s3.keys(BUCKET)
    assert {key.rsplit(".", 1)[1] for key in kept} == {"out", "err"}
    assert all(key.startswith(f"dagster-logs/storage/{run.dagster_run.run_id}/") for key in kept)


def test_the_settings_of_the_example_are_those_in_force(
    storage: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in storage.dagster_variables.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(write_instance(tmp_path / "dagster", storage.port))) as instance:
        settings = instance.get_concurrency_config()
        assert settings.pool_config.default_pool_limit == 2
        assert settings.run_queue_config is not None
        assert settings.run_queue_config.max_concurrent_runs == 4
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 60
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.managed_python_loggers == ["medgen_pipeline"]
        assert storage.password not in str(instance.get_settings("storage"))


def test_a_home_that_medgen_makes_agrees_with_the_example() -> None:
    example: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    for name, value in yaml.safe_load(INSTANCE_YAML).items():
        assert example[name] == value
