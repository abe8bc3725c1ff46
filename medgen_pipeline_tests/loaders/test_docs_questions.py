"""docs/questions.md, taken at its word: every query has the answer that is printed below it, on either backend."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.release import Archive
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift
from medgen_pipeline_tests.loaders.support import new_loader

PAGE = (Path(__file__).parents[2] / "docs" / "questions.md").read_text()
_QUESTION = re.compile(r"^## (\d+\. [^\n]+)\n.*?^```sql\n(.*?)\n```\n\n((?:\|[^\n]*\n)+)", re.MULTILINE | re.DOTALL)

Answer = list[tuple[str, ...]]
"""The headers and the rows, as text; nothing for NULL."""


@dataclass(frozen=True)
class Question:
    """One section of the page."""

    title: str
    query: str
    answer: Answer


def question_of(title: str, query: str, table: str) -> Question:
    header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
    return Question(title, query, [tuple(header), *map(tuple, rows)])


QUESTIONS = [question_of(*found) for found in _QUESTION.findall(PAGE)]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The two releases of the demo."""
    folder = tmp_path_factory.mktemp("releases")
    for name, successor in (("2026-01-07", False), ("2026-01-14", True)):
        write_sample(folder / name, successor=successor)
    return sorted(folder.iterdir())


@pytest.fixture(params=["postgres", "redshift"])
def asked(
    request: pytest.FixtureRequest, database: str, releases: list[Path], tmp_path: Path
) -> Iterator[psycopg.Connection]:
    """A connection to a warehouse that has what the demo's has."""
    if request.param == "redshift":
        redshift: GatedRedshift = request.getfixturevalue("redshift")
        curated, dsn = CuratedWarehouse(redshift.new_loader, database), redshift.gate.dsn(sslmode="disable")
    else:
        curated, dsn = CuratedWarehouse(lambda: new_loader(database), database), database
    first, second = releases
    # Of the first release only what the report compares: a load through the gate takes a second.
    curated.bring_to(first, Archive(tmp_path), *map(table_by_name, ("names", "mgsty")))
    curated.bring_to(second, Archive(tmp_path))
    curated.make_all()
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def ask(connection: psycopg.Connection, query: str) -> Answer:
    cursor = connection.execute(query.encode())
    header = tuple(column.name for column in cursor.description or ())
    return [header, *(tuple(map(_shown, row)) for row in cursor)]


def _shown(cell: object) -> str:
    """As psql prints it."""
    if isinstance(cell, bool):
        return "t" if cell else "f"
    return "" if cell is None else str(cell)


def test_the_page_has_fifteen_questions_with_answers() -> None:
    assert [question.title.partition(".")[0] for question in QUESTIONS] == [str(number) for number in range(1, 16)]
    assert PAGE.count("```sql\n") == 15
    assert all(len(question.answer) > 1 for question in QUESTIONS)


def test_every_question_has_the_answer_of_the_page(asked: psycopg.Connection) -> None:
    answers = {question.title: ask(asked, question.query) for question in QUESTIONS}
    assert answers == {question.title: question.answer for question in QUESTIONS}
