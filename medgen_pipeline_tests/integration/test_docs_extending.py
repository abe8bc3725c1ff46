"""docs/extending.md: every piece of code is the example's, and its commands run."""

import re
import sys
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.testing.loads import NAMES
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.instance import PROJECT
from medgen_pipeline_tests.integration.conftest import Installation

PAGE = Document("docs/extending.md")
EXAMPLE = PROJECT / "examples" / "sqlite"
FILES = [path.read_text() for path in EXAMPLE.rglob("*.*") if path.suffix in {".py", ".toml"}]
SUITE, MATERIALIZE = PAGE.blocks("sh")


@pytest.mark.parametrize("block", [*PAGE.blocks("python"), *PAGE.blocks("toml")])
def test_a_piece_of_code_is_the_examples_own(block: str) -> None:
    as_part = (block, indent(block, "    "), indent(block, "        "))
    assert any(f"\n{piece}\n" in f"\n{text}" for piece in as_part for text in FILES)


def test_the_example_is_as_long_as_the_page_says_and_short() -> None:
    modules = set((EXAMPLE / "medgen_pipeline_sqlite").glob("*.py")) - {EXAMPLE / "medgen_pipeline_sqlite/testing.py"}
    lines = sum(len(path.read_text().splitlines()) for path in modules)
    assert re.findall(r"package in (\d+) lines", PAGE.text) == [str(lines)]
    assert lines < 300


def test_the_command_for_the_suite_runs_it(installation: Installation) -> None:
    """A few of its tests; all of them are part of the whole suite."""
    command = SUITE.replace(".venv/bin/python", sys.executable)
    done = installation.shell(f"cd {PROJECT} && {command} -k 'no_driver or empty'")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^[1-9]\d* passed", done.stdout, re.MULTILINE), done.stdout


def test_the_command_of_the_page_loads_into_a_folder(installation: Installation, tmp_path: Path) -> None:
    write_sample(tmp_path, scale=0.1)
    done = installation.shell(MATERIALIZE, MEDGEN_SOURCE_URL=tmp_path.as_uri())
    assert done.returncode == 0, done.stderr
    dsn = f"sqlite://{installation.directory}/warehouse"
    config = yaml.safe_load(PAGE.blocks("yaml")[0])["resources"]["medgen_warehouse"]["config"]["target"]["database"]
    with DatabaseTarget(**{**config, "dsn": dsn}).loader() as loader:
        ((rows,),) = loader.query("SELECT COUNT(*) FROM {names}", names=NAMES)
    assert rows > 100
