"""What the integration tests share: small releases, one run through Dagster, and reading a file independently.

Nothing here uses the package's own reading of a file, so that a test compares two opinions.
"""

import functools
import gzip
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
from psycopg import sql

from medgen_pipeline.catalog import ColumnType, Framing, SourceTable, Table
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.release import Archive
from medgen_pipeline.rows.published import packed
from medgen_pipeline.settings import Settings
from medgen_pipeline.testing import Row
from medgen_pipeline_tests.loaders.support import query

# Files


def publish(release: Path, table: SourceTable, content: bytes, *, stamp: int = 1_767_805_200) -> Path:
    """Put a file under the table's name into a release, compressed (at ``stamp``) where NCBI compresses it."""
    release.mkdir(parents=True, exist_ok=True)
    path = release / table.file_name
    path.write_bytes(packed(table, content, stamp))
    return path


def decompressed(table: SourceTable, path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if table.is_gzip else path.read_bytes()


def rows_of(table: SourceTable, path: Path) -> Iterator[Row]:
    """The rows of a file with as many fields as the catalog has columns, as the database should hold them."""
    delimiter, trailing = {Framing.PIPE: ("|", 1), Framing.TAB: ("\t", 0)}[table.framing]
    integers = [column.type is ColumnType.INTEGER for column in table.columns]
    missing = {"", *table.source.null_markers}
    with gzip.open(path) if table.is_gzip else path.open("rb") as file:
        file.readline()
        for text in file:
            values = text.removesuffix(b"\n").decode("utf-8", "replace").split(delimiter)
            if len(values) == len(integers) + trailing:
                yield tuple(
                    None if value in missing else int(value) if is_integer else value
                    for value, is_integer in zip(values, integers, strict=False)
                )


# The warehouse


def stream(dsn: str, schema: str, table: SourceTable, prefix: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of ``schema.table`` in catalog order, through a cursor of the server's; ``prefix`` columns first."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name in (*prefix, *table.column_names))
    statement = sql.SQL("SELECT {} FROM {}").format(names, sql.Identifier(schema, table.name))
    with psycopg.connect(dsn) as connection, connection.cursor("rows") as cursor:
        cursor.itersize = 20_000
        yield from cursor.execute(statement)


def multiset(dsn: str, table: SourceTable) -> Counter[Row]:
    return Counter(stream(dsn, "medgen", table))


def exists(dsn: str, relation: str) -> bool:
    return query(dsn, "SELECT to_regclass(%s) IS NOT NULL", relation) == [(True,)]


def load_runs(dsn: str, *columns: str) -> list[Row]:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return query(dsn, sql.SQL("SELECT {} FROM medgen_audit.load_run ORDER BY load_id").format(names).as_string())


def rejected_rows(dsn: str) -> list[Row]:
    """What the newest load rejected: line number, reason, bytes."""
    return query(
        dsn,
        "SELECT line_number, reason, raw FROM medgen_audit.rejected_row"
        " WHERE load_id = (SELECT max(load_id) FROM medgen_audit.load_run) ORDER BY line_number",
    )


# Dagster


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        run_id: Dagster's.
        success: Whether every step succeeded.
        metadata: Of each materialized table, by its name, as plain values.
        data_versions: By table name.
        failure: What the failed steps say: the description of a dg.Failure, or the error.
        retries: How often a step was up for another attempt.
        log: Every event of the run with all it carries, errors and their causes included.
        checks: What was checked, as ``table.check``.
    """

    run_id: str
    success: bool
    metadata: dict[str, dict[str, Any]]
    data_versions: dict[str, str]
    failure: str
    retries: int
    log: str
    checks: dict[str, dg.AssetCheckEvaluation] = field(default_factory=dict)


@functools.cache
def _whole_job(curated: bool) -> dg.JobDefinition:
    warehouse = WarehouseIOManager(target=DatabaseTarget(dsn="postgresql://nowhere"))
    definitions = build_definitions(
        resources={DEFAULT_NAMES.warehouse: warehouse}, curated=curated, environment={"MEDGEN_SOURCES": "medgen"}
    )
    return definitions.resolve_job_def("refresh_medgen")


@functools.cache
def refresh_job(curated: bool, checks: bool, tables: tuple[Table, ...]) -> dg.JobDefinition:
    """The job ``refresh_medgen``, or the part of it for some tables: made once, its resources are a run's config."""
    job = _whole_job(curated)
    if checks and not tables:
        return job
    return job.get_subset(
        asset_selection={DEFAULT_NAMES.table_key(table) for table in tables} or job.asset_layer.selected_asset_keys,
        asset_check_selection=None if checks else set(),
    )


@dataclass
class Deployment:
    """A code location of its own: a database, an archive and an instance.

    Without curated tables where a test publishes fewer files than they are made from, and with ``tables`` of NCBI's
    only where it looks at no others. Runs make no checks unless ``checks`` says so: they are half of a small run.
    """

    dsn: str
    home: Path
    instance: dg.DagsterInstance
    schema: str = "medgen"
    curated: bool = True
    tables: Collection[str] | None = None
    checks: bool = False
    source_settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def archive(self) -> Archive:
        return Archive(self.home / "archive")

    def definitions(self, source: str, **settings: Any) -> dg.Definitions:
        """The code location.

        Args:
            source: URL of the release.
            settings: More of the resource ``medgen_source``.
        """
        return build_definitions(
            resources={
                DEFAULT_NAMES.source: MedgenSource(
                    url=source, home=str(self.home), **{**self.source_settings, **settings}
                ),
                DEFAULT_NAMES.warehouse: WarehouseIOManager(target=DatabaseTarget(dsn=self.dsn, schema=self.schema)),
            },
            tables=self.tables,
            curated=self.curated,
            settings=Settings.read(sources="medgen"),
        )

    def materialize(
        self,
        source: Path | str,
        *tables: Table,
        config: Mapping[str, object] | None = None,
        on_event: Callable[[dg.EventLogEntry], None] | None = None,
    ) -> Run:
        """Materialize tables with the job ``refresh_medgen``, in this process.

        Args:
            source: Directory or URL of the release.
            tables: All where none is named.
            config: LoadConfig of each table named.
            on_event: Called with each event while the run goes on.
        """
        url = source if isinstance(source, str) else source.as_uri()
        resources = {
            DEFAULT_NAMES.source: {"url": url, "home": str(self.home), **self.source_settings},
            DEFAULT_NAMES.warehouse: {"target": {"database": {"dsn": self.dsn, "schema": self.schema}}},
        }
        run_id = str(uuid.uuid4())
        settings = {f"medgen__{table.name}": {"config": dict(config)} for table in tables} if config else {}
        if on_event:
            self.instance.add_event_listener(run_id, on_event)
        refresh_job(self.curated, self.checks, tables).execute_in_process(
            run_config={"ops": settings, "resources": {name: {"config": made} for name, made in resources.items()}},
            instance=self.instance,
            raise_on_error=False,
            run_id=run_id,
        )
        return run_of(self.instance.all_logs(run_id))


def run_of(entries: Sequence[dg.EventLogEntry]) -> Run:
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    materializations = {
        event.asset_key.path[-1]: event.step_materialization_data.materialization
        for event in events
        if event.asset_key and event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION
    }
    failures = [event.step_failure_data for event in events if event.is_step_failure]
    return Run(
        run_id=entries[0].run_id,
        success=any(event.event_type is dg.DagsterEventType.RUN_SUCCESS for event in events),
        metadata={
            name: {key: value.value for key, value in made.metadata.items()} for name, made in materializations.items()
        },
        data_versions={name: (made.tags or {})["dagster/data_version"] for name, made in materializations.items()},
        failure="\n".join(
            (data.user_failure_data and data.user_failure_data.description) or str(data.error) for data in failures
        ),
        retries=sum(event.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY for event in events),
        log="\n".join(map(repr, entries)),
        checks={
            f"{check.asset_key.path[-1]}.{check.check_name}": check
            for check in (
                event.asset_check_evaluation_data
                for event in events
                if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
            )
        },
    )


def mode_of(metadata: dict[str, Any]) -> str:
    """How a change of a table that exists is applied."""
    changed = metadata["cdc/inserted"] + metadata["cdc/updated"] + metadata["cdc/deleted"]
    return "delta" if changed else "unchanged"
