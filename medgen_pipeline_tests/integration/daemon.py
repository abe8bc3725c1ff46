"""What Dagster's daemon does with a sensor's ticks, in this process and with the clock in the test's hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import dagster as dg

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.catalog.sources.medgen import MEDGEN, TABLES
from medgen_pipeline.loading.rollback import pins
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.release_sensor.sensor import follow_source
from medgen_pipeline_tests.integration.support import Run, run_of

_SENSOR = DEFAULT_NAMES.of_source(MEDGEN).sensor


@dataclass
class Tick:
    """What one tick led to.

    Attributes:
        skipped: The reason shown in the UI, or "".
        requests: What was asked for.
        runs: What came of it, without those whose run key had been used.
        reported: Data versions of NCBI's files, by table name.
    """

    skipped: str
    requests: Sequence[dg.RunRequest] = ()
    runs: list[Run] = field(default_factory=list)
    reported: dict[str, str] = field(default_factory=dict)

    @property
    def assets(self) -> list[str]:
        """The assets that were asked for."""
        return sorted(key.to_user_string() for request in self.requests for key in request.asset_selection or ())

    @property
    def tags(self) -> dict[str, str]:
        (request,) = self.requests
        return {name: value for name, value in request.tags.items() if name.startswith("medgen/")}


@dataclass
class Daemon:
    """Evaluates the sensor, stores what it reports, launches what it asks for, and keeps its cursor.

    Attributes:
        definitions: The code location.
        instance: Where its runs and events are kept.
        tables: Those of MedGen's that it has.
        checks: Whether runs make the checks that they are asked for; they take as long as the loads of small tables.
        cursor: The sensor's.
    """

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    tables: Sequence[SourceTable] = TABLES
    checks: bool = False
    cursor: str | None = None

    def tick(self, now: datetime | None = None, *, run: bool = True) -> Tick:
        """One tick.

        Args:
            now: What the clock shows; the real time where it is not given.
            run: Whether to execute what is asked for.
        """
        result = self.evaluate(now)
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        tick = Tick(
            skipped=result.skip_reason.skip_message or "" if result.skip_reason else "",
            requests=result.run_requests or (),
            reported={
                event.asset_key.path[-1]: (event.tags or {})["dagster/data_version"]
                for event in cast("Sequence[dg.AssetMaterialization]", result.asset_events)
            },
        )
        for request in tick.requests if run else ():
            if not self.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": request.run_key or ""}), limit=1):
                tick.runs.append(self.launch(request))
        self.cursor = result.cursor
        return tick

    def evaluate(self, now: datetime | None = None) -> dg.SensorResult:
        """The sensor's answer; nothing is stored."""
        resources = self.definitions.resources or {}
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=self.definitions,
            sensor_name=_SENSOR,
            resources={name: resources[name] for name in (DEFAULT_NAMES.source, DEFAULT_NAMES.warehouse)},
        )
        if now is not None:
            source, warehouse = resources[DEFAULT_NAMES.source], resources[DEFAULT_NAMES.warehouse]
            return follow_source(
                context, source, now, self.tables, DEFAULT_NAMES, lambda: pins(warehouse.target.loader(), self.tables)
            )
        found = self.definitions.get_repository_def().get_sensor_def(_SENSOR).evaluate_tick(context)
        return dg.SensorResult(
            run_requests=found.run_requests,
            skip_reason=dg.SkipReason(found.skip_message) if found.skip_message else None,
            cursor=found.cursor,
            asset_events=list(found.asset_events),
        )

    def launch(self, request: dg.RunRequest) -> Run:
        """Execute what was asked for, as the daemon tags it."""
        job = self.definitions.resolve_job_def("refresh_medgen").get_subset(
            asset_selection=set(request.asset_selection or ()),
            asset_check_selection=set(request.asset_check_keys or ()) if self.checks else set(),
        )
        done = job.execute_in_process(
            instance=self.instance,
            tags={
                **request.tags,
                "dagster/run_key": request.run_key or "",
                "dagster/sensor_name": DEFAULT_NAMES.of_source(MEDGEN).sensor,
            },
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        return run_of(self.instance.all_logs(done.run_id))
