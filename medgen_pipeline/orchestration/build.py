"""Assembly of an instance's definitions: assets, checks, jobs, sensor, schedule, resources.

What the environment says comes from ``settings``. Nothing is opened here: connections are made inside a run.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import dagster as dg

from medgen_pipeline.catalog import CURATED_TABLES, SOURCES, TABLES, CuratedTable, Source, SourceTable, upstream_of
from medgen_pipeline.catalog.curated import release_report
from medgen_pipeline.loaders import LoaderCapabilities
from medgen_pipeline.orchestration.asset_checks import build_shared_step
from medgen_pipeline.orchestration.assets.curated import build_curated_asset
from medgen_pipeline.orchestration.assets.exports import build_export_asset, places_of
from medgen_pipeline.orchestration.assets.report import build_report_asset
from medgen_pipeline.orchestration.assets.tables import build_ncbi_files, build_table_asset
from medgen_pipeline.orchestration.executor import looking_first
from medgen_pipeline.orchestration.hooks import FailureNotifier, build_failure_hook
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.jobs import build_jobs
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES, Names
from medgen_pipeline.orchestration.release_sensor.sensor import build_release_sensor
from medgen_pipeline.orchestration.resources import MedgenSource, sources_of
from medgen_pipeline.orchestration.schedules import build_refresh_schedule
from medgen_pipeline.orchestration.targets import capabilities_of, target_of
from medgen_pipeline.settings import Settings

T = TypeVar("T", SourceTable, CuratedTable)


def default_resources(
    settings: Settings, names: Names = DEFAULT_NAMES, sources: Iterable[Source] = SOURCES
) -> dict[str, Any]:
    """The resources that the environment variables of docs/settings.md describe."""
    return {
        **{names.of_source(source).resource: MedgenSource.of(settings, source) for source in sources},
        names.warehouse: WarehouseIOManager(target=target_of(settings)),
        names.notifier: FailureNotifier(),
    }


def build_definitions(
    *,
    key_prefix: str | Sequence[str] = DEFAULT_NAMES.key_prefix,
    group_prefix: str = DEFAULT_NAMES.group_prefix,
    name_prefix: str = DEFAULT_NAMES.name_prefix,
    tables: Collection[str] | None = None,
    curated: bool | Collection[str] | None = None,
    resources: Mapping[str, Any] | None = None,
    executor: dg.ExecutorDefinition | None = None,
    automation: bool = False,
    environment: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> dg.Definitions:
    """The definitions of one instance: a mirror of MedGen and its siblings in one schema of one warehouse.

    Merge them with a host's by ``dg.Definitions.merge``. docs/embedding.md shows how.

    Args:
        key_prefix: Of the tables' asset keys.
        group_prefix: The group of MedGen's tables; ``_curated`` is appended for the curated ones, and a source's name
            for those of a sibling.
        name_prefix: Of resources, jobs, sensor, schedule, check steps and pool, where a code location holds several
            instances or has one of these names already.
        tables: The tables of NCBI's to load, by name; None: all of the sources that ``MEDGEN_SOURCES`` names.
        curated: Whether curated tables are made, too, or which. Those whose inputs are not among ``tables`` are left
            out. None: as ``MEDGEN_CURATED`` says, and otherwise where the backend can make them.
        resources: Replacements by key (``medgen_source``, for each sibling one such as ``medgen_gene_source``,
            ``medgen_warehouse``, ``medgen_notifier``, each behind ``name_prefix``) and additions.
        executor: Of the code location, which then looks whether source and warehouse are there before each run; None:
            the host's, or Dagster's default.
        automation: Whether curated assets carry ``AutomationCondition.eager()``, so that a daemon with Dagster's
            automation sensor turned on rebuilds them and their downstream assets without a job.
        environment: Instead of ``os.environ``. What may hold a secret is read by the run from its own environment.
        settings: Instead of those of an environment.

    Raises:
        SettingError: A variable has a value that it cannot have.
        LookupError: ``tables`` or ``curated`` names an unknown table.
        ValueError: ``key_prefix`` is empty.
    """
    names = Names.of(key_prefix, group_prefix, name_prefix)
    settings = settings or Settings.read(environment)
    on = sources_of(settings)
    loaded = _chosen(TABLES, [table.name for table in TABLES if table.source in on] if tables is None else tables)
    sources = dict.fromkeys(table.source for table in loaded)
    found = {**default_resources(settings, names, sources), **(resources or {})}
    capabilities = capabilities_of(found[names.warehouse].target, environment)
    kind = capabilities.backend if capabilities else "database"
    made_of = _curated(loaded, settings.curated if curated is None else curated, capabilities)
    hook = build_failure_hook((*loaded, *made_of), names)
    condition = dg.AutomationCondition.eager() if automation else None
    assets = [
        *(build_table_asset(table, names, kind=kind) for table in loaded),
        *(build_curated_asset(table, names, kind=kind, automation=condition) for table in made_of),
        *(
            build_export_asset(form, place, (*loaded, *made_of), names, condition)
            for form, place in places_of(settings.export).items()
        ),
    ]
    if settings.reports and release_report.TABLE in made_of:
        assets.append(build_report_asset(settings.reports, made_of, names, condition))
    return dg.Definitions(
        assets=[*build_ncbi_files(loaded, names), *(asset.with_hooks({hook}) for asset in assets)],
        asset_checks=[build_shared_step((*loaded, *made_of), names)],
        resources=found,
        jobs=build_jobs((*loaded, *made_of), names),
        schedules=[build_refresh_schedule(source, names) for source in sources],
        sensors=[
            build_release_sensor([table for table in loaded if table.source == source], names, settings.sensor_minutes)
            for source in sources
        ],
        executor=looking_first(executor) if executor else None,
    )


def _chosen(known: Sequence[T], names: Collection[str] | None) -> tuple[T, ...]:
    """The tables of these names, in the catalog's order."""
    if names is None:
        return tuple(known)
    if unknown := sorted(set(names) - {table.name for table in known}):
        raise LookupError(f"unknown tables {unknown}; known: {sorted(table.name for table in known)}.")
    return tuple(table for table in known if table.name in names)


def _curated(
    sources: Sequence[SourceTable], wanted: bool | Collection[str] | None, capabilities: LoaderCapabilities | None
) -> tuple[CuratedTable, ...]:
    """The curated tables that are wanted and whose inputs are all there, but for optional ones."""
    if wanted is None:
        wanted = capabilities is None or capabilities.curated
    there = {table.name for table in sources}
    made: list[CuratedTable] = []
    for table in _chosen(CURATED_TABLES, None if isinstance(wanted, bool) else wanted) if wanted else ():
        absent = [upstream for upstream in upstream_of(table) if upstream.name not in there]
        if all(upstream.name in table.optional for upstream in absent):
            there.add(table.name)
            made.append(table.without(absent))
    return tuple(made)
