"""One asset per MedGen table, and one external asset per file of NCBI's, all from the catalog.

An asset fetches its file and hands it on; publishing is the IO manager's. Then it checks what is published: what
follows a ``yield`` runs when the IO manager is done. No table is named here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, Self

import dagster as dg
from pydantic import Field, model_validator

from medgen_pipeline.catalog import SourceTable, Table, rows_ahead
from medgen_pipeline.catalog.model import WEEKLY, Cadence
from medgen_pipeline.loaders import LoadRecord
from medgen_pipeline.loading.findings import PINNED_BY_CHOICE
from medgen_pipeline.loading.gates import GateLimits
from medgen_pipeline.loading.load import LoadOptions
from medgen_pipeline.loading.rollback import NEWEST, find_release, pinned_to
from medgen_pipeline.orchestration.asset_checks import check_table, is_to_load, specs_of
from medgen_pipeline.orchestration.failures import RETRIES, permanent_errors_as_failures
from medgen_pipeline.orchestration.io_manager import PendingLoad, PendingUndo, WarehouseIOManager
from medgen_pipeline.orchestration.keys import FILE_GROUP, PINNED, Names, step_name
from medgen_pipeline.orchestration.metadata import definition_metadata, file_event, source_metadata, undo_metadata
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.release import SourceFile

OWNERS = ["team:medgen"]

_DEFAULT = LoadOptions()


def freshness_of(cadence: Cadence) -> dg.FreshnessPolicy:
    """When a table is late.

    A load of an unchanged file counts; the schedule makes one of every table, also of those whose file the sensor sees
    no change of.
    """
    return dg.FreshnessPolicy.time_window(warn_window=cadence.late, fail_window=cadence.missed)


FRESHNESS = freshness_of(WEEKLY)  # of what is made from MedGen


class LoadConfig(dg.Config):
    """How far a load may go without being asked. A closed gate says which of these lets the load through."""

    max_rejected_percent: float = Field(
        default=_DEFAULT.limits.max_rejected_percent, description="Rejected lines, in percent of all lines of the file."
    )
    max_repaired_rows: int = Field(
        default=_DEFAULT.limits.max_repaired_rows,
        description="Rows repaired, mostly bytes that are not UTF-8. In a large file max_repaired_percent may allow "
        "more.",
    )
    max_repaired_percent: float = Field(
        default=_DEFAULT.limits.max_repaired_percent,
        description="Rows repaired, in percent of the file's rows. In a small file max_repaired_rows may allow more.",
    )
    max_shrink_percent: float = Field(
        default=_DEFAULT.limits.max_shrink_percent,
        description="Rows lost, in percent of the rows in production. A table is never emptied.",
    )
    max_growth_percent: float = Field(
        default=_DEFAULT.limits.max_growth_percent, description="Rows gained, in percent of the rows in production."
    )
    accept_missing_columns: list[str] = Field(
        default=list(_DEFAULT.limits.accept_missing_columns),
        description="Columns that may be missing from the file's header of this load; they become NULL. For good: "
        "missing_columns of the resource medgen_source.",
    )
    accept_broken_key: bool = Field(
        default=_DEFAULT.limits.accept_broken_key,
        description="Publish although the table's proven key repeats. Its check still stops what is downstream.",
    )

    release: str = Field(
        default="",
        description="An earlier release to bring the table to, as `medgen releases` lists them; it is pinned there. "
        "`newest`: what is published now, and a pinned table is let go. Empty: what is published now, or the release "
        "that the table is pinned to.",
    )
    force_warehouse: bool = Field(
        default=_DEFAULT.force_warehouse,
        description="Compare the whole file with production inside the warehouse, even where the audit says that "
        "nothing can have changed.",
    )
    take_over: bool = Field(
        default=_DEFAULT.take_over,
        description="Make a table of this name production, although no recorded load made it: its rows are compared "
        "with the release, and those that are not in it are deleted.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse values out of range. As a failure without retries: of pydantic's own error Dagster makes three."""
        with permanent_errors_as_failures():
            self.options()
        return self

    def options(self, gone: Iterable[str] = ()) -> LoadOptions:
        """These settings as a load takes them, with columns that NCBI has removed for good."""
        chosen = {
            **self.model_dump(exclude={"release"}),
            "accept_missing_columns": (*self.accept_missing_columns, *gone),
        }
        limits = GateLimits(**{limit.name: chosen.pop(limit.name) for limit in fields(GateLimits)})
        return LoadOptions(limits=limits, **chosen)


def priority_of(table: Table) -> dict[str, str]:
    """The tag by which Dagster begins, of the steps that may begin, with this table's before those with a lower number.

    Otherwise the order is the alphabet's: the longest table of all would be among the last to begin.
    """
    return {"dagster/priority": str(rows_ahead(table) // 1000)}


def build_ncbi_files(tables: Sequence[SourceTable], names: Names) -> list[dg.AssetSpec]:
    """NCBI's files: assets that somebody else materializes."""
    return [
        dg.AssetSpec(
            key=names.file_key(table),
            group_name=FILE_GROUP,
            description=f"`{table.file_name}` of {table.source.title} as NCBI publishes it.",
            kinds={"file"},
            metadata={"dagster/uri": dg.MetadataValue.url(f"{table.source.url}{table.file_name}")},
        )
        for table in tables
    ]


def build_table_asset(table: SourceTable, names: Names, *, kind: str) -> dg.AssetsDefinition:
    """The asset of one table.

    Args:
        table: The catalog's entry.
        names: Of the instance it belongs to.
        kind: The warehouse's backend, for the icon in the UI.
    """
    of_source = names.of_source(table.source)
    spec = dg.AssetSpec(
        names.table_key(table),
        deps=[names.file_key(table)],
        group_name=of_source.group,
        owners=OWNERS,
        kinds={kind, "table"},
        code_version=table.shape,
        description=f"{table.description}\n\nPublished through the IO manager `{names.warehouse}`.",
        metadata=definition_metadata(table),
        freshness_policy=freshness_of(table.source.cadence),
    )

    @dg.multi_asset(
        name=step_name(spec.key),
        specs=[spec.with_io_manager_key(names.warehouse)],
        check_specs=specs_of(table, names),
        can_subset=True,  # only so can checks be made without a load
        required_resource_keys={of_source.resource, names.warehouse},
        op_tags=priority_of(table),
        retry_policy=RETRIES,
        pool=names.warehouse,
    )
    def medgen_table(
        context: dg.AssetExecutionContext, config: LoadConfig
    ) -> Iterator[dg.MaterializeResult[PendingLoad | PendingUndo] | dg.AssetCheckResult]:
        if is_to_load(context):
            source, warehouse = (getattr(context.resources, key) for key in (of_source.resource, names.warehouse))
            with permanent_errors_as_failures():
                made = _to_publish(context, table, source, warehouse, config)
            if isinstance(made.value, PendingLoad) and not made.value.options.pin:
                _tell_of_file(context, names.file_key(table), made.value.source)
            yield made
        yield from check_table(context, table, names)

    return medgen_table


def _tell_of_file(context: dg.AssetExecutionContext, key: dg.AssetKey, file: SourceFile) -> None:
    """Show the file's version in the UI, unless it is the one shown. The run has only looked: it has not made it.

    What the table is made from Dagster has looked up when the step began. It must look again, or it would show the
    table as out of date.
    """
    event = context.instance.get_latest_materialization_event(key)
    shown = event.asset_materialization if event else None
    if shown is None or (shown.tags or {}).get("dagster/data_version") != str(file.version):
        context.instance.report_runless_asset_event(file_event(key, file.url, file.version, file.release))
        context.get_step_execution_context().wipe_input_asset_version_info(key)


def _to_publish(
    context: dg.AssetExecutionContext,
    table: SourceTable,
    source: MedgenSource,
    warehouse: WarehouseIOManager,
    config: LoadConfig,
) -> dg.MaterializeResult[PendingLoad | PendingUndo]:
    """What is published now, or the release that was asked for, or that the table is pinned to."""
    options, archive = config.options(source.gone_from(table)), source.archive()
    if config.release in {"", NEWEST}:
        source.release_source()  # a URL that cannot be used is told before anybody waits for the warehouse
    with warehouse.target.loader() as loader:
        release = config.release or pinned_to(loader, table)
        going_back = release not in {"", NEWEST}
        found = find_release(loader, table, archive, release) if going_back else None
    if not config.release and going_back:
        context.log.warning(f"{table.name} is {PINNED_BY_CHOICE.format(release=release, table=table.name)}")
    metadata: dict[str, Any] = {PINNED: release} if going_back else {}
    if isinstance(found, LoadRecord):
        return dg.MaterializeResult(
            value=PendingUndo(found),
            metadata=undo_metadata(found) | metadata,
            data_version=dg.DataVersion(found.content_sha256),
        )
    if found is None:
        file, options = source.fetch(table), replace(options, pin=False if release else None)
    else:
        # A release that somebody chooses may be of any size.
        limits = replace(options.limits, max_shrink_percent=100, max_growth_percent=1e9)
        file, options = found, replace(options, pin=True, limits=limits)
    return dg.MaterializeResult(
        value=PendingLoad(file, archive, options),
        metadata=source_metadata(file) | metadata,
        data_version=dg.DataVersion(file.content_sha256),
    )
