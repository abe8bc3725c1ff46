"""What the checks find in a table, with the same SQL on every backend."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from medgen_pipeline.catalog import TABLES, SourceTable, table_by_name
from medgen_pipeline.checks import ACROSS_TABLES, OF_ONE_TABLE
from medgen_pipeline.checks.findings import Finding, Subject, judge_row_count
from medgen_pipeline.load import LoadResult, load_table
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderError
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline_tests.integration.test_strategies import Mirror as PostgresMirror
from medgen_pipeline_tests.loaders.redshift_support import Mirror as RedshiftMirror
from medgen_pipeline_tests.loaders.redshift_support import Warehouse
from medgen_pipeline_tests.loaders.support import Row, load, new_loader, query

NAMES, MERGED, PUBMED = (table_by_name(name) for name in ("names", "merged", "medgen_pubmed_lnk"))
ROWS: list[Row] = [(f"C{number}", f"name {number}", None, "N") for number in range(20)]
CHECKS = {check.name: check for check in (*OF_ONE_TABLE, *ACROSS_TABLES)}


class Mirrored(Protocol):
    def load(self, lines: list[bytes], *, release: str = ...) -> LoadResult: ...


@dataclass(frozen=True)
class Backend:
    """A warehouse with nothing in it.

    Attributes:
        new_loader: A loader into it.
        dsn: The PostgreSQL behind it, for edits by hand.
        mirror: Loads of files into one of its tables.
    """

    new_loader: Callable[[], AbstractNativeLoader]
    dsn: str
    mirror: Callable[[SourceTable], Mirrored]

    def load(self, table: SourceTable, rows: list[Row], release: str = "2026-01-07") -> None:
        load(self.new_loader(), table, rows, release)

    def edit(self, statement: str) -> None:
        query(self.dsn, statement)

    def find(self, check: str, table: SourceTable) -> Finding:
        with self.new_loader() as loader:
            return CHECKS[check].find(Subject(loader, table))


@pytest.fixture(params=["postgres", "redshift"])
def backend(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Backend:
    if request.param == "postgres":
        return Backend(
            lambda: new_loader(database), database, lambda table: PostgresMirror(database, tmp_path, table, "medgen")
        )
    warehouse: Warehouse = request.getfixturevalue("warehouse")
    return Backend(warehouse.new_loader, database, lambda table: RedshiftMirror(warehouse, tmp_path, table))


# The method of the contract that the checks stand on


def test_a_query_names_tables_the_audit_and_the_schema(backend: Backend) -> None:
    backend.load(NAMES, ROWS)
    with backend.new_loader() as loader:
        assert loader.query(
            "SELECT COUNT(*) FROM {any} WHERE {column} = %s", ["C7"], any=NAMES, column=sql.SQL("cui")
        ) == [(1,)]
        assert loader.query("SELECT table_name, status FROM {audit}.load_run") == [("names", "succeeded")]
        assert loader.query(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = {schema} AND table_name = 'names'"
        ) == [("names",)]


def test_a_query_that_fails_is_an_error_of_the_contract(backend: Backend) -> None:
    with backend.new_loader() as loader, pytest.raises(LoaderError, match="answering a query"):
        loader.query("SELECT COUNT(*) FROM {table}", table=NAMES)


# What is found


def test_nothing_is_found_in_tables_as_the_loader_makes_them(backend: Backend) -> None:
    for table in TABLES:
        backend.load(table, [tuple(7 if column.type.value == "integer" else "C1" for column in table.columns)])
    with backend.new_loader() as loader:
        for table in TABLES:
            for check in CHECKS.values():
                if check.applies(table):
                    assert check.find(Subject(loader, table)).passed, (table.name, check.name)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("ALTER TABLE medgen.names DROP COLUMN source", "missing: source."),
        ("ALTER TABLE medgen.names RENAME COLUMN name TO title", "missing: name."),
        ("ALTER TABLE medgen.names ALTER COLUMN source TYPE integer USING 1", "source is integer, expected text."),
        ("DROP TABLE medgen.names", "missing: cui, name, source, suppress."),
    ],
)
def test_a_column_that_is_missing_or_of_another_type_is_found(backend: Backend, edit: str, said: str) -> None:
    backend.load(NAMES, ROWS)
    backend.edit(edit)
    finding = backend.find("schema_matches_catalog", NAMES)
    assert not finding.passed
    assert said in (finding.description or "")


def test_an_integer_column_of_another_type_is_found(backend: Backend) -> None:
    backend.load(PUBMED, [(1, "C1", "a", 1)])
    backend.edit("ALTER TABLE medgen.medgen_pubmed_lnk ALTER COLUMN pmid TYPE text")
    assert "pmid is text, expected integer." in (backend.find("schema_matches_catalog", PUBMED).description or "")


def test_a_column_that_somebody_has_added_is_named_and_no_fault(backend: Backend) -> None:
    backend.load(NAMES, ROWS)
    backend.edit("ALTER TABLE medgen.names ADD COLUMN reviewed text")
    finding = backend.find("schema_matches_catalog", NAMES)
    assert finding.passed
    assert finding.figures == {"check/columns": 5, "check/other_columns": ["reviewed"]}


def test_a_key_that_repeats_or_is_empty_is_found_with_its_rows(backend: Backend) -> None:
    backend.load(NAMES, [*ROWS, ("C1", "again", None, "N"), (None, "no concept", None, "N")])
    finding = backend.find("key_is_unique", NAMES)
    assert not finding.passed
    assert finding.figures == {
        "check/repeated_keys": 2,
        "check/sample": [{"cui": "C1", "rows": 2}, {"cui": None, "rows": 1}],
    }


def test_a_required_value_that_is_missing_is_counted_by_column(backend: Backend) -> None:
    backend.load(NAMES, [*ROWS, ("C97", None, None, "N"), ("C98", None, None, None), (None, "x", None, "N")])
    finding = backend.find("required_columns_are_filled", NAMES)
    assert not finding.passed
    assert finding.figures == {"check/rows": 23, "check/empty_values": 3}
    assert "of 23 rows: cui in 1, name in 2." in (finding.description or "")


@pytest.mark.parametrize("check", ["key_is_unique", "required_columns_are_filled"])
def test_what_reads_a_missing_column_says_so(backend: Backend, check: str) -> None:
    backend.load(NAMES, ROWS)
    backend.edit("ALTER TABLE medgen.names DROP COLUMN cui")
    assert backend.find(check, NAMES) == Finding(False, "Cannot be judged: names has no cui.")


def test_rows_are_compared_with_the_last_load_of_each_earlier_release(backend: Backend) -> None:
    backend.load(NAMES, ROWS[:3])  # a release loaded twice counts as it was left
    for release in ("2026-01-07", "2026-01-14", "2026-01-21"):
        backend.load(NAMES, ROWS, release)
    figures = {"check/rows": 20, "check/at_least": 18, "check/at_most": 22, "check/releases": 2}
    assert backend.find("row_count_within_history", NAMES) == Finding(True, None, figures)
    backend.load(NAMES, ROWS[:17], "2026-01-28")
    finding = backend.find("row_count_within_history", NAMES)
    assert not finding.passed
    assert finding.figures == {**figures, "check/rows": 17, "check/releases": 3}
    assert "the 3 releases before lead one to expect 18 to 22" in (finding.description or "")


def test_a_load_that_failed_is_no_history(backend: Backend) -> None:
    backend.load(NAMES, ROWS)
    backend.edit("UPDATE medgen_audit.load_run SET status = 'failed'")
    backend.load(NAMES, ROWS[:2], "2026-01-14")
    finding = backend.find("row_count_within_history", NAMES)
    assert finding == Finding(True, "There is no earlier release to compare with.", {"check/rows": 2})


def test_lines_that_were_set_aside_are_shown_also_after_a_load_of_the_difference(backend: Backend) -> None:
    mirror = backend.mirror(NAMES)
    lines = [f"C{number}|name {number}||N|".encode() for number in range(50)]
    mirror.load([*lines, b"too short"])
    assert mirror.load([*lines, b"C99|new||N|", b"too short"], release="2026-01-14").strategy == "snapshot"
    finding = backend.find("no_rejected_rows", NAMES)
    assert not finding.passed
    assert finding.figures["check/rejected_rows"] == 1
    ((line,),) = [finding.figures["check/sample"]]
    assert line["line"] == 52
    assert "set aside: 1." in (finding.description or "")


def test_orphans_are_counted_and_the_most_frequent_shown(backend: Backend) -> None:
    backend.load(NAMES, ROWS)
    backend.load(MERGED, [("C1", "C2"), ("C3", "C90"), ("C4", "C90"), ("C5", "C91"), ("C6", None)])
    finding = backend.find("references_resolve", MERGED)
    assert not finding.passed
    assert finding.description == "Rows whose to_cui is not in names.cui: 3, with 2 different values."
    assert finding.figures == {
        "check/orphans_to_cui": 3,
        "check/sample_to_cui": [{"value": "C90", "rows": 2}, {"value": "C91", "rows": 1}],
    }


def test_references_to_a_table_that_is_not_there_cannot_be_judged(backend: Backend) -> None:
    backend.load(MERGED, [("C1", "C2")])
    assert backend.find("references_resolve", MERGED) == Finding(False, "Cannot be judged: names has no cui.")


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


# Real data


@pytest.mark.real
def test_real_releases_pass_every_check_of_one_table(database: str, tmp_path: Path, real_releases: Path) -> None:
    archive = Archive(tmp_path)
    for release in sorted(real_releases.glob("2*/")):
        for table in (NAMES, table_by_name("mgrel")):
            if not (release / table.file_name).exists():
                continue
            load_table(new_loader(database), table, ReleaseSource(release.as_uri(), archive).fetch(table), archive)
            with new_loader(database) as loader:
                for check in OF_ONE_TABLE:
                    if check.applies(table):
                        finding = check.find(Subject(loader, table))
                        # Four years lie between the last two; the bounds are for weeks.
                        assert finding.passed or (release.name, check.name) == (
                            "2025-09-06",
                            "row_count_within_history",
                        ), (release.name, table.name, finding)
