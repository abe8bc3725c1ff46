"""The asset of the pages that say what each release changed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from medgen_pipeline.access.report.facts import FirstReleaseError, gather
from medgen_pipeline.access.report.page import write_page
from medgen_pipeline.catalog import Table
from medgen_pipeline.errors import PermanentError
from medgen_pipeline.orchestration.assets.exports import exported
from medgen_pipeline.orchestration.failures import permanent_errors_as_failures
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import RELEASE, Names
from medgen_pipeline.orchestration.metadata import report_metadata

LATEST = "latest.html"


def build_report_asset(
    folder: str, tables: Sequence[Table], names: Names, automation: dg.AutomationCondition[Any] | None = None
) -> dg.AssetsDefinition:
    """The asset of the pages in ``folder``; the other arguments are those of ``exported``."""

    @exported(
        *("report", folder, tables, names, automation),
        output_required=False,  # there is none of the first release
        kinds={"html"},
        description="A page of what the newest release has changed, as one HTML file: its name is the release's, and "
        f"`{LATEST}` is the newest one. Another release, or several at once: `medgen report`.",
    )
    def medgen_report(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        warehouse: WarehouseIOManager = getattr(context.resources, names.warehouse)
        with permanent_errors_as_failures():
            try:
                with warehouse.target.loader() as loader:
                    found = gather(loader)
            except FirstReleaseError as error:
                context.log.info(f"No page: {error}")
                return
            place = Path(folder).expanduser().absolute()
            try:
                place.mkdir(parents=True, exist_ok=True)
                size = write_page(found, place / f"{found.until}.html")
                write_page(found, place / LATEST)
            except OSError as error:
                raise PermanentError(
                    f"MEDGEN_REPORTS is {folder}, and no page can be written there: {error}"
                ) from error
        page = dg.MetadataValue.path(place / f"{found.until}.html")
        yield dg.MaterializeResult(
            metadata={RELEASE: found.until, "medgen/path": page, "medgen/bytes": size, **report_metadata(found)}
        )

    return medgen_report
