"""What the gate refuses, under which name, and what it lets through. Judged without a server: ``plan.judge``."""

import pytest

from medgen_pipeline_tests.gates.lexer import split
from medgen_pipeline_tests.redgate import allowlist
from medgen_pipeline_tests.redgate.errors import RefusedError
from medgen_pipeline_tests.redgate.plan import Action, judge
from medgen_pipeline_tests.redgate.rules import RULES

ROLE = "IAM_ROLE 'arn:aws:iam::123456789012:role/load'"
INTO_T = "MERGE INTO t USING s ON t.k = s.k"
UPDATE = "WHEN MATCHED THEN UPDATE SET v = s.v"
INSERT = "WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, s.v)"
BOTH = f"{UPDATE} {INSERT}"

REFUSED = {
    # Statements that run on PostgreSQL.
    "CREATE INDEX i ON t (k)": "index",
    "CREATE UNIQUE INDEX i ON t (k)": "index",
    "DROP INDEX i": "index",
    "CREATE UNLOGGED TABLE u (a int)": "unlogged-table",
    "SAVEPOINT x": "savepoint",
    "ROLLBACK TO SAVEPOINT x": "savepoint",
    "RELEASE x": "savepoint",
    "INSERT INTO t VALUES ('a') ON CONFLICT DO NOTHING": "on-conflict",
    "INSERT INTO t VALUES ('a') RETURNING k": "returning",
    "DELETE FROM t RETURNING k": "returning",
    "SELECT 1 FROM t WHERE k IS DISTINCT FROM v": "is-distinct-from",
    "SELECT 1 FROM t WHERE k IS NOT DISTINCT FROM v": "is-distinct-from",
    "SELECT k FROM t EXCEPT ALL SELECT k FROM s": "set-operation-all",
    "SELECT k FROM t INTERSECT ALL SELECT k FROM s": "set-operation-all",
    "SELECT count(*) FILTER (WHERE v > 0) FROM t": "filter-clause",
    "SELECT 1 FROM t, LATERAL (SELECT 1) x": "lateral",
    "SELECT 1 FROM t FOR UPDATE": "row-lock",
    "SELECT k FROM t FETCH FIRST 1 ROWS ONLY": "fetch-first",
    "SELECT k FROM t ORDER BY k USING >": "order-using",
    "UPDATE t SET (k, v) = (1, 2)": "row-update",
    "WITH d AS (DELETE FROM t WHERE true) SELECT 1": "data-modifying-cte",
    "WITH d AS (SELECT 1 AS a) INSERT INTO t SELECT a FROM d": "cte-before-insert",
    "SELECT * FROM (VALUES (1), (2)) AS x": "values-as-table",
    "SELECT ARRAY[1, 2]": "array",
    "CREATE TABLE u (a text[])": "array",
    "TRUNCATE t, s": "truncate-several",
    "TRUNCATE t CASCADE": "truncate-options",
    "TRUNCATE ONLY t": "truncate-options",
    "TRUNCATE TABLE t RESTART IDENTITY": "truncate-options",
    "ALTER TABLE t ADD COLUMN a int, ADD COLUMN b int": "alter-one-action",
    "ALTER TABLE t DROP COLUMN a, DROP COLUMN b": "alter-one-action",
    'ALTER TABLE "m"."t" RENAME TO "m"."u"': "alter-rename-schema",
    "ALTER TABLE t SET SCHEMA other": "alter-set-schema",
    "DEALLOCATE ALL": "deallocate-all",
    "LOCK t IN SHARE MODE": "lock-mode",
    "LOCK TABLE t IN ACCESS EXCLUSIVE MODE NOWAIT": "lock-mode",
    "CREATE TABLE u AS SELECT * FROM t WITH NO DATA": "with-no-data",
    "CREATE TABLE u (LIKE t INCLUDING ALL)": "like-including",
    "CREATE TEMP TABLE u (a int) ON COMMIT DROP": "on-commit",
    "CREATE TABLE u (a bigint GENERATED ALWAYS AS IDENTITY)": "generated-always",
    "CREATE TABLE u (a int, b int GENERATED ALWAYS AS (a * 2) STORED)": "generated-always",
    "CREATE TABLE u (a int) PARTITION BY RANGE (a)": "table-storage",
    "CREATE TABLE u (a int) INHERITS (t)": "table-storage",
    "CREATE TABLE u (a int CHECK (a > 0))": "checked-constraint",
    "CREATE TABLE u (a int, EXCLUDE USING gist (a WITH =))": "checked-constraint",
    "COPY t FROM STDIN": "copy-from-client",
    "COPY t TO STDOUT": "copy-from-client",
    "DO 'BEGIN NULL; END'": "unknown-command",
    "DO $$ BEGIN NULL; END $$": "unreadable",
    "LISTEN x": "unknown-command",
    "VALUES (1)": "unknown-command",
    "CREATE SEQUENCE q": "unknown-command",
    "CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()": "unknown-command",
    "CREATE MATERIALIZED VIEW w AS SELECT 1": "unknown-command",
    "SET synchronous_commit TO off": "unknown-setting",
    "SET SESSION AUTHORIZATION x": "unknown-setting",
    "SHOW server_version_num": "unknown-setting",
    r"SELECT E'a\\b'": "escape-string",
    # Functions, types and catalogs that PostgreSQL has.
    "SELECT string_agg(k, ',') FROM t": "unknown-function",
    "SELECT array_agg(k) FROM t": "unknown-function",
    "SELECT k FROM t, generate_series(1, 3) AS x": "unknown-function",
    "SELECT gen_random_uuid()": "unknown-function",
    "SELECT pg_advisory_lock(1)": "unknown-function",
    "SELECT pg_catalog.pg_sleep(1)": "unknown-function",
    "SELECT hashtextextended(k, 0) FROM t": "unknown-function",
    "SELECT k::jsonb FROM t": "unknown-cast",
    "SELECT CAST(k AS uuid) FROM t": "unknown-cast",
    "SELECT 't'::regclass": "unknown-cast",
    "SELECT 1 FROM pg_roles": "unknown-catalog",
    "SELECT 1 FROM information_schema.triggers": "unknown-catalog",
    "CREATE TABLE u (a serial)": "postgres-type",
    "CREATE TABLE u (a jsonb)": "postgres-type",
    "CREATE TABLE u (a uuid)": "postgres-type",
    "CREATE TABLE u (a bytea)": "postgres-type",
    "ALTER TABLE t ADD COLUMN a json": "postgres-type",
    "CREATE TABLE u (a super)": "column-type",
    "CREATE TABLE u (a varchar(65536))": "type-length",
    "CREATE TABLE u (a char(4097))": "type-length",
    "CREATE TABLE u (a decimal(39, 2))": "type-length",
    # Redshift's own limits.
    "CREATE VIEW m.w AS SELECT k FROM t WITH NO SCHEMA BINDING": "late-binding-schema",
    "CREATE VIEW m.w AS SELECT t.k FROM m.t JOIN s ON s.k = t.k WITH NO SCHEMA BINDING": "late-binding-schema",
    "SELECT now() FROM t": "leader-node-function",
    "INSERT INTO t SELECT CURRENT_TIMESTAMP": "leader-node-function",
    "SELECT 1 FROM t JOIN pg_class c ON c.relname = t.k": "leader-node-catalog",
    "CREATE TABLE u (a int) DISTKEY(b)": "key-column",
    "CREATE TABLE u (a int) SORTKEY(b)": "key-column",
    "CREATE TABLE u (a int, PRIMARY KEY (b))": "key-column",
    "CREATE TABLE u (a int) DISTSTYLE KEY": "distribution-key",
    "CREATE TABLE u (a int) DISTSTYLE ALL DISTKEY(a)": "distribution-key",
    f"MERGE INTO t AS x USING s ON x.k = s.k {BOTH}": "merge-target-alias",
    "MERGE INTO t USING (SELECT 1 AS k) s ON t.k = s.k WHEN MATCHED THEN DELETE": "merge-source",
    f"MERGE INTO t USING t ON t.k = t.k {BOTH}": "merge-itself",
    f"{INTO_T} WHEN MATCHED AND t.v <> s.v THEN DELETE {INSERT}": "merge-condition",
    f"{INTO_T} {BOTH} WHEN NOT MATCHED BY SOURCE THEN DELETE": "merge-condition",
    f"{INTO_T} {UPDATE}": "merge-branches",
    f"{INTO_T} {INSERT}": "merge-branches",
    f"{INTO_T} WHEN MATCHED THEN UPDATE SET t.v = s.v {INSERT}": "merge-set-prefix",
    f"MERGE INTO t USING s ON t.k = s.k OR t.v = s.v {BOTH}": "merge-equality",
    f"MERGE INTO t USING s ON t.k <> s.k {BOTH}": "merge-equality",
    f"{INTO_T} REMOVE DUPLICATES": "not-emulated",
    # COPY.
    "COPY t FROM 's3://b/k' GZIP": "copy-authorization",
    f"COPY t FROM 's3://b/k' {ROLE} BOGUS": "grammar",
    f"COPY t FROM 's3://b/k' {ROLE} CSV ESCAPE": "not-emulated",
    f"COPY t FROM 's3://b/k' {ROLE} CREDENTIALS 'x'": "grammar",
    f"COPY t FROM 's3://b/k' {ROLE} GZIP ZSTD": "grammar",
    f"COPY t FROM 's3://b/k' {ROLE} MAXERROR 1 MAXERROR 2": "grammar",
    f"COPY t FROM 's3://b/k' {ROLE} DELIMITER ';;'": "copy-delimiter",
    f"COPY t FROM 's3://b/k' {ROLE} MAXERROR 100001": "copy-maxerror",
    f"COPY t FROM 's3://b/k' {ROLE} TRUNCATECOLUMNS": "not-emulated",
    "COPY t FROM 's3://b/k' ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 'b'": "not-emulated",
    "COPY t FROM 'dynamodb://x' IAM_ROLE default": "not-emulated",
    # What no rule knows by name, the grammar refuses.
    "SELECT FROM WHERE": "grammar",
    "CREATE TABLE u (a int) WITH (fillfactor = 70)": "grammar",
    f"SELECT {'x' * 64}": "long-identifier",
    "SELECT 'open": "unreadable",
}

ACCEPTED = {
    "SELECT 1": Action.FORWARD,
    "BEGIN": Action.FORWARD,
    "BEGIN READ WRITE": Action.FORWARD,
    "COMMIT": Action.FORWARD,
    "ROLLBACK": Action.FORWARD,
    'LOCK "m"."mutex"': Action.FORWARD,
    "SET statement_timeout TO 60000": Action.FORWARD,
    "SET LOCAL statement_timeout TO 60000": Action.FORWARD,
    "SET query_group TO 'medgen'": Action.FORWARD,
    "SHOW statement_timeout": Action.FORWARD,
    'CREATE SCHEMA IF NOT EXISTS "m"': Action.FORWARD,
    'DROP SCHEMA IF EXISTS "m" CASCADE': Action.FORWARD,
    'DROP TABLE IF EXISTS "m"."t"': Action.FORWARD,
    """CREATE TABLE "m"."t" ("k" VARCHAR(10) ENCODE zstd NOT NULL, "v" VARCHAR(MAX), "n" BIGINT ENCODE az64,
       "at" TIMESTAMP DEFAULT SYSDATE, "h" CHAR(32), "id" BIGINT IDENTITY(1,1), PRIMARY KEY ("k"))
       BACKUP NO DISTSTYLE KEY DISTKEY("k") COMPOUND SORTKEY("k", "n")""": Action.FORWARD,
    "CREATE TEMP TABLE x (a INTEGER GENERATED BY DEFAULT AS IDENTITY(1,1), b BOOLEAN DEFAULT false)": Action.FORWARD,
    'CREATE TABLE "u" (LIKE "t" INCLUDING DEFAULTS)': Action.FORWARD,
    'CREATE TABLE "u" DISTKEY("k") SORTKEY("k") AS SELECT * FROM "t"': Action.FORWARD,
    'CREATE OR REPLACE VIEW "w" AS SELECT "k" FROM "t"': Action.FORWARD,
    'CREATE OR REPLACE VIEW "m"."w" AS SELECT "k" FROM "m"."t" WITH NO SCHEMA BINDING': Action.CALL,
    'ALTER TABLE "m"."t" RENAME TO "u"': Action.RENAME,
    'ALTER TABLE "t" ADD COLUMN "x" VARCHAR(20)': Action.FORWARD,
    'ALTER TABLE "t" DROP COLUMN "x"': Action.FORWARD,
    'ALTER TABLE "t" OWNER TO "x"': Action.FORWARD,
    'ALTER TABLE "t" ALTER COLUMN "x" TYPE VARCHAR(40)': Action.ALONE,
    'ALTER TABLE "m"."t" APPEND FROM "m"."s"': Action.ALONE,
    'ALTER TABLE "t" ADD PRIMARY KEY ("k")': Action.NOTHING,
    'TRUNCATE TABLE "m"."t"': Action.COMMIT_AFTER,
    'VACUUM "t"': Action.ALONE,
    'ANALYZE "t"': Action.NOTHING,
    'GRANT SELECT ON TABLE "m"."t" TO ROLE "r"': Action.FORWARD,
    'GRANT SELECT ON TABLE "m"."t" TO GROUP "g"': Action.FORWARD,
    'REVOKE ALL ON TABLE "t" FROM PUBLIC': Action.FORWARD,
    "COMMENT ON TABLE \"t\" IS 'it''s'": Action.FORWARD,
    'DEALLOCATE "_pg3_0"': Action.FORWARD,
    'INSERT INTO "t" ("k", "n") VALUES (\'a\', 1), (\'b\', $1)': Action.FORWARD,
    'INSERT INTO "t" WITH "c" AS (SELECT 1 AS "a") SELECT "a" FROM "c"': Action.FORWARD,
    'UPDATE "t" SET "v" = "s"."v" FROM "s" WHERE "t"."k" = "s"."k"': Action.FORWARD,
    'DELETE FROM "t" USING (SELECT "p"."k" FROM "t" AS "p" LEFT JOIN "s" ON "s"."k" = "p"."k" WHERE "s"."k" IS NULL) '
    'AS "x" WHERE "t"."k" = "x"."k"': Action.FORWARD,
    'MERGE INTO "m"."t" USING "m"."d" ON "t"."k" = "d"."k" AND "t"."l" = "d"."l" WHEN MATCHED THEN UPDATE SET '
    '"v" = "d"."v", "h" = "d"."h" WHEN NOT MATCHED THEN INSERT ("k", "v") VALUES ("d"."k", "d"."v")': Action.FORWARD,
    "SELECT COALESCE(SUM(CASE WHEN p.k IS NULL THEN 1 ELSE 0 END), 0) FROM s FULL OUTER JOIN p ON p.k = s.k "
    "WHERE DECODE(p.c, s.c, 0, 1) = 1": Action.FORWARD,
    "SELECT COUNT(*) FROM (SELECT k FROM s EXCEPT SELECT k FROM p) AS x": Action.FORWARD,
    "SELECT fnv_hash(a, fnv_hash(b)), md5(a), getdate(), SYSDATE FROM t": Action.FORWARD,
    "SELECT 1 FROM t GROUP BY k HAVING COUNT(*) > 1 LIMIT 1": Action.FORWARD,
    "SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t": Action.FORWARD,
    "SELECT pg_last_copy_count()": Action.FORWARD,
    "SELECT TRIM(file_name), line_number, TRIM(error_message) FROM sys_load_error_detail "
    "WHERE query_id = pg_last_copy_id() ORDER BY 1, 2 LIMIT 10": Action.FORWARD,
    'SELECT "table", tbl_rows FROM svv_table_info WHERE "schema" = \'m\'': Action.FORWARD,
    "SELECT identity_name FROM svv_relation_privileges WHERE relation_name = 't'": Action.FORWARD,
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'm'": Action.FORWARD,
    "SELECT t.pid FROM svv_transactions t, pg_class c WHERE c.oid = t.relation AND t.granted": Action.FORWARD,
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace": Action.FORWARD,
    f'COPY "m"."t" ("k", "v") FROM \'s3://b/p.manifest\' {ROLE} MANIFEST GZIP DELIMITER \'\t\' ESCAPE NULL AS \'\' '
    "EMPTYASNULL REGION 'eu-central-1' MAXERROR 0 COMPUPDATE OFF STATUPDATE OFF": Action.COPY,
    f"COPY t FROM 's3://b/k' {ROLE} DELIMITER AS '|'": Action.COPY,
    "/* run 7 */ SELECT 1 -- last": Action.FORWARD,
}


@pytest.mark.parametrize(("sql", "rule"), REFUSED.items(), ids=lambda value: value[:60])
def test_a_statement_redshift_does_not_run_is_refused_under_the_name_of_its_rule(sql: str, rule: str) -> None:
    statement = split(sql)[0]
    with pytest.raises(RefusedError) as refusal:
        judge(statement)
    assert refusal.value.rule == rule
    assert refusal.value.hint.endswith(".html")


@pytest.mark.parametrize(("sql", "action"), ACCEPTED.items(), ids=lambda value: str(value)[:60])
def test_a_statement_of_a_bulk_loader_is_accepted(sql: str, action: Action) -> None:
    (statement,) = split(sql)
    assert judge(statement).action is action


def test_every_rule_refuses_something_in_the_table_above() -> None:
    too_large = {"statement-size"}
    assert {rule.name for rule in RULES} - too_large - set(REFUSED.values()) == set()


def test_a_statement_over_16_megabytes_is_refused() -> None:
    (statement,) = split("SELECT '" + "x" * (16 << 20) + "'")
    with pytest.raises(RefusedError, match="too large"):
        judge(statement)


def test_names_are_lower_case_even_when_quoted() -> None:
    (statement,) = split('SELECT "Name" FROM "Table"')
    assert judge(statement).sql == 'SELECT "name" FROM "table"'


def test_a_backslash_in_a_literal_escapes_as_on_a_server_of_version_8() -> None:
    (statement,) = split(r"SELECT 'a\\b', 'x\ty', 'it\'s', '\101'")
    assert judge(statement).sql == "SELECT 'a\\b' , 'x\ty' , 'it''s' , 'A'"


def test_a_semicolon_inside_a_literal_does_not_split() -> None:
    assert [statement.text for statement in split("SELECT ';'; SELECT 2;;")] == ["SELECT ';'", "SELECT 2"]


def test_rows_of_an_insert_and_other_values_do_not_change_the_shape() -> None:
    (one,) = split("INSERT INTO \"a\" VALUES ('x', 1)")
    (many,) = split("INSERT INTO \"b\" VALUES ('y', 2), ('z', 3), ('w', 4)")
    assert one.shape == many.shape


def test_every_command_of_the_allow_list_has_a_page() -> None:
    assert all(page.startswith(("r_", "c_")) for page in allowlist.COMMANDS.values())
