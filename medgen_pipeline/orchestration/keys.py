"""Every name that Dagster sees of one instance of the pipeline: keys, groups, resources, jobs, steps, metadata keys.

A code location may hold several instances (two schemas, two warehouses) and a host's own assets. So no name is written
anywhere else; metadata values are ``metadata``'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from medgen_pipeline.catalog import Source, SourceTable, Table
from medgen_pipeline.catalog.sources.medgen import MEDGEN

# Metadata and tags that more than one module reads.
RELEASE = "medgen/release"
PINNED = "medgen/pinned"
SOURCE_URL = "medgen/source_url"
SOURCE_VERSION = "medgen/source_version"
SOURCE_BYTES = "medgen/source_bytes"
CLOSED_GATES = "medgen/closed_gates"
OVERRIDE = "medgen/override"
REJECTED_ROWS = "medgen/rejected_rows"
LOAD_SECONDS = "medgen/load_seconds"
ROW_COUNT = "dagster/row_count"
INSERTED, UPDATED, DELETED, UNCHANGED = "cdc/inserted", "cdc/updated", "cdc/deleted", "cdc/unchanged"

# Tags of a run that the sensor asked for.
RELEASE_TAG = RELEASE
RELEASE_SPAN_TAG = "medgen/release_span"
ATTEMPT_TAG = "medgen/attempt"

FILE_GROUP = "ncbi"


@dataclass(frozen=True)
class SourceNames:
    """What belongs to one source.

    Attributes:
        resource: Fetches its files.
        job: Brings its tables up to date.
        sensor: Follows it.
        schedule: Refreshes its tables by the clock.
        group: Of its tables.
    """

    resource: str
    job: str
    sensor: str
    schedule: str
    group: str


@dataclass(frozen=True)
class Names:
    """What one instance's definitions are called.

    Attributes:
        key_prefix: Of every table's asset; NCBI's files are beside it, see ``file_key``.
        group_prefix: The group of MedGen's tables; ``_curated`` is appended for the curated ones, and a source's name
            for those of a sibling.
        name_prefix: Of everything that is unique in a code location: resources, jobs, sensor, schedule, steps, pool.
    """

    key_prefix: tuple[str, ...] = ("medgen",)
    group_prefix: str = "medgen"
    name_prefix: str = ""

    @classmethod
    def of(cls, key_prefix: str | Sequence[str], group_prefix: str, name_prefix: str) -> "Names":
        """Names from what a host writes; a single string is a prefix of one part.

        Raises:
            ValueError: The key prefix is empty or has an empty part.
        """
        parts = (key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix)
        if not parts or not all(parts):
            raise ValueError(f"key_prefix is {key_prefix!r}, expected one or more names, such as ['bio', 'medgen'].")
        return cls(parts, group_prefix, name_prefix)

    def table_key(self, table: Table) -> dg.AssetKey:
        """The asset of one table of the warehouse."""
        return dg.AssetKey([*self.key_prefix, table.name])

    def file_key(self, table: SourceTable) -> dg.AssetKey:
        """The asset of one of NCBI's files: ``ncbi`` takes the place of the prefix's last part."""
        return dg.AssetKey([*self.key_prefix[:-1], "ncbi", table.name])

    def export_key(self, form: str) -> dg.AssetKey:
        """The asset of what tables are exported as."""
        return dg.AssetKey([*self.key_prefix[:-1], f"{self.key_prefix[-1]}_export", form])

    @property
    def export_group(self) -> str:
        """Of these."""
        return f"{self.group_prefix}_export"

    @property
    def curated_group(self) -> str:
        """Of the tables made from them."""
        return f"{self.group_prefix}_curated"

    def of_source(self, source: Source) -> "SourceNames":
        """What belongs to one source."""
        prefix, infix = self.name_prefix, source.infix
        return SourceNames(
            resource=f"{prefix}medgen_{infix}source",
            job=f"{prefix}refresh_{source.name}",
            sensor=f"{prefix}new_{infix}release_sensor",
            schedule=f"{prefix}{source.cadence.name}_{infix}refresh",
            group=f"{self.group_prefix}_{infix}".removesuffix("_"),
        )

    @property
    def source(self) -> str:
        """The resource that fetches MedGen's files."""
        return self.of_source(MEDGEN).resource

    @property
    def warehouse(self) -> str:
        """The IO manager; also the pool of the steps that use it, whose size is the instance's (dagster.yaml)."""
        return f"{self.name_prefix}medgen_warehouse"

    @property
    def notifier(self) -> str:
        """The resource that is told of failures."""
        return f"{self.name_prefix}medgen_notifier"

    @property
    def check_job(self) -> str:
        """Checks what is in the warehouse."""
        return f"{self.name_prefix}check_medgen"

    @property
    def shared_check_step(self) -> str:
        """The step of the checks that read across tables; those of one table are made in its asset's."""
        return f"{self.name_prefix}check_medgen_across_tables"


DEFAULT_NAMES = Names()


def table_name(key: dg.AssetKey) -> str:
    """The table of an asset, whatever its prefix."""
    return key.path[-1]


def table_of_step(step: str) -> str:
    """The table of an asset's step; something else for other steps."""
    return step.rpartition("__")[2]


def step_name(key: dg.AssetKey) -> str:
    """The step, and in run config the op, of an asset: what Dagster 1.13 calls one without a name of its own."""
    return key.to_python_identifier()
