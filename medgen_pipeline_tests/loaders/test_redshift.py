"""The Redshift loader through the gate: the contract's invariants, then what is Redshift's alone."""

import gzip
import itertools
import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.errors import MedgenError, TransientError
from medgen_pipeline.framing import FramingReport, RejectedRow, frame_lines
from medgen_pipeline.loaders import (
    AbstractNativeLoader,
    ApplyMode,
    ChangeCounts,
    LoaderError,
    LoaderFactory,
    LoadStatus,
    LostConnectionError,
    ProductionChangedError,
    Strategy,
    TableBusyError,
)
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.loaders.redshift.connect import connection_parts
from medgen_pipeline.loaders.redshift.stage import Stage
from medgen_pipeline_tests.integration.test_strategies import GOOD, two_releases
from medgen_pipeline_tests.loaders.redshift_support import BUCKET, ROLE, Mirror, Warehouse
from medgen_pipeline_tests.loaders.support import Row, canonical, load, start_of
from medgen_pipeline_tests.redgate.gate import Gate, Isolation
from medgen_pipeline_tests.redgate.s3server import S3Fault, S3Server

NAMES = table_by_name("names")  # a proven key
MERGED = table_by_name("merged")  # every column is key
MONDO = table_by_name("mondo_cui_history")  # an unproven key, and a column beside it
HISTORY = table_by_name("medgen_cui_history")  # no key
PUBMED = table_by_name("medgen_pubmed_lnk")  # integers

A, B, C = ("C1", "a", "GTR", "N"), ("C2", "b", None, "N"), ("C3", None, None, None)


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    yield folder
    shutil.rmtree(folder)


# The contract


def test_a_first_load_publishes_every_row_and_writes_no_feed(warehouse: Warehouse) -> None:
    counts = load(warehouse.new_loader(), NAMES, [A, B, C])
    assert counts == ChangeCounts(3, 0, 0, 0, by_key=True, baseline=True)
    assert warehouse.read("medgen", NAMES) == sorted([A, B, C], key=repr)
    assert not warehouse.exists("medgen_changes.names")


def test_a_second_load_says_exactly_what_changed_and_feeds_it(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A, B, C])
    changed_b, d = ("C2", "b", "HPO", "N"), ("C4", "d", "x", "N")
    counts = load(warehouse.new_loader(), NAMES, [A, changed_b, d], release="2026-01-14")
    assert counts == ChangeCounts(inserted=1, updated=1, deleted=1, unchanged=1, by_key=True)
    assert warehouse.read("medgen", NAMES) == sorted([A, changed_b, d], key=repr)
    assert warehouse.read("medgen_changes", NAMES, ("_change_type", "_release")) == sorted(
        [
            ("delete", "2026-01-14", *C),
            ("update_preimage", "2026-01-14", *B),
            ("update_postimage", "2026-01-14", *changed_b),
            ("insert", "2026-01-14", *d),
        ],
        key=repr,
    )


def test_the_same_rows_again_write_nothing(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A, B])
    before = warehouse.query("SELECT ctid::text, xmin::text FROM medgen.names")
    counts = load(warehouse.new_loader(), NAMES, [B, A])
    assert (counts.changed, counts.unchanged) == (0, 2)
    assert warehouse.query("SELECT ctid::text, xmin::text FROM medgen.names") == before


def test_an_empty_release_is_loaded_and_compared(warehouse: Warehouse) -> None:
    assert load(warehouse.new_loader(), NAMES, []) == ChangeCounts(0, 0, 0, 0, by_key=True, baseline=True)
    assert load(warehouse.new_loader(), NAMES, [A, B]).inserted == 2
    assert load(warehouse.new_loader(), NAMES, []).deleted == 2
    assert warehouse.read("medgen", NAMES) == []


def test_duplicates_of_a_keyless_table_are_counted_one_by_one(warehouse: Warehouse) -> None:
    row, other, null = ("C1", "C2", "Nov 2026"), ("C3", None, "Nov 2026"), (None, None, None)
    load(warehouse.new_loader(), HISTORY, [row, row, row, other, null, null])
    counts = load(warehouse.new_loader(), HISTORY, [row, other, other, null])
    assert counts == ChangeCounts(inserted=1, updated=0, deleted=3, unchanged=3, by_key=False)
    assert warehouse.read("medgen", HISTORY) == sorted([row, other, other, null], key=repr)
    assert len(warehouse.read("medgen_changes", HISTORY)) == 4


def test_an_unproven_key_that_repeats_loses_no_row_and_can_become_unique_again(warehouse: Warehouse) -> None:
    one, two, other = ("M1", "C1", "Jan", "0"), ("M1", "C1", "Jan", "1"), ("M2", "C2", "Jan", "1")
    assert load(warehouse.new_loader(), MONDO, [one, other]).by_key
    repeated = load(warehouse.new_loader(), MONDO, [one, two, other])
    assert repeated == ChangeCounts(inserted=1, updated=0, deleted=0, unchanged=2, by_key=False)
    assert warehouse.read("medgen", MONDO) == sorted([one, two, other], key=repr)
    assert not load(warehouse.new_loader(), MONDO, [two, other]).by_key  # production's key still repeats
    assert load(warehouse.new_loader(), MONDO, [one, other]) == ChangeCounts(0, 1, 0, 1, by_key=True)


def test_a_key_with_null_in_it_is_compared_by_whole_rows(warehouse: Warehouse) -> None:
    whole, broken = ("M1", "C1", "Jan", "0"), (None, "C1", "Jan", "0")
    load(warehouse.new_loader(), MONDO, [whole, broken])
    counts = load(warehouse.new_loader(), MONDO, [whole, broken, broken])
    assert counts == ChangeCounts(inserted=1, updated=0, deleted=0, unchanged=2, by_key=False)


def test_awkward_text_comes_back_as_it_was(warehouse: Warehouse) -> None:
    texts = [
        "\\N",
        "\\.",
        "\\",
        "N",
        "tab\there",
        "cr\rhere",
        'a "quote"',
        "  blanks  ",
        "綜合症 é",
        "\\\\N",
        "x" * 4096,
    ]
    rows: list[Row] = [(f"C{place}", text, None, "N") for place, text in enumerate(texts)]
    load(warehouse.new_loader(), NAMES, rows)
    assert warehouse.read("medgen", NAMES) == sorted(rows, key=repr)
    assert load(warehouse.new_loader(), NAMES, rows).unchanged == len(rows)


def test_an_empty_field_is_null_whatever_the_column_and_the_value_backslash_n_is_none(warehouse: Warehouse) -> None:
    with warehouse.new_loader() as loader:
        loader.initialize_staging(PUBMED)
        loader.bulk_load(PUBMED.name, iter([b"1\t\\\\\\N\t\t\n\t\t\\\\N\t7\n"]))
    assert warehouse.read("medgen_staging", PUBMED) == sorted(
        [(1, "\\N", None, None), (None, None, "\\N", 7)], key=repr
    )


@pytest.mark.parametrize(("table", "key"), [(NAMES, True), (HISTORY, False)])
def test_a_blank_at_the_end_is_a_change(warehouse: Warehouse, table: SourceTable, key: bool) -> None:
    """Redshift, and the gate, take 'a' and 'a ' for equal."""
    before: Row = ("C1", "a", *(None for _ in table.columns[2:]))
    after: Row = ("C1", "a ", *before[2:])
    load(warehouse.new_loader(), table, [before])
    counts = load(warehouse.new_loader(), table, [after])
    assert (counts.updated, counts.inserted, counts.deleted) == ((1, 0, 0) if key else (0, 1, 1))
    assert warehouse.read("medgen", table) == [after]


def test_two_keys_that_differ_by_a_blank_are_two_keys(warehouse: Warehouse) -> None:
    one, two = ("C1", "a", None, "N"), ("C1 ", "b", None, "N")
    assert load(warehouse.new_loader(), NAMES, [one, two]).by_key
    assert load(warehouse.new_loader(), NAMES, [one]) == ChangeCounts(0, 0, 1, 1, by_key=True)
    assert warehouse.read("medgen", NAMES) == [one]


def test_columns_have_real_widths_and_integers_are_integers(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), PUBMED, [(1, "C1", "a", 999_999_999_999_999_999), (None, "C2", None, None)])
    assert (1, "C1", "a", 999_999_999_999_999_999) in warehouse.read("medgen", PUBMED)
    types = warehouse.query(
        "SELECT column_name::text, data_type::text, character_maximum_length FROM information_schema.columns"
        " WHERE table_schema = 'medgen' ORDER BY ordinal_position"
    )
    limits = {column.name: column.max_bytes for column in PUBMED.columns}
    assert types == [
        ("uid", "bigint", None),
        ("cui", "character varying", limits["cui"]),
        ("name", "character varying", limits["name"]),
        ("pmid", "bigint", None),
    ]


def test_rows_that_do_not_arrive_whole_leave_staging_and_bucket_empty(warehouse: Warehouse) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield canonical([A, B])
        raise RuntimeError("the source broke")

    with warehouse.new_loader() as loader:
        loader.log_run_start(start_of(NAMES))
        loader.initialize_staging(NAMES)
        with pytest.raises(RuntimeError, match="the source broke"):
            loader.bulk_load("names", breaks_off())
        assert warehouse.query("SELECT count(*) FROM medgen_staging.names") == [(0,)]
        with pytest.raises(LoaderError, match="COPY into the staging table of names"):
            loader.bulk_load("names", iter([b"too\tfew\n"]))
        assert warehouse.left_in_s3() == []
        assert loader.bulk_load("names", iter([canonical([A]), canonical([B])])) == 2
        assert loader.bulk_load("names", iter([canonical([C])])) == 1  # a repeated call starts afresh
        assert warehouse.query("SELECT cui FROM medgen_staging.names") == [("C3",)]


def test_initialize_staging_clears_what_a_killed_run_left(warehouse: Warehouse) -> None:
    with warehouse.new_loader() as loader:
        loader.initialize_staging(NAMES)
        loader.bulk_load("names", iter([canonical([A])]))
        loader.initialize_staging(NAMES)
        assert warehouse.query("SELECT count(*) FROM medgen_staging.names") == [(0,)]


def test_cleanup_and_close_can_be_called_twice_and_connect_works_after_close(warehouse: Warehouse) -> None:
    loader = warehouse.new_loader()
    loader.connect()
    loader.cleanup(NAMES)
    loader.cleanup(NAMES)
    loader.close()
    loader.close()
    assert load(loader, NAMES, [A]).inserted == 1
    assert warehouse.left_in_staging() == []
    assert warehouse.left_in_s3() == []


def test_production_feed_and_audit_move_together_or_not_at_all(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A, B])
    warehouse.gate.refuse(r"^INSERT INTO .medgen_changes", "disk full")
    with pytest.raises(LoaderError, match="publishing names: disk full"):
        load(warehouse.new_loader(), NAMES, [A, ("C9", "refused", None, None)])
    assert warehouse.read("medgen", NAMES) == sorted([A, B], key=repr)
    assert warehouse.statuses() == ["succeeded", "running"]
    assert warehouse.query("SELECT count(*) FROM medgen_changes.names") == [(0,)]


def test_a_dead_predecessor_is_marked_abandoned_by_the_next_load(warehouse: Warehouse) -> None:
    with warehouse.new_loader() as loader:
        loader.log_run_start(start_of(NAMES))
    load(warehouse.new_loader(), NAMES, [A])
    assert warehouse.statuses() == ["abandoned", "succeeded"]


def test_a_second_load_of_the_same_table_waits_and_then_names_the_holder(warehouse: Warehouse) -> None:
    with warehouse.new_loader() as holder, warehouse.new_loader(lock_timeout_seconds=0.3) as other:
        holder.log_run_start(start_of(NAMES))
        with pytest.raises(TableBusyError, match=r"medgen\.names: waited 0\.3 s .* server process \d+ of"):
            other.log_run_start(start_of(NAMES))
        other.log_run_start(start_of(MERGED))  # another table is free
        holder.close()
        other.log_run_start(start_of(NAMES))


def test_a_waiting_load_goes_on_when_the_holder_has_ended(warehouse: Warehouse) -> None:
    with warehouse.new_loader() as holder:
        holder.log_run_start(start_of(NAMES))
        timer = threading.Timer(0.3, holder.close)
        timer.start()
        load(warehouse.new_loader(lock_timeout_seconds=30), NAMES, [A])
        timer.join()
    assert warehouse.statuses() == ["abandoned", "succeeded"]


def test_the_audit_record_survives_and_is_closed_once(warehouse: Warehouse) -> None:
    with warehouse.new_loader() as loader:
        load_id = loader.log_run_start(start_of(NAMES))
        loader.log_rejected_rows(load_id, [RejectedRow(7, "NUL byte", b"a\0\xffb"), RejectedRow(9, "x", b"")])
        assert loader.log_run_finish(load_id, LoadStatus.FAILED, "why \\x") is LoadStatus.FAILED
        assert loader.log_run_finish(load_id, LoadStatus.SUCCEEDED) is LoadStatus.FAILED
    assert warehouse.query("SELECT line_number, reason, raw FROM medgen_audit.rejected_row ORDER BY 1") == [
        (7, "NUL byte", r"a\x00\xffb"),
        (9, "x", ""),
    ]
    assert warehouse.query("SELECT error FROM medgen_audit.load_run") == [("why \\x",)]


def test_the_last_load_is_the_newest_successful_one(warehouse: Warehouse) -> None:
    loader = warehouse.new_loader()
    with loader:
        assert loader.last_load(NAMES) is None
    load(loader, NAMES, [A], release="2026-01-07")
    with loader:
        loader.log_run_finish(loader.log_run_start(start_of(NAMES, "2026-01-14")), LoadStatus.FAILED, "why")
        last = loader.last_load(NAMES)
    assert last is not None
    assert (last.release, last.rows_inserted, last.mode, last.table_shape) == ("2026-01-07", 1, "swap", NAMES.shape)


def compared(loader: AbstractNativeLoader, rows: Sequence[Row]) -> ChangeCounts:
    """A load up to the point where only publication is left."""
    loader.log_run_start(start_of(NAMES, "2026-01-14"))
    loader.initialize_staging(NAMES)
    loader.bulk_load("names", iter([canonical(rows)]))
    return loader.execute_cdc(NAMES)


@pytest.mark.parametrize("swap", ["rename", "strict"])
@pytest.mark.parametrize("mode", [ApplyMode.DELTA, ApplyMode.SWAP])
@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM medgen.names WHERE cui = 'C2'",
        "UPDATE medgen.names SET name = 'b ' WHERE cui = 'C2'",
        "DELETE FROM medgen.names; INSERT INTO medgen.names VALUES ('C1', 'a', 'GTR', 'N'), ('C2', 'x', NULL, 'N')",
    ],
)
def test_an_edit_between_comparison_and_apply_is_noticed(
    warehouse: Warehouse, edit: str, mode: ApplyMode, swap: str
) -> None:
    load(warehouse.new_loader(), NAMES, [A, B])
    with warehouse.new_loader(swap=swap) as loader:
        compared(loader, [A])
        warehouse.query(edit)
        edited = warehouse.read("medgen", NAMES)
        with pytest.raises(ProductionChangedError, match="somebody else wrote to the table since it was compared"):
            loader.apply_changes(NAMES, mode)
    assert warehouse.read("medgen", NAMES) == edited


@pytest.mark.parametrize("swap", ["rename", "strict"])
@pytest.mark.parametrize("mode", [ApplyMode.DELTA, ApplyMode.SWAP])
def test_readers_see_the_old_rows_or_the_new_ones_and_never_anything_else(
    warehouse: Warehouse, mode: ApplyMode, swap: str
) -> None:
    old, new = [A, B], [C, ("C4", "d", None, None), ("C5", "e", None, None)]
    load(warehouse.new_loader(), NAMES, old)
    seen: set[int] = set()
    failures: list[Exception] = []
    done = threading.Event()

    def read_all_the_time() -> None:
        try:
            with psycopg.connect(warehouse.gate.dsn(), autocommit=True, prepare_threshold=None) as reader:
                while not done.is_set():
                    seen.update(row[0] for row in reader.execute("SELECT COUNT(*) FROM medgen.names"))
        except psycopg.Error as error:
            failures.append(error)

    thread = threading.Thread(target=read_all_the_time)
    thread.start()
    with warehouse.new_loader(swap=swap) as loader:
        compared(loader, new)
        loader.apply_changes(NAMES, mode)
        loader.cleanup(NAMES)
    done.set()
    thread.join()
    assert failures == []
    assert seen <= {len(old), len(new)}
    assert warehouse.read("medgen", NAMES) == sorted(new, key=repr)
    assert len(warehouse.read("medgen_changes", NAMES)) == 5
    assert warehouse.left_in_staging() == []


def test_an_interrupt_during_copy_ends_the_statement_and_keeps_the_lock(warehouse: Warehouse) -> None:
    class Interrupt(BaseException):
        """As Dagster's: raised by a signal's handler, and no KeyboardInterrupt, which psycopg knows."""

    def interrupt(*_: object) -> None:
        raise Interrupt

    warehouse.gate.slow("^COPY", 60, times=1)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with warehouse.new_loader() as loader, warehouse.new_loader(lock_timeout_seconds=0.3) as other:
            loader.log_run_start(start_of(NAMES))
            loader.initialize_staging(NAMES)
            signal.setitimer(signal.ITIMER_REAL, 1.5)
            with pytest.raises(Interrupt):
                loader.bulk_load("names", iter([canonical([A])]))
            assert warehouse.left_in_s3() == []
            loader.cancel()
            with pytest.raises(TableBusyError):
                other.log_run_start(start_of(NAMES))
            loader.cleanup(NAMES)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert warehouse.left_in_staging() == []
    assert warehouse.gate.log.matching("^COPY") != []


def test_a_lost_lock_that_another_load_has_taken_ends_the_load(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A, B])
    with warehouse.new_loader() as loader:
        compared(loader, [A])
        lock = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'medgen_audit.lock_names'::regclass"
        assert warehouse.query(lock) == [(True,)]
        with warehouse.new_loader(lock_timeout_seconds=10) as other:
            other.log_run_start(start_of(NAMES))
            with pytest.raises(LoaderError, match="another load has taken over"):
                loader.apply_changes(NAMES, ApplyMode.DELTA)
            with pytest.raises(TableBusyError):
                loader.cancel()
    assert warehouse.read("medgen", NAMES) == sorted([A, B], key=repr)


def test_a_table_of_the_users_under_the_same_name_is_not_touched(warehouse: Warehouse) -> None:
    warehouse.query("CREATE SCHEMA medgen")
    warehouse.query("CREATE TABLE medgen.names (id int)")
    with pytest.raises(LoaderError, match=r"medgen\.names exists, but not as the catalog has it: missing"):
        load(warehouse.new_loader(), NAMES, [A])
    assert warehouse.query("SELECT count(*) FROM medgen.names") == [(0,)]


def test_descriptions_of_the_catalog_are_comments_in_the_database(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A])
    assert warehouse.query("SELECT obj_description('medgen.names'::regclass)") == [(NAMES.description,)]
    column = "SELECT col_description('medgen.names'::regclass, 1)"
    assert warehouse.query(column) == [(NAMES.columns[0].description,)]


def test_loaders_that_create_the_schemas_at_once_do_not_collide(warehouse: Warehouse) -> None:
    failures: list[BaseException] = []

    def connect() -> None:
        try:
            with warehouse.new_loader(conflict_backoff_seconds=0.2):
                pass
        except BaseException as error:  # noqa: BLE001  # handed to the main thread
            failures.append(error)

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


VALUE = st.sampled_from(["a", "a ", "b", None])
ROWS = st.lists(st.tuples(st.sampled_from(["M1", "M2", "M3", None]), VALUE, VALUE, VALUE), max_size=8)


def differences(before: list[Row], after: list[Row], key_width: int) -> tuple[int, int, int, int, bool]:
    """Inserted, updated, deleted, unchanged and whether by key, by brute force."""
    keys = [[row[:key_width] for row in rows] for rows in (before, after)]
    by_key = key_width > 0 and all(len(set(side)) == len(side) and None not in itertools.chain(*side) for side in keys)
    unchanged = (Counter(before) & Counter(after)).total()
    updated = len(set(keys[0]) & set(keys[1])) - unchanged if by_key else 0
    return len(after) - unchanged - updated, updated, len(before) - unchanged - updated, unchanged, by_key


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=ROWS, after=ROWS, table=st.sampled_from([MONDO, MERGED, HISTORY]), strict=st.booleans())
def test_any_two_releases_give_the_counts_and_the_feed_of_brute_force(
    warehouse: Warehouse, before: list[Row], after: list[Row], table: SourceTable, strict: bool
) -> None:
    width = len(table.columns)
    before, after = [row[:width] for row in before], [row[:width] for row in after]
    warehouse.query("DROP SCHEMA IF EXISTS medgen, medgen_changes CASCADE")
    if warehouse.exists("medgen_audit.load_run"):
        warehouse.query("CREATE SCHEMA medgen; CREATE SCHEMA medgen_changes; DELETE FROM medgen_audit.load_run")
    loader = warehouse.new_loader(swap="strict" if strict else "rename")
    load(loader, table, before)
    counts = load(loader, table, after)
    expected = differences(before, after, len(table.key))
    assert (counts.inserted, counts.updated, counts.deleted, counts.unchanged, counts.by_key) == expected
    assert warehouse.read("medgen", table) == sorted(after, key=repr)
    assert undo(warehouse, table, after) == Counter(before)


def undo(warehouse: Warehouse, table: SourceTable, after: list[Row]) -> Counter[Row]:
    """The earlier release, rebuilt from the later one and the feed."""
    rebuilt = Counter(after)
    if warehouse.exists(f"medgen_changes.{table.name}"):
        feed = warehouse.read("medgen_changes", table, ("_change_type",))
        rebuilt.subtract(row[1:] for row in feed if row[0] in {"insert", "update_postimage"})
        rebuilt.update(row[1:] for row in feed if row[0] in {"delete", "update_preimage"})
    assert min(rebuilt.values(), default=0) >= 0
    return +rebuilt


# Whole loads


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(releases=two_releases())
def test_snapshot_and_warehouse_find_the_same_changes(
    warehouse: Warehouse, releases: tuple[SourceTable, list[bytes], list[bytes]]
) -> None:
    table, before, after = releases
    home = Path(tempfile.mkdtemp())
    try:
        warehouse.query("DROP SCHEMA IF EXISTS s, s_changes, s_audit, w, w_changes, w_audit CASCADE")
        snapshot, whole = Mirror(warehouse, home, table, "s"), Mirror(warehouse, home, table, "w")
        for mirror in (snapshot, whole):
            mirror.load(before)
        for release, lines in (("2026-01-14", after), ("2026-01-21", before), ("2026-01-28", after)):
            by_diff = snapshot.load(lines, release=release)
            by_join = whole.load(lines, release=release, force_warehouse=True, swap_above_percent=1e9)
            assert by_diff.counts == by_join.counts
            assert snapshot.production() == whole.production()
            assert snapshot.feed() == whole.feed()
    finally:
        shutil.rmtree(home)


def test_a_release_that_changed_little_is_staged_as_its_difference(warehouse: Warehouse, home: Path) -> None:
    mirror = Mirror(warehouse, home, NAMES)
    mirror.load(GOOD)
    result = mirror.load([b"C0|renamed|GTR|N|", *GOOD[2:], b"C99|new|GTR|N|"], release="2026-01-14")
    assert (result.strategy, result.mode) == (Strategy.SNAPSHOT, ApplyMode.DELTA)
    assert (result.counts.inserted, result.counts.updated, result.counts.deleted) == (1, 1, 1)
    assert result.counts.unchanged == 48


def test_equal_content_uploads_nothing(warehouse: Warehouse, home: Path) -> None:
    mirror = Mirror(warehouse, home, NAMES)
    mirror.load(GOOD)
    warehouse.gate.log.clear()
    requests = len(warehouse.s3.requests)
    result = mirror.load(GOOD, release="2026-01-14")
    assert (result.mode, result.counts.unchanged, result.counts.changed) == (ApplyMode.UNCHANGED, 50, 0)
    assert len(warehouse.s3.requests) == requests
    assert warehouse.gate.log.matching('^(COPY|INSERT INTO "medgen"|DELETE FROM "medgen"|ALTER)') == []


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE medgen.names SET name = 'by hand' WHERE cui = 'C5'",
        "UPDATE medgen.names SET name = name || ' ' WHERE cui = 'C5'",
        "UPDATE medgen.names SET source = '' WHERE cui = 'C5'",
        "DELETE FROM medgen.names WHERE cui = 'C5'; INSERT INTO medgen.names VALUES ('C5', 'x', 'y', 'N')",
        "DROP TABLE medgen.names",
    ],
)
@pytest.mark.parametrize("content_changes", [True, False])
def test_a_table_edited_by_hand_is_compared_whole_and_healed(
    warehouse: Warehouse, home: Path, edit: str, content_changes: bool
) -> None:
    mirror = Mirror(warehouse, home, NAMES)
    mirror.load(GOOD)
    healthy = mirror.production()
    warehouse.query(edit)
    lines = [*GOOD[:-1], b"C49|renamed|GTR|N|"] if content_changes else GOOD
    result = mirror.load(lines, release="2026-01-14")
    assert (result.strategy, result.strategy_reason) == (
        Strategy.WAREHOUSE,
        "production is not as the last load left it",
    )
    expected = healthy - Counter([("C49", "name 49", "GTR", "N")]) + Counter([("C49", "renamed", "GTR", "N")])
    assert mirror.production() == (expected if content_changes else healthy)


def test_a_release_that_changed_much_takes_productions_place_with_grants_and_comments(
    warehouse: Warehouse, home: Path
) -> None:
    mirror = Mirror(warehouse, home, NAMES)
    mirror.load(GOOD)
    warehouse.query("DROP ROLE IF EXISTS medgen_analyst")
    warehouse.query("CREATE ROLE medgen_analyst LOGIN")
    try:
        warehouse.query("GRANT SELECT ON medgen.names TO medgen_analyst WITH GRANT OPTION")
        warehouse.query("GRANT SELECT ON medgen.names TO PUBLIC")
        warehouse.query("COMMENT ON COLUMN medgen.names.name IS 'the user''s own words'")
        grants = "SELECT a::text FROM pg_class, unnest(relacl) a WHERE oid = 'medgen.names'::regclass ORDER BY 1"
        granted, oid = warehouse.query(grants), warehouse.query("SELECT 'medgen.names'::regclass::oid")
        changed = [line.replace(b"name", b"nom") for line in GOOD]
        assert mirror.load(changed, release="2026-01-14", force_warehouse=True).mode is ApplyMode.SWAP
        assert warehouse.query("SELECT 'medgen.names'::regclass::oid") != oid
        assert warehouse.query(grants) == granted
        comments = "SELECT obj_description('medgen.names'::regclass), col_description('medgen.names'::regclass, 2)"
        assert warehouse.query(comments) == [(NAMES.description, "the user's own words")]
        assert len(mirror.feed()) == 100
        assert warehouse.left_in_staging() == []
    finally:
        warehouse.query("DROP OWNED BY medgen_analyst; DROP ROLE medgen_analyst")


@pytest.mark.parametrize(
    "attach",
    [
        "CREATE VIEW medgen.v AS SELECT cui FROM medgen.names",
        "ALTER TABLE medgen.names ADD COLUMN note text",
        "COMMENT ON TABLE medgen.names IS 'a \\ in it'",
    ],
)
def test_what_a_rename_would_lose_keeps_the_table_in_place(warehouse: Warehouse, home: Path, attach: str) -> None:
    mirror = Mirror(warehouse, home, NAMES)
    mirror.load(GOOD)
    warehouse.query(attach)
    changed = [line.replace(b"name", b"nom") for line in GOOD]
    result = mirror.load(changed, release="2026-01-14", force_warehouse=True)
    assert (result.mode, result.counts.updated) == (ApplyMode.DELTA, 50)
    with warehouse.new_loader() as rename, warehouse.new_loader(swap="strict") as strict:
        assert not rename.can_swap(NAMES)
        assert strict.can_swap(NAMES)


def test_the_replaced_table_stays_a_while_for_readers_that_had_just_found_it(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A])
    with warehouse.new_loader(drop_grace_seconds=1.5) as loader:
        compared(loader, [B])
        loader.apply_changes(NAMES, ApplyMode.SWAP)
        cleaning_up = threading.Thread(target=loader.cleanup, args=[NAMES])
        cleaning_up.start()
        cleaning_up.join(0.5)
        assert warehouse.query("SELECT cui FROM medgen.names__retired") == [("C1",)]
        cleaning_up.join()
    assert warehouse.left_in_staging() == []


def test_a_reader_that_does_not_end_makes_the_rename_give_way(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A])
    with psycopg.connect(warehouse.database) as reader, warehouse.new_loader(swap_wait_seconds=0.3) as loader:
        reader.execute("SELECT * FROM medgen.names")
        compared(loader, [B])
        with pytest.raises(TableBusyError, match=r"waited 0\.3 s for running readers"):
            loader.apply_changes(NAMES, ApplyMode.SWAP)
        assert loader.apply_changes(NAMES, ApplyMode.DELTA).inserted == 1
    assert warehouse.read("medgen", NAMES) == [B]


def test_a_column_that_the_catalog_widens_is_widened_in_place(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A])
    load(warehouse.new_loader(), NAMES, [B])
    for relation in ("medgen.names", "medgen_changes.names"):
        checks = warehouse.query("SELECT conname::text FROM pg_constraint WHERE conrelid = %s::regclass", relation)
        for (name,) in checks:
            warehouse.query(f"ALTER TABLE {relation} DROP CONSTRAINT {name}")
        warehouse.query(
            f"ALTER TABLE {relation} ALTER COLUMN source TYPE varchar(3)"
        ) if relation == "medgen.names" else None
    wide = ("C7", "x", "a longer source", None)
    load(warehouse.new_loader(), NAMES, [B, wide])
    assert wide in warehouse.read("medgen", NAMES)


def test_history_reads_changes_earlier_releases_and_drift(warehouse: Warehouse, home: Path) -> None:
    mirror = Mirror(warehouse, home, HISTORY)
    twice = [b"C1\tC2\tJan", b"C1\tC2\tJan", b"C3\t\tJan"]
    mirror.load(twice)
    mirror.load([b"C1\tC2\tJan", b"C4\t\tFeb"], release="2026-01-14")
    with warehouse.new_loader() as loader:
        changes = list(loader.read_changes(HISTORY, "2026-01-07"))
        assert [(row[0], row[1], *row[4:]) for row in changes] == [
            ("delete", "2026-01-14", "C1", "C2", "Jan"),
            ("delete", "2026-01-14", "C3", None, "Jan"),
            ("insert", "2026-01-14", "C4", None, "Feb"),
        ]
        assert list(loader.read_changes(HISTORY, "2026-01-07", "2026-01-07")) == []
        as_of = sorted(loader.read_as_of(HISTORY, "2026-01-07"), key=repr)
        assert as_of == sorted([("C1", "C2", "Jan"), ("C1", "C2", "Jan"), ("C3", None, "Jan")], key=repr)
        assert not loader.find_drift(HISTORY).found
        warehouse.query("UPDATE medgen.medgen_cui_history SET previous_cui = 'C9' WHERE previous_cui = 'C1'")
        drift = loader.find_drift(HISTORY)
        assert (drift.found, drift.rows, drift.expected_rows) == (True, 2, 2)
        with pytest.raises(LoaderError, match="release '2025-12-01' is not within reach"):
            loader.read_as_of(HISTORY, "2025-12-01")


# Widths in bytes


def test_a_value_wider_than_its_column_is_set_aside_with_table_column_line_and_reason(
    warehouse: Warehouse, home: Path
) -> None:
    mirror = Mirror(warehouse, home, NAMES)
    fits, wide = "é".encode() * 32, "é".encode() * 32 + b"x"
    lines = [b"C1|a|" + fits + b"|N|", b"C2|b|" + wide + b"|N|", b"C3|" + b"y" * 4097 + b"||N|", b"C4|d||N|"]
    result = mirror.load(lines)
    assert (result.report.rows, result.report.rejected) == (2, 2)
    assert [row[0] for row in warehouse.read("medgen", NAMES)] == ["C1", "C4"]
    rejected = (
        "SELECT table_name, line_number, reason FROM medgen_audit.rejected_row"
        " JOIN medgen_audit.load_run USING (load_id) ORDER BY line_number"
    )
    assert warehouse.query(rejected) == [
        ("names", 3, "source: 65 bytes, the column has at most 64"),
        ("names", 4, "name: 4,097 bytes, the column has at most 4,096"),
    ]


@pytest.mark.parametrize(("invalid", "accepted"), [(21, True), (22, False)])
def test_a_value_that_repairing_makes_too_wide_is_set_aside_and_others_are_not(
    warehouse: Warehouse, home: Path, invalid: int, accepted: bool
) -> None:
    """U+FFFD takes three bytes where the invalid byte took one."""
    bad = b"C2|b|" + b"\xff" * invalid + b"|N|"
    result = Mirror(warehouse, home, NAMES).load([b"C1|a\rb||N|", bad, b"C3|c|\xff|N|"])
    assert (result.report.rejected, result.report.repaired) == ((0, 2) if accepted else (1, 1))
    if not accepted:
        assert warehouse.query("SELECT line_number, reason, raw FROM medgen_audit.rejected_row") == [
            (3, "source: 66 bytes, the column has at most 64", "C2|b|" + r"\xff" * invalid + "|N|")
        ]


def test_limits_leave_everything_else_about_framing_as_it_was() -> None:
    lines = [b"C1|a|\xff|N|", b"bad", b"C2|b\0||N|", b"|c||N|", b"C3|d\\N|x\ty|N|"]

    def framed(limits: dict[str, int]) -> tuple[bytes, FramingReport, list[RejectedRow]]:
        rejected: list[RejectedRow] = []
        return *frame_lines(NAMES, b"#CUI|name|source|SUPPRESS|\n", lines, rejected.append, max_bytes=limits), rejected

    assert framed({column.name: column.max_bytes for column in NAMES.columns}) == framed({})


# S3


def stage_of(config: RedshiftConfig, load_id: int = 7) -> Stage:
    return Stage(config, "names", load_id)


def contents(s3: S3Server, url: str) -> bytes:
    key = url.removeprefix(f"s3://{BUCKET}/")
    return bytes(s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read())


def incompressible(megabytes: int) -> Iterator[bytes]:
    """Chunks of random-looking records, so that the compressed size is large too."""
    import random

    generator = random.Random(1)
    for _ in range(megabytes):
        yield b"".join(generator.randbytes(32).hex().encode() + b"\n" for _ in range(16132))


def test_a_small_table_is_one_part_and_a_manifest_that_makes_it_mandatory(s3: S3Server) -> None:
    with stage_of(RedshiftConfig(BUCKET, "us-east-1", s3_prefix="etl/x")) as stage:
        uploaded = stage.upload(iter([b"a\n", b"b\nc\n"]))
        assert uploaded.manifest is not None
        manifest, part = contents(s3, uploaded.manifest), contents(s3, uploaded.parts[0])
    assert uploaded.rows == 3
    assert uploaded.parts == (f"s3://{BUCKET}/etl/x/medgen/names/7/parts/part-0000.gz",)
    assert uploaded.manifest == f"s3://{BUCKET}/etl/x/medgen/names/7/manifest"
    assert json.loads(manifest) == {"entries": [{"url": uploaded.parts[0], "mandatory": True}]}
    assert gzip.decompress(part) == b"a\nb\nc\n"


def test_a_large_table_is_cut_into_even_parts_at_record_ends_and_nothing_is_lost(s3: S3Server) -> None:
    chunks = list(incompressible(64))
    with stage_of(RedshiftConfig(BUCKET, "us-east-1", s3_parts=4)) as stage:
        uploaded = stage.upload(iter(chunks))
        parts = [contents(s3, url) for url in uploaded.parts]
        assert len(parts) == 4
        assert max(map(len, parts)) < 1.3 * min(map(len, parts))
        assert [s for s in s3.requests if re.search(r"POST .*part-0000.gz\?uploads", s)], "sent in one piece"
        texts = [gzip.decompress(part) for part in parts]
        assert all(text.endswith(b"\n") for text in texts)
        assert Counter(b"".join(texts).split(b"\n")) == Counter(b"".join(chunks).split(b"\n"))
        assert uploaded.rows == sum(chunk.count(b"\n") for chunk in chunks)
    assert s3.keys(BUCKET) == []


@pytest.mark.parametrize("pattern", ["PUT /stage/.*partNumber=2", "POST /stage/.*uploadId", "PUT /stage/.*manifest"])
def test_a_failed_upload_leaves_neither_objects_nor_unfinished_uploads(warehouse: Warehouse, pattern: str) -> None:
    warehouse.s3.order(S3Fault(pattern, status=403))
    with warehouse.new_loader(s3_parts=2) as loader:
        loader.initialize_staging(NAMES)
        with pytest.raises(LoaderError, match=r"AWS refuses with 403 AccessDenied.*allow s3:PutObject"):
            loader.bulk_load("names", incompressible(48))
    assert warehouse.left_in_s3() == []
    assert warehouse.gate.log.matching("^COPY") == []


def test_an_s3_that_is_down_is_a_transient_error_and_one_that_hiccups_is_none(warehouse: Warehouse) -> None:
    warehouse.s3.order(S3Fault("PUT /stage/.*part-0000", status=500, times=2))
    load(warehouse.new_loader(), NAMES, [A])
    warehouse.s3.order(S3Fault("PUT /stage/.*part-0000", status=503))
    with pytest.raises(TransientError, match="AWS answers 503"):
        load(warehouse.new_loader(), NAMES, [A, B])


def test_a_part_that_is_gone_fails_the_load_and_is_never_left_out(warehouse: Warehouse) -> None:
    warehouse.s3.order(S3Fault("(GET|HEAD) /stage/.*part-0000", status=404))
    with pytest.raises(MedgenError, match="NoSuchKey"):
        load(warehouse.new_loader(), NAMES, [A])
    assert warehouse.left_in_s3() == []


def test_a_manifest_the_role_may_not_read_is_named_as_such(warehouse: Warehouse) -> None:
    warehouse.s3.order(S3Fault("GET /stage/.*manifest", status=403))
    with pytest.raises(LoaderError, match="The role may not read the manifest: allow s3:GetObject"):
        load(warehouse.new_loader(), NAMES, [A])
    assert warehouse.left_in_s3() == []


def test_a_role_that_is_not_attached_is_named_as_such(warehouse: Warehouse) -> None:
    with pytest.raises(LoaderError, match=r"not authorized to assume .*Attach the role to the cluster"):
        load(warehouse.new_loader(iam_role="arn:aws:iam::123456789012:role/other"), NAMES, [A])


def test_a_row_that_redshift_refuses_is_reported_with_file_line_column_and_reason(warehouse: Warehouse) -> None:
    with warehouse.new_loader() as loader:
        loader.initialize_staging(PUBMED)
        rows = b"1\tC1\ta\t1\n2\tC2\tb\tseven\n"
        with pytest.raises(LoaderError, match=r"part-0000\.gz line 2, column pmid: Invalid digit.* \(1207\)"):
            loader.bulk_load(PUBMED.name, iter([rows]))
    assert warehouse.query("SELECT count(*) FROM medgen_staging.medgen_pubmed_lnk") == [(0,)]


def test_what_dead_loads_left_in_s3_is_swept_and_what_others_have_there_is_not(warehouse: Warehouse) -> None:
    client = warehouse.s3.client()
    with warehouse.new_loader() as loader:
        dead = loader.log_run_start(start_of(NAMES))
    of_another_database = f"medgen/medgen/names/{dead + 1}/parts/part-0000.gz"
    for key in (f"medgen/medgen/names/{dead}/parts/part-0000.gz", f"medgen/medgen/names/{dead}/manifest"):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    client.put_object(Bucket=BUCKET, Key=of_another_database, Body=b"x")
    client.create_multipart_upload(Bucket=BUCKET, Key=f"medgen/medgen/names/{dead}/parts/part-0001.gz")
    load(warehouse.new_loader(), NAMES, [A])
    assert warehouse.left_in_s3() == [of_another_database]


# Conflicts and lost connections


def test_error_1023_repeats_the_whole_transaction(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A, B])
    warehouse.gate.log.clear()
    warehouse.gate.conflict(r"^INSERT INTO .medgen_changes", times=2)
    assert load(warehouse.new_loader(), NAMES, [A, C]).inserted == 1
    assert len(warehouse.gate.log.matching(r"^DELETE FROM .medgen.\..names.")) == 3
    assert warehouse.read("medgen", NAMES) == sorted([A, C], key=repr)
    assert len(warehouse.read("medgen_changes", NAMES)) == 2


@pytest.mark.parametrize("statement", [r"^UPDATE .medgen_audit..load_run SET strategy", r"^SELECT _change_type, COUNT"])
def test_error_1023_elsewhere_is_repeated_too(warehouse: Warehouse, statement: str) -> None:
    load(warehouse.new_loader(), NAMES, [A])
    warehouse.gate.conflict(statement, times=2)
    assert load(warehouse.new_loader(), NAMES, [A, C]).inserted == 1


def test_error_1023_for_ever_is_a_transient_error_and_publishes_nothing(warehouse: Warehouse) -> None:
    load(warehouse.new_loader(), NAMES, [A, B])
    warehouse.gate.conflict(r"^INSERT INTO .medgen_changes", times=None)
    with pytest.raises(TransientError, match="3 times in a row other transactions got in the way: 1023"):
        load(warehouse.new_loader(conflict_attempts=3), NAMES, [A, C])
    assert warehouse.read("medgen", NAMES) == sorted([A, B], key=repr)


def test_loads_of_several_tables_at_once_do_not_conflict_even_where_isolation_is_serializable(
    database: str, s3: S3Server
) -> None:
    failures: list[BaseException] = []
    tables = (NAMES, MERGED, MONDO, HISTORY, PUBMED)

    def load_thrice(warehouse: Warehouse, table: SourceTable) -> None:
        try:
            for number in range(3):
                row: Row = (number, "C1", *(None for _ in table.columns[2:]))
                load(warehouse.new_loader(conflict_attempts=1), table, [row])
        except BaseException as error:  # noqa: BLE001  # handed to the main thread
            failures.append(error)

    with Gate(database, s3.client_settings, roles=[ROLE], isolation=Isolation.SERIALIZABLE) as gate:
        warehouse = Warehouse(database, gate, s3)
        with warehouse.new_loader():
            pass  # the schemas stand
        threads = [threading.Thread(target=load_thrice, args=[warehouse, table]) for table in tables]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert warehouse.statuses() == ["succeeded"] * 15


@pytest.mark.parametrize("mode", [ApplyMode.DELTA, ApplyMode.SWAP])
def test_a_commit_whose_answer_is_lost_is_looked_up_and_stands(warehouse: Warehouse, mode: ApplyMode) -> None:
    load(warehouse.new_loader(), NAMES, [A, B])
    with warehouse.new_loader() as loader:
        compared(loader, [A, C])
        warehouse.gate.log.clear()
        # A swap commits once before, when it has made the new table.
        warehouse.gate.drop_after("^COMMIT", skip=1 if mode is ApplyMode.SWAP else 0)
        assert loader.apply_changes(NAMES, mode).inserted == 1
        loader.cleanup(NAMES)
    assert warehouse.read("medgen", NAMES) == sorted([A, C], key=repr)
    assert len(warehouse.read("medgen_changes", NAMES)) == 2
    assert warehouse.statuses() == ["succeeded", "succeeded"]
    assert len(warehouse.gate.log.matching("^INSERT INTO .medgen_changes")) == 1


@pytest.mark.parametrize("point", ["^COMMIT", "^DELETE FROM .medgen..", "^UPDATE .medgen_audit"])
def test_a_connection_that_breaks_before_the_commit_publishes_once_on_the_next(
    warehouse: Warehouse, point: str
) -> None:
    load(warehouse.new_loader(), NAMES, [A, B])
    with warehouse.new_loader() as loader:
        compared(loader, [A, C])
        warehouse.gate.drop_before(point)
        assert loader.apply_changes(NAMES, ApplyMode.DELTA).inserted == 1
        loader.cleanup(NAMES)
    assert warehouse.read("medgen", NAMES) == sorted([A, C], key=repr)
    assert len(warehouse.read("medgen_changes", NAMES)) == 2
    assert warehouse.statuses() == ["succeeded", "succeeded"]


@pytest.mark.parametrize("after", [True, False])
def test_a_connection_that_breaks_around_copy_leaves_nothing_and_production_as_it_was(
    warehouse: Warehouse, home: Path, after: bool
) -> None:
    mirror = Mirror(warehouse, home, NAMES)
    mirror.load(GOOD)
    (warehouse.gate.drop_after if after else warehouse.gate.drop_before)("^COPY")
    with pytest.raises(LostConnectionError, match="COPY into the staging table of names"):
        mirror.load(GOOD[1:], release="2026-01-14", force_warehouse=True)
    assert len(mirror.production()) == 50
    assert warehouse.left_in_s3() == []
    assert warehouse.left_in_staging() == []
    assert warehouse.statuses() == ["succeeded", "failed"]
    mirror.load(GOOD[1:], release="2026-01-14")
    assert len(mirror.production()) == 49


# What is sent


def test_what_is_sent_holds_no_secret_no_backslash_and_few_commits(warehouse: Warehouse, home: Path) -> None:
    mirror = Mirror(warehouse, home, NAMES)
    mirror.load([*GOOD, b"C51|\\N|a\\b|N|", b"bad \\", b"bad"])
    warehouse.gate.log.clear()
    mirror.load([*GOOD[1:], b"C52|\\N|a\\b|N|"], release="2026-01-14", force_warehouse=True)
    sent = [statement.sql for statement in warehouse.gate.log.statements]
    assert not [text for text in sent if "\\" in text or "testing" in text or "secret-of-the-test" in text]
    assert len(warehouse.gate.log.matching("^COPY")) == 1
    assert len(warehouse.gate.log.matching("^COMMIT")) <= 5
    assert len(warehouse.gate.log.matching("^INSERT INTO")) <= 5
    assert warehouse.gate.log.matching("^TRUNCATE|SAVEPOINT|DEALLOCATE") == []


# Settings and connections


@pytest.mark.parametrize("config", [{}, {"s3_bucket": "stage"}, {"aws_region": "us-east-1", "s3_bucket": ""}])
@pytest.mark.parametrize("scheme", ["redshift", "redshift+psycopg"])
def test_bucket_and_region_are_required(scheme: str, config: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^Redshift loader requires 's3_bucket' and 'aws_region' config\.$"):
        LoaderFactory.create_loader(f"{scheme}://u:topsecret@h/d", config)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"iam_role": "arn:aws:iam::1:role/x"}, "iam_role is .* expected the ARN of a role"),
        ({"iam_role": f"{ROLE}' CREDENTIALS 'x"}, "iam_role"),
        ({"iam_role": f"{ROLE}, {ROLE}"}, "no blanks"),
        ({"s3_bucket": "Not A Bucket"}, "s3_bucket"),
        ({"s3_prefix": "a\\b"}, "s3_prefix"),
        ({"s3_prefix": "a'b"}, "s3_prefix"),
        ({"schema": "Medgen"}, "lower-case"),
        ({"swap": "drop"}, r"expected one of \('rename', 'strict'\)"),
        ({"auth": "iam"}, "needs either 'cluster_identifier' or 'workgroup'"),
        ({"shema": "x"}, r"unknown settings \['shema'\]"),
    ],
)
def test_a_setting_that_cannot_be_right_is_refused_by_name(config: dict[str, str], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        RedshiftConfig.from_mapping({"s3_bucket": "stage", "aws_region": "us-east-1", **config})


def test_a_chain_of_roles_and_a_prefix_with_slashes_are_accepted() -> None:
    config = RedshiftConfig.from_mapping(
        {"s3_bucket": "stage", "aws_region": "us-gov-west-1", "iam_role": f"{ROLE},{ROLE}", "s3_prefix": "/a/b/"}
    )
    assert config.s3_prefix == "a/b"


def test_a_malformed_dsn_is_refused_without_showing_the_password() -> None:
    with pytest.raises(ValueError, match="not a valid connection URI") as error:
        LoaderFactory.create_loader("redshift://u:topsecret@h:1/d?x", {"s3_bucket": "stage", "aws_region": "us-east-1"})
    assert "topsecret" not in f"{error.value!r} {error.value.__cause__!r} {error.value.__suppress_context__}"


def test_tls_is_verified_and_the_port_is_redshifts_unless_the_dsn_says_otherwise() -> None:
    parts = connection_parts("redshift://u:p@h/d")
    assert (parts["port"], parts["sslmode"]) == ("5439", "verify-full")
    assert Path(parts["sslrootcert"]).is_file()
    assert "sslrootcert" not in connection_parts("redshift+psycopg://u:p@h/d?sslmode=disable")


def test_a_certificate_is_checked_before_the_password_is_sent(database: str, s3: S3Server, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    config = {"s3_bucket": BUCKET, "aws_region": "us-east-1"}
    passwords = {"loader": "topsecret"}
    with Gate(database, s3.client_settings, tls=context, passwords=passwords) as gate:
        with LoaderFactory.create_loader(gate.dsn("redshift", sslrootcert=str(tmp_path / "ca.pem")), config):
            pass
        with pytest.raises(LoaderError, match="certificate verify failed") as error:
            LoaderFactory.create_loader(gate.dsn("redshift"), config).connect()
    assert "topsecret" not in str(error.value)


def test_a_cluster_that_does_not_answer_is_a_transient_error() -> None:
    config = {"s3_bucket": BUCKET, "aws_region": "us-east-1"}
    with pytest.raises(LostConnectionError, match=r"127\.0\.0\.1:1/x cannot be reached"):
        LoaderFactory.create_loader("redshift://u:topsecret@127.0.0.1:1/x", config).connect()


def test_a_wrong_password_is_a_permanent_error_that_does_not_show_it(database: str, s3: S3Server) -> None:
    config = {"s3_bucket": BUCKET, "aws_region": "us-east-1"}
    with Gate(database, s3.client_settings, passwords={"loader": "right"}) as gate:
        dsn = gate.dsn("redshift", sslmode="disable").replace("right", "topsecret")
        with pytest.raises(LoaderError, match="authentication failed") as error:
            LoaderFactory.create_loader(dsn, config).connect()
    assert "topsecret" not in str(error.value)


@pytest.mark.parametrize("serverless", [True, False])
def test_iam_credentials_are_fetched_for_each_connection(
    database: str, s3: S3Server, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, serverless: bool
) -> None:
    if serverless:
        monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", httpserver.url_for("/"))
        httpserver.expect_request("/").respond_with_json({"dbUser": "IAM:etl", "dbPassword": "for-one-login"})
        where = {"workgroup": "medgen"}
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT", httpserver.url_for("/"))
        body = (
            '<R xmlns="http://redshift.amazonaws.com/doc/2012-12-01/"><GetClusterCredentialsWithIAMResult>'
            "<DbUser>IAM:etl</DbUser><DbPassword>for-one-login</DbPassword>"
            "</GetClusterCredentialsWithIAMResult></R>"
        )
        httpserver.expect_request("/").respond_with_data(body, content_type="text/xml")
        where = {"cluster_identifier": "medgen"}
    config = {"s3_bucket": BUCKET, "aws_region": "us-east-1", "auth": "iam", **where}
    with Gate(database, s3.client_settings, passwords={"IAM:etl": "for-one-login"}) as gate:
        dsn = re.sub(r"//.*@", "//", gate.dsn("redshift", user="IAM:etl", sslmode="disable"))
        with LoaderFactory.create_loader(dsn, config) as loader:
            loader.log_run_start(start_of(NAMES))
    assert len(httpserver.log) == 3  # work, lock, audit


def test_importing_the_package_and_its_loaders_needs_no_boto3() -> None:
    code = (
        "import sys, medgen_pipeline.definitions, medgen_pipeline.loaders.redshift\n"
        "assert not {'boto3', 'botocore'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
