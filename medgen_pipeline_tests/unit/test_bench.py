"""The bench measures what it says it does. How long anything takes is no business of a test."""

import json
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.release.sample import write_sample
from medgen_pipeline_tests.bench.baseline import RawCopy, csv_filters
from medgen_pipeline_tests.bench.load import Figures, main, total, verdicts


def figures(name: str, rows: int = 200_000, staging: float = 1.0, load: float = 1.0, rss: float = 100.0) -> Figures:
    return Figures(
        name=name,
        rows=rows,
        raw_rows=200_000 if rows >= 100_000 else rows,
        fetch_seconds=0.5,
        raw_copy_seconds=1.0,
        staging_seconds=staging,
        raw_load_seconds=2.0,
        load_seconds=load,
        peak_rss_mb=rss,
    )


def test_the_bench_loads_both_ways_and_prints_and_writes_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDGEN_HOME", str(tmp_path / "home"))
    write_sample(tmp_path / "release", scale=0.05)
    options = ["--release", str(tmp_path / "release"), "--repeat", "1", "--json", str(tmp_path / "figures.json")]
    done = CliRunner().invoke(main, [*options, "--tables", "mgdef,mgconso"])
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "figures.json").read_text())
    assert [one["name"] for one in written["tables"]] == ["mgdef", "mgconso"]
    for one in (*written["tables"], written["total"]):
        assert one["rows"] == one["raw_rows"] > 0
        assert one["staging_ratio"] == pytest.approx(one["staging_seconds"] / one["raw_copy_seconds"])
        assert one["load_ratio"] == pytest.approx(one["load_seconds"] / one["raw_load_seconds"])
        assert 0 < one["raw_copy_seconds"] < one["raw_load_seconds"]
        assert 0 < one["staging_seconds"] < one["load_seconds"]
        assert one["fetch_seconds"] > 0
        assert one["peak_rss_mb"] > 20
        assert f"{one['rows']:,}" in done.output
    assert [one["note"] for one in written["tables"]] == [
        r"raw copy of the file after tr '\r' ' '",
        "raw copy of the file after awk -F'|' 'NF == 14'",  # the sample's bad row
    ]
    assert written["limits"] == done.output.splitlines()[-len(written["limits"]) :]
    assert list((tmp_path / "home" / "bench").iterdir()) == [], "the server and its archive are gone"


def test_an_unknown_table_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDGEN_HOME", str(tmp_path))
    done = CliRunner().invoke(main, ["--tables", "names,nosuch"])
    assert done.exit_code == 2
    assert "nosuch" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_clean_file_goes_to_psql_unfiltered_and_invalid_utf8_through_iconv(tmp_path: Path) -> None:
    write_sample(tmp_path, scale=0.05)
    for name, repaired, expected in (("names", 0, []), ("medgen_pubmed_lnk", 1, ["iconv -c -f UTF-8 -t UTF-8"])):
        table = table_by_name(name)
        assert csv_filters(table, tmp_path / table.file_name, rejected=0, repaired=repaired) == expected


def test_the_raw_copy_reads_plain_text_builds_our_indexes_and_leaves_nothing(database: str, tmp_path: Path) -> None:
    write_sample(tmp_path, scale=0.05)
    table = table_by_name("medgen_sources")
    raw_copy = RawCopy(database, table, tmp_path / table.file_name)
    assert raw_copy.run(["CREATE UNIQUE INDEX a ON medgen.medgen_sources USING btree (abbreviation)"]).rows == 123
    with pytest.raises(psycopg.errors.UniqueViolation):  # so the index is built, and on the copied rows
        raw_copy.run(["CREATE UNIQUE INDEX b ON medgen.medgen_sources USING btree (description)"])
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT FROM pg_class WHERE relname = 'medgen_sources'").fetchone() is None


def test_a_total_adds_up_and_keeps_the_largest_memory() -> None:
    whole = total("total", [figures("a", staging=1.0, rss=120), figures("b", staging=2.0, rss=300)])
    assert (whole.rows, whole.fetch_seconds, whole.staging_ratio, whole.peak_rss_mb) == (400_000, 1.0, 1.5, 300)


def test_the_verdicts_name_what_breaks_a_limit_and_judge_small_tables_together() -> None:
    good = [figures("a"), figures("b", staging=1.15, load=3.0, rss=349)]
    assert all(line.endswith(": yes") for line in verdicts(good))
    bad = [
        figures("a", staging=1.2, load=9.0, rss=351),
        figures("b", rows=100_001),
        figures("c", rows=99, staging=9.0),
    ]
    staging, load, memory, rows = verdicts(bad)
    assert staging.endswith("NO: a 1.20; the 1 tables below 100,000 rows together 9.00")
    assert load.endswith("NO: 1.83")
    assert memory.endswith("NO: a 351")
    assert rows.endswith("NO: b 100,001, raw 200,000")
    assert next(verdicts([figures("c", rows=99, staging=2.0), figures("d", rows=99, staging=0.2)])).endswith(": yes")
