"""What users attach to a table survives every load, and what a load meets there that stops it.

How change sets are found is tested elsewhere.
"""

import ast
from collections.abc import Iterator, Sequence
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
    Strategy,
)
from medgen_pipeline.testing import Mirror, Row, canonical, load
from medgen_pipeline.testing.loads import NAMES, begun
from medgen_pipeline_tests.loaders.support import new_loader, postgres_mirror, query, session

OLD = [b"C%d|name %d|GTR|N|" % (number, number) for number in range(20)]
NEW = [b"C0|renamed|GTR|N|", *OLD[2:], b"C99|new|GTR|N|"]  # C1 is gone
WHOLE: dict[str, object] = {"force_warehouse": True}

ROLES = "pub_reader", "pub_writer", '"Pub Owner"', "pub_loader", "pub_team"

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
            ('pg_catalog', 'information_schema', 'medgen_history') ORDER BY 2""",
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
        return facts_in(connection)


def facts_in(connection: psycopg.Connection[Row]) -> dict[str, list[Row]]:
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
        "DROP SCHEMA IF EXISTS medgen, medgen_staging, medgen_changes, medgen_audit, medgen_history,"
        " s, s_staging, s_changes, s_audit, s_history, d, d_staging, d_changes, d_audit, d_history,"
        ' "My Reports", closed, public CASCADE; CREATE SCHEMA public',
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
    with begun(new_loader(dsn, **config), table, "2026-01-14") as loader:
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


# What users attach

ATTACHED = {
    "grants": """
        GRANT SELECT, UPDATE ON medgen.names TO pub_reader WITH GRANT OPTION;
        GRANT SELECT ON medgen.names TO PUBLIC;
        SET ROLE pub_reader; GRANT SELECT ON medgen.names TO pub_writer; RESET ROLE""",
    "owner": 'ALTER TABLE medgen.names OWNER TO "Pub Owner"; GRANT SELECT ON medgen.names TO CURRENT_USER',
    "comments": """
        COMMENT ON TABLE medgen.names IS 'it''s ours: 100%s';
        COMMENT ON COLUMN medgen.names.name IS 'Ours, é'; COMMENT ON COLUMN medgen.names.cui IS NULL""",
    "a unique index": "CREATE UNIQUE INDEX one_name ON medgen.names (name) INCLUDE (source)",
    "a partial index": "CREATE INDEX odd ON medgen.names (cui) WHERE source = 'GTR' AND name <> 'INDEX odd ON medgen.'",
    "an expression index": "CREATE INDEX low ON medgen.names (lower(name) text_pattern_ops) WITH (fillfactor = 70)",
    "the loss of our index": "DROP INDEX medgen.names_key; CREATE UNIQUE INDEX names_key ON medgen.names (cui)",
    "a materialized view": "CREATE MATERIALIZED VIEW public.m AS SELECT * FROM medgen.names",
    "a view of the row type": "CREATE VIEW public.v AS SELECT n FROM medgen.names n",
    "a CHECK": "ALTER TABLE medgen.names ADD CHECK (cui LIKE 'C%')",
    "a PRIMARY KEY": "ALTER TABLE medgen.names ADD PRIMARY KEY (cui)",
    "a UNIQUE constraint out of our index": "ALTER TABLE medgen.names ADD CONSTRAINT k UNIQUE USING INDEX names_key",
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
    "a rule": """
        CREATE TABLE public.log (cui text);
        CREATE RULE r AS ON INSERT TO medgen.names DO ALSO INSERT INTO public.log VALUES (NEW.cui)""",
    "a publication": "CREATE PUBLICATION p FOR TABLE medgen.names WITH (publish = 'insert')",
    "extended statistics": "CREATE STATISTICS public.s ON source, suppress FROM medgen.names",
    "a fillfactor": "ALTER TABLE medgen.names SET (fillfactor = 70)",
    "a replica identity": "ALTER TABLE medgen.names REPLICA IDENTITY FULL",
    "an index of the user's under our name": "CREATE INDEX names_idx ON medgen.names (name)",
    "a parent": "CREATE TABLE public.parent (cui text); ALTER TABLE medgen.names INHERIT public.parent",
    "a column of the user's": "ALTER TABLE medgen.names ADD note text",
    "an identity column": "ALTER TABLE medgen.names ADD id bigint GENERATED ALWAYS AS IDENTITY",
    "a generated column": "ALTER TABLE medgen.names ADD low text GENERATED ALWAYS AS (lower(name)) STORED",
    "a function that returns rows": """
        CREATE FUNCTION public.f() RETURNS SETOF medgen.names LANGUAGE sql AS 'SELECT * FROM medgen.names'""",
    "a child without rows": "CREATE TABLE public.child () INHERITS (medgen.names)",
    "a column of the row type": "CREATE TABLE public.kept (earlier medgen.names)",
}
# What would be in the others' way.
ALONE = ("the loss of our index", "owner")
AT_ONCE = [name for name in ATTACHED if name not in ALONE]
# Each with the query that must show every row of production through it.
VIEWS = {
    "a view": ("CREATE VIEW public.view_a AS SELECT * FROM medgen.names", "SELECT cui, name FROM public.view_a"),
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
        """CREATE VIEW public.view_c WITH (security_barrier) AS SELECT * FROM medgen.names WHERE source = 'GTR'
            WITH LOCAL CHECK OPTION""",
        "SELECT cui, name FROM public.view_c",
    ),
    "a view with grants, comments, owner and default": (
        """GRANT SELECT ON medgen.names TO "Pub Owner"; CREATE VIEW public.view_d AS SELECT * FROM medgen.names;
        GRANT SELECT ON public.view_d TO pub_reader WITH GRANT OPTION;
        GRANT SELECT (name) ON public.view_d TO pub_writer; ALTER VIEW public.view_d OWNER TO "Pub Owner";
        ALTER VIEW public.view_d ALTER source SET DEFAULT 'by hand';
        COMMENT ON VIEW public.view_d IS 'why'; COMMENT ON COLUMN public.view_d.cui IS 'which'""",
        "SELECT cui, name FROM public.view_d",
    ),
    "a view with an INSTEAD OF trigger": (
        """CREATE FUNCTION public.f_e() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE VIEW public.view_e AS SELECT * FROM medgen.names;
        CREATE TRIGGER t INSTEAD OF DELETE ON public.view_e FOR EACH ROW EXECUTE FUNCTION public.f_e()""",
        "SELECT cui, name FROM public.view_e",
    ),
    "a view with a rule of its own": (
        """CREATE VIEW public.view_f AS SELECT * FROM medgen.names;
        CREATE RULE keep AS ON DELETE TO public.view_f DO INSTEAD NOTHING""",
        "SELECT cui, name FROM public.view_f",
    ),
    "a view that takes rows whole": (
        """CREATE VIEW public.view_g AS WITH RECURSIVE r (j) AS
            (SELECT row_to_json(n) FROM medgen.names n UNION ALL SELECT j FROM r WHERE false) SELECT j FROM r""",
        "SELECT j ->> 'cui', j ->> 'name' FROM public.view_g",
    ),
    "a view beside another table": (
        """CREATE TABLE public.notes (cui text, note text); CREATE VIEW public.view_h AS
            SELECT cui, coalesce(note, name) AS name FROM medgen.names LEFT JOIN public.notes USING (cui)""",
        "SELECT cui, name FROM public.view_h",
    ),
    "a function that reads the table when called": (
        """CREATE FUNCTION public.f_i() RETURNS TABLE (c text, n text) LANGUAGE sql AS
            'SELECT cui, name FROM medgen.names'""",
        "SELECT * FROM public.f_i()",
    ),
}


@pytest.mark.parametrize("names", [AT_ONCE, *([name] for name in ALONE)], ids=["all others", *ALONE])
def test_what_is_attached_stays(mirror: Mirror, names: Sequence[str]) -> None:
    with session(mirror.dsn) as connection:
        attached = facts_in(connection)
        for name in names:
            bare = attached
            connection.execute(ATTACHED[name].encode())
            attached = facts_in(connection)
            assert attached != bare or "names_key" in ATTACHED[name], f"the facts do not show {name}"
    assert mirror.load(NEW, release="2026-01-14", **WHOLE).mode is ApplyMode.DELTA
    assert facts(mirror.dsn) == attached
    assert sorted(query(mirror.dsn, "SELECT cui, name FROM ONLY medgen.names")) == names_of(NEW)


def test_every_view_survives_and_shows_the_new_rows(mirror: Mirror) -> None:
    for attach, read in VIEWS.values():
        query(mirror.dsn, attach)
        assert sorted(query(mirror.dsn, read)) == names_of(OLD)
    attached = facts(mirror.dsn)
    assert mirror.load(NEW, release="2026-01-14").mode is ApplyMode.DELTA
    shown = {name: sorted(query(mirror.dsn, read)) for name, (_, read) in VIEWS.items()}
    assert shown == dict.fromkeys(VIEWS, names_of(NEW))
    assert facts(mirror.dsn) == attached


# The view of the history is one that users may have made something of, too

IN_BETWEEN = replace(NAMES, columns=(NAMES.columns[0], Column("note", "note", "Invented."), *NAMES.columns[1:]))
HISTORY_OF_TWO = [("C0", "2026-01-07", None), ("C1", "2026-01-07", "2026-01-14")]


def test_the_view_of_the_history_keeps_grants_and_what_is_made_of_it_when_the_table_gets_a_column(
    mirror: Mirror,
) -> None:
    query(
        mirror.dsn,
        "GRANT USAGE ON SCHEMA medgen_changes, medgen_history TO pub_reader;"
        " GRANT SELECT ON medgen.names, medgen_changes.names, medgen_history.names TO pub_reader;"
        " CREATE VIEW public.v AS SELECT cui, valid_from_release, valid_to_release FROM medgen_history.names",
    )
    load(new_loader(mirror.dsn), IN_BETWEEN, [("C0", "noted", "name 0", "GTR", "N")], "2026-01-14")
    gone = "SELECT cui, valid_from_release, valid_to_release FROM public.v WHERE cui = 'C1'"
    assert query(mirror.dsn, gone) == HISTORY_OF_TWO[1:]
    noted = "SELECT note, valid_from_release FROM medgen_history.names WHERE valid_to_release IS NULL"
    assert query(as_role(mirror.dsn, "pub_reader"), noted) == [("noted", "2026-01-14")]


def test_a_view_of_the_users_on_that_of_the_history_stops_a_load_that_would_have_to_drop_it(mirror: Mirror) -> None:
    number = replace(NAMES, columns=(*NAMES.columns[:3], replace(NAMES.columns[3], type=ColumnType.INTEGER)))
    query(mirror.dsn, "CREATE VIEW public.v AS SELECT cui FROM medgen_history.names")
    with pytest.raises(LoaderError, match=r"cannot drop view medgen_history\.names because other objects depend on it"):
        load(new_loader(mirror.dsn), number, [("C0", "name 0", "GTR", 7)], "2026-01-14")
    assert sorted(query(mirror.dsn, "SELECT cui, name FROM medgen.names")) == names_of(OLD)
    query(mirror.dsn, "DROP VIEW public.v")
    load(new_loader(mirror.dsn), number, [("C0", "name 0", "GTR", 7)], "2026-01-14")
    assert query(mirror.dsn, "SELECT suppress FROM medgen_history.names WHERE valid_to_release IS NULL") == [(7,)]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE medgen.names RENAME TO earlier; ALTER INDEX medgen.names_key RENAME TO earlier_key",
        "ALTER TABLE medgen.names RENAME name TO earlier",
        "ALTER TABLE medgen_changes.names RENAME TO earlier",
        "DROP TABLE medgen.names",
        "DROP TABLE medgen_changes.names",
        "ALTER TABLE medgen.names DROP name",
        "ALTER TABLE medgen.names ALTER name TYPE varchar(30)",
    ],
)
def test_the_view_of_the_history_hinders_no_change_of_the_table_and_is_right_after_the_next_load(
    mirror: Mirror, change: str
) -> None:
    query(mirror.dsn, change)
    mirror.load(OLD, release="2026-01-14", **WHOLE)
    mirror.load(NEW, release="2026-01-21")
    found = query(mirror.dsn, "SELECT cui, name FROM medgen_history.names WHERE valid_to_release IS NULL")
    assert sorted(found) == names_of(NEW)
    gone = "SELECT cui, name FROM medgen_history.names WHERE valid_to_release = '2026-01-21'"
    assert sorted(query(mirror.dsn, gone)) == names_of(OLD[:2])


def test_a_reader_of_the_history_asks_the_indexes_for_one_concept(mirror: Mirror) -> None:
    mirror.load(NEW, release="2026-01-14")
    with session(mirror.dsn) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = "\n".join(
            str(line)
            for (line,) in connection.execute("EXPLAIN SELECT * FROM medgen_history.names WHERE cui = 'C0'").fetchall()
        )
    assert "Index Scan using names_key" in plan
    assert "Index Cond: (cui = 'C0'::text)" in plan


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


# Indexes

INDEXES = "SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'medgen' AND tablename = 'names'"


def test_an_index_of_the_users_with_the_name_of_our_key_stays_and_the_key_gets_a_plain_one(mirror: Mirror) -> None:
    partial = "CREATE UNIQUE INDEX names_key ON medgen.names (cui) WHERE (source = 'GTR'::text)"
    query(mirror.dsn, f"DROP INDEX medgen.names_key; {partial}")
    for rows in (NEW, OLD, NEW):
        assert mirror.load(rows, release="2026-01-14", **WHOLE).mode is ApplyMode.DELTA
        assert sorted(query(mirror.dsn, "SELECT cui, name FROM medgen.names")) == names_of(rows)
        assert dict(query(mirror.dsn, INDEXES)) == {  # type: ignore[arg-type]
            "names_key": partial.replace("ON medgen.names", "ON medgen.names USING btree"),
            "names_idx": "CREATE INDEX names_idx ON medgen.names USING btree (cui)",
        }


# An index that could not be built, and a role that owns the table's owner


def test_an_invalid_index_stays(mirror: Mirror) -> None:
    with pytest.raises(pg_errors.UniqueViolation):
        query(mirror.dsn, "CREATE UNIQUE INDEX CONCURRENTLY bad ON medgen.names (source)")
    attached = facts(mirror.dsn)
    assert mirror.load(NEW, release="2026-01-14", **WHOLE).mode is ApplyMode.DELTA
    assert facts(mirror.dsn) == attached


def test_a_role_that_is_no_superuser_loads_a_table_of_its_teams(database: str, tmp_path: Path) -> None:
    query(database, f"GRANT CREATE ON DATABASE {urlsplit(database).path[1:]} TO pub_loader")
    mirror = postgres_mirror(as_role(database, "pub_loader"), tmp_path, NAMES, "medgen")
    mirror.load(OLD)
    query(
        database,
        """ALTER TABLE medgen.names OWNER TO pub_team; CREATE VIEW medgen.v AS SELECT * FROM medgen.names;
        GRANT SELECT ON medgen.names TO "Pub Owner"; ALTER VIEW medgen.v OWNER TO "Pub Owner" """,
    )
    attached = facts(database)
    assert mirror.load(NEW, release="2026-01-14").mode is ApplyMode.DELTA
    assert facts(database) == attached
    assert sorted(query(database, "SELECT cui, name FROM medgen.v")) == names_of(NEW)


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


def test_a_release_that_breaks_a_unique_index_of_the_users_is_refused(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE UNIQUE INDEX one_name ON medgen.names (name)")
    assert_refused(mirror, "one_name", WHOLE, [*OLD[1:], b"C0|name 7|GTR|N|"])


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
    assert_refused(mirror, "inserted 0 rows, the change set has 1", WHOLE)


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


# Each by one of the two strategies, for both end in the same change set.
@pytest.mark.parametrize(
    ("alter", "options"), list(zip(ALTERING.values(), [WHOLE, {}, WHOLE, {}], strict=True)), ids=ALTERING
)
def test_values_that_a_rule_or_trigger_alters_are_noticed(
    mirror: Mirror, alter: str, options: dict[str, object]
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
    assert mirror.load(NEW, release="2026-01-14", **WHOLE).counts.changed == 3
    assert mirror.load(OLD, release="2026-01-21").counts.changed == 3


def test_rows_of_a_table_that_inherits_are_not_deleted(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE TABLE public.child () INHERITS (medgen.names)")
    query(mirror.dsn, "INSERT INTO public.child VALUES ('X1', 'mine', NULL, NULL)")
    assert_refused(mirror, r"public\.child inherits from it and has rows", WHOLE)
    assert query(mirror.dsn, "SELECT cui FROM public.child") == [("X1",)]


def test_a_referenced_row_that_goes_is_refused(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE TABLE public.patients (cui text REFERENCES medgen.names (cui))")
    query(mirror.dsn, "INSERT INTO public.patients VALUES ('C1')")
    assert_refused(mirror, "violates foreign key constraint", WHOLE)


# Locks


def test_a_load_does_not_wait_for_a_reader_of_the_feed(mirror: Mirror) -> None:
    mirror.load(NEW, release="2026-01-14", **WHOLE)
    with (
        open_transaction(mirror.dsn, "SELECT FROM medgen_changes.names"),
        staged(mirror.dsn, NAMES, OLD, lock_timeout_seconds=0.3) as loader,
    ):
        loader.apply_changes(NAMES, ApplyMode.DELTA)
    assert sorted(query(mirror.dsn, "SELECT cui, name FROM medgen.names")) == names_of(OLD)


def test_a_transaction_older_than_the_load_sees_a_whole_release(mirror: Mirror) -> None:
    with open_transaction(mirror.dsn, "SELECT count(*) FROM pg_class") as reader:
        mirror.load(NEW, release="2026-01-14", **WHOLE)
        assert sorted(reader.execute("SELECT cui, name FROM medgen.names").fetchall()) == names_of(OLD)


# A catalog entry that changed

WITH_EXTRA = replace(NAMES, columns=(*NAMES.columns, Column("extra", "extra", "Came later.")))
WITH_INTEGER = replace(
    NAMES, columns=tuple(replace(c, type=ColumnType.INTEGER) if c.name == "source" else c for c in NAMES.columns)
)
EXTRA = [line + b"extra|" for line in OLD]
NUMBERS = [b"C%d|name %d|%d|N|" % (number, number, number) for number in range(20)]


def test_a_column_that_the_catalog_gains_leaves_what_is_attached(mirror: Mirror) -> None:
    for name in ("grants", "comments", "an expression index", "a materialized view", "a CHECK"):
        query(mirror.dsn, ATTACHED[name])
    query(mirror.dsn, VIEWS["views on views"][0])
    attached = facts(mirror.dsn)
    result = replace(mirror, table=WITH_EXTRA).load(EXTRA, release="2026-01-21")
    assert (result.mode, result.counts.updated, result.strategy) == (ApplyMode.DELTA, 20, Strategy.WAREHOUSE)
    assert result.strategy_reason == "the catalog's entry has changed since the last load"
    assert sorted(query(mirror.dsn, VIEWS["views on views"][1])) == names_of(OLD)
    after = facts(mirror.dsn)
    assert after["columns"][:4] == attached["columns"]
    assert (after["columns"][4][0], after["columns"][4][-1]) == ("extra", "Came later.")
    assert after | {"columns": []} == attached | {"columns": []}


@pytest.mark.parametrize(
    ("earlier", "later"), [(WITH_INTEGER, NAMES), (NAMES, WITH_INTEGER)], ids=["to text", "to integer"]
)
def test_a_column_whose_type_changes_keeps_its_index_grants_and_comment(
    database: str, tmp_path: Path, earlier: SourceTable, later: SourceTable
) -> None:
    mirror = postgres_mirror(database, tmp_path, earlier, "medgen")
    mirror.load(NUMBERS)
    query(
        database,
        """CREATE INDEX own ON medgen.names (source); GRANT SELECT (source) ON medgen.names TO pub_reader;
        COMMENT ON COLUMN medgen.names.source IS 'ours'""",
    )
    attached = facts(database)
    result = replace(mirror, table=later).load(NUMBERS[1:], release="2026-01-21")
    assert (result.counts.deleted, result.counts.changed) == (1, 1)
    after = facts(database)
    for kind in ("indexes", "column grants", "table"):
        assert after[kind] == attached[kind]
    assert [row[-1] for row in after["columns"]] == [row[-1] for row in attached["columns"]]


def test_a_view_on_a_column_whose_type_changes_stops_the_load_by_name(mirror: Mirror) -> None:
    query(mirror.dsn, "CREATE VIEW public.fits AS SELECT cui FROM medgen.names")
    query(mirror.dsn, "CREATE VIEW public.v AS SELECT source FROM medgen.names")
    assert_refused(mirror, "cannot alter type of a column used by a view or rule", WHOLE, NUMBERS, WITH_INTEGER)
    query(mirror.dsn, "DROP VIEW public.v")
    assert replace(mirror, table=WITH_INTEGER).load(NUMBERS, release="2026-03-07").counts.updated == 20


def test_a_column_that_the_catalog_gives_up_stays_in_the_table(database: str, tmp_path: Path) -> None:
    mirror = postgres_mirror(database, tmp_path, WITH_EXTRA, "medgen")
    mirror.load(EXTRA)
    result = replace(mirror, table=NAMES).load(NEW, release="2026-01-14", **WHOLE)
    assert (result.mode, result.counts.changed) == (ApplyMode.DELTA, 3)
    kept = query(database, "SELECT cui, name, extra FROM medgen.names WHERE cui IN ('C0', 'C99') ORDER BY 1")
    assert kept == [("C0", "renamed", "extra"), ("C99", "new", None)]


# The code


def test_nothing_is_ever_dropped_with_cascade() -> None:
    package = Path(medgen_pipeline.__file__).parent
    for path in package.rglob("*.py"):
        if "cascade" not in path.read_text().lower():
            continue
        tree = ast.parse(path.read_text())
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        prose = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
        texts = (
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        assert not [text for text in texts if "cascade" in text.lower() and text not in prose], path
