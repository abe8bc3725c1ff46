"""One asset per place that tables are exported to, downstream of all of them."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from medgen_pipeline.access.export import export, form_of
from medgen_pipeline.catalog import Table
from medgen_pipeline.errors import SettingError
from medgen_pipeline.orchestration.assets.tables import FRESHNESS, OWNERS
from medgen_pipeline.orchestration.failures import RETRIES, permanent_errors_as_failures
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import RELEASE, ROW_COUNT, Names

_DESCRIPTIONS = {
    "duckdb": "One DuckDB file with every table, its comments, keys and indexes.",
    "parquet": "A folder for each release with a Parquet file for every table and a data dictionary; the file `latest` "
    "holds the newest one's name.",
}


def places_of(setting: str) -> dict[str, str]:
    """The places of MEDGEN_EXPORT by what is written there.

    Raises:
        SettingError: Two of them are of one kind, so that their assets would have one name.
    """
    places: dict[str, str] = {}
    for place in filter(None, map(str.strip, setting.split(","))):
        if (form := form_of(place)) in places:
            raise SettingError(
                f"MEDGEN_EXPORT names two places for {form}, expected at most a folder or an s3:// prefix, and a file "
                "that ends in .duckdb."
            )
        places[form] = place
    return places


def exported(
    form: str,
    place: str,
    tables: Sequence[Table],
    names: Names,
    automation: dg.AutomationCondition[Any] | None,
    **settings: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """A decorator: an asset that writes the tables to one place.

    Args:
        form: What is written there.
        place: The place.
        tables: Of the instance.
        names: The instance's.
        automation: When Dagster makes it by itself; None: never.
        settings: Others of ``dg.asset``.
    """
    key = names.export_key(form)
    made: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(
        name=key.path[-1],
        key_prefix=key.path[:-1],
        deps=[names.table_key(table) for table in tables],
        group_name=names.export_group,
        owners=OWNERS,
        metadata={"medgen/place": place},
        freshness_policy=FRESHNESS,
        automation_condition=automation,
        required_resource_keys={names.warehouse},
        retry_policy=RETRIES,
        pool=names.warehouse,
        **settings,
    )
    return made


def build_export_asset(
    form: str, place: str, tables: Sequence[Table], names: Names, automation: dg.AutomationCondition[Any] | None = None
) -> dg.AssetsDefinition:
    """The asset of one place; arguments as of ``exported``."""

    @exported(
        *(form, place, tables, names, automation),
        kinds={form},
        description=f"{_DESCRIPTIONS[form]} What has not changed since the last export is not written again.",
    )
    def medgen_export(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        warehouse: WarehouseIOManager = getattr(context.resources, names.warehouse)
        with permanent_errors_as_failures():
            done = export(warehouse.target.loader, place, told=context.log.info)
        return dg.MaterializeResult(
            metadata={
                RELEASE: done.release,
                "medgen/path": done.path,
                ROW_COUNT: done.rows,
                "medgen/bytes": done.size,
                "medgen/tables_written": len(done.written),
                "medgen/tables_kept": len(done.kept),
            }
        )

    return medgen_export
