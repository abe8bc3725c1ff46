"""The Dagster resources: where a release comes from, and the IO manager that drives a native loader.

Config in, loader out: this and ``build.py`` are the only modules that know both Dagster and the loaders. What a load
does is ``medgen_pipeline.loading.file_load``'s. Resource concept: https://docs.dagster.io/guides/build/external-resources.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import dagster as dg
from pydantic import Field, model_validator

from medgen_pipeline.catalog import TABLES, CuratedTable, SourceTable, Table, any_table_by_name
from medgen_pipeline.errors import MedgenError, SettingError, require_number
from medgen_pipeline.home import embedded_postgres, medgen_home
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderCapabilities, LoaderError, LoaderFactory
from medgen_pipeline.loading.curated_load import CuratedInputs, CuratedOptions, load_curated
from medgen_pipeline.loading.file_load import LoadOptions, LoadResult, load_table
from medgen_pipeline.orchestration.failures import permanent_errors_as_failures
from medgen_pipeline.orchestration.metadata import curated_metadata, load_metadata
from medgen_pipeline.release import (
    DEFAULT_SOURCE_URL,
    Archive,
    ReleaseSource,
    S3Store,
    SourceFile,
    TransferOptions,
)

SOURCE_KEY = "source"
WAREHOUSE_KEY = "warehouse"
# How many steps of all runs together use the warehouse at a time is the instance's setting: dagster.yaml.example.
WAREHOUSE_POOL = "warehouse"
DEFAULT_SCHEMA = "medgen"
_QUIET_MINUTES = 30.0
_GIB = 1 << 30
# NCBI publishes once a week: a source that must be quiet for longer never is.
WEEK_MINUTES = 7 * 24 * 60
_YEAR_HOURS = 366 * 24


class MedgenSource(dg.ConfigurableResource[Any]):
    """NCBI's MedGen directory or a mirror of it, and the archive of every file that was loaded."""

    url: str = Field(
        default="",
        description="https://, http://, file:// or s3:// of a directory with MedGen's files; "
        "empty: MEDGEN_SOURCE_URL, else NCBI. The UI shows what is written here: a URL with a password belongs there.",
    )
    home: str = Field(default="", description="Directory of the archive; empty: MEDGEN_HOME, else .medgen.")
    archive_keep: int | None = Field(
        default=None,
        description="Versions of each file that the archive keeps, 2 or more; empty: MEDGEN_ARCHIVE_KEEP, else all.",
    )
    archive_url: str = Field(
        default="",
        description="s3://BUCKET/PREFIX that gets a copy of every archived file, and gives those that are missing in "
        "the archive; empty: MEDGEN_ARCHIVE_URL, else none.",
    )
    quiet_minutes: float | None = Field(
        default=None,
        description="How long no file may have changed before the sensor holds a release for complete; "
        "empty: MEDGEN_QUIET_MINUTES, else 30.",
    )
    rollback_hours: float = Field(
        default=24.0, description="How long a file must stand that is older than the loaded one before it is loaded."
    )
    redirect_hosts: str = Field(
        default="",
        description="Servers besides the source's own to which it may redirect, with commas: HOST or HOST:PORT; "
        "empty: MEDGEN_SOURCE_HOSTS, else none.",
    )
    min_kib_per_second: float = Field(
        default=4.0, description="A download that comes more slowly than this is broken off and tried again."
    )
    max_file_gib: float = Field(default=5.0, description="A published file larger than this is refused.")
    max_release_gib: float = Field(default=20.0, description="The same for all files of a source together.")
    max_decompressed_gib: float = Field(default=32.0, description="A file that decompresses to more is refused.")
    missing_columns: list[str] = Field(
        default=[],
        description="Columns that NCBI's files no longer have, as table.column; they become NULL where the header "
        "lacks them. Empty: MEDGEN_MISSING_COLUMNS, else none.",
    )

    @model_validator(mode="before")
    @classmethod
    def _check(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Refuse what cannot be meant. Before the fields: afterwards a number that is a dg.EnvVar looks like 0."""
        for name in _NUMBERS.keys() & given.keys():
            if type(given[name]) in {int, float}:
                _NUMBERS[name](name, given[name])
        _split_columns("missing_columns", given.get("missing_columns") or [])
        return given

    def check(self, environment: Mapping[str, str]) -> None:
        """Refuse variables that cannot be meant, before a run reads them.

        Raises:
            SettingError: With the variable, its value, and what is expected.
        """
        _number("archive_keep", self.archive_keep, "MEDGEN_ARCHIVE_KEEP", environment)
        _number("quiet_minutes", self.quiet_minutes, "MEDGEN_QUIET_MINUTES", environment)
        self._gone(environment)

    def fetch(self, table: SourceTable) -> SourceFile:
        """The current published file of ``table``, verified and archived."""
        return self.release_source().fetch(table)

    def release_source(self) -> ReleaseSource:
        """The place that the URL names; nothing is contacted yet."""
        url = self.url or os.environ.get("MEDGEN_SOURCE_URL") or DEFAULT_SOURCE_URL
        limits = TransferOptions(
            min_bytes_per_second=self.min_kib_per_second * 1024,
            max_bytes=int(self.max_file_gib * _GIB),
            max_release_bytes=int(self.max_release_gib * _GIB),
            hosts=tuple(re.findall(r"[^,\s]+", self.redirect_hosts or os.environ.get("MEDGEN_SOURCE_HOSTS", ""))),
        )
        return ReleaseSource(url, self.archive(), limits)

    def archive(self) -> Archive:
        """Every file that was fetched, by its hash."""
        home = Path(self.home).absolute() if self.home else medgen_home()
        keep = _number("archive_keep", self.archive_keep, "MEDGEN_ARCHIVE_KEEP", os.environ)
        remote = self.archive_url or os.environ.get("MEDGEN_ARCHIVE_URL")
        return Archive(
            home / "archive",
            keep=None if keep is None else int(keep),
            remote=S3Store(remote) if remote else None,
            max_content_bytes=int(self.max_decompressed_gib * _GIB),
        )

    def gone_from(self, table: SourceTable) -> tuple[str, ...]:
        """The columns that files of ``table`` lack for good."""
        return tuple(column for of_table, column in self._gone(os.environ) if of_table == table.name)

    def _gone(self, environment: Mapping[str, str]) -> list[tuple[str, str]]:
        if self.missing_columns:
            return _split_columns("missing_columns", self.missing_columns)
        return _split_columns("MEDGEN_MISSING_COLUMNS", environment.get("MEDGEN_MISSING_COLUMNS", "").split(","))

    @property
    def quiet(self) -> timedelta:
        """How long no file may have changed before a release counts as complete."""
        minutes = _number("quiet_minutes", self.quiet_minutes, "MEDGEN_QUIET_MINUTES", os.environ)
        return timedelta(minutes=_QUIET_MINUTES if minutes is None else minutes)


_NUMBERS: Mapping[str, Callable[[str, object], None]] = {
    "archive_keep": partial(require_number, least=2, whole=True),
    "quiet_minutes": partial(require_number, most=WEEK_MINUTES),
    "rollback_hours": partial(require_number, most=_YEAR_HOURS),
    "min_kib_per_second": partial(require_number, above=True),
    "max_file_gib": partial(require_number, above=True),
    "max_release_gib": partial(require_number, above=True),
    "max_decompressed_gib": partial(require_number, above=True),
}
"""What the numbers of ``MedgenSource`` may be."""


def _number(setting: str, given: float | None, variable: str, environment: Mapping[str, str]) -> float | None:
    """A setting, or the environment variable that stands for it."""
    text = environment.get(variable)
    if given is not None or not text:
        return given
    try:
        value = float(text)
    except ValueError as error:
        raise SettingError(f"{variable} is {text!r}, expected a number.") from error
    _NUMBERS[setting](variable, int(value) if value.is_integer() else value)
    return value


def _split_columns(setting: str, given: Sequence[str]) -> list[tuple[str, str]]:
    """Names of columns with their tables' as pairs."""
    pairs = []
    for text in filter(None, map(str.strip, given)):
        table, _, column = text.partition(".")
        known = {known.name: known.column_names for known in TABLES}
        if column not in known.get(table, ()):
            expected = f"columns of {table}: {', '.join(known[table])}" if table in known else "TABLE.COLUMN"
            raise SettingError(f"{setting} names {text!r}, expected {expected}.")
        pairs.append((table, column))
    return pairs


def _create_loader(dsn: str, config: Mapping[str, Any]) -> AbstractNativeLoader:
    """A loader; unusable config is a permanent error of the run."""
    try:
        return LoaderFactory.create_loader(dsn, config)
    except ValueError as error:
        raise LoaderError(str(error)) from error


def _schema(environment: Mapping[str, str]) -> str:
    return environment.get("MEDGEN_SCHEMA") or DEFAULT_SCHEMA


class EmbeddedTarget(dg.Config):
    """A PostgreSQL that the package starts by itself, below MEDGEN_HOME. For one machine and a first look."""

    kind: Literal["embedded"] = "embedded"
    schema_: str = Field(default=DEFAULT_SCHEMA, alias="schema", description="Schema of the tables.")

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Self:
        """As the variables of the README describe it."""
        return cls(schema=_schema(environment))

    def loader(self) -> AbstractNativeLoader:
        """A loader for the embedded server, which is started if it does not run."""
        return _create_loader(embedded_postgres().ensure_running(), {"schema": self.schema_})


class DatabaseTarget(dg.Config):
    """A database of the user's own; the DSN's scheme picks the loader."""

    kind: Literal["database"] = "database"
    dsn: str = Field(
        description="For example postgresql://USER:PASSWORD@HOST/DATABASE. Pass it as an environment variable.",
        json_schema_extra={"dagster__is_secret": True},
    )
    schema_: str = Field(default=DEFAULT_SCHEMA, alias="schema", description="Schema of the tables.")
    options: dict[str, Any] = Field(default={}, description="Further settings of the loader, by name.")

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Self:
        """As the variables of the README describe it. The DSN's variable is named and not read: it holds a password."""
        return cls(dsn=dg.EnvVar("MEDGEN_DSN"), schema=_schema(environment))

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

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Self:
        """As the variables of the README describe it. The DSN's variable is named and not read: it holds a password."""
        return cls(
            dsn=dg.EnvVar("MEDGEN_DSN"),
            schema=_schema(environment),
            s3_bucket=environment.get("MEDGEN_S3_BUCKET", ""),
            s3_prefix=environment.get("MEDGEN_S3_PREFIX") or "medgen",
            aws_region=environment.get("MEDGEN_AWS_REGION", ""),
            iam_role=environment.get("MEDGEN_IAM_ROLE", ""),
        )

    def loader(self) -> AbstractNativeLoader:
        """A loader for the cluster. It reaches S3 as every other use of S3 from Dagster does.

        boto3's own rules find credentials and ``AWS_ENDPOINT_URL``.
        """
        try:
            from dagster_aws.s3 import S3Resource
        except ImportError as error:
            raise LoaderError("Redshift needs more packages: pip install 'medgen_pipeline[redshift]'.") from error
        s3 = S3Resource(region_name=self.aws_region, profile_name=self.aws_profile or None)
        settings = {name: getattr(self, name) for name in self._SETTINGS}
        return _create_loader(self.dsn, {"schema": self.schema_, **settings, "s3_client": s3.get_client})


Target = EmbeddedTarget | DatabaseTarget | RedshiftTarget
# By the scheme of MEDGEN_DSN; whatever has no target of its own is a database with a registered loader.
_TARGETS: Mapping[str, type[Target]] = {
    "": EmbeddedTarget,
    "redshift": RedshiftTarget,
    "redshift+psycopg": RedshiftTarget,
}


def default_target(environment: Mapping[str, str]) -> Target:
    """The target the environment names: MEDGEN_DSN, or the embedded PostgreSQL where that is unset."""
    scheme = environment.get("MEDGEN_DSN", "").partition(":")[0]
    return _TARGETS.get(scheme, DatabaseTarget).of_environment(environment)


def capabilities_of(target: Target, environment: Mapping[str, str]) -> LoaderCapabilities | None:
    """What the target's backend can do; None where its DSN cannot be read before a run."""
    try:
        return LoaderFactory.loader_class(_scheme(target, environment) + ":").capabilities
    except ValueError:
        return None


def _scheme(target: Target, environment: Mapping[str, str]) -> str:
    if isinstance(target, EmbeddedTarget):
        return "postgresql"
    if isinstance(target.dsn, dg.EnvVar):
        return environment.get(target.dsn.env_var_name, target.kind).partition(":")[0]
    return target.dsn.partition(":")[0]


@dataclass(frozen=True)
class PendingLoad:
    """What a table asset hands to the IO manager: a file to publish, the files before it, and how to go about it."""

    source: SourceFile
    archive: Archive
    options: LoadOptions


@dataclass(frozen=True)
class PendingCurated:
    """What a curated asset hands to the IO manager: how to make its table, and what it has said it is made from."""

    options: CuratedOptions
    inputs: CuratedInputs


@dataclass(frozen=True)
class WarehouseTable:
    """What a downstream asset gets for a table it names as an argument: where it is, never its rows."""

    schema: str
    name: str
    columns: tuple[str, ...]


class WarehouseIOManager(dg.ConfigurableIOManager):
    """Publishes a table in the warehouse, from a release file or from other tables, and says exactly what changed."""

    target: Target = Field(discriminator="kind", description="Where the tables are.")

    def require_reachable(self) -> None:
        """Connect once; nothing is created.

        Raises:
            MedgenError: The warehouse cannot be used; see the message.
        """
        with self.target.loader():
            pass

    def handle_output(self, context: dg.OutputContext, obj: PendingLoad | PendingCurated) -> None:
        """Load ``obj`` and attach what happened to the materialization."""
        table = any_table_by_name(context.asset_key.path[-1])
        if isinstance(obj, PendingLoad) and isinstance(table, SourceTable):
            self._load_file(context, table, obj)
        elif isinstance(obj, PendingCurated) and isinstance(table, CuratedTable):
            self._make(context, table, obj)
        else:
            raise TypeError(
                f"{context.asset_key.to_user_string()}: expected a PendingLoad for a table of NCBI's or a "
                f"PendingCurated for a curated one, got {type(obj).__name__}."
            )

    def _load_file(self, context: dg.OutputContext, table: SourceTable, pending: PendingLoad) -> None:
        with permanent_errors_as_failures(context.step_key):
            loader = self.target.loader()
            result = load_table(loader, table, pending.source, pending.archive, pending.options, context.run_id)
        self._report(context, table, loader, result)
        try:
            pending.archive.prune(pending.source.url)
        except MedgenError as error:  # the load stands
            context.log.warning("%s: older versions stay in the archive: %s", table.name, error)

    def _make(self, context: dg.OutputContext, table: CuratedTable, pending: PendingCurated) -> None:
        with permanent_errors_as_failures(context.step_key):
            loader = self.target.loader()
            result = load_curated(loader, table, pending.options, context.run_id, pending.inputs)
        self._report(context, table, loader, result)
        context.add_output_metadata(curated_metadata(table, result.figures))

    def _report(
        self, context: dg.OutputContext, table: Table, loader: AbstractNativeLoader, result: LoadResult
    ) -> None:
        context.log.info(
            "%s: %s rows, %s inserted, %s updated, %s deleted, %s unchanged, %s set aside, by %s in %.2f s",
            table.name,
            result.counts.rows_after,
            result.counts.inserted,
            result.counts.updated,
            result.counts.deleted,
            result.counts.unchanged,
            result.report.rejected,
            result.mode,
            result.load_seconds,
        )
        context.add_output_metadata(load_metadata(table, self.target.schema_, loader.table_uri(table), result))

    def load_input(self, context: dg.InputContext) -> WarehouseTable:
        """A handle to the upstream table."""
        table = any_table_by_name(context.asset_key.path[-1])
        return WarehouseTable(self.target.schema_, table.name, table.column_names)
