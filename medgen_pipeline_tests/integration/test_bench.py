"""The benches measure what they say they do. How long anything takes is no business of a test."""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import psycopg
import pytest
from click.testing import CliRunner

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.loading.file_load import open_published
from medgen_pipeline_tests.bench import curated, delta, load, read, run, tree, upload
from medgen_pipeline_tests.bench.baseline import RawCopy
from medgen_pipeline_tests.bench.ground import Ground, sample_weeks
from medgen_pipeline_tests.bench.report import total
from medgen_pipeline_tests.medgen import CURATED_TABLES, TABLES

LOAD = {
    "table": "a",
    "rows": 200_000,
    "raw_rows": 200_000,
    "copy_s": 1.0,
    "staging_s": 1.0,
    "copy_index_s": 2.0,
    "load_s": 1.0,
    "rss_mb": 100.0,
    "staging_ratio": 1.0,
}
DELTA = {
    "table": "a",
    "rows": 2_000_000,
    "raw_s": 1.0,
    "snapshot_s": 0.5,
    "snapshot_mb": 100.0,
    "warehouse_s": 2.0,
    "unchanged_s": 0.1,
    "requests": 1,
    "body_bytes": 0,
    "snapshot_ratio": 0.5,
    "warehouse_ratio": 2.0,
    "snapshot": "snapshot delta",
    "results": "same",
}
RUN = {
    "run": "first",
    "raw_s": 10.0,
    "empty_s": 16.0,
    "wall_s": 20.0,
    "ratio": 2.0,
    "empty_ratio": 1.15,
    "tree_mb": 400.0,
    "requests": 18,
    "changes": 0,
}

MGREL = table_by_name("mgrel")


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return sample_weeks(tmp_path_factory.mktemp("releases"), scale=0.05)


def published(table: SourceTable, path: Path) -> list[bytes]:
    with open_published(table, path) as lines:
        return list(lines)


def run_bench(command: click.Command, home: Path, *options: str) -> dict[str, Any]:
    """Run a bench and return its JSON, after comparing it with what was printed."""
    metrics = home / "metrics.json"
    arguments = [*options, "--json", str(metrics)]
    done = CliRunner().invoke(command, arguments, env={"MEDGEN_HOME": str(home)})
    assert done.exit_code == 0, done.output
    written: dict[str, Any] = json.loads(metrics.read_text())
    heading, *lines = done.output.splitlines()
    assert heading.split() == list(written["tables"][0])
    shown = [*written["tables"], written["total"]]
    assert [line.split()[0] for line in lines[: len(shown)]] == [one["table"] for one in shown]
    assert lines[-len(written["limits"]) :] == written["limits"]
    assert list((home / "bench").iterdir()) == [], "the server and its archive are gone"
    return written


def test_a_first_load_is_measured_both_ways_printed_and_written(tmp_path: Path, weeks: tuple[Path, Path]) -> None:
    written = run_bench(
        load.main, tmp_path, "--release", str(weeks[0]), *("--tables", "mgdef,medgen_sources", "--repeat", "1")
    )
    for one in (*written["tables"], written["total"]):
        assert one["rows"] == one["raw_rows"] > 0
        assert one["staging_ratio"] == pytest.approx(one["staging_s"] / one["copy_s"])
        assert one["load_ratio"] == pytest.approx(one["load_s"] / one["copy_index_s"])
        assert 0 < one["copy_s"] < one["copy_index_s"]
        assert 0 < one["staging_s"] < one["load_s"]
        assert one["fetch_s"] > 0
        assert one["rss_mb"] > 20
    assert [one["note"] for one in written["tables"]] == ["raw copy of a filtered file", ""]


def test_a_delta_is_measured_by_both_strategies_and_an_unchanged_release_asks_once(
    tmp_path: Path, weeks: tuple[Path, Path]
) -> None:
    old, new = weeks
    written = run_bench(
        delta.main,
        tmp_path,
        *("--release", str(old), "--next", str(new), "--tables", "names", "--repeat", "1"),
    )
    for one in written["tables"]:
        assert (one["snapshot"], one["warehouse"], one["results"]) == ("snapshot delta", "warehouse delta", "same")
        assert one["changes"] == 2, "each week lacks one line of the other's"
        assert (one["requests"], one["body_bytes"]) == (1, 0)
        assert one["snapshot_ratio"] == pytest.approx(one["snapshot_s"] / one["raw_s"])
        assert one["warehouse_ratio"] == pytest.approx(one["warehouse_s"] / one["raw_s"])
        assert 0 < one["fetch_s"] < one["fetch_s"] + one["load_s"] < one["snapshot_s"] < one["wall_s"]
        assert one["unchanged_s"] > 0
        assert min(one["snapshot_mb"], one["warehouse_mb"]) > 20


def test_curated_tables_are_measured_first_unchanged_and_after_the_next_release(
    tmp_path: Path, weeks: tuple[Path, Path]
) -> None:
    old, new = weeks
    written = run_bench(
        curated.main,
        tmp_path,
        *("--release", str(old), "--next", str(new), "--tables", "concept_ancestor,cui_redirect"),
    )
    tables = {one["table"]: one for one in written["tables"]}
    assert list(tables) == ["cui_redirect", "concept_parent", "concept_ancestor"]
    for one in tables.values():
        assert one["rows"] > 0
        assert one["changes"] > 0
        assert 0 <= one["once_s"] <= one["inputs_s"]
        assert 0 < one["load_s"] < one["build_s"]
        assert one["build_ratio"] == pytest.approx(one["build_s"] / one["inputs_s"])
    # concept_ancestor reads concept_parent, which is made of what was counted for it.
    assert tables["concept_ancestor"]["once_s"] == 0 < tables["concept_ancestor"]["inputs_s"]
    total = written["total"]
    assert total["build_ratio"] == pytest.approx(total["build_s"] / total["once_s"])
    assert total["next_ratio"] == pytest.approx(total["next_s"] / total["once_s"])


def test_all_curated_tables_are_measured_where_none_is_named() -> None:
    assert curated.main.make_context("curated", []).params["tables"] == list(CURATED_TABLES)


def test_the_verdicts_of_curated_tables_judge_all_together() -> None:
    one = {"table": "a", "once_s": 1.0, "build_s": 3.0, "next_s": 1.0}
    other = one | {"table": "b", "build_s": 1.0, "next_s": 0.5}
    assert all(line.endswith(": yes") for line in curated.verdicts([one, other]))
    first, after = curated.verdicts([one, other | {"once_s": 0.0}])
    assert first.endswith(": NO: all 4.00")
    assert after.endswith(": yes")


def test_uploads_are_measured_beside_bare_ones(tmp_path: Path, weeks: tuple[Path, Path]) -> None:
    (tmp_path / "bench").mkdir()
    written = run_bench(upload.main, tmp_path, "--release", str(weeks[0]), *("--table", "mgrel", "--repeat", "1"))
    assert [one["way"] for one in written["tables"]] == ["s3", "volume"]
    for one in written["tables"]:
        with open_published(MGREL, weeks[0] / MGREL.file_name) as lines:
            assert one["content_mb"] == pytest.approx(len(lines.read()) / 1e6)
        assert 0 < one["ours_stored_mb"] == pytest.approx(one["raw_stored_mb"], rel=0.5)
        assert one["throughput_ratio"] == pytest.approx(one["raw_s"] / one["ours_s"])
        assert one["rss_mb"] > 20


def test_whole_runs_are_measured_first_next_and_unchanged(tmp_path: Path, weeks: tuple[Path, Path]) -> None:
    old, new = weeks
    metrics = tmp_path / "metrics.json"
    options = ["--release", str(old), "--next", str(new), "--tables", "names", "--executor", "in-process"]
    done = CliRunner().invoke(
        run.main, [*options, "--repeat", "1", "--json", str(metrics)], env={"MEDGEN_HOME": str(tmp_path)}
    )
    assert done.exit_code == 0, done.output
    written = json.loads(metrics.read_text())
    assert written["runs"] == written["rounds"], "the median of one round is that round"
    first, after, unchanged = written["runs"]
    assert [one["run"] for one in written["runs"]] == list(run.LIMITS)
    for one in written["runs"]:
        assert one["wall_s"] == pytest.approx(sum(one[f"{share}_s"] for share in run.SHARES))
        assert one["ratio"] == pytest.approx(one["wall_s"] / one["raw_s"])
        assert one["empty_ratio"] == pytest.approx(one["wall_s"] / one["empty_s"])
        assert one["least_ratio"] == pytest.approx(one["empty_s"] / one["raw_s"])
        assert min(one["start_s"], one["fetch_s"], one["load_s"], one["dagster_s"]) > 0
        assert one["load_s"] > one["loads_s"] > 0 == one["curated_s"]
        assert 50 < one["tree_mb"] < 1000
    assert (first["changes"], after["changes"], unchanged["changes"]) == (first["rows"], 2, 0)
    assert unchanged["requests"] == 2
    assert all(line in done.output for line in written["limits"])
    assert list((tmp_path / "bench").iterdir()) == [], "the server and its archive are gone"


def test_a_run_s_time_is_shared_by_what_was_at_work_and_the_rest_is_dagster_s() -> None:
    spans = [(9.0, 12.0, "start"), (12.0, 16.0, "load"), (14.0, 16.0, "checks"), (14.0, 15.0, "load")]
    assert run.shared(spans, 10.0, 20.0) == pytest.approx(
        {"start": 2, "fetch": 0, "load": 2 + 2 / 3 + 0.5, "checks": 1 / 3 + 0.5, "curated": 0, "dagster": 4}
    )


def test_a_median_run_is_that_of_its_rounds_and_has_their_largest_memory() -> None:
    rounds = [RUN | {"run": name, "wall_s": wall, "tree_mb": wall} for name in run.LIMITS for wall in (9.0, 1.0, 2.0)]
    assert [(one["run"], one["wall_s"], one["tree_mb"], one["ratio"]) for one in run.medians(rounds)] == [
        (name, 2.0, 9.0, 0.2) for name in run.LIMITS
    ]


@pytest.mark.parametrize(
    ("metrics", "broken_by"),
    [
        ({}, []),
        ({"ratio": 3.01}, ["first 3.01"]),
        ({"run": "next", "ratio": 0.81}, ["next 0.81"]),
        ({"run": "unchanged", "ratio": 0.31}, ["unchanged 0.31"]),
        ({"run": "unchanged", "ratio": 0.3, "requests": 19}, ["unchanged 19"]),
        ({"run": "unchanged", "ratio": 0.3, "changes": 1}, ["unchanged 1"]),
        ({"run": "unchanged", "ratio": 0.3, "empty_ratio": 2.21}, ["unchanged 2.21"]),
        ({"tree_mb": 501.0}, ["first 501.00"]),
    ],
)
def test_the_verdicts_of_a_run_name_what_breaks_a_limit(metrics: dict[str, Any], broken_by: list[str]) -> None:
    lines = run.verdicts([RUN | metrics], len(TABLES))
    assert [line.split(": NO: ")[1] for line in lines if not line.endswith(": yes")] == broken_by


def test_a_command_is_measured_with_its_children_and_its_failure_told() -> None:
    child = "import time; held = bytearray(50_000_000); time.sleep(0.4)"
    done = tree.run_command([sys.executable, "-c", f"import os, sys; os.fork(); {child}; print('done')"], {})
    assert (done.printed, done.seconds > 0.4, done.peak_mb > 95) == ("done\ndone\n", True, True)
    with pytest.raises(RuntimeError, match="ended with 3:\nno"):
        tree.run_command([sys.executable, "-c", "print('no'); raise SystemExit(3)"], {})


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (load.main, ["--tables", "names,nosuch"]),
        (curated.main, ["--tables", "concept,names"]),
        (delta.main, ["--release", "."]),
        (delta.main, ["--next", "."]),
    ],
)
def test_a_wrong_option_is_refused_before_anything_starts(
    tmp_path: Path, command: click.Command, options: list[str]
) -> None:
    done = CliRunner().invoke(command, options, env={"MEDGEN_HOME": str(tmp_path)})
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_raw_copy_reads_plain_text_builds_our_indexes_and_leaves_nothing(
    database: str, tmp_path: Path, weeks: tuple[Path, Path]
) -> None:
    raw_copy = RawCopy(Ground(tmp_path, database), table_by_name("medgen_sources"), weeks[0])
    assert raw_copy.run(["CREATE UNIQUE INDEX a ON medgen.medgen_sources USING btree (abbreviation)"]).rows == 122
    with pytest.raises(psycopg.errors.UniqueViolation):  # so the index is built, and on the copied rows
        raw_copy.run(["CREATE UNIQUE INDEX b ON medgen.medgen_sources USING btree (description)"])
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT FROM pg_class WHERE relname = 'medgen_sources'").fetchone() is None


def test_a_file_that_csv_cannot_read_is_filtered_and_keeps_its_good_rows(database: str, tmp_path: Path) -> None:
    table = table_by_name("medgen_sources")
    lines = [b"#ABBREVIATION\tNAME\tDESCRIPTION\tURL\n", b"A\ta\rb\t\t\n", b"B\tb\xff\t\t\n", b"too\tfew\n"]
    (tmp_path / table.file_name).write_bytes(b"".join(lines))
    (tmp_path / "home").mkdir()
    raw_copy = RawCopy(Ground(tmp_path / "home", database), table, tmp_path)
    assert (raw_copy.run().rows, raw_copy.note) == (2, "raw copy of a filtered file")


def test_rows_are_read_and_exported_in_processes_of_their_own_and_limits_named(
    weeks: tuple[Path, Path], tmp_path: Path
) -> None:
    written = run_bench(
        read.main, tmp_path, "--release", str(weeks[0]), *("--tables", "names,medgen_sources", "--repeat", "1")
    )
    assert [one["table"] for one in written["tables"]] == ["names", "medgen_sources"]
    for one in written["tables"]:
        assert (
            one["rows"]
            == len(published(table_by_name(one["table"]), weeks[0] / table_by_name(one["table"]).file_name)) - 1
        )
        assert min(one["copy_s"], one["read_s"], one["export_s"], one["parquet_mb"], one["export_rss_mb"]) > 0
    record = written["tables"][0] | {"copy_s": 1.0, "read_s": 1.3, "export_s": 2.6, "rows": 1_000_001}
    record |= {"read_ratio": 1.31, "read_rss_mb": 100.0, "export_rss_mb": 401.0}
    limits = list(read.verdicts([record]))
    assert [line.partition(": ")[2] for line in limits] == ["NO: names 1.31", "yes", "NO: names 401.00"]


def test_the_two_weeks_differ_in_every_table_and_keep_the_header(weeks: tuple[Path, Path]) -> None:
    for table in TABLES:
        old, new = (published(table, week / table.file_name) for week in weeks)
        assert old[0] == new[0]
        assert set(old) != set(new)


def test_every_offer_of_a_release_has_a_url_of_its_own(tmp_path: Path, weeks: tuple[Path, Path]) -> None:
    ground = Ground(tmp_path, "")
    offers = [Path(urlsplit(ground.offer(weeks[0])).path) for _ in range(2)]
    assert offers[0] != offers[1]
    assert {path.name for path in offers[1].iterdir()} == {table.file_name for table in TABLES}


def test_a_total_adds_up_keeps_the_largest_memory_and_divides_the_sums() -> None:
    whole = total("total", [LOAD, LOAD | {"copy_s": 2.0, "staging_s": 5.0, "rss_mb": 300.0}], load.RATIOS)
    assert (whole["rows"], whole["staging_s"], whole["staging_ratio"], whole["rss_mb"]) == (400_000, 6.0, 2.0, 300.0)


def test_the_verdicts_of_a_first_load_name_what_breaks_a_limit_and_judge_small_tables_together() -> None:
    assert all(line.endswith(": yes") for line in load.verdicts([LOAD, LOAD | {"staging_ratio": 1.15, "load_s": 5.0}]))
    small = LOAD | {"table": "c", "rows": 99, "raw_rows": 99}
    slow = LOAD | {"staging_ratio": 1.2, "load_s": 9.0, "rss_mb": 351.0}
    staging, loads, memory, rows = load.verdicts(
        [slow, LOAD | {"table": "b", "rows": 100_001}, small | {"staging_s": 9.0}]
    )
    assert staging.endswith("NO: a 1.20; 1 tables below 100,000 rows 9.00")
    assert loads.endswith("NO: all 1.83")
    assert memory.endswith("NO: a 351.00")
    assert rows.endswith("NO: b")
    together = load.verdicts([small | {"staging_s": 1.8, "staging_ratio": 1.8}, small | {"staging_s": 0.2}])
    assert next(together).endswith(": yes")


@pytest.mark.parametrize(
    ("metrics", "broken_by"),
    [
        ({}, []),
        ({"table": "medgen_pubmed_lnk", "snapshot_ratio": 0.71}, ["medgen_pubmed_lnk 0.71"]),
        ({"snapshot_ratio": 0.71}, []),  # only the links to PubMed are judged by themselves
        ({"snapshot_s": 0.71}, ["all 1 tables 0.71"]),
        ({"snapshot_mb": 401.0}, ["a 401.00"]),
        ({"warehouse_ratio": 4.1}, ["a 4.10"]),
        ({"warehouse_ratio": 4.1, "rows": 1_000_000}, []),
        ({"unchanged_s": 0.31}, ["a 0.31"]),
        ({"unchanged_s": 0.31, "raw_s": 2.0}, []),  # the scan that proves it takes a part of the copy
        ({"requests": 2}, ["a 2"]),
        ({"body_bytes": 1}, ["a 1"]),
        ({"snapshot": "warehouse delta"}, ["a warehouse delta"]),
        ({"results": "DIFFER"}, ["a"]),
    ],
)
def test_the_verdicts_of_a_delta_name_what_breaks_a_limit(metrics: dict[str, Any], broken_by: list[str]) -> None:
    lines = delta.verdicts([DELTA | metrics])
    assert [line.split(": NO: ")[1] for line in lines if not line.endswith(": yes")] == broken_by
