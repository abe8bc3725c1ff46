"""How each check came out when it was last made, as the instance has it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
    AssetCheckExecutionRecord,
)

from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.keys import table_name


@dataclass(frozen=True)
class Problem:
    """Why a check is not passed."""

    said: str
    is_error: bool = False


@dataclass(frozen=True)
class LastResult:
    """The last that is known of one check.

    Attributes:
        table: Its table.
        name: The asset's and the check's.
        was_made: Whether it ever was.
        problems: Empty where it passed.
    """

    table: str
    name: str
    was_made: bool
    problems: Sequence[Problem]


def last_results(instance: dg.DagsterInstance) -> Iterator[LastResult]:
    """Every check of this environment's definitions, by name."""
    keys = sorted(build_definitions().resolve_asset_graph().asset_check_keys)
    # One query for hundreds of checks.
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    for key in keys:
        record = newest.get(key)
        problems = [Problem(f"not made: {why}")] if (why := _run_that_only_planned(instance, record)) else []
        evaluation = _last_evaluation(instance, key, record)
        if evaluation is not None and not evaluation.passed:
            said = evaluation.description or "no reason given"
            problems.append(Problem(said, evaluation.severity is dg.AssetCheckSeverity.ERROR))
        name = f"{key.asset_key.to_user_string()}: {key.name}"
        yield LastResult(table_name(key.asset_key), name, evaluation is not None, problems)


def counts_by_table(results: Iterable[LastResult]) -> dict[str, str]:
    """For each table that was ever checked, how many of its checks failed, warned and passed."""
    counted: dict[str, Counter[str]] = {}
    for result in results:
        if result.was_made or result.problems:
            outcome = "failed" if any(problem.is_error for problem in result.problems) else "warned"
            counted.setdefault(result.table, Counter())[outcome if result.problems else "passed"] += 1
    outcomes = ("failed", "warned", "passed")
    return {
        table: ", ".join(f"{counts[outcome]} {outcome}" for outcome in outcomes if counts[outcome])
        for table, counts in counted.items()
    }


def _run_that_only_planned(instance: dg.DagsterInstance, record: AssetCheckExecutionRecord | None) -> str:
    """What became of the run that planned the check and did not make it; empty where the check was made."""
    if record is None or record.status.value != "PLANNED":
        return ""
    run = instance.get_run_by_id(record.run_id)
    if run is None:
        return f"run {record.run_id} planned it and was deleted."
    if not run.is_finished:
        return f"run {run.run_id}, which planned it, is {run.status.value}."
    return (
        f"run {run.run_id} planned it and ended with {run.status.value}: its table was not loaded, or something before "
        "it failed. The run says what."
    )


def _last_evaluation(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, record: AssetCheckExecutionRecord | None
) -> dg.AssetCheckEvaluation | None:
    """How the check came out when it was last made."""
    if record is None or record.status in COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES:
        return record and record.evaluation
    made = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES
    )
    return made[0].evaluation if made else None
