"""The sensor that follows NCBI: it looks at the source, waits until a release is complete, and asks for one run.

Here is the decision; what is published is found out by ``release.probe``, and what is loaded is what Dagster's own
materializations say. Nothing is loaded twice because the cursor was reset or somebody loaded a table by hand: the
version published is compared with the version loaded, and the cursor only keeps times and attempts.

Sensor concept: https://docs.dagster.io/guides/automate/sensors.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import dagster as dg

from medgen_pipeline.catalog import TABLES, SourceTable
from medgen_pipeline.errors import TransientError
from medgen_pipeline.orchestration.assets.tables import table_key
from medgen_pipeline.orchestration.failures import CLOSED_GATES, one_line, reason_of
from medgen_pipeline.orchestration.io_manager import MedgenSource
from medgen_pipeline.orchestration.jobs import REFRESH_JOB
from medgen_pipeline.orchestration.metadata import ATTEMPT_TAG, RELEASE_SPAN_TAG, RELEASE_TAG, file_metadata
from medgen_pipeline.release import (
    RELEASE_WINDOW,
    ConnectionsInUseError,
    FileVersion,
    Look,
    ReleaseSource,
    SourceMemory,
)

SENSOR_NAME = "new_release_sensor"
INTERVAL_MINUTES = 15.0

# How long after a request the next one for the same versions may follow; the number of requests is one more.
RETRY_AFTER = (timedelta(minutes=15), timedelta(hours=3))

_RUN_KEY_TAG = "dagster/run_key"
_TOLERATED_SKEW = timedelta(minutes=5)
_NOT_FINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


_TABLE_OF = {table_key(table): table for table in TABLES}


def build_release_sensor(minutes: float = INTERVAL_MINUTES) -> dg.SensorDefinition:
    """The sensor, with a tick every so many minutes."""

    @dg.sensor(
        name=SENSOR_NAME,
        job_name=REFRESH_JOB,
        minimum_interval_seconds=max(round(minutes * 60), 1),
        description="Looks for a new release, waits until NCBI has finished publishing it, and starts one run of the "
        "tables whose files changed and of what hangs on them. A run that fails is asked for again, "
        f"{len(RETRY_AFTER) + 1} times in all.",
    )
    def new_release_sensor(context: dg.SensorEvaluationContext, source: MedgenSource) -> dg.SensorResult:
        return follow_source(context, source, datetime.now(UTC).replace(microsecond=0))

    return new_release_sensor


def follow_source(context: dg.SensorEvaluationContext, source: MedgenSource, now: datetime) -> dg.SensorResult:
    """Look at the source and decide what to ask for.

    Args:
        context: Of the tick.
        source: The resource.
        now: By our own clock.

    Raises:
        PermanentError: Somebody must change something; the message says what. The tick fails and the cursor stays.
    """
    place = source.release_source()
    cursor = Cursor.read(context.cursor, place.url, now)
    if context.cursor and not cursor.asked and not cursor.memory.files:
        context.log.info("the cursor says nothing of %s; starting afresh", place.url)
    try:
        seen = place.look(TABLES, cursor.memory, now)
    except ConnectionsInUseError as error:
        return cursor.skip(f"{error} The next tick looks again.")
    except TransientError as error:
        cursor = replace(cursor, memory=cursor.memory.unreachable(now))
        return cursor.skip(
            f"{error} Unreachable since {cursor.memory.unreachable_since:%Y-%m-%d %H:%M} UTC. Nothing was asked for; "
            "the next tick looks again."
        )
    cursor = replace(cursor, memory=seen.memory)
    return _Tick(context, source, place, cursor, now, [*_remarks(seen, place.url)]).result()


def _remarks(seen: Look, url: str) -> Iterator[str]:
    """What is odd about the source, and no reason to stop following it."""
    if seen.unreadable:
        yield (
            f"The listing at {url} cannot be read, so every file was asked for by itself. NCBI may have changed it: "
            "look at the page, and for a newer medgen_pipeline."
        )
    if seen.skew and abs(seen.skew) > _TOLERATED_SKEW:
        yield (
            f"The clocks of this machine and of {url} differ by {abs(seen.skew) / timedelta(minutes=1):.0f} minutes. "
            "Waiting is measured on this machine's; set it right."
        )


@dataclass(frozen=True)
class Asked:
    """What was asked for an asset, and how often.

    Attributes:
        state: A table's version, or the storage id of another asset's newest materialization at that time: as long as
            that has not changed, what was asked for has not come about.
        attempts: Requests for this state.
        at: Time of the last one.
        run_key: Of the last one.
    """

    state: str
    attempts: int
    at: str
    run_key: str


@dataclass(frozen=True)
class Cursor:
    """What the sensor remembers from tick to tick; JSON, described in docs/schedule.md."""

    memory: SourceMemory
    asked: Mapping[str, Asked] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, source: str, now: datetime) -> "Cursor":
        """The cursor of this source; an empty one where the text is damaged or of another source."""
        try:
            fields = json.loads(text or "{}")
            cursor = cls(
                memory=SourceMemory.of_fields(fields),
                asked={key: Asked(**asked) for key, asked in fields["asked"].items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            cursor = cls(SourceMemory("", now))
        return cursor if cursor.memory.source == source else cls(SourceMemory(source, now))

    def write(self) -> str:
        """The cursor as text."""
        asked = {key: asdict(asked) for key, asked in self.asked.items()}
        return json.dumps({**self.memory.fields(), "asked": asked}, indent=1)

    def skip(self, reason: str) -> dg.SensorResult:
        """The result of a tick that asks for nothing."""
        return dg.SensorResult(skip_reason=reason, cursor=self.write())


class _Tick:
    """One decision: what is published, what is loaded, what was asked for already."""

    def __init__(
        self,
        context: dg.SensorEvaluationContext,
        source: MedgenSource,
        place: ReleaseSource,
        cursor: Cursor,
        now: datetime,
        notes: list[str],
    ) -> None:
        self._context = context
        self._instance = context.instance
        self._source = source
        self._place = place
        self._cursor = cursor
        self._memory = cursor.memory
        self._now = now
        if context.repository_def is None:
            raise dg.DagsterInvariantViolationError(f"{SENSOR_NAME}: the tick's context has no repository.")
        self._graph = context.repository_def.asset_graph
        self._repository = context.repository_def
        self._notes = notes
        self._failures: dict[str, tuple[dg.DagsterRun | None, dict[str, _Failure]]] = {}

    def result(self) -> dg.SensorResult:
        """The tick's outcome."""
        self._note_missing_files()
        self._forget_what_came_about()
        pending = {table_key(table): table for table in TABLES if self._is_pending(table)}
        wanted = [*pending, *self._left_behind()]
        if not wanted:
            files = sum(1 for table in TABLES if self._memory.version_of(table))
            return self._skip(f"Nothing new: {files} files at {self._place.url} are as loaded.")
        if waiting := self._publication_under_way():
            return self._skip(waiting)
        if running := self._run_under_way(wanted):
            return self._skip(running)
        chosen = self._held_back([key for key in wanted if self._may_be_asked_for(key, pending.get(key))], pending)
        keys = self._without_those_behind_a_failed_check(self._with_what_hangs_on(chosen))
        if not keys:
            return self._skip("")
        return self._request({key: pending[key] for key in chosen if key in pending}, chosen, sorted(keys))

    # --- what is published and loaded ----------------------------------------------------------------------------

    def _note_missing_files(self) -> None:
        for table in TABLES:
            sighting = self._memory.files.get(table.file_name)
            if sighting and sighting.version is None:
                self._notes.append(
                    f"{table.file_name} has been missing since {sighting.since:%Y-%m-%d %H:%M} UTC; {table.name} stays "
                    "as it is. If NCBI renamed the file, look for a newer medgen_pipeline."
                )
        if absent := [table.file_name for table in TABLES if table.file_name not in self._memory.files]:
            self._notes.append(f"The source never had {', '.join(absent)}.")

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

    def _materialization(self, key: dg.AssetKey) -> dg.AssetMaterialization | None:
        return self._newest[key][1] if key in self._newest else None

    def _is_pending(self, table: SourceTable) -> bool:
        published, loaded = self._memory.version_of(table), self._loaded(table)
        return (
            published is not None and not (loaded and published.matches(loaded)) and self._graph.has(table_key(table))
        )

    def _loaded(self, table: SourceTable) -> FileVersion | None:
        """The version that production was last made from, by Dagster's record."""
        made = self._materialization(table_key(table))
        value = made.metadata.get("medgen/source_version") if made else None
        return FileVersion.parse(str(value.value)) if value else None

    def _went_back(self, table: SourceTable) -> bool:
        """Whether the published file is older than the loaded one, both from the same source."""
        made, loaded = self._materialization(table_key(table)), self._loaded(table)
        published = self._memory.version_of(table)
        if made is None or loaded is None or published is None or published.modified >= loaded.modified:
            return False
        return made.metadata["medgen/source_url"].value == self._place.url_of(table)

    def _left_behind(self) -> list[dg.AssetKey]:
        """Assets that hang on tables, were asked for, and were not made: their own step or one before it failed."""
        keys = map(dg.AssetKey.from_user_string, self._cursor.asked)
        return [key for key in keys if key not in _TABLE_OF]

    def _forget_what_came_about(self) -> None:
        still_open = {
            text: asked
            for text, asked in self._cursor.asked.items()
            if self._asked(key := dg.AssetKey.from_user_string(text), _TABLE_OF.get(key)) and self._graph.has(key)
        }
        self._cursor = replace(self._cursor, asked=still_open)

    def _state(self, key: dg.AssetKey) -> str:
        return str(self._newest[key][0]) if key in self._newest else "never made"

    # --- whether it is time --------------------------------------------------------------------------------------

    def _publication_under_way(self) -> str:
        name, last = max(self._memory.files.items(), key=lambda item: item[1].since)
        until = last.since + self._source.quiet
        if until <= self._now:
            return ""
        return (
            f"A release is being published, as it seems: {name} changed at {last.since:%H:%M} UTC. It is complete when "
            f"no file has changed for {self._source.quiet / timedelta(minutes=1):g} minutes, at {until:%H:%M} UTC."
        )

    def _run_under_way(self, wanted: Iterable[dg.AssetKey]) -> str:
        affected = set(wanted)
        for record in self._instance.get_run_records(dg.RunsFilter(statuses=_NOT_FINISHED)):
            run = record.dagster_run
            if affected & self._assets_of(run):
                return (
                    f"Run {run.run_id} ({run.job_name}, {run.status.value}) has been at work on what changed since "
                    f"{record.create_timestamp:%Y-%m-%d %H:%M} UTC. If it hangs, terminate it; run monitoring in "
                    "dagster.yaml does so by itself."
                )
        return ""

    def _assets_of(self, run: dg.DagsterRun) -> set[dg.AssetKey]:
        if run.asset_selection:
            return set(run.asset_selection)
        if run.asset_check_selection or not self._repository.has_job(run.job_name):
            return set()
        return set(self._repository.get_job(run.job_name).asset_layer.selected_asset_keys)

    def _may_be_asked_for(self, key: dg.AssetKey, table: SourceTable | None) -> bool:
        """Whether nothing speaks against it; what does is noted."""
        if table and self._went_back(table):
            stood = max(self._memory.files[table.file_name].since, self._memory.began)
            until = stood + timedelta(hours=self._source.rollback_hours)
            if until > self._now:
                self._notes.append(
                    f"{table.file_name} went back in time: {self._memory.version_of(table)} is published and "
                    f"{self._loaded(table)} is loaded. It is followed if that is still so at {until:%Y-%m-%d %H:%M} "
                    f"UTC; to follow at once, materialize {key.to_user_string()}."
                )
                return False
        asked = self._asked(key, table)
        if asked is None:
            return True
        failure = self._failure(key, asked)
        name = key.to_user_string()
        if failure.final:
            self._notes.append(f"{name} is not asked for again: {failure.text} Correct it and materialize {name}.")
            return False
        if asked.attempts > len(RETRY_AFTER):
            self._notes.append(
                f"{name} was asked for {asked.attempts} times and is given up: {failure.text} Materialize {name} when "
                "the cause is gone; the next release is followed anyway."
            )
            return False
        at = datetime.fromisoformat(asked.at)
        due = at + RETRY_AFTER[asked.attempts - 1]
        if at <= self._now < due:  # before that time, our clock was put back
            self._notes.append(f"{name} is asked for again from {due:%Y-%m-%d %H:%M} UTC: {failure.text}")
            return False
        return True

    def _asked(self, key: dg.AssetKey, table: SourceTable | None) -> Asked | None:
        """What was asked for, if that is what is wanted now."""
        asked = self._cursor.asked.get(key.to_user_string())
        state = str(self._memory.version_of(table)) if table else self._state(key)
        met = table is not None and not self._is_pending(table)
        return asked if asked and asked.state == state and not met else None

    def _failure(self, key: dg.AssetKey, asked: Asked) -> "_Failure":
        """Why the run that was asked for did not make the asset."""
        if asked.run_key not in self._failures:
            self._failures[asked.run_key] = self._failures_of(asked.run_key)
        run, failures = self._failures[asked.run_key]
        if run is None:
            return _Failure("its run was never started.")
        found = failures.get("__".join(key.path)) or failures.get("")
        return found or _Failure(f"run {run.run_id} is {run.status.value} without it.")

    def _failures_of(self, run_key: str) -> "tuple[dg.DagsterRun | None, dict[str, _Failure]]":
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
                failures[entry.dagster_event.step_key] = _Failure(
                    f"run {run.run_id} failed with: {reason_of(data)}",
                    final=bool(said and CLOSED_GATES in said.metadata),
                )
        for entry in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
            if entry.dagster_event and (error := entry.dagster_event.job_failure_data.error):
                failures[""] = _Failure(f"run {run.run_id} failed with: {one_line(error.message)}")
        return run, failures

    def _held_back(
        self, chosen: Sequence[dg.AssetKey], pending: Mapping[dg.AssetKey, SourceTable]
    ) -> list[dg.AssetKey]:
        """Without what hangs on a table that is out of date and stays so for now."""
        stale = self._with_what_hangs_on([key for key in pending if key not in chosen])
        return [key for key in chosen if key in pending or key not in stale]

    def _with_what_hangs_on(self, keys: Iterable[dg.AssetKey]) -> set[dg.AssetKey]:
        """The assets and those downstream that a run can make. Of partitions only their author knows which one."""
        found = dg.AssetSelection.assets(*keys).downstream().materializable().resolve(self._graph)
        return {key for key in found if self._graph.get(key).partitions_def is None}

    def _without_those_behind_a_failed_check(self, keys: set[dg.AssetKey]) -> set[dg.AssetKey]:
        """Without what hangs on a table whose blocking check has failed and is not made again in the same run.

        Dagster lets a blocking check stop what is downstream in its own run alone.
        """
        left = set(keys)
        for check in sorted(self._graph.asset_check_keys):
            if check.asset_key in keys or not self._graph.get(check).blocking:
                continue
            hanging = (left & self._with_what_hangs_on([check.asset_key])) - _TABLE_OF.keys()
            if hanging and self._fails(check):
                left -= hanging
                self._notes.append(
                    f"{', '.join(key.to_user_string() for key in sorted(hanging))} is held back by the check "
                    f"{check.name} of {check.asset_key.to_user_string()}, which failed. Correct and materialize that."
                )
        return left

    def _fails(self, check: dg.AssetCheckKey) -> bool:
        record = self._instance.get_latest_asset_check_evaluation_record(check)
        event = record.event.dagster_event if record and record.event else None
        if event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            return False
        evaluation = event.asset_check_evaluation_data
        return not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR

    # --- the outcome ---------------------------------------------------------------------------------------------

    def _skip(self, reason: str) -> dg.SensorResult:
        return self._cursor.skip(" ".join([reason, *self._notes]).strip())

    def _request(
        self,
        tables: Mapping[dg.AssetKey, SourceTable],
        chosen: Sequence[dg.AssetKey],
        keys: Sequence[dg.AssetKey],
    ) -> dg.SensorResult:
        """One run of ``keys``, which are the chosen assets and what hangs on them, and the files' new versions."""
        versions = {table: version for table in tables.values() if (version := self._memory.version_of(table))}
        states = {key: self._state(key) for key in keys}
        states |= {table_key(table): str(version) for table, version in versions.items()}
        before = {key: last for key in chosen if (last := self._asked(key, tables.get(key)))}
        attempt = 1 + max((last.attempts for last in before.values()), default=0)
        published = versions.values() or [seen.version for seen in self._memory.files.values() if seen.version]
        release = self._place.release_of(published)
        run_key = f"{release}/{self._digest(states)}/attempt-{attempt}"
        at = f"{self._now:%Y-%m-%dT%H:%M:%SZ}"
        asked = {
            key.to_user_string(): Asked(state, 1 + (before[key].attempts if key in before else 0), at, run_key)
            for key, state in states.items()
        }
        for note in self._notes:
            self._context.log.warning(note)
        tags = {RELEASE_TAG: release, ATTEMPT_TAG: str(attempt), **self._span(versions)}
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(run_key=run_key, tags=tags, asset_selection=keys, asset_check_keys=self._checks_of(keys))
            ],
            asset_events=[
                self._report(table, version, release)
                for table, version in versions.items()
                if self._reported(table) != str(version)
            ],
            cursor=replace(self._cursor, asked={**self._cursor.asked, **asked}).write(),
        )

    def _checks_of(self, keys: Iterable[dg.AssetKey]) -> list[dg.AssetCheckKey]:
        """The checks that the job makes of these assets; Dagster would take those as well that the job leaves out."""
        checks = self._repository.get_job(REFRESH_JOB).asset_layer.asset_graph.asset_check_keys
        return sorted(check for check in checks if check.asset_key in set(keys))

    def _digest(self, states: Mapping[dg.AssetKey, str]) -> str:
        """Names what is asked for. Dagster runs a key once for ever, and a version may come back after another."""
        since = {name: str(sighting.since) for name, sighting in self._memory.files.items()}
        what = [str(self._memory.began), since, {key.to_user_string(): state for key, state in states.items()}]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]

    def _span(self, versions: Mapping[SourceTable, FileVersion]) -> dict[str, str]:
        """A tag where the files were published too far apart to be one release for certain."""
        times = sorted(version.modified for version in versions.values())
        if not times or times[-1] - times[0] <= RELEASE_WINDOW:
            return {}
        span = f"{times[0]:%Y-%m-%dT%H:%MZ}..{times[-1]:%Y-%m-%dT%H:%MZ}"
        self._context.log.warning("the files asked for were published between %s: of two releases, perhaps", span)
        return {RELEASE_SPAN_TAG: span}

    def _reported(self, table: SourceTable) -> str | None:
        made = self._materialization(dg.AssetKey(["ncbi", table.name]))
        return (made.tags or {}).get("dagster/data_version") if made else None

    def _report(self, table: SourceTable, version: FileVersion, release: str) -> dg.AssetMaterialization:
        # Not an observation: dagster 1.13.27 then shows what hangs on the file as out of date for ever.
        return dg.AssetMaterialization(
            asset_key=["ncbi", table.name],
            metadata=file_metadata(self._place.url_of(table), version, release),
            tags={"dagster/data_version": str(version)},
        )


@dataclass(frozen=True)
class _Failure:
    """Why a request did not lead to the asset; ``final`` where another one would not either."""

    text: str
    final: bool = False
