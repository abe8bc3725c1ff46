"""The Amazon Redshift backend: S3 parts and COPY, change sets by joins in the cluster, publication in one transaction.

``loader`` is the contract; ``config`` and ``connect`` the settings, TLS and IAM; ``session`` the connections, repeated
transactions and errors; ``lock`` keeps other loads out; ``stage`` and ``bulk`` bring rows in; ``audit`` is the load's
record; ``compare`` finds the change set; ``guard`` proves what production holds; ``publish`` and ``attached`` apply;
``history`` reads what was. Verified against medgen_pipeline_tests/redgate, whose README says what that proves.
"""

from medgen_pipeline.loaders.redshift.loader import RedshiftNativeLoader

__all__ = ["RedshiftNativeLoader"]
