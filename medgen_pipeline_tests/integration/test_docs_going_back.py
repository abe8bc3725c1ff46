"""The commands of docs/going-back.md, on a copy of what the demo has loaded; its run config: test_going_back.py."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from medgen_pipeline.catalog import TABLES
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.integration.conftest import Demo
from medgen_pipeline_tests.loaders.support import query

PAGE = Document("docs/going-back.md")
RELEASES, ROLLBACK, FORTH, UNPIN = PAGE.blocks("sh")
OFF = (
    "clinvar: a source that is switched off has no tables to load. Switch it on for this command: "
    "MEDGEN_SOURCES=medgen,gene,clinvar."
)
HELD = (
    "SELECT release, guard::json ->> 'pinned' FROM medgen_audit.load_run"
    " WHERE table_name = 'medgen_pubmed_lnk' AND status = 'succeeded' ORDER BY load_id DESC LIMIT 1"
)


@pytest.fixture
def environment(demo: Demo, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of commands on a copy of the demo's database, and on an instance of their own."""
    dsn = demo.server.ensure_running()
    with fresh_database(dsn, like=dsn) as copy:
        # Its siblings' tables are downstream, too, and go the same way.
        yield {"MEDGEN_DSN": copy, "DAGSTER_HOME": str(tmp_path), "MEDGEN_SOURCES": "medgen"}


def test_the_commands_of_the_page_go_back_and_forth_again(demo: Demo, environment: dict[str, str]) -> None:
    dsn = environment["MEDGEN_DSN"]

    def shell(command: str, **more: str) -> str:
        done = demo.shell(command, **environment, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "2026-01-14 *" in shell(RELEASES)
    header, *lines = csv.reader(shell(f"{RELEASES} --format csv").splitlines())
    shown = {name for cells in PAGE.table_under("Which releases there are") for name in cells[0].split(", ")}
    assert set(header) == shown
    assert [line[:3] for line in lines] == [
        ["names", "2026-01-14 *", "archive, feed"],
        ["names", "2026-01-07", "archive, feed"],
    ]
    assert all(len(line) == len(header) and all(line) for line in lines)

    links = "SELECT count(*) FROM medgen.medgen_pubmed_lnk"
    newest = query(dsn, links)
    said = shell(ROLLBACK, MEDGEN_SOURCE_URL="http://127.0.0.1:9/")  # its source need not be there
    assert "medgen_pubmed_lnk" in said
    assert "concept_literature" in said
    assert "They are pinned" in said
    assert query(dsn, HELD) == [("2026-01-07", "true")]
    assert query(dsn, links) != newest
    assert "2026-01-07 pinned" in shell(f"{RELEASES.replace('names', 'medgen_pubmed_lnk')}")

    shell(FORTH)
    assert query(dsn, HELD) == [("2026-01-14", "false")]
    assert query(dsn, links) == newest
    assert shell(UNPIN) == ""


def test_what_cannot_go_back_is_said_before_anything_is_touched(demo: Demo, environment: dict[str, str]) -> None:
    environment["MEDGEN_SOURCES"] = "medgen,gene"
    for command, said in (
        ("rollback 1999-01-01", f"{TABLES[0].name}: release '1999-01-01' is neither in the archive"),
        ("rollback 2026-01-07 concept", "concept: expected tables that NCBI publishes"),
        ("rollback 2026-01-07 names disease_names", OFF),
    ):
        done = demo.shell(f".venv/bin/medgen {command}", **environment)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"Error: {said}")
