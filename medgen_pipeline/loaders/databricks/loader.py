"""The contract's methods for Databricks: which step of a load uses which module of this package."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.databricks.audit import DatabricksAudit
from medgen_pipeline.loaders.databricks.config import CAPABILITIES, DatabricksConfig
from medgen_pipeline.loaders.databricks.lock import Leases
from medgen_pipeline.loaders.databricks.session import Answer, DatabricksSession
from medgen_pipeline.loaders.databricks.volume import Volume
from medgen_pipeline.loaders.records import LoaderError, Strategy
from medgen_pipeline.loaders.sql.guard import Content
from medgen_pipeline.loaders.sql.loader import SqlNativeLoader
from medgen_pipeline.loaders.sql.names import schemas
from medgen_pipeline.loaders.sql.publish import require_published

if TYPE_CHECKING:
    import pyarrow as pa


class DatabricksNativeLoader(SqlNativeLoader[Answer]):
    """Loads into a Databricks SQL warehouse, through a volume of Unity Catalog."""

    capabilities: ClassVar[LoaderCapabilities] = CAPABILITIES
    scheme: ClassVar[str] = "databricks"
    _session: DatabricksSession
    _audit: DatabricksAudit

    def __init__(self, db_dsn: str, config: DatabricksConfig) -> None:
        """Remember where to connect; nothing is opened."""
        session = DatabricksSession(db_dsn, config)
        self._leases = Leases(session)
        self._volume = Volume(session)
        super().__init__(session, DatabricksAudit(session, self._leases.wait_for_turn))
        session.before_work = self._leases.require

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """See the base class; ``config`` is that of ``DatabricksConfig``."""
        return cls(db_dsn, DatabricksConfig.from_mapping(config))

    def close(self) -> None:
        super().close()
        self._leases.release()

    def cancel(self) -> None:
        """See the base class. The lock is a lease and stays."""
        self._session.cancel()

    def _prepare(self) -> None:
        super()._prepare()
        staging = schemas(self._session.schema).staging
        with self._session.errors("creating the volume"):
            known = sql.SQL("SELECT 1 FROM information_schema.volumes WHERE volume_schema = {} AND volume_name = {}")
            if self._session.execute(known.format(staging, self._session.config.volume)).fetchone() is None:
                volume = sql.Identifier(staging, self._session.config.volume)
                self._session.execute(sql.SQL("CREATE VOLUME IF NOT EXISTS {}").format(volume))

    def _take_lock(self, table: Table) -> None:
        self._leases.take(table)

    # --- staging -------------------------------------------------------------------------------------------------

    def initialize_staging(self, table: Table, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        """See the base class; also removes from the volume what dead loads of this table left there."""
        super().initialize_staging(table, strategy)
        self._volume.sweep(table.name)

    def bulk_load(self, table_name: str, data_iterator: Iterator["pa.RecordBatch"]) -> int:
        """See the base class. What was sent is removed from the volume, whatever happens."""
        staging = sql.Identifier(schemas(self._session.schema).staging, table_name)
        with self._session.errors(f"emptying the staging table of {table_name}"):
            self._session.execute(sql.SQL("DELETE FROM {}").format(staging))
        sent = self._volume.load(table_name, data_iterator, staging)
        with self._session.errors(f"counting the staged rows of {table_name}"):
            ((held,),) = self._session.execute(sql.SQL("SELECT COUNT(*) FROM {}").format(staging)).fetchall()
            if held != sent:
                self._session.execute(sql.SQL("DELETE FROM {}").format(staging))
                raise LoaderError(f"{table_name}: sent {sent:,} rows, Databricks holds {held:,}; nothing was kept.")
        return sent

    # --- publication ---------------------------------------------------------------------------------------------

    def _in_one_transaction(self, body: Callable[[], None]) -> None:
        """See the base class. A COMMIT whose answer was lost is settled by the audit, when all is tried again."""

        def publish() -> None:
            if not self._audit.is_published(self._load.load_id):
                body()

        with self._leases.turn():
            self._session.transaction(publish)

    def _publish_first(self, table: Table) -> None:
        super()._publish_first(table)
        _, found = self._begun(table)
        require_published(self._session, self._names(table), Content(found.counts.rows_after, found.checksum_after))
