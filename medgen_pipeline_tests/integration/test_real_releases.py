"""Real releases of 2021 and 2025 against numbers that were computed without this package.

``expected_changes.json`` holds the changes between the three releases of 2021, counted by key.
"""

import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from psycopg import sql

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.loaders import ChangeCounts, LoaderFactory
from medgen_pipeline.loading.gates import GateLimits, closed_gates
from medgen_pipeline.rows.framing import FramedFile
from medgen_pipeline.testing import Row
from medgen_pipeline.testing.loads import undone
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.integration.support import (
    Deployment,
    Run,
    load_runs,
    mode_of,
    multiset,
    rows_of,
    run_of,
)
from medgen_pipeline_tests.loaders.cases import THOROUGHLY
from medgen_pipeline_tests.loaders.support import PostgresBackend, session

NAMES, MGREL = table_by_name("names"), table_by_name("mgrel")
PROJECT = Path(__file__).parents[2]
AUGUST, NOVEMBER, DECEMBER = "2021-08-20", "2021-11-11", "2021-12-02"
SEPTEMBER = "2025-09-06"  # of which there is one file, NAMES
AUDIT = (
    "release", "status", "mode", "rows_extracted", "rows_rejected", "rows_repaired",
    "rows_inserted", "rows_updated", "rows_deleted", "rows_unchanged",
)  # fmt: skip

pytestmark = pytest.mark.real
each_table = pytest.mark.parametrize("table", [NAMES, MGREL], ids=["names", "mgrel"])


@dataclass(frozen=True)
class History:
    """The three releases of 2021 and the one of 2025, loaded one after the other."""

    dsn: str
    releases: Path
    runs: dict[str, Run]
    expected: dict[str, dict[str, dict[str, int]]]

    def file_rows(self, table: SourceTable, release: str) -> Counter[Row]:
        return Counter(rows_of(table, self.releases / release / table.file_name))

    def changes(self, table: SourceTable, before: str, after: str) -> dict[str, int]:
        return self.expected[f"{before}->{after}"][table.name]


@pytest.fixture(scope="module")
def real_releases() -> Path:
    """The fixture of the same name, for as long as ``history`` lives."""
    folder = PROJECT.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("the real releases are not part of the repository and are not beside it")
    return folder


@pytest.fixture(scope="module")
def history(real_releases: Path, postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """August and December through Dagster in this process, November through the command line.

    November is compared by the files alone, December inside the database.
    """
    home = tmp_path_factory.mktemp("home")
    with fresh_database(postgres_server) as dsn, dg.DagsterInstance.ephemeral() as instance:
        deployment = Deployment(dsn, home, instance)
        runs = {AUGUST: deployment.materialize(real_releases / AUGUST, NAMES, MGREL)}
        runs[NOVEMBER] = command_line_run(dsn, home, real_releases / NOVEMBER)
        runs[DECEMBER] = deployment.materialize(
            real_releases / DECEMBER, NAMES, MGREL, config={"force_warehouse": True}
        )
        runs[SEPTEMBER] = deployment.materialize(real_releases / SEPTEMBER, NAMES)
        expected = json.loads((real_releases / "expected_changes.json").read_text())
        yield History(dsn, real_releases, runs, expected)


def command_line_run(dsn: str, home: Path, release: Path) -> Run:
    """One run of ``dagster asset materialize``, as the README has it, read back from its instance."""
    done = command_line(dsn, home, release)
    assert done.returncode == 0, done.stdout + done.stderr
    assert unexpected_warnings(done.stdout + done.stderr) == []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (run,) = instance.get_runs()
        return run_of(instance.all_logs(run.run_id))


def command_line(dsn: str, home: Path, release: Path) -> subprocess.CompletedProcess[str]:
    """``dagster asset materialize`` with its archive and its instance in ``home``."""
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEDGEN_", "DAGSTER_"))}
    environment |= {
        "PYTHONPATH": str(PROJECT),
        "DAGSTER_HOME": str(home),
        "MEDGEN_HOME": str(home),
        "MEDGEN_DSN": dsn,
        "MEDGEN_SOURCE_URL": release.as_uri(),
    }
    command = ["dagster", "asset", "materialize", "-m", "medgen_pipeline.definitions", "--select"]
    return subprocess.run(
        [sys.executable, "-m", *command, 'key:"medgen/names" or key:"medgen/mgrel"'],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def unexpected_warnings(output: str) -> list[str]:
    """Lines that warn; the command announces itself that a newer one will follow it."""
    return [
        line
        for line in output.splitlines()
        if re.search("warning", line, re.IGNORECASE) and "SupersessionWarning" not in line
    ]


@each_table
@pytest.mark.parametrize(("before", "after"), [(AUGUST, NOVEMBER), (NOVEMBER, DECEMBER)])
def test_the_changes_are_the_expected_ones_in_metadata_and_audit(
    table: SourceTable, before: str, after: str, history: History
) -> None:
    expected = history.changes(table, before, after)
    unchanged = expected["after"] - expected["inserted"] - expected["updated"]
    metadata: dict[str, Any] = {
        "dagster/row_count": expected["after"],
        "cdc/inserted": expected["inserted"],
        "cdc/updated": expected["updated"],
        "cdc/deleted": expected["deleted"],
        "cdc/unchanged": unchanged,
        "cdc/compared_by": "key",
        "medgen/strategy": "snapshot" if after == NOVEMBER else "warehouse",
        "medgen/release": after,
        "medgen/rejected_rows": 0,
        "medgen/repaired_rows": 0,
    }
    assert history.runs[after].success
    found = history.runs[after].metadata[table.name]
    assert {key: found[key] for key in metadata} == metadata
    audit = {row[1]: row[1:] for row in load_runs(history.dsn, "table_name", *AUDIT) if row[0] == table.name}
    assert audit[after] == (
        *(after, "succeeded", mode_of(found), expected["after"], 0, 0),
        *(expected["inserted"], expected["updated"], expected["deleted"], unchanged),
    )


@each_table
def test_the_first_release_is_the_baseline(table: SourceTable, history: History) -> None:
    rows = history.changes(table, AUGUST, NOVEMBER)["before"]
    found = history.runs[AUGUST].metadata[table.name]
    assert (found["dagster/row_count"], found["cdc/inserted"], found["medgen/mode"]) == (rows, rows, "first")
    audit = [row[1:] for row in load_runs(history.dsn, "table_name", *AUDIT) if row[0] == table.name]
    assert audit[0] == (AUGUST, "succeeded", "first", rows, 0, 0, rows, 0, 0, 0)
    assert [row[0] for row in audit[:3]] == [AUGUST, NOVEMBER, DECEMBER]


@pytest.mark.parametrize("table", [NAMES, MGREL] if THOROUGHLY else [MGREL], ids=lambda table: table.name)
def test_the_feed_rebuilds_each_earlier_release_to_the_row(table: SourceTable, history: History) -> None:
    backend = PostgresBackend(history.dsn)
    december = undone(backend, table, multiset(history.dsn, table), SEPTEMBER)
    assert december.total() == history.changes(table, NOVEMBER, DECEMBER)["after"]
    assert december == history.file_rows(table, DECEMBER)
    november = undone(backend, table, december, DECEMBER)
    assert november == history.file_rows(table, NOVEMBER)
    assert undone(backend, table, november, NOVEMBER) == history.file_rows(table, AUGUST)


@pytest.mark.parametrize(
    ("table", "release"),
    [
        *((MGREL, release) for release in (AUGUST, NOVEMBER, DECEMBER)),
        *((NAMES, release) for release in (AUGUST, NOVEMBER, DECEMBER, SEPTEMBER) if THOROUGHLY),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_the_view_of_the_history_has_the_rows_of_every_release(
    table: SourceTable, release: str, history: History
) -> None:
    statement = sql.SQL(
        "SELECT {} FROM {} WHERE valid_from_release <= %s AND (valid_to_release > %s OR valid_to_release IS NULL)"
    ).format(sql.SQL(", ").join(map(sql.Identifier, table.column_names)), sql.Identifier("medgen_history", table.name))
    with session(history.dsn) as connection:
        found = Counter(connection.execute(statement, [release, release]).fetchall())
    assert found == history.file_rows(table, release)
    with LoaderFactory.create_loader(history.dsn, {"schema": "medgen"}) as loader:
        assert found == Counter(loader.read_as_of(table, release))


def test_every_field_of_the_names_of_2025_is_in_the_database(history: History) -> None:
    found = history.runs[SEPTEMBER].metadata["names"]
    assert (found["dagster/row_count"], found["medgen/rejected_rows"], found["medgen/repaired_rows"]) == (234_073, 0, 0)
    in_database = multiset(history.dsn, NAMES)
    assert in_database == history.file_rows(NAMES, SEPTEMBER)
    assert in_database.total() == 234_073


@pytest.mark.parametrize("release", [AUGUST, NOVEMBER, DECEMBER, SEPTEMBER])
def test_real_names_pass_the_gate_for_repaired_rows_and_the_same_in_latin_1_do_not(
    real_releases: Path, release: str
) -> None:
    content = gzip.decompress((real_releases / release / NAMES.file_name).read_bytes())
    in_latin_1 = content.decode().encode("latin-1", "replace")  # has no letters beyond Western Europe's
    repaired = []
    for text in (content, in_latin_1):
        framed = FramedFile(NAMES, io.BytesIO(text), lambda _: None)
        rows = sum(chunk.count(b"\n") for chunk in framed)
        counts = ChangeCounts(inserted=rows, by_key=True, baseline=True)
        gates = [gate.setting for gate in closed_gates(NAMES, GateLimits(), framed.report, counts)]
        repaired.append((framed.report.repaired, gates))
    (as_published, no_gate), (wrong, gate) = repaired
    assert (as_published, no_gate) == (0, [])
    assert 100 < wrong < 150
    assert gate == ["max_repaired_rows"]
