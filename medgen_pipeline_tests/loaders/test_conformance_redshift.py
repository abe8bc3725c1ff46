"""Redshift keeps the contract, as far as the gate can tell; its README says how far that is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medgen_pipeline.testing import LoaderConformance
from medgen_pipeline_tests.loaders.redshift_support import BUCKET, ROLE, GatedRedshift

LIVE = Path(__file__).with_name("test_conformance_redshift_live.py")


class TestRedshift(LoaderConformance):
    @pytest.fixture
    def backend(self, redshift: GatedRedshift) -> GatedRedshift:
        return redshift


def test_the_live_suite_runs_against_whatever_the_environment_names(redshift: GatedRedshift) -> None:
    """Here the gate; a few tests show that the wiring holds."""
    some = "awkward_text or swapped_values or killed_at_a_step"
    live = {
        "MEDGEN_LIVE_DSN": redshift.dsn,
        "MEDGEN_LIVE_S3_BUCKET": BUCKET,
        "MEDGEN_LIVE_AWS_REGION": "us-east-1",
        "MEDGEN_LIVE_IAM_ROLE": ROLE,
    }
    command = [sys.executable, "-m", "pytest", "-m", "redshift_live", "-k", some, str(LIVE), "-p", "no:cacheprovider"]
    done = subprocess.run(command, env={**os.environ, **live}, capture_output=True, text=True, check=False)
    assert re.search(r"\b8 passed, \d+ deselected", done.stdout), done.stdout
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
