"""Every MEDGEN_* variable, typed and read once. Nothing else reads the environment; what was read is passed on.

Meanings and defaults are those of docs/settings.md, which a test compares with them.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from medgen_pipeline.catalog import Source
from medgen_pipeline.errors import SettingError, require_number
from medgen_pipeline.home import home_directory

PREFIX = "MEDGEN_"
# NCBI publishes once a week: a source that must be quiet for longer never is.
_WEEK_MINUTES = 7 * 24 * 60

NUMBERS: Mapping[str, Callable[[str, object], None]] = {
    "sensor_minutes": partial(require_number, most=_WEEK_MINUTES, above=True),
    "quiet_minutes": partial(require_number, most=_WEEK_MINUTES),
    "archive_keep": partial(require_number, least=2, whole=True),
}
"""What the numbers may be, by setting: the check takes a name and a value."""


class Settings(BaseSettings):
    """What the environment says. An empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    dsn: str = Field(default="", repr=False, description="URL of the database; empty: the embedded PostgreSQL.")
    warehouse_schema: str = Field(
        default="medgen",
        validation_alias=f"{PREFIX}SCHEMA",
        description="Schema of the tables; those beside it end in `_staging`, `_changes`, `_audit` and `_history`.",
    )
    dsn_variable: str = Field(default=f"{PREFIX}DSN", exclude=True)
    source_url: str = Field(
        default="",
        repr=False,
        description="Directory with MedGen's files: `https://`, `http://`, `file://` or, with the extra `s3`, `s3://`; "
        "empty: NCBI.",
    )
    gene_source_url: str = Field(
        default="", repr=False, description="The same for the files of NCBI Gene; empty: NCBI."
    )
    gene_info_source_url: str = Field(default="", repr=False, description="The same for human genes; empty: NCBI.")
    clinvar_source_url: str = Field(default="", repr=False, description="The same for ClinVar's files; empty: NCBI.")
    genereviews_source_url: str = Field(
        default="", repr=False, description="The same for the files of GeneReviews; empty: NCBI."
    )
    gtr_source_url: str = Field(default="", repr=False, description="The same for the file of GTR; empty: NCBI.")
    sources: str = Field(
        default="",
        description="Sources that are loaded, with commas: `medgen`, `gene`, `gene_info`, `clinvar`, `genereviews`, "
        "`gtr`; empty: all but `gtr`; where `MEDGEN_SOURCE_URL` is set, those that have a URL.",
    )
    source_hosts: str = Field(
        default="",
        description="Servers besides the source's own to which it may redirect, with commas: `HOST` or `HOST:PORT`.",
    )
    missing_columns: str = Field(
        default="",
        description="Columns that NCBI's files no longer have, as `TABLE.COLUMN`, with commas; they become NULL.",
    )
    sensor_minutes: float = Field(default=15.0, description="Minutes from one look of the sensor to the next.")
    quiet_minutes: float = Field(
        default=30.0,
        description="How long no file may have changed before the sensor holds a release for complete.",
    )
    archive_keep: int | None = Field(
        default=None, description="Versions of each file kept in the archive, 2 or more; empty: all."
    )
    archive_url: str = Field(
        default="",
        repr=False,
        description="`s3://` prefix that also gets every archived file (extra `s3`).",
    )
    curated: bool | None = Field(
        default=None,
        description="`false` leaves curated tables out, for a mirror that has not all 17 files; empty: `true` where "
        "the backend can make them.",
    )
    export: str = Field(
        default="",
        description="Where every run exports the tables to: a folder or an `s3://` prefix, and, after a comma, a file "
        "that ends in `.duckdb`.",
    )
    reports: str = Field(
        default="",
        description="Folder that gets a page of what each release has changed.",
    )
    s3_bucket: str = Field(default="", description="With a `redshift://` DSN: bucket for the rows on their way.")
    s3_prefix: str = Field(default="medgen", description="Key prefix in that bucket.")
    aws_region: str = Field(default="", description="Region of that bucket.")
    iam_role: str = Field(
        default="", description="Role the cluster reads that bucket with; empty: the cluster's default role."
    )
    home: str = Field(
        default="",
        description="Archive of fetched files, embedded database, Dagster's home; empty: `.medgen` in the working "
        "directory.",
    )
    pg_bin: str = Field(
        default="",
        description="Folder of the programs the embedded PostgreSQL is run with; empty: those of a Python package.",
    )
    pg_user: str = Field(default="nobody", description="User the embedded PostgreSQL runs as when root starts it.")

    @field_validator(*NUMBERS, mode="before")
    @classmethod
    def _in_range(cls, value: object, info: ValidationInfo) -> object:
        if value is None:
            return None
        name = str(info.field_name)
        variable = f"{PREFIX}{name.upper()}"
        if isinstance(value, str):
            with suppress(ValueError):  # what is no number is refused below
                number = float(value)
                value = int(number) if number.is_integer() else number
        NUMBERS[name](variable, value)
        return value

    @property
    def directory(self) -> Path:
        """Where archive, embedded database and Dagster's home are."""
        return home_directory(self.home)

    def url_of(self, source: Source) -> str:
        """The place of a source's files; empty: NCBI's."""
        return str(getattr(self, f"{source.infix}source_url"))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what ``read`` passes: which environment is read is its caller's choice."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def read(
        cls, environment: Mapping[str, str] | None = None, dsn_variable: str = f"{PREFIX}DSN", **given: Any
    ) -> "Settings":
        """The settings of an environment.

        Args:
            environment: By default that of this process.
            dsn_variable: The variable that holds the DSN.
            given: Settings that count more than the environment.

        Raises:
            SettingError: A variable's value is not what it may be; the message names the variable.
        """
        found = dict(os.environ if environment is None else environment)
        found[f"{PREFIX}DSN"] = found.get(dsn_variable, "")
        source = EnvSettingsSource(cls)
        source.env_vars = {name.lower(): value for name, value in found.items() if value}
        try:
            return cls(**{**source(), "dsn_variable": dsn_variable, **given})
        except ValidationError as error:
            wrong = (_explained(problem, found) for problem in error.errors())
            raise SettingError(" ".join(wrong)) from None


def dagster_home() -> Path | None:
    """DAGSTER_HOME, the one variable of Dagster's own that the ``medgen`` command looks at."""
    given = os.environ.get("DAGSTER_HOME")
    return Path(given) if given else None


def _explained(problem: ErrorDetails, found: Mapping[str, str]) -> str:
    """What is wrong with one variable. None that can be wrong here holds a secret."""
    if isinstance(error := problem.get("ctx", {}).get("error"), SettingError):
        return str(error)
    variable = f"{PREFIX}{str(problem['loc'][0]).removeprefix(PREFIX).upper()}"
    return f"{variable} is {found.get(variable)!r}: {problem['msg'][:1].lower()}{problem['msg'][1:]}."
