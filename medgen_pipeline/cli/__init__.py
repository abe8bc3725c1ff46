"""The ``medgen`` command: a sample release, the demo, what changed, the embedded server. Loading is Dagster's business.

Only click is imported at the top, so that ``medgen --help`` is quick: Dagster takes a second and a half.
"""

import csv
import os
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medgen_pipeline.errors import MedgenError, missing_extra

if TYPE_CHECKING:
    import dagster as dg

    from medgen_pipeline.catalog import Table
    from medgen_pipeline.demo.embedded_postgres import EmbeddedPostgres
    from medgen_pipeline.loaders import AbstractNativeLoader
    from medgen_pipeline.settings import Settings

# The directory's name is the release's, see ``release.fetch``. A week apart, as NCBI publishes.
_DEMO_RELEASES = ("2026-01-07", "2026-01-14")

_DAGSTER_YAML = """\
# Written by `medgen`; yours to change. https://docs.dagster.io/deployment/oss/dagster-yaml
telemetry:
  enabled: false
nux: # the newsletter dialog
  enabled: false
python_logs:
  managed_python_loggers: [medgen_pipeline] # into each run's event log
  python_log_level: INFO
"""

# Column of the demo's table: metadata key of the materialization.
_FIGURES = {
    "inserted": "cdc/inserted",
    "updated": "cdc/updated",
    "deleted": "cdc/deleted",
    "unchanged": "cdc/unchanged",
    "rejected": "medgen/rejected_rows",
    "seconds": "medgen/load_seconds",
}
_IN_PRODUCTION = ("inserted", "updated", "unchanged")
_WIDTH = 10

# A daemon shows that it lives twice a minute.
_DAEMON_SECONDS = 45


class _Commands(click.Group):
    """Shows errors a user can act on as ``Error: ...`` with exit code 1; a traceback means a bug."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `medgen ... | head`: click ends without a word
            raise
        except (MedgenError, OSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="medgen_pipeline")
def main() -> None:
    """NCBI MedGen in your warehouse, as Dagster assets."""


@main.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Size; 1 is a hundredth of MedGen and less of its largest table.",
)
@click.option("--next", "successor", is_flag=True, help="Write the release of a week later.")
def sample(out: Path, scale: float, successor: bool) -> None:
    """Write a synthetic release of all 17 files into OUT."""
    from medgen_pipeline.demo.sample_release import write_sample

    paths = write_sample(out, scale=scale, successor=successor)
    click.echo(f"{len(paths)} files, {sum(path.stat().st_size for path in paths):,} bytes in {out}")


@main.command()
def demo() -> None:
    """Load two sample releases through Dagster and show what changed.

    Into the embedded PostgreSQL, or into MEDGEN_DSN. Run again, it loads both again: the first one then takes the
    tables a week back, and the figures say so.
    """
    from medgen_pipeline.demo.sample_release import write_sample
    from medgen_pipeline.home import folder_below

    releases = [folder_below(_settings().directory, "sample") / name for name in _DEMO_RELEASES]
    for number, release in enumerate(releases):
        write_sample(release, successor=number > 0)
    _refuse_to_replace_real_data(_loader())
    with _dagster_instance() as instance:
        for release in releases:
            click.echo(f"Sample release {release.name}")
            started = time.monotonic()
            for line in _tables_of_loads(_materialize(release, instance)):
                click.echo(line)
            click.echo(f"Dagster took {time.monotonic() - started:.1f} s in all.\n")
    for line in _first_answer():
        click.echo(line)
    click.echo(f"See the assets with their figures and history:  {_program()} ui")
    click.echo(
        'Query the tables:  psql "$MEDGEN_DSN"' if _settings().dsn else f"Query the tables:  {_program()} server psql"
    )


@main.command()
def env() -> None:
    """Print variables for Dagster's commands, to work on the demo's instance: eval "$(medgen env)".

    Variables that are set already keep their values. MEDGEN_SOURCE_URL is the newest sample release, once there is one.
    """
    for name, value in _variables().items():
        click.echo(f"export {name}={shlex.quote(value)}")


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Of the UI.")
def ui(port: int) -> None:
    """Open Dagster's UI on the demo's instance and database, with Dagster's daemon. Ctrl-C ends both.

    A workspace.yaml in the working directory says which code is shown; without one it is this package's.
    """
    if find_spec("dagster_webserver") is None:
        raise click.ClickException(missing_extra("medgen ui", "dagster-webserver", "ui"))
    os.environ.update(_variables())
    with _dagster_instance() as instance:
        beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    if beats and (ago := time.time() - max(beats)) < _DAEMON_SECONDS:
        click.echo(
            f"Warning: a daemon of the instance {os.environ['DAGSTER_HOME']} was at work {max(ago, 0):.0f} s ago. If "
            "it still runs, end one of the two: both would start the same schedules and sensors.",
            err=True,
        )
    _require_free_port(port)
    # Dagster says that `dg dev` be used instead, which is in another package.
    ignored = [os.environ.get("PYTHONWARNINGS", ""), "ignore:Function `dev_command` is superseded"]
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, ignored))
    command = [sys.executable, "-m", "dagster", "dev", "--port", str(port)]
    if not Path("workspace.yaml").exists():
        command += ["--workspace", str(Path(__file__).with_name("workspace.yaml"))]
    os.execv(sys.executable, command)  # noqa: S606  # it takes over the terminal


def _program() -> str:
    """This command as it can be typed where it runs: by its name where PATH leads to it, else by its path."""
    started = sys.argv[0]
    return started if os.sep in started and shutil.which("medgen") != started else "medgen"


def _variables() -> dict[str, str]:
    """What Dagster's commands need to work on the demo's instance."""
    home = _settings().directory
    found = {"MEDGEN_HOME": str(home), "DAGSTER_HOME": str(_prepare_dagster_home())}
    if source := _settings().source_url:
        found["MEDGEN_SOURCE_URL"] = source
    elif samples := sorted((home / "sample").glob("*/")):
        found["MEDGEN_SOURCE_URL"] = samples[-1].as_uri()
    return found


def _require_free_port(port: int) -> None:
    """Dagster would go on without a UI."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise click.ClickException(
                f"Port {port} of 127.0.0.1 cannot be used for the UI: {error.strerror}. End what uses it, or choose "
                f"another one: {_program()} ui --port {port + 1}"
            ) from error


@main.command()
@click.option("--strict", is_flag=True, help="Let warnings count as errors.")
@click.pass_context
def checks(ctx: click.Context, strict: bool) -> None:
    """List the checks that failed when they were last made; the exit code is 1 where one of them is an error.

    A check that the last run planned and did not make is a warning. For CI: `dagster asset materialize` ends with 0
    where a check that blocks nothing has failed.
    """
    from medgen_pipeline.orchestration.build import build_definitions

    errors, made = 0, 0
    with _dagster_instance() as instance:
        for key in sorted(build_definitions().resolve_asset_graph().asset_check_keys):
            name = f"{key.asset_key.to_user_string()}: {key.name}"
            if planned_by := _run_that_only_planned(instance, key):
                errors += strict
                click.echo(f"warning: {name}: not made: {planned_by}")
            evaluation = _last_evaluation(instance, key)
            made += evaluation is not None
            if evaluation is not None and not evaluation.passed:
                is_error = evaluation.severity.value == "ERROR"
                errors += is_error or strict
                click.echo(
                    f"{'error' if is_error else 'warning'}: {name}: {evaluation.description or 'no reason given'}"
                )
    click.echo(f"{made} checks were made; {errors} count as errors")
    ctx.exit(1 if errors else 0)


def _run_that_only_planned(instance: "dg.DagsterInstance", key: "dg.AssetCheckKey") -> str:
    """What became of the run that planned the check and did not make it; empty where the check was made."""
    record = instance.get_latest_asset_check_evaluation_record(key)
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


def _last_evaluation(instance: "dg.DagsterInstance", key: "dg.AssetCheckKey") -> "dg.AssetCheckEvaluation | None":
    """How the check came out when it was last made."""
    from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES

    made = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES
    )
    return made[0].evaluation if made else None


@main.command()
@click.argument("table")
@click.argument("since")
@click.argument("until", required=False)
def changes(table: str, since: str, until: str | None) -> None:
    """Write what changed in TABLE after release SINCE, up to release UNTIL, as CSV."""
    from medgen_pipeline.loaders.records import FEED_COLUMNS

    entry = _table(table)
    with _reader() as loader:
        _write_csv((*FEED_COLUMNS, *entry.column_names), loader.read_changes(entry, since, until))


@main.command()
@click.argument("table")
@click.argument("release")
def as_of(table: str, release: str) -> None:
    """Write the rows TABLE had after RELEASE was loaded, as CSV."""
    entry = _table(table)
    with _reader() as loader:
        _write_csv(entry.column_names, loader.read_as_of(entry, release))


@main.group()
def server() -> None:
    """The embedded PostgreSQL below MEDGEN_HOME, which is used where MEDGEN_DSN is not set."""


@server.command()
def start() -> None:
    """Start it, and create it first where there is none."""
    click.echo(f"running: {_embedded().ensure_running()}")


@server.command()
def stop() -> None:
    """Stop it. The data stay."""
    _embedded().stop()
    click.echo("stopped")


@server.command()
@click.pass_context
def status(ctx: click.Context) -> None:
    """Say whether it runs. As with pg_ctl, the exit code is 3 where it does not."""
    embedded = _embedded()
    if embedded.is_running():
        click.echo(f"running: {embedded.dsn()}")
    else:
        click.echo(f"not running; its place is {embedded.location}")
        ctx.exit(3)


@server.command()
def dsn() -> None:
    """Print its URL for psql and other clients; it is started where it does not run."""
    click.echo(_embedded().ensure_running())


@server.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def psql(arguments: tuple[str, ...]) -> None:
    """Open its psql, with psql's own ARGUMENTS; no other installation is needed."""
    from medgen_pipeline.demo.embedded_postgres import find_binaries

    url = _embedded().ensure_running()
    program = find_binaries(only=_settings().pg_bin).directory / "psql"
    os.execv(program, [str(program), "--dbname", url, *arguments])  # noqa: S606  # psql takes over the terminal


def _settings() -> "Settings":
    from medgen_pipeline.settings import Settings

    return Settings.read()


def _table(name: str) -> "Table":
    from medgen_pipeline.catalog import any_table_by_name

    try:
        return any_table_by_name(name)
    except LookupError as error:
        raise click.ClickException(str(error)) from error


def _write_csv(header: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(header)
    writer.writerows(rows)


def _embedded() -> "EmbeddedPostgres":
    from medgen_pipeline.demo.embedded_postgres import EmbeddedPostgres

    return EmbeddedPostgres.of(_settings())


def _loader() -> "AbstractNativeLoader":
    """A loader for the warehouse the environment names, made the way Dagster makes it."""
    from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
    from medgen_pipeline.orchestration.targets import target_of

    warehouse: WarehouseIOManager = WarehouseIOManager(target=target_of(_settings())).process_config_and_initialize()
    try:
        return warehouse.target.loader()
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _reader() -> "AbstractNativeLoader":
    """The same for commands that only read: of an embedded server that was never created, nothing is created."""
    if not _settings().dsn and not _embedded().exists:
        raise click.ClickException(
            f"No data to read: MEDGEN_DSN is not set, and there is no embedded PostgreSQL in {_embedded().location}. "
            "Set MEDGEN_DSN or MEDGEN_HOME to where the tables are, or load them first."
        )
    return _loader()


def _refuse_to_replace_real_data(loader: "AbstractNativeLoader") -> None:
    """The gates would stop most tables of a real mirror from being replaced by the sample, but not all."""
    from medgen_pipeline.catalog import TABLES

    with loader:
        for table in TABLES:
            last = loader.last_load(table)
            if last and last.release not in _DEMO_RELEASES:
                raise click.ClickException(
                    f"Table {table.name} holds release {last.release}, and the demo would replace it by sample "
                    "data. Next: set MEDGEN_SCHEMA to another schema, or MEDGEN_HOME to another directory."
                )


def _prepare_dagster_home() -> Path:
    """Dagster's directory: the user's own, or one below MEDGEN_HOME that stays quiet."""
    if given := os.environ.get("DAGSTER_HOME"):
        return Path(given)
    from medgen_pipeline.home import folder_below

    folder = folder_below(_settings().directory, "dagster")
    if not (folder / "dagster.yaml").exists():
        (folder / "dagster.yaml").write_text(_DAGSTER_YAML)
    return folder


def _dagster_instance() -> "dg.DagsterInstance":
    import dagster as dg
    from dagster._check import CheckError

    os.environ["DAGSTER_HOME"] = home = str(_prepare_dagster_home())
    try:
        return dg.DagsterInstance.get()
    except CheckError as error:  # what Dagster raises where dagster.yaml names a class that cannot be imported
        if "dagster_postgres" in str(error) and find_spec("dagster_postgres") is None:
            raise click.ClickException(missing_extra(f"{home}/dagster.yaml", "dagster-postgres", "deploy")) from error
        raise
    except dg.DagsterError as error:
        raise click.ClickException(f"Dagster cannot use its DAGSTER_HOME: {error}") from error


def _materialize(release: Path, instance: "dg.DagsterInstance") -> list[dict[str, Any]]:
    """Materialize every table in this process; returns the figures of each, in the order they were loaded."""
    from medgen_pipeline.orchestration.build import build_definitions
    from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
    from medgen_pipeline.orchestration.resources import MedgenSource

    source = MedgenSource(url=release.as_uri(), home=_settings().home)
    definitions = build_definitions(resources={DEFAULT_NAMES.source: source})
    result = definitions.resolve_job_def(DEFAULT_NAMES.refresh_job).execute_in_process(
        instance=instance,
        raise_on_error=False,
        # The run's whole log is in the UI; here it would bury the figures. Failures are shown below, without traceback.
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    failures = list(_failures(result))
    if failures:
        raise click.ClickException("\n".join([f"release {release.name} did not load completely.", *failures]))
    return [
        _figures(event.step_materialization_data.materialization) for event in result.get_asset_materialization_events()
    ]


def _failures(result: "dg.ExecuteInProcessResult") -> Iterator[str]:
    """What each failed step said, without Dagster's own frame around it."""
    for event in result.filter_events(lambda event: event.is_step_failure):
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            said = data.user_failure_data.description
        else:
            error = data.error and (data.error.cause or data.error)
            said = error.message.strip() if error else "no reason given"
        yield f"{event.step_key}: {said}"


def _first_answer() -> Iterator[str]:
    """What a disease looks like, as lines of text: the fifth question of docs/questions.md."""
    from medgen_pipeline.catalog import Query

    query = Query(
        text="SELECT kind, phenotype_id, phenotype_name FROM {disease_phenotype}"
        " WHERE disease_id = 'OMIM:154700' AND is_negated = 'N' ORDER BY kind, phenotype_id"
    )
    yield "Marfan syndrome (OMIM:154700), asked of medgen.disease_phenotype; more questions in docs/questions.md:"
    with _loader() as loader:
        for kind, number, name in loader.read_query(query, 100):
            yield f"  {kind:<13}{number}  {name}"
    yield ""


def _figures(materialization: "dg.AssetMaterialization") -> dict[str, Any]:
    figures: dict[str, Any] = {name: materialization.metadata[key].value for name, key in _FIGURES.items()}
    rows = sum(figures[name] for name in _IN_PRODUCTION)
    return {"table": materialization.asset_key.path[-1], "rows": rows, **figures}


def _tables_of_loads(loads: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The loads as lines of text: NCBI's tables, then those made from them."""
    from medgen_pipeline.catalog import CURATED_TABLES

    curated = {table.name for table in CURATED_TABLES}
    wide = max(len(load["table"]) for load in loads)
    for is_curated in (False, True):
        yield from _table_of_loads([load for load in loads if (load["table"] in curated) is is_curated], wide)


def _table_of_loads(loads: Sequence[Mapping[str, Any]], wide: int) -> Iterator[str]:
    """Some loads as lines of text, with a header and totals."""
    names = ["rows", *_FIGURES]
    total = {"table": f"{len(loads)} tables", **{name: sum(load[name] for load in loads) for name in names}}
    yield "table".ljust(wide) + "".join(name.rjust(_WIDTH) for name in names)
    for load in [*sorted(loads, key=lambda load: str(load["table"])), total]:
        cells = [f"{load[name]:,.2f}" if isinstance(load[name], float) else f"{load[name]:,}" for name in names]
        yield load["table"].ljust(wide) + "".join(cell.rjust(_WIDTH) for cell in cells)
