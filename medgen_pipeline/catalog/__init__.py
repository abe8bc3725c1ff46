"""What MedGen is: tables, files, columns, keys, meanings. Pure data, the one source of truth.

Assets, DDL, UI schema, checks, data dictionary and sample release are generated from it; no other module names a
MedGen table or column by hand.
"""

from medgen_pipeline.catalog.model import Column, ColumnType, Framing, Reference, SourceTable, Table
from medgen_pipeline.catalog.tables import TABLES, table_by_name

__all__ = ["TABLES", "Column", "ColumnType", "Framing", "Reference", "SourceTable", "Table", "table_by_name"]
