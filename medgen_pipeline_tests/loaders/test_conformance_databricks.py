"""Databricks keeps the contract, as far as the gate can tell; its README says how far that is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medgen_pipeline.testing import LoaderConformance
from medgen_pipeline_tests.dbxgate.backend import GatedDatabricks
from medgen_pipeline_tests.loaders.cases import skip_what_others_stand_for

LIVE = Path(__file__).with_name("test_conformance_databricks_live.py")
# A load through the gate is some fifty statements of half a dozen layers each, and takes as much time as ten on the
# other backends.
ALWAYS = {
    "test_snapshot_and_warehouse_find_the_same_changes": ("medgen_cui_history-repeated", "names-unique"),
    "test_any_releases_give_the_counts_and_the_feed_of_brute_force": ("merged",),
    "test_a_header_that_changes_from_week_to_week_is_read_as_its_own_file_has_it": ("missing at first",),
    "test_production_that_others_have_damaged_is_repaired_by_the_next_load": ("a row without a key", "another type"),
    "test_an_edit_by_hand_is_found_and_the_next_load_compares_all_and_heals_it": ("changes",),
    "test_truth_values_and_days_are_compared_as_such_and_null_is_none_of_them": ("key1",),
    "test_a_load_killed_at_a_step_leaves_all_of_a_release_and_the_next_load_heals": ("half sent", "compared"),
    "test_a_load_killed_while_it_publishes_leaves_the_old_rows_or_the_new_ones": ("0.01",),
    # What a file's lines are, and which gates they close, is the same wherever rows go.
    "test_a_file_in_another_encoding_closes_a_gate_and_changes_nothing": (),
    "test_no_limit_lets_a_file_without_a_row_empty_a_table": (),
    "test_rejected_lines_are_kept_up_to_a_limit_and_all_of_them_counted": (),
    "test_a_reordered_file_changes_nothing": (),
}


class TestDatabricks(LoaderConformance):
    @pytest.fixture
    def backend(self, request: pytest.FixtureRequest) -> GatedDatabricks:
        skip_what_others_stand_for(request, ALWAYS)
        databricks: GatedDatabricks = request.getfixturevalue("databricks")
        databricks.config["lease_seconds"] = 3
        return databricks


def test_the_live_suite_runs_against_whatever_the_environment_names(databricks: GatedDatabricks) -> None:
    """Here the gate; one test shows that the wiring holds."""
    some = "load_ids_grow"
    command = [sys.executable, "-m", "pytest", "-m", "databricks_live", "-k", some, str(LIVE), "-p", "no:cacheprovider"]
    live = {"MEDGEN_LIVE_DATABRICKS_DSN": databricks.dsn}
    done = subprocess.run(command, env={**os.environ, **live}, capture_output=True, text=True, check=False)
    assert re.search(r"\b[1-9]\d* passed, \d+ deselected", done.stdout), done.stdout
    assert databricks.query("SHOW SCHEMAS") == [("default",)]
