"""The suite's tiers: what every backend must keep, and behaviours that follow from a capability."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from medgen_pipeline.testing.backend import Backend

T = TypeVar("T")
_NEEDS = "needs_capabilities"


def needs(**capabilities: object) -> Callable[[type[T]], type[T]]:
    """Say of a class of tests that it is for backends whose capabilities have these values; others skip it.

    A tuple has several values that will do.
    """

    def mark(tests: type[T]) -> type[T]:
        for name, test in vars(tests).items():
            if name.startswith("test_"):
                setattr(test, _NEEDS, capabilities)
        return tests

    return mark


class Behaviour:
    """One behaviour of the contract, as tests over a ``backend`` fixture that the class that inherits it defines."""

    @pytest.fixture
    def backend(self) -> Backend:
        """An empty warehouse for each test."""
        raise NotImplementedError("define the fixture `backend` in the class that inherits the suite's")

    @pytest.fixture(autouse=True)
    def _capable(self, request: pytest.FixtureRequest, backend: Backend) -> None:
        """Skip what a capability says the backend is not for."""
        capabilities = backend.new_loader().capabilities
        for name, value in getattr(request.function, _NEEDS, {}).items():
            found = getattr(capabilities, name)
            if found not in (value if isinstance(value, tuple) else (value,)):
                pytest.skip(f"{capabilities.backend}: capabilities.{name} is {found}, not {value}")
