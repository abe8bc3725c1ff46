"""What happens when an asset is not made: a message in the run's log, and a notifier that users replace by their own.

The same where it is made and a check that blocks has failed, or its checks could not be made.

The hook is on every asset, so that it fires wherever one is materialized: by the sensor, a schedule, the UI or the
command line. It runs in the step's own process and needs no daemon. A process that is killed calls no hook.

The hook also keeps Dagster's run retries, where they are on, from running again what cannot succeed: ``allow_retries``
of a failure speaks to the step's own retries only, and Dagster asks for the run's tag when the run has ended.

Hook concept: https://docs.dagster.io/guides/build/ops/op-hooks.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError  # what a step ends with whose blocking check has failed
from pydantic import Field

from medgen_pipeline.catalog import SourceTable, Table
from medgen_pipeline.errors import SettingError
from medgen_pipeline.orchestration.asset_checks import CHECKING
from medgen_pipeline.orchestration.failures import one_line
from medgen_pipeline.orchestration.keys import OVERRIDE, RELEASE_TAG, Names, step_name
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.release import SourceError

NEXT_IF_PERMANENT = "correct what the error names, then materialize again."
NEXT_IF_WRONG = "see what the check says. Nothing downstream of the table was made in this run."
NEXT_IF_NOT_CHECKED = "the table is as it is; make its checks again when the cause is gone."
NEXT_IF_TRANSIENT = "nothing if the sensor is on: it requests another run. Otherwise materialize again later."
NOT_MADE = "was not made"
NOT_CHECKED = "could not be checked"
FOUND_WRONG = "failed a check that blocks"
_RUN_RETRIES = "dagster/retry_on_asset_or_op_failure"


@dataclass(frozen=True)
class LoadFailure:
    """One asset that was not made, or that was made and is not as it should be.

    Attributes:
        asset: Its key, with slashes.
        release: The release that was to be loaded, as far as it is known.
        run_id: Dagster's.
        job: The run's job.
        cause: The error's message in one line.
        next_action: What to do.
        outcome: What became of the asset.
    """

    asset: str
    release: str
    run_id: str
    job: str
    cause: str
    next_action: str
    outcome: str = NOT_MADE

    def __str__(self) -> str:
        """The failure as a line of a log."""
        return (
            f"{self.asset} {self.outcome}. Release: {self.release}. Run: {self.run_id} ({self.job}). "
            f"Cause: {self.cause} Next: {self.next_action}"
        )


class FailureNotifier(dg.ConfigurableResource[Any]):
    """Told of each asset that was not made, not checked, or that failed a check that blocks.

    This one does nothing more: the run's log has the message already.

    To send mail or write to a chat, subclass it and pass ``resources={"medgen_notifier": ...}`` to
    ``build_definitions``.
    """

    # A resource needs a field: of a model without any, Dagster 1.13.27 asks pydantic for a deprecated attribute.
    enabled: bool = Field(default=True, description="False: failures are in the run's log only.")

    def notify(self, failure: LoadFailure) -> None:
        """Pass the failure on. An error in here is logged and changes nothing for the run."""
        del failure


def build_failure_hook(tables: Sequence[Table], names: Names) -> dg.HookDefinition:
    """The hook of an instance's assets; a host may put it on its own, too."""
    by_step = {step_name(names.table_key(table)): table for table in tables}

    sources = {names.of_source(table.source).resource for table in tables if isinstance(table, SourceTable)}

    @dg.failure_hook(name=f"{names.name_prefix}tell_of_failure", required_resource_keys={names.notifier, *sources})
    def tell_of_failure(context: dg.HookContext) -> None:
        """Log what failed, of which release, and what to do; rule out run retries in vain; then tell the notifier."""
        table, error = by_step.get(context.step_key), context.op_exception
        notifier: FailureNotifier = getattr(context.resources, names.notifier)
        failure = LoadFailure(
            asset=(names.table_key(table) if table else dg.AssetKey(context.step_key.split("__"))).to_user_string(),
            release=_release(context, table, error, names),
            run_id=context.run_id,
            job=context.job_name,
            cause=_cause(error),
            next_action=_next_action(error),
            outcome=_outcome(error),
        )
        context.log.error(str(failure), extra={"medgen_failure": asdict(failure)})
        if isinstance(error, dg.Failure) and not error.allow_retries:
            context.instance.add_run_tags(context.run_id, {_RUN_RETRIES: "false"})
        if notifier.enabled:
            notifier.notify(failure)

    return tell_of_failure


def _release(context: dg.HookContext, table: Table | None, error: BaseException | None, names: Names) -> str:
    """The release the run was asked for, or else the one of the file that was fetched for it."""
    run = context.instance.get_run_by_id(context.run_id)
    if run and RELEASE_TAG in run.tags:
        return run.tags[RELEASE_TAG]
    if not isinstance(table, SourceTable):
        return "not known"
    not_fetched = (SourceError, SettingError)
    source: MedgenSource = getattr(context.resources, names.of_source(table.source).resource)
    fetched = not isinstance(error, not_fetched) and not isinstance(error and error.__cause__, not_fetched)
    release = source.release_source().last_release(table) if fetched else None
    return release or "not known, its file was not fetched"


def _outcome(error: BaseException | None) -> str:
    if isinstance(error, DagsterAssetCheckFailedError):
        return FOUND_WRONG
    notes = [*getattr(error, "__notes__", ()), *getattr(error and error.__cause__, "__notes__", ())]
    return NOT_CHECKED if CHECKING in notes else NOT_MADE


def _cause(error: BaseException | None) -> str:
    if isinstance(error, dg.Failure) and error.description:
        return one_line(error.description)
    if isinstance(error, DagsterAssetCheckFailedError):
        return one_line(f"{error}.")
    return one_line(f"{type(error).__name__}: {error}")


def _next_action(error: BaseException | None) -> str:
    if isinstance(error, DagsterAssetCheckFailedError):
        return NEXT_IF_WRONG
    if _outcome(error) == NOT_CHECKED:
        return NEXT_IF_NOT_CHECKED
    if isinstance(error, dg.Failure):
        if OVERRIDE in error.metadata:
            return "look at what changed; if the release is right, materialize again with the run config in the error."
        return NEXT_IF_PERMANENT
    return NEXT_IF_TRANSIENT
