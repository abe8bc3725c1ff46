"""Every fault that a test can order strikes as ordered, and what it leaves behind is what a cluster would leave."""

import threading

import boto3  # type: ignore[import-untyped]  # ships no types
import psycopg
import pytest
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

from medgen_pipeline_tests.redgate.conftest import BUCKET, PSYCOPG_SETTINGS, Stage
from medgen_pipeline_tests.redgate.gate import Gate
from medgen_pipeline_tests.redgate.s3server import S3Fault, S3Server

TABLE = "CREATE TABLE t (k VARCHAR(8), v VARCHAR(20), n BIGINT)"


def _count(gate: Gate) -> int:
    with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as client:
        row = client.execute("SELECT count(*) FROM t").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_dropped_at_copy(gate: Gate, stage: Stage, after: bool) -> None:
    with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as client:
        client.execute(TABLE)
        copy = stage.copy("t", b"C1\tx\t1\n").encode()
        (gate.drop_after if after else gate.drop_before)("^COPY")
        with pytest.raises(psycopg.OperationalError):
            client.execute(copy)
    assert _count(gate) == int(after)


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_dropped_at_commit(gate: Gate, after: bool) -> None:
    with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as client:
        client.execute(TABLE)
        (gate.drop_after if after else gate.drop_before)("^COMMIT")
        client.execute("BEGIN")
        client.execute("INSERT INTO t VALUES ('a')")
        with pytest.raises(psycopg.OperationalError):
            client.execute("COMMIT")
    assert _count(gate) == int(after)


def test_a_connection_dropped_after_a_statement_with_parameters(gate: Gate) -> None:
    with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as client:
        client.execute(TABLE)
        gate.drop_after("^INSERT")
        with pytest.raises(psycopg.OperationalError):
            client.execute("INSERT INTO t VALUES (%s)", ("a",))
    assert _count(gate) == 1


def test_error_1023_once_is_gone_at_the_second_try(gate: Gate, connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    gate.conflict("^INSERT")
    with (
        pytest.raises(psycopg.errors.InternalError_, match="1023") as caught,
        connection.transaction(),
    ):
        connection.execute("INSERT INTO t VALUES ('a')")
    assert caught.value.sqlstate == "XX000"
    connection.execute("INSERT INTO t VALUES ('a')")
    assert _count(gate) == 1


def test_error_1023_for_ever_lasts_until_healed(gate: Gate, connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    gate.conflict("^COMMIT", times=None)
    for _ in range(3):
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES ('a')")
        with pytest.raises(psycopg.errors.InternalError_, match="1023"):
            connection.execute("COMMIT")
        connection.execute("ROLLBACK")
    assert _count(gate) == 0
    gate.heal()
    with connection.transaction():
        connection.execute("INSERT INTO t VALUES ('a')")
    assert _count(gate) == 1


def test_the_nth_statement_is_refused(gate: Gate, connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    gate.refuse("", "out of memory", "53200", skip=2)
    for _ in range(2):
        connection.execute("INSERT INTO t VALUES ('a')")
    with pytest.raises(psycopg.errors.OutOfMemory):
        connection.execute("INSERT INTO t VALUES ('a')")
    connection.execute("INSERT INTO t VALUES ('a')")
    assert _count(gate) == 3


def test_a_slow_statement_meets_statement_timeout(gate: Gate, connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("SET statement_timeout TO 50")
    gate.slow("^INSERT", 30, times=1)
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("INSERT INTO t VALUES ('a')")
    connection.execute("INSERT INTO t VALUES ('a')")
    assert _count(gate) == 1


def test_a_test_can_wait_until_a_statement_arrives(gate: Gate, connection: psycopg.Connection) -> None:
    waiting = threading.Thread(target=gate.log.wait_for, args=("SELECT 43",))
    waiting.start()
    connection.execute("SELECT 43")
    waiting.join(20)
    assert not waiting.is_alive()
    with pytest.raises(TimeoutError, match="SELECT 44"):
        gate.log.wait_for("SELECT 44", timeout=0.01)
    gate.log.clear()
    assert gate.log.statements == []


def test_stopping_the_gate_ends_what_runs(gate: Gate) -> None:
    def stop_while_it_runs() -> None:
        gate.log.wait_for("SELECT 45")
        gate.stop()

    with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as client:
        gate.slow("SELECT 45", 60)
        stopping = threading.Thread(target=stop_while_it_runs)
        stopping.start()
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 45")
        stopping.join(20)
        assert not stopping.is_alive()


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchKey"), (503, "SlowDown")])
def test_s3_refuses_requests_as_ordered(s3: S3Server, status: int, code: str) -> None:
    client = boto3.client("s3", **s3.client_settings, config=Config(retries={"total_max_attempts": 1}))
    s3.order(S3Fault("PUT /stage/part", status=status, times=1))
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=BUCKET, Key="part", Body=b"x" * 100_000)
    assert caught.value.response["Error"]["Code"] == code
    client.put_object(Bucket=BUCKET, Key="part", Body=b"x")
    assert s3.keys(BUCKET) == ["part"]
    assert [request for request in s3.requests if request.startswith("PUT /stage/part")] == ["PUT /stage/part"] * 2
