"""Schedules: runs by the clock. Following NCBI's releases is the sensor's business (``release_sensor``).

Schedule concept: https://docs.dagster.io/guides/automate/schedules.
"""

import dagster as dg

from medgen_pipeline.orchestration.keys import Names


def build_weekly_refresh(names: Names) -> dg.ScheduleDefinition:
    """A run of every table once a week."""
    return dg.ScheduleDefinition(
        name=names.schedule,
        job_name=names.refresh_job,
        # NCBI announces Wednesdays and also publishes on others. A file that has not changed costs a HEAD request.
        cron_schedule="0 6 * * 4",
        execution_timezone="America/New_York",
        description="A fallback for sources the sensor cannot follow, or for those who want one fixed time: refreshes "
        "every table on Thursday morning. Harmless beside the sensor: what is up to date is not fetched again.",
    )
