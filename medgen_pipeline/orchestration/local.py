"""Runs in this process, on the Dagster instance of this machine: the demo's, and back to an earlier release."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import yaml
from dagster._check import CheckError
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from yaml import YAMLError

from medgen_pipeline.catalog import any_table_by_name
from medgen_pipeline.errors import PermanentError, missing_extra
from medgen_pipeline.loading.findings import DRIFT_CHECK
from medgen_pipeline.orchestration import keys
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.engines import keep_engines
from medgen_pipeline.orchestration.failures import one_line, reason_of
from medgen_pipeline.orchestration.resources import MedgenSource, sources_of
from medgen_pipeline.settings import Settings

CODE_LOCATION = "medgen_pipeline"
"""What workspace.yaml calls ``definitions.py``."""
_ANSWER_SECONDS = 3  # of a PostgreSQL with the instance


class LocalRunError(PermanentError):
    """The instance cannot be used, or a run on it has failed."""


class TableLoad(NamedTuple):
    """What a run did to one table."""

    table: str
    rows: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    rejected: int
    seconds: float


@contextmanager
def open_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a DAGSTER_HOME, closed behind whoever used it.

    Raises:
        LocalRunError: Dagster cannot use it, or not any more.
    """
    if not home.is_dir():  # Dagster would make it
        raise LocalRunError(f"Dagster cannot use its DAGSTER_HOME: {home} is not a directory.")
    try:
        _require_answer(home)
        with _instance(home) as instance:
            keep_engines()
            yield instance
    except _storage_errors() as error:
        reason = getattr(error, "orig", None) or error  # without the statement and its background
        raise LocalRunError(f"Dagster cannot use its DAGSTER_HOME, {home}: {one_line(str(reason))}") from error


def _instance(home: Path) -> dg.DagsterInstance:
    try:
        return dg.DagsterInstance.from_config(str(home))
    except CheckError as error:  # what Dagster raises where dagster.yaml names a class that cannot be imported
        if "dagster_postgres" in str(error) and find_spec("dagster_postgres") is None:
            raise LocalRunError(missing_extra(f"{home}/dagster.yaml", "dagster-postgres", "deploy")) from error
        raise
    except dg.DagsterError as error:
        raise LocalRunError(f"Dagster cannot use its DAGSTER_HOME: {error}") from error


def _require_answer(home: Path) -> None:
    """Fail soon where the instance is in a PostgreSQL that is down: Dagster would try six times, however long each."""
    if find_spec("dagster_postgres") is None or not (home / "dagster.yaml").exists():
        return
    from dagster_postgres.utils import pg_url_from_config
    from sqlalchemy import NullPool, create_engine

    # What is wrong with the file itself, Dagster says best.
    with suppress(CheckError, KeyError, TypeError, AttributeError):
        config = yaml.safe_load((home / "dagster.yaml").read_text())["storage"]["postgres"]
        url = pg_url_from_config(_from_environment(config))
        engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": _ANSWER_SECONDS})
        engine.connect().close()


def _from_environment(config: Any) -> Any:
    """A part of dagster.yaml with the variables filled in that it names.

    Raises:
        KeyError: One of them is not set.
    """
    if not isinstance(config, dict):
        return config
    if config.keys() == {"env"}:
        value = dg.EnvVar(config["env"]).get_value()
        if value is None:
            raise KeyError(config["env"])
        return value
    return {name: _from_environment(value) for name, value in config.items()}


def _storage_errors() -> tuple[type[Exception], ...]:
    """What is raised where the instance's database or the file that names it is not as it should be."""
    from sqlalchemy.exc import SQLAlchemyError  # Dagster brings it

    if find_spec("dagster_postgres") is None:
        return (SQLAlchemyError, YAMLError)
    from dagster_postgres.utils import DagsterPostgresException

    return (SQLAlchemyError, YAMLError, DagsterPostgresException)


def last_heartbeat(instance: dg.DagsterInstance) -> float | None:
    """When a daemon of the instance last showed that it lives, in seconds since 1970."""
    return max((beat.timestamp for beat in instance.get_daemon_heartbeats().values()), default=None)


def refresh(source_url: str, settings: Settings, instance: dg.DagsterInstance) -> Iterator[TableLoad]:
    """Bring every table to the release at ``source_url``, which has the files of all sources; each load once done.

    Raises:
        LocalRunError: A table was not loaded; the message has a line for each.
        KeyboardInterrupt: The run was interrupted, and the load under way has ended cleanly.
    """
    resources = {
        keys.DEFAULT_NAMES.of_source(source).resource: MedgenSource(
            name=source.name, url=source_url, home=settings.home
        )
        for source in sources_of(settings)
    }
    return _run(settings, instance, resources, {})


def go_to(release: str, tables: Sequence[str], settings: Settings, instance: dg.DagsterInstance) -> Iterator[TableLoad]:
    """Bring tables to an earlier release or to ``newest``, and along what is made from them; each load once it is done.

    Raises:
        LocalRunError: A table was not loaded; the message has a line for each.
        KeyboardInterrupt: The run was interrupted, and the load under way has ended cleanly.
    """
    return _run(settings, instance, {}, dict.fromkeys(tables, release))


def _run(
    settings: Settings, instance: dg.DagsterInstance, resources: Mapping[str, Any], releases: Mapping[str, str]
) -> Iterator[TableLoad]:
    """A run of the code location, of all tables, or of those with a release here and what is downstream of them.

    It is that of *Materialize* in the UI, without the checks that read whole tables once more. It is executed here,
    table after table, since a process for each step would take most of the demo's time.
    """
    names = keys.DEFAULT_NAMES
    definitions = build_definitions(resources=resources, executor=dg.in_process_executor, settings=settings)
    chosen = {names.table_key(any_table_by_name(table)): release for table, release in releases.items()}
    job = definitions.resolve_implicit_global_asset_job_def()
    if chosen:
        below = dg.AssetSelection.assets(*chosen).downstream().materializable()
        job = job.get_subset(asset_selection=below.resolve(definitions.resolve_asset_graph()))
    job = _without_the_long_checks(job)
    # Dagster's public `execute_in_process` leaves the origin out, and then the UI's first page has no such run.
    location = RegisteredCodeLocationOrigin(CODE_LOCATION)
    run = instance.create_run_for_job(
        job,
        run_config={
            # The run's whole log is in the UI; here it would bury the metrics.
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": {keys.step_name(key): {"config": {"release": release}} for key, release in chosen.items()},
        },
        tags=job.run_tags,
        asset_selection=job.asset_selection,
        remote_job_origin=RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME).get_job_origin(job.name),
    )
    failures: list[str] = []
    ended: JobFailureData | None = None
    for event in execute_run_iterator(InMemoryJob(job), run, instance):
        if event.is_step_materialization:
            made = event.step_materialization_data.materialization
            if keys.INSERTED in made.metadata:  # an export has none
                yield _load(made)
        elif event.is_step_failure:
            failures.append(f"{event.step_key}: {reason_of(event.step_failure_data)}")
        elif event.event_type is dg.DagsterEventType.RUN_FAILURE:
            ended = event.job_failure_data
    if ended is not None:
        if ended.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION:
            raise KeyboardInterrupt
        raise LocalRunError("\n".join(failures) or one_line(ended.error.message if ended.error else ""))


def _without_the_long_checks(job: dg.JobDefinition) -> dg.JobDefinition:
    checks = {check for check in job.asset_layer.asset_graph.asset_check_keys if check.name != DRIFT_CHECK}
    return job.get_subset(asset_selection=job.asset_layer.selected_asset_keys, asset_check_selection=checks)


def _load(made: dg.AssetMaterialization) -> TableLoad:
    numbers: dict[str, Any] = {key: value.value for key, value in made.metadata.items()}
    return TableLoad(
        keys.table_name(made.asset_key),
        rows=numbers[keys.ROW_COUNT],
        inserted=numbers[keys.INSERTED],
        updated=numbers[keys.UPDATED],
        deleted=numbers[keys.DELETED],
        unchanged=numbers[keys.UNCHANGED],
        rejected=numbers[keys.REJECTED_ROWS],
        seconds=numbers[keys.LOAD_SECONDS],
    )
