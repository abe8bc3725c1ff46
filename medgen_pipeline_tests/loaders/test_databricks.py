"""What is Databricks' own: the DSN and its secrets, what is sent twice, leases, and loads of several tables at once."""

import threading
import time
from collections import Counter
from functools import partial

import pytest

from medgen_pipeline.errors import TransientError
from medgen_pipeline.loaders import (
    DatabricksNativeLoader,
    LoaderError,
    LoaderFactory,
    LostConnectionError,
    TableBusyError,
    WarehouseBusyError,
)
from medgen_pipeline.testing import load
from medgen_pipeline.testing.loads import (
    CHANGED_B,
    HISTORY,
    MERGED,
    MONDO,
    NAMES,
    PUBMED,
    RELEASES,
    A,
    B,
    C,
    D,
    compared,
    start_of,
    undone,
)
from medgen_pipeline_tests.dbxgate.backend import GatedDatabricks
