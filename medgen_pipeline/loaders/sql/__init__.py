"""The SQL that backends share: what one that speaks SQL starts from, and overrides where it has something better.

``loader`` is the contract; ``session`` the seam to a driver, and ``failures`` what its errors mean; ``names``
relations, types and equality; ``audit`` the load's record; ``compare`` finds the change set; ``guard`` proves what
production holds; ``publish`` applies; ``history`` reads what was; ``query`` fills in the catalog's queries. The
statements keep to what PostgreSQL, Redshift and DuckDB have in common.
docs/extending.md shows how to build on them.
"""

from medgen_pipeline.loaders.sql.audit import SqlAudit
from medgen_pipeline.loaders.sql.loader import SqlNativeLoader
from medgen_pipeline.loaders.sql.names import BaseTableNames, schemas
from medgen_pipeline.loaders.sql.session import Params, SqlSession, Statement

__all__ = ["BaseTableNames", "Params", "SqlAudit", "SqlNativeLoader", "SqlSession", "Statement", "schemas"]
