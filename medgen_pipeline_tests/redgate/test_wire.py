"""psycopg 3 against the gate: what works with the settings for Redshift and fails without; sessions, transactions."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from medgen_pipeline_tests.gates.server import server_tls
from medgen_pipeline_tests.redgate.conftest import PSYCOPG_SETTINGS
from medgen_pipeline_tests.redgate.gate import Gate, Isolation
from medgen_pipeline_tests.redgate.s3server import S3Server

TABLE = 'CREATE TABLE "t" ("k" VARCHAR(8) NOT NULL, "v" VARCHAR(20), "n" BIGINT, PRIMARY KEY ("k")) DISTKEY("k")'


def test_psycopg_with_the_settings_for_redshift_runs_both_protocols(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("INSERT INTO t VALUES (%s, %s, %s)", ("a", "é 'quoted'", 7))
    connection.execute("INSERT INTO t VALUES ('b', NULL, -1)")
    assert connection.execute("SELECT v, n FROM t ORDER BY k").fetchall() == [("é 'quoted'", 7), (None, -1)]
    assert connection.execute("SELECT n FROM t WHERE k = %s", ("a",), binary=True).fetchone() == (7,)
    assert connection.execute("/* nothing */").description is None


def test_the_server_reports_version_8_and_the_encoding_unicode(gate: Gate) -> None:
    with psycopg.connect(gate.dsn(), autocommit=True) as client:
        assert client.info.server_version == 80002
        assert client.pgconn.parameter_status(b"client_encoding") == b"UNICODE"
        row = client.execute("SELECT version()").fetchone()
    assert row is not None
    assert "Redshift" in row[0]


def test_default_prepared_statements_fail_at_the_next_drop_as_on_redshift(gate: Gate) -> None:
    with psycopg.connect(gate.dsn(), autocommit=True, client_encoding="utf8") as client:
        for _ in range(7):
            client.execute("SELECT %s", (1,))
        client.execute("CREATE TABLE t (k INTEGER)")
        with pytest.raises(psycopg.errors.SyntaxError, match='near "ALL"') as caught:
            client.execute("DROP TABLE t")  # makes psycopg forget its prepared statements
    assert "deallocate-all" in str(caught.value.diag.message_hint)


def test_a_backslash_quoted_on_the_client_fails_as_on_redshift(gate: Gate) -> None:
    settings = PSYCOPG_SETTINGS | {"cursor_factory": psycopg.ClientCursor}
    with (
        psycopg.connect(gate.dsn(), **settings) as client,
        pytest.raises(psycopg.errors.UndefinedObject, match='type "e" does not exist'),
    ):
        client.execute("SELECT %s", ("a\\b",))


def test_a_nested_transaction_fails_because_there_are_no_savepoints(connection: psycopg.Connection) -> None:
    with (
        pytest.raises(psycopg.errors.FeatureNotSupported, match="SAVEPOINT"),
        connection.transaction(),
        connection.transaction(),
    ):
        pass


def test_copy_from_stdin_fails(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    with pytest.raises(psycopg.errors.SyntaxError, match="STDIN"), connection.cursor().copy("COPY t FROM STDIN"):
        pass


def test_a_refusal_names_its_rule_and_awss_page_and_aborts_the_transaction(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("BEGIN")
    with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
        connection.execute("CREATE INDEX i ON t (k)")
    assert str(caught.value.diag.message_hint).startswith("redgate rule index: https://docs.aws.amazon.com/redshift/")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        connection.execute("SELECT 1")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        connection.execute("TRUNCATE t")
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_several_plain_statements_at_once_are_one_transaction(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    with pytest.raises(psycopg.Error):
        connection.execute("INSERT INTO t VALUES ('a'); SELECT 1/0")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_truncate_commits_what_came_before_it(connection: psycopg.Connection, gate: Gate) -> None:
    connection.execute(TABLE)
    connection.execute("CREATE TABLE other (k INTEGER)")
    connection.execute("INSERT INTO t VALUES ('a')")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO other VALUES (1)")
    connection.execute("TRUNCATE t")
    connection.execute("ROLLBACK")
    with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as second:
        assert second.execute("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM other)").fetchone() == (0, 1)


def test_a_rename_is_seen_by_others_only_after_commit(connection: psycopg.Connection, gate: Gate) -> None:
    connection.execute(TABLE)
    with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as reader:
        with connection.transaction():
            connection.execute("ALTER TABLE t RENAME TO u")
            assert reader.execute("SELECT table_name FROM svv_tables WHERE table_schema = 'public'").fetchall() == [
                ("t",)
            ]
        with pytest.raises(psycopg.errors.UndefinedTable):
            reader.execute("SELECT 1 FROM t")


def test_a_torn_rename_is_seen_by_others_before_commit(backend_dsn: str, s3: S3Server) -> None:
    with (
        Gate(backend_dsn, s3.client_settings, torn_rename=True) as gate,
        psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as writer,
        psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as reader,
    ):
        writer.execute(TABLE)
        with writer.transaction():
            writer.execute("ALTER TABLE t RENAME TO u")
            assert reader.execute("SELECT count(*) FROM u").fetchone() == (0,)


def test_a_late_binding_view_finds_its_table_by_name_whenever_it_is_read(connection: psycopg.Connection) -> None:
    connection.execute("CREATE SCHEMA medgen")
    connection.execute("CREATE TABLE medgen.t (k VARCHAR(5), n BIGINT)")
    connection.execute("INSERT INTO medgen.t VALUES ('a', 1)")
    connection.execute("CREATE VIEW medgen.late AS SELECT k, n + 1 AS m FROM medgen.t WITH NO SCHEMA BINDING")
    assert connection.execute("SELECT k, m FROM medgen.late WHERE k = 'a'").fetchall() == [("a", 2)]
    with connection.transaction():
        connection.execute("CREATE TABLE medgen.u (k VARCHAR(9), n BIGINT, more BIGINT)")
        connection.execute("INSERT INTO medgen.u VALUES ('another', 2, 3)")
        connection.execute("ALTER TABLE medgen.t RENAME TO retired")
        connection.execute("ALTER TABLE medgen.u RENAME TO t")
        connection.execute("DROP TABLE medgen.retired")
    assert connection.execute("SELECT k, m FROM medgen.late").fetchall() == [("another", 3)]
    connection.execute("CREATE OR REPLACE VIEW medgen.late AS SELECT k, n AS m FROM medgen.t WITH NO SCHEMA BINDING")
    assert connection.execute("SELECT m FROM medgen.late").fetchall() == [(2,)]
    connection.execute("DROP TABLE medgen.t")  # nothing depends on it
    with pytest.raises(psycopg.errors.UndefinedTable, match=r"medgen\.t"):
        connection.execute("SELECT k FROM medgen.late")


def test_vacuum_is_refused_inside_a_transaction(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("VACUUM t")
    with pytest.raises(psycopg.errors.ActiveSqlTransaction), connection.transaction():
        connection.execute("VACUUM t")


def test_lengths_are_bytes_and_text_is_256_of_them(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (a TEXT, b VARCHAR(4))")
    connection.execute("INSERT INTO t VALUES (%s, %s)", ("x" * 256, "éé"))
    for values in (("x" * 257, ""), ("é" * 129, ""), ("", "ééx")):
        with pytest.raises(psycopg.errors.InternalError_, match="Value too long for character type"):
            connection.execute("INSERT INTO t VALUES (%s, %s)", values)


def test_lengths_survive_like_and_an_added_column_has_one(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (a VARCHAR(4))")
    connection.execute("CREATE TABLE u (LIKE t INCLUDING DEFAULTS)")
    connection.execute("ALTER TABLE u ADD COLUMN b VARCHAR(2)")
    for values in (("ééé", ""), ("", "éé")):
        with pytest.raises(psycopg.errors.InternalError_, match="Value too long"):
            connection.execute("INSERT INTO u VALUES (%s, %s)", values)


def test_a_text_column_can_be_resized_outside_a_transaction(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (a VARCHAR(4), n INTEGER)")
    connection.execute("ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(6)")
    connection.execute("INSERT INTO t VALUES ('ééé')")
    for statement in ("INSERT INTO t VALUES ('éééé')", "ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(5)"):
        with pytest.raises(psycopg.errors.InternalError_, match="Value too long"):
            connection.execute(statement.encode())
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="no VARCHAR column"):
        connection.execute("ALTER TABLE t ALTER COLUMN n TYPE VARCHAR(6)")
    with pytest.raises(psycopg.errors.ActiveSqlTransaction), connection.transaction():
        connection.execute("ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(8)")


def test_append_moves_the_rows_of_a_table_of_the_same_layout(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("CREATE TABLE s (LIKE t)")
    connection.execute("INSERT INTO s VALUES ('a'), ('b')")
    connection.execute("ALTER TABLE t APPEND FROM s")
    assert connection.execute("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM s)").fetchone() == (2, 0)
    connection.execute(TABLE.replace('DISTKEY("k")', 'DISTKEY("n")').replace('"t"', '"u"').encode())
    with pytest.raises(psycopg.errors.InternalError_, match="differ"):
        connection.execute("ALTER TABLE t APPEND FROM u")
    with pytest.raises(psycopg.errors.ActiveSqlTransaction), connection.transaction():
        connection.execute("ALTER TABLE t APPEND FROM s")


def test_who_holds_a_lock_is_shown(connection: psycopg.Connection, gate: Gate) -> None:
    connection.execute(TABLE)
    with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK t")
        query = (
            "SELECT t.lock_mode FROM svv_transactions t, pg_class c "
            "WHERE c.oid = t.relation AND c.relname = 't' AND t.granted AND t.pid <> pg_backend_pid()"
        )
        assert connection.execute(query).fetchall() == [("AccessExclusiveLock",)]


def test_clients_that_come_first_at_the_same_time_all_get_in(database: str, s3: S3Server) -> None:
    with Gate(database, s3.client_settings) as gate, ThreadPoolExecutor(4) as pool:
        clients = list(pool.map(lambda _: psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS), range(4)))
        for client in clients:
            client.close()


def test_keys_are_not_enforced_but_not_null_is(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("INSERT INTO t VALUES ('a'), ('a')")
    with pytest.raises(psycopg.errors.InternalError_, match="Cannot insert a NULL value into column k"):
        connection.execute("INSERT INTO t (k) VALUES (NULL)")


def test_merge_refuses_a_row_that_matches_twice(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("CREATE TABLE s (LIKE t)")
    connection.execute("INSERT INTO t VALUES ('a', 'old', 1)")
    merge = (
        'MERGE INTO "t" USING "s" ON "t"."k" = "s"."k" WHEN MATCHED THEN UPDATE SET "v" = "s"."v" '
        'WHEN NOT MATCHED THEN INSERT ("k", "v") VALUES ("s"."k", "s"."v")'
    )
    connection.execute("INSERT INTO s VALUES ('a', 'new', 1), ('b', 'added', 2)")
    connection.execute(merge)
    assert connection.execute("SELECT k, v FROM t ORDER BY k").fetchall() == [("a", "new"), ("b", "added")]
    connection.execute("INSERT INTO s VALUES ('a', 'newer', 1)")
    with pytest.raises(psycopg.errors.InternalError_, match="Found multiple matches"):
        connection.execute(merge)


def test_trailing_blanks_do_not_count_in_comparisons_and_joins(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("CREATE TABLE s (LIKE t)")
    connection.execute("INSERT INTO t VALUES ('a', 'x')")
    connection.execute("INSERT INTO s VALUES ('a  ', 'x ')")
    query = "SELECT t.v <> s.v, decode(t.v, s.v, 0, 1), len(s.v), t.v = 'x  ', t.v IN ('x ') FROM t JOIN s ON t.k = s.k"
    assert connection.execute(query).fetchall() == [(False, 0, 2, True, True)]
    outer = "SELECT count(*) FROM t FULL OUTER JOIN s ON t.k = s.k WHERE t.k IS NULL OR s.k IS NULL"
    assert connection.execute(outer).fetchone() == (0,)


def test_fnv_hash_sees_trailing_blanks_and_takes_a_seed(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("INSERT INTO t VALUES ('a', 'x', 1), ('b', 'x ', 1), ('c', 'x', 1), ('d', 'x', NULL)")
    rows = connection.execute("SELECT fnv_hash(v, fnv_hash(n)) FROM t ORDER BY k").fetchall()
    plain, blank, same, null = (row[0] for row in rows)
    assert plain == same != blank
    assert null is None


def test_names_fold_to_lower_case_even_when_quoted(connection: psycopg.Connection) -> None:
    connection.execute('CREATE TABLE "Mixed" ("Key" INTEGER)')
    cursor = connection.execute('SELECT "KEY" FROM mixed')
    assert cursor.description is not None
    assert cursor.description[0].name == "key"


def test_the_search_path_can_be_set_without_losing_redshifts_functions(connection: psycopg.Connection) -> None:
    connection.execute("CREATE SCHEMA medgen")
    connection.execute('SET search_path TO "medgen"')
    connection.execute(TABLE)
    assert connection.execute("SELECT count(*) FROM medgen.t WHERE k = 'a'").fetchone() == (0,)
    assert connection.execute("SELECT nvl(NULL, 1), getdate() IS NOT NULL").fetchone() == (1, True)


def test_privileges_are_shown_and_can_be_granted_to_a_role(connection: psycopg.Connection, backend_dsn: str) -> None:
    with psycopg.connect(backend_dsn, autocommit=True) as direct:
        direct.execute("CREATE ROLE redgate_reader")
    try:
        connection.execute(TABLE)
        connection.execute("GRANT SELECT ON TABLE t TO ROLE redgate_reader")
        query = (
            "SELECT privilege_type, identity_name, identity_type FROM svv_relation_privileges WHERE relation_name = 't'"
        )
        assert ("SELECT", "redgate_reader", "role") in connection.execute(query).fetchall()
    finally:
        connection.execute("DROP TABLE t")
        with psycopg.connect(backend_dsn, autocommit=True) as direct:
            direct.execute("DROP ROLE redgate_reader")


def test_table_info_counts_rows_and_shows_no_empty_table(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)
    connection.execute("CREATE TABLE u (LIKE t)")
    connection.execute("INSERT INTO t VALUES ('a'), ('b')")
    assert connection.execute('SELECT "table", tbl_rows FROM svv_table_info').fetchall() == [("t", 2)]


@pytest.mark.parametrize("isolation", Isolation)
def test_two_writers_of_a_row_end_in_error_1023(backend_dsn: str, s3: S3Server, isolation: Isolation) -> None:
    with (
        Gate(backend_dsn, s3.client_settings, isolation=isolation) as gate,
        psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as first,
        psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as second,
    ):
        first.execute(TABLE)
        first.execute("INSERT INTO t VALUES ('a', 'b', 1)")
        second.execute("BEGIN ISOLATION LEVEL READ COMMITTED")  # accepted and not obeyed, as on Redshift
        second.execute("SELECT count(*) FROM t")
        first.execute("UPDATE t SET n = 2")
        with pytest.raises(psycopg.errors.InternalError_, match="1023") as caught:
            second.execute("UPDATE t SET n = 3")
    assert "Serializable isolation violation" in str(caught.value.diag.message_detail)


def test_a_wrong_password_an_unknown_user_and_an_unknown_parameter_are_refused(backend_dsn: str, s3: S3Server) -> None:
    with Gate(backend_dsn, s3.client_settings, passwords={"loader": "se:cret/"}) as gate:
        with psycopg.connect(gate.dsn(), **PSYCOPG_SETTINGS) as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
        for dsn in (gate.dsn().replace("cret", "wrong"), gate.dsn(user="other") + "?password=x"):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(dsn)
        with pytest.raises(psycopg.OperationalError, match='unrecognized configuration parameter "options"'):
            psycopg.connect(gate.dsn(options="-c geqo=off"))


def test_an_unknown_database_is_refused(gate: Gate) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(gate.dsn(), dbname="nowhere")


def test_tls_is_served_verified_and_demanded(backend_dsn: str, s3: S3Server, tmp_path: Path) -> None:
    context = server_tls("127.0.0.1", tmp_path / "ca.pem")
    with Gate(backend_dsn, s3.client_settings, tls=context) as gate:
        verified = gate.dsn(sslmode="verify-full", sslrootcert=str(tmp_path / "ca.pem"))
        with psycopg.connect(verified, **PSYCOPG_SETTINGS) as client:
            assert client.pgconn.ssl_in_use
        with pytest.raises(psycopg.OperationalError, match="SSL off"):
            psycopg.connect(gate.dsn(sslmode="disable"))


def test_a_cancel_request_ends_a_running_statement(gate: Gate, connection: psycopg.Connection) -> None:
    gate.slow("SELECT 42", 60)
    ended = threading.Event()

    def cancel_until_ended() -> None:
        gate.log.wait_for("SELECT 42")
        while not ended.wait(0.05):
            connection.cancel_safe()

    canceller = threading.Thread(target=cancel_until_ended)
    canceller.start()
    with pytest.raises(psycopg.errors.QueryCanceled, match="cancelled on user's request"):
        connection.execute("SELECT 42")
    ended.set()
    canceller.join()


def test_the_log_holds_statements_and_bound_values(gate: Gate, connection: psycopg.Connection) -> None:
    connection.execute("SELECT %s, %s", ("secret", None))
    last = gate.log.statements[-1]
    assert (last.sql, last.parameters) == ("SELECT $1, $2", ("secret", "NULL"))
    assert gate.log.matching("^select") == ["SELECT $1, $2"]
