"""What statements do: changes of rows and their counts, definitions, transactions, what the catalog says."""

import contextlib
import json
import threading

import pytest

from medgen_pipeline_tests.dbxgate.conftest import MANAGED
from medgen_pipeline_tests.dbxgate.engine import Running
from medgen_pipeline_tests.dbxgate.errors import GateError
from medgen_pipeline_tests.dbxgate.gate import Gate
from medgen_pipeline_tests.dbxgate.warehouse import Session


def _run(gate: Gate, session: Session, *statements: str) -> list[tuple[object, ...]]:
    table = None
    for text in statements:
        table = gate.warehouse.execute(session, text, (), Running()).table
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table else []


@pytest.fixture
def rows(gate: Gate) -> Gate:
    """The table with three rows."""
    gate.query("INSERT INTO m.t VALUES ('a', 1), ('b', 2), (NULL, 3)")
    return gate


def test_insert_fills_the_columns_that_are_not_named_with_null(gate: Gate) -> None:
    assert gate.query("INSERT INTO m.t (n) VALUES (1), (2)") == [(2, 2)]
    assert gate.query("SELECT * FROM m.t ORDER BY n") == [(None, 1), (None, 2)]


@pytest.mark.parametrize("wrong", ["(n) VALUES (NULL)", "(k) VALUES ('a')", "(n, x) VALUES (1, 2)", "VALUES (1)"])
def test_insert_that_does_not_fit_fails(gate: Gate, wrong: str) -> None:
    with pytest.raises(GateError):
        gate.query(f"INSERT INTO m.t {wrong}")
    assert gate.query("SELECT COUNT(*) FROM m.t") == [(0,)]


def test_update_counts_the_rows_that_match(rows: Gate) -> None:
    assert rows.query("UPDATE m.t SET k = k || '!', n = n + 10 WHERE k IN ('a', 'b')") == [(2,)]
    assert rows.query("UPDATE m.t SET k = 'x' WHERE n > 99") == [(0,)]
    assert rows.query("SELECT * FROM m.t ORDER BY n") == [(None, 3), ("a!", 11), ("b!", 12)]


def test_a_comparison_with_null_changes_nothing(rows: Gate) -> None:
    assert rows.query("UPDATE m.t SET n = 0 WHERE k <> 'a'") == [(1,)]
    assert rows.query("DELETE FROM m.t WHERE k <> 'zz'") == [(2,)]
    assert rows.query("SELECT * FROM m.t") == [(None, 3)]


def test_delete_looks_into_another_table(rows: Gate) -> None:
    rows.query("CREATE TABLE m.gone AS SELECT 'a' AS k")
    where = "WHERE EXISTS (SELECT 1 FROM m.gone AS g WHERE g.k = t.k)"
    assert rows.query(f"DELETE FROM m.t AS t {where}") == [(1,)]
    assert rows.query(f"DELETE FROM m.t AS t {where}") == [(0,)]
    assert rows.query("DELETE FROM m.t") == [(2,)]


def test_merge_counts_what_it_did(rows: Gate) -> None:
    source = "(SELECT * FROM (VALUES ('a', 10), ('b', 0), ('c', 30)) AS v(k, n)) AS s"
    merge = (
        f"MERGE INTO m.t AS t USING {source} ON t.k <=> s.k WHEN MATCHED AND s.n = 0 THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT (k, n) VALUES (s.k, s.n)"
    )
    assert rows.query(merge) == [(3, 1, 1, 1)]
    assert sorted(rows.query("SELECT * FROM m.t"), key=str) == [("a", 10), ("c", 30), (None, 3)]
    assert rows.query("SELECT COUNT(*) FROM m.t") == [(3,)]


def test_merge_updates_what_matches_and_fulfils_more_and_inserts_what_does_not_match(rows: Gate) -> None:
    source = "(SELECT * FROM (VALUES ('a', 10), ('b', 0), ('c', 30)) AS v(k, n)) AS s"
    merge = (
        f"MERGE INTO m.t AS t USING {source} ON t.k <=> s.k WHEN MATCHED AND s.n > 0 "
        "THEN UPDATE SET n = t.n + s.n WHEN NOT MATCHED THEN INSERT (k, n) VALUES (s.k, s.n)"
    )
    assert rows.query(merge) == [(2, 1, 0, 1)]
    assert rows.query(merge) == [(2, 2, 0, 0)]
    assert sorted(rows.query("SELECT * FROM m.t"), key=str) == [("a", 21), ("b", 2), ("c", 60), (None, 3)]


def test_merge_may_only_delete_or_only_insert(rows: Gate) -> None:
    source = "(SELECT * FROM (VALUES ('a', 10), ('a', 11), ('c', 30), ('c', 31)) AS v(k, n)) AS s"
    merge = f"MERGE INTO m.t AS t USING {source} ON t.k = s.k WHEN"
    insert = f"{merge} NOT MATCHED THEN INSERT (n, k) VALUES (s.n + 1, s.k)"
    assert rows.query(insert) == [(2, 0, 0, 2)]
    assert rows.query(insert) == [(0, 0, 0, 0)]
    assert rows.query(f"{merge} MATCHED THEN DELETE") == [(3, 0, 3, 0)]
    assert sorted(rows.query("SELECT * FROM m.t"), key=str) == [("b", 2), (None, 3)]
    rows.query("MERGE INTO m.t USING (SELECT 2 AS n) AS s ON t.n = s.n WHEN MATCHED THEN DELETE")
    assert rows.query("SELECT * FROM m.t") == [(None, 3)]


def test_merge_by_two_rows_of_the_source_fails(rows: Gate) -> None:
    source = "(SELECT 'a' AS k, 1 AS n UNION ALL SELECT 'a', 2) AS s"
    update = f"MERGE INTO m.t AS t USING {source} ON t.k = s.k WHEN MATCHED THEN UPDATE SET n = s.n"
    for merge in (update, f"{update} WHEN NOT MATCHED THEN INSERT (k) VALUES (s.k)"):
        with pytest.raises(GateError, match="DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE"):
            rows.query(merge)


def test_a_table_is_a_delta_table(rows: Gate) -> None:
    log = rows.warehouse.catalog.tables[("m", "t")].path / "_delta_log"
    entries = [json.loads(line) for file in log.glob("*.json") for line in file.read_text().splitlines()]
    added = [json.loads(entry["add"]["stats"])["numRecords"] for entry in entries if "add" in entry]
    assert sum(added) == 3
    assert any("protocol" in entry for entry in entries)


def test_truncate_empties_a_table(rows: Gate) -> None:
    rows.query("TRUNCATE TABLE m.t")
    assert rows.query("SELECT COUNT(*) FROM m.t") == [(0,)]


def test_columns_are_added_renamed_and_dropped_with_column_mapping(rows: Gate) -> None:
    rows.query("ALTER TABLE m.t ADD COLUMN x STRING")
    with pytest.raises(GateError, match=r"delta\.columnMapping\.mode"):
        rows.query("ALTER TABLE m.t RENAME COLUMN x TO y")
    with pytest.raises(GateError, match=r"delta\.columnMapping\.mode"):
        rows.query("ALTER TABLE m.t DROP COLUMN x")
    rows.query("ALTER TABLE m.t SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
    rows.query("ALTER TABLE m.t RENAME COLUMN x TO y")
    assert rows.query("SELECT n, y FROM m.t WHERE k = 'a'") == [(1, None)]
    rows.query("ALTER TABLE m.t DROP COLUMN y")
    assert rows.query("SHOW COLUMNS IN m.t") == [("k",), ("n",)]
    assert rows.query("SELECT SUM(n) FROM m.t") == [(6,)]


def test_a_table_moves_to_another_name_and_its_rows_with_it(rows: Gate) -> None:
    rows.query("ALTER TABLE m.t RENAME TO m.u")
    assert rows.query("SHOW TABLES IN m") == [("m", "u", "false")]
    assert rows.query("SELECT SUM(u.n) FROM m.u") == [(6,)]


def test_a_view_follows_its_table(rows: Gate) -> None:
    rows.query("CREATE VIEW m.w AS SELECT k, n * 2 AS twice FROM m.t WHERE k IS NOT NULL")
    rows.query("DELETE FROM m.t WHERE k = 'a'")
    assert rows.query("SELECT w.twice FROM m.w") == [(4,)]
    with pytest.raises(GateError, match="EXPECT_TABLE_NOT_VIEW"):
        rows.query("DELETE FROM m.w")
    with pytest.raises(GateError, match="WRONG_COMMAND_FOR_OBJECT_TYPE"):
        rows.query("DROP TABLE m.w")


@pytest.mark.parametrize(
    ("statement", "condition"),
    [
        ("SELECT * FROM m.absent", "TABLE_OR_VIEW_NOT_FOUND"),
        ("DROP TABLE m.absent", "TABLE_OR_VIEW_NOT_FOUND"),
        ("CREATE TABLE m.t (a STRING)", "TABLE_OR_VIEW_ALREADY_EXISTS"),
        ("CREATE TABLE absent.t (a STRING)", "SCHEMA_NOT_FOUND"),
        ("CREATE SCHEMA m", "SCHEMA_ALREADY_EXISTS"),
        ("DROP SCHEMA m", "SCHEMA_NOT_EMPTY"),
        ("ALTER TABLE m.t ADD COLUMN k STRING", "FIELD_ALREADY_EXISTS"),
        ("SELECT * FROM other.m.t", "NO_SUCH_CATALOG_EXCEPTION"),
        ("LIST '/Volumes/main/m/absent/'", "VOLUME_DOES_NOT_EXIST"),
        ("LIST '/Volumes/main/m/absent/../../x/'", "VOLUME_DOES_NOT_EXIST"),
        ("SELECT CAST('x' AS BIGINT)", "CAST_INVALID_INPUT"),
        ("CREATE TABLE m.u (a STRING) TBLPROPERTIES ('delta.x' = '1')", "does not emulate the table property"),
        ("COPY INTO m.t FROM '/Volumes/main/m/v/' FILEFORMAT = CSV", "VOLUME_DOES_NOT_EXIST"),
        ("SELECT * FROM information_schema.routines", "does not emulate information_schema.routines"),
    ],
)
def test_an_error_has_the_condition_that_the_vendor_lists(gate: Gate, statement: str, condition: str) -> None:
    with pytest.raises(GateError, match=condition):
        gate.query(statement)


def test_if_exists_and_if_not_exists_do_nothing_where_there_is_nothing_to_do(gate: Gate) -> None:
    for statement in (
        "CREATE SCHEMA IF NOT EXISTS m",
        "CREATE TABLE IF NOT EXISTS m.t (other STRING)",
        "DROP TABLE IF EXISTS m.absent",
        "DROP VIEW IF EXISTS m.absent",
        "DROP SCHEMA IF EXISTS absent",
        "DROP VOLUME IF EXISTS m.absent",
    ):
        gate.query(statement)
    assert gate.query("SHOW COLUMNS IN m.t") == [("k",), ("n",)]


def test_the_catalog_describes_what_there_is(gate: Gate) -> None:
    gate.query("COMMENT ON TABLE m.t IS 'it\\'s'")
    gate.query("COMMENT ON COLUMN m.t.n IS 'how many'")
    gate.query("CREATE VIEW m.w AS SELECT k FROM m.t")
    gate.query("CREATE VOLUME m.v COMMENT 'parts'")
    mine = "WHERE table_schema = 'm' ORDER BY"
    assert gate.query(f"SELECT table_name, table_type, comment FROM information_schema.tables {mine} table_name") == [
        ("t", "MANAGED", "it's"),
        ("w", "VIEW", None),
    ]
    columns = "table_name, column_name, ordinal_position, is_nullable, data_type, full_data_type, comment"
    assert gate.query(f"SELECT {columns} FROM information_schema.columns {mine} table_name, ordinal_position") == [
        ("t", "k", 1, "YES", "STRING", "string", None),
        ("t", "n", 2, "NO", "LONG", "bigint", "how many"),
        ("w", "k", 1, "YES", "STRING", "string", None),
    ]
    assert gate.query("SELECT volume_name, comment FROM main.information_schema.volumes") == [("v", "parts")]
    assert ("m",) in gate.query("SELECT schema_name FROM information_schema.schemata")
    assert gate.query("DESCRIBE TABLE m.t") == [("k", "string", None), ("n", "bigint", "how many")]
    assert gate.query("SHOW VOLUMES IN m") == [("m", "v")]


def test_a_transaction_is_seen_by_others_when_it_is_committed(rows: Gate) -> None:
    rows.query(f"CREATE TABLE m.feed (k STRING) {MANAGED}")
    mine = Session()
    _run(rows, mine, "BEGIN TRANSACTION", "DELETE FROM m.t WHERE n = 1", "INSERT INTO m.feed VALUES ('a')")
    assert _run(rows, mine, "SELECT COUNT(*) FROM m.t") == [(2,)]
    assert rows.query("SELECT (SELECT COUNT(*) FROM m.t), (SELECT COUNT(*) FROM m.feed)") == [(3, 0)]
    _run(rows, mine, "COMMIT")
    assert rows.query("SELECT (SELECT COUNT(*) FROM m.t), (SELECT COUNT(*) FROM m.feed)") == [(2, 1)]


def test_a_transaction_that_is_rolled_back_or_has_failed_leaves_nothing(rows: Gate) -> None:
    mine = Session()
    _run(rows, mine, "BEGIN TRANSACTION", "DELETE FROM m.t", "ROLLBACK")
    _run(rows, mine, "BEGIN TRANSACTION", "DELETE FROM m.t")
    with pytest.raises(GateError, match="NOT_NULL"):
        _run(rows, mine, "INSERT INTO m.t (k) VALUES ('a')")
    for statement in ("SELECT 1", "COMMIT"):
        with pytest.raises(GateError, match="ROLLBACK first"):
            _run(rows, mine, statement)
    _run(rows, mine, "ROLLBACK")
    assert rows.query("SELECT COUNT(*) FROM m.t") == [(3,)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE m.u (a STRING)",
        "DROP TABLE m.t",
        "ALTER TABLE m.t ADD COLUMN a STRING",
        "TRUNCATE TABLE m.t",
        "COMMENT ON TABLE m.t IS 'x'",
        "COPY INTO m.t FROM '/Volumes/main/m/v/' FILEFORMAT = PARQUET",
        "DESCRIBE TABLE m.t",
        "BEGIN TRANSACTION",
    ],
)
def test_a_transaction_takes_queries_and_changes_of_rows_alone(gate: Gate, statement: str) -> None:
    mine = Session()
    _run(gate, mine, "BEGIN TRANSACTION")
    with pytest.raises(GateError, match="TRANSACTION_NOT_SUPPORTED"):
        _run(gate, mine, statement)


def test_a_table_without_catalog_commits_is_not_written_in_a_transaction(gate: Gate) -> None:
    gate.query("CREATE TABLE m.plain (a STRING)")
    gate.query("INSERT INTO m.plain VALUES ('a')")
    mine = Session()
    _run(gate, mine, "BEGIN TRANSACTION", "SELECT * FROM m.plain")
    with pytest.raises(GateError, match="CATALOG_COMMITS"):
        _run(gate, mine, "INSERT INTO m.plain VALUES ('b')")


def test_the_first_to_commit_wins(rows: Gate) -> None:
    mine = Session()
    _run(rows, mine, "BEGIN TRANSACTION", "UPDATE m.t SET n = n + 1")
    rows.query("DELETE FROM m.t WHERE n = 1")
    with pytest.raises(GateError, match="ConcurrentWriteException"):
        _run(rows, mine, "COMMIT")
    with pytest.raises(GateError, match="NESTED_TRANSACTION"):
        _run(rows, mine, "BEGIN TRANSACTION")
    _run(rows, mine, "ROLLBACK", "BEGIN TRANSACTION", "UPDATE m.t SET n = n + 1", "COMMIT")
    assert rows.query("SELECT SUM(n) FROM m.t") == [(7,)]


def test_of_six_who_want_a_lock_one_has_it(gate: Gate) -> None:
    gate.query("INSERT INTO m.t VALUES (NULL, 0)")
    won: list[object] = []

    def take(number: int) -> None:
        with contextlib.suppress(GateError):  # who comes second
            won.extend(gate.query(f"UPDATE m.t SET k = 'holder {number}', n = n + 1 WHERE k IS NULL"))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count((1,)) == 1
    assert gate.query("SELECT n FROM m.t") == [(1,)]


def test_without_autocommit_a_statement_begins_a_transaction(rows: Gate) -> None:
    mine = Session()
    _run(rows, mine, "SET AUTOCOMMIT = FALSE", "DELETE FROM m.t")
    assert rows.query("SELECT COUNT(*) FROM m.t") == [(3,)]
    _run(rows, mine, "COMMIT")
    assert rows.query("SELECT COUNT(*) FROM m.t") == [(0,)]


def test_a_number_that_overflows_wraps_here_and_is_an_error_there(gate: Gate) -> None:
    """Known, and in the README: Databricks raises ARITHMETIC_OVERFLOW. An engine that does makes this test wrong."""
    assert gate.query("SELECT 9223372036854775807 + 1") == [(-(2**63),)]


def test_tables_that_have_held_the_same_rows_go_their_own_ways(gate: Gate) -> None:
    gate.query(f"CREATE TABLE m.u (k STRING, n BIGINT NOT NULL) {MANAGED}")
    for table in ("m.t", "m.u"):
        gate.query(f"INSERT INTO {table} VALUES ('a', 1), ('b', 2)")
    merge = "WHEN MATCHED AND held.n = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET n = 3"
    gate.query(f"MERGE INTO m.u AS held USING (SELECT * FROM m.t) AS given ON held.k = given.k {merge}")
    assert gate.query("SELECT k, n FROM m.u") == [("b", 3)]
    for table in ("m.t", "m.u"):
        gate.query(f"INSERT INTO {table} VALUES ('c', 4)")
    gate.query("UPDATE m.t SET n = 5 WHERE k = 'a'")
    found = [gate.query(f"SELECT k, n FROM {table} ORDER BY k") for table in ("m.t", "m.u")]
    assert found == [[("a", 5), ("b", 2), ("c", 4)], [("b", 3), ("c", 4)]]
