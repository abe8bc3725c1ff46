"""What Dagster asks of an instance in SQLite."""

import atexit
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from uuid import uuid4

import click
import dagster as dg
import pytest
from dagster._cli.api import execute_run_command, execute_step_command, grpc_command
from dagster._cli.asset import asset_list_command, asset_materialize_command
from dagster._cli.job import job_execute_command

from medgen_pipeline.orchestration import engines
from medgen_pipeline.orchestration.local import open_instance

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


def test_each_file_of_an_instance_has_one_engine_with_no_connection_while_nobody_asks(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        engines._kept.cache_clear()
        for number in range(3):
            instance.report_runless_asset_event(dg.AssetMaterialization(f"asset_{number}"))
            assert len(instance.get_run_records()) == 0
        assert len(instance.all_asset_keys()) == 3
        assert not _open_files(tmp_path)
    used = engines._kept.cache_info()
    # That of the schedules is asked for while the instance is opened, and not again.
    assert used.misses == len([file for file in tmp_path.rglob("*.db") if file.stem != "schedules"]) < used.hits


def test_during_a_run_each_file_has_one_connection_and_after_it_none(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        with engines.connections_kept():
            for number in range(3):
                instance.report_runless_asset_event(dg.AssetMaterialization(f"asset_{number}"))
                opened = sorted(name for name in _open_files(tmp_path) if name.endswith(".db"))
                assert opened == [".db", "index.db"]  # the first one is of events of no run
        assert not _open_files(tmp_path)
        assert len(instance.all_asset_keys()) == 3


def test_who_reads_the_events_of_many_runs_has_few_of_their_files_open(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        with engines.connections_kept():
            for number in range(3 * engines._FILES):
                instance.report_engine_event("an event", job_name="job", run_id=f"run-{number}")
                opened = [name for name in _open_files(tmp_path) if name.endswith(".db")]
                assert f"run-{number}.db" in opened
                assert len(opened) <= engines._FILES
        assert not _open_files(tmp_path)


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (asset_materialize_command, True),
        (job_execute_command, True),
        (execute_run_command, True),
        (execute_step_command, True),
        (grpc_command, False),
        (asset_list_command, False),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_of_dagster_s_commands_those_that_end_with_a_run_keep_connections(
    command: click.Command, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[object] = []
    # Both are the process's, which goes on with other tests.
    monkeypatch.setattr(engines, "_keeps_connections", False)
    monkeypatch.setattr(atexit, "register", at_exit.append)
    with click.Context(command, info_name=command.name):
        engines.keep_engines()
    assert engines._keeps_connections is kept
    assert at_exit == [engines.close_connections] * kept


def test_who_watches_a_run_hears_of_each_event_while_the_connection_stays(tmp_path: Path) -> None:
    heard = threading.Semaphore(0)
    run = str(uuid4())
    with open_instance(tmp_path) as instance:
        report = partial(instance.report_engine_event, "an event", job_name="job", run_id=run)
        report()
        instance.watch_event_logs(run, None, lambda *_: heard.release())
        with engines.connections_kept():
            for _ in range(3):
                report()
                assert heard.acquire(timeout=30)
                assert f"{run}.db" in _open_files(tmp_path)


def test_another_process_reads_and_writes_what_a_kept_connection_does(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance, engines.connections_kept():
        instance.report_runless_asset_event(dg.AssetMaterialization("ours"))
        assert _python(
            f"""
            import dagster as dg
            with dg.DagsterInstance.from_config({str(tmp_path)!r}) as instance:
                print([key.to_user_string() for key in instance.all_asset_keys()])
                instance.report_runless_asset_event(dg.AssetMaterialization("theirs"))
            """
        ) == ["['ours']"]
        assert {key.to_user_string() for key in instance.all_asset_keys()} == {"ours", "theirs"}


def test_a_copy_of_the_process_has_no_connection_of_it(tmp_path: Path) -> None:
    assert _python(
        f"""
        import os
        from pathlib import Path
        import dagster as dg
        from medgen_pipeline.orchestration import engines
        from medgen_pipeline.orchestration.local import open_instance
        def opened():
            names = (os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink())
            return len([name for name in names if name.endswith(".db")])
        with open_instance(Path({str(tmp_path)!r})) as instance, engines.connections_kept():
            instance.report_runless_asset_event(dg.AssetMaterialization("asset"))
            print(opened())
            if not (copy := os.fork()):
                os._exit(opened())
            print(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]))
            instance.report_runless_asset_event(dg.AssetMaterialization("another"))
            print(len(instance.all_asset_keys()))
        """
    ) == ["2", "0", "2"]


def _open_files(folder: Path) -> set[str]:
    """The names of this process's open files below ``folder``."""
    files = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    return {file.name for file in files if file.is_relative_to(folder)}


def _python(program: str) -> list[str]:
    """The lines that a program prints in a process of its own."""
    lines = program.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    command = [sys.executable, "-c", "\n".join(line[indent:] for line in lines)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
