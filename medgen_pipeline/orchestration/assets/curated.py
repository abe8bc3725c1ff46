"""One asset per curated table, from the catalog: what it is made from, its settings, its lineage.

An asset says what its table is made from, by its data version and release; making it is the IO manager's, which keeps
to that or fails for another attempt. Then it checks what is published. No table is named here.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from medgen_pipeline.catalog import TABLES, CuratedTable, any_table_by_name, sources_behind, upstream_of
from medgen_pipeline.loading.curated_load import CuratedOptions, MissingUpstreamError, read_inputs
from medgen_pipeline.orchestration.asset_checks import check_table, is_to_load, specs_of
from medgen_pipeline.orchestration.assets.tables import FRESHNESS, OWNERS, priority_of
from medgen_pipeline.orchestration.failures import RETRIES, permanent_errors_as_failures
from medgen_pipeline.orchestration.io_manager import PendingCurated, WarehouseIOManager
from medgen_pipeline.orchestration.keys import RELEASE, Names, step_name, table_name
from medgen_pipeline.orchestration.metadata import curated_definition_metadata


class CuratedConfig(dg.Config):
    """How a curated table is made."""

    force_rebuild: bool = Field(
        default=False,
        description="Run the whole query, whatever the audit says, instead of keeping the table or following changes.",
    )
    take_over: bool = Field(
        default=False,
        description="Make a table of this name the curated one, although no recorded load made it: its rows are "
        "compared with those of the query, and those that are not among them are deleted.",
    )

    def options(self) -> CuratedOptions:
        """These settings as a load takes them."""
        chosen = self.model_dump(exclude=set(CuratedConfig.model_fields))
        parameters = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
        return CuratedOptions(parameters=parameters, force_rebuild=self.force_rebuild, take_over=self.take_over)


def config_of(table: CuratedTable) -> type[CuratedConfig]:
    """The run config of a table: the settings that the catalog gives it."""
    fields: dict[str, Any] = {}
    for setting in table.settings:
        default = table.query.parameters[setting.parameter]
        is_list = isinstance(default, tuple)
        fields[setting.parameter] = (
            list[str] if is_list else type(default),
            Field(default=list(default) if isinstance(default, tuple) else default, description=setting.description),
        )
    return create_model(f"{table.name}_config", __base__=CuratedConfig, **fields)


def build_curated_asset(
    table: CuratedTable, names: Names, *, kind: str, automation: dg.AutomationCondition[Any] | None = None
) -> dg.AssetsDefinition:
    """The asset of one curated table.

    Args:
        table: The catalog's entry.
        names: Of the instance it belongs to.
        kind: The warehouse's backend, for the icon in the UI.
        automation: When Dagster makes it by itself; None: never.
    """
    config_type = config_of(table)

    spec = dg.AssetSpec(
        names.table_key(table),
        deps=[names.table_key(upstream) for upstream in upstream_of(table)],
        group_name=names.curated_group,
        owners=OWNERS,
        kinds={kind, "table"},
        code_version=table.version,
        description=f"{table.description}\n\nMade inside the warehouse by the IO manager `{names.warehouse}`.",
        metadata=curated_definition_metadata(table, names.key_prefix),
        freshness_policy=FRESHNESS,
        automation_condition=automation,
        skippable=True,
    )

    @dg.multi_asset(
        name=step_name(spec.key),
        specs=[spec.with_io_manager_key(names.warehouse)],
        check_specs=specs_of(table, names),
        can_subset=True,  # only so can checks be made without a load
        required_resource_keys={names.warehouse},
        op_tags=priority_of(table),
        retry_policy=RETRIES,
        pool=names.warehouse,
    )
    def curated_table(
        context: dg.AssetExecutionContext,
        config: config_type,  # type: ignore[valid-type]  # Dagster reads the class that this name means
    ) -> Iterator[dg.MaterializeResult[PendingCurated] | dg.AssetCheckResult]:
        if is_to_load(context):
            warehouse: WarehouseIOManager = getattr(context.resources, names.warehouse)
            options = config.options()  # type: ignore[attr-defined]  # of the class above
            with permanent_errors_as_failures(), warehouse.target.loader() as loader:
                try:
                    inputs = read_inputs(loader, table, options)
                except MissingUpstreamError as error:
                    if not _comes_with_another_source(error.missing, context):
                        raise
                    context.log.warning(f"{error} This run goes on without it.")
                    return
            yield dg.MaterializeResult(
                value=PendingCurated(options, inputs),
                metadata={RELEASE: inputs.release},
                data_version=dg.DataVersion(inputs.content_sha256),
            )
        yield from check_table(context, table, names)

    return curated_table


def _comes_with_another_source(missing: Iterable[str], context: dg.AssetExecutionContext) -> bool:
    """Whether this run loads files, and each of the missing tables needs those of a source that it does not load.

    So the first run of one source makes what it can, and that of the last one what is made from several.
    """
    loaded = set(map(table_name, context.job_def.asset_layer.selected_asset_keys))
    of_this_run = {table.source for table in TABLES if table.name in loaded}
    return bool(of_this_run) and all(sources_behind(any_table_by_name(name)) - of_this_run for name in missing)
