"""Rows where people work: from a script without Dagster, and as the inputs of assets."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import medgen_pipeline
from medgen_pipeline.access.frames import FRAMES
from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders import LoaderError
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager, WarehouseTable
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.testing import load
from medgen_pipeline.testing.loads import NAMES, PUBMED, RELEASES, A, B, C
from medgen_pipeline_tests.loaders.support import new_loader, query

LINKS = [(1, "C1", "one", 11), (2, "C2", None, None)]
SCRIPT = """
import sys, medgen_pipeline
rows = medgen_pipeline.connect().read("names", ["cui"], where={"source": "GTR"}, release="2026-01-07")
print(rows.read_all().to_pylist(), "dagster" in sys.modules)
"""


@pytest.fixture
def warehouse(database: str) -> str:
    """``names`` of two releases, and ``medgen_pubmed_lnk`` of one."""
    load(new_loader(database), NAMES, [A, B])
    load(new_loader(database), NAMES, [B, C], RELEASES[1])
    load(new_loader(database), PUBMED, LINKS)
    return database


def test_a_script_reads_without_dagster(warehouse: str) -> None:
    environment = {**os.environ, "MEDGEN_DSN": warehouse}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[{'cui': 'C1'}] False\n"


def test_a_stream_is_what_every_library_takes(warehouse: str) -> None:
    medgen = medgen_pipeline.connect(warehouse)
    assert sorted(pl.DataFrame(medgen.read("names")).rows()) == sorted([B, C])
    assert duckdb.connect().from_arrow(medgen.read("names")).count("cui").fetchall() == [(2,)]


def test_a_stream_that_nobody_reads_to_its_end_holds_no_connection(warehouse: str) -> None:
    ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    rows = medgen_pipeline.connect(warehouse).read("names")
    assert query(warehouse, ours) != [(0,)]
    del rows
    assert query(warehouse, ours) == [(0,)]


def test_where_there_is_nothing_to_read_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDGEN_DSN", raising=False)
    monkeypatch.setenv("MEDGEN_HOME", str(tmp_path))
    with pytest.raises(MedgenError, match="No data to read: MEDGEN_DSN is not set, and there is no embedded"):
        medgen_pipeline.connect().read("names")
    with pytest.raises(LookupError, match="nmaes"):
        medgen_pipeline.connect().read("nmaes")


@pytest.mark.parametrize(("schema", "table"), [("medgen", "merged"), ("nowhere", "names")])
def test_a_table_that_was_never_loaded_is_told_in_words_of_ours(warehouse: str, schema: str, table: str) -> None:
    with pytest.raises(LoaderError, match=f"/{schema}/{table}: there is no such table: it was never loaded, or not"):
        medgen_pipeline.connect(warehouse, schema).read(table)


@pytest.mark.parametrize("missing", ["pyarrow", "adbc_driver_postgresql"])
def test_a_library_that_is_missing_is_one_clear_line(
    warehouse: str, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(LoaderError, match=r"needs [\w-]+: pip install 'medgen_pipeline\[arrow\]'\.$"):
        medgen_pipeline.connect(warehouse).read("names")


# Inputs of assets

ROWS: dict[Any, Any] = {
    pa.Table: lambda frame: [tuple(row.values()) for row in frame.to_pylist()],
    pa.RecordBatchReader: lambda frame: [tuple(row.values()) for row in frame.read_all().to_pylist()],
    pl.DataFrame: lambda frame: frame.rows(),
    pl.LazyFrame: lambda frame: frame.collect().rows(),
    pd.DataFrame: lambda frame: [
        tuple(None if pd.isna(value) else value for value in row) for row in frame.itertuples(index=False)
    ],
    duckdb.DuckDBPyRelation: lambda frame: frame.fetchall(),
    WarehouseTable: lambda handle: [tuple(row.values()) for row in handle.read().read_all().to_pylist()],
}


def given(dsn: str, table: str, kind: Any, **metadata: Any) -> Any:
    """What an asset that is downstream of a table gets for an argument that is annotated with ``kind``."""
    got: list[Any] = []

    def body(upstream: Any) -> None:
        got.append(upstream)

    body.__annotations__ = {"upstream": kind, "return": None}
    key = dg.AssetKey(["medgen", table])
    own = dg.asset(ins={"upstream": dg.AssetIn(key=key, metadata=metadata)})(body)
    resources = {"warehouse": WarehouseIOManager(target=DatabaseTarget(dsn=dsn))}
    spec = dg.AssetSpec(key).with_io_manager_key("warehouse")
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([own, spec], resources=resources, instance=instance, raise_on_error=False)
    if not done.success:
        (failure,) = [event for event in done.all_events if event.is_step_failure]
        raise RuntimeError(str(failure.step_failure_data.error))
    return got[0]


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_an_asset_gets_what_its_argument_is_annotated_with(warehouse: str, kind: Any) -> None:
    frame = given(warehouse, "medgen_pubmed_lnk", kind)
    assert isinstance(frame, kind)
    assert sorted(ROWS[kind](frame)) == LINKS


def test_the_input_s_metadata_chooses_release_columns_and_rows(warehouse: str) -> None:
    earlier = given(warehouse, "names", pl.DataFrame, release=RELEASES[0])
    assert sorted(earlier.rows()) == sorted([A, B])
    some = given(warehouse, "names", pl.DataFrame, columns=["cui"], where={"suppress": "N"}, owner="me")
    assert some.rows() == [("C2",)]


def test_the_handle_reads_asks_and_says_where_the_table_is_without_the_password(warehouse: str) -> None:
    with_password = warehouse.replace("@", ":s3cr3t@", 1)
    handle = given(with_password, "names", WarehouseTable, release=RELEASES[0])
    assert sorted(handle.read(["cui"]).read_all()["cui"].to_pylist()) == ["C1", "C2"]
    assert sorted(handle.read(["cui"], release=RELEASES[1]).read_all()["cui"].to_pylist()) == ["C2", "C3"]
    assert handle.sql("SELECT name FROM {names} WHERE cui = {cui}", cui="C2") == [("b",)]
    assert handle.uri.endswith("/medgen/names")
    assert "s3cr3t" in with_password
    assert "s3cr3t" not in f"{handle!r} {handle.uri}"


def test_an_argument_of_another_type_is_refused_with_those_that_there_are(warehouse: str) -> None:
    with pytest.raises(
        RuntimeError, match=r"names cannot be given as .*dict.*; annotate the argument with one of"
    ) as e:
        given(warehouse, "names", dict)
    assert all(name in str(e.value) for name in (*FRAMES, "WarehouseTable"))


def test_a_release_that_is_not_within_reach_fails_the_step_without_retries(warehouse: str) -> None:
    with pytest.raises(RuntimeError, match="release '1999-01-01' is not within reach"):
        given(warehouse, "names", pl.DataFrame, release="1999-01-01")
