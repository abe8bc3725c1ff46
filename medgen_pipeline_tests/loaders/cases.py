"""Which cases of the contract run on backends whose loads take long: through a gate, and on DuckDB.

PostgreSQL, which the contract is held against by itself, has them all. Of tests that repeat one behaviour on other
tables or values, some cases stand for all of them there.
"""

import os
from collections.abc import Mapping

import pytest

THOROUGH = "MEDGEN_TEST_THOROUGH"
THOROUGHLY = bool(os.environ.get(THOROUGH))
"""Whether the cases run that others stand for, here and in other tests whose repetitions are expensive."""


def skip_what_others_stand_for(request: pytest.FixtureRequest, kept: Mapping[str, tuple[str, ...]]) -> None:
    """Skip the test's case unless it is kept, by a part of its id, or the environment asks for all of them."""
    name, _, case = request.node.name.partition("[")
    if not THOROUGHLY and not any(part in case for part in kept.get(name, [case])):
        pytest.skip(f"a case of a test that others stand for: set {THOROUGH}")
