"""For scripts and notebooks: the tables of the warehouse that the environment names. Needs no Dagster."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medgen_pipeline.access.read import read
from medgen_pipeline.catalog import any_table_by_name
from medgen_pipeline.errors import PermanentError
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderFactory
from medgen_pipeline.settings import Settings
from medgen_pipeline.urls import scheme_of

if TYPE_CHECKING:
    import pyarrow as pa

# What the environment has for one kind of warehouse alone, by the scheme of its DSN.
_FURTHER = {"redshift": ("s3_bucket", "s3_prefix", "aws_region", "iam_role")}


class Warehouse:
    """A warehouse to read. Nothing is opened until something is read."""

    def __init__(self, settings: Settings, options: Mapping[str, Any]) -> None:
        """Remember where it is."""
        self._settings = settings
        self._options = options

    def read(
        self,
        table: str,
        columns: Sequence[str] = (),
        where: Mapping[str, Any] | None = None,
        release: str | None = None,
    ) -> "pa.RecordBatchReader":
        """A stream of a table's rows as Arrow record batches, in constant memory.

        Args:
            table: Its name, such as ``concept``.
            columns: Those of its columns to read, in this order; none: all.
            where: What columns must hold: a value, or one of several in a list; None is NULL.
            release: As the table was after the last load of this release; None: as it is.

        Raises:
            LookupError: There is no such table.
            MedgenError: The warehouse cannot be reached, or has no such table, column or release.
        """
        return read(self._loader, any_table_by_name(table), columns, where, release)

    def _loader(self) -> AbstractNativeLoader:
        settings = self._settings
        dsn = settings.dsn or self._embedded()
        further = _FURTHER.get(scheme_of(dsn).partition("+")[0], ())
        config = {"schema": settings.warehouse_schema, **{name: getattr(settings, name) for name in further}}
        return LoaderFactory.create_loader(dsn, {**config, **self._options})

    def _embedded(self) -> str:
        from medgen_pipeline.demo.embedded_postgres import EmbeddedPostgres  # needs POSIX

        server = EmbeddedPostgres.of(self._settings)
        if not server.exists:
            raise PermanentError(
                f"No data to read: MEDGEN_DSN is not set, and there is no embedded PostgreSQL in {server.location}. "
                "Set MEDGEN_DSN or MEDGEN_HOME to where the tables are, or load them first."
            )
        return server.ensure_running()


def connect(dsn: str = "", schema: str = "", **options: Any) -> Warehouse:
    """A warehouse to read: the one that MEDGEN_DSN and MEDGEN_SCHEMA name, or else the embedded PostgreSQL.

    Args:
        dsn: Instead of MEDGEN_DSN.
        schema: Instead of MEDGEN_SCHEMA.
        options: Further settings of the backend, by name.
    """
    given: dict[str, Any] = {name: value for name, value in (("dsn", dsn), ("warehouse_schema", schema)) if value}
    return Warehouse(Settings.read(**given), options)
