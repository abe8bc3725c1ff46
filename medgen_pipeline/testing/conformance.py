"""The whole suite. A backend's author subclasses ``LoaderConformance`` and gives it a ``backend``."""

from medgen_pipeline.testing.auditing import AuditContract, HistoryContract, QueryContract
from medgen_pipeline.testing.comparing import ComparisonContract
from medgen_pipeline.testing.curated import CuratedContract, NoCuratedContract
from medgen_pipeline.testing.files import FilesContract, RepairContract, TextWidthContract
from medgen_pipeline.testing.hanging import HangingContract
from medgen_pipeline.testing.one_by_one import OneByOneContract
from medgen_pipeline.testing.processes import ConcurrencyContract, InterruptionContract
from medgen_pipeline.testing.publishing import (
    ColumnsContract,
    ConnectionContract,
    OthersTablesContract,
    PublicationContract,
    TransactionContract,
)
from medgen_pipeline.testing.reading import ReadContract
from medgen_pipeline.testing.staging import StagingContract
from medgen_pipeline.testing.validity import ValidityContract


class EveryBackend(
    StagingContract,
    ComparisonContract,
    PublicationContract,
    ColumnsContract,
    OthersTablesContract,
    AuditContract,
    HistoryContract,
    QueryContract,
    ReadContract,
    ConcurrencyContract,
    InterruptionContract,
    HangingContract,
    ConnectionContract,
    FilesContract,
    RepairContract,
):
    """What every backend must keep, whatever it is like."""


class ByCapability(
    TransactionContract,
    OneByOneContract,
    CuratedContract,
    NoCuratedContract,
    TextWidthContract,
    ValidityContract,
):
    """What follows from a capability, and is skipped by those that have it not."""


class LoaderConformance(EveryBackend, ByCapability):
    """Every invariant of ``AbstractNativeLoader``, over a ``backend`` fixture that the subclass defines."""
