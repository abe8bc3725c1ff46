"""What the gate refuses, under which name, and what it lets through. Judged without a server: ``understood``."""

import pytest

from medgen_pipeline_tests.dbxgate import allowlist
from medgen_pipeline_tests.dbxgate.errors import RefusedError
from medgen_pipeline_tests.dbxgate.rules import RULES
from medgen_pipeline_tests.dbxgate.warehouse import understood

MANAGED = "TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported')"
MERGE = "MERGE INTO m.t AS t USING m.s AS s ON t.k = s.k"

REFUSED = {
    # How PostgreSQL writes names, texts and parameters.
    'SELECT "k" FROM m.t': "double-quotes",
    'CREATE TABLE m.t ("k" STRING)': "double-quotes",
    'INSERT INTO "m"."t" VALUES (1)': "double-quotes",
    "SELECT 'it''s'": "doubled-quote",
    r"SELECT E'a\\b'": "escape-string",
    "SELECT $$it's$$": "unreadable",
    "SELECT $1": "foreign-parameter",
    "SELECT k FROM m.t WHERE k = %s": "foreign-parameter",
    "SELECT 'open": "unreadable",
    "SELECT 1; SELECT 2": "one-statement",
    # Operators and clauses of its queries.
    "SELECT k FROM m.t WHERE k ~ '^a'": "regex-operator",
    "SELECT k FROM m.t WHERE k !~ '^a'": "regex-operator",
    "SELECT k FROM m.t WHERE k SIMILAR TO 'a'": "similar-to",
    "SELECT DISTINCT ON (k) k, v FROM m.t ORDER BY k, v": "distinct-on",
    "SELECT k FROM m.t FETCH FIRST 1 ROWS ONLY": "fetch-first",
    "SELECT k FROM m.t FOR UPDATE": "row-lock",
    "SELECT k FROM m.t FOR SHARE": "row-lock",
    "SELECT k INTO m.u FROM m.t": "select-into",
    "SELECT k FROM m.t ORDER BY k USING >": "order-using",
    "SELECT ARRAY[1, 2]": "array-literal",
    "SELECT k ->> 'a' FROM m.t": "json-operator",
    "SELECT now() AT TIME ZONE 'UTC'": "at-time-zone",
    "WITH d AS MATERIALIZED (SELECT 1) SELECT * FROM d": "materialized-cte",
    "WITH d AS (DELETE FROM m.t WHERE true) SELECT 1": "data-modifying-cte",
    "WITH d AS (SELECT 1 AS a) INSERT INTO m.t SELECT a FROM d": "cte-before-change",
    "SELECT ROW_NUMBER() OVER (PARTITION BY k) FROM m.t": "window-order",
    "SELECT k FROM t": "unqualified-table",
    # Changes of rows.
    "INSERT INTO m.t VALUES ('a') ON CONFLICT DO NOTHING": "on-conflict",
    "INSERT INTO m.t VALUES ('a') RETURNING k": "returning",
    "DELETE FROM m.t WHERE k = 'a' RETURNING k": "returning",
    "INSERT INTO m.t DEFAULT VALUES": "default-values",
    "DELETE FROM m.t USING m.s WHERE m.t.k = m.s.k": "delete-using",
    "DELETE FROM m.t AS t USING m.s AS s WHERE t.k = s.k": "delete-using",
    "UPDATE m.t SET v = s.v FROM m.s AS s WHERE s.k = t.k": "update-from",
    "UPDATE m.t SET (k, v) = (1, 2)": "row-update",
    f"{MERGE} WHEN MATCHED THEN DO NOTHING": "merge-nothing",
    "TRUNCATE m.t": "truncate-table",
    "TRUNCATE TABLE m.t CASCADE": "truncate-table",
    "COPY m.t FROM STDIN": "copy-from-client",
    "COPY m.t TO STDOUT": "copy-from-client",
    # Definitions.
    "CREATE INDEX i ON m.t (k)": "index",
    "CREATE UNIQUE INDEX i ON m.t (k)": "index",
    "DROP INDEX i": "index",
    "CREATE UNLOGGED TABLE m.u (a INT)": "temporary-table",
    "CREATE TEMP TABLE u (a INT)": "temporary-table",
    "CREATE TABLE m.u (LIKE m.t INCLUDING ALL)": "create-like",
    "CREATE TABLE m.u AS SELECT * FROM m.t WITH NO DATA": "with-no-data",
    "CREATE TABLE m.u (a INT) WITH (fillfactor = 70)": "storage-parameters",
    "CREATE TABLE m.u (a INT) TABLESPACE fast": "storage-parameters",
    "CREATE TABLE m.u (a STRING) DISTKEY (a)": "storage-parameters",
    "CREATE TABLE m.u (a INT PRIMARY KEY)": "constraint",
    "CREATE TABLE m.u (a INT, UNIQUE (a))": "constraint",
    "CREATE TABLE m.u (a INT CHECK (a > 0))": "constraint",
    "ALTER TABLE m.t ADD CONSTRAINT p PRIMARY KEY (k)": "constraint",
    "CREATE TABLE m.u (a TIMESTAMP DEFAULT now())": "column-value",
    "CREATE TABLE m.u (a BIGINT GENERATED ALWAYS AS IDENTITY)": "column-value",
    "CREATE TABLE m.u (a TEXT)": "unknown-type",
    "CREATE TABLE m.u (a TIMESTAMPTZ)": "unknown-type",
    "CREATE TABLE m.u (a BIGSERIAL)": "unknown-type",
    "CREATE TABLE m.u (a JSONB)": "unknown-type",
    "CREATE TABLE m.u (a BYTEA)": "unknown-type",
    "CREATE TABLE m.u (a UUID)": "unknown-type",
    "CREATE TABLE m.u (a INT8)": "unknown-type",
    "ALTER TABLE m.t ADD COLUMN a TEXT": "unknown-type",
    "SELECT k::text FROM m.t": "unknown-type",
    "SELECT CAST(k AS jsonb) FROM m.t": "unknown-type",
    "SELECT 'm.t'::regclass": "unknown-type",
    "ALTER TABLE m.t ADD a STRING": "alter-add-column",
    "ALTER TABLE m.t ADD COLUMN IF NOT EXISTS a STRING": "alter-add-column",
    "ALTER TABLE m.t ADD COLUMN a STRING, ADD COLUMN b STRING": "alter-one-action",
    "ALTER TABLE m.t ALTER COLUMN a TYPE BIGINT": "alter-type",
    "ALTER TABLE m.t SET SCHEMA other": "alter-schema",
    "DROP TABLE m.t CASCADE": "drop-options",
    "DROP TABLE m.t, m.s": "drop-options",
    "CREATE MATERIALIZED VIEW m.v AS SELECT 1": "unknown-command",
    "CREATE SEQUENCE q": "unknown-command",
    "CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()": "unknown-command",
    # Sessions and transactions.
    "BEGIN": "transaction-words",
    "BEGIN ISOLATION LEVEL SERIALIZABLE": "transaction-words",
    "START TRANSACTION": "transaction-words",
    "COMMIT AND CHAIN": "transaction-words",
    "END": "transaction-words",
    "SAVEPOINT x": "savepoint",
    "ROLLBACK TO SAVEPOINT x": "savepoint",
    "LOCK TABLE m.t IN SHARE MODE": "unknown-command",
    "SET LOCAL statement_timeout = 1": "unknown-command",
    "SHOW server_version": "unknown-command",
    "LISTEN x": "unknown-command",
    "ANALYZE m.t": "unknown-command",
    "GRANT SELECT ON m.t TO PUBLIC": "unknown-command",
    "DO 'BEGIN NULL; END'": "unknown-command",
    "EXPLAIN SELECT 1": "unknown-command",
    # Functions and catalogs.
    "SELECT pg_advisory_lock(1)": "foreign-catalog",
    "SELECT nspname FROM pg_catalog.pg_namespace": "foreign-catalog",
    "SELECT 1 FROM svv_tables": "foreign-catalog",
    "SELECT to_regclass('m.t')": "unknown-function",
    "SELECT hashtextextended(k, 0) FROM m.t": "unknown-function",
    "SELECT gen_random_uuid()": "unknown-function",
    "SELECT generate_series(1, 3)": "unknown-function",
    "SELECT strpos(k, 'a') FROM m.t": "unknown-function",
    "SELECT to_char(k, '9') FROM m.t": "unknown-function",
    "SELECT clock_timestamp()": "unknown-function",
}

ACCEPTED = {
    "SELECT 1 AS `a``b`, 'it\\'s', X'00ff', r'\\d', ?, :name": "select",
    "VALUES (1)": "select",
    "SELECT k FROM m.t AS t WHERE k RLIKE '^a' AND v <=> NULL OR n BETWEEN -1 AND 2": "select",
    "SELECT k, COUNT(*) FILTER (WHERE n > 0) FROM m.t GROUP BY k HAVING SUM(n) <> 0 ORDER BY k LIMIT 3": "select",
    "SELECT ROW_NUMBER() OVER (PARTITION BY k ORDER BY v) FROM m.t": "select",
    "SELECT xxhash64(COALESCE(CAST(LENGTH(k) AS STRING) || ':' || k, '-')), k::DECIMAL(20, 0) FROM m.t": "select",
    "WITH c AS (SELECT 1 AS a) SELECT a FROM c": "select",
    "(SELECT k FROM m.t EXCEPT ALL SELECT k FROM m.s)": "select",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'm'": "select",
    "SELECT k FROM main.m.t": "select",
    "SELECT CURRENT_TIMESTAMP() + INTERVAL 120 SECONDS": "select",
    "INSERT INTO m.t (k, v) VALUES ('a', 1), ('b', ?)": "insert",
    "INSERT INTO `m`.`t` SELECT * FROM m.s": "insert",
    "UPDATE m.t SET v = 'x', n = n + 1 WHERE k = 'a' AND (v IS NULL OR n < 3)": "update",
    "UPDATE m.t AS t SET v = (SELECT MAX(s.v) FROM m.s AS s) WHERE EXISTS (SELECT 1 FROM m.s AS s)": "update",
    "DELETE FROM m.t": "delete",
    "DELETE FROM m.t AS t WHERE EXISTS (SELECT 1 FROM m.s AS s WHERE s.k = t.k)": "delete",
    f"{MERGE} WHEN MATCHED AND s.gone THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v "
    "WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, s.v)": "merge",
    "COPY INTO m.t FROM '/Volumes/main/m/v/1/' FILEFORMAT = PARQUET FILES = ('a.parquet') "
    "COPY_OPTIONS ('force' = 'false')": "copy",
    "PUT 'a' INTO '/Volumes/main/m/v/1/a' OVERWRITE": "put",
    "REMOVE '/Volumes/main/m/v/1/a'": "remove",
    "LIST '/Volumes/main/m/v/'": "list",
    "CREATE SCHEMA IF NOT EXISTS m COMMENT 'mirror'": "create_schema",
    "CREATE VOLUME IF NOT EXISTS m.v": "create_volume",
    f"CREATE TABLE IF NOT EXISTS m.t (k STRING NOT NULL COMMENT 'key', n BIGINT, d DECIMAL(20, 0)) "
    f"USING DELTA CLUSTER BY (k) COMMENT 'c' {MANAGED}": "create_table",
    "CREATE TABLE m.t AS SELECT 1 AS a": "create_table",
    "CREATE OR REPLACE VIEW m.w AS SELECT k FROM m.t": "create_view",
    "DROP TABLE IF EXISTS m.t": "drop_table",
    "DROP VIEW m.w": "drop_view",
    "DROP SCHEMA IF EXISTS m CASCADE": "drop_schema",
    "DROP VOLUME IF EXISTS m.v": "drop_volume",
    "TRUNCATE TABLE m.t": "truncate",
    "ALTER TABLE m.t ADD COLUMN a STRING": "alter",
    "ALTER TABLE m.t ADD COLUMNS (a STRING, b BIGINT COMMENT 'b')": "alter",
    "ALTER TABLE m.t RENAME COLUMN a TO b": "alter",
    "ALTER TABLE m.t DROP COLUMN a": "alter",
    "ALTER TABLE m.t RENAME TO m.u": "alter",
    "ALTER TABLE m.t SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')": "alter",
    "COMMENT ON TABLE m.t IS 'c'": "comment",
    "COMMENT ON COLUMN m.t.k IS NULL": "comment",
    "DESCRIBE TABLE m.t": "describe",
    "SHOW COLUMNS IN m.t": "show_columns",
    "SHOW TABLES IN m": "show_tables",
    "SHOW SCHEMAS": "show_schemas",
    "SHOW VOLUMES IN m": "show_volumes",
    "BEGIN TRANSACTION": "begin",
    "COMMIT": "commit",
    "ROLLBACK": "rollback",
    "SET AUTOCOMMIT = FALSE": "autocommit",
    "/* load 7 */ SELECT 1; -- last": "select",
}


@pytest.mark.parametrize(("text", "rule"), REFUSED.items(), ids=lambda value: value[:60])
def test_a_statement_databricks_does_not_run_is_refused_under_the_name_of_its_rule(text: str, rule: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        understood(text)
    assert refusal.value.rule == rule
    assert "https://docs.databricks.com/aws/en/" in str(refusal.value)


@pytest.mark.parametrize(("text", "kind"), ACCEPTED.items(), ids=lambda value: value[:60])
def test_a_statement_of_a_loader_is_accepted(text: str, kind: str) -> None:
    assert understood(text).kind == kind


def test_every_rule_refuses_something_in_the_table_above() -> None:
    assert {rule.name for rule in RULES} - set(REFUSED.values()) == set()


def test_every_command_of_the_allow_list_is_accepted_in_the_table_above() -> None:
    assert {kind for kind, _ in allowlist.COMMANDS.values()} - set(ACCEPTED.values()) == set()
