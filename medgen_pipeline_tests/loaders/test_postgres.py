"""What is PostgreSQL's alone; the contract's invariants are in test_conformance_postgres.py."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg
import pytest

from medgen_pipeline.errors import PermanentError
from medgen_pipeline.loaders import LoaderError, LoaderFactory, LostConnectionError, TableBusyError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.postgres.config import PostgresConfig
from medgen_pipeline.loaders.postgres.dialect import DIALECT
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.sql.reading import order_of
from medgen_pipeline.testing import Row, canonical, load, start_of
from medgen_pipeline.testing.loads import NAMES, PUBMED, RELEASES, A, B, C, begun
from medgen_pipeline_tests.loaders.support import new_loader, query, read, role_that_loads


def left_in_staging(dsn: str) -> list[Row]:
    return query(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'medgen_staging'")


def test_the_same_rows_again_write_nothing(database: str) -> None:
    load(new_loader(database), NAMES, [A, B])
    before = query(database, "SELECT ctid::text, xmin::text FROM medgen.names")
    counts = load(new_loader(database), NAMES, [B, A])
    assert (counts.changed, counts.unchanged) == (0, 2)
    assert query(database, "SELECT ctid::text, xmin::text FROM medgen.names") == before


def test_a_load_that_waits_in_vain_names_the_server_process_that_holds_the_lock(database: str) -> None:
    with new_loader(database) as holder, new_loader(database, lock_timeout_seconds=0) as other:
        holder.log_run_start(start_of(NAMES))
        with pytest.raises(TableBusyError, match=r"server process \d+ of"):
            other.log_run_start(start_of(NAMES))


def test_cancel_ends_the_running_statement_and_the_loader_goes_on(database: str) -> None:
    with new_loader(database) as loader:
        loader.log_run_start(start_of(NAMES))

        def sleeps() -> Iterator[bytes]:
            yield canonical([A])
            loader.cancel()
            yield canonical([B])

        loader.initialize_staging(NAMES)
        with pytest.raises((PermanentError, LostConnectionError)):
            loader.bulk_load("names", sleeps())
        loader.cleanup(NAMES)
    assert left_in_staging(database) == []
    active = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'medgen%' AND datname = current_database()"
    )
    assert query(database, active) == [(0,)]


def test_rows_in_order_are_in_that_of_bytes_whatever_the_database_s_collation_is() -> None:
    # In words: not every machine has another collation to try it with.
    assert DIALECT.text(order_of(DIALECT, PUBMED)) == (
        ' ORDER BY "uid" NULLS LAST, "pmid" NULLS LAST, "cui" COLLATE "C" NULLS LAST, "name" COLLATE "C" NULLS LAST'
    )


def test_the_publication_alone_waits_as_the_server_demands(database: str) -> None:
    asks = "SELECT current_setting('synchronous_commit')"
    load(new_loader(database), NAMES, [A])
    query(
        database,
        f"CREATE TABLE public.waits AS {asks} AS setting LIMIT 0;"
        " CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN INSERT INTO public.waits {asks}; RETURN NEW; END$$; CREATE TRIGGER note AFTER UPDATE ON"
        " medgen_audit.load_run FOR EACH ROW WHEN (NEW.status = 'succeeded') EXECUTE FUNCTION public.note()",
    )
    with begun(new_loader(f"{database}&options=-c%20synchronous_commit%3Dremote_write"), NAMES, RELEASES[1]) as loader:
        loader.bulk_load("names", iter([canonical([B])]))
        counts = loader.execute_cdc(NAMES)
        loader.apply_changes(NAMES, counts.mode)
        assert loader.query(asks) == [("off",)]
    assert query(database, "SELECT setting FROM public.waits") == [("remote_write",)]


def test_a_first_load_has_statistics_and_leaves_the_thorough_ones_to_autovacuum(database: str) -> None:
    with begun(new_loader(database), NAMES) as loader:
        loader.bulk_load("names", iter([canonical([A, B])]))
        loader.query("SELECT pg_stat_force_next_flush()")  # as after the second that a load takes
        loader.apply_changes(NAMES, loader.execute_cdc(NAMES).mode)
    assert query(database, "SELECT reltuples FROM pg_class WHERE oid = 'medgen.names'::regclass") == [(2.0,)]
    assert query(database, "SELECT count(*) FROM pg_stats WHERE schemaname = 'medgen'") == [(len(NAMES.columns),)]
    waiting = "SELECT n_mod_since_analyze FROM pg_stat_user_tables WHERE schemaname = 'medgen'"
    assert query(database, waiting) == [(2,)]


def test_what_runs_beside_the_work_ends_with_it(database: str) -> None:
    connections = PostgresSession(database, PostgresConfig())
    connections.open()
    with connections.beside(sql.SQL("SELECT pg_sleep(0.1), 1")) as answer:
        assert connections.execute(sql.SQL("SELECT 2")).fetchone() == (2,)
        assert answer().fetchone() == ("", 1)
    started = time.monotonic()
    with pytest.raises(psycopg.DataError), connections.beside(sql.SQL("SELECT pg_sleep(30)")):
        connections.execute(sql.SQL("SELECT pg_sleep(0.2)::text::integer"))
    connections.close()
    assert time.monotonic() - started < 10


def test_a_role_without_create_is_told_what_it_needs(database: str) -> None:
    query(database, "DROP ROLE IF EXISTS medgen_reader")
    query(database, "CREATE ROLE medgen_reader LOGIN PASSWORD 'x'")
    dsn = database.replace("medgen@", "medgen_reader:x@")
    try:
        with pytest.raises(LoaderError, match="The role needs CREATE on the database"):
            load(new_loader(dsn), NAMES, [A])
    finally:
        query(database, "DROP ROLE medgen_reader")


def test_a_server_that_does_not_answer_is_a_transient_error() -> None:
    with pytest.raises(LostConnectionError, match=r"127\.0\.0\.1:1/x cannot be reached"):
        new_loader("postgresql://u:topsecret@127.0.0.1:1/x").connect()


def test_an_unknown_database_is_a_permanent_error_without_the_password(database: str) -> None:
    dsn = database.replace("medgen@", "medgen:topsecret@").replace("/medgen_test", "/no_such_test")
    with pytest.raises(LoaderError, match="does not exist") as error:
        new_loader(dsn).connect()
    assert "topsecret" not in str(error.value)


@pytest.mark.parametrize("dsn", ["mysql://u:topsecret@h/d", "", "h", "postgresqlx://"])
def test_an_unknown_scheme_names_the_known_ones_and_not_the_dsn(dsn: str) -> None:
    # The example in a package of its own is one of them.
    known = "databricks, duckdb, postgres, postgresql, redshift"
    with pytest.raises(ValueError, match=rf"Unsupported database scheme: .* Known schemes: {known}") as error:
        LoaderFactory.create_loader(dsn, {})
    assert "topsecret" not in str(error.value)


def test_a_malformed_dsn_is_refused_without_showing_the_password() -> None:
    with pytest.raises(ValueError, match="not a valid connection URI") as error:
        LoaderFactory.create_loader("postgresql://u:topsecret@h:notaport:1/d?x", {})
    assert "topsecret" not in f"{error.value!r} {error.value.__cause__!r} {error.value.__suppress_context__}"


def test_a_database_that_is_not_utf8_is_refused(database: str) -> None:
    query(database, "CREATE DATABASE latin1_db ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    url = re.sub(r"/medgen_test_\w+", "/latin1_db", database)
    try:
        with pytest.raises(LoaderError, match="encoding is LATIN1, expected UTF8"):
            new_loader(url).connect()
    finally:
        query(database, "DROP DATABASE latin1_db WITH (FORCE)")


def test_importing_the_contract_and_postgres_needs_neither_dagster_nor_boto3() -> None:
    code = (
        "import sys, medgen_pipeline.loading.file_load, medgen_pipeline.loaders.postgres\n"
        "assert not {'dagster', 'boto3', 'requests.adapters.boto'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_hidden_from_the_loader_by_a_policy_are_an_error_and_not_inserted_again(database: str) -> None:
    query(database, "DROP ROLE IF EXISTS medgen_owner")
    query(database, "CREATE ROLE medgen_owner LOGIN")
    name = query(database, "SELECT current_database()")[0][0]
    query(database, f"GRANT CREATE ON DATABASE {name} TO medgen_owner")
    owner = database.replace("medgen@", "medgen_owner@")
    try:
        load(new_loader(owner), NAMES, [A, B])
        query(
            database,
            "ALTER TABLE medgen.names ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
            " CREATE POLICY one_row ON medgen.names USING (cui = 'C1')",
        )
        with pytest.raises(LoaderError, match=r'row-level security policy for table "names"\. .* BYPASSRLS\.$'):
            load(new_loader(owner), NAMES, [A, B, C])
        assert read(database, "medgen", NAMES) == sorted([A, B], key=repr)
    finally:
        query(database, "DROP OWNED BY medgen_owner CASCADE; DROP ROLE medgen_owner")


def test_a_foreign_key_of_the_users_that_deletes_along_does_so(database: str) -> None:
    load(new_loader(database), NAMES, [A, B, C])
    query(
        database,
        "CREATE TABLE notes (cui text REFERENCES medgen.names (cui) ON DELETE CASCADE);"
        " INSERT INTO notes VALUES ('C1'), ('C2')",
    )
    load(new_loader(database), NAMES, [B, C], RELEASES[1])
    assert query(database, "SELECT cui FROM notes") == [("C2",)]


def test_an_idle_timeout_that_is_too_short_to_switch_off_can_be_switched_off_in_the_dsn(database: str) -> None:
    with (
        role_that_loads(database, "SET idle_session_timeout = '1ms'") as dsn,
        new_loader(f"{dsn}&options=-c%20idle_session_timeout%3D0") as loader,
    ):
        assert loader.last_load(NAMES) is None
