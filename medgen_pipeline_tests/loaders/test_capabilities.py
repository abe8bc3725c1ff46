"""What a backend says it can do is read by code, and what it says it cannot do is not asked of it."""

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

import duckdb
import pytest

import medgen_pipeline
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderCapabilities, LoaderError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.duckdb import DuckDBNativeLoader
from medgen_pipeline.loaders.duckdb.session import DuckDBSession
from medgen_pipeline.testing import Row, load
from medgen_pipeline.testing.comparing import ComparisonContract
from medgen_pipeline.testing.curated import CuratedContract
from medgen_pipeline.testing.loads import CHANGED_B, NAMES, RELEASES, A, B, compared
from medgen_pipeline.testing.publishing import ColumnsContract, OthersTablesContract, PublicationContract
from medgen_pipeline_tests.loaders.duckdb_backend import DuckDBFile

T = TypeVar("T")


def test_every_capability_is_read_by_code() -> None:
    trees = (ast.parse(path.read_text()) for path in Path(medgen_pipeline.__file__).parent.rglob("*.py"))
    read = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    loaded = {node.attr for node in read if isinstance(node.ctx, ast.Load)}
    assert {field.name for field in fields(LoaderCapabilities)} - loaded == set()


class StrictSession(DuckDBSession):
    """As of a warehouse that takes no DDL in a transaction, as Databricks, and whose DELETE knows no other table."""

    _began = False

    def execute(self, statement: sql.Statement) -> duckdb.DuckDBPyConnection:
        text, _ = self.dialect.render(statement)
        verb = text.split()[0]
        if self._began and verb in {"CREATE", "DROP", "ALTER", "COMMENT", "TRUNCATE"}:
            raise duckdb.NotImplementedException(f"in a transaction: {text}")
        if verb == "DELETE" and " USING " in text:
            raise duckdb.NotImplementedException(text)
        return super().execute(statement)

    def transaction(self, body: Callable[[], T], attempts: int = 5) -> T:
        def inside() -> T:
            self._began = True
            try:
                return body()
            finally:
                self._began = False

        return super().transaction(inside, attempts)


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DuckDBFile:
    says = replace(DuckDBNativeLoader.capabilities, transactional_ddl=False, delete_join="exists")
    monkeypatch.setattr(DuckDBNativeLoader, "capabilities", says)
    monkeypatch.setattr("medgen_pipeline.loaders.duckdb.loader.DuckDBSession", StrictSession)
    return DuckDBFile.of(tmp_path)


class TestWithoutDdlInTransactions:
    """What depends on it: scratch tables, a first load, copies that are deleted, columns that change."""

    curated = CuratedContract.curated
    test_two_loads = (
        ComparisonContract.test_a_first_load_publishes_every_row_and_a_second_one_what_changed_with_its_feed
    )
    test_an_empty_release = ComparisonContract.test_an_empty_release_is_loaded_and_compared
    test_duplicates = ComparisonContract.test_duplicates_of_a_keyless_table_are_counted_one_by_one
    test_a_repeated_key = ComparisonContract.test_an_unproven_key_that_repeats_loses_no_row_and_can_become_unique_again
    test_staged_lines = ComparisonContract.test_staged_lines_are_the_change
    test_staged_copies = ComparisonContract.test_staged_lines_of_a_keyless_table_are_copies
    test_nothing_staged = ComparisonContract.test_an_unchanged_release_stands_in_for_staging_and_comparison
    test_random_releases = ComparisonContract.test_any_releases_give_the_counts_and_the_feed_of_brute_force
    _apply_lines = staticmethod(ComparisonContract._apply_lines)
    test_a_curated_table = CuratedContract.test_a_first_table_is_published_and_a_later_one_changes_it
    test_rows_under_snapshot = CuratedContract.test_under_snapshot_a_query_gives_the_rows_that_go_and_those_that_come
    test_a_growing_scratch = CuratedContract.test_a_scratch_table_grows_until_a_round_adds_nothing
    test_a_scratch_too_large = CuratedContract.test_a_scratch_table_that_grows_too_large_refuses_the_query
    test_a_scratch_in_the_way = CuratedContract.test_a_scratch_table_takes_the_place_of_what_has_its_name
    test_a_failing_query = CuratedContract.test_a_query_that_fails_leaves_staging_and_production_as_they_were
    test_a_number = ColumnsContract.test_a_column_that_becomes_a_number_keeps_what_is_one
    _assert_history = staticmethod(ColumnsContract._assert_history)
    test_a_foreign_table = OthersTablesContract.test_a_table_of_the_users_under_the_same_name_is_not_touched
    test_a_failing_publication = PublicationContract.test_a_publication_that_fails_half_way_changes_nothing


def test_a_first_load_that_died_before_its_rows_were_in_is_made_again(backend: DuckDBFile) -> None:
    with killed_while_publishing(backend, [A, B]) as loader:
        assert loader.last_load(NAMES) is None
    assert backend.run("SELECT COUNT(*) FROM {production}", NAMES) == [(0,)]
    counts = load(backend.new_loader(), NAMES, [A, CHANGED_B], RELEASES[1])
    assert (counts.inserted, counts.baseline) == (2, True)
    said = backend.run("SELECT comment FROM duckdb_tables() WHERE table_name = 'names' AND schema_name = 'main'")
    assert said == [(NAMES.description,)]


def test_a_table_with_rows_is_never_taken_for_what_a_dead_load_left(backend: DuckDBFile) -> None:
    with killed_while_publishing(backend, [A, B]):
        pass
    backend.run("INSERT INTO {production} (cui) VALUES ('mine')", NAMES)
    with pytest.raises(LoaderError, match="no load of it is recorded"):
        load(backend.new_loader(), NAMES, [A, CHANGED_B], RELEASES[1])
    assert backend.run("SELECT cui FROM {production}", NAMES) == [("mine",)]


@contextmanager
def killed_while_publishing(backend: DuckDBFile, rows: list[Row]) -> Iterator[AbstractNativeLoader]:
    """A loader whose first load of ``names`` ended when its table was there, and no row in it."""
    with backend.new_loader() as loader, pytest.MonkeyPatch.context() as patch:
        counts = compared(loader, NAMES, rows)
        patch.setattr(StrictSession, "transaction", die)
        with pytest.raises(KeyboardInterrupt):
            loader.apply_changes(NAMES, counts.mode)
        patch.undo()
        yield loader


def die(*_: object) -> None:
    raise KeyboardInterrupt
