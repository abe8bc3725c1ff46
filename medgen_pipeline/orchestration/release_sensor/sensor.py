"""The sensor that follows a source: it looks, lets ``decision`` decide, and asks for one run.

What is published is found out by ``release.probe``, and what is loaded is what Dagster's own materializations say.

Sensor concept: https://docs.dagster.io/guides/automate/sensors.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from medgen_pipeline.catalog import Source, SourceTable
from medgen_pipeline.errors import MedgenError, TransientError
from medgen_pipeline.loading.rollback import pins
from medgen_pipeline.orchestration.keys import ATTEMPT_TAG, RELEASE_SPAN_TAG, RELEASE_TAG, Names
from medgen_pipeline.orchestration.metadata import file_event
from medgen_pipeline.orchestration.release_sensor import words
from medgen_pipeline.orchestration.release_sensor.cursor import Cursor
from medgen_pipeline.orchestration.release_sensor.decision import RETRY_AFTER, Followed, Published, Request, decide
from medgen_pipeline.orchestration.release_sensor.instance import AssetRecords
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.release import RELEASE_WINDOW, ConnectionsInUseError, FileVersion


def build_release_sensor(tables: Sequence[SourceTable], names: Names, minutes: float) -> dg.SensorDefinition:
    """The sensor of one source's tables, with a tick every so many minutes."""
    found = names.of_source(tables[0].source)

    @dg.sensor(
        name=found.sensor,
        job_name=found.job,
        required_resource_keys={found.resource, names.warehouse},
        minimum_interval_seconds=max(round(minutes * 60), 1),
        description=f"Looks for a new release of {tables[0].source.title}, waits until NCBI has finished publishing "
        "it, and starts one run of the tables whose files changed and of what is downstream of them. A run that fails "
        f"is asked for again, {len(RETRY_AFTER) + 1} times in all.",
    )
    def release_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        source, warehouse = (getattr(context.resources, key) for key in (found.resource, names.warehouse))
        now = datetime.now(UTC).replace(microsecond=0)
        return follow_source(context, source, now, tables, names, lambda: pins(warehouse.target.loader(), tables))

    return release_sensor


def follow_source(
    context: dg.SensorEvaluationContext,
    source: MedgenSource,
    now: datetime,
    tables: Sequence[SourceTable],
    names: Names,
    read_pins: Callable[[], Mapping[str, str]] = dict,
) -> dg.SensorResult:
    """Look at the source and ask for what the decision says.

    Args:
        context: Of the tick.
        source: The resource.
        now: By our own clock.
        tables: Those that are followed, all of this source.
        names: Of the instance they belong to.
        read_pins: Reads from the warehouse which tables are pinned, and to what; called where a file has changed.

    Raises:
        PermanentError: Somebody must change something; the message says what. The tick fails and the cursor stays.
    """
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError(
            f"{names.of_source(source.source).sensor}: the tick's context has no repository."
        )
    place = source.release_source()
    cursor = Cursor.read(context.cursor, place.url, now)
    if context.cursor and not cursor.asked and not cursor.memory.files:
        context.log.info("the cursor says nothing of %s; starting afresh", place.url)
    try:
        seen = place.look(tables, cursor.memory, now)
    except ConnectionsInUseError as error:
        return _skip(f"{error} The next tick looks again.", cursor)
    except TransientError as error:
        cursor = replace(cursor, memory=cursor.memory.unreachable(now))
        return _skip(words.unreachable(str(error), cursor.memory.unreachable_since), cursor)
    followed = [
        Followed(names.table_key(table).to_user_string(), table.name, table.file_name, place.url_of(table))
        for table in tables
    ]
    rollback = timedelta(hours=source.rollback_hours)
    published = Published(place.url, followed, seen.memory, place.release_of, source.quiet, rollback)
    records = AssetRecords(context.instance, context.repository_def, read_pins)
    try:
        decision = decide(published, records, cursor.asked, records.failure, now)
    except MedgenError as error:
        return _skip(words.no_pins(str(error)), Cursor(seen.memory, cursor.asked))
    cursor = Cursor(seen.memory, decision.asked)
    notes = [*words.remarks(seen, place.url), *decision.notes]
    if decision.request is None:
        return _skip(" ".join([decision.reason, *notes]).strip(), cursor)
    for note in notes:
        context.log.warning(note)
    return dg.SensorResult(
        run_requests=[_run_request(context, decision.request, records, source.source, names)],
        asset_events=_new_versions(decision.request, tables, published, records, names),
        cursor=cursor.write(),
    )


def _skip(reason: str, cursor: Cursor) -> dg.SensorResult:
    """The result of a tick that asks for nothing."""
    return dg.SensorResult(skip_reason=reason, cursor=cursor.write())


def _run_request(
    context: dg.SensorEvaluationContext, request: Request, records: AssetRecords, source: Source, names: Names
) -> dg.RunRequest:
    keys = [dg.AssetKey.from_user_string(asset) for asset in request.assets]
    return dg.RunRequest(
        run_key=request.run_key,
        tags={
            RELEASE_TAG: request.release,
            ATTEMPT_TAG: str(request.attempt),
            **(_span(context, request.versions.values()) if source.shares_release else {}),
        },
        asset_selection=keys,
        asset_check_keys=records.checks_of(set(keys), names.of_source(source).job),
    )


def _span(context: dg.SensorEvaluationContext, versions: Iterable[FileVersion]) -> dict[str, str]:
    """A tag where the files were published too far apart to be one release for certain."""
    times = sorted(version.modified for version in versions)
    if not times or times[-1] - times[0] <= RELEASE_WINDOW:
        return {}
    span = f"{times[0]:%Y-%m-%dT%H:%MZ}..{times[-1]:%Y-%m-%dT%H:%MZ}"
    context.log.warning("the files asked for were published between %s: of two releases, perhaps", span)
    return {RELEASE_SPAN_TAG: span}


def _new_versions(
    request: Request, tables: Sequence[SourceTable], published: Published, records: AssetRecords, names: Names
) -> list[dg.AssetMaterialization]:
    """The files' new versions, for the UI."""
    return [
        file_event(names.file_key(table), followed.url, version, request.release)
        for table, followed in zip(tables, published.tables, strict=True)
        if (version := request.versions.get(followed.asset)) and records.reported(names.file_key(table)) != str(version)
    ]
