"""The vendor's own connector, through TLS and Thrift: values, results, files, cancelling, who is let in."""

import io
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from databricks import sql
from databricks.sql.client import Connection

from medgen_pipeline_tests.dbxgate import service
from medgen_pipeline_tests.dbxgate.conftest import client, run
from medgen_pipeline_tests.dbxgate.gate import CLIENT, Gate

AWKWARD = [
    "",
    "plain",
    "tab\t \\ back\\nslash",
    "line\nfeed \r\n",
    "quote ' \" ` , |",
    "é 漢 😀 \u00a0",
    "\\N",
    "NULL",
    None,
]


def test_texts_and_numbers_arrive_as_they_were_sent(connection: Connection) -> None:
    for number, text in enumerate([*AWKWARD, "least", "most"]):
        number = {"least": -(2**63), "most": 2**63 - 1}.get(str(text), number)
        run(connection, "INSERT INTO m.t (k, n) VALUES (?, ?)", [text, number])
    assert [text for text, _ in run(connection, "SELECT * FROM m.t WHERE n BETWEEN 0 AND 99 ORDER BY n")] == AWKWARD
    assert run(connection, "SELECT MIN(n), MAX(n) FROM m.t") == [(-(2**63), 2**63 - 1)]


def test_every_type_comes_back_as_python_has_it(connection: Connection) -> None:
    ((whole, decimal, at, binary, truth, nothing),) = run(
        connection,
        "SELECT 1, CAST(12345678901234567890 AS DECIMAL(20, 0)), CAST('2026-01-07 12:00:00' AS TIMESTAMP), X'00ff',"
        " true, CAST(NULL AS STRING)",
    )
    assert (whole, decimal, binary, truth, nothing) == (1, Decimal(12345678901234567890), b"\x00\xff", True, None)
    assert at == datetime(2026, 1, 7, 12, tzinfo=UTC)


def test_parameters_have_a_position_or_a_name(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT :b || :a, '?'", {"a": "it's", "b": ":a"})
        assert tuple(cursor.fetchone() or ()) == (":ait's", "?")
        with pytest.raises(sql.Error, match="UNBOUND_SQL_PARAMETER"):
            cursor.execute("SELECT ?")


def test_a_long_result_comes_in_pages(gate: Gate, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PAGE_ROWS", 1000)
    numbers = "SELECT explode(sequence(1, 3500)) AS n"
    assert run(connection, numbers) == [(number,) for number in range(1, 3501)]
    gate.drop_before("FetchResults", skip=2)
    with connection.cursor() as cursor, pytest.raises(Exception, match="aborted"):
        cursor.execute(numbers).fetchall()


def _later(cursor: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement that was left running. The connector has no types for this."""
    cursor.get_async_execution_result()
    return [tuple(row) for row in cursor.fetchall()]


def test_a_statement_can_be_left_running_and_asked_for(gate: Gate, connection: Connection) -> None:
    gate.slow("SELECT 42", 0.3)
    with connection.cursor() as cursor:
        cursor.ASYNC_DEFAULT_POLLING_INTERVAL = 0.02  # type: ignore[assignment]  # seconds, 2 by default
        cursor.execute_async("SELECT 42")
        assert _later(cursor) == [(42,)]


def test_a_statement_that_takes_long_is_waited_for(
    gate: Gate, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_DIRECT_SECONDS", 0.05)
    gate.slow("SELECT 43", 0.4)
    assert run(connection, "SELECT 43") == [(43,)]


def test_a_cancelled_statement_leaves_nothing(gate: Gate, connection: Connection) -> None:
    gate.slow("^INSERT", 20)
    with connection.cursor() as cursor:
        cursor.execute_async("INSERT INTO m.t VALUES ('a', 1)")
        cursor.cancel()
        with pytest.raises(sql.Error):
            _later(cursor)
    assert gate.query("SELECT COUNT(*) FROM m.t") == [(0,)]


def test_a_statement_of_the_engine_is_cancelled_while_it_runs(connection: Connection) -> None:
    several = "(SELECT explode(sequence(1, 30000)) AS n)"
    with connection.cursor() as cursor:
        cursor.execute_async(f"SELECT COUNT(*) FROM {several} AS a JOIN {several} AS b ON a.n <> b.n")
        cursor.cancel()
        with pytest.raises(sql.Error, match="CANCELLED"):
            _later(cursor)


def test_files_go_through_a_volume_into_a_table_once(gate: Gate, connection: Connection, tmp_path: Path) -> None:
    run(connection, "CREATE VOLUME IF NOT EXISTS m.v")
    for name in ("a", "b"):
        file = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"k": [name, None], "n": pa.array([1, 2], pa.int64())}), file)
        with connection.cursor() as cursor:
            put = f"PUT '__input_stream__' INTO '/Volumes/main/m/v/7/{name}.parquet' OVERWRITE"
            cursor.execute(put, input_stream=io.BytesIO(file.read_bytes()))
    copy = "COPY INTO m.t FROM '/Volumes/main/m/v/7/' FILEFORMAT = PARQUET FILES = ('a.parquet', 'b.parquet')"
    assert run(connection, copy) == [(4, 4, 0)]
    assert run(connection, copy) == [(0, 0, 0)], "files that were loaded are skipped"
    assert run(connection, f"{copy} COPY_OPTIONS ('force' = 'true')") == [(4, 4, 0)]
    assert sorted(gate.query("SELECT DISTINCT k, n FROM m.t WHERE n = 1")) == [("a", 1), ("b", 1)]
    assert [name for _, name, _, _ in run(connection, "LIST '/Volumes/main/m/v/7'")] == ["a.parquet", "b.parquet"]
    with connection.cursor() as cursor:
        for name in ("a", "b"):
            cursor.execute(f"REMOVE '/Volumes/main/m/v/7/{name}.parquet'")
    assert gate.warehouse.volumes.files() == []


def test_a_file_that_is_not_as_the_table_is_refused(gate: Gate, connection: Connection) -> None:
    run(connection, "CREATE VOLUME m.v")
    folder = gate.warehouse.volumes.path("/Volumes/main/m/v")
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"k": ["a"], "n": pa.array([1], pa.int32())}), folder / "narrow.parquet")
    pq.write_table(pa.table({"k": ["a"], "n": pa.array([1], pa.int64()), "x": [1]}), folder / "wide.parquet")
    pq.write_table(pa.table({"k": ["a"]}), folder / "null.parquet")
    copy = "COPY INTO m.t FROM '/Volumes/main/m/v/' FILEFORMAT = PARQUET FILES = ('{}.parquet')"
    for name, reason in {
        "narrow": "does not emulate what COPY INTO casts",
        "wide": "SCHEMA_MISMATCH",
        "null": "NOT_NULL",
        "absent": "NOT_FOUND",
    }.items():
        with pytest.raises(sql.Error, match=reason):
            run(connection, copy.format(name))
    assert gate.query("SELECT COUNT(*) FROM m.t") == [(0,)]


def test_a_wrong_token_is_refused(gate: Gate) -> None:
    with pytest.raises(Exception, match=r"Invalid access token|403"), client(gate, access_token="wrong"):
        pass


def test_a_service_principal_gets_a_token_that_is_let_in(gate: Gate) -> None:
    def ask(secret: str) -> requests.Response:
        return requests.post(
            f"https://localhost:{gate.port}/oidc/v1/token",
            data={"grant_type": "client_credentials", "scope": "all-apis"},
            auth=(CLIENT[0], secret),
            verify=str(gate.certificate),
            timeout=10,
        )

    assert ask("wrong").status_code == 401
    with client(gate, access_token=ask(CLIENT[1]).json()["access_token"]) as connection:
        assert run(connection, "SELECT 1") == [(1,)]


def test_an_unknown_setting_of_a_session_is_refused(gate: Gate) -> None:
    with client(gate, session_configuration={"TIMEZONE": "UTC", "ANSI_MODE": "true"}) as connection:
        assert run(connection, "SELECT 1") == [(1,)]
    with pytest.raises(sql.Error, match="CONFIG_NOT_AVAILABLE"), client(gate, session_configuration={"work_mem": "1"}):
        pass


def test_a_refusal_reads_as_an_error_of_the_warehouse_and_names_its_rule(connection: Connection) -> None:
    with pytest.raises(
        sql.ServerOperationError, match=r"PARSE_SYNTAX_ERROR.*SQLSTATE: 42601 \(dbxgate rule returning: "
    ):
        run(connection, "DELETE FROM m.t RETURNING k")


def test_clients_work_side_by_side(gate: Gate) -> None:
    found: list[object] = []

    def insert(number: int) -> None:
        with client(gate) as connection:
            run(connection, "INSERT INTO m.t (n) VALUES (?)", [number])
            found.append(number)

    threads = [threading.Thread(target=insert, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gate.query("SELECT n FROM m.t ORDER BY n") == [(number,) for number in range(6)], "appends do not conflict"
