"""What README and docs/ say in prose, against the code: settings, defaults, numbers, and where things are."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from medgen_pipeline.catalog import CURATED_TABLES
from medgen_pipeline.catalog.sources.medgen import MEDGEN, TABLES
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.component import MedgenComponent
from medgen_pipeline.orchestration.executor import WAITS
from medgen_pipeline.orchestration.failures import RETRIES
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.processes import STEPS_AT_A_TIME
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.orchestration.schedules import build_refresh_schedule
from medgen_pipeline.release import TransferOptions
from medgen_pipeline.settings import PREFIX, Settings
from medgen_pipeline_tests.bench import run as bench_run
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.instance import PROJECT

WORDS = dict(enumerate(["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]))
SPANS = {30: "half a minute", 60: "a minute"}


def said(page: str) -> str:
    """A page's words, whatever its line breaks."""
    return " ".join((PROJECT / page).read_text().split())


# Numbers


def sentences() -> Iterator[tuple[str, str]]:
    """A page, and what it says where the code is as it is now."""
    yield "README.md", f"Each of MedGen's {len(TABLES)} files is an asset"
    yield "README.md", f"the {len(TABLES)} tables, as NCBI publishes them"
    yield "README.md", f"{WORDS[len(CURATED_TABLES)]} curated tables"
    yield "docs/how-it-works.md", f"NCBI publishes MedGen as {len(TABLES)} files."
    first, after, same = (f"{limit:g} times" for limit in bench_run.LIMITS.values())
    limits = f"{first} the raw copies for a first load, {after} for the next release, {same} where nothing has changed;"
    for page in ("docs/benchmarks.md", "medgen_pipeline_tests/bench/README.md"):
        yield page, f"{limits} {bench_run.MOST_MB} MB"
    yield "docs/adr/0012-processes.md", f"{WORDS[STEPS_AT_A_TIME].capitalize()} steps at a time"
    yield (
        "docs/ci.md",
        f"`group:{DEFAULT_NAMES.of_source(MEDGEN).group}` selects NCBI's {len(TABLES)} without the curated ones",
    )
    yield "docs/run.md", f"After {SPANS[sum(WAITS)]} the run ends"
    yield "docs/troubleshooting.md", f"did not answer, {WORDS[len(WAITS) + 1]} times within {SPANS[sum(WAITS)]};"
    yield "docs/sources.md", f"then the step's {WORDS[RETRIES.max_retries]} retries"
    yield "docs/sources.md", f"One answer of a web server may take {SPANS[int(TransferOptions().answer_timeout)]}"
    yield "docs/sources.md", f"as long as {MedgenSource().min_kib_per_second:g} kB arrive each second"
    tries = RedshiftConfig.settings()["conflict_attempts"].default
    yield "docs/redshift.md", f"is tried again, {tries} times in all by default (`conflict_attempts`)"
    schedule = build_refresh_schedule(MEDGEN, DEFAULT_NAMES)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * 4", "America/New_York")
    yield "docs/schedule.md", "on Thursdays at 6:00 in New York"


@pytest.mark.parametrize(("page", "sentence"), list(sentences()))
def test_a_number_in_prose_is_that_of_the_code(page: str, sentence: str) -> None:
    assert sentence in said(page)


def test_the_group_of_ci_md_has_ncbi_s_tables_alone() -> None:
    graph = build_definitions(environment={}).resolve_asset_graph()
    found = dg.AssetSelection.groups(DEFAULT_NAMES.of_source(MEDGEN).group).resolve(graph)
    assert found == {DEFAULT_NAMES.table_key(table) for table in TABLES}


def test_the_ratios_of_decision_7_are_those_of_the_benchmarks() -> None:
    measured = re.findall(
        r"^\| (?:first build|the whole query again).*\| (\d\.\d)\d \|$", text_of("benchmarks.md"), re.MULTILINE
    )
    assert [f"{ratio} times" for ratio in measured] == re.findall(
        r"\d\.\d times", said("docs/adr/0007-curated-loads.md")
    )


def test_the_signature_in_decision_1_is_that_of_the_load() -> None:
    parameters = ", ".join(inspect.signature(load_table).parameters)
    assert f"`load_table({parameters})`" in said("docs/adr/0001-one-load-is-a-dagster-free-function.md")


def text_of(page: str) -> str:
    return (PROJECT / "docs" / page).read_text()


# docs/adr


def test_a_decision_has_one_number_in_name_title_list_and_links() -> None:
    folder = PROJECT / "docs" / "adr"
    titles = {path.name: path.read_text().splitlines()[0] for path in sorted(folder.glob("0*.md"))}
    assert [int(name[:4]) for name in titles] == list(range(1, len(titles) + 1))
    listed = re.findall(r"^(\d+\. )\[(.+)\]\((.+)\)$", (folder / "README.md").read_text(), re.MULTILINE)
    assert {name: f"# {number}{title}" for number, title, name in listed} == titles
    assert all(title.startswith(f"# {int(name[:4])}. ") for name, title in titles.items())
    in_order = re.findall(r"adr/(0.+\.md)$", (PROJECT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert in_order == list(titles)
    for page in (*PROJECT.glob("docs/**/*.md"), *PROJECT.glob("*.md")):
        for name, number in re.findall(r"\[(\w+ \d+)\]\((?:docs/)?(?:adr/)?(\d{4})-", page.read_text()):
            assert name == f"decision {int(number)}", page


# docs/settings.md


def test_the_variables_of_the_page_are_the_settings_with_their_meanings_and_defaults() -> None:
    shown = [[re.sub(r"\[(.+?)\]\(.+?\)", r"\1", cell) for cell in row] for row in rows_of_settings()]
    assert shown == [list(row) for row in settings()]


def rows_of_settings() -> list[list[str]]:
    return [cells for cells in Document("docs/settings.md").table_under("Settings") if cells[0].startswith(PREFIX)]


def settings() -> Iterator[tuple[str, str, str]]:
    """Variable, meaning and default of each setting; what an empty one means is the end of its description."""
    for name, field in Settings.model_fields.items():
        if field.exclude:
            continue
        meaning, _, empty = (field.description or "").replace("`", "").removesuffix(".").partition("; empty: ")
        variable = str(field.validation_alias or f"{PREFIX}{name.upper()}")
        default = field.default if isinstance(field.default, str) else f"{field.default:g}" if field.default else ""
        yield variable, meaning, empty or default or "none"


def test_the_attributes_of_the_component_are_those_of_the_page() -> None:
    shown = [cells[0] for cells in Document("docs/embedding.md").table_under("As a component")]
    assert shown == list(MedgenComponent.model_fields)


# Where things are


@pytest.mark.parametrize("package", ["postgres", "redshift", "sql"])
def test_the_docstring_of_a_backend_names_each_of_its_modules(package: str) -> None:
    folder = PROJECT / "medgen_pipeline" / "loaders" / package
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(re.findall(r"``(\w+)``", docstring)) == modules


@pytest.mark.parametrize(
    "page",
    [
        "CONTRIBUTING.md",
        "docs/extending.md",
        *sorted(f"docs/adr/{path.name}" for path in (PROJECT / "docs/adr").iterdir()),
    ],
)
def test_a_file_or_folder_that_a_page_names_exists(page: str) -> None:
    roots = (PROJECT, PROJECT / "medgen_pipeline", PROJECT / "medgen_pipeline_tests")
    below = {path.relative_to(root).as_posix() for root in roots[1:] for path in root.rglob("*")} | {
        path.name for root in roots[1:] for path in root.rglob("*")
    }
    for name in re.findall(r"`((?:[\w.]+/)*[\w]+(?:\.py|/))`", (PROJECT / page).read_text()):
        wanted = name.removesuffix("/")
        assert wanted in below or any((root / Path(wanted)).exists() for root in roots), name
