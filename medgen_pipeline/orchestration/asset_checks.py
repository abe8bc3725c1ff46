"""The checks as Dagster's: which of them share a step.

A step is a process of its own, which costs 2.5 s on a small machine, more than its checks. So all checks of a table
share one, and those across tables another. What is looked at is ``findings``' business.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from medgen_pipeline.catalog import Table
from medgen_pipeline.loading.file_load import undisturbed
from medgen_pipeline.loading.findings import ACROSS_TABLES, Check, Finding, Subject, of_one_table
from medgen_pipeline.orchestration.failures import RETRIES, permanent_errors_as_failures
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import Names

_NEVER_LOADED = Finding(False, "The table was never loaded.")


def build_table_step(table: Table, names: Names) -> dg.AssetChecksDefinition:
    """The checks of one table."""
    return _build_step(table.name, of_one_table(table), {names.table_key(table): table}, names)


def build_shared_step(tables: Sequence[Table], names: Names) -> dg.AssetChecksDefinition:
    """The checks that read across tables, each after the tables that it reads."""
    return _build_step("across_tables", ACROSS_TABLES, {names.table_key(table): table for table in tables}, names)


def _build_step(
    of: str, checks: Sequence[Check], tables: Mapping[dg.AssetKey, Table], names: Names
) -> dg.AssetChecksDefinition:
    key_of = {table.name: key for key, table in tables.items()}
    chosen = {(key, check.name): check for key, table in tables.items() for check in checks if check.applies(table)}

    def read_too(key: dg.AssetKey) -> list[dg.AssetKey]:
        return sorted({key_of[reference.to_table] for reference in tables[key].references} - {key})

    @dg.multi_asset_check(
        name=names.check_step(of),
        can_subset=True,
        retry_policy=RETRIES,
        pool=names.warehouse,
        required_resource_keys={names.warehouse},
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=key,
                description=check.description,
                blocking=check.blocking,
                additional_deps=read_too(key) if checks is ACROSS_TABLES else [],
            )
            for (key, _), check in chosen.items()
        ],
    )
    def step(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        warehouse: WarehouseIOManager = getattr(context.resources, names.warehouse)
        selected = [check for check in chosen if dg.AssetCheckKey(*check) in context.selected_asset_check_keys]
        with permanent_errors_as_failures(), warehouse.target.loader() as loader:
            subjects = {key: Subject(loader, tables[key]) for key, _ in selected}
            for key, check_name in selected:
                yield _result(chosen[key, check_name], key, subjects[key])

    return step


def _result(check: Check, key: dg.AssetKey, subject: Subject) -> dg.AssetCheckResult:
    loaded = subject.last_load is not None
    finding = _find(check, subject) if loaded else _NEVER_LOADED
    is_error = (check.is_error if finding.is_error is None else finding.is_error) and loaded
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=check.name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=finding.description,
        metadata={
            name: dg.MetadataValue.json(value) if isinstance(value, list) else value
            for name, value in finding.metrics.items()
        },
    )


def _find(check: Check, subject: Subject) -> Finding:
    try:
        return check.find(subject)
    except dg.DagsterExecutionInterruptedError:
        # Closing the connection does not end the statement that the backend is at work on.
        with undisturbed():
            subject.loader.cancel()
        raise
