"""Loads under fire: killed, interrupted, raced, read from and edited at every point."""

import pytest

pytest.register_assert_rewrite("medgen_pipeline_tests.faults.support")
