"""The commands, SQL and Python of docs/changes.md, and a query of another page, on the demo's database."""

import csv
import io
import json
import re
from collections import Counter
from typing import Any

import pytest

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.integration.conftest import Demo
from medgen_pipeline_tests.loaders.support import query

PAGE = Document("docs/changes.md")
NAMES = table_by_name("names")
CHANGES, OTHER_FORMATS, REPORT, AS_OF = PAGE.blocks("sh")


def csv_of(demo: Demo, command: str) -> list[dict[str, str]]:
    done = demo.shell(command)
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_the_commands_for_changes_and_as_of_agree_with_the_demo_s_metrics(demo: Demo) -> None:
    changes = Counter(row["_change_type"] for row in csv_of(demo, CHANGES))
    dsn = demo.server.ensure_running()
    metrics = query(
        dsn,
        "SELECT rows_inserted, rows_updated, rows_updated, rows_deleted, rows_unchanged FROM medgen_audit.load_run"
        " WHERE table_name = 'names' AND release = '2026-01-14' AND status = 'succeeded' ORDER BY load_id",
    )[0]
    *by_type, unchanged = metrics
    assert [changes[name] for name in ("insert", "update_preimage", "update_postimage", "delete")] == by_type
    before = csv_of(demo, AS_OF)
    assert len(before) == int(str(unchanged)) + changes["update_preimage"] + changes["delete"]


def test_the_changes_to_read_have_a_line_for_each_and_the_summary_their_number(demo: Demo) -> None:
    changes = Counter(row["_change_type"] for row in csv_of(demo, CHANGES))
    lines, summary = (demo.shell(command).stdout.splitlines()[2:] for command in OTHER_FORMATS.splitlines())
    assert len(lines) == min(20, sum(changes.values()) - changes["update_preimage"])
    counts = [cell.strip() for cell in summary[-1].strip("|").split("|")]
    assert counts == ["2026-01-14", *(str(changes[kind]) for kind in ("insert", "update_postimage", "delete"))]


def test_the_page_of_what_changed_has_the_renames_of_the_change_feed(demo: Demo) -> None:
    newest, between = REPORT.splitlines()
    said = demo.shell(between)
    assert said.returncode == 0, said.stderr
    page = demo.directory / "changes.html"
    assert said.stdout == (f"What changed from 2026-01-07 to 2026-01-14: changes.html, {page.stat().st_size:,} bytes\n")
    data = page.read_text().partition('id="data">')[2].partition("</script>")[0]
    renamed = next(topic["items"] for topic in json.loads(data) if topic["name"] == "renamed")
    changes = csv_of(demo, CHANGES)
    before, after = (
        {row["cui"]: row["name"].strip() for row in changes if row["_change_type"] == kind}
        for kind in ("update_preimage", "update_postimage")
    )
    assert {cui: (old, new) for cui, new, _, old, _ in renamed} == {cui: (before[cui], after[cui]) for cui in before}
    made = page.read_text()
    assert demo.shell(newest).stdout == said.stdout
    assert page.read_text() == made


def test_the_sql_of_the_page_says_what_the_commands_say(demo: Demo) -> None:
    dsn = demo.server.ensure_running()
    renamed, as_of = (query(dsn, statement) for statement in PAGE.blocks("sql")[3:])
    changes = csv_of(demo, CHANGES)
    before = {row["cui"]: row["name"] for row in changes if row["_change_type"] == "update_preimage"}
    after = {row["cui"]: row["name"] for row in changes if row["_change_type"] == "update_postimage"}
    assert {row[0]: row[1:] for row in renamed} == {cui: (before[cui], after[cui]) for cui in before}
    assert {str(row[0]) for row in as_of} == {row["cui"] for row in csv_of(demo, AS_OF)}


def test_the_three_questions_of_the_page_have_their_answers_in_the_history(demo: Demo) -> None:
    dsn = demo.server.ensure_running()
    then, appeared, between = (query(dsn, statement) for statement in PAGE.blocks("sql")[:3])
    assert set(then) == {("C9000006", "Pelkolba syndrome type 6", "HPO")}  # twice where the demo was run twice
    assert appeared == [("MONDO:9002402", "C9002402", "2026-01-14")]
    assert between[0] == ("Pelkolba syndrome type 6", "2026-01-07", "2026-01-14")
    assert between[1][:2] == ("Pelkolba syndrome 6", "2026-01-14")


def test_the_python_of_the_page_runs(demo: Demo) -> None:
    namespace: dict[str, object] = {"dsn": demo.server.ensure_running()}
    exec(PAGE.blocks("python")[0], namespace)  # noqa: S102  # the page's own snippet
    assert isinstance(namespace["names_then"], list)
    assert len(namespace["names_then"]) == len(csv_of(demo, AS_OF))


def test_the_script_of_the_page_on_embedding_reads_tables_as_they_are_and_as_they_were(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = demo.server.ensure_running()
    monkeypatch.setenv("MEDGEN_DSN", dsn)
    found: dict[str, Any] = {}
    exec(Document("docs/embedding.md").blocks("python")[1], found)  # noqa: S102  # the page's own snippet
    assert query(dsn, "SELECT count(*) FROM medgen.concept WHERE is_disease") == [(found["concepts"].num_rows,)]
    assert found["names_then"].num_rows == len(csv_of(demo, AS_OF))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("changes name 2026-01-07", "name"),
        ("as-of names 1999-01-01", "release '1999-01-01' is not within reach of the change feed"),
    ],
)
def test_a_wrong_table_or_release_is_a_clear_error(demo: Demo, command: str, message: str) -> None:
    done = demo.shell(f".venv/bin/medgen {command}")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_change_feed_and_the_audit_are_where_the_page_says(demo: Demo) -> None:
    dsn = demo.server.ensure_running()
    for name, text in PAGE.table_under("What changed, and what a table was"):
        relation = name.replace("<table>", "names")
        columns = {
            column
            for (column,) in query(dsn, "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass", relation)
        }
        assert columns
        assert set(re.findall(r"\b_\w+", text)) <= columns
    change_types = {kind for (kind,) in query(dsn, "SELECT DISTINCT _change_type FROM medgen_changes.names")}
    assert change_types == {"insert", "update_preimage", "update_postimage", "delete"}


def test_the_query_of_the_troubleshooting_page_shows_loads(demo: Demo) -> None:
    (statement,) = Document("docs/troubleshooting.md").blocks("sql")
    assert len(query(demo.server.ensure_running(), statement)) == 20
