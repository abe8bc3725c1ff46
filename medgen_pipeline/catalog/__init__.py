"""What MedGen is: tables, files, columns, keys, meanings. Pure data, the one source of truth.

Assets, DDL, UI schema, checks and data dictionary are made from it. Outside it only the demo and the conformance suite
name tables of MedGen's: the sample release gives each its rows, the suite needs some of every kind.
"""

from medgen_pipeline.catalog.curated import ALL_TABLES, CURATED_TABLES, any_table_by_name, rows_ahead, upstream_of
from medgen_pipeline.catalog.model import (
    Column,
    ColumnType,
    CuratedTable,
    Framing,
    Metric,
    Reference,
    SourceTable,
    Table,
)
from medgen_pipeline.catalog.query import Query
from medgen_pipeline.catalog.sources.medgen import TABLES, table_by_name

__all__ = [
    "ALL_TABLES",
    "CURATED_TABLES",
    "TABLES",
    "Column",
    "ColumnType",
    "CuratedTable",
    "Framing",
    "Metric",
    "Query",
    "Reference",
    "SourceTable",
    "Table",
    "any_table_by_name",
    "rows_ahead",
    "table_by_name",
    "upstream_of",
]
