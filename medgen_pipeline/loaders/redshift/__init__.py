"""The Amazon Redshift backend: S3 parts and COPY, change sets by joins in the cluster, publication in one transaction.

``loader`` is the contract; ``config`` and ``connect`` the settings, TLS and IAM; ``session`` the connections, repeated
transactions and errors; ``lock`` keeps other loads out; ``stage`` (with ``aws``) and ``bulk`` bring rows in;
``dialect`` writes statements; ``names`` has the relations; ``audit`` is the load's record; ``publish`` applies. The
rest is that of ``loaders.sql``. Verified against medgen_pipeline_tests/redgate, whose README says what that proves.
"""

from medgen_pipeline.loaders.redshift.loader import RedshiftNativeLoader

__all__ = ["RedshiftNativeLoader"]
