"""The checks as Dagster's: in the step of the table's asset, once the table is published.

A step is a process of its own, which costs more than most checks. So the checks of a table are made by the step that
loads it, and by the same step without a load where only checks are asked for. Those that read other tables share one
more step, which nothing waits for. What is looked at is ``loading.findings``' business.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES

from medgen_pipeline.catalog import Table
from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loading.answers import LAST_LOOK, LOOKED_AT, answer
from medgen_pipeline.loading.checks import ACROSS_TABLES, Check, of_one_table
from medgen_pipeline.loading.load import undisturbed
from medgen_pipeline.loading.subject import Finding, Subject
from medgen_pipeline.orchestration.failures import RETRIES, permanent_errors_as_failures
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import Names

CHECKING = "This was found when checking the table, not when loading it."
"""A note of errors that say nothing of a load."""

# As many evaluations are looked through for one that a run may take for its own: those of check_medgen are none.
_RECORDS = 10
_NEVER_LOADED = Finding(False, "The table was never loaded.")

_Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


def specs_of(table: Table, names: Names) -> list[dg.AssetCheckSpec]:
    """The checks that the step of a table's asset makes."""
    return [_spec(table, check, names) for check in of_one_table(table)]


def _spec(table: Table, check: Check, names: Names, read_too: Iterable[Table] = ()) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        check.name,
        asset=names.table_key(table),
        description=check.description,
        blocking=check.blocking,
        additional_deps=[names.table_key(other) for other in read_too],
    )


def is_to_load(context: dg.AssetExecutionContext) -> bool:
    """Whether the step of an asset is to load its table: not where it is only to make checks.

    Nor where an earlier try of the step has loaded it, and failed with the checks.
    """
    if not context.selected_asset_keys:
        return False
    if not context.retry_number:
        return True
    made = context.instance.get_latest_materialization_event(context.asset_key)
    return made is None or made.run_id != context.run.run_id


def check_table(context: dg.AssetExecutionContext, table: Table, names: Names) -> Iterator[dg.AssetCheckResult]:
    """Make those checks of ``table`` that the run asks for."""
    return _results(context, [(table, check) for check in of_one_table(table)], names)


def build_shared_step(tables: Sequence[Table], names: Names) -> dg.AssetChecksDefinition:
    """The checks that read across tables, each after the tables that it reads."""
    wanted = [(table, check) for table in tables for check in ACROSS_TABLES if check.applies(table)]

    def read_by(table: Table) -> list[Table]:
        named = {reference.to_table for reference in table.references} - {table.name}
        return [other for other in tables if other.name in named]

    @dg.multi_asset_check(
        name=names.shared_check_step,
        can_subset=True,
        retry_policy=RETRIES,
        pool=names.warehouse,
        required_resource_keys={names.warehouse},
        specs=[_spec(table, check, names, read_by(table)) for table, check in wanted],
    )
    def across_tables(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        yield from _results(context, wanted, names)

    return across_tables


def _results(context: _Context, wanted: Sequence[tuple[Table, Check]], names: Names) -> Iterator[dg.AssetCheckResult]:
    warehouse: WarehouseIOManager = getattr(context.resources, names.warehouse)
    asked = context.selected_asset_check_keys
    selected = [one for one in wanted if dg.AssetCheckKey(names.table_key(one[0]), one[1].name) in asked]
    if not selected:
        return
    with permanent_errors_as_failures(), _noted_as_checking(), warehouse.target.loader() as loader:
        subjects = {table.name: Subject(loader, table, context.run.run_id) for table, _ in selected}
        for table, check in selected:
            key = dg.AssetCheckKey(names.table_key(table), check.name)
            yield _result(check, key, subjects[table.name], partial(_recorded, context.instance, key))


@contextmanager
def _noted_as_checking() -> Iterator[None]:
    try:
        yield
    except MedgenError as error:
        error.add_note(CHECKING)
        raise


def _recorded(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> Iterator[Finding]:
    """What the check found before, the newest first, of those looks that a later run may take for its own."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=_RECORDS, status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES
    )
    for evaluation in (record.evaluation for record in records):
        if evaluation and LOOKED_AT in evaluation.metadata:
            metrics = {name: value.value for name, value in evaluation.metadata.items()}
            is_error = evaluation.severity is dg.AssetCheckSeverity.ERROR
            yield Finding(evaluation.passed, evaluation.description, metrics, is_error)


def _result(
    check: Check, key: dg.AssetCheckKey, subject: Subject, recall: Callable[[], Iterable[Finding]]
) -> dg.AssetCheckResult:
    loaded = subject.last_load is not None
    finding = _find(check, subject, recall) if loaded else _NEVER_LOADED
    is_error = (check.is_error if finding.is_error is None else finding.is_error) and loaded
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=check.name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=finding.description,
        metadata={name: _shown(name, value) for name, value in finding.metrics.items()},
    )


def _shown(name: str, value: Any) -> Any:
    if name == LAST_LOOK:
        return dg.MetadataValue.dagster_run(value)
    return dg.MetadataValue.json(value) if isinstance(value, list | dict) else value


def _find(check: Check, subject: Subject, recall: Callable[[], Iterable[Finding]]) -> Finding:
    try:
        return answer(check, subject, recall)
    except dg.DagsterExecutionInterruptedError:
        # Closing the connection does not end the statement that the backend is at work on.
        with undisturbed():
            subject.loader.cancel()
        raise
