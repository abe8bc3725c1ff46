"""What the checks find in a table, with the same SQL on every backend."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.loaders import AbstractNativeLoader
from medgen_pipeline.loading.answers import ANSWERED_BY, LAST_LOOK, LOOKED_AT, answer
from medgen_pipeline.loading.checks import ACROSS_TABLES, OF_ONE_TABLE
from medgen_pipeline.loading.findings import judge_row_count
from medgen_pipeline.loading.subject import Finding, Subject
from medgen_pipeline.testing import Backend, Mirror, Row, load
from medgen_pipeline_tests.loaders.cases import skip_what_others_stand_for
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift
from medgen_pipeline_tests.loaders.support import PostgresBackend, query

NAMES, MERGED, PUBMED = (table_by_name(name) for name in ("names", "merged", "medgen_pubmed_lnk"))
ROWS: list[Row] = [(f"C{number}", f"name {number}", None, "N") for number in range(20)]
CHECKS = {check.name: check for check in (*OF_ONE_TABLE, *ACROSS_TABLES)}


@dataclass(frozen=True)
class Warehouse:
    """A warehouse with nothing in it.

    Attributes:
        backend: Makes loaders into it.
        dsn: The PostgreSQL behind it, for edits by hand.
        home: For files to load.
    """

    backend: Backend
    dsn: str
    home: Path

    def new_loader(self) -> AbstractNativeLoader:
        return self.backend.new_loader()

    def mirror(self, table: SourceTable) -> Mirror:
        return Mirror(self.backend, self.home, table)

    def load(self, table: SourceTable, rows: list[Row], release: str = "2026-01-07") -> None:
        load(self.new_loader(), table, rows, release)

    def edit(self, statement: str) -> None:
        query(self.dsn, statement)

    def find(self, check: str, table: SourceTable) -> Finding:
        with self.new_loader() as loader:
            return CHECKS[check].find(Subject(loader, table))


# Of the others PostgreSQL stands for Redshift, whose gate has the rows in a PostgreSQL too; that every check of a good
# table passes it, the conformance suite shows.
ON_BOTH = {
    "test_a_column_that_is_missing_or_of_another_type_is_found": ("postgres", "ALTER COLUMN"),
    "test_an_integer_column_of_another_type_is_found": ("",),
    "test_a_first_load_that_has_seen_a_missing_value_answers_for_none": ("",),
    "test_a_key_that_repeats_or_is_empty_is_found_with_its_rows": ("",),
    "test_orphans_are_counted_and_the_most_frequent_shown": ("",),
    "test_rejected_lines_are_shown_also_after_a_load_of_the_difference": ("",),
    "test_what_answers_without_a_look_says_what_a_look_would": ("",),
}


@pytest.fixture(params=["postgres", "redshift"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    name = request.function.__name__
    skip_what_others_stand_for(request, {name: ON_BOTH.get(name, ("postgres",))})
    if request.param == "postgres":
        database: str = request.getfixturevalue("database")
        return Warehouse(PostgresBackend(database), database, tmp_path)
    redshift: GatedRedshift = request.getfixturevalue("redshift")
    return Warehouse(redshift, redshift.database, tmp_path)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("ALTER TABLE medgen.names DROP COLUMN source", "missing: source."),
        ("ALTER TABLE medgen.names RENAME COLUMN name TO title", "missing: name."),
        ("ALTER TABLE medgen.names ALTER COLUMN source TYPE integer USING 1", "source is integer, expected text."),
        ("DROP TABLE medgen.names", "missing: cui, name, source, suppress."),
    ],
)
def test_a_column_that_is_missing_or_of_another_type_is_found(warehouse: Warehouse, edit: str, said: str) -> None:
    warehouse.load(NAMES, ROWS)
    warehouse.edit(edit)
    finding = warehouse.find("schema_matches_catalog", NAMES)
    assert not finding.passed
    assert said in (finding.description or "")


def test_an_integer_column_of_another_type_is_found(warehouse: Warehouse) -> None:
    warehouse.load(PUBMED, [(1, "C1", "a", 1)])
    warehouse.edit("ALTER TABLE medgen.medgen_pubmed_lnk ALTER COLUMN pmid TYPE text")
    assert "pmid is text, expected integer." in (warehouse.find("schema_matches_catalog", PUBMED).description or "")


def test_a_column_that_somebody_has_added_is_named_and_no_fault(warehouse: Warehouse) -> None:
    warehouse.load(NAMES, ROWS)
    warehouse.edit("ALTER TABLE medgen.names ADD COLUMN reviewed text")
    finding = warehouse.find("schema_matches_catalog", NAMES)
    assert finding.passed
    assert finding.metrics == {"check/columns": 5, "check/other_columns": ["reviewed"]}


def test_a_key_that_repeats_or_is_empty_is_found_with_its_rows(warehouse: Warehouse) -> None:
    warehouse.load(NAMES, [*ROWS, ("C1", "again", None, "N"), (None, "no concept", None, "N")])
    finding = warehouse.find("key_is_unique", NAMES)
    assert not finding.passed
    assert finding.metrics == {
        "check/repeated_keys": 2,
        "check/sample": [{"cui": "C1", "rows": 2}, {"cui": None, "rows": 1}],
    }


def test_a_required_value_that_is_missing_is_counted_by_column(warehouse: Warehouse) -> None:
    warehouse.load(NAMES, [*ROWS, ("C97", None, None, "N"), ("C98", None, None, None), (None, "x", None, "N")])
    finding = warehouse.find("required_columns_are_filled", NAMES)
    assert not finding.passed
    assert finding.metrics == {"check/rows": 23, "check/empty_values": 3}
    assert "of 23 rows: cui in 1, name in 2." in (finding.description or "")


def test_a_first_load_that_has_seen_a_missing_value_answers_for_none(warehouse: Warehouse) -> None:
    warehouse.load(NAMES, [*ROWS, ("C97", None, None, "N")])
    warehouse.edit("UPDATE medgen_audit.load_run SET dagster_run_id = 'now'")
    with warehouse.new_loader() as loader:
        finding = answer(CHECKS["required_columns_are_filled"], Subject(loader, NAMES, "now"), tuple)
    assert (finding.passed, finding.metrics["check/empty_values"]) == (False, 1)
    assert ANSWERED_BY not in finding.metrics


@pytest.mark.parametrize("check", ["key_is_unique", "required_columns_are_filled"])
def test_what_reads_a_missing_column_says_so(warehouse: Warehouse, check: str) -> None:
    warehouse.load(NAMES, ROWS)
    warehouse.edit("ALTER TABLE medgen.names DROP COLUMN cui")
    assert warehouse.find(check, NAMES) == Finding(False, "Cannot be judged: names has no cui.")


def test_rows_are_compared_with_the_last_load_of_each_earlier_release(warehouse: Warehouse) -> None:
    warehouse.load(NAMES, ROWS[:3])  # a release loaded twice counts as it was left
    for release in ("2026-01-07", "2026-01-14", "2026-01-21"):
        warehouse.load(NAMES, ROWS, release)
    metrics = {"check/rows": 20, "check/at_least": 18, "check/at_most": 22, "check/releases": 2}
    assert warehouse.find("row_count_within_history", NAMES) == Finding(True, None, metrics)
    warehouse.load(NAMES, ROWS[:17], "2026-01-28")
    finding = warehouse.find("row_count_within_history", NAMES)
    assert not finding.passed
    assert finding.metrics == {**metrics, "check/rows": 17, "check/releases": 3}
    assert "the 3 releases before lead one to expect 18 to 22" in (finding.description or "")


def test_a_load_that_failed_is_no_history(warehouse: Warehouse) -> None:
    warehouse.load(NAMES, ROWS)
    warehouse.edit("UPDATE medgen_audit.load_run SET status = 'failed'")
    warehouse.edit("DROP TABLE medgen.names")  # as a first load that failed leaves it
    warehouse.load(NAMES, ROWS[:2], "2026-01-14")
    finding = warehouse.find("row_count_within_history", NAMES)
    assert finding == Finding(True, "There is no earlier release to compare with.", {"check/rows": 2})


def test_rejected_lines_are_shown_also_after_a_load_of_the_difference(warehouse: Warehouse) -> None:
    mirror = warehouse.mirror(NAMES)
    lines = [f"C{number}|name {number}||N|".encode() for number in range(50)]
    mirror.load([*lines, b"C1|a|b|c|too long|"])
    assert mirror.load([*lines, b"C99|new||N|", b"C1|a|b|c|too long|"], release="2026-01-14").strategy == "snapshot"
    finding = warehouse.find("no_rejected_rows", NAMES)
    assert not finding.passed
    assert finding.metrics["check/rejected_rows"] == 1
    ((line,),) = [finding.metrics["check/sample"]]
    assert line["line"] == 52
    assert "rejected: 1." in (finding.description or "")


def test_rows_that_were_repaired_are_counted_and_shown(warehouse: Warehouse) -> None:
    mirror = warehouse.mirror(NAMES)
    good = [f"C{number}|name {number}||N|".encode() for number in range(50)]
    mirror.load(good)
    assert warehouse.find("no_repaired_rows", NAMES) == Finding(True, None, {"check/repaired_rows": 0})
    mirror.load([*good[1:], "C0|Sjögren||N|".encode("latin-1")], release="2026-01-14")
    finding = warehouse.find("no_repaired_rows", NAMES)
    assert not finding.passed
    assert finding.metrics == {
        "check/repaired_rows": 1,
        "check/sample": [{"cui": "C0", "name": "Sj\ufffdgren", "source": None, "suppress": "N"}],
    }
    assert "repaired: 1." in (finding.description or "")


def test_orphans_are_counted_and_the_most_frequent_shown(warehouse: Warehouse) -> None:
    warehouse.load(NAMES, ROWS)
    warehouse.load(MERGED, [("C1", "C2"), ("C3", "C90"), ("C4", "C90"), ("C5", "C91"), ("C6", None)])
    finding = warehouse.find("references_resolve", MERGED)
    assert not finding.passed
    assert finding.description == "Rows whose to_cui is not in names.cui: 3, with 2 different values."
    assert finding.metrics == {
        "check/orphans_to_cui": 3,
        "check/sample_to_cui": [{"value": "C90", "rows": 2}, {"value": "C91", "rows": 1}],
    }


def test_references_to_a_table_that_is_not_there_cannot_be_judged(warehouse: Warehouse) -> None:
    warehouse.load(MERGED, [("C1", "C2")])
    assert warehouse.find("references_resolve", MERGED) == Finding(False, "Cannot be judged: names has no cui.")


# Answers without a look


def of_a_look(finding: Finding) -> Finding:
    """A finding without what says where it is from, and without what only a look at all content can say."""
    extra = {ANSWERED_BY, LOOKED_AT, LAST_LOOK, "drift/checksum_matches"}
    return Finding(finding.passed, finding.description, {k: v for k, v in finding.metrics.items() if k not in extra})


LOOK, LOAD, RECORD, CHANGES = "a look", "load ", "the record", "the rows that have changed"
LINKS: list[Row] = [("M1", "C1"), ("M2", "C2")]
MANY: list[Row] = [(f"M{number}", f"C9{number}") for number in range(3, 9)]
# The rows of names and of merged, week after week, and what answers of names' values and of merged's references.
WEEKS: list[tuple[list[Row], list[Row], str, str]] = [
    (ROWS, LINKS, LOAD, LOOK),  # the first load has seen that no value is missing
    (ROWS, LINKS, RECORD, RECORD),
    ([*ROWS, ("C30", "new", None, "N")], [*LINKS, ("M3", "C30")], CHANGES, CHANGES),
    (ROWS, LINKS, CHANGES, CHANGES),
    ([row for row in ROWS if row[0] != "C2"], LINKS, CHANGES, CHANGES),  # what M2 refers to has gone
    ([row for row in ROWS if row[0] not in ("C2", "C3")], LINKS, CHANGES, CHANGES),  # and has not come back
    (ROWS, LINKS, CHANGES, CHANGES),
    (ROWS, [*LINKS, *MANY], RECORD, CHANGES),
    (ROWS, [*LINKS, *MANY], RECORD, RECORD),
    (ROWS, [*LINKS, *MANY[1:]], RECORD, LOOK),  # before, there were more than a finding shows
    ([*ROWS, ("C95", "new", None, "N")], [*LINKS, *MANY[1:]], CHANGES, CHANGES),
    (ROWS, [*LINKS, *MANY[3:], ("M7", "C99")], CHANGES, CHANGES),
    ([*ROWS, ("C30", None, None, "N")], LINKS, LOOK, CHANGES),  # a value is missing
    ([*ROWS[1:], ("C30", None, None, "N")], LINKS, LOOK, CHANGES),
]


def test_what_answers_without_a_look_says_what_a_look_would(warehouse: Warehouse) -> None:
    record: dict[str, list[Finding]] = {}
    weeks = WEEKS if isinstance(warehouse.backend, PostgresBackend) else WEEKS[:3]  # the SQL is the same
    for week, (names, merged, *ways) in enumerate(weeks):
        release = f"2026-01-{week + 1:02}"
        warehouse.load(NAMES, names, release)
        warehouse.load(MERGED, merged, release)
        query(warehouse.dsn, "UPDATE medgen_audit.load_run SET dagster_run_id = release")
        found: dict[str, Finding] = {}
        with warehouse.new_loader() as loader:
            for table in (NAMES, MERGED):
                for check in (check for check in CHECKS.values() if check.applies(table)):
                    name = f"{table.name}.{check.name}"
                    earlier = record.setdefault(name, [])
                    found[name] = answer(check, Subject(loader, table, release), partial(tuple, earlier))
                    assert of_a_look(found[name]) == of_a_look(check.find(Subject(loader, table))), (week, name)
                    if LOOKED_AT in found[name].metrics:
                        earlier.insert(0, found[name])
        answered = [
            found[name].metrics.get(ANSWERED_BY, LOOK)
            for name in ("names.required_columns_are_filled", "merged.references_resolve")
        ]
        assert [said[: len(way)] for said, way in zip(answered, ways, strict=True)] == ways, week
        assert found["names.key_is_unique"].metrics[ANSWERED_BY].startswith("load ")
        assert found["names.production_equals_file"].metrics[ANSWERED_BY].startswith("load ")


def test_a_record_is_no_answer_where_somebody_else_has_written_to_a_table_that_the_run_has_not_loaded(
    warehouse: Warehouse,
) -> None:
    warehouse.load(NAMES, ROWS)
    warehouse.load(MERGED, LINKS)
    warehouse.edit("UPDATE medgen_audit.load_run SET dagster_run_id = 'now' WHERE table_name = 'merged'")

    def answered(*earlier: Finding) -> Finding:
        with warehouse.new_loader() as loader:
            return answer(CHECKS["references_resolve"], Subject(loader, MERGED, "now"), lambda: earlier)

    look = answered()
    assert answered(look).metrics[ANSWERED_BY].startswith(RECORD)
    warehouse.edit("DELETE FROM medgen.names WHERE cui = 'C2'")
    found = answered(look)
    assert not found.passed
    assert LOOKED_AT not in found.metrics  # nor is it one for others


@pytest.mark.parametrize("since", [0, 1], ids=["the same load's number", "an earlier load's"])
def test_a_record_of_another_warehouse_is_no_answer(warehouse: Warehouse, since: int) -> None:
    """Each counts its loads from 1, and one Dagster instance may know several."""
    warehouse.load(NAMES, ROWS)
    for number in range(since):
        warehouse.load(NAMES, [*ROWS, ("C30", "new", None, "N")], release=f"2026-02-{number + 1:02}")
    warehouse.edit("UPDATE medgen_audit.load_run SET dagster_run_id = 'now'")

    def answered(*earlier: Finding) -> Finding:
        with warehouse.new_loader() as loader:
            return answer(CHECKS["required_columns_are_filled"], Subject(loader, NAMES, "now"), lambda: earlier)

    look = answered()
    ((number, _),) = [look.metrics[LOOKED_AT]["loads"]["names"].split(" ", 1)]
    elsewhere = f"{int(number) - since} 2026-01-01T00:00:00+00:00"
    theirs = {**look.metrics[LOOKED_AT], "loads": {"names": elsewhere}}
    found = answered(replace(look, metrics={**look.metrics, LOOKED_AT: theirs}))
    assert found.metrics.get(ANSWERED_BY, LOOK).startswith(LOOK if since else LOAD)


def test_a_feed_that_others_have_deleted_from_is_not_followed(warehouse: Warehouse) -> None:
    def answered(*earlier: Finding) -> Finding:
        warehouse.edit("UPDATE medgen_audit.load_run SET dagster_run_id = 'now'")
        with warehouse.new_loader() as loader:
            return answer(CHECKS["required_columns_are_filled"], Subject(loader, NAMES, "now"), lambda: earlier)

    warehouse.load(NAMES, ROWS)
    look = answered()
    warehouse.load(NAMES, [*ROWS, ("C30", None, None, "N")], release="2026-02-01")
    warehouse.edit("DELETE FROM medgen_changes.names")
    assert look.passed
    assert not answered(look).passed


def test_a_check_that_is_asked_for_by_itself_looks(warehouse: Warehouse) -> None:
    warehouse.load(NAMES, ROWS)
    with warehouse.new_loader() as loader:
        for check in (check for check in OF_ONE_TABLE if check.applies(NAMES)):
            found = answer(check, Subject(loader, NAMES, "another run"), tuple)
            assert found == check.find(Subject(loader, NAMES))


# Bounds


def test_the_bounds_are_a_tenth_around_the_median_or_six_usual_distances() -> None:
    assert judge_row_count(1000, [1000] * 5) == (True, 900, 1100)
    assert judge_row_count(899, [1000] * 5) == (False, 900, 1100)
    assert judge_row_count(1100, [1000] * 5)[0]
    assert judge_row_count(1101, [1000] * 5) == (False, 900, 1100)
    restless = [1000, 1050, 950, 1040, 960]  # usual distance 40
    assert judge_row_count(1000, restless) == (True, 760, 1240)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=12), st.integers(0, 10**9))
def test_the_median_is_always_within_bounds_and_one_odd_release_does_not_move_them(
    earlier: list[int], odd: int
) -> None:
    middle = sorted(earlier)[len(earlier) // 2]
    steady = [middle] * 3
    assert judge_row_count(middle, steady)[0]
    assert judge_row_count(middle, [*steady, odd]) == judge_row_count(middle, steady)
    passed, low, high = judge_row_count(odd, earlier)
    assert passed is (low <= odd <= high)
    assert 0 <= low <= high
