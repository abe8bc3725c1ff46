"""Where the tables are, as config: a target inherits the settings of its backend, and makes a loader of them.

A backend that another package brings is a ``DatabaseTarget``, whose DSN picks the loader.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from medgen_pipeline.errors import missing_extra
from medgen_pipeline.home import home_directory
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderCapabilities, LoaderError, LoaderFactory
from medgen_pipeline.loaders.config import DEFAULT_SCHEMA, LoaderConfig, settings_of
from medgen_pipeline.loaders.databricks.config import DatabricksConfig
from medgen_pipeline.loaders.duckdb.config import DuckDBConfig
from medgen_pipeline.loaders.postgres.config import PostgresConfig
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.settings import Settings


def _create_loader(dsn: str, config: Mapping[str, Any]) -> AbstractNativeLoader:
    """A loader; unusable config is a permanent error of the run."""
    try:
        return LoaderFactory.create_loader(dsn, config)
    except ValueError as error:
        raise LoaderError(str(error)) from error


def _dsn(form: str) -> Any:
    return Field(
        repr=False,
        description=f"{form}. Pass it as an environment variable.",
        json_schema_extra={"dagster__is_secret": True},
    )


class _ByDsn(LoaderConfig, dg.Config):
    """A target whose loader takes its settings and its DSN as they are."""

    dsn: str

    def loader(self) -> AbstractNativeLoader:
        """A loader for the database."""
        return _create_loader(self.dsn, self.model_dump(by_alias=True, exclude={"kind", "dsn"}))


class EmbeddedTarget(PostgresConfig, dg.Config):
    """A PostgreSQL that the package starts by itself. For one machine and a first look."""

    kind: Literal["embedded"] = "embedded"
    home: str = Field(default="", description="Its directory is in this one; empty: .medgen in the working directory.")
    binaries: str = Field(default="", description="Folder of PostgreSQL's programs; empty: those of a Python package.")
    user: str = Field(default="nobody", description="User it runs as when root starts it.")

    def loader(self) -> AbstractNativeLoader:
        """A loader for the embedded server, which is started if it does not run."""
        # Imported here: it needs POSIX. The extra `local` is asked for where its programs are started.
        from medgen_pipeline.demo.embedded_postgres import EmbeddedPostgres

        server = EmbeddedPostgres(home_directory(self.home) / "postgres", binaries=self.binaries, user=self.user)
        return _create_loader(server.ensure_running(), settings_of(PostgresConfig, self))


class PostgresTarget(PostgresConfig, _ByDsn):
    """A PostgreSQL of the user's own."""

    kind: Literal["postgres"] = "postgres"
    dsn: str = _dsn("postgresql://USER:PASSWORD@HOST/DATABASE")


class RedshiftTarget(RedshiftConfig, dg.Config):
    """An Amazon Redshift cluster or serverless workgroup, which takes its rows from S3."""

    kind: Literal["redshift"] = "redshift"
    dsn: str = _dsn("redshift://USER:PASSWORD@HOST:5439/DATABASE")

    def loader(self) -> AbstractNativeLoader:
        """A loader for the cluster. It reaches S3 as every other use of S3 from Dagster does.

        boto3's own rules find credentials and ``AWS_ENDPOINT_URL``.
        """
        try:
            from dagster_aws.s3 import S3Resource
        except ImportError as error:
            raise LoaderError(missing_extra("Redshift", "dagster-aws", "redshift")) from error
        s3 = S3Resource(region_name=self.aws_region or None, profile_name=self.aws_profile or None)
        return _create_loader(self.dsn, {**settings_of(RedshiftConfig, self), "s3_client": s3.get_client})


class DatabricksTarget(DatabricksConfig, _ByDsn):
    """A Databricks SQL warehouse, which takes its rows from a volume of Unity Catalog."""

    kind: Literal["databricks"] = "databricks"
    dsn: str = _dsn("databricks://token:SECRET@HOST/HTTP_PATH?catalog=CATALOG")


class DuckDBTarget(DuckDBConfig, _ByDsn):
    """A DuckDB file, which one process at a time has open: steps wait for each other."""

    kind: Literal["duckdb"] = "duckdb"
    dsn: str = _dsn("duckdb:///FILE, or duckdb:////FOLDER/FILE from the root")


class DatabaseTarget(dg.Config):
    """Any database that a loader is installed for; the DSN's scheme picks it."""

    kind: Literal["database"] = "database"
    dsn: str = _dsn("SCHEME://USER:PASSWORD@HOST/DATABASE")
    schema_: str = Field(default=DEFAULT_SCHEMA, alias="schema", description="Schema of the tables.")
    options: dict[str, Any] = Field(default={}, description="Further settings of the loader, by name.")

    @property
    def schema(self) -> str:  # type: ignore[override]  # pydantic's own is deprecated, and not for this
        """Schema of the tables."""
        return self.schema_

    def loader(self) -> AbstractNativeLoader:
        """A loader for the DSN."""
        return _create_loader(self.dsn, {"schema": self.schema_, **self.options})


Target = EmbeddedTarget | PostgresTarget | RedshiftTarget | DatabricksTarget | DuckDBTarget | DatabaseTarget
_BY_SCHEME: Mapping[str, Callable[..., Target]] = {
    "postgres": PostgresTarget,
    "postgresql": PostgresTarget,
    "databricks": DatabricksTarget,
    "duckdb": DuckDBTarget,
}


def target_of(settings: Settings) -> Target:
    """The target the environment names: MEDGEN_DSN, or the embedded PostgreSQL where that is unset.

    The DSN's variable is named and not read: it may hold a password, and the UI shows what is config. The run reads it.
    """
    scheme = settings.dsn.partition(":")[0]
    if not settings.dsn:
        return EmbeddedTarget(
            schema=settings.warehouse_schema, home=settings.home, binaries=settings.pg_bin, user=settings.pg_user
        )
    where: dict[str, Any] = {"dsn": dg.EnvVar(settings.dsn_variable), "schema": settings.warehouse_schema}
    if scheme.partition("+")[0] != "redshift":
        return _BY_SCHEME.get(scheme, DatabaseTarget)(**where)
    return RedshiftTarget(
        **where,
        s3_bucket=settings.s3_bucket,
        s3_prefix=settings.s3_prefix,
        aws_region=settings.aws_region,
        iam_role=settings.iam_role,
    )


def capabilities_of(target: Target, environment: Mapping[str, str] | None) -> LoaderCapabilities | None:
    """What the target's backend can do; None where its DSN cannot be read before a run."""
    try:
        return LoaderFactory.loader_class(_scheme(target, environment) + ":").capabilities
    except ValueError:
        return None


def _scheme(target: Target, environment: Mapping[str, str] | None) -> str:
    if isinstance(target, EmbeddedTarget):
        return "postgresql"
    if isinstance(target.dsn, dg.EnvVar):
        name = target.dsn.env_var_name
        dsn = target.dsn.get_value() if environment is None else environment.get(name)
        return (dsn or "").partition(":")[0]
    return target.dsn.partition(":")[0]
