"""The files around the package: metadata, versions and what tools read."""

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import medgen_pipeline

PROJECT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())
METADATA: dict[str, Any] = PYPROJECT["project"]
CONSTRAINTS = (PROJECT / "constraints.txt").read_text()


def requirements() -> list[Requirement]:
    """Everything pyproject.toml asks for, extras included, but for the package itself."""
    texts = [
        *METADATA["dependencies"],
        *(text for extra in METADATA["optional-dependencies"].values() for text in extra),
    ]
    return [asked for asked in map(Requirement, texts) if asked.name != METADATA["name"]]


def test_the_version_is_the_same_in_both_places() -> None:
    assert METADATA["version"] == medgen_pipeline.__version__


def test_every_tool_finds_the_same_code_location() -> None:
    # dagster 1.13.27: [tool.dagster] and [tool.dg] of pyproject.toml win over workspace.yaml silently; not dg.toml.
    assert not {"dagster", "dg"} & set(PYPROJECT["tool"])
    (entry,) = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]
    (shipped,) = yaml.safe_load((PROJECT / "medgen_pipeline" / "cli" / "workspace.yaml").read_text())["load_from"]
    project = tomllib.loads((PROJECT / "dg.toml").read_text())["project"]
    assert entry == shipped
    assert entry["python_module"] == {
        "module_name": f"{project['root_module']}.definitions",
        "location_name": project["code_location_name"],
    }
    assert import_module(entry["python_module"]["module_name"]).defs


def test_the_medgen_command_exists() -> None:
    module, _, name = METADATA["scripts"]["medgen"].partition(":")
    assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("asked", requirements(), ids=str)
def test_a_constraint_meets_every_requirement(asked: Requirement) -> None:
    found = re.search(rf"^{re.escape(canonicalize_name(asked.name))}==([^ ;]+)", CONSTRAINTS, re.MULTILINE)
    assert found, f"{asked.name} is not in constraints.txt; run `make lock`"
    assert asked.specifier.contains(found[1], prereleases=True)


def test_constraints_name_versions_only() -> None:
    # pip refuses extras and editable paths here; an index's address would not be there for others.
    for line in CONSTRAINTS.splitlines():
        assert re.fullmatch(r"#.*|    # .*|[a-z0-9-]+==[\w.]+( ; .+)?", line), line
        assert "://" not in line


def test_ci_checks_what_contributors_check() -> None:
    script = PROJECT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    lines = script.read_text().splitlines()
    made = [line.split()[1] for line in lines if line.startswith("make ")]
    assert made == [".venv/.test", "lint", "test"]  # an environment first, which the others would make
    assert lines[-1] == "make test"


def test_ci_tries_every_python_version_that_the_metadata_allow() -> None:
    (tried,) = re.findall(r"^for version in (.*); do$", (PROJECT / ".ci" / "run").read_text(), re.MULTILINE)
    assert [f"Programming Language :: Python :: {version}" for version in tried.split()] == [
        classifier for classifier in METADATA["classifiers"] if "Python :: 3" in classifier
    ]


def test_every_python_version_is_named_that_the_metadata_allow() -> None:
    named = [text.rsplit(" ", 1)[1] for text in METADATA["classifiers"] if "Python :: 3" in text]
    assert named == ["3.11", "3.12", "3.13", "3.14"]
    assert METADATA["requires-python"] == ">=3.11,<3.15"
    example = tomllib.loads((PROJECT / "examples" / "sqlite" / "pyproject.toml").read_text())
    assert example["project"]["requires-python"] == METADATA["requires-python"]
    makefile = (PROJECT / "Makefile").read_text()
    assert "(3, 11) <= sys.version_info[:2] <= (3, 14)" in makefile
    tried = re.search(r"^PYTHON \?= (.*)$", makefile, re.MULTILINE)
    assert tried
    assert {f"python{version}" for version in named} <= set(tried[1].split())
    for text in (makefile, CONSTRAINTS, *((PROJECT / name).read_text() for name in ("README.md", "docs/start.md"))):
        assert "Python 3.11 to 3.14" in text


def test_no_pattern_repeats_a_group_possessively() -> None:
    # Python before 3.11.5 (Debian 12 has 3.11.2) leaves the end of such a match inside the part that failed
    # (https://github.com/python/cpython/issues/106052). "(?>(?:...)*)" means the same; at a pattern's end, so does "*".
    repeated = re.compile(r"(?<!\()\)(?:[*+?]|\{[^{}\n]*\})\+")
    found = [
        f"{path.relative_to(PROJECT)}:{number}: {line.strip()}"
        for folder in ("medgen_pipeline", "medgen_pipeline_tests", "examples", "docs")
        for path in sorted((PROJECT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if repeated.search(line)
    ]
    assert found == []


def test_every_picture_is_shown_on_a_page_and_small() -> None:
    pictures = {path.name: path.stat().st_size for path in (PROJECT / "docs" / "images").iterdir()}
    pages = "".join(path.read_text() for path in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")])
    assert set(re.findall(r"images/([\w-]+\.png)\)", pages)) == set(pictures)
    assert max(pictures.values()) < 300_000
