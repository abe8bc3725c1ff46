"""What users attach to a table survives every load, through a swap and through changes in place.

Each attachment is either carried over by the swap or sends the load by way of changes in place; never is it lost.
How change sets are found is tested elsewhere.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors as pg_errors

import medgen_pipeline
from medgen_pipeline.catalog import Column, ColumnType, SourceTable
from medgen_pipeline.loaders import (
    AbstractNativeLoader,
    ApplyMode,
    LoaderError,
    ProductionChangedError,
    Strategy,
)
from medgen_pipeline.loaders.postgres import publish
from medgen_pipeline.loaders.postgres.names import TableNames
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.testing import Mirror, Row, canonical, start_of
from medgen_pipeline.testing.loads import HISTORY, MERGED, MONDO, NAMES
from medgen_pipeline_tests.loaders.support import new_loader, postgres_mirror, query, session

OLD = [b"C%d|name %d|GTR|N|" % (number, number) for number in range(20)]
NEW = [b"C0|renamed|GTR|N|", *OLD[2:], b"C99|new|GTR|N|"]  # C1 is gone
SWAP: dict[str, object] = {"force_warehouse": True, "swap_above_percent": 0}
DELTA: dict[str, object] = {"force_warehouse": True, "swap_above_percent": 1e9}

ROLES = "pub_reader", "pub_writer", '"Pub Owner"', "pub_loader", "pub_team"
LONG = "n" * 63  # the longest name PostgreSQL takes

# Everything that can be known about medgen.names and what is attached to it, one query per kind.
FACTS = {
    "table": """
        SELECT pg_get_userbyid(relowner), relpersistence, relkind, reloptions, relrowsecurity, relforcerowsecurity,
            relreplident, reloftype::regtype, obj_description(c.oid, 'pg_class'),
            (SELECT x.reloptions FROM pg_class x WHERE x.oid = c.reltoastrelid)
        FROM pg_class c WHERE c.oid = 'medgen.names'::regclass""",
    "grants": """
        SELECT grantee::regrole::text, privilege_type, is_grantable
        FROM pg_class c, aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE c.oid = 'medgen.names'::regclass
        ORDER BY 1, 2""",
    "columns": """
        SELECT attname, format_type(atttypid, atttypmod), attnotnull, attcollation::regcollation::text, attstattarget,
            attoptions, attstorage, attcompression, attidentity, attgenerated, pg_get_expr(adbin, adrelid),
            col_description(attrelid, attnum)
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = 'medgen.names'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
    "column grants": """
        SELECT attname, grantee::regrole::text, privilege_type, is_grantable FROM pg_attribute, aclexplode(attacl)
        WHERE attrelid = 'medgen.names'::regclass AND NOT attisdropped ORDER BY 1, 2, 3""",
    "indexes": """
        SELECT pg_get_indexdef(indexrelid), indisunique, indisvalid, indisclustered, indisreplident,
            obj_description(indexrelid, 'pg_class'),
            ARRAY(SELECT attstattarget FROM pg_attribute WHERE attrelid = indexrelid ORDER BY attnum)
        FROM pg_index WHERE indrelid = 'medgen.names'::regclass ORDER BY 1""",
    "constraints": """
        SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE 'medgen.names'::regclass IN (conrelid, confrelid) ORDER BY 1""",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    "rules": "SELECT definition FROM pg_rules WHERE schemaname <> 'pg_catalog' ORDER BY 1",
    "policies": "SELECT schemaname, tablename, policyname, roles, cmd, qual, with_check FROM pg_policies ORDER BY 3",
    "publications": "SELECT pubname FROM pg_publication_tables WHERE tablename = 'names' AND schemaname = 'medgen'",
    "statistics": "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext ORDER BY 1",
    "inheritance": "SELECT inhrelid::regclass::text, inhparent::regclass::text FROM pg_inherits"
    " WHERE 'medgen.names'::regclass IN (inhrelid, inhparent)",
    "views": """
        SELECT c.oid::int, c.oid::regclass::text, relkind, pg_get_viewdef(c.oid), reloptions, relacl::text,
            pg_get_userbyid(relowner), obj_description(c.oid, 'pg_class'), col_description(c.oid, 1),
            ARRAY(SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = c.oid)
        FROM pg_class c WHERE relkind IN ('v', 'm') AND relnamespace::regnamespace::text NOT IN
            ('pg_catalog', 'information_schema') ORDER BY 2""",
    "functions": "SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc"
    " WHERE pronamespace IN ('medgen'::regnamespace, 'public'::regnamespace) ORDER BY 1",
    "uses of the row type": """
        SELECT attrelid::regclass::text, attname, format_type(atttypid, -1) FROM pg_attribute
        WHERE attnum > 0 AND atttypid IN (SELECT unnest(ARRAY[oid, typarray]) FROM pg_type
            WHERE typrelid = 'medgen.names'::regclass)""",
    "owned sequences": """
        SELECT objid::regclass::text FROM pg_depend WHERE classid = 'pg_class'::regclass
        AND refobjid = 'medgen.names'::regclass AND objid IN (SELECT seqrelid FROM pg_sequence)""",
    "relations": """
        SELECT oid::regclass::text, relkind FROM pg_class WHERE relkind NOT IN ('t', 'c') AND NOT relisshared
        AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'medgen%' OR nspname = 'public')
        AND relnamespace <> to_regnamespace('medgen_changes') AND oid::regclass::text NOT LIKE 'pg_toast%'
        ORDER BY 1""",
}


def facts(dsn: str) -> dict[str, list[Row]]:
    with session(dsn) as connection:
        return {kind: connection.execute(statement.encode()).fetchall() for kind, statement in FACTS.items()}


def names_of(rows: list[bytes]) -> list[Row]:
    return sorted(tuple(line.decode().split("|")[:2]) for line in rows)


def as_role(dsn: str, role: str) -> str:
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{role}:x@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.fixture(scope="module")
def own_database(postgres_server: str) -> Iterator[str]:
    """A database for this module's tests, and the roles: a new one for each would take longer than the tests."""
    name = "medgen_test_publication"
    query(postgres_server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    query(postgres_server, f"CREATE DATABASE {name}")
    for role in ROLES:
        query(postgres_server, f"DROP ROLE IF EXISTS {role}")
        query(postgres_server, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    query(postgres_server, "GRANT pub_team TO pub_loader")
    yield urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
    query(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")
    for role in ROLES:
        query(postgres_server, f"DROP ROLE {role}")


@pytest.fixture
def database(own_database: str) -> str:
    """The same with nothing in it and nothing granted."""
    query(own_database, f"DROP OWNED BY {', '.join(ROLES)} CASCADE; DROP PUBLICATION IF EXISTS p")
    query(
        own_database,
        "DROP SCHEMA IF EXISTS medgen, medgen_staging, medgen_changes, medgen_audit, s, s_staging, s_changes, s_audit,"
        ' d, d_staging, d_changes, d_audit, "My Reports", closed, public CASCADE; CREATE SCHEMA public',
    )
    return own_database


@pytest.fixture
def mirror(database: str, tmp_path: Path) -> Mirror:
    """``medgen.names`` after its first load."""
    mirror = postgres_mirror(database, tmp_path, NAMES, "medgen")
    mirror.load(OLD)
    query(database, "GRANT USAGE ON SCHEMA medgen TO PUBLIC")
    return mirror


@contextmanager
def staged(dsn: str, table: SourceTable, lines: list[bytes], **config: object) -> Iterator[AbstractNativeLoader]:
    """A load by hand, compared and ready to be applied."""
    with new_loader(dsn, **config) as loader:
        loader.log_run_start(start_of(table, "2026-01-14"))
        loader.initialize_staging(table)
        loader.bulk_load(table.name, iter([canonical(tuple(line.decode().split("|")[:-1]) for line in lines)]))
        loader.execute_cdc(table)
        yield loader


@contextmanager
def open_transaction(dsn: str, *statements: str) -> Iterator[psycopg.Connection[Row]]:
    """A session of its own, in a REPEATABLE READ transaction that has run ``statements``."""
    with closing(psycopg.connect(dsn)) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for statement in statements:
            connection.execute(statement.encode())
        yield connection


# What a swap carries over

CARRIED = {
    "grants": """
        GRANT SELECT, UPDATE ON medgen.names TO pub_reader WITH GRANT OPTION;
        GRANT SELECT ON medgen.names TO PUBLIC;
        SET ROLE pub_reader; GRANT SELECT ON medgen.names TO pub_writer; RESET ROLE""",
    "grants of columns": """
        GRANT SELECT (cui, name), UPDATE (source) ON medgen.names TO pub_reader WITH GRANT OPTION;
        GRANT SELECT (cui) ON medgen.names TO PUBLIC""",
    "owner": 'ALTER TABLE medgen.names OWNER TO "Pub Owner"; GRANT SELECT ON medgen.names TO CURRENT_USER',
    "a privilege the owner gave up": "REVOKE TRUNCATE, DELETE ON medgen.names FROM CURRENT_USER",
    "default privileges that production was not given": """
        ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO pub_writer;
        ALTER DEFAULT PRIVILEGES IN SCHEMA medgen GRANT SELECT ON TABLES TO PUBLIC;
        ALTER DEFAULT PRIVILEGES IN SCHEMA medgen_staging GRANT SELECT ON TABLES TO pub_reader;
        COMMENT ON TABLE medgen.names IS 'shows that the load is a swap'""",
    "comments": """
        COMMENT ON TABLE medgen.names IS 'it''s ours: 100%s';
        COMMENT ON COLUMN medgen.names.name IS 'Ours, é'; COMMENT ON COLUMN medgen.names.cui IS NULL""",
    "no comment on the table": "COMMENT ON TABLE medgen.names IS NULL",
    "a plain index": "CREATE INDEX ON medgen.names (source, name DESC NULLS LAST)",
    "a unique index": "CREATE UNIQUE INDEX one_name ON medgen.names (name) INCLUDE (source)",
    "a partial index": "CREATE INDEX odd ON medgen.names (cui) WHERE source = 'GTR' AND name <> 'INDEX odd ON medgen.'",
    "an expression index": "CREATE INDEX low ON medgen.names (lower(name) text_pattern_ops) WITH (fillfactor = 70)",
    "a quoted index": 'CREATE INDEX "Index on medgen.names; 100%" ON medgen.names (name)',
    "an index with the longest name": f"CREATE INDEX {LONG} ON medgen.names (name)",
    "a comment on an index": "CREATE INDEX noted ON medgen.names (name); COMMENT ON INDEX medgen.noted IS 'why'",
    "the loss of our index": "DROP INDEX medgen.names_key; CREATE UNIQUE INDEX names_key ON medgen.names (cui)",
    "a column that came and went": """
        ALTER TABLE medgen.names ADD extra text; GRANT SELECT (extra) ON medgen.names TO PUBLIC;
        COMMENT ON COLUMN medgen.names.extra IS 'x'; ALTER TABLE medgen.names DROP extra;
        COMMENT ON TABLE medgen.names IS 'shows that the load is a swap'""",
}
# Each with the query that must show every row of production through it.
VIEWS = {
    "a view": ("CREATE VIEW public.v AS SELECT * FROM medgen.names", "SELECT cui, name FROM public.v"),
    "a quoted view": (
        """CREATE SCHEMA "My Reports"; CREATE VIEW "My Reports"."100% of; Names" ("Concept Id", n) AS
            SELECT cui, name FROM medgen.names""",
        'SELECT "Concept Id", n FROM "My Reports"."100% of; Names"',
    ),
    "views on views": (
        """CREATE VIEW public.v1 AS SELECT cui, name FROM medgen.names;
        CREATE VIEW public.v2 AS SELECT * FROM public.v1;
        CREATE VIEW public.v3 AS SELECT v2.cui, n.name FROM public.v2 JOIN medgen.names n USING (cui)""",
        "SELECT cui, name FROM public.v3",
    ),
    "a view with options": (
        """CREATE VIEW public.v WITH (security_barrier) AS SELECT * FROM medgen.names WHERE source = 'GTR'
            WITH LOCAL CHECK OPTION""",
        "SELECT cui, name FROM public.v",
    ),
    "a view with grants, comments, owner and default": (
        """GRANT SELECT ON medgen.names TO "Pub Owner"; CREATE VIEW public.v AS SELECT * FROM medgen.names;
        GRANT SELECT ON public.v TO pub_reader WITH GRANT OPTION; GRANT SELECT (name) ON public.v TO pub_writer;
        ALTER VIEW public.v OWNER TO "Pub Owner"; ALTER VIEW public.v ALTER source SET DEFAULT 'by hand';
        COMMENT ON VIEW public.v IS 'why'; COMMENT ON COLUMN public.v.cui IS 'which'""",
        "SELECT cui, name FROM public.v",
    ),
    "a view with an INSTEAD OF trigger": (
        """CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE VIEW public.v AS SELECT * FROM medgen.names;
        CREATE TRIGGER t INSTEAD OF DELETE ON public.v FOR EACH ROW EXECUTE FUNCTION public.f()""",
        "SELECT cui, name FROM public.v",
    ),
    "a view with a rule of its own": (
        """CREATE VIEW public.v AS SELECT * FROM medgen.names;
        CREATE RULE keep AS ON DELETE TO public.v DO INSTEAD NOTHING""",
        "SELECT cui, name FROM public.v",
    ),
    "a view that takes rows whole": (
        """CREATE VIEW public.v AS WITH RECURSIVE r (j) AS
            (SELECT row_to_json(n) FROM medgen.names n UNION ALL SELECT j FROM r WHERE false) SELECT j FROM r""",
        "SELECT j ->> 'cui', j ->> 'name' FROM public.v",
    ),
    "a view beside another table": (
        """CREATE TABLE public.notes (cui text, note text); CREATE VIEW public.v AS
            SELECT cui, coalesce(note, name) AS name FROM medgen.names LEFT JOIN public.notes USING (cui)""",
        "SELECT cui, name FROM public.v",
    ),
    "a function that reads the table when called": (
        """CREATE FUNCTION public.f() RETURNS TABLE (c text, n text) LANGUAGE sql AS
            'SELECT cui, name FROM medgen.names'""",
        "SELECT * FROM public.f()",
    ),
}
# C90 was merged into the concept whose name it shows.
ON_BOTH_TABLES = """CREATE VIEW public.v AS
    SELECT m.cui, n.name FROM medgen.merged m LEFT JOIN medgen.names n ON n.cui = m.to_cui"""


@pytest.mark.parametrize("attach", CARRIED.values(), ids=CARRIED)
def test_a_swap_carries_it_over(mirror: Mirror, attach: str) -> None:
    bare = facts(mirror.dsn)
    query(mirror.dsn, attach)
    attached = facts(mirror.dsn)
    assert attached != bare or "names_key" in attach, "the facts do not show what this test is about"
    assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is ApplyMode.SWAP
    assert facts(mirror.dsn) == attached


@pytest.mark.parametrize(("attach", "read"), VIEWS.values(), ids=VIEWS)
def test_a_view_survives_and_shows_the_new_rows(mirror: Mirror, attach: str, read: str) -> None:
    query(mirror.dsn, attach)
    attached = facts(mirror.dsn)
    assert sorted(query(mirror.dsn, read)) == names_of(OLD)
    for lines, options, mode in ((NEW, SWAP, ApplyMode.SWAP), (OLD, DELTA, ApplyMode.DELTA)):
        assert mirror.load(lines, release="2026-01-14", **options).mode is mode
        assert sorted(query(mirror.dsn, read)) == names_of(lines)
        assert facts(mirror.dsn) == attached


def test_ten_swaps_in_a_row_keep_everything_and_leave_nothing_behind(mirror: Mirror) -> None:
    for attach in CARRIED.values():
        query(mirror.dsn, attach)
    query(mirror.dsn, VIEWS["views on views"][0])
    query(mirror.dsn, VIEWS["a quoted view"][0])
    attached = facts(mirror.dsn)
    for number in range(10):
        lines = OLD if number % 2 else NEW
        assert mirror.load(lines, release=f"2026-02-{number + 1:02}", **SWAP).mode is ApplyMode.SWAP
        assert facts(mirror.dsn) == attached
    assert mirror.load(NEW, release="2026-03-01", **DELTA).mode is ApplyMode.DELTA
    assert facts(mirror.dsn) == attached
    assert sorted(query(mirror.dsn, VIEWS["views on views"][1])) == names_of(NEW)


def test_a_materialized_view_on_a_view_survives_a_swap_and_can_be_refreshed(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE VIEW public.v AS SELECT * FROM medgen.names")
    query(mirror.dsn, "CREATE MATERIALIZED VIEW public.m AS SELECT cui, name FROM public.v")
    attached = facts(mirror.dsn)
    assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is ApplyMode.SWAP
    assert facts(mirror.dsn) == attached
    assert sorted(query(mirror.dsn, "SELECT * FROM public.m")) == names_of(OLD)
    query(mirror.dsn, "REFRESH MATERIALIZED VIEW public.m")
    assert sorted(query(mirror.dsn, "SELECT * FROM public.m")) == names_of(NEW)


def test_a_view_on_two_medgen_tables_follows_the_swaps_of_both(mirror: Mirror) -> None:
    merged = replace(mirror, table=MERGED)
    pairs = [b"C90|C1|", b"C91|C2|"]
    merged.load(pairs)
    query(mirror.dsn, ON_BOTH_TABLES)
    turns = [
        (NEW, [*pairs, b"C92|C0|"], [("C90", None), ("C91", "name 2"), ("C92", "renamed")]),
        (OLD, pairs, [("C90", "name 1"), ("C91", "name 2")]),
    ]
    for names_lines, merged_lines, shown in turns:
        assert mirror.load(names_lines, release="2026-01-14", **SWAP).mode is ApplyMode.SWAP
        assert merged.load(merged_lines, release="2026-01-14", **SWAP).mode is ApplyMode.SWAP
        assert sorted(query(mirror.dsn, "SELECT * FROM public.v")) == shown


def test_statements_prepared_before_a_swap_run_on_the_new_table(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE VIEW public.v AS SELECT * FROM medgen.names")
    with closing(psycopg.connect(mirror.dsn, autocommit=True, prepare_threshold=0)) as reader:
        statements = "SELECT name FROM medgen.names WHERE cui = 'C0'", "SELECT name FROM public.v WHERE cui = 'C0'"
        for statement in statements * 6:  # often enough for a generic plan
            assert reader.execute(statement).fetchone() == ("name 0",)
        assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is ApplyMode.SWAP
        for statement in statements:
            assert reader.execute(statement).fetchone() == ("renamed",)


def test_the_planner_has_statistics_after_a_swap_also_of_expressions(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE INDEX low ON medgen.names (lower(name))")
    assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is ApplyMode.SWAP
    statistics = "SELECT tablename, count(*) FROM pg_stats WHERE schemaname = 'medgen' GROUP BY 1 ORDER BY 1"
    assert query(mirror.dsn, statistics) == [("low", 1), ("names", 4)]
    assert query(mirror.dsn, "SELECT reltuples::int FROM pg_class WHERE oid = 'medgen.names'::regclass") == [(20,)]


def test_the_first_load_describes_the_table_and_every_column(mirror: Mirror) -> None:
    described = query(
        mirror.dsn,
        "SELECT attname, col_description(attrelid, attnum), obj_description(attrelid, 'pg_class') FROM pg_attribute"
        " WHERE attrelid = 'medgen.names'::regclass AND attnum > 0 ORDER BY attnum",
    )
    assert described == [(column.name, column.description, NAMES.description) for column in NAMES.columns]


def test_the_first_load_gives_the_table_the_default_privileges_of_its_own_schema(database: str, tmp_path: Path) -> None:
    query(
        database,
        "CREATE SCHEMA medgen; CREATE SCHEMA medgen_staging;"
        " ALTER DEFAULT PRIVILEGES IN SCHEMA medgen GRANT SELECT ON TABLES TO pub_reader;"
        " ALTER DEFAULT PRIVILEGES IN SCHEMA medgen_staging GRANT SELECT ON TABLES TO pub_writer",
    )
    postgres_mirror(database, tmp_path, NAMES, "medgen").load(OLD)
    can = "SELECT has_table_privilege(%s, 'medgen.names', 'SELECT')"
    assert (query(database, can, "pub_reader"), query(database, can, "pub_writer")) == ([(True,)], [(False,)])


# What makes a load change the table in place

INDEXES = "SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'medgen' AND tablename = 'names'"
OBSTACLES = {
    "a materialized view": "CREATE MATERIALIZED VIEW public.m AS SELECT * FROM medgen.names",
    "a view of the row type": "CREATE VIEW public.v AS SELECT n FROM medgen.names n",
    "a CHECK": "ALTER TABLE medgen.names ADD CHECK (cui LIKE 'C%')",
    "NOT NULL": "ALTER TABLE medgen.names ALTER name SET NOT NULL",
    "a PRIMARY KEY": "ALTER TABLE medgen.names ADD PRIMARY KEY (cui)",
    "a UNIQUE constraint out of our index": "ALTER TABLE medgen.names ADD CONSTRAINT k UNIQUE USING INDEX names_key",
    "an exclusion constraint": "ALTER TABLE medgen.names ADD EXCLUDE USING btree (name WITH =)",
    "a FOREIGN KEY from it": """
        CREATE TABLE public.sources (source text PRIMARY KEY); INSERT INTO public.sources VALUES ('GTR');
        ALTER TABLE medgen.names ADD FOREIGN KEY (source) REFERENCES public.sources""",
    "a FOREIGN KEY to it": """
        CREATE TABLE public.patients (cui text REFERENCES medgen.names (cui));
        INSERT INTO public.patients VALUES ('C0'), ('C2')""",
    "a trigger": """
        CREATE TRIGGER t BEFORE UPDATE ON medgen.names FOR EACH ROW
            EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
    "row-level security": """
        CREATE POLICY p ON medgen.names FOR SELECT TO pub_reader USING (source = 'GTR');
        ALTER TABLE medgen.names ENABLE ROW LEVEL SECURITY""",
    "row-level security that lets nobody in": "ALTER TABLE medgen.names ENABLE ROW LEVEL SECURITY",
    "a policy that is not enabled": "CREATE POLICY p ON medgen.names TO pub_reader USING (true)",
    "a policy of another table that reads it": """
        CREATE TABLE public.patients (cui text);
        CREATE POLICY p ON public.patients USING (EXISTS (SELECT FROM medgen.names n WHERE n.cui = patients.cui))""",
    "a rule": """
        CREATE TABLE public.log (cui text);
        CREATE RULE r AS ON INSERT TO medgen.names DO ALSO INSERT INTO public.log VALUES (NEW.cui)""",
    "a rule of another table that reads it": """
        CREATE TABLE public.log (cui text);
        CREATE RULE r AS ON INSERT TO public.log DO ALSO SELECT count(*) FROM medgen.names""",
    "a rule of a view that writes to it": """
        CREATE VIEW public.v AS SELECT cui FROM medgen.names;
        CREATE RULE r AS ON DELETE TO public.v DO INSTEAD DELETE FROM medgen.names WHERE cui = OLD.cui""",
    "a publication": "CREATE PUBLICATION p FOR TABLE medgen.names WITH (publish = 'insert')",
    "a publication of all tables": "CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert')",
    "extended statistics": "CREATE STATISTICS public.s ON source, suppress FROM medgen.names",
    "a statistics target": "ALTER TABLE medgen.names ALTER name SET STATISTICS 500",
    "a statistics target of an index": """
        CREATE INDEX low ON medgen.names (lower(name)); ALTER INDEX medgen.low ALTER COLUMN 1 SET STATISTICS 500""",
    "an option of a column": "ALTER TABLE medgen.names ALTER name SET (n_distinct = -1)",
    "the storage of a column": "ALTER TABLE medgen.names ALTER name SET STORAGE EXTERNAL",
    "the compression of a column": "ALTER TABLE medgen.names ALTER name SET COMPRESSION pglz",
    "the collation of a column": 'ALTER TABLE medgen.names ALTER name TYPE text COLLATE "C"',
    "a default": "ALTER TABLE medgen.names ALTER source SET DEFAULT 'by hand'",
    "a fillfactor": "ALTER TABLE medgen.names SET (fillfactor = 70)",
    "an option of the TOAST table": "ALTER TABLE medgen.names SET (toast.autovacuum_enabled = off)",
    "a replica identity": "ALTER TABLE medgen.names REPLICA IDENTITY FULL",
    "an index to cluster by": "ALTER TABLE medgen.names CLUSTER ON names_key",
    "an index of the user's under our name": "CREATE INDEX names_idx ON medgen.names (name)",
    "a child without rows": "CREATE TABLE public.child () INHERITS (medgen.names)",
    "a parent": "CREATE TABLE public.parent (cui text); ALTER TABLE medgen.names INHERIT public.parent",
    "a type of its own": """
        CREATE TYPE public.row AS (cui text, name text, source text, suppress text);
        ALTER TABLE medgen.names OF public.row""",
    "a column of the user's": "ALTER TABLE medgen.names ADD note text",
    "a column with a default": "ALTER TABLE medgen.names ADD note text DEFAULT 'none'",
    "an identity column": "ALTER TABLE medgen.names ADD id bigint GENERATED ALWAYS AS IDENTITY",
    "a generated column": "ALTER TABLE medgen.names ADD low text GENERATED ALWAYS AS (lower(name)) STORED",
    "a sequence that belongs to it": "CREATE SEQUENCE medgen.s OWNED BY medgen.names.cui",
    "a function over the row type": """
        CREATE FUNCTION public.f(medgen.names) RETURNS text LANGUAGE sql AS 'SELECT $1.name'""",
    "a function over many rows": "CREATE FUNCTION public.f(medgen.names[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a function that returns rows": """
        CREATE FUNCTION public.f() RETURNS SETOF medgen.names LANGUAGE sql AS 'SELECT * FROM medgen.names'""",
    "a function with a parsed body": """
        CREATE FUNCTION public.f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM medgen.names; END""",
    "a column of the row type": "CREATE TABLE public.kept (earlier medgen.names)",
    "a column of many rows": "CREATE TABLE public.kept (earlier medgen.names[])",
}


@pytest.mark.parametrize("attach", OBSTACLES.values(), ids=OBSTACLES)
def test_it_makes_the_load_change_the_table_in_place(mirror: Mirror, attach: str) -> None:
    bare = facts(mirror.dsn)
    query(mirror.dsn, attach)
    attached = facts(mirror.dsn)
    assert attached != bare, "the facts do not show what this test is about"
    assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is ApplyMode.DELTA
    assert facts(mirror.dsn) == attached
    assert sorted(query(mirror.dsn, "SELECT cui, name FROM ONLY medgen.names")) == names_of(NEW)


def test_an_index_of_the_users_with_the_name_of_our_key_stays_and_the_key_gets_a_plain_one(mirror: Mirror) -> None:
    partial = "CREATE UNIQUE INDEX names_key ON medgen.names (cui) WHERE (source = 'GTR'::text)"
    query(mirror.dsn, f"DROP INDEX medgen.names_key; {partial}")
    for rows in (NEW, OLD, NEW):
        assert mirror.load(rows, release="2026-01-14", **SWAP).mode is ApplyMode.DELTA
        assert sorted(query(mirror.dsn, "SELECT cui, name FROM medgen.names")) == names_of(rows)
        assert dict(query(mirror.dsn, INDEXES)) == {  # type: ignore[arg-type]
            "names_key": partial.replace("ON medgen.names", "ON medgen.names USING btree"),
            "names_idx": "CREATE INDEX names_idx ON medgen.names USING btree (cui)",
        }


def test_a_materialized_view_survives_and_can_be_refreshed(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE MATERIALIZED VIEW public.m AS SELECT cui, name FROM medgen.names")
    query(mirror.dsn, "CREATE VIEW public.v AS SELECT * FROM public.m")
    assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is ApplyMode.DELTA
    assert sorted(query(mirror.dsn, "SELECT * FROM public.v")) == names_of(OLD)
    query(mirror.dsn, "REFRESH MATERIALIZED VIEW public.m")
    assert sorted(query(mirror.dsn, "SELECT * FROM public.v")) == names_of(NEW)


def test_an_invalid_index_and_a_temporary_view_make_the_load_change_the_table_in_place(mirror: Mirror) -> None:
    with pytest.raises(pg_errors.UniqueViolation):
        query(mirror.dsn, "CREATE UNIQUE INDEX CONCURRENTLY bad ON medgen.names (source)")
    attached = facts(mirror.dsn)
    assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is ApplyMode.DELTA
    assert facts(mirror.dsn) == attached
    query(mirror.dsn, "DROP INDEX medgen.bad")
    with closing(psycopg.connect(mirror.dsn, autocommit=True)) as user:
        user.execute("CREATE TEMP VIEW mine AS SELECT cui, name FROM medgen.names")
        assert mirror.load(OLD, release="2026-01-21", **SWAP).mode is ApplyMode.DELTA
        assert sorted(user.execute("SELECT * FROM mine").fetchall()) == names_of(OLD)
    assert mirror.load(NEW, release="2026-01-28", **SWAP).mode is ApplyMode.SWAP


AS_A_ROLE = {
    "its own view beside a table it may only read": (
        """CREATE TABLE public.notes (cui text); GRANT USAGE ON SCHEMA public TO pub_loader;
        GRANT SELECT ON public.notes TO pub_loader;
        CREATE VIEW medgen.v AS SELECT n.* FROM medgen.names n LEFT JOIN public.notes USING (cui);
        ALTER VIEW medgen.v OWNER TO pub_loader; GRANT SELECT ON medgen.names TO pub_reader""",
        ApplyMode.SWAP,
    ),
    "a view of somebody else's": (
        """GRANT SELECT ON medgen.names TO "Pub Owner"; CREATE VIEW medgen.v AS SELECT * FROM medgen.names;
        ALTER VIEW medgen.v OWNER TO "Pub Owner" """,
        ApplyMode.DELTA,
    ),
    "its own view where it may not make one": (
        """CREATE SCHEMA closed; CREATE VIEW closed.v AS SELECT * FROM medgen.names;
        ALTER VIEW closed.v OWNER TO pub_loader""",
        ApplyMode.DELTA,
    ),
    "a team's table": (
        """ALTER TABLE medgen.names OWNER TO pub_team; GRANT SELECT ON medgen.names TO pub_loader;
        GRANT CREATE ON SCHEMA medgen_staging TO pub_team""",
        ApplyMode.SWAP,
    ),
    "a table of a team that may make none": ("ALTER TABLE medgen.names OWNER TO pub_team", ApplyMode.DELTA),
}


@pytest.mark.parametrize(("attach", "mode"), AS_A_ROLE.values(), ids=AS_A_ROLE)
def test_a_role_that_is_no_superuser_swaps_only_what_it_can_put_back(
    database: str, tmp_path: Path, attach: str, mode: ApplyMode
) -> None:
    query(database, f"GRANT CREATE ON DATABASE {urlsplit(database).path[1:]} TO pub_loader")
    mirror = postgres_mirror(as_role(database, "pub_loader"), tmp_path, NAMES, "medgen")
    mirror.load(OLD)
    query(database, attach)
    attached = facts(database)
    assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is mode
    assert facts(database) == attached
    assert sorted(query(database, "SELECT cui, name FROM medgen.names")) == names_of(NEW)


# Loads that must not go through


def audit(dsn: str) -> list[Row]:
    return query(dsn, "SELECT mode, status FROM medgen_audit.load_run ORDER BY load_id")


def assert_refused(
    mirror: Mirror, message: str, options: dict[str, object], lines: list[bytes] = NEW, table: SourceTable = NAMES
) -> None:
    """The load fails and says so; production, what is attached to it, staging and feed are as they were."""
    before = facts(mirror.dsn), mirror.production(), mirror.feed()
    with pytest.raises(LoaderError, match=message):
        replace(mirror, table=table).load(lines, release="2026-02-28", **options)
    assert (facts(mirror.dsn), mirror.production(), mirror.feed()) == before
    assert audit(mirror.dsn)[-1] == (None, "failed")


@pytest.mark.parametrize("options", [SWAP, DELTA], ids=["swap", "delta"])
def test_a_release_that_breaks_a_unique_index_of_the_users_is_refused(
    mirror: Mirror, options: dict[str, object]
) -> None:
    query(mirror.dsn, "CREATE UNIQUE INDEX one_name ON medgen.names (name)")
    assert_refused(mirror, "one_name", options, [*OLD[1:], b"C0|name 7|GTR|N|"])


@pytest.mark.parametrize(
    "swallow",
    [
        "CREATE RULE r AS ON INSERT TO medgen.names DO INSTEAD NOTHING",
        """CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER t BEFORE INSERT ON medgen.names FOR EACH ROW EXECUTE FUNCTION public.f()""",
    ],
    ids=["rule", "trigger"],
)
def test_rows_that_a_rule_or_trigger_swallows_are_noticed(mirror: Mirror, swallow: str) -> None:
    query(mirror.dsn, swallow)
    assert_refused(mirror, "inserted 0 rows, the change set has 1", SWAP)


ALTERING = {
    "a trigger": """CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END';
        CREATE TRIGGER t BEFORE INSERT OR UPDATE ON medgen.names FOR EACH ROW EXECUTE FUNCTION public.f()""",
    "a trigger after the statement": """CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN UPDATE medgen.names SET source = NULL WHERE cui = ''C5''; RETURN NULL; END';
        CREATE TRIGGER t AFTER INSERT ON medgen.names FOR EACH STATEMENT EXECUTE FUNCTION public.f()""",
    "a trigger that waits for the commit": """CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN UPDATE medgen.names SET source = NULL WHERE cui = ''C5''; RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER t AFTER INSERT ON medgen.names DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION public.f()""",
    "a rule": "CREATE RULE t AS ON INSERT TO medgen.names DO ALSO UPDATE medgen.names SET name = 'x' WHERE cui = 'C5'",
}


@pytest.mark.parametrize("alter", ALTERING.values(), ids=ALTERING)
@pytest.mark.parametrize("options", [SWAP, {}], ids=["warehouse", "snapshot"])
def test_values_that_a_rule_or_trigger_alters_are_noticed(
    mirror: Mirror, options: dict[str, object], alter: str
) -> None:
    query(mirror.dsn, alter)
    assert_refused(mirror, r"not those of the release: .* What may have changed them: (trigger|rule) t\.", options)
    query(mirror.dsn, "DROP TRIGGER t ON medgen.names" if "TRIGGER" in alter else "DROP RULE t ON medgen.names")
    assert mirror.load(NEW, release="2026-03-07").counts.changed == 3


def test_a_trigger_that_alters_nothing_hinders_nothing(mirror: Mirror) -> None:
    query(
        mirror.dsn,
        """CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER t BEFORE INSERT OR UPDATE ON medgen.names FOR EACH ROW EXECUTE FUNCTION public.f()""",
    )
    assert mirror.load(NEW, release="2026-01-14", **SWAP).counts.changed == 3
    assert mirror.load(OLD, release="2026-01-21").counts.changed == 3


def test_rows_of_a_table_that_inherits_are_not_deleted(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE TABLE public.child () INHERITS (medgen.names)")
    query(mirror.dsn, "INSERT INTO public.child VALUES ('X1', 'mine', NULL, NULL)")
    assert_refused(mirror, r"public\.child inherits from it and has rows", DELTA)
    assert query(mirror.dsn, "SELECT cui FROM public.child") == [("X1",)]


def test_a_referenced_row_that_goes_is_refused(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE TABLE public.patients (cui text REFERENCES medgen.names (cui))")
    query(mirror.dsn, "INSERT INTO public.patients VALUES ('C1')")
    assert_refused(mirror, "violates foreign key constraint", SWAP)


LATE = {
    "a materialized view": ("CREATE MATERIALIZED VIEW public.m AS SELECT * FROM medgen.names", "materialized view"),
    "a constraint": ("ALTER TABLE medgen.names ADD CONSTRAINT late CHECK (true)", "constraint late"),
    "an index": ("CREATE INDEX late ON medgen.names (name)", "its indexes were changed"),
    "the loss of an index": ("DROP INDEX medgen.early", "its indexes were changed"),
    "a grant": ("GRANT SELECT ON medgen.names TO pub_reader", None),
    "a comment": ("COMMENT ON COLUMN medgen.names.name IS 'late'", None),
    "a view": ("CREATE VIEW public.v AS SELECT * FROM medgen.names", None),
    "another name of an index": ("ALTER INDEX medgen.early RENAME TO late", None),
}


@pytest.mark.parametrize(("attach", "refusal"), LATE.values(), ids=LATE)
def test_what_is_attached_while_indexes_are_built_is_carried_over_or_stops_the_swap(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, attach: str, refusal: str | None
) -> None:
    query(mirror.dsn, "CREATE INDEX early ON medgen.names (source)")
    prepare_swap, attached = publish.prepare_swap, {}

    def prepare_and_attach(session: PostgresSession, names: TableNames, *, indexed: bool) -> None:
        prepare_swap(session, names, indexed=indexed)
        query(mirror.dsn, attach)
        attached.update(facts(mirror.dsn))

    monkeypatch.setattr(publish, "prepare_swap", prepare_and_attach)
    with staged(mirror.dsn, NAMES, NEW) as loader:
        if refusal:
            with pytest.raises(ProductionChangedError, match=refusal):
                loader.apply_changes(NAMES, ApplyMode.SWAP)
        else:
            loader.apply_changes(NAMES, ApplyMode.SWAP)
        loader.cleanup(NAMES)
    assert facts(mirror.dsn) | {"relations": []} == attached | {"relations": []}  # staging had relations
    assert sorted(query(mirror.dsn, "SELECT cui, name FROM medgen.names")) == names_of(OLD if refusal else NEW)


# Locks


def test_a_swap_locks_no_other_table_that_a_view_reads(mirror: Mirror) -> None:
    query(mirror.dsn, VIEWS["a view beside another table"][0])
    with open_transaction(mirror.dsn, "SELECT FROM public.notes"):
        assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is ApplyMode.SWAP


def test_two_swaps_with_a_view_on_both_tables_do_not_keep_each_other_out(mirror: Mirror) -> None:
    merged = replace(mirror, table=MERGED)
    merged.load([b"C90|C1|"])
    query(mirror.dsn, ON_BOTH_TABLES)
    waiting = (
        "SELECT 1 FROM pg_locks WHERE relation = 'medgen.names'::regclass AND granted"
        " AND mode = 'ShareRowExclusiveLock'"
    )
    with ThreadPoolExecutor(1) as thread, open_transaction(mirror.dsn, "SELECT FROM medgen.names") as reader:
        swap = thread.submit(mirror.load, NEW, release="2026-01-14", **SWAP)
        while not query(mirror.dsn, waiting):
            assert not swap.done()
        assert merged.load([b"C90|C0|"], release="2026-01-14", **SWAP).mode is ApplyMode.SWAP
        reader.rollback()
        assert swap.result().mode is ApplyMode.SWAP
    assert query(mirror.dsn, "SELECT * FROM public.v") == [("C90", "renamed")]


def test_a_load_does_not_wait_for_a_reader_of_the_feed(mirror: Mirror) -> None:
    mirror.load(NEW, release="2026-01-14", **DELTA)
    with (
        open_transaction(mirror.dsn, "SELECT FROM medgen_changes.names"),
        staged(mirror.dsn, NAMES, OLD, lock_timeout_seconds=0.3) as loader,
    ):
        loader.apply_changes(NAMES, ApplyMode.DELTA)
    assert sorted(query(mirror.dsn, "SELECT cui, name FROM medgen.names")) == names_of(OLD)


@pytest.mark.parametrize("options", [SWAP, DELTA], ids=["swap", "delta"])
def test_a_transaction_older_than_the_load_sees_a_whole_release(mirror: Mirror, options: dict[str, object]) -> None:
    query(mirror.dsn, "CREATE VIEW public.v AS SELECT * FROM medgen.names")
    with open_transaction(mirror.dsn, "SELECT count(*) FROM pg_class") as reader:
        mirror.load(NEW, release="2026-01-14", **options)
        for read in "SELECT cui, name FROM medgen.names", "SELECT cui, name FROM public.v":
            assert sorted(reader.execute(read).fetchall()) in (names_of(OLD), names_of(NEW))


# The choice of the mode


@pytest.mark.parametrize(
    ("percent", "force_warehouse", "mode"),
    [(15, True, ApplyMode.SWAP), (15.1, True, ApplyMode.DELTA), (0, False, ApplyMode.DELTA)],
    ids=["3 of 20 rows are 15 percent", "and less than 15.1", "a difference between files cannot take the place"],
)
def test_the_share_of_changed_rows_decides_the_mode(
    database: str, tmp_path: Path, percent: float, force_warehouse: bool, mode: ApplyMode
) -> None:
    mirror = postgres_mirror(database, tmp_path, NAMES, "medgen")
    assert mirror.load(OLD).mode is ApplyMode.SWAP
    result = mirror.load(NEW, release="2026-01-14", force_warehouse=force_warehouse, swap_above_percent=percent)
    assert result.counts.changed == 3
    assert result.strategy is (Strategy.WAREHOUSE if force_warehouse else Strategy.SNAPSHOT)
    assert result.mode is mode
    assert mirror.load(NEW, release="2026-01-21", **SWAP).mode is ApplyMode.UNCHANGED
    assert audit(database) == [(how, "succeeded") for how in ("swap", mode, "unchanged")]


REPEATING = [b"M1\tC1\tJan\t0", b"M1\tC1\tJan\t0", b"M1\tC1\tJan\t1", b"\tC2\tJan\t1", b"M3\tC3\tJan\t0"]


@pytest.mark.parametrize(
    ("table", "before", "after"),
    [
        (NAMES, OLD, NEW),
        (MONDO, REPEATING, REPEATING[1:4]),
        (MONDO, REPEATING[2:], [*REPEATING, b"M4\tC4\tJan\t1"]),
        (HISTORY, [b"C1\tC2\tJan"] * 3 + [b"C3\t\tJan"], [b"C1\tC2\tJan", b"C3\t\tJan", b"C3\t\tJan", b"\t\t"]),
    ],
    ids=["a key", "a key that repeats no more", "a key that begins to repeat", "no key"],
)
def test_a_swap_and_a_delta_leave_the_same_rows_and_the_same_feed(
    database: str, tmp_path: Path, table: SourceTable, before: list[bytes], after: list[bytes]
) -> None:
    swapped, in_place = postgres_mirror(database, tmp_path, table, "s"), postgres_mirror(database, tmp_path, table, "d")
    for mirror, options, mode in ((swapped, SWAP, ApplyMode.SWAP), (in_place, DELTA, ApplyMode.DELTA)):
        mirror.load(before)
        assert mirror.load(after, release="2026-01-14", **options).mode is mode
        assert mirror.load(before, release="2026-01-21", **options).mode is mode
    assert swapped.production() == in_place.production()
    assert swapped.feed() == in_place.feed() != Counter()


# A catalog entry that changed

WITH_EXTRA = replace(NAMES, columns=(*NAMES.columns, Column("extra", "extra", "Came later.")))
WITH_INTEGER = replace(
    NAMES, columns=tuple(replace(c, type=ColumnType.INTEGER) if c.name == "source" else c for c in NAMES.columns)
)
EXTRA = [line + b"extra|" for line in OLD]
NUMBERS = [b"C%d|name %d|%d|N|" % (number, number, number) for number in range(20)]


def test_a_column_that_the_catalog_gains_makes_a_new_table_and_keeps_what_hangs_on_it(mirror: Mirror) -> None:
    mirror.load(NEW, release="2026-01-14", **DELTA)
    for attach in CARRIED.values():
        query(mirror.dsn, attach)
    query(mirror.dsn, VIEWS["views on views"][0])
    query(mirror.dsn, VIEWS["a view with options"][0])
    attached, feed = facts(mirror.dsn), mirror.feed()
    later = replace(mirror, table=WITH_EXTRA)
    result = later.load(EXTRA, release="2026-01-21")
    assert (result.mode, result.counts.baseline, result.strategy) == (ApplyMode.SWAP, True, Strategy.WAREHOUSE)
    assert result.strategy_reason == "the catalog's entry has changed since the last load"
    assert mirror.feed() == feed  # a baseline feeds nothing
    assert sorted(query(mirror.dsn, VIEWS["views on views"][1])) == names_of(OLD)
    after = facts(mirror.dsn)
    assert after["columns"][:4] == attached["columns"]
    assert (after["columns"][4][0], after["columns"][4][-1]) == ("extra", "Came later.")
    assert after | {"columns": []} == attached | {"columns": []}
    later.load([EXTRA[0].replace(b"name 0", b"renamed"), *EXTRA[1:]], release="2026-01-28")
    fed = query(mirror.dsn, "SELECT _change_type, extra FROM medgen_changes.names WHERE _release = '2026-01-28'")
    assert sorted(fed) == [("update_postimage", "extra"), ("update_preimage", "extra")]


@pytest.mark.parametrize("options", [SWAP, DELTA], ids=["swap", "delta"])
@pytest.mark.parametrize(
    ("earlier", "later"), [(WITH_INTEGER, NAMES), (NAMES, WITH_INTEGER)], ids=["to text", "to integer"]
)
def test_a_column_whose_type_changed_makes_a_new_table_and_fits_the_feed(
    database: str, tmp_path: Path, earlier: SourceTable, later: SourceTable, options: dict[str, object]
) -> None:
    mirror = postgres_mirror(database, tmp_path, earlier, "medgen")
    mirror.load(NUMBERS)
    mirror.load(NUMBERS[1:], release="2026-01-14", **options)
    query(database, "CREATE VIEW public.v AS SELECT cui, name FROM medgen.names")
    mirror = replace(mirror, table=later)
    assert mirror.load(NUMBERS[1:], release="2026-01-21").counts.baseline
    assert sorted(query(database, "SELECT * FROM public.v")) == names_of(NUMBERS[1:])
    mirror.load(NUMBERS[2:], release="2026-01-28", **options)
    fed = query(database, "SELECT _change_type, cui, source::text FROM medgen_changes.names ORDER BY cui")
    assert fed == [("delete", "C0", "0"), ("delete", "C1", "1")]


def test_a_view_that_does_not_fit_the_new_table_stops_the_load_by_name(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE VIEW public.fits AS SELECT cui FROM medgen.names")
    query(mirror.dsn, "CREATE VIEW public.v AS SELECT source FROM medgen.names")
    message = r'medgen\.names: view "public"\."v" does not fit the new table: cannot change data type'
    assert_refused(mirror, message, SWAP, NUMBERS, WITH_INTEGER)
    query(mirror.dsn, "DROP VIEW public.v")
    assert replace(mirror, table=WITH_INTEGER).load(NUMBERS, release="2026-03-07").counts.baseline


def test_what_a_new_table_would_lose_stops_the_load_by_name(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE MATERIALIZED VIEW public.m AS SELECT * FROM medgen.names")
    query(mirror.dsn, "ALTER TABLE medgen.names ADD CONSTRAINT fits CHECK (cui LIKE 'C%'), ADD note text")
    message = (
        "must be made anew, but column note, constraint fits on table medgen.names,"
        " rule _RETURN on materialized view public.m would be lost"
    )
    assert_refused(mirror, message, DELTA, EXTRA, WITH_EXTRA)
    query(mirror.dsn, "DROP MATERIALIZED VIEW public.m")
    query(mirror.dsn, "ALTER TABLE medgen.names DROP CONSTRAINT fits, DROP note")
    assert replace(mirror, table=WITH_EXTRA).load(EXTRA, release="2026-03-07").counts.baseline


def test_a_column_that_the_catalog_gives_up_stays_in_the_table(database: str, tmp_path: Path) -> None:
    mirror = postgres_mirror(database, tmp_path, WITH_EXTRA, "medgen")
    mirror.load(EXTRA)
    result = replace(mirror, table=NAMES).load(NEW, release="2026-01-14", **SWAP)
    assert (result.mode, result.counts.changed) == (ApplyMode.DELTA, 3)
    kept = query(database, "SELECT cui, name, extra FROM medgen.names WHERE cui IN ('C0', 'C99') ORDER BY 1")
    assert kept == [("C0", "renamed", "extra"), ("C99", "new", None)]


# The code


def test_nothing_is_ever_dropped_with_cascade() -> None:
    package = Path(medgen_pipeline.__file__).parent
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text())
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        prose = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
        texts = (
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        assert not [text for text in texts if "cascade" in text.lower() and text not in prose], path
