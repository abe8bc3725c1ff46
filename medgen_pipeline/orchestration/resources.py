"""The resource that fetches: where a release comes from, and the archive of every file that was loaded.

Config in, release source out; what is fetched and how is ``release``'s. Concept:
https://docs.dagster.io/guides/build/external-resources.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field, model_validator

from medgen_pipeline.catalog import SOURCES, TABLES, Source, SourceTable, source_by_name
from medgen_pipeline.catalog.sources.medgen import MEDGEN
from medgen_pipeline.errors import SettingError, require_number
from medgen_pipeline.home import home_directory
from medgen_pipeline.release import Archive, ReleaseSource, S3Store, SourceFile, TransferOptions
from medgen_pipeline.settings import NUMBERS, Settings

_GIB = 1 << 30
_HAS_SECRET = ("@", "?")
_YEAR_HOURS = 366 * 24

_NUMBERS: Mapping[str, Callable[[str, object], None]] = {
    **NUMBERS,
    "rollback_hours": partial(require_number, most=_YEAR_HOURS),
    "min_kib_per_second": partial(require_number, above=True),
    "max_file_gib": partial(require_number, above=True),
    "max_release_gib": partial(require_number, above=True),
    "max_decompressed_gib": partial(require_number, above=True),
}
"""What the numbers of ``MedgenSource`` may be."""


class MedgenSource(dg.ConfigurableResource[Any]):
    """A directory of NCBI's or a mirror of it, and the archive of every file that was loaded."""

    name: str = Field(
        default=MEDGEN.name, description="Which source it is: medgen, or one of its siblings, such as gene or clinvar."
    )
    url: str = Field(
        default="",
        description="https://, http://, file:// or s3:// of a directory with the source's files; empty: NCBI's. The UI "
        "shows what is written here: pass a URL with a password as an environment variable.",
    )
    home: str = Field(
        default="", description="Directory of the archive; empty: .medgen in the working directory of the run."
    )
    archive_keep: int | None = Field(
        default=None, description="Versions of each file that the archive keeps, 2 or more; empty: all."
    )
    archive_url: str = Field(
        default="",
        description="s3://BUCKET/PREFIX that gets a copy of every archived file, and gives those that are missing in "
        "the archive; empty: none.",
    )
    quiet_minutes: float = Field(
        default=30.0, description="How long no file may have changed before the sensor holds a release for complete."
    )
    rollback_hours: float = Field(
        default=24.0, description="How long an older file than the loaded one must stay published before it is loaded."
    )
    max_file_gib: float = Field(default=5.0, description="A published file larger than this is refused.")
    max_release_gib: float = Field(default=20.0, description="The same for all files of a source together.")

    redirect_hosts: str = Field(
        default="",
        description="Servers besides the source's own to which it may redirect, with commas: HOST or HOST:PORT.",
    )
    min_kib_per_second: float = Field(
        default=4.0, description="A download that comes more slowly than this is broken off and tried again."
    )

    max_decompressed_gib: float = Field(default=32.0, description="A file that decompresses to more is refused.")
    missing_columns: list[str] = Field(
        default=[],
        description="Columns that NCBI's files no longer have, as table.column; they become NULL where the header "
        "lacks them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _check(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Refuse values out of range. Before the fields: afterwards a number that is a dg.EnvVar looks like 0."""
        for name in _NUMBERS.keys() & given.keys():
            if type(given[name]) in {int, float}:
                _NUMBERS[name](name, given[name])
        _split_columns("missing_columns", given.get("missing_columns") or [])
        _source_of("name", given.get("name", MEDGEN.name))
        return given

    @classmethod
    def of(cls, settings: Settings, source: Source = MEDGEN) -> "MedgenSource":
        """The source as the environment has it."""
        gone = _split_columns("MEDGEN_MISSING_COLUMNS", settings.missing_columns.split(","))
        return cls(
            name=source.name,
            missing_columns=[".".join(pair) for pair in gone],
            url=_shown(source.setting, settings.url_of(source)) or source.url,
            home=settings.home,
            archive_keep=settings.archive_keep,
            archive_url=_shown("MEDGEN_ARCHIVE_URL", settings.archive_url),
            quiet_minutes=settings.quiet_minutes,
            redirect_hosts=settings.source_hosts,
        )

    def fetch(self, table: SourceTable) -> SourceFile:
        """The current published file of ``table``, verified and archived."""
        return self.release_source().fetch(table)

    def release_source(self) -> ReleaseSource:
        """The place that the URL names; nothing is contacted yet."""
        limits = TransferOptions(
            min_bytes_per_second=self.min_kib_per_second * 1024,
            max_bytes=int(self.max_file_gib * _GIB),
            max_release_bytes=int(self.max_release_gib * _GIB),
            hosts=tuple(re.findall(r"[^,\s]+", self.redirect_hosts)),
            url_setting=self.source.setting,
        )
        return ReleaseSource(self.url or self.source.url, self.archive(), limits)

    @property
    def source(self) -> Source:
        """Which source it is."""
        return _source_of("name", self.name)

    def archive(self) -> Archive:
        """Every file that was fetched, by its hash."""
        return Archive(
            home_directory(self.home) / "archive",
            keep=self.archive_keep,
            remote=S3Store(self.archive_url) if self.archive_url else None,
            max_content_bytes=int(self.max_decompressed_gib * _GIB),
        )

    def gone_from(self, table: SourceTable) -> tuple[str, ...]:
        """The columns that files of ``table`` lack for good."""
        gone = _split_columns("missing_columns", self.missing_columns)
        return tuple(column for of_table, column in gone if of_table == table.name)

    @property
    def quiet(self) -> timedelta:
        """How long no file may have changed before a release counts as complete."""
        return timedelta(minutes=self.quiet_minutes)


def sources_of(settings: Settings) -> list[Source]:
    """The sources whose tables are loaded.

    Unless the environment names them: MedGen, and those siblings whose tables are loaded in seconds, since what is made
    from both is what most users came for. Not where MedGen's files come from a mirror and the sibling's own place is
    not named: who has a mirror may not reach NCBI, or does not want to.
    """
    if names := [name.strip() for name in settings.sources.split(",") if name.strip()]:
        return [source for source in SOURCES if source in {_source_of("MEDGEN_SOURCES", name) for name in names}]
    return [
        source
        for source in SOURCES
        if source == MEDGEN or settings.url_of(source) or (source.on and not settings.source_url)
    ]


def _source_of(setting: str, name: str) -> Source:
    try:
        return source_by_name(name)
    except LookupError as error:
        raise SettingError(f"{setting} is {name!r}: {error}.") from None


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


def _shown(variable: str, url: str) -> str:
    """A URL as config: the UI shows it, so one that may hold a secret is named and read by the run."""
    return dg.EnvVar(variable) if any(sign in url for sign in _HAS_SECRET) else url
