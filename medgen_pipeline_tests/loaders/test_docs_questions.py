"""docs/questions.md, taken at its word: every query has the answer that is printed below it, on either backend."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.release import Archive
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import new_loader
from medgen_pipeline_tests.redgate.gate import Gate
from medgen_pipeline_tests.redgate.s3server import S3Server

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


def milliseconds(question: Question) -> float:
    """What it took on a full-size release, as the page says."""
    number = question.title.partition(".")[0]
    (found,) = re.findall(rf"^\| {number} \| \d+ \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    return float(found)


@pytest.fixture(scope="module")
def database(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database that has what the demo's has."""
    home = tmp_path_factory.mktemp("demo")
    first, second = home / "2026-01-07", home / "2026-01-14"
    write_sample(first)
    write_sample(second, successor=True)
    with fresh_database(postgres_server) as made:
        warehouse = CuratedWarehouse(lambda: new_loader(made), made)
        # Of the first release only what the report compares.
        warehouse.bring_to(first, Archive(home), *map(table_by_name, ("names", "mgsty")))
        warehouse.bring_to(second, Archive(home))
        warehouse.make_all()
        yield made


@pytest.fixture(params=["postgres", "redshift"])
def asked(request: pytest.FixtureRequest, database: str) -> Iterator[psycopg.Connection]:
    """A connection to it, by itself or through the gate; that Redshift has these rows, test_redshift_releases shows."""
    with ExitStack() as opened:
        dsn = database
        if request.param == "redshift":
            s3: S3Server = request.getfixturevalue("s3")
            dsn = opened.enter_context(Gate(database, s3.client_settings, roles=[])).dsn(sslmode="disable")
        yield opened.enter_context(psycopg.connect(dsn, autocommit=True))


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


def reads_whole_tables(connection: psycopg.Connection, query: str) -> bool:
    """Whether PostgreSQL has to, even where it rather does anything else."""
    connection.execute("SET enable_seqscan = off")
    (((plan,),),) = connection.execute(f"EXPLAIN (FORMAT JSON) {query}".encode())
    return _reads_all(plan["Plan"])


def _reads_all(node: dict[str, Any]) -> bool:
    kind = node["Node Type"]
    if kind == "Incremental Sort":  # of rows that an index gives in order; the first few of them are the answer
        return False
    scans = "Relation Name" in node and "Index Cond" not in node and kind != "Bitmap Heap Scan"
    return scans or any(map(_reads_all, node.get("Plans", ())))


def test_every_question_has_the_answer_of_the_page_and_is_looked_up_by_an_index_where_it_says_so(
    asked: psycopg.Connection, request: pytest.FixtureRequest
) -> None:
    answers = {question.title: ask(asked, question.query) for question in QUESTIONS}
    assert answers == {question.title: question.answer for question in QUESTIONS}
    if "postgres" in request.node.name:
        slow = {question.title for question in QUESTIONS if reads_whole_tables(asked, question.query)}
        assert slow == {question.title for question in QUESTIONS if milliseconds(question) >= 20}
