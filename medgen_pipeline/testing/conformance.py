"""The whole suite. A backend's author subclasses ``LoaderConformance`` and gives it a ``backend``."""

import pytest

from medgen_pipeline.testing.auditing import AuditContract, HistoryContract, QueryContract
from medgen_pipeline.testing.backend import Backend
from medgen_pipeline.testing.comparing import ComparisonContract
from medgen_pipeline.testing.curated import CuratedContract
from medgen_pipeline.testing.files import FilesContract
from medgen_pipeline.testing.hanging import HangingContract
from medgen_pipeline.testing.processes import ConcurrencyContract, InterruptionContract
from medgen_pipeline.testing.publishing import PublicationContract
from medgen_pipeline.testing.staging import StagingContract


class LoaderConformance(
    StagingContract,
    ComparisonContract,
    PublicationContract,
    AuditContract,
    HistoryContract,
    QueryContract,
    CuratedContract,
    ConcurrencyContract,
    InterruptionContract,
    HangingContract,
    FilesContract,
):
    """Every invariant of ``AbstractNativeLoader``, over a ``backend`` fixture that the subclass defines."""

    @pytest.fixture
    def backend(self) -> Backend:
        """An empty warehouse for each test."""
        raise NotImplementedError("define the fixture `backend` in the class that subclasses LoaderConformance")
