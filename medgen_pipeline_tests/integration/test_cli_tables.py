"""``medgen status``, ``show``, ``changes`` and ``as-of``: what people see of the tables in a terminal."""

import csv
import io
import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from medgen_pipeline.catalog import CURATED_TABLES, TABLES
from medgen_pipeline.cli.history import side_by_side
from medgen_pipeline.cli.tables import state_of
from medgen_pipeline.loaders.records import LoadRecord
from medgen_pipeline.loading.gates import GateLimits, GatesClosedError
from medgen_pipeline.testing import Mirror, load
from medgen_pipeline.testing.files import GOOD
from medgen_pipeline.testing.loads import NAMES, A
from medgen_pipeline_tests.integration.test_cli import medgen
from medgen_pipeline_tests.loaders.support import new_loader, postgres_mirror

NOW = datetime(2026, 1, 30, 12, tzinfo=UTC)


@pytest.fixture
def mirror(database: str, tmp_path: Path) -> Mirror:
    """Three releases of ``names``: the third is the second again; a fourth closes a gate."""
    mirror = postgres_mirror(database, tmp_path, NAMES, "medgen")
    mirror.load([b"C0000001|old <b>|GTR|N|", *GOOD], release="2026-01-07")
    second = [b"C0000001|new|GTR|N|", *GOOD[1:], b"C9999999||GTR|N|"]
    mirror.load(second, release="2026-01-14")
    mirror.load(second, release="2026-01-21")
    with pytest.raises(GatesClosedError):
        mirror.load(second[:1], release="2026-01-28", limits=GateLimits())
    return mirror


def out(mirror: Mirror, tmp_path: Path, *arguments: str) -> str:
    done = medgen(*arguments, home=tmp_path, MEDGEN_DSN=mirror.dsn)
    assert done.exit_code == 0, done.output
    return done.stdout


def csv_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# medgen status


def test_status_says_of_each_table_what_it_holds_what_changed_last_and_why_the_last_load_failed(
    mirror: Mirror, tmp_path: Path
) -> None:
    lines = csv_of(out(mirror, tmp_path, "status", "--format", "csv"))
    assert [line["table"] for line in lines] == [table.name for table in (*TABLES, *CURATED_TABLES)]
    names = next(line for line in lines if line["table"] == "names")
    assert (names["release"], names["rows"], names["changed"]) == ("2026-01-21", "51", "2026-01-14")
    assert [names[change] for change in ("inserted", "updated", "deleted")] == ["1", "1", "1"]
    assert names["note"].startswith("release 2026-01-28 failed: ")
    assert "It would shrink from 51 to 1 rows" in names["note"]
    assert {line["note"] for line in lines if line["table"] != "names"} == {"never loaded"}


DOWN = """
storage:
  postgres:
    postgres_db: {username: {env: USER_OF_DAGSTER}, password: secret, hostname: 127.0.0.1, port: 1, db_name: dagster}
"""


@pytest.mark.parametrize(
    ("dagster_yaml", "said"),
    [
        pytest.param("telemetry: {enabled: perhaps}", "not valid for expected type", id="refused"),
        pytest.param("storage: [", "expected the node content", id="no-yaml"),
        pytest.param(DOWN, "Connection refused", id="postgres-down"),
        pytest.param(None, "is not a directory", id="nowhere"),
    ],
)
def test_status_has_the_tables_where_dagster_s_own_home_cannot_be_used(
    database: str, tmp_path: Path, dagster_yaml: str | None, said: str
) -> None:
    load(new_loader(database), NAMES, [A])
    home = tmp_path / "own"
    if dagster_yaml is not None:
        home.mkdir()
        (home / "dagster.yaml").write_text(dagster_yaml)
    environment = {"MEDGEN_DSN": database, "DAGSTER_HOME": str(home), "USER_OF_DAGSTER": "dagster"}
    done = medgen("status", "--format", "csv", home=tmp_path, **environment)
    assert done.exit_code == 0, done.output
    assert {line["checks"] for line in csv_of(done.stdout)} == {""}
    assert done.stderr.startswith("The checks are not known: Dagster cannot use its DAGSTER_HOME")
    assert said in done.stderr
    assert "Retrying" not in done.stderr  # Dagster's own six attempts, 12 seconds and more
    assert "secret" not in done.stderr


def test_status_as_a_table_keeps_a_line_for_each_table(mirror: Mirror, tmp_path: Path) -> None:
    header, ruler, *lines = out(mirror, tmp_path, "status").splitlines()
    assert header.split()[:4] == ["table", "release", "loaded", "age"]
    assert len(lines) == len(TABLES) + len(CURATED_TABLES)
    assert max(map(len, lines)) <= len(ruler)


def load_of(status: str, *, minutes_ago: float, changed: int = 0, pinned: bool = False) -> LoadRecord:
    began = NOW - timedelta(minutes=minutes_ago)
    unknown: dict[str, Any] = dict.fromkeys(field.name for field in fields(LoadRecord))
    known = {"status": status, "release": "2026-01-28", "started_at": began, "finished_at": began}
    counts = {"rows_inserted": changed, "rows_unchanged": 7, "guard": json.dumps({"pinned": pinned})}
    return LoadRecord(**(unknown | known | counts))


@pytest.mark.parametrize(("minutes", "age"), [(0.5, "30 s"), (59, "59 min"), (60, "1 h"), (60 * 47, "1 d")])
def test_the_age_of_a_table_is_that_of_its_last_load(minutes: float, age: str) -> None:
    assert state_of("names", [load_of("succeeded", minutes_ago=minutes)], NOW).age == age


def test_a_load_at_work_is_told_beside_what_the_table_holds() -> None:
    before = load_of("succeeded", minutes_ago=60, changed=3, pinned=True)
    state = state_of("names", [load_of("running", minutes_ago=2), before], NOW)
    assert (state.rows, state.inserted, state.note) == (
        10,
        3,
        "pinned; release 2026-01-28 is being loaded since 2026-01-30 11:58",
    )
    assert (
        state_of("names", [load_of("abandoned", minutes_ago=2)], NOW).note
        == "release 2026-01-28 abandoned: its process ended"
    )


def test_status_of_a_warehouse_without_tables_is_one_error(database: str, tmp_path: Path) -> None:
    done = medgen("status", home=tmp_path, MEDGEN_DSN=database)
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "expected the record of loads medgen_audit.load_run, found none" in done.output


# medgen show


def test_show_writes_the_first_rows_by_key_and_those_with_a_value(mirror: Mirror, tmp_path: Path) -> None:
    shown = csv_of(out(mirror, tmp_path, "show", "names", "--format", "csv", "--limit", "3"))
    assert [row["cui"] for row in shown] == ["C0000001", "C1", "C10"]
    named = out(mirror, tmp_path, "show", "names", "--where", "name=name 7", "--columns", "name,cui", "--format", "csv")
    assert named.split() == ["name,cui", "name", "7,C7"]
    nameless = csv_of(out(mirror, tmp_path, "show", "names", "--where", "name=", "--format", "csv"))
    assert [row["cui"] for row in nameless] == ["C9999999"]
    either = ("--where", "cui=C7", "--where", "cui=C8", "--where", "name=name 7", "--columns", "cui, source")
    assert out(mirror, tmp_path, "show", "names", *either, "--format", "csv").split() == ["cui,source", "C7,GTR"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere"),
        (("names",), "/medgen/names: there is no such table: it was never loaded, or not here."),
        (("names", "--where", "title=x"), "names has no columns title; it has cui, name, source, suppress."),
        (("names", "--columns", "cui,title"), "names has no columns title; "),
        (("names", "--where", "cui"), "'cui', expected COLUMN=VALUE."),
        (("medgen_pubmed_lnk", "--where", "pmid=abc"), "medgen_pubmed_lnk.pmid is a number, and 'abc' is none."),
        (("disease_phenotype", "--where", "is_negated=no"), "is_negated is true or false, and 'no' is none."),
        (("gene_disease", "--where", "last_updated=today"), "last_updated is a day such as 2026-01-07, and 'today'"),
    ],
)
def test_what_there_is_not_cannot_be_shown(
    arguments: tuple[str, ...], message: str, database: str, tmp_path: Path
) -> None:
    done = medgen("show", *arguments, home=tmp_path, MEDGEN_DSN=database)
    assert (done.exit_code, done.output.partition(":")[0]) == (1, "Error")
    assert message in done.output


# medgen changes, medgen as-of


def test_changes_are_the_feed_as_csv_with_each_row_before_its_update_above_the_one_after(
    mirror: Mirror, tmp_path: Path
) -> None:
    feed = csv_of(out(mirror, tmp_path, "changes", "names", "2026-01-07"))
    assert [(row["_change_type"], row["name"]) for row in feed] == [
        ("delete", "name 0"),
        ("update_preimage", "old <b>"),
        ("update_postimage", "new"),
        ("insert", ""),
    ]


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("table", "update    2026-01-14  C0000001  old <b> → new  GTR       N"),
        ("md", "| update   | 2026-01-14 | C0000001 | old &lt;b> → new | GTR      | N          |"),
        ("html", "<td>old &lt;b&gt; → new</td>"),
    ],
)
def test_an_update_is_one_line_with_before_and_after(form: str, line: str, mirror: Mirror, tmp_path: Path) -> None:
    written = out(mirror, tmp_path, "changes", "names", "2026-01-07", "--format", form)
    assert line in written
    assert written.count("C0000001") == 1


def test_before_and_after_are_told_by_their_key_whatever_their_order() -> None:
    """A collation that knows no case gives the rows of C1 and c1 in no order."""
    images = [("pre", "C1", "one"), ("pre", "c1", "two"), ("post", "c1", "2"), ("post", "C1", "1")]
    feed = [(f"update_{side}image", "2026-01-14", None, 7, cui, name, None, None) for side, cui, name in images]
    assert [line[2:4] for line in side_by_side(NAMES, feed)] == [("c1", "two → 2"), ("C1", "one → 1")]


def test_a_summary_counts_what_each_release_changed(mirror: Mirror, tmp_path: Path) -> None:
    summary = out(mirror, tmp_path, "changes", "names", "2026-01-07", "--summary")
    assert summary.split() == ["release,inserted,updated,deleted", "2026-01-14,1,1,1"]


def test_rows_beyond_the_limit_are_counted_and_not_written(mirror: Mirror, tmp_path: Path) -> None:
    done = medgen("as-of", "names", "2026-01-07", "--limit", "2", home=tmp_path, MEDGEN_DSN=mirror.dsn)
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "49 more rows; --limit 0 writes all of them.\n"
