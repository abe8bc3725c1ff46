"""Schedules: runs by the clock. Following NCBI's releases is the sensor's business (``release_sensor``).

Schedule concept: https://docs.dagster.io/guides/automate/schedules.
"""

import dagster as dg

from medgen_pipeline.catalog import Source
from medgen_pipeline.orchestration.keys import Names


def build_refresh_schedule(source: Source, names: Names) -> dg.ScheduleDefinition:
    """A run of every table of a source, as often as it publishes."""
    found = names.of_source(source)
    return dg.ScheduleDefinition(
        name=found.schedule,
        job_name=found.job,
        cron_schedule=source.cadence.cron,
        execution_timezone="America/New_York",
        description="A fallback for places the sensor cannot follow, or for those who want one fixed time: refreshes "
        f"every table of {source.title} at six in the morning, {source.cadence.name}. Harmless beside the sensor: what "
        "is up to date is not fetched again.",
    )
