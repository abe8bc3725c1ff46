"""Behind a real pgbouncer: session pooling works, the other modes are refused before anything is left in the pool."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

from medgen_pipeline.loaders import LoaderError
from medgen_pipeline.loaders.postgres.pooler import is_pooled
from medgen_pipeline.testing import load
from medgen_pipeline.testing.loads import NAMES, RELEASES, A, B, C
from medgen_pipeline_tests.loaders.support import new_loader, query, read

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_ADVISORY_LOCKS = (
    "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
    " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs pgbouncer: apt-get install pgbouncer")


@contextmanager
def pgbouncer(dsn: str, mode: str, **settings: object) -> Iterator[str]:
    """URL of the same database through a pgbouncer of its own, on a socket; as root it runs as ``nobody``."""
    url = urlsplit(dsn)
    server = {key: values[0] for key, values in parse_qs(url.query).items()}
    host, port = server.get("host", url.hostname), server.get("port", url.port)
    folder = Path(tempfile.mkdtemp(prefix="medgen-pool-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    lines = {
        "unix_socket_dir": folder,
        "listen_addr": "",
        "listen_port": 6432,
        "auth_type": "any",
        "pool_mode": mode,
        "server_login_retry": 0.1,
        **settings,
    }
    login = f"user={url.username}" + (f" password={url.password}" if url.password else "")
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={host} port={port} {login}\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in lines.items())
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(PROGRAM), folder / "pgbouncer.ini"], stdout=log, stderr=log, **as_user)
    try:
        deadline = time.monotonic() + 60
        while not _listens(folder / ".s.PGSQL.6432"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield f"postgresql://{url.username}@{url.path}?host={quote(str(folder), safe='')}&port=6432"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_loads_through_session_pooling_are_loads(database: str) -> None:
    with pgbouncer(database, "session") as pooled:
        load(new_loader(pooled), NAMES, [A, B])
        assert load(new_loader(pooled), NAMES, [B, C], RELEASES[1]).changed == 2
        assert read(database, "medgen", NAMES) == [B, C]
        # The pool gives the sessions to others; nothing of ours is in them.
        with psycopg.connect(pooled) as other:
            assert other.execute("SHOW search_path").fetchone() == ('"$user", public',)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize(
    ("settings", "sessions"),
    [
        ({}, 3),
        ({"server_round_robin": 1}, 3),
        ({"default_pool_size": 1}, 1),
        ({"server_reset_query": "DISCARD ALL", "server_reset_query_always": 1}, 1),
    ],
    ids=["last in, first out", "round robin", "one session", "reset after each transaction"],
)
def test_a_pool_that_changes_sessions_is_refused_and_nothing_is_left_in_it(
    database: str, mode: str, settings: dict[str, object], sessions: int
) -> None:
    with pgbouncer(database, mode, **settings) as pooled:
        usual = _settings(pooled, mode, sessions)  # which also fills the pool with idle sessions
        with pytest.raises(LoaderError, match=r"pool_mode = session.*connect to the server directly"):
            load(new_loader(pooled), NAMES, [A])
        assert query(database, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'medgen%%'") == [(0,)]
        assert query(database, _ADVISORY_LOCKS) == [(0,)]
        assert _settings(pooled, mode, sessions) == usual


def _settings(pooled: str, mode: str, sessions: int) -> set[object]:
    """What clients see whose transactions, where they may have any, keep as many sessions busy."""
    statement = (
        "SELECT json_object_agg(name, setting ORDER BY name)::text FROM pg_settings"
        " WHERE context = 'user' AND name <> 'application_name'"  # which pgbouncer sets itself
    )
    with ExitStack() as stack:
        connections = [
            stack.enter_context(psycopg.connect(pooled, autocommit=mode == "statement")) for _ in range(sessions)
        ]
        return {row for connection in connections for row in connection.execute(statement).fetchall()}


def test_a_connection_without_a_pool_is_known_as_such(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        assert not is_pooled(connection)
    with pgbouncer(database, "session") as pooled, psycopg.connect(pooled, autocommit=True) as connection:
        assert is_pooled(connection)
