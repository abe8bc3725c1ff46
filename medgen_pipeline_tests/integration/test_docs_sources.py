"""docs/schedule.md and docs/sources.md, taken at their word: commands, cursor, code, metrics and every fault."""

import inspect
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest
from pytest_httpserver import HTTPServer

from medgen_pipeline import catalog
from medgen_pipeline.catalog.sources.medgen import MEDGEN
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.orchestration.hooks import LoadFailure
from medgen_pipeline.orchestration.release_sensor.cursor import Cursor
from medgen_pipeline.orchestration.release_sensor.decision import RETRY_AFTER
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.release import RELEASE_WINDOW, TransferOptions
from medgen_pipeline.release.fetch import TRANSPORTS
from medgen_pipeline.release.verify import MAX_CONTENT_BYTES
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.integration import test_fetch, test_sensor
from medgen_pipeline_tests.integration.conftest import PROJECT, Installation
from medgen_pipeline_tests.unit import test_archive

SCHEDULE, SOURCES = ((PROJECT / "docs" / name).read_text() for name in ("schedule.md", "sources.md"))

# Each fault of the page, and the tests that cause it.
FAULTS = {
    "the connection breaks during a download": [
        "test_a_broken_download_is_resumed_where_it_broke",
        "test_a_broken_download_starts_again_where_the_server_knows_no_ranges",
    ],
    "5xx, or nobody listening": [
        "test_server_errors_are_retried",
        "test_a_server_that_stays_down_is_a_transient_error_after_a_bounded_number_of_attempts",
        "test_nobody_listening_is_a_transient_error",
    ],
    "429 with Retry-After": [
        "test_retry_after_is_honoured",
        "test_a_server_that_stays_down_is_a_transient_error_after_a_bounded_number_of_attempts",
    ],
    "an answer that comes drop by drop": ["test_an_answer_that_comes_drop_by_drop_is_given_up"],
    "headers that make no sense": [
        "test_a_header_that_cannot_be_meant_is_a_clear_error",
        "test_a_time_that_cannot_be_meant_counts_as_none",
    ],
    "a redirect to another server": ["test_a_redirect_to_another_server_is_followed_only_where_the_user_has_named_it"],
    "a redirect from https to http": ["test_a_redirect_from_https_to_http_is_refused"],
    "a link that leads out of the directory": [
        "test_a_link_that_leads_out_of_the_directory_is_refused_and_nothing_of_it_is_shown"
    ],
    "404, 403, 401": ["test_a_refusal_is_permanent_and_not_repeated"],
    "the certificate is not trusted": ["test_an_untrusted_certificate_is_a_permanent_error_and_a_trusted_one_works"],
    "a wrong Content-Length": ["test_a_wrong_length_in_one_answer_does_no_harm"],
    "a .txt file compressed on the fly": [
        "test_a_text_file_arrives_as_published_although_the_server_would_compress_it",
        "test_a_file_that_is_no_plain_table_is_refused_and_leaves_no_trace",
    ],
    "a page in place of a file, once": ["test_a_page_in_place_of_a_file_for_a_moment_does_no_harm"],
    "a page in place of a file, and it stays": [
        "test_a_file_that_is_no_table_is_refused_and_leaves_the_archive_as_it_was"
    ],
    "a damaged or cut gzip file; NUL bytes at its end are none": [
        "test_a_file_that_is_no_table_is_refused_and_leaves_the_archive_as_it_was"
    ],
    "a file larger than the limit": [
        "test_a_file_over_the_limit_is_refused_and_not_read_to_its_end",
        "test_the_files_of_a_release_may_not_exceed_a_limit_together",
    ],
    "a file replaced during its download": [
        "test_a_file_replaced_while_it_was_downloaded_is_downloaded_again",
        "test_a_text_file_overwritten_in_place_while_it_was_downloaded_is_not_taken_for_a_table",
        "test_a_file_that_is_replaced_again_and_again_is_a_transient_error",
    ],
    "two connections open already": ["test_two_connections_are_open_at_most_however_many_processes_fetch"],
    "the archive cannot be written, the disk is full": ["test_an_archive_that_cannot_be_written_says_so"],
    "a release half published": ["test_a_release_is_waited_for_until_no_file_has_changed_for_half_an_hour"],
    "files of two releases in one run": ["test_files_published_far_apart_are_marked_on_the_run_and_on_the_table"],
    "the source is down when the sensor looks": ["test_an_outage_is_a_reason_to_skip_that_says_since_when"],
    "the listing has changed its format, or is refused": [
        "test_a_listing_that_cannot_be_read_is_replaced_by_asking_for_each_file"
    ],
    "the listing comes slowly, or not whole": [
        "test_a_listing_that_trickles_in_is_a_reason_to_skip",
        "test_a_listing_cut_short_is_a_reason_to_skip",
    ],
    "a page in place of everything": ["test_a_page_in_place_of_everything_fails_the_tick_and_says_what_to_do"],
    "none of the files is there": ["test_a_place_without_any_of_the_files_fails_the_tick_and_says_what_to_do"],
    "a file vanishes": ["test_a_file_that_vanishes_is_named_and_the_others_are_followed"],
    "a file goes back in time": ["test_a_file_that_goes_back_in_time_is_followed_after_a_day"],
    "servers that disagree about the newest release": [
        "test_servers_that_disagree_about_the_newest_release_roll_nothing_back"
    ],
    "the clocks differ": ["test_a_source_whose_clock_is_wrong_is_followed_all_the_same"],
    "our clock is put back": ["test_a_clock_of_ours_that_is_put_back_delays_and_repeats_nothing"],
}


def test_the_sources_of_the_page_are_those_of_the_catalog() -> None:
    assert table_under(SOURCES, "Sources") == [
        [f"`{source.name}`", source.title, source.cadence.name, source.url, f"`{source.setting}`"]
        for source in catalog.SOURCES
    ]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)


def table_under(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table of a section, without its header."""
    (text,) = (part for part in re.split(r"^##? ", page, flags=re.MULTILINE) if part.startswith(f"{heading}\n"))
    return [[cell.strip() for cell in line.split("|")] for line in re.findall(r"^\|(.*)\|$", text, re.MULTILINE)[2:]]


# docs/schedule.md


@pytest.fixture
def clone(installation: Installation) -> Iterator[Installation]:
    """The directory as a clone's: with workspace.yaml and an instance of its own."""
    shutil.copy(PROJECT / "workspace.yaml", installation.directory)
    home = installation.directory / "instance"
    home.mkdir()
    yield Installation(installation.directory, installation.environment | {"DAGSTER_HOME": str(home)})
    shutil.rmtree(home)
    (installation.directory / "workspace.yaml").unlink()


def states(clone: Installation) -> dict[str, str]:
    """What is on and off in the clone's instance."""
    with dg.DagsterInstance.from_config(clone.environment["DAGSTER_HOME"]) as instance:
        return {state.name: state.status.value for state in instance.all_instigator_state()}


def test_the_commands_of_the_page_turn_the_sensor_and_the_schedule_on(clone: Installation, tmp_path: Path) -> None:
    start, preview, schedule = blocks(SCHEDULE, "sh")
    clone.server.ensure_running()
    for command in (start, schedule):
        done = clone.shell(command)
        assert done.returncode == 0, done.stderr
    assert states(clone) == {"new_release_sensor": "RUNNING", "weekly_refresh": "RUNNING"}
    write_sample(tmp_path, scale=0.1)
    done = clone.shell(preview, MEDGEN_SOURCE_URL=tmp_path.as_uri())
    assert done.returncode == 0, done.stderr
    assert "Sensor returning run requests for 1 run(s)" in done.stdout


def test_the_cursor_of_the_page_is_one_that_the_sensor_reads_and_every_field_is_explained() -> None:
    (text,) = blocks(SCHEDULE, "json")
    fields = json.loads(text)
    cursor = Cursor.read(text, MEDGEN.url, datetime.now(UTC))
    assert json.loads(cursor.write()) == fields
    (file,) = fields["files"].values()
    explained = {cells[0].strip("`") for cells in table_under(SCHEDULE, "The cursor")}
    assert explained == {*fields, *file} - {"files"}


def test_the_notifier_of_the_page_passes_a_failure_on(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = LoadFailure("medgen/names", "2026-01-14", "the run", "refresh_medgen", "a cause.", "an action.")
    with HTTPServer() as chat:
        chat.expect_request("/hook", method="POST", json={"text": str(failure)}).respond_with_data("ok")
        monkeypatch.setenv("CHAT_WEBHOOK", chat.url_for("/hook"))
        namespace: dict[str, Any] = {"__name__": "page"}
        exec(blocks(SCHEDULE, "python")[0], namespace)  # noqa: S102  # the page's own snippet
        namespace["defs"].resources["medgen_notifier"].process_config_and_initialize().notify(failure)
        chat.check()
        assert len(chat.log) == 1


def test_the_times_on_the_page_are_those_of_the_code() -> None:
    source = MedgenSource.of(Settings.read({}))
    assert Settings().sensor_minutes == 15
    assert "looks at the source every 15 minutes" in SCHEDULE
    assert [wait.total_seconds() / 60 for wait in RETRY_AFTER] == [15, 180]
    assert "again after 15 minutes, and once more after 3 hours" in SCHEDULE
    assert source.quiet.total_seconds() / 60 == 30
    assert "no file has changed for 30 minutes" in SCHEDULE
    assert RELEASE_WINDOW.total_seconds() / 3600 == 12
    assert "more than 12 hours apart" in SCHEDULE
    assert source.rollback_hours == 24
    assert "after 24 hours (`rollback_hours`)" in SOURCES
    assert (source.max_file_gib, source.max_release_gib) == (5, 20)
    assert "`max_file_gib` (5) and `max_release_gib` (20)" in SOURCES
    assert source.archive().max_content_bytes == MAX_CONTENT_BYTES == source.max_decompressed_gib * 2**30
    assert f"`max_decompressed_gib` ({source.max_decompressed_gib:g})" in SOURCES
    assert TransferOptions().attempts == 6
    assert "six attempts" in SOURCES


# docs/sources.md


def test_the_kinds_of_source_are_those_the_package_knows() -> None:
    shown = {
        scheme
        for cells in table_under(SOURCES, "Where files come from")
        for scheme in re.findall(r"(\w+)://", cells[0])
    }
    assert shown == set(TRANSPORTS)


@pytest.mark.parametrize("cells", table_under(SOURCES, "Faults"), ids=lambda cells: cells[0])
def test_a_fault_is_caused_by_a_test_that_looks_for_what_the_page_says_is_seen(cells: list[str]) -> None:
    fault, _, seen = cells
    tests = [source_of(name) for name in FAULTS[fault.replace("`", "")]]
    for message in re.findall(r"`([^`]+)`", seen):
        assert any(message in test for test in tests), message


def test_no_fault_is_missing_on_the_page() -> None:
    assert [cells[0].replace("`", "") for cells in table_under(SOURCES, "Faults")] == list(FAULTS)


def source_of(test: str) -> str:
    """A test's source, decorators included, for there are the messages of its cases."""
    modules: tuple[ModuleType, ...] = (test_fetch, test_sensor, test_archive)
    (found,) = (getattr(module, test) for module in modules if hasattr(module, test))
    return inspect.getsource(found)
