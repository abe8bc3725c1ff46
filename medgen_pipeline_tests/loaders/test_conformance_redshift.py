"""Redshift keeps the contract, as far as the gate can tell; its README says how far that is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medgen_pipeline.testing import LoaderConformance
from medgen_pipeline_tests.loaders.adoption import AdoptionContract
from medgen_pipeline_tests.loaders.cases import skip_what_others_stand_for
from medgen_pipeline_tests.loaders.redshift_support import BUCKET, ROLE, GatedRedshift

LIVE = Path(__file__).with_name("test_conformance_redshift_live.py")
# Values are compared by PostgreSQL, which keeps the contract without the gate, too.
ALWAYS = {
    "test_snapshot_and_warehouse_find_the_same_changes": ("repeated-medgen_cui_history", "unique-names"),
    "test_any_releases_give_the_counts_and_the_feed_of_brute_force": ("1-merged", "2-medgen_cui_history"),
    "test_a_header_that_changes_from_week_to_week_is_read_as_its_own_file_has_it": ("moved",),
    "test_production_that_others_have_damaged_is_repaired_by_the_next_load": ("another file",),
    "test_a_table_edited_by_hand_is_compared_whole_and_healed": ("True-0", "False-3"),
    "test_values_that_look_alike_are_not_equal": ("a-a ", "None-\\\\N"),
    "test_a_load_killed_while_it_publishes_leaves_the_old_rows_or_the_new_ones": ("0.01",),
    "test_an_edit_between_comparison_and_apply_is_noticed": ("0", "4"),
}


class TestRedshift(LoaderConformance, AdoptionContract):
    @pytest.fixture
    def backend(self, request: pytest.FixtureRequest) -> GatedRedshift:
        skip_what_others_stand_for(request, ALWAYS)
        redshift: GatedRedshift = request.getfixturevalue("redshift")
        return redshift


def test_the_live_suite_runs_against_whatever_the_environment_names(redshift: GatedRedshift) -> None:
    """Here the gate; a few tests show that the wiring holds."""
    some = "awkward_text or swapped_values or (killed_at_a_step and published)"
    live = {
        "MEDGEN_LIVE_DSN": redshift.dsn,
        "MEDGEN_LIVE_S3_BUCKET": BUCKET,
        "MEDGEN_LIVE_AWS_REGION": "us-east-1",
        "MEDGEN_LIVE_IAM_ROLE": ROLE,
    }
    command = [sys.executable, "-m", "pytest", "-m", "redshift_live", "-k", some, str(LIVE), "-p", "no:cacheprovider"]
    done = subprocess.run(command, env={**os.environ, **live}, capture_output=True, text=True, check=False)
    assert re.search(r"\b3 passed, \d+ deselected", done.stdout), done.stdout
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'medgen%%'"
    assert redshift.direct(schemas) == [(0,)]


def test_without_a_cluster_the_live_suite_says_which_variables_are_missing() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEDGEN_LIVE_")}
    command = [sys.executable, "-m", "pytest", "-m", "redshift_live", str(LIVE), "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, env={**clean, "MEDGEN_LIVE_DSN": "redshift://h/d"}, capture_output=True, text=True, check=True
    )
    assert "1 skipped" in done.stdout
    assert "set MEDGEN_LIVE_S3_BUCKET, MEDGEN_LIVE_AWS_REGION, MEDGEN_LIVE_IAM_ROLE" in done.stdout
