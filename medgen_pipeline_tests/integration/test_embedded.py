"""The embedded PostgreSQL against real binaries, real processes and real users."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from medgen_pipeline.demo import binaries
from medgen_pipeline.demo import embedded_postgres as embedded
from medgen_pipeline.demo.binaries import find_binaries
from medgen_pipeline.demo.embedded_postgres import TEST_SETTINGS, USER_SETTINGS, EmbeddedPostgres
from medgen_pipeline.errors import PermanentError, TransientError
from medgen_pipeline_tests.folders import short_lived

PROJECT = Path(__file__).parents[2]
# Prints the DSN; what follows it in sys.argv is the cluster's folder.
START = """
import sys
from pathlib import Path
from medgen_pipeline.demo.embedded_postgres import TEST_SETTINGS, EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1]), TEST_SETTINGS).ensure_running(), flush=True)
"""

SETTINGS = {**TEST_SETTINGS, "shared_buffers": "16MB"}  # half a gigabyte takes a while to set up, at every start

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")
needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")

Make = Callable[..., EmbeddedPostgres]


@pytest.fixture
def folder() -> Iterator[Path]:
    path = short_lived("medgen-pg-")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedPostgres]:
    path = short_lived("medgen-pg-")
    server = EmbeddedPostgres(path / "pg", SETTINGS)
    try:
        server.ensure_running()
        yield server
    finally:
        server.stop()
        shutil.rmtree(path)


@pytest.fixture
def server(cluster: EmbeddedPostgres) -> EmbeddedPostgres:
    """A stopped server of a cluster that the tests of this module share: initdb takes two seconds on a busy machine."""
    cluster.stop()
    return cluster


@pytest.fixture
def make(folder: Path) -> Iterator[Make]:
    """Makes servers without a cluster, to be stopped after the test."""
    servers = []

    def make_server(*parts: str) -> EmbeddedPostgres:
        servers.append(EmbeddedPostgres(folder.joinpath(*parts), SETTINGS))
        return servers[-1]

    yield make_server
    for server in servers:
        server.stop()
        shutil.rmtree(server.socket_directory, ignore_errors=True)


def copy_cluster(original: EmbeddedPostgres, copy: EmbeddedPostgres) -> None:
    copy.root.mkdir(parents=True)
    subprocess.run(["/bin/cp", "-a", original.location / "data", copy.root], check=True, timeout=60)


def python_child(script: str, *arguments: Any, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [options.pop("python", sys.executable), "-c", script, *map(str, arguments)],
        # By path, since another user's Python may have nothing installed.
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PROJECT), str(Path(psycopg.__file__).parents[1])]),
            **options.pop("env", {}),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def value(dsn: str, query: str) -> Any:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.location / "data" / "postmaster.pid").read_text().partition("\n")[0])


def owner(server: EmbeddedPostgres) -> dict[str, Any]:
    """Arguments of subprocess.run that run a program as the server's user."""
    found = (server.location / "data").stat()
    return {} if found.st_uid == os.geteuid() else {"user": found.st_uid, "group": found.st_gid, "extra_groups": []}


def test_the_first_start_creates_the_database_under_any_path_and_a_second_call_leaves_the_server_alone(
    make: Make,
) -> None:
    server = make("élan vital", 'it\'s "50%" $HOME `x` \\ &|;')
    assert not server.is_running()

    dsn = server.ensure_running()
    started = value(dsn, "SELECT pg_postmaster_start_time()")

    assert server.is_running()
    assert value(dsn, "SELECT current_database() || current_user") == "medgenmedgen"
    assert value(dsn, "SHOW server_encoding") == "UTF8"
    assert value(dsn, "SELECT datcollate FROM pg_database LIMIT 1") == "C"
    assert value(dsn, "SELECT datctype FROM pg_database LIMIT 1") in ("C.UTF-8", "C")
    assert server.ensure_running() == dsn == server.dsn()
    assert value(dsn, "SELECT pg_postmaster_start_time()") == started
    server.stop()
    assert not server.is_running()


def test_data_survive_a_restart_and_stopping_twice_with_a_session_open_is_harmless(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.ensure_running()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS seven")

    with closing(psycopg.connect(server.dsn())) as idle:
        idle.execute("SELECT 1")  # a session in a transaction must not hold up the stop
        server.stop()
        server.stop()

    assert not server.is_running()
    assert value(server.ensure_running(), "SELECT seven FROM kept") == 7


def test_stopping_a_server_that_never_was_creates_nothing(folder: Path) -> None:
    EmbeddedPostgres(folder / "never").stop()

    assert list(folder.iterdir()) == []


def test_real_data_are_kept_with_fsync(server: EmbeddedPostgres) -> None:
    dsn = EmbeddedPostgres(server.root, USER_SETTINGS).ensure_running()

    assert value(dsn, "SHOW fsync") == "on"
    assert value(dsn, "SHOW wal_level") == "minimal"
    assert value(dsn, "SHOW shared_buffers") == "512MB"


def test_processes_that_start_at_once_share_one_server_even_after_a_killed_initdb(make: Make) -> None:
    server = make("pg")
    draft = server.root / "data.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")

    children = [python_child(START, server.root) for _ in range(3)]
    outputs = [child.communicate(timeout=60) for child in children]

    assert outputs == [(server.dsn() + "\n", "")] * 3
    assert server.log_file.read_text().count("starting PostgreSQL") == 1
    assert not server.log_file.with_suffix(".log.1").exists()


def test_the_server_is_found_again_after_sigkill_and_committed_data_are_there(server: EmbeddedPostgres) -> None:
    server = EmbeddedPostgres(server.root, USER_SETTINGS)
    with psycopg.connect(server.ensure_running()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS seven")
    killed = postmaster(server)
    os.kill(killed, signal.SIGKILL)

    dsn = server.ensure_running()

    assert postmaster(server) != killed
    assert value(dsn, "SELECT seven FROM kept") == 7


def test_a_session_that_outlives_its_killed_server_is_waited_for(server: EmbeddedPostgres) -> None:
    dsn = server.ensure_running()
    # Busy without ever waiting, so it does not notice at once that the main process is gone.
    busy = python_child(
        "import psycopg, sys\n"
        "connection = psycopg.connect(sys.argv[1])\n"
        "print('connected', flush=True)\n"
        "connection.execute('SELECT count(*) FROM generate_series(1, 8000000)')\n",
        dsn,
    )
    assert busy.stdout is not None
    assert busy.stdout.readline() == "connected\n"
    seen = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT count(*) FROM gen%'"
    while busy.poll() is None and not value(dsn, seen):
        time.sleep(0.01)
    os.kill(postmaster(server), signal.SIGKILL)

    assert value(server.ensure_running(), "SELECT 1") == 1
    busy.communicate(timeout=60)


def test_a_stale_process_id_that_now_belongs_to_another_program_does_not_stop_the_start(
    server: EmbeddedPostgres,
) -> None:
    server.ensure_running()
    pid_file = server.location / "data" / "postmaster.pid"
    socket_lock = server.socket_directory / ".s.PGSQL.5432.lock"
    contents = {path: path.read_text().partition("\n")[2] for path in (pid_file, socket_lock)}
    server.stop()
    with subprocess.Popen(["/bin/sleep", "600"], **owner(server)) as unknown:
        for path, rest in contents.items():
            path.write_text(f"{unknown.pid}\n{rest}")
            shutil.chown(path, (server.location / "data").stat().st_uid)
        try:
            assert value(server.ensure_running(), "SELECT 1") == 1
            server.stop()
            assert unknown.poll() is None
        finally:
            unknown.kill()


def test_a_living_server_whose_files_cannot_be_seen_is_not_started_twice(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ensure_running()
    hidden = [server.location / "data" / "postmaster.pid", server.socket_directory / ".s.PGSQL.5432"]
    for path in hidden:  # as a server in another container looks from here
        path.rename(path.with_name(path.name + ".hidden"))
    monkeypatch.setattr(embedded, "_SERVER_TIMEOUT", 0.3)
    try:
        with pytest.raises(TransientError, match="is alive but has not answered"):
            server.ensure_running()
    finally:
        for path in hidden:
            path.with_name(path.name + ".hidden").rename(path)
        monkeypatch.undo()


def test_a_server_that_somebody_else_started_is_not_started_twice(server: EmbeddedPostgres) -> None:
    server.ensure_running()
    server.stop()
    program = find_binaries().directory / "pg_ctl"
    options = f"-c listen_addresses= -c unix_socket_directories={server.location}/data"
    command: list[str | Path] = [program, "-w", "-D", server.location / "data"]
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "timeout": 60, "check": True}
    subprocess.run([*command, "-l", server.location / "data" / "log", "-o", options, "start"], **quiet, **owner(server))
    try:
        with pytest.raises(PermanentError, match="this package has not started"):
            server.ensure_running()
    finally:
        subprocess.run([*command, "stop"], **quiet, **owner(server))


def test_nobody_else_can_read_what_it_keeps_also_where_an_earlier_version_left_that_open(
    cluster: EmbeddedPostgres,
) -> None:
    cluster.ensure_running()
    for path in (cluster.location, *cluster.location.glob("*.log*"), *cluster.location.glob("*.lock")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    cluster.ensure_running()

    passable = 0o711 if os.geteuid() == 0 else 0o700  # the server's user has to get to its data
    assert stat.S_IMODE(cluster.location.stat().st_mode) == passable
    kept = {path.name: path for path in cluster.location.iterdir() if not path.name.startswith("binaries-")}
    assert {"data", "server.log", "start.lock", "alive.lock"} <= set(kept)
    assert [name for name, path in kept.items() if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("part", ["d" * 120, "a,b"], ids=["too long", "comma"])
def test_a_path_that_no_socket_can_have_gets_a_private_short_one_that_all_processes_find(
    make: Make, cluster: EmbeddedPostgres, folder: Path, part: str
) -> None:
    server = make(part)
    cluster.stop()
    copy_cluster(cluster, server)
    dsn = server.ensure_running()

    assert value(dsn, "SELECT 1") == 1
    assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700
    assert not server.socket_directory.is_relative_to(folder)
    child = python_child(START, folder / part, env={"TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder)})
    assert child.communicate(timeout=60) == (dsn + "\n", "")


def test_a_short_socket_folder_that_others_can_enter_is_refused(make: Make) -> None:
    server = make("d" * 120)
    server.socket_directory.mkdir()
    server.socket_directory.chmod(0o777)

    with pytest.raises(PermanentError, match=r"expected a folder of user id .* with mode drwx------"):
        server.ensure_running()


def test_a_cluster_of_a_version_without_binaries_is_refused(server: EmbeddedPostgres) -> None:
    server.ensure_running()
    server.stop()
    version = server.location / "data" / "PG_VERSION"
    right = version.read_text()
    version.write_text("9\n")

    with pytest.raises(PermanentError, match=r"was made by PostgreSQL 9; .*version 1\d"):
        server.ensure_running()
    version.write_text(right)
    assert value(server.ensure_running(), "SELECT 1") == 1


def test_a_cluster_goes_on_with_the_version_that_made_it(make: Make) -> None:
    newest = find_binaries()
    older = [
        directory
        for directory, _ in binaries.candidates("")
        if binaries.major_version(directory) not in (None, newest.major)
    ]
    if not older:
        pytest.skip(f"only PostgreSQL {newest.major} is installed")
    server = make("pg")
    server.binaries = str(older[0])
    before = value(server.ensure_running(), "SHOW server_version_num")
    server.stop()
    server.binaries = ""

    assert value(server.ensure_running(), "SHOW server_version_num")[:2] == before[:2]
    assert before[:2] != newest.major


def test_without_binaries_the_error_says_what_to_install(make: Make, folder: Path) -> None:
    server = make("pg")
    server.binaries = str(folder)

    with pytest.raises(PermanentError, match=rf"{folder}.*pip install 'medgen_pipeline\[local\]'.*MEDGEN_PG_BIN"):
        server.ensure_running()


def test_a_server_that_does_not_start_shows_the_end_of_its_log(server: EmbeddedPostgres) -> None:
    with pytest.raises(PermanentError, match=r'(?s)does not start.*invalid value for parameter "shared_buffers"'):
        EmbeddedPostgres(server.root, {"shared_buffers": "much"}).ensure_running()


@needs_proc
def test_only_the_servers_user_can_enter_the_socket_folder_and_no_tcp_port_listens(server: EmbeddedPostgres) -> None:
    server.ensure_running()

    assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700
    targets = [str(entry.readlink()) for entry in Path(f"/proc/{postmaster(server)}/fd").iterdir()]
    own = {target.removeprefix("socket:[").rstrip("]") for target in targets if target.startswith("socket:")}
    tcp = {
        line.split()[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        for line in Path(table).read_text().splitlines()[1:]
    }
    assert own
    assert not own & tcp


@needs_proc
def test_the_callers_environment_reaches_neither_the_server_nor_the_dsn(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-tell")
    monkeypatch.setenv("PGPORT", "5999")

    assert value(server.ensure_running(), "SHOW port") == "5432"
    environment = subprocess.run(
        ["/bin/cat", f"/proc/{postmaster(server)}/environ"],
        capture_output=True,
        check=True,
        timeout=10,
        **owner(server),
    ).stdout
    assert b"PGDATA" in environment
    assert b"do-not-tell" not in environment


def test_the_starters_output_is_not_held_open(server: EmbeddedPostgres) -> None:

    # communicate() returns when every process that holds the pipe has closed it.
    output, errors = python_child(START, server.root).communicate(timeout=60)

    assert (output, errors) == (server.dsn() + "\n", "")
    assert server.is_running()


def test_ctrl_c_in_the_starters_terminal_does_not_reach_the_server(server: EmbeddedPostgres) -> None:
    child = python_child(START + "import time; time.sleep(600)", server.root, start_new_session=True)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == server.dsn() + "\n"
        started = value(server.dsn(), "SELECT pg_postmaster_start_time()")
    finally:
        os.killpg(child.pid, signal.SIGINT)
        child.communicate(timeout=60)

    assert child.returncode != 0
    assert value(server.dsn(), "SELECT pg_postmaster_start_time()") == started


@needs_root
def test_an_ordinary_user_runs_it_all_as_himself(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    identity: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    python = next(filter(lambda path: imports_package(path, identity), interpreters()), None)
    if python is None:
        pytest.skip("no Python of this version, with the packages and the project, can be reached by 'nobody'")
    home = folder / "home"
    home.mkdir(mode=0o700)
    shutil.chown(home, nobody.pw_uid, nobody.pw_gid)
    script = START + (
        "import os, psycopg\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]))\n"
        "with psycopg.connect(server.dsn()) as connection:\n"
        "    print(connection.execute('SELECT 6 * 7').fetchone()[0], server.location.stat().st_uid)\n"
        "server.stop()\n"
        "print(server.is_running())\n"
    )
    child = python_child(script, home / "pg", python=python, cwd="/", **identity)
    output, errors = child.communicate(timeout=60)

    assert errors == ""
    assert output.splitlines() == [EmbeddedPostgres(home / "pg").dsn(), f"42 {nobody.pw_uid}", "False"]


def interpreters() -> Iterator[str]:
    yield sys.executable
    if system := shutil.which(
        f"python{sys.version_info.major}.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin"
    ):
        yield system


def imports_package(python: str, identity: dict[str, Any]) -> bool:
    try:
        child = python_child(
            "import medgen_pipeline.demo.embedded_postgres",
            python=python,
            cwd="/",
            **identity,
        )
    except OSError:
        return False
    child.communicate(timeout=60)
    return child.returncode == 0


@needs_root
def test_roots_cluster_moves_out_of_a_home_that_the_servers_user_cannot_enter(
    folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medgen_pipeline.demo.cluster._SYSTEM_STATE", folder / "state")
    home = folder / "home"
    home.mkdir(mode=0o700)
    server = make("home", "project", "pg")
    dsn = server.ensure_running()
    try:
        assert value(dsn, "SELECT 1") == 1
        assert server.location.parent == folder / "state"
        assert str(server.location) in (server.root / "LOCATION").read_text()
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        home.chmod(0o755)
        assert EmbeddedPostgres(server.root).dsn() == dsn, "an existing cluster stays the one in use"
    finally:
        server.stop()  # while _SYSTEM_STATE still says where it is


@needs_root
def test_root_copies_binaries_that_the_servers_user_cannot_reach(
    folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_binaries()
    if found.package is None:
        pytest.skip("PostgreSQL comes from the system here, not from a wheel")
    site = folder / "site-packages"
    site.mkdir(mode=0o700)
    for name in (found.package.name, f"{found.package.name}.libs"):
        (site / name).symlink_to(found.package.with_name(name))
    monkeypatch.syspath_prepend(site)
    assert find_binaries().directory.is_relative_to(site)
    server = make("pg")

    assert value(server.ensure_running(), "SELECT 1") == 1
    if Path("/proc/self").exists():
        program = Path(f"/proc/{postmaster(server)}/exe").readlink()
        assert program.is_relative_to(server.location)
    assert stat.S_IMODE(site.stat().st_mode) == 0o700
