"""What somebody has set for the role or the database changes neither a load, nor a check, nor what history says."""

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from medgen_pipeline.loaders.postgres.config import PostgresConfig
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loading.checks import OF_ONE_TABLE
from medgen_pipeline.loading.subject import Subject
from medgen_pipeline.testing import Mirror
from medgen_pipeline.testing.loads import PUBMED, RELEASES
from medgen_pipeline_tests.loaders.support import PostgresBackend, query, role_that_loads

LINES = [f'{number}|C{number % 7}|it\'s \\ "{number}"|{number}|'.encode() for number in range(100)]
# Changes how fast a load is, where it lies or what is logged, or is meant (default_transaction_read_only).
HARMLESS = (
    "application_name",  # this and client_encoding are given when connecting, which counts more
    "client_encoding",
    "*_buffers",
    "*_cost",
    "*_factor",
    "*_limit",
    "*_multiplier",
    "*_scan_size",
    "*_work_mem",
    "*_workers",
    "*_workers_per_gather",
    "auto*",
    "backend_flush_after",
    "check_function_bodies",
    "client_connection_check_interval",
    "commit_*",
    "constraint_exclusion",
    "createrole_self_grant",
    "cursor_tuple_fraction",
    "debug_*",
    "default_statistics_target",
    "default_table_access_method",
    "default_tablespace",
    "default_text_search_config",
    "default_toast_compression",
    "default_transaction_read_only",
    "effective_*",
    "enable_*",
    "escape_string_warning",
    "file_copy_method",
    "geqo*",
    "icu_validation_level",
    "io_*",
    "jit_*",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "local_preload_libraries",
    "log_*",
    "maintenance_*",
    "md5_password_warnings",
    "parallel_*",
    "password_encryption",
    "plan_cache_mode",
    "scram_iterations",
    "synchron*",
    "tcp_*",
    "temp_*",
    "trace_*",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    "vacuum_*",
    "wal_*",
    "work_mem",
)
NOT_CHANGED = ("default_transaction_read_only", "transaction_[dir]*", "debug_p*", "trace_*")
ODD = {
    "DateStyle": "'SQL, DMY'",
    "TimeZone": "'Asia/Kathmandu'",
    "client_encoding": "'LATIN1'",
    "cursor_tuple_fraction": "1",
    "extra_float_digits": "-15",
    "restrict_nonsystem_relation_kind": "'view, foreign-table'",
    "search_path": "public, pg_catalog",
    "timezone_abbreviations": "'Australia'",
    **dict.fromkeys(
        (
            "idle_in_transaction_session_timeout",
            "idle_session_timeout",
            "lock_timeout",
            "statement_timeout",
            "transaction_timeout",
        ),
        "'1min'",
    ),
}


@pytest.fixture
def odd_role(database: str) -> Iterator[str]:
    """URL for a role with every setting of its own other than usual."""
    # Of the values that a setting may have, the first that is not the usual one.
    settings = query(
        database,
        "SELECT name, (SELECT v FROM unnest(coalesce(enumvals, '{on,off}')) AS v WHERE v <> setting LIMIT 1)"
        " FROM pg_settings WHERE context = 'user' AND (vartype IN ('bool', 'enum') OR name = ANY (%s))",
        list(ODD),
    )
    odd = {
        str(name): ODD.get(str(name), f"'{value}'")
        for name, value in settings
        if (name in ODD or value) and not any(fnmatch(str(name), pattern) for pattern in NOT_CHANGED)
    }
    with role_that_loads(database, *(f"SET {name} = {value}" for name, value in odd.items())) as dsn:
        yield dsn


def test_settings_of_the_role_change_nothing(database: str, odd_role: str, tmp_path: Path) -> None:
    assert _all_that_is_read(odd_role, "odd", tmp_path) == _all_that_is_read(database, "usual", tmp_path)


def _all_that_is_read(dsn: str, schema: str, home: Path) -> list[object]:
    mirror = Mirror(PostgresBackend(dsn, schema=schema), home / schema, PUBMED)
    results = [mirror.load(LINES), mirror.load([*LINES[3:], b"7|C9|new|9|"], release=RELEASES[1])]
    with mirror.backend.new_loader() as loader:
        findings = [check.find(Subject(loader, PUBMED)) for check in OF_ONE_TABLE]
        changes = [(*row[:2], *row[4:]) for row in loader.read_changes(PUBMED, RELEASES[0])]  # without time and load
        return [
            *((result.counts, result.report, result.strategy, result.mode) for result in results),
            *findings,
            sorted(changes),
            sorted(loader.read_as_of(PUBMED, RELEASES[0])),
        ]


def test_a_setting_that_could_matter_is_set_by_the_loader_whatever_the_version(odd_role: str) -> None:
    session = PostgresSession(odd_role, PostgresConfig())
    session.open()
    try:
        found = session.work.execute("SELECT name, source FROM pg_settings WHERE context = 'user'").fetchall()
    finally:
        session.close()
    ours = {name for name, source in found if source == "session"}
    left = {name for name, _ in found} - ours
    assert {name for name in left if not any(fnmatch(name, pattern) for pattern in HARMLESS)} == set()
