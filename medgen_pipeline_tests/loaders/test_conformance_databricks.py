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
    "test_snapshot_and_warehouse_find_the_same_changes": ("repeated-medgen_cui_history", "unique-names"),
    "test_any_releases_give_the_counts_and_the_feed_of_brute_force": ("1-merged",),
    "test_a_header_that_changes_from_week_to_week_is_read_as_its_own_file_has_it": ("moved",),
    "test_production_that_others_have_damaged_is_repaired_by_the_next_load": ("another file",),
    "test_values_that_look_alike_are_not_equal": ("a-a ", "None-\\\\N"),
    "test_a_load_killed_while_it_publishes_leaves_the_old_rows_or_the_new_ones": ("0.01",),
    "test_an_edit_between_comparison_and_apply_is_noticed": ("0", "4"),
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
    some = "awkward_text"
    command = [sys.executable, "-m", "pytest", "-m", "databricks_live", "-k", some, str(LIVE), "-p", "no:cacheprovider"]
    live = {"MEDGEN_LIVE_DATABRICKS_DSN": databricks.dsn}
    done = subprocess.run(command, env={**os.environ, **live}, capture_output=True, text=True, check=False)
    assert re.search(r"\b[1-9]\d* passed, \d+ deselected", done.stdout), done.stdout
    assert databricks.query("SHOW SCHEMAS") == [("default",)]


def test_without_a_workspace_the_live_suite_says_which_variable_is_missing() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEDGEN_LIVE_")}
    command = [sys.executable, "-m", "pytest", "-m", "databricks_live", str(LIVE), "-p", "no:cacheprovider"]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=True)
    assert "1 skipped" in done.stdout
    assert "set MEDGEN_LIVE_DATABRICKS_DSN" in done.stdout
