"""Who is told when an asset is not made, and what."""

import logging
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pytest

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.catalog.sources.medgen import TABLES
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.hooks import FailureNotifier, LoadFailure, build_failure_hook
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.release import UnavailableSourceError
from medgen_pipeline.rows.published import content_of
from medgen_pipeline_tests.integration.support import Deployment, publish

NAMES, MERGED = table_by_name("names"), table_by_name("merged")
ROWS = [(b"C%07d" % number, b"one", b"GTR", b"N") for number in range(10)]

_told: list[LoadFailure] = []


class Told(FailureNotifier):
    """Remembers what it was told, and fails where it should."""

    works: bool = True

    def notify(self, failure: LoadFailure) -> None:
        _told.append(failure)
        if not self.works:
            raise RuntimeError("the mail server is down")


@pytest.fixture
def deployment(database: str, tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    _told.clear()
    instance.wipe()
    return Deployment(database, tmp_path / "home", instance)


def materialize(
    deployment: Deployment,
    source: Path,
    *,
    works: bool = True,
    enabled: bool = True,
    more: dg.Definitions | None = None,
    **tags: str,
) -> dg.ExecuteInProcessResult:
    """Materialize both tables by no job of ours, as the UI does, with a notifier that remembers."""
    definitions = build_definitions(
        resources={
            DEFAULT_NAMES.source: MedgenSource(url=source.as_uri(), home=str(deployment.home)),
            DEFAULT_NAMES.warehouse: WarehouseIOManager(target=DatabaseTarget(dsn=deployment.dsn)),
            DEFAULT_NAMES.notifier: Told(works=works, enabled=enabled),
        },
        tables=[NAMES.name, MERGED.name],
        curated=False,
    )
    if more:
        definitions = dg.Definitions.merge(definitions, more)
    job = definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey(["medgen", table.name]) for table in (NAMES, MERGED)}, asset_check_selection=set()
    )
    return job.execute_in_process(
        instance=deployment.instance,
        tags={name.replace("_", "/"): value for name, value in tags.items()},
        run_config={"loggers": {"ours": {}}} if more else None,
        raise_on_error=False,
    )


@pytest.fixture
def release(deployment: Deployment, tmp_path: Path) -> Path:
    """Loaded once; the release after it has hardly any names."""
    publish(tmp_path / "2026-01-07", NAMES, content_of(NAMES, ROWS))
    publish(tmp_path / "2026-01-07", MERGED, content_of(MERGED, [(b"C1", b"C2")]))
    assert materialize(deployment, tmp_path / "2026-01-07").success
    publish(tmp_path / "2026-01-14", NAMES, content_of(NAMES, ROWS[:1]))
    publish(tmp_path / "2026-01-14", MERGED, content_of(MERGED, [(b"C1", b"C3")]))
    return tmp_path / "2026-01-14"


def test_a_success_is_told_to_nobody(release: Path) -> None:
    assert release.exists()
    assert _told == []


def test_a_failure_names_asset_release_run_cause_and_what_to_do(deployment: Deployment, release: Path) -> None:
    result = materialize(deployment, release)
    (failure,) = _told
    assert (failure.asset, failure.release, failure.run_id) == ("medgen/names", "2026-01-14", result.run_id)
    assert failure.job == "__ASSET_JOB"
    assert failure.cause.startswith("names was not published, production is as it was.")
    assert "\n" not in failure.cause
    assert "materialize again with the run config in the error" in failure.next_action


def test_the_failure_is_a_line_of_the_run_s_log(deployment: Deployment, release: Path) -> None:
    result = materialize(deployment, release)
    said = [
        entry.user_message
        for entry in deployment.instance.all_logs(result.run_id)
        if entry.level == logging.ERROR and not entry.dagster_event
    ]
    assert said == [str(_told[0])]
    assert said[0].startswith("medgen/names was not made. Release: 2026-01-14. Run: ")


class _Kept(logging.Handler):
    """What a formatter for machines would see."""

    def emit(self, record: logging.LogRecord) -> None:
        if failure := getattr(record, "medgen_failure", None):
            _records.append(failure)


_records: list[dict[str, str]] = []


@dg.logger
def machine_readable(_: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("machine readable")
    logger.addHandler(_Kept())
    return logger


def test_a_logger_of_dagster_gets_the_failure_field_by_field(deployment: Deployment, release: Path) -> None:
    more = dg.Definitions(loggers={"ours": machine_readable})
    result = materialize(deployment, release, more=more)
    (record,) = _records
    assert record == asdict(_told[0])
    assert record["run_id"] == result.run_id


def test_the_release_is_the_one_the_sensor_asked_for(deployment: Deployment, release: Path) -> None:
    materialize(deployment, release, medgen_release="2026-01-15")
    assert _told[0].release == "2026-01-15"


def test_a_file_that_could_not_be_fetched_has_no_release(deployment: Deployment, release: Path) -> None:
    publish(release, NAMES, b"").write_bytes(b"<html></html>")
    (release / MERGED.file_name).unlink()
    materialize(deployment, release)
    assert {failure.asset: failure.release for failure in _told} == {
        "medgen/names": "not known, its file was not fetched",
        "medgen/merged": "not known, its file was not fetched",
    }
    assert {failure.next_action for failure in _told} == {"correct what the error names, then materialize again."}


def test_a_notifier_that_fails_changes_nothing_for_the_run(deployment: Deployment, release: Path) -> None:
    result = materialize(deployment, release, works=False)
    assert [event.step_key for event in result.get_step_failure_events()] == ["medgen__names"]
    assert [made.asset_key.path[-1] for made in result.asset_materializations_for_node("medgen__merged")] == ["merged"]
    events = deployment.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.HOOK_ERRORED)
    assert "the mail server is down" in repr(events)


def test_a_transient_error_is_left_to_the_sensor(deployment: Deployment) -> None:
    @dg.asset(hooks={build_failure_hook(TABLES, DEFAULT_NAMES)})
    def of_names() -> None:
        raise UnavailableSourceError("https://ncbi.test/NAMES.RRF.gz: cannot be reached")

    resources = {DEFAULT_NAMES.notifier: Told(), DEFAULT_NAMES.source: MedgenSource(home=str(deployment.home))}
    dg.materialize([of_names], instance=deployment.instance, resources=resources, raise_on_error=False)
    (failure,) = _told
    assert failure.asset == "of_names"
    assert failure.release == "not known"
    assert failure.cause == "UnavailableSourceError: https://ncbi.test/NAMES.RRF.gz: cannot be reached"
    assert failure.next_action.startswith("nothing if the sensor is on: it requests another run.")


@pytest.mark.parametrize("permanent", [True, False], ids=["permanent", "transient"])
def test_dagster_s_run_retries_run_again_what_may_succeed_and_nothing_else(
    permanent: bool, deployment: Deployment, release: Path
) -> None:
    """The release closes a gate of names; or the warehouse cannot be reached."""
    with dg.instance_for_test(overrides={"run_retries": {"enabled": True, "max_retries": 1}}) as instance:
        deployment.instance = instance
        if permanent:
            run_id = materialize(deployment, release).run_id
        else:

            @dg.asset(hooks={build_failure_hook(TABLES, DEFAULT_NAMES)})
            def of_names() -> None:
                raise UnavailableSourceError("https://ncbi.test/NAMES.RRF.gz: cannot be reached")

            resources = {DEFAULT_NAMES.notifier: Told(), DEFAULT_NAMES.source: MedgenSource(home=str(deployment.home))}
            run_id = dg.materialize([of_names], instance=instance, resources=resources, raise_on_error=False).run_id
        run = instance.get_run_by_id(run_id)
        assert run is not None
        # Dagster's own verdict, which the daemon follows.
        assert run.tags["dagster/will_retry"] == ("false" if permanent else "true")


def test_every_asset_of_ours_has_the_hook() -> None:
    definitions = build_definitions(environment={})
    for key in definitions.resolve_asset_graph().materializable_asset_keys:
        assert [hook.name for hook in definitions.resolve_assets_def(key).hook_defs] == ["tell_of_failure"], key


def test_a_notifier_that_is_not_enabled_is_told_nothing(deployment: Deployment, release: Path) -> None:
    result = materialize(deployment, release, enabled=False)
    assert [event.step_key for event in result.get_step_failure_events()] == ["medgen__names"]
    assert deployment.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.HOOK_ERRORED) == []
    assert _told == []
