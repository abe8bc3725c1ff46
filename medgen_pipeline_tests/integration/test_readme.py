"""README, docs/start.md, run.md and settings.md, taken at their word: commands, queries, configs, metrics, tables."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from medgen_pipeline.catalog import CURATED_TABLES, TABLES
from medgen_pipeline.catalog.sources.medgen import MEDGEN
from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.orchestration.assets.tables import LoadConfig
from medgen_pipeline.orchestration.build import build_definitions, default_resources
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.targets import PostgresTarget
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.integration.conftest import LOADED, PROJECT, Demo
from medgen_pipeline_tests.loaders.support import query
from medgen_pipeline_tests.webserver import ask, free_port, running

README, START, RUN, SETTINGS = PAGES = tuple(
    map(Document, ("README.md", "docs/start.md", "docs/run.md", "docs/settings.md"))
)

MATERIALIZE = (
    'eval "$(.venv/bin/medgen env)"\n.venv/bin/dagster asset materialize -m medgen_pipeline.definitions'
    ' --select \'key:"medgen/names" or key:"medgen/mgrel"\''
)
OWN_HOME = "export MEDGEN_HOME=mirror\nmake ui"
OWN_SERVER = (
    "export MEDGEN_SOURCE_URL=https://mirror.example.org/medgen/\n"
    "export MEDGEN_DSN=postgresql://USER:PASSWORD@HOST/DATABASE"
)
LOOK = ".venv/bin/medgen status\n.venv/bin/medgen show names --where 'name=Marfan syndrome'"
SAMPLE = ".venv/bin/medgen sample release/2026-01-14 --scale 3 --next"

# Every block of commands, and the test here that runs it.
RUN_BY = {
    "make demo": "test_make_demo_prints_the_metrics_shown",
    "make test": "test_make_test_runs_every_test",
    "make ui": "test_make_ui_shows_the_demo_s_assets_and_their_history",
    "make psql": "test_make_psql_opens_the_demo_s_database",
    "make stop": "test_make_stop_stops_the_server_and_the_data_stay",
    OWN_HOME: "test_a_home_of_its_own_is_filled_from_ncbi",
    OWN_SERVER: "test_source_and_database_of_one_s_own_are_accepted",
    MATERIALIZE: "test_the_command_for_ci_loads_and_ends_with_status_0",
    LOOK: "test_the_commands_that_look_show_each_table_and_the_rows_asked_for",
    SAMPLE: "test_the_sample_command_writes_a_release",
}


def all_blocks(language: str) -> list[str]:
    return [block for page in PAGES for block in page.blocks(language)]


def exports(block: str) -> dict[str, str]:
    return dict(re.findall(r"^export (\w+)=(.*)$", block, re.MULTILINE))


# Commands


def test_every_command_is_run_by_a_test() -> None:
    assert set(all_blocks("sh")) == set(RUN_BY)
    assert set(RUN_BY.values()) <= set(globals())


def test_make_demo_prints_the_metrics_shown(demo: Demo) -> None:
    shown, answer = START.blocks("text")
    assert f"\n{answer}\n" in demo.output
    release = shown.splitlines()[0]
    printed = demo.output.split(release)[1]
    assert len(shown.splitlines()) > 5
    for line in shown.splitlines()[1:]:
        without_seconds = line.rsplit(maxsplit=1)[0]
        assert f"\n{without_seconds} " in printed


def test_make_test_runs_every_test(demo: Demo) -> None:
    # Running it here would never end; what it would run is this very suite, whole.
    done = demo.run([*demo.make("test"), "--dry-run", "--no-print-directory"])
    assert done.stdout == f"{demo.directory}/.venv/bin/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder\n"


def test_make_psql_opens_the_demo_s_database(demo: Demo) -> None:
    done = demo.run(demo.make("psql"), stdin="SELECT count(*) AS sources FROM medgen.medgen_sources;\n")
    assert done.returncode == 0
    assert "123" in done.stdout


def test_make_stop_stops_the_server_and_the_data_stay(demo: Demo) -> None:
    demo.server.ensure_running()
    assert demo.run(demo.make("stop")).returncode == 0
    assert not demo.server.is_running()
    assert query(demo.server.ensure_running(), "SELECT count(*) FROM medgen.medgen_sources") == [(123,)]


def test_the_command_for_ci_loads_and_ends_with_status_0(demo: Demo) -> None:
    dsn = demo.server.ensure_running()
    last = "SELECT coalesce(max(load_id), 0) FROM medgen_audit.load_run"
    before = query(dsn, last)[0][0]
    done = demo.shell(MATERIALIZE)
    assert done.returncode == 0, done.stderr
    loads = "SELECT table_name, status FROM medgen_audit.load_run WHERE load_id > %s ORDER BY 1"
    assert query(dsn, loads, before) == [("mgrel", "succeeded"), ("names", "succeeded")]


def test_the_commands_that_look_show_each_table_and_the_rows_asked_for(demo: Demo) -> None:
    demo.server.ensure_running()
    status, shown = (demo.shell(command).stdout.splitlines()[2:] for command in LOOK.splitlines())
    assert [line.split()[0] for line in status] == [table.name for table in (*TABLES, *CURATED_TABLES)]
    assert next(line for line in status if line.startswith("names ")).endswith(" passed")
    assert [" ".join(line.split()) for line in shown] == ["C0024796 Marfan syndrome NCI N"]


def test_the_sample_command_writes_a_release(demo: Demo) -> None:
    done = demo.shell(SAMPLE)
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (demo.directory / "release" / "2026-01-14").iterdir()}
    assert written == {table.file_name for table in TABLES}


def test_a_home_of_its_own_is_filled_from_ncbi(demo: Demo) -> None:
    # `make ui` begins with `medgen env`; a variable it does not print keeps its default, which is NCBI.
    done = demo.shell(OWN_HOME.replace("make ui", ".venv/bin/medgen env"))
    assert f"export MEDGEN_HOME={demo.directory / 'mirror'}\n" in done.stdout
    assert "SOURCE_URL" not in done.stdout
    assert MEDGEN.url == "https://ftp.ncbi.nlm.nih.gov/pub/medgen/"


def test_source_and_database_of_one_s_own_are_accepted(demo: Demo) -> None:
    settings = exports(OWN_SERVER)
    assert ReleaseSource(settings["MEDGEN_SOURCE_URL"], Archive(demo.home)).url == settings["MEDGEN_SOURCE_URL"]
    LoaderFactory.create_loader(settings["MEDGEN_DSN"], {"schema": "medgen"})
    assert isinstance(default_resources(Settings.read(settings))[DEFAULT_NAMES.warehouse].target, PostgresTarget)


# The UI


@pytest.fixture(scope="module")
def ui(demo: Demo) -> Iterator[str]:
    """``make ui`` on a free port; the UI's address."""
    port = free_port()
    command = [*demo.make("ui"), f"PORT={port}", f"BIN={Path(sys.executable).parent}"]  # one that Ctrl-C reaches
    with running(command, port, demo.environment, PROJECT, demo.directory / "ui.log") as address:
        yield address


def test_make_ui_shows_the_demo_s_assets_and_their_history(demo: Demo, ui: str) -> None:
    assert "Warning" not in (demo.directory / "ui.log").read_text()
    found = ask(
        ui,
        "{ assetNodes { assetKey { path } repository { location { name } }"
        " assetMaterializations(limit: 9) { metadataEntries { label ... on TextMetadataEntry { text } } } } }",
    )
    releases = {}
    for node in found["assetNodes"]:
        assert node["repository"]["location"]["name"] == "medgen_pipeline"
        releases["/".join(node["assetKey"]["path"])] = {
            entry["text"]
            for event in node["assetMaterializations"]
            for entry in event["metadataEntries"]
            if entry["label"] == "medgen/release"
        }
    for table in LOADED:
        assert releases[f"medgen/{table.name}"] == {"2026-01-07", "2026-01-14"}


def test_make_ui_begins_with_the_demo_s_runs_as_runs_of_the_code_location(ui: str) -> None:
    found = ask(
        ui,
        "{ runsOrError { ... on Runs { results { status repositoryOrigin { repositoryLocationName } } } } }",
    )
    of_the_demo = found["runsOrError"]["results"][-2:]  # the newest is first, and commands of this page have run since
    assert (
        of_the_demo
        == [
            {"status": "SUCCESS", "repositoryOrigin": {"repositoryLocationName": "medgen_pipeline"}},
        ]
        * 2
    )


# Queries, settings, tables


@pytest.mark.parametrize("statement", all_blocks("sql"))
def test_a_query_finds_something_in_the_demo_s_database(statement: str, demo: Demo) -> None:
    assert query(demo.server.ensure_running(), statement.replace("%", "%%"))


@pytest.mark.parametrize("config", all_blocks("yaml"))
def test_a_run_config_is_one_that_dagster_takes(config: str) -> None:
    job = build_definitions(environment={}).resolve_job_def("refresh_medgen")
    assert dg.validate_run_config(job, yaml.safe_load(config))


def test_the_gates_are_those_of_the_run_config() -> None:
    words = {"none": [], "false": False, "what is published, or the release that the table is pinned to": ""}
    shown = {
        setting: words[value] if value in words else float(value)
        for _, setting, value in RUN.table_under("When a load refuses")
    }
    assert shown == {name: field.default for name, field in LoadConfig.model_fields.items()}


def test_the_tables_are_those_of_the_catalog() -> None:
    shown = [cells[:3] for cells in START.table_under("Tables")]
    assert shown == [[f"medgen/{table.name}", table.file_name, f"{table.typical_rows:,}"] for table in TABLES]


def test_the_curated_tables_are_those_of_the_catalog() -> None:
    shown = [name for name, _ in START.table_under("Curated tables")]
    assert sorted(shown) == sorted(f"medgen/{table.name}" for table in CURATED_TABLES)


def test_settings_are_read_from_the_environment_in_one_place() -> None:
    package = PROJECT / "medgen_pipeline"
    handed_on = {  # to a program that is started, as it is
        "cli/ui.py",
        "demo/cluster.py",
        "testing/processes.py",
    }
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"os\.(environ|getenv)\b[^`]", path.read_text())
    }
    assert users == {"settings.py", *handed_on}


def test_every_variable_the_package_names_is_explained() -> None:
    variable = r"\b(?:MEDGEN|DAGSTER)_[A-Z][A-Z0-9_]+"
    sources = (PROJECT / "medgen_pipeline").rglob("*.py")
    named = {name for path in sources for name in re.findall(variable, path.read_text())}
    assert named <= set(re.findall(variable, SETTINGS.text))
