"""The documentation as a whole: it builds strictly, and nothing that can be run is left to belief."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from medgen_pipeline.catalog import CURATED_TABLES, TABLES, upstream_of
from medgen_pipeline.cli import main
from medgen_pipeline.loaders.records import LOADS_WITH_REJECTED_ROWS
from medgen_pipeline.loading import file_load as load
from medgen_pipeline.rows import framing
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.instance import PROJECT

# Where the blocks of a page are run, or held against what they describe.
TESTED_IN = {
    "README.md": "integration/test_readme.py",
    "docs/benchmarks.md": "integration/test_docs_site.py",
    "docs/changes.md": "integration/test_docs_changes.py",
    "docs/ci.md": "integration/test_ci.py",
    "docs/deployment.md": "integration/test_deploy.py",
    "docs/export.md": "integration/test_docs_export.py",
    "docs/embedding.md": "integration/test_embedding.py",
    "docs/extending.md": "integration/test_docs_extending.py",
    "docs/databricks.md": "integration/test_docs_databricks.py",
    "docs/duckdb.md": "integration/test_docs_duckdb.py",
    "docs/redshift.md": "integration/test_docs_redshift.py",
    "docs/questions.md": "loaders/test_docs_questions.py",
    "docs/going-back.md": "integration/test_docs_going_back.py",
    "docs/run.md": "integration/test_readme.py",
    "docs/schedule.md": "integration/test_docs_sources.py",
    "docs/start.md": "integration/test_readme.py",
    "docs/troubleshooting.md": "integration/test_docs_site.py",
}
PROSE = {"CHANGELOG.md"}  # what was, not what to type


class Text(HTMLParser):
    """The words of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(page.read_text())

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as ``make docs`` does, elsewhere."""
    folder = tmp_path_factory.mktemp("site")
    command = re.search(r"^docs:.*\n\t@.*\$\(BIN\)/mkdocs (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert command
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", *command[1].split(), "--site-dir", str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_that_has_blocks_has_a_test_that_reads_it() -> None:
    pages = {path.relative_to(PROJECT).as_posix() for path in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")]}
    with_blocks = {page for page in pages - PROSE if set(Document(page).languages) - {""}}
    assert with_blocks == TESTED_IN.keys()
    for page, test in TESTED_IN.items():
        assert Path(page).name in (PROJECT / "medgen_pipeline_tests" / test).read_text()


def test_the_site_has_every_table_and_column_of_the_catalog(site: Path) -> None:
    words = {page: set(Text(site / page / "index.html").words) for page in ("tables", "curated")}
    for table in TABLES:
        assert {table.file_name, *table.column_names} <= words["tables"]
    for curated in CURATED_TABLES:
        assert {curated.name, *curated.column_names} <= words["curated"]


def test_the_diagram_leads_to_every_table_and_from_each_to_what_is_made_of_it(site: Path) -> None:
    page = (site / "how-it-works" / "index.html").read_text()
    links = re.findall(r'<a href="\.\./(\w+)/#(\w+)" transform', page)
    assert Counter(name for _, name in links) == Counter(table.name for table in (*TABLES, *CURATED_TABLES))
    for target, name in links:
        assert f'id="{name}"' in (site / target / "index.html").read_text()
    edges = {(parent.name, table.name) for table in CURATED_TABLES for parent in upstream_of(table)}
    assert set(re.findall(r"<title>(\w+) → (\w+)</title>", page)) == edges


def test_no_page_takes_a_script_style_or_font_from_another_server(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert not re.search(
            r'<(script|img|iframe)[^>]+src="?https?:|<link[^>]+stylesheet[^>]+https?:', path.read_text()
        )


def test_the_site_has_every_command_and_option_of_medgen(site: Path) -> None:
    shown = "".join(Text(site / "reference" / "cli" / "index.html").words)

    def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
        for name, command in group.commands.items():
            yield f"{path} {name}", command
            if isinstance(command, click.Group):
                yield from commands(command, f"{path} {name}")

    found = dict(commands(main, "medgen"))
    assert {"medgen demo", "medgen server psql"} <= found.keys()
    for path, command in found.items():
        usage, *_ = re.findall(rf"Usage: {path} .*?(?=Usage: |$)", shown, re.DOTALL)
        assert " ".join(str(command.help).split()) in " ".join(usage.split())
        assert all(option in usage for parameter in command.params for option in parameter.opts if "-" in option)


def test_the_home_page_is_the_readme_with_links_that_lead_somewhere(site: Path) -> None:
    # --strict has looked at every link that is relative; one into the repository would not be.
    page = (site / "index.html").read_text()
    assert "Two commands" in page
    assert 'href="docs/' not in page
    assert (site / "images" / "graph.png").exists()


# docs/troubleshooting.md


TROUBLE = Document("docs/troubleshooting.md")


@pytest.fixture(scope="module")
def literals() -> list[str]:
    """Every text in the package's code."""
    return [
        node.value
        for path in (PROJECT / "medgen_pipeline").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


@pytest.mark.parametrize("message", re.findall(r"^\| `(.+?)` \|", TROUBLE.text, re.MULTILINE))
def test_a_message_of_the_page_is_one_that_can_be_seen(message: str, literals: list[str]) -> None:
    assert any(message in text for text in [*literals, (PROJECT / "Makefile").read_text()])


# docs/run.md


def test_what_the_page_says_is_kept_of_rejected_lines_is_what_is_kept() -> None:
    said = " ".join((PROJECT / "docs" / "run.md").read_text().split())
    assert (
        f"Of each line the first {framing.MAX_REJECTED_BYTES:,} bytes are kept, and of each load "
        f"{load.MAX_REJECTED_ROWS:,} lines and {load.MAX_REJECTED_BYTES >> 20} MiB."
    ) in said
    assert f"kept for the last {LOADS_WITH_REJECTED_ROWS} loads that had some" in said


# docs/benchmarks.md


def test_the_benches_of_the_page_are_targets_of_make() -> None:
    for command in Document("docs/benchmarks.md").blocks("sh"):
        done = subprocess.run([*command.split(), "--dry-run"], cwd=PROJECT, capture_output=True, text=True, check=True)
        (module,) = re.findall(r"-m (medgen_pipeline_tests\.bench\.\w+)", done.stdout)
        helped = CliRunner().invoke(import_module(module).main, ["--help"])
        assert helped.exit_code == 0, helped.output
