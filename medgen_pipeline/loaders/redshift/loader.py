"""The contract's methods for Redshift: which step of a load uses which module of this package."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Self

import psycopg

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.records import ApplyMode, LoaderError, LoadStart, Strategy, new_load_id
from medgen_pipeline.loaders.redshift import bulk, publish
from medgen_pipeline.loaders.redshift.audit import RedshiftAudit
from medgen_pipeline.loaders.redshift.aws import aws_errors, client
from medgen_pipeline.loaders.redshift.config import CAPABILITIES, RedshiftConfig
from medgen_pipeline.loaders.redshift.lock import TableLock
from medgen_pipeline.loaders.redshift.names import TableNames
from medgen_pipeline.loaders.redshift.session import RedshiftSession
from medgen_pipeline.loaders.redshift.stage import Stage
from medgen_pipeline.loaders.sql.loader import SqlNativeLoader
from medgen_pipeline.loaders.sql.names import schemas

# A connection that was silent for longer may have been forgotten by a firewall on its way.
_STALE_SECONDS = 60.0
# How long a scratch table may be waited for that somebody reads.
_MOST_WAITING_SECONDS = 60.0


class RedshiftNativeLoader(SqlNativeLoader[psycopg.Cursor[Any]]):
    """Loads into Amazon Redshift, provisioned or serverless, through S3."""

    capabilities: ClassVar[LoaderCapabilities] = CAPABILITIES
    scheme: ClassVar[str] = "redshift"
    _session: RedshiftSession
    _audit: RedshiftAudit

    def __init__(
        self, db_dsn: str, config: RedshiftConfig, s3_client: Callable[[], Any] | None = None
    ) -> None:  # boto3 has no types
        """Remember where to connect; nothing is opened.

        Args:
            db_dsn: Where the cluster is.
            config: The settings.
            s3_client: Makes the client that rows are sent with; None: as every other AWS client is made.
        """
        session = RedshiftSession(db_dsn, config)
        super().__init__(session, RedshiftAudit(session))
        self._config = config
        self._lock = TableLock(session)
        self._new_s3 = s3_client or partial(client, "s3", config)
        self._s3: Any = None

    @classmethod
    def from_dsn(cls, db_dsn: str, config: Mapping[str, Any]) -> Self:
        """See the base class; ``config`` is that of ``RedshiftConfig``, and may bring an ``s3_client``."""
        settings = dict(config)
        s3_client = settings.pop("s3_client", None)
        return cls(db_dsn, RedshiftConfig.from_mapping(settings), s3_client)

    def close(self) -> None:
        super().close()
        self._lock.release()
        if self._s3 is not None:
            self._s3.close()
            self._s3 = None

    def cancel(self) -> None:
        """See the base class. The table's lock is on a connection of its own and stays."""
        self._session.cancel()
        try:
            self._lock.keep()
        except BaseException:
            self.close()
            raise

    def log_run_start(self, start: LoadStart) -> int:
        """See the base class; refused where it is not known through which bucket rows are to go."""
        names = {"s3_bucket": "MEDGEN_S3_BUCKET", "aws_region": "MEDGEN_AWS_REGION"}
        if missing := [f"{name} ({variable})" for name, variable in names.items() if not getattr(self._config, name)]:
            raise LoaderError(
                f"Redshift loader: set {' and '.join(missing)}. A load sends its rows through S3; reading needs none."
            )
        return super().log_run_start(start)

    def _take_lock(self, table: Table) -> None:
        self._lock.take(table)

    # --- staging -------------------------------------------------------------------------------------------------

    def initialize_staging(self, table: Table, strategy: Strategy = Strategy.WAREHOUSE) -> None:
        """See the base class; also removes from S3 what dead loads of this table left there."""
        with (
            self._session.errors(f"creating the staging table of {table.name}"),
            self._session.waiting_at_most(_MOST_WAITING_SECONDS),
        ):
            super().initialize_staging(table, strategy)
        ended = self._audit.ended_loads(table.name)
        with self._stage(table.name) as stage:
            stage.sweep(ended)

    def bulk_load(self, table_name: str, data_iterator: Iterator[bytes]) -> int:
        """See the base class. What was uploaded is removed from S3, whatever happens."""
        staging = sql.Identifier(schemas(self._config.schema).staging, table_name)
        started = time.monotonic()
        with self._session.errors(f"emptying the staging table of {table_name}"):
            self._session.execute(sql.SQL("DELETE FROM {}").format(staging))
        with self._stage(table_name) as stage:
            uploaded = stage.upload(data_iterator)
            with self._session.errors(f"COPY into the staging table of {table_name}"):
                if time.monotonic() - started > _STALE_SECONDS:
                    self._session.close()
                    self._session.open()
                return bulk.copy(self._session, table_name, staging, uploaded)

    def cleanup(self, table: Table) -> None:
        with (
            self._session.errors(f"cleaning up the staging of {table.name}"),
            self._session.waiting_at_most(_MOST_WAITING_SECONDS),
        ):
            super().cleanup(table)

    def _stage(self, table_name: str) -> Stage:
        # boto3 parses a megabyte of JSON to make a client, so a load makes one.
        if self._s3 is None:
            with aws_errors("creating a client for s3"):
                self._s3 = self._new_s3()
        return Stage(self._s3, self._config, table_name, self._load.load_id or new_load_id(None))

    # --- publication ---------------------------------------------------------------------------------------------

    def _before_publishing(self, table: Table, mode: ApplyMode) -> None:
        names, (_, found) = self._names(table), self._begun(table)
        if mode is ApplyMode.DELTA:
            publish.widen(self._session, names)
        if mode is ApplyMode.FIRST:
            publish.prepare_new_table(self._session, names, found)
        super()._before_publishing(table, mode)

    def _in_one_transaction(self, body: Callable[[], None]) -> None:
        publish.in_one_transaction(self._session, self._audit, self._load.load_id, body)

    def _publish_first(self, table: Table) -> None:
        publish.publish_first(self._session, self._names(table))

    def _names(self, table: Table) -> TableNames:
        return TableNames(self._config.schema, table)
