"""The DuckDB backend: one file, opened by one process at a time; rows go in and out as Arrow.

``loader`` is the contract; ``config`` its settings; ``session`` the connections, the wait for the file and errors;
``dialect`` writes statements. The tables are in the file's own schema, ``main``, beside which a schema ``medgen`` could
not be told from the database of a file named so. Verified on DuckDB 2.0.
"""

from medgen_pipeline.loaders.duckdb.loader import DuckDBNativeLoader

__all__ = ["DuckDBNativeLoader"]
