"""MedGen's tables and what is made from them alone: all that an instance without siblings has."""

from medgen_pipeline.catalog import CURATED_TABLES as ALL_CURATED
from medgen_pipeline.catalog import sources_behind
from medgen_pipeline.catalog.sources.medgen import MEDGEN, TABLES

CURATED_TABLES = tuple(table for table in ALL_CURATED if sources_behind(table) == {MEDGEN})

__all__ = ["CURATED_TABLES", "TABLES"]
