"""The assets as a part of somebody else's project: docs/embedding.md, executed, and examples/host."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from medgen_pipeline import MedgenComponent, build_definitions
from medgen_pipeline.catalog import CURATED_TABLES, table_by_name
from medgen_pipeline.catalog.sources.medgen import TABLES
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.errors import SettingError
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests import medgen
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.instance import PROJECT
from medgen_pipeline_tests.loaders.support import query

PAGE = Document("docs/embedding.md")
HOST = PROJECT / "examples" / "host"
SCAFFOLD, COMMANDS = PAGE.blocks("sh")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small release of all files."""
    folder = tmp_path_factory.mktemp("release") / "2026-01-07"
    write_sample(folder, scale=0.2)
    return folder


@pytest.fixture
def environment(commands: Path, database: str, release: Path, tmp_path: Path) -> dict[str, str]:
    """Of a shell in which the host's project is worked on."""
    return {
        "MEDGEN_DSN": database,
        "MEDGEN_SOURCE_URL": release.as_uri(),
        "MEDGEN_HOME": str(tmp_path / "home"),
        "DAGSTER_HOME": str(tmp_path / "dagster"),
        "PYTHONPATH": f"{tmp_path / 'host' / 'src'}:{PROJECT}",
        "PATH": f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def in_host(command: str, environment: dict[str, str], tmp_path: Path, folder: str | Path = "host") -> str:
    """What a command prints in a copy of the host's project, or in another folder."""
    for made in ("dagster", "home"):
        (tmp_path / made).mkdir(exist_ok=True)
    done = subprocess.run(
        ["/bin/bash", "-euc", command],
        cwd=tmp_path / folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands_of_the_page_work_in_a_project_of_one_s_own(
    environment: dict[str, str], database: str, tmp_path: Path
) -> None:
    shutil.copytree(HOST, tmp_path / "host", ignore=shutil.ignore_patterns("__pycache__"))
    written = tmp_path / "host" / "src" / "bio_platform" / "defs" / "medgen" / "defs.yaml"
    wanted = written.read_text()
    shutil.rmtree(written.parent)
    in_host(SCAFFOLD, environment, tmp_path)
    assert yaml.safe_load(written.read_text())["type"] == "medgen_pipeline.MedgenComponent"
    written.write_text(wanted)
    listed = in_host(COMMANDS, environment, tmp_path)
    for name in ("bio/diseases", "bio_refresh_medgen", "bio_new_release_sensor", "bio_medgen_warehouse"):
        assert name in listed
    assert query(database, "SELECT count(*) > 0 FROM bio_medgen.names") == [(True,)]


def test_a_clone_answers_dg(environment: dict[str, str], database: str, tmp_path: Path) -> None:
    in_host("dg launch --assets key:medgen/medgen_sources", environment, tmp_path, PROJECT)
    assert query(database, "SELECT count(*) > 0 FROM medgen.medgen_sources") == [(True,)]


def test_an_asset_of_the_host_s_is_made_in_a_run_with_the_curated_table_it_is_downstream_of(
    environment: dict[str, str], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        if name.startswith("MEDGEN_"):
            monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(HOST / "src"))
    from bio_platform.definitions import defs  # type: ignore[import-not-found]  # examples/host, put on the path here

    loaded: dg.Definitions = defs()
    with dg.DagsterInstance.ephemeral() as instance:
        job = loaded.resolve_job_def("bio_refresh_medgen")
        of_the_job = {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
        assert of_the_job == {
            "bio/diseases",
            *(f"bio/medgen/{table.name}" for table in (*TABLES, *medgen.CURATED_TABLES)),
        }
        selection = dg.AssetSelection.assets(["bio", "diseases"]).upstream().materializable()
        to_make = selection.resolve(job.asset_layer.asset_graph)
        chosen = job.get_subset(asset_selection=to_make, asset_check_selection=set())
        done = chosen.execute_in_process(instance=instance, raise_on_error=False)
    assert done.success
    assert {event.asset_key for event in done.get_asset_materialization_events()} == to_make
    (diseases,) = done.asset_materializations_for_node("bio__diseases")
    assert diseases.metadata["columns"].value == ["cui", "name"]
    counted = query(database, "SELECT count(*) FROM bio_medgen.concept WHERE is_disease")
    assert [(diseases.metadata["dagster/row_count"].value,)] == counted
    (concept,) = done.asset_materializations_for_node("bio__medgen__concept")
    lineage = concept.metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    upstream = {dep.asset_key for deps in lineage.deps_by_column.values() for dep in deps}
    assert dg.AssetKey(["bio", "medgen", "names"]) in upstream
    assert query(database, "SELECT count(*) > 0 FROM bio_medgen.concept") == [(True,)]


@dg.asset
def own() -> None: ...


@dg.sensor(job_name="refresh_medgen", name="new_release_sensor")
def own_sensor() -> None: ...


def host_definitions() -> dg.Definitions:
    """A host that uses the names that everybody uses, and some of ours."""
    return dg.Definitions(
        assets=[own],
        resources={"warehouse": 1, "source": 2, "notifier": 3, "medgen_warehouse": 4, "io_manager": dg.mem_io_manager},
        executor=dg.in_process_executor,
        jobs=[dg.define_asset_job("refresh_medgen", selection="own")],
        sensors=[own_sensor],
        schedules=[dg.ScheduleDefinition(name="weekly_refresh", job_name="refresh_medgen", cron_schedule="0 0 * * 0")],
    )


def test_a_host_keeps_its_resources_executor_jobs_sensors_and_schedules() -> None:
    ours = build_definitions(key_prefix=["bio", "medgen"], name_prefix="bio_", environment={})
    merged = dg.Definitions.merge(host_definitions(), ours)
    dg.Definitions.validate_loadable(merged)
    assert merged.executor is dg.in_process_executor
    assert (merged.resources or {})["warehouse"] == 1
    jobs = {job.name for job in merged.resolve_all_job_defs()}
    assert {"refresh_medgen", "bio_refresh_medgen", "bio_check_medgen"} <= jobs


def test_two_instances_load_into_two_schemas_of_one_code_location(environment: dict[str, str], database: str) -> None:
    first, second = (
        build_definitions(
            key_prefix=[name, "medgen"],
            group_prefix=name,
            name_prefix=f"{name}_",
            tables=["names"],
            environment={**environment, "MEDGEN_SCHEMA": name},
            resources={f"{name}_medgen_warehouse": warehouse(database, name)},
        )
        for name in ("one", "two")
    )
    merged = dg.Definitions.merge(first, second)
    for name in ("one", "two"):
        done = merged.resolve_job_def(f"{name}_refresh_medgen").execute_in_process(raise_on_error=False)
        assert done.success
        assert query(database, f"SELECT count(*) > 0 FROM {name}.names") == [(True,)]  # noqa: S608  # names of ours
    assert {spec.group_name for spec in merged.resolve_all_asset_specs()} == {"one", "two", "ncbi"}


def warehouse(dsn: str, schema: str) -> object:
    from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
    from medgen_pipeline.orchestration.targets import DatabaseTarget

    return WarehouseIOManager(target=DatabaseTarget(dsn=dsn, schema=schema))


def test_curated_tables_need_their_inputs_and_are_left_out_without_them() -> None:
    some = build_definitions(tables=["names", "mgsty"], environment={})
    made = {key.path[-1] for key in some.resolve_all_asset_keys() if key.path[0] == "medgen"}
    assert made == {"names", "mgsty"}
    chosen = build_definitions(curated=["concept_parent"], environment={})
    curated = {spec.key.path[-1] for spec in chosen.resolve_all_asset_specs() if spec.group_name == "medgen_curated"}
    assert curated == {"concept_parent"}


def test_an_unknown_table_and_an_empty_prefix_are_refused_by_name() -> None:
    with pytest.raises(LookupError, match=r"unknown tables \['nmaes'\]; known: .*names"):
        build_definitions(tables=["nmaes"], environment={})
    with pytest.raises(ValueError, match=r"key_prefix is \[\], expected one or more names"):
        build_definitions(key_prefix=[], environment={})


def test_an_environment_of_one_s_own_counts_and_the_process_s_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDGEN_SOURCE_URL", "https://process.test/")
    monkeypatch.setenv("MEDGEN_QUIET_MINUTES", "1")
    given = {"MEDGEN_SOURCE_URL": "https://given.test/", "MEDGEN_QUIET_MINUTES": "7", "MEDGEN_HOME": "/given"}
    source = (build_definitions(environment=given).resources or {})["medgen_source"]
    assert (source.url, source.quiet_minutes, source.home) == ("https://given.test/", 7, "/given")


def test_a_url_with_a_password_is_named_and_not_shown() -> None:
    settings = Settings.read({"MEDGEN_SOURCE_URL": "https://me:s3cr3t@given.test/"})
    source = (build_definitions(settings=settings).resources or {})["medgen_source"]
    assert source.url == dg.EnvVar("MEDGEN_SOURCE_URL")
    assert "s3cr3t" not in repr(settings)


def test_curated_assets_carry_an_automation_condition_where_the_host_asks_for_it() -> None:
    def conditions(*, automation: bool) -> set[str]:
        definitions = build_definitions(automation=automation, environment={})
        return {spec.key.path[-1] for spec in definitions.resolve_all_asset_specs() if spec.automation_condition}

    assert conditions(automation=False) == set()
    assert conditions(automation=True) == {table.name for table in CURATED_TABLES}


def test_with_automation_a_curated_asset_and_a_host_s_own_follow_their_inputs_without_a_job() -> None:
    @dg.asset(deps=[dg.AssetKey(["medgen", "concept_parent"])], automation_condition=dg.AutomationCondition.eager())
    def own_hierarchy() -> None: ...

    merged = dg.Definitions.merge(
        build_definitions(automation=True, environment={}), dg.Definitions(assets=[own_hierarchy])
    )
    followers = dg.AssetSelection.assets(["medgen", "concept_parent"], "own_hierarchy")
    with dg.DagsterInstance.ephemeral() as instance:

        def made(*keys: dg.AssetKey) -> None:
            for key in keys:
                instance.report_runless_asset_event(dg.AssetMaterialization(key))

        def requested(cursor: Any) -> tuple[set[str], Any]:  # of a class that Dagster does not export
            found = dg.evaluate_automation_conditions(merged, instance, followers, cursor=cursor)
            keys = {one.key.to_user_string() for one in found.results if found.get_num_requested(one.key)}
            return keys, found.cursor

        made(*merged.resolve_all_asset_keys())
        _, cursor = requested(None)
        assert requested(cursor)[0] == set()
        made(dg.AssetKey(["medgen", "mgrel"]))
        assert requested(cursor)[0] == {"medgen/concept_parent", "own_hierarchy"}


def test_the_attributes_of_the_page_are_the_component_s() -> None:
    table = PAGE.table_under("As a component")
    assert [name for name, *_ in table] == list(MedgenComponent.model_fields)
    with pytest.raises(SettingError, match="MEDGEN_QUIET_MINUTES"):
        Settings.read({}, quiet_minutes=-1)


@pytest.mark.parametrize("block", PAGE.blocks("python")[2:])
def test_a_piece_of_python_on_the_page_runs(block: str) -> None:
    names: dict[str, dg.Definitions] = {}
    exec(block.replace("assets=[...]", "assets=[]").replace('"warehouse": ...', '"warehouse": 1'), names)  # noqa: S102
    dg.Definitions.validate_loadable(names["defs"])


def test_the_files_of_the_page_are_the_example_s() -> None:
    host = HOST / "src" / "bio_platform" / "defs"
    assert PAGE.blocks("yaml") == [(host / "medgen" / "defs.yaml").read_text().rstrip("\n")]
    assert PAGE.blocks("python")[0] == (host / "diseases.py").read_text().rstrip("\n")
    assert re.search(r"`examples/host` is such a project", PAGE.text)
    assert table_by_name("names") in TABLES
