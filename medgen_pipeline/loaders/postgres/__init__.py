"""The PostgreSQL backend: COPY FROM STDIN, change sets by joins inside the server, publication in one transaction.

``loader`` is the contract; ``session`` the connections, locks and errors; ``audit`` the load's record; ``compare``
finds the change set; ``guard`` proves who wrote production; ``publish`` applies;
``history`` reads what was. Verified on PostgreSQL 15 and 18;
needs 14 or later for ``hash_record_extended``.
"""

from medgen_pipeline.loaders.postgres.loader import PostgresNativeLoader

__all__ = ["PostgresNativeLoader"]
