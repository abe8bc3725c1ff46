"""What users attach to a table survives every load, through a swap and through changes in place.

Each attachment is either carried over by the swap or sends the load by way of changes in place; never is it lost.
How change sets are found is tested elsewhere.
"""

import ast
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors as pg_errors

import medgen_pipeline
from medgen_pipeline.catalog import Column, ColumnType, Table, table_by_name
from medgen_pipeline.loaders import (
    ApplyMode,
    LoaderError,
    LoadStatus,
    ProductionChangedError,
    Strategy,
    TableBusyError,
)
from medgen_pipeline_tests.integration.test_strategies import HISTORY, MERGED, MONDO, NAMES, Mirror
from medgen_pipeline_tests.loaders.support import Row, canonical, new_loader, query, session, start_of

OLD = [b"C%d|name %d|GTR|N|" % (number, number) for number in range(20)]
NEW = [b"C0|renamed|GTR|N|", *OLD[2:], b"C99|new|GTR|N|"]  # C1 is gone
SWAP: dict[str, object] = {"force_warehouse": True, "swap_above_percent": 0}
DELTA: dict[str, object] = {"force_warehouse": True, "swap_above_percent": 1e9}

READER, WRITER, OWNER, LOADER = "medgen_pub_reader", "medgen_pub_writer", "Medgen Pub Owner", "medgen_pub_loader"
LONG = "n" * 63  # the longest name PostgreSQL takes

# Everything that can be known about medgen.names and what hangs on it, one query per kind.
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
        WHERE attrelid = 'medgen.names'::regclass ORDER BY 1, 2, 3""",
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


@pytest.fixture(autouse=True, scope="module")
def _roles(postgres_server: str) -> Iterator[None]:
    """Roles belong to the server, so they outlive a test's database."""
    roles = [f'"{role}"' for role in (READER, WRITER, OWNER, LOADER)]
    for role in roles:
        query(postgres_server, f"DROP ROLE IF EXISTS {role}")
        query(postgres_server, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    yield
    for role in roles:
        query(postgres_server, f"DROP ROLE {role}")


@pytest.fixture(scope="module")
def first_load(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a database to copy, in which ``medgen.names`` has had its first load."""
    name = "medgen_test_publication"
    query(postgres_server, f"DROP DATABASE IF EXISTS {name}")
    query(postgres_server, f"CREATE DATABASE {name}")
    dsn = urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
    Mirror(dsn, tmp_path_factory.mktemp("first"), NAMES, "medgen").load(OLD)
    query(dsn, "GRANT USAGE ON SCHEMA medgen TO PUBLIC")
    yield name
    query(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def mirror(postgres_server: str, first_load: str, tmp_path: Path) -> Iterator[Mirror]:
    """``medgen.names`` after its first load."""
    name = f"{first_load}_copy"
    query(postgres_server, f"CREATE DATABASE {name} TEMPLATE {first_load}")
    yield Mirror(urlsplit(postgres_server)._replace(path=f"/{name}").geturl(), tmp_path, NAMES, "medgen")
    query(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


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
    "grants": f"""
        GRANT SELECT, UPDATE ON medgen.names TO {READER} WITH GRANT OPTION;
        GRANT SELECT ON medgen.names TO PUBLIC;
        SET ROLE {READER}; GRANT SELECT ON medgen.names TO {WRITER}; RESET ROLE""",
    "grants of columns": f"""
        GRANT SELECT (cui, name), UPDATE (source) ON medgen.names TO {READER} WITH GRANT OPTION;
        GRANT SELECT (cui) ON medgen.names TO PUBLIC""",
    "owner": f'ALTER TABLE medgen.names OWNER TO "{OWNER}"; GRANT SELECT ON medgen.names TO CURRENT_USER',
    "a privilege the owner gave up": "REVOKE TRUNCATE, DELETE ON medgen.names FROM CURRENT_USER",
    "default privileges that production was not given": f"""
        ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {WRITER};
        ALTER DEFAULT PRIVILEGES IN SCHEMA medgen GRANT SELECT ON TABLES TO PUBLIC;
        ALTER DEFAULT PRIVILEGES IN SCHEMA medgen_staging GRANT SELECT ON TABLES TO {READER};
        COMMENT ON TABLE medgen.names IS 'shows that the load is a swap'""",
    "comments": """
        COMMENT ON TABLE medgen.names IS 'it''s ours: 100%s';
        COMMENT ON COLUMN medgen.names.name IS 'Ours, é'; COMMENT ON COLUMN medgen.names.cui IS NULL""",
    "no comment on the table": "COMMENT ON TABLE medgen.names IS NULL",
    "a plain index": "CREATE INDEX ON medgen.names (source, name DESC NULLS LAST)",
    "a unique index": "CREATE UNIQUE INDEX one_name ON medgen.names (name) INCLUDE (source)",
    "a partial index": "CREATE INDEX odd ON medgen.names (cui) WHERE source = 'GTR' AND name LIKE 'INDEX % ON medgen.%'",
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
# Each view with the query that must show every row of production through it.
VIEWS = {
    "a view": ("CREATE VIEW public.v AS SELECT * FROM medgen.names", "SELECT cui, name FROM public.v"),
    "a quoted view": (
        'CREATE SCHEMA "My Reports"; CREATE VIEW "My Reports"."100% of; Names" ("Concept Id", n)'
        " AS SELECT cui, name FROM medgen.names",
        'SELECT "Concept Id", n FROM "My Reports"."100% of; Names"',
    ),
    "views on views": (
        "CREATE VIEW public.v1 AS SELECT cui, name FROM medgen.names; CREATE VIEW public.v2 AS SELECT * FROM public.v1;"
        " CREATE VIEW public.v3 AS SELECT v2.cui, n.name FROM public.v2 JOIN medgen.names n USING (cui)",
        "SELECT cui, name FROM public.v3",
    ),
    "a view with options": (
        "CREATE VIEW public.v WITH (security_barrier) AS SELECT * FROM medgen.names WHERE source = 'GTR'"
        " WITH LOCAL CHECK OPTION",
        "SELECT cui, name FROM public.v",
    ),
    "a view with grants, comments, owner and default": (
        f"CREATE VIEW public.v AS SELECT * FROM medgen.names; GRANT SELECT ON public.v TO {READER} WITH GRANT OPTION;"
        f' GRANT SELECT (name) ON public.v TO {WRITER}; ALTER VIEW public.v OWNER TO "{OWNER}";'
        " COMMENT ON VIEW public.v IS 'why'; COMMENT ON COLUMN public.v.cui IS 'which';"
        f' ALTER VIEW public.v ALTER source SET DEFAULT \'by hand\'; GRANT SELECT ON medgen.names TO "{OWNER}"',
        "SELECT cui, name FROM public.v",
    ),
    "a view with an INSTEAD OF trigger": (
        "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE VIEW public.v AS SELECT * FROM medgen.names;"
        " CREATE TRIGGER t INSTEAD OF DELETE ON public.v FOR EACH ROW EXECUTE FUNCTION public.f()",
        "SELECT cui, name FROM public.v",
    ),
    "a view with a rule of its own": (
        "CREATE VIEW public.v AS SELECT * FROM medgen.names;"
        " CREATE RULE keep AS ON DELETE TO public.v DO INSTEAD NOTHING",
        "SELECT cui, name FROM public.v",
    ),
    "a view that takes rows whole": (
        "CREATE VIEW public.v AS WITH RECURSIVE r (j) AS (SELECT row_to_json(n) FROM medgen.names n"
        " UNION ALL SELECT j FROM r WHERE false) SELECT j FROM r",
        "SELECT j ->> 'cui', j ->> 'name' FROM public.v",
    ),
    "a view beside another table": (
        "CREATE TABLE public.notes (cui text, note text); CREATE VIEW public.v AS"
        " SELECT cui, coalesce(note, name) AS name FROM medgen.names LEFT JOIN public.notes USING (cui)",
        "SELECT cui, name FROM public.v",
    ),
    "a function that reads the table when called": (
        "CREATE FUNCTION public.f() RETURNS TABLE (c text, n text) LANGUAGE sql AS 'SELECT cui, name FROM medgen.names'",
        "SELECT * FROM public.f()",
    ),
}


@pytest.mark.parametrize("attach", CARRIED.values(), ids=CARRIED)
def test_a_swap_carries_it_over(mirror: Mirror, attach: str) -> None:
    bare = facts(mirror.dsn)
    query(mirror.dsn, attach)
    attached = facts(mirror.dsn)
    assert attached != bare or "names_key" in attach, "the facts do not show what this test is about"
    assert mirror.load(NEW, release="2026-01-14", **SWAP).mode is ApplyMode.SWAP
    assert facts(mirror.dsn) == attached


@pytest.mark.parametrize("options", [SWAP, DELTA], ids=["swap", "delta"])
@pytest.mark.parametrize(("attach", "read"), VIEWS.values(), ids=VIEWS)
def test_a_view_survives_and_shows_the_new_rows(
    mirror: Mirror, attach: str, read: str, options: dict[str, object]
) -> None:
    query(mirror.dsn, attach)
    attached = facts(mirror.dsn)
    assert sorted(query(mirror.dsn, read)) == names_of(OLD)
    result = mirror.load(NEW, release="2026-01-14", **options)
    assert result.mode is (ApplyMode.SWAP if options is SWAP else ApplyMode.DELTA)
    assert sorted(query(mirror.dsn, read)) == names_of(NEW)
    assert facts(mirror.dsn) == attached


def test_ten_swaps_in_a_row_keep_everything_and_leave_nothing_behind(mirror: Mirror) -> None:
    for attach in CARRIED.values():
        query(mirror.dsn, attach)
    query(mirror.dsn, VIEWS["views on views"][0])
    query(mirror.dsn, VIEWS["a quoted view"][0])
    attached = facts(mirror.dsn)
    for number in range(10):
        lines, modes = (NEW, OLD) if number % 2 == 0 else (OLD, NEW), set()
        modes.add(mirror.load(lines[0], release=f"2026-02-{number + 1:02}", **SWAP).mode)
        assert modes == {ApplyMode.SWAP}
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
    query(
        mirror.dsn,
        "CREATE VIEW public.v AS SELECT m.cui, n.name FROM medgen.merged m LEFT JOIN medgen.names n ON n.cui = m.to_cui",
    )
    for turn in range(2):
        assert mirror.load([NEW, OLD][turn], release=f"2026-01-{14 + turn}", **SWAP).mode is ApplyMode.SWAP
        more = [*pairs, b"C92|C3|"] if turn == 0 else pairs
        assert merged.load(more, release=f"2026-01-{14 + turn}", **SWAP).mode is ApplyMode.SWAP
        shown = dict(query(mirror.dsn, "SELECT * FROM public.v"))
        assert shown == {"C90": None, "C91": "name 2", "C92": "name 3"} if turn == 0 else {
            "C90": "name 1",
            "C91": "name 2",
        }


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


def test_the_first_load_gives_the_table_the_default_privileges_of_its_own_schema(
    database: str, tmp_path: Path
) -> None:
    with new_loader(database):
        pass  # makes the schemas
    query(
        database,
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA medgen GRANT SELECT ON TABLES TO {READER};"
        f" ALTER DEFAULT PRIVILEGES IN SCHEMA medgen_staging GRANT SELECT ON TABLES TO {WRITER}",
    )
    Mirror(database, tmp_path, NAMES, "medgen").load(OLD)
    can = "SELECT has_table_privilege(%s, 'medgen.names', 'SELECT')"
    assert (query(database, can, READER), query(database, can, WRITER)) == ([(True,)], [(False,)])


# What makes a load change the table in place

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
    "row-level security": f"""
        CREATE POLICY p ON medgen.names FOR SELECT TO {READER} USING (source = 'GTR');
        ALTER TABLE medgen.names ENABLE ROW LEVEL SECURITY""",
    "a policy that is not enabled": f"CREATE POLICY p ON medgen.names TO {READER} USING (true)",
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
    "our index made partial": """
        DROP INDEX medgen.names_key; CREATE UNIQUE INDEX names_key ON medgen.names (cui) WHERE source = 'GTR'""",
    "a child": "CREATE TABLE public.child () INHERITS (medgen.names)",
    "a parent": "CREATE TABLE public.parent (cui text); ALTER TABLE medgen.names INHERIT public.parent",
    "a type of its own": """
        CREATE TYPE public.of AS (cui text, name text, source text, suppress text);
        ALTER TABLE medgen.names OF public.of""",
    "a column of the user's": "ALTER TABLE medgen.names ADD note text DEFAULT 'none'",
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
