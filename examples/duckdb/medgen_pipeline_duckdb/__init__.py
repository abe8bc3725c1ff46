"""DuckDB as a warehouse of medgen_pipeline. ``MEDGEN_DSN=duckdb:///path/to/file.duckdb`` is all a user sets.

``loader`` is the contract, ``session`` the connections, ``dialect`` its words; the rest is medgen_pipeline's.
"""

from medgen_pipeline_duckdb.loader import DuckDBNativeLoader

__all__ = ["DuckDBNativeLoader"]
