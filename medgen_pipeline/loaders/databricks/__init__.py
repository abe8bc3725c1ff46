"""Databricks: Parquet parts through a volume, COPY INTO, transactions over several tables.

``loader`` is the contract; ``config`` the settings; ``connect`` the DSN and how to log in; ``session`` statements and
transactions, and ``failures`` what their errors mean; ``dialect`` its words; ``lock`` leases on tables; ``audit`` the
record of loads; ``volume`` rows on their way.
"""

from medgen_pipeline.loaders.databricks.loader import DatabricksNativeLoader

__all__ = ["DatabricksNativeLoader"]
