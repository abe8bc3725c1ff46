"""Tables as files: a folder of Parquet, local or in S3, with a data dictionary, or one DuckDB file."""

from medgen_pipeline.access.export.errors import ExportError
from medgen_pipeline.access.export.export import export, form_of
from medgen_pipeline.access.export.held import Export

__all__ = ["Export", "ExportError", "export", "form_of"]
