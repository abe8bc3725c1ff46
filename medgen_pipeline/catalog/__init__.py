"""What NCBI publishes, MedGen and its siblings: sources, tables, files, columns, keys, meanings. Pure data.

The one source of truth: assets, DDL, UI schema, checks and data dictionary are made from it. Outside it the sample
release names tables of NCBI's, to give each its rows, the conformance suite, which needs some of every kind, and the
report of a release.
"""

from medgen_pipeline.catalog.curated import (
    ALL_TABLES,
    CURATED_TABLES,
    any_table_by_name,
    rows_ahead,
    sources_behind,
    upstream_of,
)
from medgen_pipeline.catalog.curated_table import CuratedTable, Metric
from medgen_pipeline.catalog.model import Column, ColumnType, Framing, Licence, Reference, Source, SourceTable, Table
from medgen_pipeline.catalog.query import Query
from medgen_pipeline.catalog.sources import SOURCES, TABLES, source_by_name, table_by_name, tables_of

__all__ = [
    "ALL_TABLES",
    "CURATED_TABLES",
    "SOURCES",
    "TABLES",
    "Column",
    "ColumnType",
    "CuratedTable",
    "Framing",
    "Licence",
    "Metric",
    "Query",
    "Reference",
    "Source",
    "SourceTable",
    "Table",
    "any_table_by_name",
    "rows_ahead",
    "source_by_name",
    "sources_behind",
    "table_by_name",
    "tables_of",
    "upstream_of",
]
