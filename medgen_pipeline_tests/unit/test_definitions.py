"""What Dagster is given: keys, lineage, descriptions and settings of the code location. Nothing is run here."""

import re
from dataclasses import replace
from datetime import date, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy  # what FreshnessPolicy.time_window makes
from dagster._core.execution.api import create_execution_plan
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.retries import RetryMode
from dagster._core.remote_representation.external_data import RepositorySnap  # what a code server sends to the UI

from medgen_pipeline.catalog import TABLES, SourceTable, table_by_name
from medgen_pipeline.catalog.sources import medgen
from medgen_pipeline.errors import SettingError
from medgen_pipeline.loaders.duckdb import DuckDBNativeLoader
from medgen_pipeline.orchestration.assets.tables import LoadConfig
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.metadata import column_schema
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.orchestration.targets import DatabaseTarget, EmbeddedTarget, PostgresTarget, Target

SECRET = "s3cr3t-0f-the-dsn"
TABLE_NAMES = [
    "hpo_cui_history",
    "medgen_cui_history",
    "medgen_hpo_mapping",
    "medgen_hpo_omim_mapping",
    "medgen_id_mappings",
    "medgen_pubmed_lnk",
    "medgen_sources",
    "medgen_uid_cui_history",
    "merged",
    "mgconso",
    "mgdef",
    "mgrel",
    "mgsat",
    "mgsty",
    "mondo_cui_history",
    "names",
    "ordo_cui_history",
]
SIBLINGS = {
    "gene": ["mim2gene_medgen"],
    "gene_info": ["gene_info"],
    "clinvar": ["concept_id_history", "disease_names", "gene_condition_source_id"],
    "genereviews": ["genereviews_gene", "genereviews_omim", "genereviews_title"],
}
FILE_NAMES = sorted([*TABLE_NAMES, *(name for names in SIBLINGS.values() for name in names)])
CURATED_NAMES = [
    "concept",
    "concept_ancestor",
    "concept_literature",
    "concept_name",
    "concept_parent",
    "concept_relation",
    "concept_xref",
    "cui_redirect",
    "disease_phenotype",
    "gene_disease",
    "release_report",
]
LOADED = [table for table in TABLES if table.name in FILE_NAMES]
ALL_NAMES = sorted([*CURATED_NAMES, *FILE_NAMES])


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(environment={})


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[dg.AssetKey, dg.AssetSpec]:
    return {spec.key: spec for spec in definitions.resolve_all_asset_specs()}


def key(table: SourceTable) -> dg.AssetKey:
    return dg.AssetKey(["medgen", table.name])


def shown_to_the_ui(definitions: dg.Definitions) -> str:
    return dg.serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))


def test_the_definitions_are_loadable(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_keys_jobs_and_resources_are_the_promised_ones(definitions: dg.Definitions) -> None:
    assert sorted(key.to_user_string() for key in definitions.resolve_all_asset_keys()) == [
        *(f"medgen/{name}" for name in ALL_NAMES),
        *(f"ncbi/{name}" for name in FILE_NAMES),
    ]
    named = sorted(job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__"))
    assert named == sorted(["check_medgen", "refresh_medgen", *(f"refresh_{name}" for name in SIBLINGS)])
    sources = ["medgen_source", *(f"medgen_{name}_source" for name in SIBLINGS)]
    assert set(definitions.resources or {}) == {"medgen_notifier", "medgen_warehouse", *sources}
    sensors = {"new_release_sensor", *(f"new_{name}_release_sensor" for name in SIBLINGS)}
    assert {sensor.name for sensor in definitions.sensors or ()} == sensors
    schedules = {"weekly_refresh", *(f"daily_{name}_refresh" for name in SIBLINGS)}
    assert {schedule.name for schedule in definitions.schedules or ()} == schedules
    assert isinstance((definitions.resources or {})["medgen_source"], MedgenSource)
    assert isinstance((definitions.resources or {})["medgen_warehouse"], WarehouseIOManager)


def test_exports_are_downstream_of_every_table_and_in_every_job_that_refreshes_some() -> None:
    made = build_definitions(
        key_prefix=["bio", "medgen"], environment={"MEDGEN_EXPORT": "out, s3.duckdb", "MEDGEN_SOURCES": "medgen,gene"}
    )
    graph = made.resolve_asset_graph()
    tables = {key for key in graph.get_all_asset_keys() if key.path[:2] == ["bio", "medgen"]}
    for form in ("parquet", "duckdb"):
        export = dg.AssetKey(["bio", "medgen_export", form])
        assert graph.get(export).parent_keys == tables
        assert graph.get(export).group_name == "medgen_export"
        for job in ("refresh_medgen", "refresh_gene"):
            assert export in made.resolve_job_def(job).asset_layer.selected_asset_keys


def test_two_exports_of_one_kind_are_refused() -> None:
    with pytest.raises(SettingError, match="MEDGEN_EXPORT names two places for parquet, expected at most"):
        build_definitions(environment={"MEDGEN_EXPORT": "out,s3://bucket/prefix"})


def test_the_report_is_downstream_of_every_curated_table_and_there_where_a_folder_is_named_for_it() -> None:
    environment = {"MEDGEN_REPORTS": "pages", "MEDGEN_SOURCES": "medgen,gene"}
    made = build_definitions(key_prefix=["bio", "medgen"], environment=environment)
    graph = made.resolve_asset_graph()
    report = dg.AssetKey(["bio", "medgen_export", "report"])
    curated = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name == "medgen_curated"}
    assert curated
    assert graph.get(report).parent_keys == curated
    assert graph.get(report).group_name == "medgen_export"
    for job in ("refresh_medgen", "refresh_gene"):
        assert report in made.resolve_job_def(job).asset_layer.selected_asset_keys
    for others in ({"MEDGEN_REPORTS": ""}, {"MEDGEN_CURATED": "false"}):
        keys = build_definitions(environment=environment | others).resolve_all_asset_keys()
        assert dg.AssetKey(["medgen_export", "report"]) not in keys


@pytest.mark.parametrize("sources", ["medgen", "medgen,gene", "medgen,clinvar"])
def test_a_source_that_is_switched_off_takes_what_is_made_from_it_along_and_nothing_else(sources: str) -> None:
    graph = build_definitions(environment={"MEDGEN_SOURCES": sources}).resolve_asset_graph()
    made = {node.path[-1] for node in graph.get_all_asset_keys()} & set(CURATED_NAMES)
    assert made == set(CURATED_NAMES) - {"gene_disease"}


def test_what_can_be_made_without_a_source_is_downstream_of_it_only_where_it_is_loaded() -> None:
    def upstream(name: str, sources: str) -> set[str]:
        graph = build_definitions(environment={"MEDGEN_SOURCES": sources}).resolve_asset_graph()
        return {key.path[-1] for key in graph.get(dg.AssetKey(["medgen", name])).parent_keys}

    assert upstream("cui_redirect", "medgen") == {"names", "merged", "medgen_cui_history"}
    assert upstream("cui_redirect", "medgen,clinvar") - upstream("cui_redirect", "medgen") == {"concept_id_history"}
    assert upstream("concept", "medgen,gene") - upstream("concept", "medgen") == {"mim2gene_medgen"}
    whole = "medgen,gene,gene_info,clinvar"
    assert upstream("gene_disease", whole) - upstream("gene_disease", "medgen,gene,clinvar") == {"gene_info"}
    assert "gene_disease" not in upstream("concept", whole)


@pytest.mark.parametrize(
    "environment", [{"MEDGEN_CURATED": "false"}, {"MEDGEN_CURATED": "False"}, {"MEDGEN_DSN": "duckdb:///w.duckdb"}]
)
def test_curated_tables_can_be_left_out_and_are_where_the_backend_cannot_make_them(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DuckDBNativeLoader, "capabilities", replace(DuckDBNativeLoader.capabilities, curated=False))
    definitions = build_definitions(environment=environment)
    dg.Definitions.validate_loadable(definitions)
    keys = list(definitions.resolve_all_asset_keys())
    assert len(keys) == 2 * len(FILE_NAMES)
    job = definitions.resolve_job_def("refresh_medgen")
    assert job.asset_layer.selected_asset_keys == {dg.AssetKey(["medgen", name]) for name in TABLE_NAMES}
    assert len(list(build_definitions(environment={"MEDGEN_CURATED": ""}).resolve_all_asset_keys())) > len(keys)
    with pytest.raises(ValueError, match="MEDGEN_CURATED is 'maybe': input should be a valid boolean"):
        build_definitions(environment={"MEDGEN_CURATED": "maybe"})


def test_sensor_and_schedule_are_off_until_somebody_turns_them_on(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {sensor.default_status for sensor in repository.sensor_defs} == {dg.DefaultSensorStatus.STOPPED}
    assert {schedule.default_status for schedule in repository.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}
    sensor, schedule = repository.get_sensor_def("new_release_sensor"), repository.get_schedule_def("weekly_refresh")
    assert sensor.job_name == "refresh_medgen"
    assert sensor.minimum_interval_seconds == 900
    assert (schedule.job_name, schedule.cron_schedule) == ("refresh_medgen", "0 6 * * 4")
    assert schedule.execution_timezone == "America/New_York"
    daily = repository.get_schedule_def("daily_gene_refresh")
    assert (daily.job_name, daily.cron_schedule) == ("refresh_gene", "0 6 * * *")


def test_a_dsn_in_a_variable_of_any_name_picks_the_backend() -> None:
    warehouse = WarehouseIOManager(target=DatabaseTarget(dsn=dg.EnvVar("WAREHOUSE_DSN")))
    definitions = build_definitions(
        resources={"medgen_warehouse": warehouse}, environment={"WAREHOUSE_DSN": "duckdb:///w.duckdb"}
    )
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    assert specs[key(TABLES[0])].kinds == {"duckdb", "table"}


def test_the_sensor_ticks_as_often_as_it_is_set_to() -> None:
    sensors = build_definitions(environment={"MEDGEN_SENSOR_MINUTES": "0.1"}).get_repository_def().sensor_defs
    assert {sensor.minimum_interval_seconds for sensor in sensors} == {6}


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        *(
            ("MEDGEN_SENSOR_MINUTES", value, "a number above 0 and at most 10,080")
            for value in ("0", "-1", "nan", "inf", "often", "10081")
        ),
        *(("MEDGEN_QUIET_MINUTES", value, "a number from 0 to 10,080") for value in ("-1", "nan", "inf", "10081")),
        ("MEDGEN_QUIET_MINUTES", "soon", "a number"),
        *(("MEDGEN_ARCHIVE_KEEP", value, "a whole number of 2 or more") for value in ("1", "-3", "2.5", "nan", "inf")),
        ("MEDGEN_ARCHIVE_KEEP", "some", "a whole number"),
    ],
)
def test_a_variable_that_cannot_be_meant_is_refused_before_anything_runs(
    variable: str, value: str, message: str
) -> None:
    with pytest.raises(SettingError, match=f"^{variable} is '?{value}'?.*, expected {message}"):
        build_definitions(environment={variable: value})


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("archive_keep", 1, "archive_keep is 1, expected a whole number of 2 or more"),
        ("quiet_minutes", -1, "quiet_minutes is -1, expected a number from 0 to 10,080"),
        ("quiet_minutes", float("nan"), "quiet_minutes is nan"),
        ("rollback_hours", float("inf"), "rollback_hours is inf, expected a number from 0 to 8,784"),
        ("max_file_gib", 0, "max_file_gib is 0, expected a number above 0"),
        ("max_release_gib", float("inf"), "max_release_gib is inf, expected a number above 0"),
        ("missing_columns", ["names.sorce"], "missing_columns names 'names.sorce', expected columns of names: cui, "),
        ("missing_columns", ["source"], "missing_columns names 'source', expected TABLE.COLUMN"),
    ],
)
def test_a_setting_of_the_source_that_cannot_be_meant_is_refused(setting: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        MedgenSource(**{setting: value})  # type: ignore[arg-type]  # by name, as in YAML
    assert MedgenSource(archive_keep=dg.EnvVar.int("KEEP"))  # what a variable holds is looked at in the run


def checks_of(job: dg.JobDefinition) -> dict[str, set[str]]:
    """The names of a job's checks, each with the tables it is made of."""
    found: dict[str, set[str]] = {}
    for check in job.asset_layer.asset_graph.asset_check_keys:
        found.setdefault(check.name, set()).add(check.asset_key.to_user_string().removeprefix("medgen/"))
    return found


# Of the catalog: what has a proven key, what refers to another table, and the rules of curated tables.
CHECKS = {
    "schema_matches_catalog": set(ALL_NAMES),
    "key_is_unique": {"names", *CURATED_NAMES} - {"concept_name", "gene_disease"},
    "required_columns_are_filled": set(ALL_NAMES),
    "row_count_within_history": set(ALL_NAMES) - {"release_report"},
    "no_rejected_rows": set(FILE_NAMES),
    "no_repaired_rows": set(FILE_NAMES),
    "is_not_pinned": set(FILE_NAMES),
    "references_resolve": {
        *("medgen_hpo_mapping", "medgen_hpo_omim_mapping", "medgen_id_mappings", "medgen_pubmed_lnk"),
        *("merged", "mgconso", "mgdef", "mgrel", "mgsat", "mgsty"),
        *("concept_ancestor", "concept_literature", "concept_name", "concept_parent", "concept_relation"),
        *("concept_xref", "disease_phenotype", "gene_disease"),
    },
    "production_equals_file": set(ALL_NAMES),
    "every_current_concept_is_here": {"concept"},
    "well_known_diseases_are_diseases": {"concept"},
    "counts_are_plausible": {"concept", "concept_relation"},
    "known_identifiers_are_here": {"concept_xref"},
    "concepts_are_current": {"concept_xref", "disease_phenotype", "gene_disease"},
    "well_known_genes_cause_their_diseases": {"gene_disease"},
    "vocabularies_are_known": {"concept_xref"},
    "mondo_and_uid_are_one_to_one": {"concept_xref"},
    "parents_are_above": {"concept_parent"},
    "no_cycle": {"concept_ancestor"},
    "known_facts_hold": {"concept_ancestor"},
    "nothing_is_affirmed_and_denied": {"disease_phenotype"},
    "targets_are_current": {"cui_redirect"},
    "every_link_is_counted": {"concept_literature"},
}


def test_the_job_refreshes_every_table_and_makes_the_cheap_checks(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("refresh_medgen")
    own = {*TABLE_NAMES, *CURATED_NAMES}
    assert job.asset_layer.selected_asset_keys == {dg.AssetKey(["medgen", name]) for name in own}
    assert checks_of(job) == {name: on & own for name, on in CHECKS.items() if name != "production_equals_file"}
    assert job.description


@pytest.mark.parametrize("source", SIBLINGS)
def test_a_sibling_has_a_job_a_group_a_resource_and_a_freshness_of_its_own(
    source: str, definitions: dg.Definitions, specs: dict[dg.AssetKey, dg.AssetSpec]
) -> None:
    job = definitions.resolve_job_def(f"refresh_{source}")
    made = {asset.path[-1] for asset in job.asset_layer.selected_asset_keys}
    assert made & set(FILE_NAMES) == set(SIBLINGS[source])
    for name in SIBLINGS[source]:
        spec = specs[dg.AssetKey(["medgen", name])]
        assert spec.group_name == f"medgen_{source}"
        assert definitions.resolve_assets_def(spec.key).required_resource_keys >= {f"medgen_{source}_source"}
        assert isinstance(spec.freshness_policy, TimeWindowFreshnessPolicy)
        assert spec.freshness_policy.fail_window.to_timedelta() == timedelta(days=8)


def loaded(**environment: str) -> set[str]:
    resources = build_definitions(environment=environment).resources or {}
    return {one.name for one in resources.values() if isinstance(one, MedgenSource)}


def test_a_source_can_be_switched_off_and_a_mirror_of_medgen_has_no_siblings_but_those_that_are_named() -> None:
    assert loaded() == {"medgen", *SIBLINGS}  # gtr is large
    assert loaded(MEDGEN_SOURCES="gtr") == {"gtr"}
    assert loaded(MEDGEN_SOURCES="medgen, gene") == {"medgen", "gene"}
    assert loaded(MEDGEN_SOURCE_URL="file:///mirror/") == {"medgen"}
    mirrored = {"MEDGEN_SOURCE_URL": "file:///mirror/", "MEDGEN_CLINVAR_SOURCE_URL": "file:///clinvar/"}
    assert loaded(**mirrored) == {"medgen", "clinvar"}
    resources = build_definitions(environment=mirrored | {"MEDGEN_SOURCES": "clinvar,gene"}).resources or {}
    assert resources["medgen_clinvar_source"].url == "file:///clinvar/"
    assert resources["medgen_gene_source"].url == "https://ftp.ncbi.nlm.nih.gov/gene/DATA/"
    assert "medgen_source" not in resources
    with pytest.raises(SettingError, match=r"MEDGEN_SOURCES is 'medgne': there is no source 'medgne'; known"):
        loaded(MEDGEN_SOURCES="medgne")


def test_the_check_job_makes_every_check_and_refreshes_nothing(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("check_medgen")
    assert checks_of(job) == CHECKS
    assert job.asset_layer.selected_asset_keys == set()
    assert job.description


def test_only_what_would_make_a_downstream_asset_wrong_blocks(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    blocking = {spec.name for spec in map(graph.get_check_spec, graph.asset_check_keys) if spec.blocking}
    assert blocking == {"schema_matches_catalog", "key_is_unique", "parents_are_above", "targets_are_current"}


def test_a_table_s_checks_are_made_in_its_own_step_and_those_across_tables_in_another(
    definitions: dg.Definitions,
) -> None:
    steps: dict[str, set[str]] = {}
    for made_by in (*(definitions.assets or []), *(definitions.asset_checks or [])):
        if isinstance(made_by, dg.AssetsDefinition):
            assert made_by.op.pool == "medgen_warehouse"
            assert made_by.op.retry_policy
            assert made_by.can_subset  # so that checks can be made without a load
            steps[made_by.op.name] = {check.name for check in made_by.check_keys}
    assert sorted(steps) == ["check_medgen_across_tables", *(f"medgen__{name}" for name in ALL_NAMES)]
    assert steps["check_medgen_across_tables"] == {"references_resolve"}
    assert {name for checks in steps.values() for name in checks} == set(CHECKS)


def test_a_table_goes_stale_when_a_release_is_late_and_fails_when_one_was_missed(
    specs: dict[dg.AssetKey, dg.AssetSpec],
) -> None:
    # Wednesday to the Sunday of the week after are eleven days.
    wednesday, sunday = date(2026, 1, 7), date(2026, 1, 18)
    for table in medgen.TABLES:
        policy = specs[key(table)].freshness_policy
        assert isinstance(policy, TimeWindowFreshnessPolicy)
        warn, fail = policy.warn_window, policy.fail_window
        assert warn is not None
        assert warn.to_timedelta() == sunday - wednesday + timedelta(days=1)
        assert fail.to_timedelta() == warn.to_timedelta() + timedelta(weeks=1)


@pytest.mark.parametrize("table", LOADED, ids=lambda table: table.name)
def test_a_table_asset_says_what_the_catalog_knows(table: SourceTable, specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    spec = specs[key(table)]
    assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey(["ncbi", table.name])]
    assert (spec.group_name or "").startswith("medgen")
    assert spec.kinds == {"postgres", "table"}
    assert spec.owners == ["team:medgen"]
    assert spec.code_version == table.shape
    assert (spec.description or "").startswith(table.description)
    assert spec.metadata["medgen/file"] == table.file_name
    schema = spec.metadata["dagster/column_schema"]
    assert [(column.name, column.description) for column in schema.columns] == [
        (column.name, column.description) for column in table.columns
    ]
    assert [column.constraints.nullable for column in schema.columns] == [column.nullable for column in table.columns]
    integers = {"uid", "pmid", "gene_id", "tax_id"}
    assert {column.type for column in schema.columns if column.name in integers} <= {"bigint"}
    assert {column.type for column in schema.columns if column.name not in integers} == {"text"}


@pytest.mark.parametrize("table", LOADED, ids=lambda table: table.name)
def test_a_file_of_ncbi_s_is_an_external_asset_upstream_of_its_table(
    table: SourceTable, definitions: dg.Definitions
) -> None:
    node = definitions.resolve_asset_graph().get(dg.AssetKey(["ncbi", table.name]))
    assert node.is_external
    assert not node.is_materializable
    assert node.group_name == "ncbi"
    assert node.kinds == {"file"}
    assert table.file_name in (node.description or "")
    assert node.metadata["dagster/uri"].value == f"{table.source.url}{table.file_name}"
    assert node.child_keys == {key(table)}


def test_a_curated_asset_shows_the_query_that_makes_its_rows(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    shown = specs[dg.AssetKey(["medgen", "concept_ancestor"])].metadata["medgen/query"]
    assert isinstance(shown, dg.MarkdownMetadataValue)
    assert (shown.md_str or "").startswith("```sql\n-- Everything above a concept, in three steps:")
    assert "\nCREATE TEMP TABLE {cycle} AS\n" in (shown.md_str or "")
    assert (shown.md_str or "").endswith("\nGROUP BY kept.cui, nearest.ancestor_cui;\n```")


def test_a_column_s_key_and_references_are_in_its_schema() -> None:
    names = column_schema(table_by_name("names"))
    assert names.constraints.other == ["key (cui): unique"]
    assert [column.name for column in names.columns if column.constraints.unique] == ["cui"]
    mgrel = column_schema(table_by_name("mgrel"))
    assert mgrel.constraints.other == ["key (rui): expected to be unique"]
    assert not any(column.constraints.unique for column in mgrel.columns)
    assert {column.name: column.constraints.other for column in mgrel.columns if column.constraints.other} == {
        "cui1": ["refers to names.cui"],
        "cui2": ["refers to names.cui"],
    }
    assert column_schema(table_by_name("mgconso")).constraints.other == []


def test_every_table_goes_through_the_warehouse_and_retries_a_transient_error(definitions: dg.Definitions) -> None:
    for table in LOADED:
        asset = definitions.resolve_assets_def(key(table))
        assert asset.get_io_manager_key_for_asset_key(key(table)) == "medgen_warehouse"
        assert asset.op.pool == "medgen_warehouse"
        policy = asset.op.retry_policy
        assert policy is not None
        assert (policy.max_retries, policy.delay, policy.backoff) == (2, 5, dg.Backoff.EXPONENTIAL)


def test_the_launchpad_offers_the_settings_of_a_load_and_requires_none(definitions: dg.Definitions) -> None:
    config = definitions.resolve_assets_def(key(TABLES[0])).op.config_schema.as_field().config_type
    assert isinstance(config, dg.Shape)
    fields = config.fields
    assert set(fields) == set(LoadConfig.model_fields)
    assert not any(field.is_required for field in fields.values())


@pytest.fixture
def dsn_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    environment = {"MEDGEN_DSN": f"postgresql://somebody:{SECRET}@db.example.org/medgen"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def test_the_dsn_reaches_the_ui_as_the_name_of_its_variable(dsn_in_the_environment: dict[str, str]) -> None:
    for definitions in (build_definitions(), build_definitions(environment=dsn_in_the_environment)):
        shown = shown_to_the_ui(definitions)
        assert '\\"dsn\\": {\\"env\\": \\"MEDGEN_DSN\\"}' in shown
        assert SECRET not in shown
        assert "somebody" not in shown


def test_the_environment_decides_between_the_embedded_server_and_a_dsn(dsn_in_the_environment: dict[str, str]) -> None:
    def target(environment: dict[str, str]) -> Target:
        found: WarehouseIOManager = (build_definitions(environment=environment).resources or {})["medgen_warehouse"]
        return found.target

    assert target({}) == EmbeddedTarget(schema="medgen")
    assert target({"MEDGEN_DSN": ""}) == EmbeddedTarget(schema="medgen")
    assert target({"MEDGEN_SCHEMA": "other"}) == EmbeddedTarget(schema="other")
    with_dsn = target({**dsn_in_the_environment, "MEDGEN_SCHEMA": "other"})
    assert isinstance(with_dsn, PostgresTarget)
    assert (with_dsn.schema_, with_dsn.dsn) == ("other", dg.EnvVar("MEDGEN_DSN"))


@pytest.mark.usefixtures("dsn_in_the_environment")
def test_the_kind_of_the_tables_follows_the_dsn(monkeypatch: pytest.MonkeyPatch) -> None:
    def kinds() -> set[str]:
        return next(s for s in build_definitions().resolve_all_asset_specs() if s.key == key(TABLES[0])).kinds

    assert kinds() == {"postgres", "table"}
    monkeypatch.setenv("MEDGEN_DSN", "nonsense")  # the location loads; the run says what is wrong
    assert kinds() == {"database", "table"}


def test_the_longest_chain_of_tables_begins_first() -> None:
    plan = create_execution_plan(build_definitions(environment={}).resolve_implicit_global_asset_job_def())
    unfinished = pytest.raises(dg.DagsterInvariantViolationError, match="without completing")
    with unfinished, ActiveExecution(plan, RetryMode.DISABLED) as execution:
        begun = [step.key for step in execution.get_steps_to_execute(limit=4)]
    assert begun == [f"medgen__{name}" for name in ("medgen_pubmed_lnk", "mgrel", "names", "mgconso")]


def test_resources_and_executor_can_be_replaced() -> None:
    source = MedgenSource(url="file:///somewhere")
    more = {"medgen_source": source, "extra": 42}
    definitions = build_definitions(resources=more, executor=dg.in_process_executor, environment={})
    assert (definitions.resources or {})["medgen_source"] is source
    assert (definitions.resources or {})["extra"] == 42
    assert isinstance((definitions.resources or {})["medgen_warehouse"], WarehouseIOManager)
    assert isinstance(definitions.executor, dg.ExecutorDefinition)
    assert definitions.executor.name == "in_process"
    assert build_definitions(environment={}).executor is None  # a host has its own
