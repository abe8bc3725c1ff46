"""Dagster's home as the commands use it: the user's own, or one below MEDGEN_HOME that stays quiet."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen_pipeline.cli.common import settings

if TYPE_CHECKING:
    from medgen_pipeline.settings import Settings

INSTANCE_YAML = """\
# Written by `medgen`; yours to change. https://docs.dagster.io/deployment/oss/dagster-yaml
telemetry:
  enabled: false
nux: # the newsletter dialog
  enabled: false
# What steps print stays in the terminal: to keep it, Dagster starts four processes for each step, and ours log instead.
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
python_logs:
  managed_python_loggers: [medgen_pipeline] # into each run's event log
  python_log_level: INFO
"""


def prepared_dagster_home() -> Path:
    """Dagster's directory; the one below MEDGEN_HOME is made where it is missing."""
    from medgen_pipeline.home import folder_below
    from medgen_pipeline.settings import dagster_home

    if given := dagster_home():
        return given
    folder = folder_below(settings().directory, "dagster")
    if not (folder / "dagster.yaml").exists():
        (folder / "dagster.yaml").write_text(INSTANCE_YAML)
    return folder


def existing_dagster_home() -> Path | None:
    """The same for commands that only read: nothing is made."""
    from medgen_pipeline.settings import dagster_home

    given = dagster_home()
    if given and not given.is_dir():
        return given  # whoever opens it says so
    home = given or settings().directory / "dagster"
    # An instance needs no dagster.yaml; of one that was never used there is nothing to read.
    return home if any((home / name).exists() for name in ("dagster.yaml", "history")) else None


def variables() -> dict[str, str]:
    """What Dagster's commands need to work on the demo's instance."""
    from medgen_pipeline.catalog import SOURCES

    home = settings().directory
    found = {"MEDGEN_HOME": str(home), "DAGSTER_HOME": str(prepared_dagster_home())}
    samples = [] if settings().source_url else sorted((home / "sample").glob("*/"))
    for source in SOURCES:
        if url := settings().url_of(source) or (samples and samples[-1].as_uri()):
            found[source.setting] = url
    return found


def settings_of_runs() -> "Settings":
    """The settings, with those sources that Dagster's commands are given."""
    from medgen_pipeline.settings import PREFIX, Settings

    named: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): url for name, url in variables().items() if name.endswith("SOURCE_URL")
    }
    return Settings.read(**named)
