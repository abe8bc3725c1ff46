"""The PostgreSQL loader against a real server: the contract's invariants, one by one."""

import itertools
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.errors import PermanentError
from medgen_pipeline.framing import RejectedRow
from medgen_pipeline.loaders import (
    ApplyMode,
    ChangeCounts,
    LoaderError,
    LoaderFactory,
    LoadStatus,
    LostConnectionError,
    ProductionChangedError,
    TableBusyError,
)
from medgen_pipeline_tests.loaders.support import Row, canonical, load, new_loader, query, read, session, start_of

NAMES = table_by_name("names")  # a proven key
MERGED = table_by_name("merged")  # every column is key
MONDO = table_by_name("mondo_cui_history")  # an unproven key, and a column beside it
HISTORY = table_by_name("medgen_cui_history")  # no key
PUBMED = table_by_name("medgen_pubmed_lnk")  # integers

A, B, C = ("C1", "a", "GTR", "N"), ("C2", "b", None, "N"), ("C3", None, None, None)


def statuses(dsn: str) -> list[str]:
    return [str(row[0]) for row in query(dsn, "SELECT status FROM medgen_audit.load_run ORDER BY load_id")]


def left_in_staging(dsn: str) -> list[Row]:
    return query(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'medgen_staging'")


def test_a_first_load_publishes_every_row_and_writes_no_feed(database: str) -> None:
    counts = load(new_loader(database), NAMES, [A, B, C])
    assert counts == ChangeCounts(3, 0, 0, 0, by_key=True, baseline=True)
    assert read(database, "medgen", NAMES) == sorted([A, B, C], key=repr)
    assert query(database, "SELECT to_regclass('medgen_changes.names')") == [(None,)]


def test_a_second_load_says_exactly_what_changed_and_feeds_it(database: str) -> None:
    load(new_loader(database), NAMES, [A, B, C])
    changed_b, d = ("C2", "b", "HPO", "N"), ("C4", "d", "x", "N")
    counts = load(new_loader(database), NAMES, [A, changed_b, d], release="2026-01-14")
    assert counts == ChangeCounts(inserted=1, updated=1, deleted=1, unchanged=1, by_key=True)
    assert read(database, "medgen", NAMES) == sorted([A, changed_b, d], key=repr)
    assert read(database, "medgen_changes", NAMES, ("_change_type", "_release")) == sorted(
        [
            ("delete", "2026-01-14", *C),
            ("update_preimage", "2026-01-14", *B),
            ("update_postimage", "2026-01-14", *changed_b),
            ("insert", "2026-01-14", *d),
        ],
        key=repr,
    )


def test_the_same_rows_again_write_nothing(database: str) -> None:
    load(new_loader(database), NAMES, [A, B])
    before = query(database, "SELECT ctid::text, xmin::text FROM medgen.names")
    counts = load(new_loader(database), NAMES, [B, A])
    assert (counts.changed, counts.unchanged) == (0, 2)
    assert query(database, "SELECT ctid::text, xmin::text FROM medgen.names") == before


def test_duplicates_of_a_keyless_table_are_counted_one_by_one(database: str) -> None:
    row, other, null = ("C1", "C2", "Nov 2026"), ("C3", None, "Nov 2026"), (None, None, None)
    load(new_loader(database), HISTORY, [row, row, row, other, null, null])
    counts = load(new_loader(database), HISTORY, [row, other, other, null])
    assert counts == ChangeCounts(inserted=1, updated=0, deleted=3, unchanged=3, by_key=False)
    assert read(database, "medgen", HISTORY) == sorted([row, other, other, null], key=repr)


def test_an_unproven_key_that_repeats_loses_no_row_and_can_become_unique_again(database: str) -> None:
    one, two, other = ("M1", "C1", "Jan", "0"), ("M1", "C1", "Jan", "1"), ("M2", "C2", "Jan", "1")
    assert load(new_loader(database), MONDO, [one, other]).by_key
    repeated = load(new_loader(database), MONDO, [one, two, other])
    assert repeated == ChangeCounts(inserted=1, updated=0, deleted=0, unchanged=2, by_key=False)
    assert read(database, "medgen", MONDO) == sorted([one, two, other], key=repr)
    assert not load(new_loader(database), MONDO, [two, other]).by_key  # production's key still repeats
    assert load(new_loader(database), MONDO, [one, other]) == ChangeCounts(0, 1, 0, 1, by_key=True)


def test_an_unproven_key_that_repeats_in_the_first_release_is_loaded_whole(database: str) -> None:
    one, two = ("M1", "C1", "Jan", "0"), ("M1", "C1", "Jan", "1")
    assert load(new_loader(database), MONDO, [one, two, one]) == ChangeCounts(3, 0, 0, 0, by_key=False, baseline=True)
    assert read(database, "medgen", MONDO) == sorted([one, two, one], key=repr)


def test_a_key_with_null_in_it_is_compared_by_whole_rows(database: str) -> None:
    whole, broken = ("M1", "C1", "Jan", "0"), (None, "C1", "Jan", "0")
    load(new_loader(database), MONDO, [whole, broken])
    counts = load(new_loader(database), MONDO, [whole, broken, broken])
    assert counts == ChangeCounts(inserted=1, updated=0, deleted=0, unchanged=2, by_key=False)


def test_awkward_text_comes_back_as_it_was(database: str) -> None:
    texts = [
        "\\N",
        "\\.",
        "\\",
        "tab\there",
        "cr\rhere",
        'a "quote"',
        "  blanks  ",
        "綜合症 é",
        "\\\\N",
        "x" * 5_000_000,
    ]
    rows: list[Row] = [(f"C{place}", text, None, "N") for place, text in enumerate(texts)]
    load(new_loader(database), NAMES, rows)
    assert read(database, "medgen", NAMES) == sorted(rows, key=repr)
    assert load(new_loader(database), NAMES, rows).unchanged == len(rows)


def test_integers_are_integers_in_the_database(database: str) -> None:
    load(new_loader(database), PUBMED, [(1, "C1", "a", 999_999_999_999_999_999), (None, "C2", None, None)])
    types = query(
        database, "SELECT attname::text FROM pg_attribute WHERE attrelid = 'medgen.medgen_pubmed_lnk'::regclass"
        " AND atttypid = 'bigint'::regtype ORDER BY 1"
    )  # fmt: skip
    assert types == [("pmid",), ("uid",)]
    assert (1, "C1", "a", 999_999_999_999_999_999) in read(database, "medgen", PUBMED)


def test_rows_that_do_not_arrive_whole_leave_staging_empty(database: str) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield canonical([A, B])
        raise RuntimeError("the source broke")

    with new_loader(database) as loader:
        loader.log_run_start(start_of(NAMES))
        loader.initialize_staging(NAMES)
        with pytest.raises(RuntimeError, match="the source broke"):
            loader.bulk_load("names", breaks_off())
        assert query(database, "SELECT count(*) FROM medgen_staging.names") == [(0,)]
        with pytest.raises(LoaderError, match="COPY into the staging table of names"):
            loader.bulk_load("names", iter([b"too\tfew\n"]))
        assert loader.bulk_load("names", iter([canonical([A]), canonical([B])])) == 2


def test_initialize_staging_clears_what_a_killed_run_left(database: str) -> None:
    with new_loader(database) as loader:
        loader.initialize_staging(NAMES)
        loader.bulk_load("names", iter([canonical([A])]))
        loader.initialize_staging(NAMES)
        assert query(database, "SELECT count(*) FROM medgen_staging.names") == [(0,)]


def test_cleanup_and_close_can_be_called_twice_and_connect_works_after_close(database: str) -> None:
    loader = new_loader(database)
    loader.connect()
    loader.cleanup(NAMES)
    loader.cleanup(NAMES)
    loader.close()
    loader.close()
    assert load(loader, NAMES, [A]).inserted == 1
    assert left_in_staging(database) == []


def test_production_feed_and_audit_move_together_or_not_at_all(database: str) -> None:
    load(new_loader(database), NAMES, [A, B])
    query(database, "CREATE SCHEMA IF NOT EXISTS medgen_changes")
    query(database, "CREATE TABLE medgen_changes.names (cui text CHECK (cui <> 'C9'), _change_type text, _release text,"
          " _commit_timestamp timestamptz, _load_id bigint)")  # fmt: skip
    with pytest.raises(LoaderError, match="publishing names"):
        load(new_loader(database), NAMES, [A, ("C9", "the feed refuses this", None, None)])
    assert read(database, "medgen", NAMES) == sorted([A, B], key=repr)
    assert statuses(database) == ["succeeded", "running"]
    assert query(database, "SELECT count(*) FROM medgen_changes.names") == [(0,)]


def test_a_dead_predecessor_is_marked_abandoned_by_the_next_load(database: str) -> None:
    with new_loader(database) as loader:
        loader.log_run_start(start_of(NAMES))
    load(new_loader(database), NAMES, [A])
    assert statuses(database) == ["abandoned", "succeeded"]


def test_a_second_load_of_the_same_table_waits_and_then_names_the_holder(database: str) -> None:
    with new_loader(database) as holder, new_loader(database, lock_timeout_seconds=0.3) as other:
        holder.log_run_start(start_of(NAMES))
        with pytest.raises(TableBusyError, match=r"medgen\.names: waited 0\.3 s .* server process \d+ of"):
            other.log_run_start(start_of(NAMES))
        other.log_run_start(start_of(MERGED))  # another table is free
        holder.close()
        other.log_run_start(start_of(NAMES))


def test_the_audit_record_survives_and_is_closed_once(database: str) -> None:
    with new_loader(database) as loader:
        load_id = loader.log_run_start(start_of(NAMES))
        loader.log_rejected_rows(load_id, [RejectedRow(7, "NUL byte", b"a\0\xffb"), RejectedRow(9, "x", b"")])
        assert loader.log_run_finish(load_id, LoadStatus.FAILED, "why") is LoadStatus.FAILED
        assert loader.log_run_finish(load_id, LoadStatus.SUCCEEDED) is LoadStatus.FAILED
    assert query(database, "SELECT line_number, reason, raw FROM medgen_audit.rejected_row ORDER BY 1") == [
        (7, "NUL byte", b"a\0\xffb"),
        (9, "x", b""),
    ]


def test_the_last_load_is_the_newest_successful_one(database: str) -> None:
    loader = new_loader(database)
    with loader:
        assert loader.last_load(NAMES) is None
    load(loader, NAMES, [A], release="2026-01-07")
    with loader:
        loader.log_run_finish(loader.log_run_start(start_of(NAMES, "2026-01-14")), LoadStatus.FAILED, "why")
        last = loader.last_load(NAMES)
    assert last is not None
    assert (last.release, last.rows_inserted, last.mode, last.table_shape) == ("2026-01-07", 1, "swap", NAMES.shape)


def test_a_concurrent_edit_between_comparison_and_apply_is_noticed(database: str) -> None:
    load(new_loader(database), NAMES, [A, B])
    with new_loader(database) as loader:
        loader.log_run_start(start_of(NAMES))
        loader.initialize_staging(NAMES)
        loader.bulk_load("names", iter([canonical([A])]))
        loader.execute_cdc(NAMES)
        query(database, "DELETE FROM medgen.names WHERE cui = 'C2'")
        with pytest.raises(ProductionChangedError, match="somebody else wrote to the table since it was compared"):
            loader.apply_changes(NAMES, ApplyMode.DELTA)


def test_readers_see_the_old_table_until_the_commit(database: str) -> None:
    load(new_loader(database), NAMES, [A, B])
    with session(database) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert reader.execute("SELECT count(*) FROM medgen.names").fetchone() == (2,)
        load(new_loader(database), NAMES, [C])
        assert reader.execute("SELECT count(*) FROM medgen.names").fetchone() == (2,)
    assert read(database, "medgen", NAMES) == [C]


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


def test_a_table_of_the_users_under_the_same_name_is_not_touched(database: str) -> None:
    query(database, "CREATE SCHEMA medgen")
    query(database, "CREATE TABLE medgen.names (id int)")
    with pytest.raises(LoaderError, match=r"medgen\.names exists, but not as the catalog has it: missing"):
        load(new_loader(database), NAMES, [A])
    assert query(database, "SELECT count(*) FROM medgen.names") == [(0,)]


def test_descriptions_of_the_catalog_are_comments_in_the_database(database: str) -> None:
    load(new_loader(database), NAMES, [A])
    assert query(database, "SELECT obj_description('medgen.names'::regclass)") == [(NAMES.description,)]


def test_two_loaders_that_create_the_schemas_at_once_do_not_collide(database: str) -> None:
    failures: list[BaseException] = []

    def connect() -> None:
        try:
            with new_loader(database):
                pass
        except BaseException as error:  # noqa: BLE001  # handed to the main thread
            failures.append(error)

    threads = [threading.Thread(target=connect) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_role_without_create_is_told_what_it_needs(database: str) -> None:
    query(database, "DROP ROLE IF EXISTS medgen_reader")
    query(database, "CREATE ROLE medgen_reader LOGIN PASSWORD 'x'")
    dsn = database.replace("medgen@", "medgen_reader:x@")
    try:
        with pytest.raises(LoaderError, match="The role needs CREATE on the database"):
            new_loader(dsn).connect()
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
    with pytest.raises(
        ValueError, match=r"Unsupported database scheme: .* Known schemes: postgres, postgresql"
    ) as error:
        LoaderFactory.create_loader(dsn, {})
    assert "topsecret" not in str(error.value)


def test_a_malformed_dsn_is_refused_without_showing_the_password() -> None:
    with pytest.raises(ValueError, match="not a valid connection URI") as error:
        LoaderFactory.create_loader("postgresql://u:topsecret@h:notaport:1/d?x", {})
    assert "topsecret" not in f"{error.value!r} {error.value.__cause__!r} {error.value.__suppress_context__}"


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"unknown settings \['shema'\]"):
        LoaderFactory.create_loader("postgresql://h/d", {"shema": "x"})


def test_a_database_that_is_not_utf8_is_refused(database: str) -> None:
    query(database, "CREATE DATABASE latin1_db ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    url = re.sub(r"/medgen_test_\w+", "/latin1_db", database)
    try:
        with pytest.raises(LoaderError, match="encoding is LATIN1, expected UTF8"):
            new_loader(url).connect()
    finally:
        query(database, "DROP DATABASE latin1_db WITH (FORCE)")


VALUE = st.sampled_from(["a", "b", None])
ROWS = st.lists(st.tuples(st.sampled_from(["M1", "M2", "M3", None]), VALUE, VALUE, VALUE), max_size=8)


def differences(before: list[Row], after: list[Row], key_width: int) -> tuple[int, int, int, int, bool]:
    """Inserted, updated, deleted, unchanged and whether by key, by brute force."""
    keys = [[row[:key_width] for row in rows] for rows in (before, after)]
    by_key = key_width > 0 and all(len(set(side)) == len(side) and None not in itertools.chain(*side) for side in keys)
    unchanged = (Counter(before) & Counter(after)).total()
    updated = len(set(keys[0]) & set(keys[1])) - unchanged if by_key else 0
    return len(after) - unchanged - updated, updated, len(before) - unchanged - updated, unchanged, by_key


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=ROWS, after=ROWS, table=st.sampled_from([MONDO, MERGED, HISTORY]))
def test_any_two_releases_give_the_counts_and_the_feed_of_brute_force(
    database: str, before: list[Row], after: list[Row], table: object
) -> None:
    assert isinstance(table, type(MONDO))
    width = len(table.columns)
    before, after = [row[:width] for row in before], [row[:width] for row in after]
    query(database, "DROP SCHEMA IF EXISTS medgen, medgen_changes CASCADE")
    load(new_loader(database), table, before)
    counts = load(new_loader(database), table, after)
    expected = differences(before, after, len(table.key))
    if expected[4] and not counts.by_key:  # production can only be compared by key where its index is unique
        expected = differences(before, after, 0)
    assert (counts.inserted, counts.updated, counts.deleted, counts.unchanged, counts.by_key) == expected
    assert read(database, "medgen", table) == sorted(after, key=repr)
    assert undo(database, table, after) == Counter(before)


def undo(dsn: str, table: object, after: list[Row]) -> Counter[Row]:
    """The earlier release, rebuilt from the later one and the feed."""
    assert isinstance(table, type(MONDO))
    rebuilt = Counter(after)
    if query(dsn, "SELECT to_regclass(%s)", f"medgen_changes.{table.name}") == [(None,)]:
        return rebuilt
    feed = read(dsn, "medgen_changes", table, ("_change_type",))
    rebuilt.subtract(row[1:] for row in feed if row[0] in {"insert", "update_postimage"})
    rebuilt.update(row[1:] for row in feed if row[0] in {"delete", "update_preimage"})
    assert min(rebuilt.values(), default=0) >= 0
    return +rebuilt


def test_importing_the_contract_and_postgres_needs_neither_dagster_nor_boto3() -> None:
    code = (
        "import sys, medgen_pipeline.load, medgen_pipeline.loaders.postgres\n"
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
        with pytest.raises(LoaderError, match="row-level security"):
            load(new_loader(owner), NAMES, [A, B, C])
        assert read(database, "medgen", NAMES) == sorted([A, B], key=repr)
    finally:
        query(database, "DROP OWNED BY medgen_owner CASCADE; DROP ROLE medgen_owner")
