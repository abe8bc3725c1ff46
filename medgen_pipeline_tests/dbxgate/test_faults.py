"""Every fault that a test can order strikes as ordered, and what it leaves behind is what a workspace would leave."""

import io
import threading

import pytest
from databricks import sql
from databricks.sql.client import Connection

from medgen_pipeline_tests.dbxgate.conftest import client, run
from medgen_pipeline_tests.dbxgate.gate import Gate

INSERT = "INSERT INTO m.t VALUES ('a', 1)"


def _count(gate: Gate) -> int:
    return int(gate.query("SELECT COUNT(*) FROM m.t")[0][0])


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_dropped_at_a_statement(gate: Gate, connection: Connection, after: bool) -> None:
    (gate.drop_after if after else gate.drop_before)("^INSERT")
    with pytest.raises(Exception, match="Connection aborted"):
        run(connection, INSERT)
    assert _count(gate) == int(after)


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_dropped_at_commit(gate: Gate, connection: Connection, after: bool) -> None:
    run(connection, "BEGIN TRANSACTION")
    run(connection, INSERT)
    (gate.drop_after if after else gate.drop_before)("^COMMIT")
    with pytest.raises(Exception, match="Connection aborted"):
        run(connection, "COMMIT")
    assert _count(gate) == int(after)


def test_the_connector_repeats_by_default_a_statement_whose_answer_was_lost(gate: Gate) -> None:
    gate.drop_after("^INSERT")
    with client(
        gate, _enable_v3_retries=True, _retry_delay_min=0.01, _retry_delay_max=0.02, _retry_delay_default=0.01
    ) as connection:
        run(connection, INSERT)
    assert len(gate.log.matching("^INSERT")) == 2
    assert _count(gate) == 2


def test_a_transaction_whose_client_is_gone_hinders_nobody(gate: Gate) -> None:
    with client(gate) as connection:
        run(connection, "BEGIN TRANSACTION")
        run(connection, "UPDATE m.t SET n = 1")
        gate.cut()
    with client(gate) as other:
        run(other, INSERT)
    assert _count(gate) == 1


def test_after_a_restart_nobody_knows_the_session(gate: Gate, connection: Connection) -> None:
    run(connection, "BEGIN TRANSACTION")
    gate.cut()
    with pytest.raises(Exception, match=r"SessionHandle|aborted"):
        run(connection, INSERT)
    assert _count(gate) == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_warehouse_that_is_busy_is_asked_again(gate: Gate, status: int) -> None:
    gate.status("^INSERT", status)
    with client(gate, _retry_delay_min=0.1) as connection:
        run(connection, INSERT)
    assert len(gate.log.matching("^INSERT")) == 2
    assert _count(gate) == 1


def test_a_token_that_has_expired_is_refused_until_healed(gate: Gate, connection: Connection) -> None:
    gate.expire_token()
    with pytest.raises(Exception, match=r"403|Invalid access token"):
        run(connection, "SELECT 1")
    gate.heal()
    assert run(connection, "SELECT 1") == [(1,)]


def test_a_volume_that_is_full_takes_no_file(gate: Gate, connection: Connection) -> None:
    run(connection, "CREATE VOLUME m.v")
    gate.fill_volumes()
    put = "PUT '__input_stream__' INTO '/Volumes/main/m/v/a' OVERWRITE"
    with connection.cursor() as cursor, pytest.raises(sql.Error, match="507"):
        cursor.execute(put, input_stream=io.BytesIO(b"x"))
    assert gate.warehouse.volumes.files() == []


def test_a_file_whose_answer_was_lost_may_be_there(gate: Gate, connection: Connection) -> None:
    run(connection, "CREATE VOLUME m.v")
    gate.drop_before("^PUT /presigned")
    put = "PUT '__input_stream__' INTO '/Volumes/main/m/v/a' OVERWRITE"
    with connection.cursor() as cursor, pytest.raises(Exception, match="aborted"):
        cursor.execute(put, input_stream=io.BytesIO(b"x"))
    assert gate.warehouse.volumes.files() == []


def test_a_conflict_once_is_gone_at_the_second_try(gate: Gate, connection: Connection) -> None:
    gate.conflict("^COMMIT")
    for _ in range(2):
        run(connection, "BEGIN TRANSACTION")
        run(connection, INSERT)
        try:
            run(connection, "COMMIT")
        except sql.Error as error:
            assert "DELTA_CONCURRENT_WRITE" in str(error)  # noqa: PT017  # the second time there is none
            run(connection, "ROLLBACK")
    assert _count(gate) == 1


def test_the_nth_statement_is_refused(gate: Gate, connection: Connection) -> None:
    gate.refuse("^INSERT", "out of memory", "SPARK_OUT_OF_MEMORY", "53200", skip=1)
    run(connection, INSERT)
    with pytest.raises(sql.ServerOperationError, match="SPARK_OUT_OF_MEMORY"):
        run(connection, INSERT)
    run(connection, INSERT)
    assert _count(gate) == 2


def test_a_test_can_wait_until_a_statement_arrives(gate: Gate, connection: Connection) -> None:
    waiting = threading.Thread(target=gate.log.wait_for, args=("SELECT 43",))
    waiting.start()
    run(connection, "SELECT 43")
    waiting.join(20)
    assert not waiting.is_alive()
