"""Each strategy is used when it should be, on PostgreSQL: what the conformance suite cannot see."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from medgen_pipeline.loaders import ApplyMode, LoaderFactory, Strategy
from medgen_pipeline.loading.gates import GateLimits, GatesClosedError
from medgen_pipeline.testing import Mirror
from medgen_pipeline.testing.files import GOOD
from medgen_pipeline.testing.loads import HISTORY, MONDO, NAMES
from medgen_pipeline_tests.loaders.support import postgres_mirror, query

PIECES = "the file has, or had, lines that are no rows by themselves"


@pytest.fixture
def mirror(database: str, tmp_path: Path) -> Mirror:
    """``medgen.names`` after its first load."""
    mirror = postgres_mirror(database, tmp_path, NAMES, "medgen")
    mirror.load(GOOD)
    return mirror


def test_equal_content_writes_the_audit_row_and_nothing_else(mirror: Mirror) -> None:
    everything_else = (
        "SELECT sum(pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)"
        " + pg_stat_get_tuples_deleted(c.oid)), count(*) FROM pg_class c WHERE relkind IN ('r', 'i')"
        " AND c.relnamespace::regnamespace::text IN ('medgen', 'medgen_changes', 'medgen_staging')"
    )
    before = query(mirror.dsn, everything_else)
    assert mirror.load(GOOD, release="2026-01-14").mode is ApplyMode.UNCHANGED
    assert query(mirror.dsn, everything_else) == before


def test_an_index_of_another_kind_under_the_name_of_ours_does_not_pass_for_a_unique_key(mirror: Mirror) -> None:
    query(mirror.dsn, "DROP INDEX medgen.names_key; CREATE INDEX names_key ON medgen.names (source)")
    query(mirror.dsn, "INSERT INTO medgen.names SELECT * FROM medgen.names WHERE cui = 'C5'")
    result = mirror.load([*GOOD, GOOD[6]], release="2026-01-14")
    counts = result.counts
    assert (counts.by_key, counts.inserted, counts.deleted, counts.unchanged) == (False, 1, 1, 50)
    expected = Counter((f"C{number}", f"name {number}", "GTR", "N") for number in (*range(50), 6))
    assert mirror.production() == expected


@pytest.mark.parametrize("lines", [GOOD, [*GOOD[:-1], b"C49|renamed|GTR|N|"]], ids=["same file", "another file"])
@pytest.mark.parametrize("options", [{}, {"force_warehouse": True}], ids=["snapshot", "warehouse"])
def test_a_column_that_was_dropped_and_added_again_is_noticed_and_filled(
    mirror: Mirror, lines: list[bytes], options: dict[str, bool]
) -> None:
    """The rows keep the transactions that wrote them."""
    query(mirror.dsn, "ALTER TABLE medgen.names DROP source; ALTER TABLE medgen.names ADD source text")
    result = mirror.load(lines, release="2026-01-14", **options)
    assert (result.strategy, result.counts.updated) == (Strategy.WAREHOUSE, 50)
    with LoaderFactory.create_loader(mirror.dsn, {"schema": "medgen"}) as loader:
        assert not loader.find_drift(NAMES).written_to
    assert mirror.load(GOOD[1:], release="2026-01-21").strategy is Strategy.SNAPSHOT


def test_a_file_that_left_the_archive_means_comparing_everything(mirror: Mirror) -> None:
    shutil.rmtree(mirror.home / "archive")
    result = mirror.load(GOOD[1:], release="2026-01-14")
    assert result.strategy_reason == "the archive no longer holds the file of the last load"
    assert (result.strategy, result.counts.deleted) == (Strategy.WAREHOUSE, 1)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"damaged")])
def test_a_block_list_that_is_lost_or_damaged_costs_time_and_nothing_else(
    mirror: Mirror, damage: Callable[[Path], object]
) -> None:
    for path in (mirror.home / "archive" / "blocks").glob("*/*"):
        damage(path)
    result = mirror.load(GOOD[1:], release="2026-01-14")
    assert (result.strategy, result.counts.deleted, result.counts.changed) == (Strategy.SNAPSHOT, 1, 1)


def test_lines_rejected_before_stay_rejected_and_are_counted(database: str, tmp_path: Path) -> None:
    mirror = postgres_mirror(database, tmp_path, NAMES, "medgen")
    one, two, three = (b"bad|%d|" % number + b"x|" * 4 for number in range(3))
    mirror.load([*GOOD, one, two])
    kept = mirror.load([*GOOD, two, b"C77|new|GTR|N|"], release="2026-01-14")
    assert (kept.strategy, kept.report.rejected, kept.report.rows) == (Strategy.SNAPSHOT, 1, 51)
    new = mirror.load([*GOOD, two, three], release="2026-01-21")
    assert (new.strategy_reason, new.report.rejected) == (PIECES, 2)
    recorded = "SELECT line_number, raw FROM medgen_audit.rejected_row WHERE load_id = %s ORDER BY 1"
    assert query(database, recorded, new.load_id) == [(52, two), (53, three)]


def test_where_an_earlier_version_took_a_line_for_a_row_everything_is_compared(database: str, tmp_path: Path) -> None:
    mirror = postgres_mirror(database, tmp_path, HISTORY, "medgen")
    rows = [b"C%d\tC0\tJan" % number for number in range(50)]
    mirror.load([*rows, b"C77\tC0\tJan\r"])
    query(database, "UPDATE medgen_audit.load_run SET rows_rejected = 0")
    new = mirror.load(rows, release="2026-01-14")
    assert (new.strategy_reason, new.report.rejected) == (PIECES, 0)


def test_a_file_with_more_bad_lines_than_may_be_stops_early(mirror: Mirror) -> None:
    before = mirror.production()
    bad = [b"C%d|not whole" % number for number in range(5_000)]
    with pytest.raises(
        GatesClosedError, match="1,000 of the first 1,050 lines were rejected, and the rest was"
    ) as error:
        mirror.load([*GOOD, *bad], release="2026-01-14", limits=GateLimits(max_rejected_percent=4))
    assert [(gate.setting, gate.value) for gate in error.value.closed] == [("max_rejected_percent", 96)]
    assert mirror.production() == before
    last = "SELECT status, rows_rejected FROM medgen_audit.load_run ORDER BY load_id DESC LIMIT 1"
    assert query(mirror.dsn, last) == [("failed", 1000)]
    assert query(mirror.dsn, "SELECT count(*), max(line_number) FROM medgen_audit.rejected_row") == [(1000, 1051)]
    with pytest.raises(GatesClosedError, match="1,000 of the first 1,000 lines") as error:
        mirror.load(bad, release="2026-01-14", limits=GateLimits(max_rejected_percent=4))
    assert [gate.setting for gate in error.value.closed] == [None]
    assert mirror.load([*GOOD, *bad], release="2026-01-14").report.rejected == 5000


def test_the_widest_key_values_that_are_let_through_fit_an_index(database: str, tmp_path: Path) -> None:
    for table, ends in ((MONDO, b"\t1"), (HISTORY, b"")):
        mirror = postgres_mirror(database, tmp_path, table, "medgen")
        keys = [b"\t".join(_random_text(column, row) for column in range(3)) + ends for row in range(3)]
        assert mirror.load(keys).report.rejected == 0
        assert mirror.load(keys[1:], release="2026-01-14").counts.deleted == 1
        assert mirror.load(keys, release="2026-01-21").counts.inserted == 1


def _random_text(*seed: int) -> bytes:
    return "".join(random.Random(repr(seed)).choices("0123456789abcdef", k=400)).encode()


@pytest.mark.parametrize(
    "weeks",
    [
        pytest.param([[b"C77|a|", b"GTR|N|"], [b"C77|b|", b"GTR|N|"]], id="one of its lines changes"),
        pytest.param([[b"C77|a|", b"GTR|N|"], [b"C77|a|GTR|N|"]], id="it is mended"),
        pytest.param([[b"C77|a|GTR|N|"], [b"C77|a|", b"GTR|N|"]], id="it breaks"),
        pytest.param([[b"C77|a|", b"GTR|N|"], []], id="it goes"),
        pytest.param([[b"C77|a|", b"C78|b|x|N|", b"GTR|N|"], [b"C77|a|", b"GTR|N|"]], id="what parted its lines goes"),
        pytest.param([[b"C77|a|", b"GTR|N|"], [b"C77|a|", b"C78|b|x|N|", b"GTR|N|"]], id="something parts its lines"),
        pytest.param([[b"C77|a|", b"GTR|N|"], [b"junk", b"C77|a|", b"GTR|N|"]], id="a bad line beside it"),
    ],
)
def test_a_change_in_a_broken_record_is_as_exact_as_any_other(
    database: str, tmp_path: Path, weeks: list[list[bytes]]
) -> None:
    mirror = postgres_mirror(database, tmp_path, NAMES, "medgen")
    whole = postgres_mirror(database, tmp_path, NAMES, "other")
    for number, lines in enumerate([*weeks, weeks[0]]):
        release, content = f"2026-01-{number + 1:02}", [*GOOD[:25], *lines, *GOOD[25:]]
        one = mirror.load(content, release=release)
        two = whole.load(content, release=release, force_warehouse=True)
        assert one.counts == two.counts
        assert mirror.production() == whole.production()
        assert mirror.feed() == whole.feed()


def test_a_proven_key_that_repeats_closes_a_gate_and_loads_whole_when_accepted(mirror: Mirror) -> None:
    twice = [*GOOD, b"C0|a second C0|GTR|N|"]
    with pytest.raises(GatesClosedError, match=r"Its key \(cui\) repeats"):
        mirror.load(twice, release="2026-01-14", limits=GateLimits())
    result = mirror.load(twice, release="2026-01-14", limits=GateLimits(accept_broken_key=True))
    assert (result.counts.inserted, result.counts.by_key) == (1, False)
    assert mirror.load(GOOD, release="2026-01-21").counts.deleted == 1
    assert mirror.load([b"C0|renamed|GTR|N|", *GOOD[1:]], release="2026-01-28").counts.updated == 1


def test_a_repaired_line_does_not_hide_that_its_key_repeats(database: str, tmp_path: Path) -> None:
    mirror = postgres_mirror(database, tmp_path, NAMES, "medgen")
    mirror.load([*GOOD, b"C77|caf\xff|GTR|N|"])
    result = mirror.load([*GOOD, "C77|caf\ufffd|GTR|N|".encode(), b"C77|another|GTR|N|"], release="2026-01-14")
    assert (result.strategy, result.counts.inserted, result.counts.by_key) == (Strategy.SNAPSHOT, 1, False)
    assert sum(mirror.production().values()) == 52
