"""The PostgreSQL backend: COPY FROM STDIN, change sets by joins inside the server, publication in one transaction.

``loader`` is the contract; ``config`` its settings; ``session`` the connections, locks and errors, which ``failures``
explains; ``pooler`` finds a pool that cannot work; ``query_stage`` runs a curated table's query; ``dialect`` writes
statements; ``names`` has relations and indexes; ``audit`` is the load's record; ``compare`` finds the change set;
``guard`` proves who wrote production; ``publish`` applies; ``history`` reads what was; ``arrow`` gives rows out.
Verified on PostgreSQL 15 and 18; needs 14 or later, whose hash_record_extended tells whether two rows are the same.
"""

from medgen_pipeline.loaders.postgres.loader import PostgresNativeLoader

__all__ = ["PostgresNativeLoader"]
