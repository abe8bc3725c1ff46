"""Where the tables are, as config: one model per backend, made from the backend's own, and how a loader comes of it.

A backend without a model of its own here is a ``DatabaseTarget``, whose DSN picks the loader.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import dagster as dg
from pydantic import Field

from medgen_pipeline.errors import missing_extra
from medgen_pipeline.home import home_directory
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderCapabilities, LoaderError, LoaderFactory
from medgen_pipeline.settings import Settings

DEFAULT_SCHEMA = "medgen"


def _create_loader(dsn: str, config: Mapping[str, Any]) -> AbstractNativeLoader:
    """A loader; unusable config is a permanent error of the run."""
    try:
        return LoaderFactory.create_loader(dsn, config)
    except ValueError as error:
        raise LoaderError(str(error)) from error


class EmbeddedTarget(dg.Config):
    """A PostgreSQL that the package starts by itself. For one machine and a first look."""

    kind: Literal["embedded"] = "embedded"
    schema_: str = Field(default=DEFAULT_SCHEMA, alias="schema", description="Schema of the tables.")
    home: str = Field(default="", description="Its directory is in this one; empty: .medgen in the working directory.")
    binaries: str = Field(default="", description="Folder of PostgreSQL's programs; empty: those of a Python package.")
    user: str = Field(default="nobody", description="User it runs as when root starts it.")

    def loader(self) -> AbstractNativeLoader:
        """A loader for the embedded server, which is started if it does not run."""
        # Imported here: it needs POSIX. The extra `local` is asked for where its programs are started.
        from medgen_pipeline.demo.embedded_postgres import EmbeddedPostgres

        server = EmbeddedPostgres(home_directory(self.home) / "postgres", binaries=self.binaries, user=self.user)
        return _create_loader(server.ensure_running(), {"schema": self.schema_})


class DatabaseTarget(dg.Config):
    """A database of the user's own; the DSN's scheme picks the loader."""

    kind: Literal["database"] = "database"
    dsn: str = Field(
        description="For example postgresql://USER:PASSWORD@HOST/DATABASE. Pass it as an environment variable.",
        json_schema_extra={"dagster__is_secret": True},
    )
    schema_: str = Field(default=DEFAULT_SCHEMA, alias="schema", description="Schema of the tables.")
    options: dict[str, Any] = Field(default={}, description="Further settings of the loader, by name.")

    def loader(self) -> AbstractNativeLoader:
        """A loader for the DSN."""
        return _create_loader(self.dsn, {"schema": self.schema_, **self.options})


class RedshiftTarget(dg.Config):
    """An Amazon Redshift cluster or serverless workgroup, which takes its rows from S3."""

    kind: Literal["redshift"] = "redshift"
    dsn: str = Field(
        description="redshift://USER:PASSWORD@HOST:5439/DATABASE. Pass it as an environment variable.",
        json_schema_extra={"dagster__is_secret": True},
    )
    schema_: str = Field(default=DEFAULT_SCHEMA, alias="schema", description="Schema of the tables.")
    s3_bucket: str = Field(description="Bucket through which rows reach the cluster.")
    s3_prefix: str = Field(default="medgen", description="Key prefix in the bucket, for loads alone.")
    aws_region: str = Field(description="Region of the bucket.")
    iam_role: str = Field(
        default="",
        description="ARN of the role the cluster reads the bucket with, or a chain of ARNs with commas; "
        "empty or default: the cluster's default role.",
    )
    swap: Literal["rename", "strict"] = Field(
        default="rename",
        description="How a new table takes production's place: by renaming, or by DELETE and INSERT (strict), which "
        "needs no DDL while readers look.",
    )
    auth: Literal["password", "iam"] = Field(default="password", description="Where the database password is from.")
    cluster_identifier: str = Field(default="", description="With auth 'iam': the provisioned cluster.")
    workgroup: str = Field(default="", description="With auth 'iam': the serverless workgroup.")
    aws_profile: str = Field(
        default="", description="Profile of the shared AWS configuration; empty: as boto3 finds credentials."
    )

    _SETTINGS: ClassVar[tuple[str, ...]] = (
        *("s3_bucket", "s3_prefix", "aws_region", "aws_profile", "iam_role", "swap"),
        *("auth", "cluster_identifier", "workgroup"),
    )

    def loader(self) -> AbstractNativeLoader:
        """A loader for the cluster. It reaches S3 as every other use of S3 from Dagster does.

        boto3's own rules find credentials and ``AWS_ENDPOINT_URL``.
        """
        try:
            from dagster_aws.s3 import S3Resource
        except ImportError as error:
            raise LoaderError(missing_extra("Redshift", "dagster-aws", "redshift")) from error
        s3 = S3Resource(region_name=self.aws_region, profile_name=self.aws_profile or None)
        settings = {name: getattr(self, name) for name in self._SETTINGS}
        return _create_loader(self.dsn, {"schema": self.schema_, **settings, "s3_client": s3.get_client})


Target = EmbeddedTarget | DatabaseTarget | RedshiftTarget


def target_of(settings: Settings) -> Target:
    """The target the environment names: MEDGEN_DSN, or the embedded PostgreSQL where that is unset.

    The DSN's variable is named and not read: it may hold a password, and the UI shows what is config. The run reads it.
    """
    scheme = settings.dsn.partition(":")[0]
    if not settings.dsn:
        return EmbeddedTarget(
            schema=settings.warehouse_schema, home=settings.home, binaries=settings.pg_bin, user=settings.pg_user
        )
    dsn = dg.EnvVar(settings.dsn_variable)
    if scheme.partition("+")[0] != "redshift":
        return DatabaseTarget(dsn=dsn, schema=settings.warehouse_schema)
    return RedshiftTarget(
        dsn=dsn,
        schema=settings.warehouse_schema,
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
