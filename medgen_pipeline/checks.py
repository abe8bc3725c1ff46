"""Asset checks. What can be judged before publication is a gate; checks look at what stands in the warehouse.

Asset check concept: https://docs.dagster.io/guides/test/asset-checks.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from medgen_pipeline.catalog import Table
from medgen_pipeline.failures import permanent_errors_as_failures
from medgen_pipeline.io_manager import WarehouseIOManager

DRIFT_CHECK = "production_equals_file"


def build_drift_check(tables: Sequence[Table]) -> dg.AssetChecksDefinition:
    """One check per table, all in one step: a process of its own for each would cost more than the checks."""
    by_key = {dg.AssetKey(["medgen", table.name]): table for table in tables}

    @dg.multi_asset_check(
        name="drift",
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(
                DRIFT_CHECK,
                asset=key,
                description="Count and content of production's rows are those of the files it was made from. Fails "
                "where rows were edited by hand and shows some of them.",
            )
            for key in by_key
        ],
    )
    def drift(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[WarehouseIOManager]
    ) -> Iterator[dg.AssetCheckResult]:
        for check in sorted(context.selected_asset_check_keys):
            yield _check_one(by_key[check.asset_key], check.asset_key, warehouse)

    return drift


def _check_one(table: Table, key: dg.AssetKey, warehouse: WarehouseIOManager) -> dg.AssetCheckResult:
    with permanent_errors_as_failures(), warehouse.target.loader() as loader:
        if loader.last_load(table) is None:
            return dg.AssetCheckResult(
                check_name=DRIFT_CHECK,
                asset_key=key,
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                description="The table was never loaded.",
            )
        drift = loader.find_drift(table)
    metadata: dict[str, dg.MetadataValue | int | bool] = {
        "drift/expected_rows": drift.expected_rows,
        "drift/rows": drift.rows,
        "drift/foreign_rows": drift.foreign_rows,
        "drift/checksum_matches": drift.checksum_matches,
    }
    if drift.sample:
        metadata["drift/rows_written_by_others"] = dg.MetadataValue.json(
            [dict(zip(table.column_names, row, strict=True)) for row in drift.sample]
        )
    return dg.AssetCheckResult(
        check_name=DRIFT_CHECK,
        asset_key=key,
        passed=not drift.found,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
        description=None
        if not drift.found
        else f"{drift.foreign_rows:,} rows were written by others; {drift.rows:,} rows, expected "
        f"{drift.expected_rows:,}. Materialize the table again: it is then compared whole and healed.",
    )
