"""Redshift keeps the contract, as far as the gate can tell; its README says how far that is."""

import os
import runpy
from pathlib import Path

import pytest

from medgen_pipeline.testing import LoaderConformance
from medgen_pipeline_tests.loaders.adoption import AdoptionContract
from medgen_pipeline_tests.loaders.cases import skip_what_others_stand_for
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift

LIVE = Path(__file__).with_name("test_conformance_redshift_live.py")
# Values are compared by PostgreSQL, which keeps the contract without the gate, too.
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


class TestRedshift(LoaderConformance, AdoptionContract):
    @pytest.fixture
    def backend(self, request: pytest.FixtureRequest) -> GatedRedshift:
        skip_what_others_stand_for(request, ALWAYS)
        redshift: GatedRedshift = request.getfixturevalue("redshift")
        return redshift


def test_without_a_cluster_the_live_suite_says_which_variables_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MEDGEN_LIVE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MEDGEN_LIVE_DSN", "redshift://h/d")
    (skip,) = runpy.run_path(str(LIVE))["test_a_live_redshift_keeps_the_contract"].pytestmark
    missing = "MEDGEN_LIVE_S3_BUCKET, MEDGEN_LIVE_AWS_REGION, MEDGEN_LIVE_IAM_ROLE"
    assert (skip.name, skip.kwargs) == ("skip", {"reason": f"no live Redshift: set {missing}"})
