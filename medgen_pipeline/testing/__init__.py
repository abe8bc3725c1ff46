"""The conformance suite: what every loader promises, as tests that a backend's author subclasses. Needs pytest.

    class TestMyWarehouse(LoaderConformance):
        @pytest.fixture
        def backend(self) -> Backend:
            return MyBackend("mywarehouse://...")

``backend`` is what a test needs of a warehouse; ``loads`` are loads by hand and from files; each of the other modules
holds behaviours, one class each. ``EveryBackend`` is what all must keep, ``ByCapability`` what follows from a
capability, and ``LoaderConformance`` both. A test is skipped only for what the loader's capabilities say, or for a
reason that the ``Backend`` gives. docs/extending.md shows an example, and says what later versions may ask.
"""

import pytest

_PARTS = ("auditing", "comparing", "curated", "files", "hanging", "loads", "one_by_one", "processes", "publishing")
for _part in (*_PARTS, "reading", "staging", "validity"):
    pytest.register_assert_rewrite(f"{__name__}.{_part}")

from medgen_pipeline.testing.backend import Backend, Row  # noqa: E402  # the asserts of what follows are rewritten
from medgen_pipeline.testing.conformance import ByCapability, EveryBackend, LoaderConformance  # noqa: E402
from medgen_pipeline.testing.files import Mirror  # noqa: E402
from medgen_pipeline.testing.loads import canonical, compared, load, start_of  # noqa: E402

__all__ = [
    "Backend",
    "ByCapability",
    "EveryBackend",
    "LoaderConformance",
    "Mirror",
    "Row",
    "canonical",
    "compared",
    "load",
    "start_of",
]
