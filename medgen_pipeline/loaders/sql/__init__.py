"""The SQL that backends share: what one that speaks SQL starts from, and overrides where it has something better.

``reader`` and ``loader`` are the contract; ``session`` the seam to a driver, ``dbapi`` one over DB-API 2.0, and
``failures`` what errors mean; ``names`` the relations of one table; ``audit`` the load's record, ``audit_tables`` where
it is kept; ``compare`` finds the change set; ``guard`` proves what production holds; ``publish`` applies, and
``one_by_one`` where no transaction covers several tables; ``history`` reads what was, ``validity`` is the view of it,
``reading`` gives rows out; ``query`` fills in the catalog's queries. Where warehouses have
other words for the same, a statement has its dialect's (``loaders.dialect``).
docs/extending.md shows how to build on them.
"""

from medgen_pipeline.loaders.sql.audit import SqlAudit
from medgen_pipeline.loaders.sql.dbapi import DbApiSession
from medgen_pipeline.loaders.sql.loader import SqlNativeLoader
from medgen_pipeline.loaders.sql.names import TableNames, schemas
from medgen_pipeline.loaders.sql.session import SqlSession

__all__ = ["DbApiSession", "SqlAudit", "SqlNativeLoader", "SqlSession", "TableNames", "schemas"]
