"""The ``medgen`` command and Dagster's own commands, as a user and a CI job run them."""

import gzip
import os
import re
import socket
import sys
import time
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner, Result
from dagster._core.workspace.load import location_origins_from_yaml_paths  # how `dagster dev` reads them
from dagster._daemon.types import DaemonHeartbeat

from medgen_pipeline.catalog import TABLES, table_by_name
from medgen_pipeline.cli import main
from medgen_pipeline.cli.common import typed
from medgen_pipeline.loaders import LoadStatus
from medgen_pipeline.testing import start_of
from medgen_pipeline_tests.integration.conftest import LOADED, Demo
from medgen_pipeline_tests.loaders.support import new_loader, query
from medgen_pipeline_tests.webserver import free_port

MEDGEN = ".venv/bin/medgen"
# Of a demo of which a table is looked at: it and another one alone.
TWO_TABLES = {"MEDGEN_SOURCES": "gene,gene_info", "MEDGEN_CURATED": "false"}


def medgen(*arguments: str, home: Path, **environment: str) -> Result:
    """The command in this process, for what ends before Dagster starts."""
    defaults = dict.fromkeys(("MEDGEN_DSN", "MEDGEN_SCHEMA", "DAGSTER_HOME", "MEDGEN_SOURCE_URL"))
    return CliRunner().invoke(main, arguments, env={**defaults, "MEDGEN_HOME": str(home), **environment})


def figures(output: str, release: str, table: str) -> list[int]:
    """Rows, inserted, updated, deleted, unchanged, rejected of one line of the demo's output."""
    section = output.split(f"Sample release {release}\n")[1].split("\n\n")[0]
    found = re.search(rf"^{table} +(.*)$", section, re.MULTILINE)
    assert found, f"{table} is missing from:\n{section}"
    return [int(cell.replace(",", "")) for cell in found[1].split()[:-1]]


# medgen sample


def test_sample_writes_all_files_and_says_so(tmp_path: Path) -> None:
    done = medgen("sample", str(tmp_path / "out"), "--scale", "0.1", home=tmp_path)
    written = list((tmp_path / "out").iterdir())
    assert done.exit_code == 0
    assert {path.name for path in written} == {table.file_name for table in TABLES}
    assert done.output.startswith(f"{len(TABLES)} files, {sum(path.stat().st_size for path in written):,} bytes in ")


def test_sample_next_is_another_release_and_scale_its_size(tmp_path: Path) -> None:
    for name, options in {"base": ("0.4",), "next": ("0.4", "--next"), "small": ("0.05",)}.items():
        assert medgen("sample", str(tmp_path / name), "--scale", *options, home=tmp_path).exit_code == 0
    base, successor, small = (
        gzip.decompress((tmp_path / name / "NAMES.RRF.gz").read_bytes()) for name in ("base", "next", "small")
    )
    assert successor != base
    assert len(small) < len(base) / 4


# medgen demo


def test_the_demo_reports_what_is_in_the_files_and_in_the_database(demo: Demo) -> None:
    dsn = demo.server.ensure_running()
    for table in LOADED:
        rows, inserted, updated, deleted, unchanged, _ = figures(demo.output, "2026-01-07", table.name)
        assert (inserted, updated, deleted, unchanged) == (rows, 0, 0, 0)
        after = figures(demo.output, "2026-01-14", table.name)
        # The demo's table is fed by Dagster's metadata; the audit is the loader's own record.
        audit = query(
            dsn,
            "SELECT rows_inserted, rows_updated, rows_deleted, rows_unchanged, rows_rejected"
            " FROM medgen_audit.load_run WHERE table_name = %s AND release = '2026-01-14' ORDER BY load_id LIMIT 1",
            table.name,
        )
        assert [tuple(after[1:])] == audit
        assert after[0] == rows + after[1] - after[3]
    totals = [figures(demo.output, "2026-01-14", name) for name in (*(t.name for t in LOADED), f"{len(LOADED)} tables")]
    assert totals.pop() == [sum(column) for column in zip(*totals, strict=True)]


def test_the_demo_ends_with_commands_that_exist_where_it_runs(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = [line for line in demo.output.splitlines() if not line.startswith("make: ")][-2:]
    assert last == [
        "See the assets with their metrics and history:  make ui",
        "Query the tables:  make psql",
    ]
    installed = tmp_path / "bin" / "medgen"
    installed.parent.mkdir()
    installed.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(installed)])
    monkeypatch.chdir(tmp_path)
    assert typed("ui", 3001) == f"{installed} ui --port 3001"
    monkeypatch.setenv("PATH", str(installed.parent))
    assert typed("server psql") == "medgen server psql"


def test_the_demo_again_takes_the_tables_back_and_forth(demo: Demo) -> None:
    again = demo.shell(f"{MEDGEN} demo", **TWO_TABLES)
    assert (again.returncode, again.stderr) == (0, "")
    before, forth = (figures(demo.output, release, "mim2gene_medgen") for release in ("2026-01-07", "2026-01-14"))
    rows, inserted, updated, deleted, unchanged, rejected = figures(again.stdout, "2026-01-07", "mim2gene_medgen")
    assert (inserted, updated, deleted, unchanged) == (forth[3], forth[2], forth[1], forth[4])
    assert (rows, rejected) == (before[0], forth[5])
    assert figures(again.stdout, "2026-01-14", "mim2gene_medgen") == forth


def test_a_failed_table_ends_the_demo_with_its_reason_and_leaves_the_others_loaded(demo: Demo, database: str) -> None:
    query(database, "CREATE SCHEMA medgen")
    query(database, "CREATE TABLE medgen.mim2gene_medgen (somebody text)")
    done = demo.shell(f"{MEDGEN} demo", MEDGEN_DSN=database, **TWO_TABLES)
    assert done.returncode == 1
    failed = "medgen__mim2gene_medgen: medgen.mim2gene_medgen exists"
    assert f"Error: release 2026-01-07 did not load completely.\n{failed}" in done.stderr
    assert "Traceback" not in done.stderr
    assert query(database, "SELECT count(*) > 0 FROM medgen.gene_info") == [(True,)]


def test_the_demo_does_not_replace_a_real_mirror(database: str, tmp_path: Path) -> None:
    # The first table of the catalog would not find it: every one is asked.
    with new_loader(database, schema="medgen") as loader:
        load_id = loader.log_run_start(start_of(table_by_name("medgen_sources"), "2025-09-06"))
        loader.log_run_finish(load_id, LoadStatus.SUCCEEDED)
    done = medgen("demo", home=tmp_path, MEDGEN_DSN=database)
    assert done.exit_code == 1
    assert done.output.startswith("Error: Table medgen_sources holds release 2025-09-06, and the demo would replace it")
    assert query(database, "SELECT count(*) FROM medgen_audit.load_run") == [(1,)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"MEDGEN_DSN": "mysql://reader:hidden@host/base"}, "Unsupported database scheme: 'mysql'"),
        ({"MEDGEN_DSN": "postgresql://reader:hidden@127.0.0.1:1/base"}, "cannot be reached"),
        ({"MEDGEN_DSN": "postgresql://reader:hidden@127.0.0.1:1/base", "MEDGEN_SCHEMA": "s" * 70}, "expected 1 to 55"),
        ({"MEDGEN_PG_BIN": "/nonexistent"}, "No PostgreSQL found to run"),
    ],
)
def test_an_unusable_database_is_one_error_without_traceback_or_password(
    settings: dict[str, str], said: str, demo: Demo
) -> None:
    # Below the demo's directory: for a home that "nobody" cannot enter, root would leave a folder in /var/lib.
    done = medgen("demo", home=demo.directory / "unusable", **settings)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert said in done.output
    assert "hidden" not in done.output


def test_an_unusable_dagster_home_is_one_error(database: str, tmp_path: Path) -> None:
    done = medgen("demo", home=tmp_path, MEDGEN_DSN=database, DAGSTER_HOME="/nonexistent")
    assert done.exit_code == 1
    assert done.output.startswith("Error: Dagster cannot use its DAGSTER_HOME")


def test_a_directory_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = medgen("sample", str(tmp_path / "file" / "out"), home=tmp_path)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")


# medgen server, medgen env


@pytest.mark.parametrize("command", ["demo", "env"])
def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("not a directory")
    result = medgen(command, home=tmp_path / "file")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: MEDGEN_HOME is {tmp_path}/file, and the folder ")
    assert "set MEDGEN_HOME to a folder of your own." in result.output


def test_what_the_demo_keeps_is_its_user_s_alone(demo: Demo) -> None:
    folders = [demo.home / name for name in ("archive", "dagster", "sample")]
    assert [folder.name for folder in folders if folder.stat().st_mode & 0o077] == []


def test_the_server_commands_start_show_and_stop_one_server(demo: Demo) -> None:
    assert medgen("server", "start", home=demo.home).exit_code == 0
    running = medgen("server", "status", home=demo.home)
    assert (running.exit_code, running.output) == (0, f"running: {demo.server.dsn()}\n")
    assert medgen("server", "stop", home=demo.home).output == "stopped\n"
    assert not demo.server.is_running()
    assert medgen("server", "status", home=demo.home).exit_code == 3
    assert medgen("server", "stop", home=demo.home).exit_code == 0
    url = medgen("server", "dsn", home=demo.home).output.strip()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM medgen.names").fetchone() == (True,)


def test_psql_gets_its_own_arguments(demo: Demo) -> None:
    done = demo.shell(f"{MEDGEN} server psql -Atc 'SHOW server_encoding' -c 'SELECT current_database()'")
    assert (done.stdout, done.stderr) == ("UTF8\nmedgen\n", "")


def test_env_can_be_evaluated_whatever_the_directory_is_called(demo: Demo) -> None:
    home = demo.directory / "it's $HOME; a home"
    for release in ("2026-01-14", "2026-01-07"):
        (home / "sample" / release).mkdir(parents=True)
    done = demo.shell(
        f'eval "$({MEDGEN} env)"; printf "%s\n" "$MEDGEN_HOME" "$DAGSTER_HOME" "$MEDGEN_SOURCE_URL"',
        MEDGEN_HOME=str(home),
    )
    assert done.stdout.splitlines() == [str(home), str(home / "dagster"), (home / "sample/2026-01-14").as_uri()]
    assert (home / "dagster" / "dagster.yaml").exists()


def test_env_keeps_what_is_set(tmp_path: Path) -> None:
    done = medgen("env", home=tmp_path, DAGSTER_HOME="/elsewhere", MEDGEN_SOURCE_URL="file:///mirror/")
    assert "export DAGSTER_HOME=/elsewhere\n" in done.output
    assert "export MEDGEN_SOURCE_URL=file:///mirror/\n" in done.output
    assert not (tmp_path / "dagster").exists()


def test_help_does_not_wait_for_dagster(demo: Demo) -> None:
    code = "import sys; from medgen_pipeline.cli import main; main(['--help'], standalone_mode=False)"
    done = demo.run([sys.executable, "-c", f"{code}; assert not {{'dagster', 'pydantic'}} & set(sys.modules)"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "sample" in done.stdout


# medgen changes, medgen as-of


@pytest.mark.parametrize("command", [("changes", "names", "2026-01-07"), ("as-of", "names", "2026-01-07")])
def test_reading_where_nothing_was_loaded_is_one_error_and_creates_nothing(
    command: tuple[str, ...], database: str, tmp_path: Path
) -> None:
    done = medgen(*command, home=tmp_path / "mistyped")
    assert (done.exit_code, done.output.partition(":")[0]) == (1, "Error")
    assert "there is no embedded PostgreSQL in " in done.output
    assert not (tmp_path / "mistyped").exists()
    done = medgen(*command, home=tmp_path, MEDGEN_DSN=database)
    assert (done.exit_code, done.output.partition(":")[0]) == (1, "Error")
    assert "expected the record of loads medgen_audit.load_run, found none" in done.output
    assert query(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'medgen%%'") == []


def test_a_reader_that_has_seen_enough_is_no_error(demo: Demo) -> None:
    done = demo.shell(f"set +o pipefail; {MEDGEN} as-of mgconso 2026-01-14 | head -1")
    assert (done.stdout.partition(",")[0], done.stderr) == ("cui", "")


# medgen ui


def test_the_ui_is_not_opened_on_a_port_that_is_taken_and_another_daemon_is_named(tmp_path: Path) -> None:
    assert medgen("env", home=tmp_path).exit_code == 0
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 12, "SENSOR", "of somebody else's", []))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = medgen("ui", "--port", str(port), home=tmp_path)
    assert done.exit_code == 1
    warning, error = done.output.splitlines()
    assert re.match(f"Warning: a daemon of the instance {tmp_path / 'dagster'} was at work [1-4][0-9] s ago", warning)
    assert error.startswith(f"Error: Port {port} of 127.0.0.1 cannot be used for the UI: ")
    assert error.endswith(f"make ui PORT={port + 1}")


def test_the_ui_finds_the_code_location_in_a_folder_of_nothing_and_takes_the_folder_s_own_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: commands.append(command))
    monkeypatch.chdir(tmp_path)
    assert medgen("ui", "--port", str(free_port()), home=tmp_path / "home").exit_code == 0
    (tmp_path / "workspace.yaml").touch()
    assert medgen("ui", "--port", str(free_port()), home=tmp_path / "home").exit_code == 0
    (option, workspace), own = (command[command.index("--port") + 2 :] for command in commands)
    assert (option, own) == ("--workspace", [])
    (origin,) = location_origins_from_yaml_paths([workspace])
    assert origin.location_name == "medgen_pipeline"


# Dagster's own commands


def test_dagster_asset_materialize_fails_when_an_asset_fails(demo: Demo, database: str, tmp_path: Path) -> None:
    assert medgen("sample", str(tmp_path / "release"), "--scale", "0.1", home=tmp_path).exit_code == 0
    (tmp_path / "release" / "MERGED.RRF.gz").unlink()
    done = demo.shell(
        'eval "$(.venv/bin/medgen env)"; .venv/bin/dagster asset materialize -m medgen_pipeline.definitions'
        ' --select \'key:"medgen/merged" or key:"medgen/medgen_sources"\'',
        MEDGEN_HOME=str(tmp_path / "home"),
        MEDGEN_DSN=database,
        MEDGEN_SOURCE_URL=(tmp_path / "release").as_uri(),
    )
    assert done.returncode == 1
    assert "MERGED.RRF.gz" in done.stderr


def test_the_definitions_load_without_a_warning(demo: Demo) -> None:
    code = """
import warnings
warnings.simplefilter("error")
import dagster
from medgen_pipeline.definitions import defs
dagster.Definitions.validate_loadable(defs)
"""
    done = demo.run([sys.executable, "-c", code])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
