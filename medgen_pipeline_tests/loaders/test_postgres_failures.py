"""What a server can refuse or lose: a retry only where one can help, and a remedy that is true."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders import LoaderError, LostConnectionError, TableBusyError, WarehouseBusyError
from medgen_pipeline.loaders.postgres.failures import FAILURES, REFUSALS
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.redshift.connect import CONNECTIONS
from medgen_pipeline.loaders.sql.failures import failure_of, refusal_of
from medgen_pipeline.testing import Row, canonical, load
from medgen_pipeline.testing.loads import HISTORY, NAMES, RELEASES, A, B, begun
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.loaders.support import new_loader, query, read, role_that_loads

LONG = secrets.token_hex(5_000)  # does not compress to what an index takes


def test_a_publication_without_replica_identity_names_the_statement_that_helps(database: str) -> None:
    rows: list[Row] = [tuple("x" for _ in HISTORY.columns)] * 2
    load(new_loader(database), HISTORY, rows)
    query(database, f"CREATE PUBLICATION p FOR TABLE medgen.{HISTORY.name}")
    with pytest.raises(LoaderError, match=r"(?s)replica identity.*`ALTER TABLE … REPLICA IDENTITY FULL`"):
        load(new_loader(database), HISTORY, rows[:1], RELEASES[1])
    query(database, f"ALTER TABLE medgen.{HISTORY.name} REPLICA IDENTITY FULL")
    load(new_loader(database), HISTORY, rows[:1], RELEASES[1])
    assert read(database, "medgen", HISTORY) == rows[:1]


def test_a_comparison_above_temp_file_limit_is_permanent_and_names_the_limit(database: str) -> None:
    rows: list[Row] = [(f"C{number}", f"name {number}" * 5, "x", "y") for number in range(20_000)]
    with role_that_loads(database) as dsn:
        load(new_loader(dsn), NAMES, rows)
        role = query(dsn, "SELECT current_user")[0][0]
        query(database, f"ALTER ROLE {role} SET temp_file_limit = 0")
        with pytest.raises(LoaderError, match=r"temp_file_limit.*ALTER ROLE … SET temp_file_limit"):
            load(new_loader(dsn, work_mem="64kB"), NAMES, [(*row[:3], "z") for row in rows], RELEASES[1])


def test_a_role_that_may_only_read_is_told_where_to_connect(database: str) -> None:
    with (
        role_that_loads(database, "SET default_transaction_read_only = on") as dsn,
        pytest.raises(LoaderError, match=r"read-only transaction.*target_session_attrs=read-write"),
    ):
        load(new_loader(dsn), NAMES, [A])


def test_too_few_connections_are_transient_and_the_message_says_how_many_a_load_needs(database: str) -> None:
    with (
        role_that_loads(database, "CONNECTION LIMIT 1") as dsn,
        pytest.raises(WarehouseBusyError, match=r"too many connections.*needs 2 connections"),
    ):
        load(new_loader(dsn), NAMES, [A])


def connections_of_loaders(database: str) -> int:
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'medgen_pipeline%%' AND datname = %s"
    name = query(database, "SELECT current_database()")[0][0]
    (found,) = query(database, count, name)
    return int(str(found[0]))


def test_who_only_looks_has_one_connection(database: str) -> None:
    load(new_loader(database), NAMES, [A])
    with new_loader(database) as loader:
        last = loader.last_load(NAMES)
        assert last
        assert loader.is_as_left(NAMES, last)
        assert connections_of_loaders(database) == 1


def test_a_load_has_as_many_connections_as_it_says(database: str) -> None:
    seen = set()

    def rows() -> Iterator[bytes]:
        seen.add(connections_of_loaders(database))
        yield canonical([A])

    with begun(new_loader(database), NAMES) as loader:
        loader.bulk_load("names", rows())
    assert seen == {PostgresSession.connections}
    documented = f"on PostgreSQL has {PostgresSession.connections} open at the same time, on Redshift {CONNECTIONS};"
    assert documented in Document("docs/run.md").text


def test_a_row_too_large_for_an_index_of_the_users_names_the_remedy(database: str) -> None:
    load(new_loader(database), NAMES, [A])
    query(database, "CREATE INDEX ON medgen.names (name)")
    with pytest.raises(LoaderError, match=r"index row .*maximum.*`left\(column, 500\)`"):
        load(new_loader(database), NAMES, [A, ("C9", LONG, None, None)], RELEASES[1])
    assert read(database, "medgen", NAMES) == [A]


@pytest.mark.parametrize(
    ("ended_by", "error"),
    [("SELECT pg_cancel_backend(pid)", WarehouseBusyError), ("SELECT pg_terminate_backend(pid)", LostConnectionError)],
)
def test_a_load_that_somebody_ends_is_tried_again(database: str, ended_by: str, error: type[MedgenError]) -> None:
    def rows() -> Iterator[bytes]:
        yield canonical([A])
        query(
            database,
            ended_by + " FROM pg_stat_activity"
            " WHERE application_name = 'medgen_pipeline load' AND datname = current_database()",
        )
        yield canonical([B])

    with begun(new_loader(database), NAMES) as loader, pytest.raises(error, match=r"Load again\."):
        loader.bulk_load("names", rows())


def _error_of(sqlstate: str, message: str) -> psycopg.Error:
    """As the server would raise it, where it cannot be made to here."""
    return next(
        kind(message)
        for kind in vars(psycopg.errors).values()
        if isinstance(kind, type) and issubclass(kind, psycopg.Error) and kind.sqlstate == sqlstate
    )


@pytest.mark.parametrize(
    ("sqlstate", "message", "error", "remedy"),
    [
        ("08006", "connection failure", LostConnectionError, ""),
        ("25P04", "terminating connection due to transaction timeout", LostConnectionError, ""),
        ("28P01", "password authentication failed", LoaderError, "Check the DSN"),
        ("3D000", "database does not exist", LoaderError, "Check the DSN"),
        ("40001", "could not serialize access", WarehouseBusyError, "Load again"),
        ("40P01", "deadlock detected", WarehouseBusyError, "Load again"),
        ("42501", "permission denied", LoaderError, ""),
        ("42P01", "relation does not exist", LoaderError, ""),
        ("53100", "could not extend file: No space left on device", LoaderError, "Free disk space"),
        ("53200", "out of memory", WarehouseBusyError, "memory"),
        ("53300", "sorry, too many clients already", WarehouseBusyError, "{connections} connections"),
        ("53400", "some other limit exceeded", LoaderError, "Raise that limit"),
        ("55000", "not in the prerequisite state", LoaderError, ""),
        ("55006", "object in use", WarehouseBusyError, "End that session"),
        ("55P03", "canceling statement due to lock timeout", TableBusyError, "End that session"),
        ("57014", "canceling statement due to statement timeout", LoaderError, "statement_timeout"),
        ("57014", "canceling statement due to user request", WarehouseBusyError, "cancelled"),
        ("57P01", "terminating connection due to administrator command", LostConnectionError, "Load again"),
        ("57P02", "terminating connection because of crash of another process", LostConnectionError, "Load again"),
        ("57P03", "the database system is starting up", LostConnectionError, "Load again"),
        ("57P04", "database dropped", LoaderError, "Check the DSN"),
        ("57P05", "terminating connection due to idle-session timeout", LostConnectionError, "Load again"),
        ("58030", "could not read block 0 in file: Input/output error", LoaderError, ""),
        ("XX001", "invalid page", LoaderError, ""),
    ],
)
def test_an_error_is_judged_by_its_code(sqlstate: str, message: str, error: type[MedgenError], remedy: str) -> None:
    failure = failure_of(_error_of(sqlstate, message), FAILURES)
    assert failure.error is error
    assert remedy in failure.remedy


def test_an_error_without_a_code_is_a_lost_connection_where_the_driver_says_so() -> None:
    assert (
        failure_of(psycopg.OperationalError("server closed the connection unexpectedly")).error is LostConnectionError
    )
    assert failure_of(psycopg.ProgrammingError("the query has 1 placeholder")).error is LoaderError


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ('FATAL:  password authentication failed for user "u"', LoaderError),
        ('FATAL:  role "u" does not exist', LoaderError),
        ('FATAL:  role "u" is not permitted to log in', LoaderError),
        ('FATAL:  permission denied for database "d"', LoaderError),
        ('FATAL:  database "d" is not currently accepting connections', WarehouseBusyError),
        ("FATAL:  pg_hba.conf rejects connection for host", LoaderError),
        ("SSL error: certificate verify failed", LoaderError),
        ('server certificate for "a" does not match host name "b"', LoaderError),
        ("server does not support SSL, but SSL was required", LoaderError),
        ("FATAL:  sorry, too many clients already", WarehouseBusyError),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", WarehouseBusyError),
        ("FATAL:  no more connections allowed (max_client_conn)", WarehouseBusyError),
        ("FATAL:  unsupported startup parameter: options", LoaderError),
        ("FATAL:  the database system is starting up", None),
        ("FATAL:  the database system is shutting down", None),
        ("Connection refused. Is the server running on that host?", None),
        ("session is read-only", None),  # no primary among the hosts: a failover may be under way
    ],
)
def test_a_server_that_does_not_let_in_is_judged_by_its_words(message: str, error: type[MedgenError] | None) -> None:
    refusal = refusal_of(
        psycopg.OperationalError(f'connection to server at "h", port 5432 failed: {message}'), REFUSALS
    )
    assert (refusal and refusal.error) == error
