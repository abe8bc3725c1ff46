"""The native loader contract, its backends, and the factory that picks one by DSN.

A backend is one package here. It knows the catalog's types, and neither Dagster nor the network NCBI's files come from.
"""

from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.contract import AbstractNativeLoader
from medgen_pipeline.loaders.dialect import Dialect
from medgen_pipeline.loaders.factory import LoaderFactory
from medgen_pipeline.loaders.records import (
    ApplyMode,
    ChangeCounts,
    ChangeType,
    Drift,
    FoundColumn,
    LoadDetail,
    LoaderError,
    LoadRecord,
    LoadStart,
    LoadStatus,
    LostConnectionError,
    ProductionChangedError,
    Strategy,
    TableBusyError,
    TooMuchAffectedError,
    UnknownTableError,
    WarehouseBusyError,
)

__all__ = [
    "AbstractNativeLoader",
    "ApplyMode",
    "ChangeCounts",
    "ChangeType",
    "Dialect",
    "Drift",
    "FoundColumn",
    "LoadDetail",
    "LoadRecord",
    "LoadStart",
    "LoadStatus",
    "LoaderCapabilities",
    "LoaderError",
    "LoaderFactory",
    "LostConnectionError",
    "ProductionChangedError",
    "Strategy",
    "TableBusyError",
    "TooMuchAffectedError",
    "UnknownTableError",
    "WarehouseBusyError",
]
