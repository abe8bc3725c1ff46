"""docs/export.md, taken at its word: its commands on what the demo has loaded, and its setting."""

import json
import re
from pathlib import Path

import duckdb
import polars as pl
import pytest

from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline_tests.documents import Document, filled
from medgen_pipeline_tests.integration.conftest import Demo
from medgen_pipeline_tests.loaders.support import query
from medgen_pipeline_tests.redgate.s3server import BUCKET, S3Server

PAGE = Document("docs/export.md")
PARQUET, TO_S3, TO_FILE, SETTING = PAGE.blocks("sh")
IN_FILE = ("names", "concept", "disease_phenotype")


def test_the_commands_of_the_page_export_the_demo_s_tables(
    demo: Demo, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of some tables to S3 and to a file: which tables an export has is looked at in the folder.
    to_s3 = filled(TO_S3, {"medgen export": ".venv/bin/medgen export", "BUCKET": BUCKET}) + " names concept"
    for command in (PARQUET, to_s3, f"{TO_FILE} {' '.join(IN_FILE)}"):
        s3_settings = {"AWS_ENDPOINT_URL": s3.endpoint_url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        done = demo.shell(command, **s3_settings)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].partition(": ")[2].startswith("release 2026-01-14, ")
    monkeypatch.chdir(demo.directory)
    (reading,) = PAGE.blocks("python")
    read: dict[str, pl.DataFrame] = {}
    exec(reading, read)  # noqa: S102  # the page's own words
    ((concepts,),) = query(demo.server.ensure_running(), "SELECT count(*) FROM medgen.concept")
    assert read["concepts"].height == concepts
    release = Path("out", "2026-01-14")
    files = {path.name for path in release.iterdir()}
    for name in re.findall(r"^        (\S+)  ", PAGE.text, re.MULTILINE):
        assert name in files
    with duckdb.connect("medgen.duckdb", read_only=True) as file:
        for table in IN_FILE:
            assert file.table(table).fetchall() == pl.read_parquet(release / f"{table}.parquet").rows()
    described = json.loads((release / "datapackage.json").read_text())
    assert {one["path"] for one in described["resources"]} == files - {"datapackage.json"}


def test_the_setting_of_the_page_makes_the_assets_that_it_names() -> None:
    variable, place = SETTING.removeprefix("export ").split("=")
    graph = build_definitions(environment={variable: place}).resolve_asset_graph()
    exports = {key.to_user_string() for key in graph.get_all_asset_keys() if key.path[0] == "medgen_export"}
    assert exports == set(re.findall(r"`(medgen_export/\w+)`", PAGE.text))
