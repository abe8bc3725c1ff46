"""What tests of several packages share: PostgreSQL and a database per test, commands, S3, Redshift, Databricks, files.

Fixtures of one package belong in that package's own test module.
"""

import functools
import gc
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # ships no types

from medgen_pipeline.demo.embedded_postgres import TEST_SETTINGS, EmbeddedPostgres
from medgen_pipeline.urls import split_url
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.folders import short_lived
from medgen_pipeline_tests.programs import serving, write_programs

if TYPE_CHECKING:
    from medgen_pipeline_tests.dbxgate.backend import GatedDatabricks
    from medgen_pipeline_tests.dbxgate.gate import Gate as DatabricksGate
    from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift
    from medgen_pipeline_tests.redgate.s3server import S3Server

_REAL_RELEASES = Path(__file__).parents[2] / "shared" / "real"


_PROGRAMS = "MEDGEN_TEST_PROGRAMS"
"""For pytest-xdist's workers: where the process is that programs are copies of, one for all of them."""


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach what tests start: under nohup or behind a script's &, it is ignored, and that is inherited.

    And have the garbage collector seldom look through what imports make, which took it a fifth of the collection.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.set_threshold(50_000, 20, 100)
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        stack = ExitStack()
        config.add_cleanup(stack.close)
        folder = short_lived("medgen-")
        stack.callback(shutil.rmtree, folder)
        os.environ[_PROGRAMS] = stack.enter_context(serving(folder))


# Tests that ask for the fixture ``demo``, which takes as long as many tests.
ON_THE_DEMO = (
    "test_cli.py",
    "test_docs_changes.py",
    "test_docs_export.py",
    "test_docs_going_back.py",
    "test_readme.py",
)


class _FilesAndSingleTests(LoadFileScheduling):  # type: ignore[misc]  # ships no types
    """A file is one worker's, with its fixtures; a conformance suite has none and is anybody's, test by test."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        if "/test_conformance" in file:
            return nodeid
        if "/ui/" in file:
            return "ui"  # one deployment
        return "demo" if file.endswith(ON_THE_DEMO) else file


# What processes that tests start by multiprocessing begin with. Each of these modules asks for itself, and without the
# others' whoever is imported last would get it.
_COPIED = (
    "medgen_pipeline.testing.processes",
    "medgen_pipeline_tests.bench.step",
    "medgen_pipeline_tests.faults.support",
    "medgen_pipeline_tests.integration.killed_export",
)
# And what loaders import when they are asked for.
_DRIVERS = ("boto3", "databricks.sql.client", "duckdb", "medgen_pipeline.loaders.postgres")


def pytest_collection_finish() -> None:
    """Have one process copied for all tests, and leave the garbage collector what tests make.

    All modules, Dagster's too, took it a tenth of the time.
    """
    if copied := [name for name in _COPIED if name in sys.modules]:
        multiprocessing.set_forkserver_preload(["__main__", *copied, *_DRIVERS])
    gc.collect()
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """What ``--dist loadfile`` means here."""
    return _FilesAndSingleTests(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The UI's tests first, the longest files, which one worker would else end with; the conformance suites last.

    pytest-xdist keeps this order with ``--no-loadscope-reorder``; by itself it begins with the files of most tests,
    and the UI's are few and slow.
    """
    items.sort(key=lambda item: ("ui" not in item.path.parts, "conformance" in item.path.name))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server on which databases may be created: ``MEDGEN_TEST_DSN``, or one of our own for this run.

    Under pytest-xdist each worker is a session and has its own.
    """
    if given := os.environ.get("MEDGEN_TEST_DSN"):
        split_url(given, "MEDGEN_TEST_DSN")  # pytest would show it
        yield given
        return
    folder = short_lived("medgen-pg-")
    server = EmbeddedPostgres(folder / "pg", TEST_SETTINGS)
    try:
        yield server.ensure_running()
    finally:
        server.stop()
        shutil.rmtree(server.location, ignore_errors=True)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def commands() -> Iterator[Path]:
    """The folder ``.venv/bin`` of an installation, with programs that start at once."""
    folder = short_lived("medgen-")
    of_all = os.environ.get(_PROGRAMS)
    try:
        with nullcontext(of_all) if of_all else serving(folder) as address:
            yield write_programs(folder, address)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    """URL of an empty database."""
    with fresh_database(postgres_server) as made:
        yield made


@pytest.fixture(scope="session")
def redgate_template(postgres_server: str) -> Iterator[str]:
    """URL of a database with what the gate puts into each: to copy it takes a quarter of the time."""
    from medgen_pipeline_tests.redgate.backend import install_compat

    with fresh_database(postgres_server) as made:
        with psycopg.connect(made, autocommit=True) as connection:
            install_compat(connection)
        yield made


@pytest.fixture(scope="session")
def s3_server() -> "Iterator[S3Server]":
    from botocore import session  # type: ignore[import-untyped]  # ships no types
    from botocore.retries.standard import ExponentialBackoff  # type: ignore[import-untyped]  # ships no types

    from medgen_pipeline_tests.redgate.s3server import S3Server, clients_kept  # moto takes a second to import

    with pytest.MonkeyPatch.context() as patch, S3Server() as server:
        # A session looks for 400 services on disk and parses a megabyte of JSON, which takes longer than a small load.
        patch.setattr(session, "create_loader", functools.cache(session.create_loader))
        patch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)  # all attempts are made, without the waits
        with clients_kept(patch):
            yield server


@pytest.fixture
def s3(s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch) -> "S3Server":
    """An S3 with one empty bucket, found by boto3 as it would find any other endpoint."""
    from medgen_pipeline_tests.redgate.s3server import BUCKET

    s3_server.reset()
    s3_server.client().create_bucket(Bucket=BUCKET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
    return s3_server


@pytest.fixture
def redshift(postgres_server: str, redgate_template: str, s3: "S3Server") -> "Iterator[GatedRedshift]":
    """A gate in front of a database of its own, and an S3."""
    from medgen_pipeline_tests.loaders.redshift_support import ROLE, GatedRedshift
    from medgen_pipeline_tests.redgate.gate import Gate

    with (
        fresh_database(postgres_server, like=redgate_template) as database,
        Gate(database, s3.client_settings, roles=[ROLE]) as gate,
    ):
        yield GatedRedshift(database, gate, s3)


@pytest.fixture(scope="session")
def databricks_gate(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[DatabricksGate]":
    """One Databricks for the session; whoever uses it empties it first."""
    from medgen_pipeline_tests.dbxgate.gate import Gate

    with Gate(tmp_path_factory.mktemp("dbxgate")) as gate:
        yield gate


@pytest.fixture
def databricks(databricks_gate: "DatabricksGate", monkeypatch: pytest.MonkeyPatch) -> "GatedDatabricks":
    """An empty Databricks."""
    from medgen_pipeline_tests.dbxgate.backend import GatedDatabricks
    from medgen_pipeline_tests.dbxgate.client import quicken

    quicken(monkeypatch, databricks_gate)
    databricks_gate.reset()
    return GatedDatabricks(databricks_gate)


@pytest.fixture
def real_releases() -> Path:
    """Folder of the real releases; for tests marked ``real``."""
    if not _REAL_RELEASES.is_dir():
        pytest.skip("the real releases are not part of the repository and are not beside it")
    return _REAL_RELEASES
