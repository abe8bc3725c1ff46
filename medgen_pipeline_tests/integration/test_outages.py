"""A source or a warehouse that is not there: found once by a run, and not by each of its steps."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import dagster as dg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.catalog.sources.medgen import MEDGEN
from medgen_pipeline.orchestration import executor
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.hooks import FailureNotifier, LoadFailure
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.rows.published import content_of
from medgen_pipeline_tests.instance import reachable_by_tcp
from medgen_pipeline_tests.integration.support import publish
from medgen_pipeline_tests.webserver import free_port

NAMES, MERGED = table_by_name("names"), table_by_name("merged")
DEAD = "127.0.0.1:1"
_told: list[LoadFailure] = []


class Told(FailureNotifier):
    def notify(self, failure: LoadFailure) -> None:
        _told.append(failure)


def definitions(executor: dg.ExecutorDefinition | None = None) -> dg.Definitions:
    tables = [NAMES.name, MERGED.name, "mgrel"]
    resources = {DEFAULT_NAMES.notifier: Told()}
    return build_definitions(resources=resources, tables=tables, curated=False, executor=executor)


def refresh() -> dg.JobDefinition:
    return definitions(dg.in_process_executor).resolve_job_def(DEFAULT_NAMES.of_source(MEDGEN).job)


def check() -> dg.JobDefinition:
    return definitions().resolve_job_def(DEFAULT_NAMES.check_job)


@pytest.fixture
def release(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release of two tables, which runs load into ``database``; and hardly any waiting."""
    folder = tmp_path / "2026-01-07"
    publish(folder, NAMES, content_of(NAMES, [[b"C1", b"a name", b"GTR", b"N"]]))
    publish(folder, MERGED, content_of(MERGED, [[b"C100", b"C1"]]))
    monkeypatch.setenv("MEDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEDGEN_DSN", database)
    monkeypatch.setenv("MEDGEN_SOURCE_URL", folder.as_uri())
    monkeypatch.setattr(executor, "WAITS", (0.01, 0.02, 0.03))
    _told.clear()
    return folder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(
    instance: dg.DagsterInstance, job: Callable[[], dg.JobDefinition] = refresh, *tables: str
) -> tuple[bool, list[dg.EventLogEntry]]:
    """Execute a job through its executor, as the daemon and the command line do."""
    selection = [dg.AssetKey(["medgen", name]) for name in tables] or None
    with dg.execute_job(dg.reconstructable(job), instance, asset_selection=selection) as result:
        return result.success, list(instance.all_logs(result.run_id))


def warnings_of(entries: list[dg.EventLogEntry]) -> list[str]:
    return [entry.user_message for entry in entries if entry.level == 30]


def failures_of(entries: list[dg.EventLogEntry]) -> list[str]:
    return [
        entry.dagster_event.job_failure_data.error.message
        for entry in entries
        if entry.dagster_event
        and entry.dagster_event.event_type is dg.DagsterEventType.RUN_FAILURE
        and entry.dagster_event.job_failure_data.error
    ]


def steps_of(entries: list[dg.EventLogEntry]) -> list[str]:
    return [
        str(entry.dagster_event.step_key)
        for entry in entries
        if entry.dagster_event and entry.dagster_event.event_type is dg.DagsterEventType.STEP_START
    ]


@pytest.mark.usefixtures("release")
@pytest.mark.parametrize(
    ("variable", "value", "job"),
    [
        ("MEDGEN_SOURCE_URL", f"http://reader:hidden@{DEAD}/medgen/", refresh),
        ("MEDGEN_DSN", f"postgresql://reader:hidden@{DEAD}/base", refresh),
        ("MEDGEN_DSN", f"postgresql://reader:hidden@{DEAD}/base", check),
    ],
    ids=["source", "warehouse", "checks"],
)
def test_a_run_of_everything_finds_an_outage_once_and_starts_no_step(
    variable: str,
    value: str,
    job: Callable[[], dg.JobDefinition],
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    success, entries = run(instance, job)
    assert (success, steps_of(entries)) == (False, [])
    tries = warnings_of(entries)
    assert [line.partition(":")[0] for line in tries] == [
        f"Try {number} of 4 to reach what the run needs failed" for number in (1, 2, 3)
    ]
    assert all(DEAD in line and re.search(r"The next begins at \d\d:\d\d:\d\d UTC\.$", line) for line in tries)
    (failure,) = failures_of(entries)
    assert DEAD in failure
    assert "hidden" not in " ".join(map(str, entries))
    if job is refresh:
        (told,) = _told
        assert DEAD in told.cause


def test_what_no_waiting_can_help_is_not_waited_for(
    release: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDGEN_SOURCE_URL", (release / "nowhere").as_uri())
    success, entries = run(instance)
    assert (success, steps_of(entries), warnings_of(entries)) == (False, [], [])
    assert "there is no directory" in failures_of(entries)[0]
    (failed,) = instance.get_runs()
    assert failed.tags["dagster/max_retries"] == "0"  # nor by Dagster's retries of whole runs


@pytest.mark.usefixtures("release")
def test_a_source_without_some_of_the_files_is_there(instance: dg.DagsterInstance) -> None:
    success, entries = run(instance, refresh, "mgrel", "merged")
    assert not success
    assert sorted(steps_of(entries))[-2:] == ["medgen__merged", "medgen__mgrel"]


def test_a_short_outage_is_waited_for(
    release: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = HTTPServer(port=free_port())
    content = (release / MERGED.file_name).read_bytes()
    late.expect_request(f"/{MERGED.file_name}").respond_with_data(content)
    monkeypatch.setenv("MEDGEN_SOURCE_URL", f"http://127.0.0.1:{late.port}/")
    monkeypatch.setattr(
        "medgen_pipeline.orchestration.executor.time.sleep", lambda _: None if late.is_running() else late.start()
    )
    try:
        success, entries = run(instance, refresh, "merged")
    finally:
        late.stop()
    assert (success, len(warnings_of(entries))) == (True, 1)


def test_a_warehouse_that_goes_away_under_a_run_ends_it_at_the_first_step_that_misses_it(
    database: str, release: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    parts = conninfo_to_dict(database)
    with ExitStack() as warehouse:
        port = warehouse.enter_context(reachable_by_tcp(database))
        monkeypatch.setenv("MEDGEN_DSN", f"postgresql://{parts['user']}@127.0.0.1:{port}/{parts['dbname']}")

        def fetched(request: Request) -> Response:
            if request.method == "GET":
                warehouse.close()
            return Response((release / request.path[1:]).read_bytes())

        for table in (NAMES, MERGED):
            httpserver.expect_request(f"/{table.file_name}").respond_with_handler(fetched)
        monkeypatch.setenv("MEDGEN_SOURCE_URL", httpserver.url_for("/"))
        success, entries = run(instance, refresh, "names", "merged")
    assert (success, len(steps_of(entries)), len(failures_of(entries))) == (False, 1, 1)
    assert len(warnings_of(entries)) == 3


def test_a_try_of_a_step_that_failed_is_a_warning_with_its_number_and_the_time_of_the_next(
    release: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    monkeypatch.setattr(
        "medgen_pipeline.orchestration.assets.tables.RETRIES", dg.RetryPolicy(max_retries=2, delay=0.01)
    )
    seconds = count()

    def replaced_each_time(request: Request) -> Response:
        content = (release / request.path[1:]).read_bytes()
        return Response(content, headers={"Last-Modified": f"Wed, 07 Jan 2026 06:{next(seconds):02}:00 GMT"})

    httpserver.expect_request(f"/{MERGED.file_name}").respond_with_handler(replaced_each_time)
    monkeypatch.setenv("MEDGEN_SOURCE_URL", httpserver.url_for("/"))
    success, entries = run(instance, refresh, "merged")
    assert not success
    first, second = warnings_of(entries)
    for number, line in enumerate((first, second), 1):
        assert line.startswith(f"Try {number} of 3 of medgen__merged failed: ")
        assert "was replaced during each of 3 downloads" in line
        assert re.search(r"The next begins at \d\d:\d\d:\d\d UTC\.$", line)
