"""What Dagster's instance knows of the assets, as ``decision`` asks for it. Nothing is decided here."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from medgen_pipeline.orchestration.failures import one_line, reason_of
from medgen_pipeline.orchestration.keys import CLOSED_GATES, SOURCE_URL, SOURCE_VERSION, step_name, table_name
from medgen_pipeline.orchestration.release_sensor import words
from medgen_pipeline.orchestration.release_sensor.cursor import Asked
from medgen_pipeline.orchestration.release_sensor.decision import Failure
from medgen_pipeline.release import FileVersion

_RUN_KEY_TAG = "dagster/run_key"
_NOT_FINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class AssetRecords:
    """The assets of a code location and what an instance has recorded of them. Read when asked for, and then once."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        repository: dg.RepositoryDefinition,
        pins: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Nothing is read yet. ``pins`` reads from the warehouse which tables are pinned, and to what."""
        self._instance = instance
        self._read_pins = pins
        self._repository = repository
        self._graph = repository.asset_graph
        self._failures: dict[str, tuple[dg.DagsterRun | None, dict[str, Failure]]] = {}

    @cached_property
    def _newest(self) -> dict[dg.AssetKey, tuple[int, dg.AssetMaterialization]]:
        """Each asset's newest materialization and its storage id."""
        entries = [
            record.asset_entry for record in self._instance.get_asset_records([*self._graph.get_all_asset_keys()])
        ]
        return {
            entry.asset_key: (entry.last_materialization_storage_id, entry.last_materialization.asset_materialization)
            for entry in entries
            if entry.last_materialization_storage_id
            and entry.last_materialization
            and entry.last_materialization.asset_materialization
        }

    def has(self, asset: str) -> bool:
        return self._graph.has(_key(asset))

    def state(self, asset: str) -> str:
        newest = self._newest.get(_key(asset))
        return str(newest[0]) if newest else "never made"

    def version(self, asset: str) -> FileVersion | None:
        text = self._metadata(asset, SOURCE_VERSION)
        return FileVersion.parse(text) if text else None

    def url(self, asset: str) -> str | None:
        return self._metadata(asset, SOURCE_URL)

    @cached_property
    def _pins(self) -> Mapping[str, str]:
        return self._read_pins()

    def pinned(self, asset: str) -> str:
        return self._pins.get(table_name(_key(asset)), "")

    def _metadata(self, asset: str, name: str) -> str | None:
        newest = self._newest.get(_key(asset))
        value = newest[1].metadata.get(name) if newest else None
        return str(value.value) if value else None

    def reported(self, key: dg.AssetKey) -> str | None:
        """The data version with which a file was last reported."""
        newest = self._newest.get(key)
        return (newest[1].tags or {}).get("dagster/data_version") if newest else None

    def downstream(self, assets: Iterable[str]) -> set[str]:
        """See ``decision.Loaded``.

        Of partitions only their author knows which one. What needs an asset that no run has made, such as a table of
        a source that is not loaded yet, is made in the run that makes that.
        """
        selection = dg.AssetSelection.assets(*map(_key, assets)).downstream().materializable()
        found = {key for key in selection.resolve(self._graph) if self._graph.get(key).partitions_def is None}
        while early := {key for key in found if not self._can_be_made(key, found)}:
            found -= early
        return {key.to_user_string() for key in found}

    def _can_be_made(self, key: dg.AssetKey, with_others: Collection[dg.AssetKey]) -> bool:
        parents = (self._graph.get(parent) for parent in self._graph.get(key).parent_keys)
        return all(
            parent.key in with_others or parent.key in self._newest or not parent.is_materializable
            for parent in parents
        )

    def run_under_way(self, assets: Iterable[str]) -> str:
        affected = set(map(_key, assets))
        for record in self._instance.get_run_records(dg.RunsFilter(statuses=_NOT_FINISHED)):
            run = record.dagster_run
            if affected & self._assets_of(run):
                return words.under_way(run.run_id, run.job_name, run.status.value, record.create_timestamp)
        return ""

    def _assets_of(self, run: dg.DagsterRun) -> set[dg.AssetKey]:
        if run.asset_selection:
            return set(run.asset_selection)
        if run.asset_check_selection or not self._repository.has_job(run.job_name):
            return set()
        return set(self._repository.get_job(run.job_name).asset_layer.selected_asset_keys)

    def failed_checks(self, except_of: Iterable[str]) -> Iterator[tuple[str, str]]:
        others = set(map(_key, except_of))
        blocking = [
            check
            for check in sorted(self._graph.asset_check_keys)
            if check.asset_key not in others and self._graph.get(check).blocking
        ]
        newest = self._instance.event_log_storage.get_latest_asset_check_execution_by_key(blocking)
        for check in blocking:
            if check in newest and self._fails(newest[check]):
                yield check.name, check.asset_key.to_user_string()

    @staticmethod
    def _fails(record: AssetCheckExecutionRecord) -> bool:
        event = record.event.dagster_event if record.event else None
        if event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            return False
        evaluation = event.asset_check_evaluation_data
        return not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR

    def checks_of(self, keys: Collection[dg.AssetKey], job: str) -> list[dg.AssetCheckKey]:
        """The checks that the job makes of these assets; Dagster would take those as well that the job leaves out."""
        checks = self._repository.get_job(job).asset_layer.asset_graph.asset_check_keys
        return sorted(check for check in checks if check.asset_key in keys)

    def failure(self, asset: str, asked: Asked) -> Failure:
        """Why the run that was asked for did not make the asset."""
        if asked.run_key not in self._failures:
            self._failures[asked.run_key] = self._failures_of(asked.run_key)
        run, failures = self._failures[asked.run_key]
        if run is None:
            return Failure("its run was never started.")
        found = failures.get(step_name(_key(asset))) or failures.get("")
        return found or Failure(f"run {run.run_id} is {run.status.value} without it.")

    def _failures_of(self, run_key: str) -> tuple[dg.DagsterRun | None, dict[str, Failure]]:
        """A run and why its steps failed, by step key; why the run as a whole did where no step is to blame."""
        records = self._instance.get_run_records(dg.RunsFilter(tags={_RUN_KEY_TAG: run_key}), limit=1)
        if not records:
            return None, {}
        run = records[0].dagster_run
        failures = {}
        for entry in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
            if entry.dagster_event and entry.dagster_event.step_key:
                data = entry.dagster_event.step_failure_data
                said = data.user_failure_data
                failures[entry.dagster_event.step_key] = Failure(
                    f"run {run.run_id} failed with: {reason_of(data)}",
                    final=bool(said and CLOSED_GATES in said.metadata),
                )
        for entry in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
            if entry.dagster_event and (error := entry.dagster_event.job_failure_data.error):
                failures[""] = Failure(f"run {run.run_id} failed with: {one_line(error.message)}")
        return run, failures


def _key(asset: str) -> dg.AssetKey:
    return dg.AssetKey.from_user_string(asset)
