"""A real ``dagster asset materialize`` that is told to stop in the middle of a load."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loading.load import LoadOptions, undisturbed
from medgen_pipeline.testing import load, start_of
from medgen_pipeline.testing.files import OPEN_GATES
from medgen_pipeline_tests.faults.support import (
    InterruptedFromOutsideError,
    Job,
    Observer,
    Scenario,
    interrupt,
    interrupts_raise,
    jobs,
    publish,
    rows_of,
    strike_everywhere,
)
from medgen_pipeline_tests.loaders.support import new_loader

PROJECT = Path(__file__).parents[2]
NAMES = table_by_name("names")
# Rows of the staging table wait, one by one, for whoever holds the advisory lock 4711.
SLOW_COPY = """
CREATE FUNCTION public.wait_a_while() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$;
CREATE FUNCTION public.slow_down() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'medgen_staging.names') THEN
    CREATE TRIGGER slow BEFORE INSERT ON medgen_staging.names FOR EACH ROW EXECUTE FUNCTION public.wait_a_while();
END IF; END $$;
CREATE EVENT TRIGGER slow_down ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.slow_down();
SELECT pg_advisory_lock(4711)
"""


# The making of the first staging table waits for it.
SLOW_STAGING = """
CREATE FUNCTION public.slow_down() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name = 'medgen_staging') THEN
    PERFORM pg_advisory_xact_lock_shared(4711);
END IF; END $$;
CREATE EVENT TRIGGER slow_down ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.slow_down();
SELECT pg_advisory_lock(4711)
"""
MATERIALIZE = ["-m", "dagster", "asset", "materialize", "-m", "medgen_pipeline.definitions", "--select", "medgen/names"]
DEMO = ["-c", "from medgen_pipeline.cli import main; main()", "demo"]


@contextmanager
def started(arguments: list[str], dsn: str, home: Path, release: Path) -> Iterator["subprocess.Popen[str]"]:
    """A Python, as a process of its own with what it starts in a group of their own."""
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEDGEN_", "DAGSTER_"))}
    environment |= {
        "PYTHONPATH": str(PROJECT),
        "DAGSTER_HOME": str(home),
        "MEDGEN_HOME": str(home),
        "MEDGEN_DSN": dsn,
        "MEDGEN_SOURCE_URL": release.as_uri(),
        "MEDGEN_SOURCES": "medgen",
        "MEDGEN_CURATED": "false",
    }
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("told", "where"),
    [(signal.SIGINT, "compare"), (signal.SIGTERM, "copy")],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_load_that_is_told_to_stop_ends_its_statement_and_cleans_up(
    told: signal.Signals, where: str, database: str, tmp_path: Path
) -> None:
    old, new = (publish(tmp_path / str(variant), NAMES, rows_of(NAMES, variant), bad_lines=0) for variant in (1, 2))
    Job(database, tmp_path / "elsewhere", NAMES, old).run()  # so that the other one is compared as a whole
    with Observer(database, NAMES) as observer, Observer(database, NAMES) as other:
        if where == "copy":
            other.query(SLOW_COPY)
        with (
            started(MATERIALIZE, database, tmp_path / "home", new) as process,
            other.holding({"compare": "ACCESS EXCLUSIVE", "copy": "ACCESS SHARE"}[where]),
        ):
            observer.wait_for_a_blocked_load()
            os.kill(process.pid, told) if told is signal.SIGTERM else os.killpg(process.pid, told)
            output, _ = process.communicate()
            assert process.returncode != 0, output
            observer.wait_for_the_end()
            assert observer.query("SELECT status, error FROM medgen_audit.load_run ORDER BY load_id") == [
                ("succeeded", None),
                ("interrupted", "interrupted from outside"),
            ]
            assert observer.query("SELECT tablename FROM pg_tables WHERE schemaname = 'medgen_staging'") == []
        assert observer.production() == Counter(rows_of(NAMES, 1))


def test_ctrl_c_ends_the_demo_and_is_no_error_of_a_table(database: str, tmp_path: Path) -> None:
    with Observer(database, NAMES) as observer, Observer(database, NAMES) as other:
        other.query(SLOW_STAGING)
        with started(DEMO, database, tmp_path / "home", tmp_path) as process:
            observer.wait_for_a_blocked_load()
            os.kill(process.pid, signal.SIGINT)
            output, _ = process.communicate()
        assert (process.returncode, output.splitlines()[-1]) == (1, "Aborted!")
        assert "Traceback" not in output
        # Nothing was tried again, and no other table loaded.
        assert observer.query("SELECT status FROM medgen_audit.load_run ORDER BY load_id DESC LIMIT 1") == [
            ("interrupted",)
        ]


def test_a_load_interrupted_anywhere_leaves_the_old_release_or_the_new_one(database: str, tmp_path: Path) -> None:
    struck = strike_everywhere(database, tmp_path, NAMES, interrupt, [Scenario.SNAPSHOT, Scenario.WAREHOUSE])
    assert {(outcome.exit_code, outcome.error) for outcome in struck} == {(1, "")}  # an interrupt is never swallowed


@pytest.mark.parametrize(
    ("again", "held"),
    [(signal.SIGTERM, "SHARE"), (signal.SIGINT, "ACCESS EXCLUSIVE")],
    ids=["while changes are applied", "while it compares"],
)
def test_a_second_interrupt_does_not_break_the_clean_up_off(
    again: signal.Signals, held: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches a step twice: from the terminal, and from the process of its run."""
    cancel = PostgresSession.cancel

    def cancel_while_it_comes(session: PostgresSession) -> None:
        signal.raise_signal(again)
        cancel(session)

    monkeypatch.setattr(PostgresSession, "cancel", cancel_while_it_comes)
    old, new = jobs(database, tmp_path, NAMES, 1, 2)
    old().run()
    with Observer(database, NAMES) as observer, Observer(database, NAMES) as holder:

        def stop_it() -> None:
            observer.wait_for_a_blocked_load()
            os.kill(os.getpid(), signal.SIGTERM)

        options = LoadOptions(limits=OPEN_GATES, force_warehouse=True)
        with holder.holding(held), ThreadPoolExecutor(1) as thread, interrupts_raise():
            thread.submit(stop_it)
            with pytest.raises(InterruptedFromOutsideError):
                new(options=options).run()
        assert observer.query("SELECT status FROM medgen_audit.load_run ORDER BY load_id") == [
            ("succeeded",),
            ("interrupted",),
        ]
        assert observer.query("SELECT tablename FROM pg_tables WHERE schemaname = 'medgen_staging'") == []
        assert observer.production() == Counter(rows_of(NAMES, 1))


def test_an_interrupt_that_was_held_back_comes_afterwards() -> None:
    with interrupts_raise(), pytest.raises(InterruptedFromOutsideError):  # noqa: PT012  # where it is raised matters
        with undisturbed():
            interrupt()
            held_back = True
        assert held_back


def test_cancelling_ends_the_statement_although_the_server_does_not_look_after_dead_clients(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medgen_pipeline.loaders.postgres.session._NOTICE_DEAD_CLIENT", "SELECT 1")
    load(new_loader(database), NAMES, rows_of(NAMES, 1))
    with Observer(database, NAMES) as observer, Observer(database, NAMES) as holder, new_loader(database) as loader:
        loader.log_run_start(start_of(NAMES))
        loader.initialize_staging(NAMES)

        def stop_it() -> None:
            observer.wait_for_a_blocked_load()
            os.kill(os.getpid(), signal.SIGTERM)

        with holder.holding("ACCESS EXCLUSIVE"), ThreadPoolExecutor(1) as thread, interrupts_raise():
            thread.submit(stop_it)
            with pytest.raises(InterruptedFromOutsideError):
                loader.execute_cdc(NAMES)
            loader.cancel()
            observer.wait_until(lambda: [state for _, _, state, *_ in observer.backends()] == ["idle"])
