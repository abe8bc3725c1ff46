"""Tables as files: Parquet in a folder for each release, local and in S3, with a data dictionary."""

import csv
import hashlib
import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pytest
import yaml
from frictionless import Package
from pyarrow import parquet

from medgen_pipeline.access.export import Export, ExportError, export
from medgen_pipeline.access.export.errors import MovingTablesError, PlaceUnavailableError
from medgen_pipeline.access.export.places import CLAIM
from medgen_pipeline.catalog import any_table_by_name
from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders import LoaderError
from medgen_pipeline.orchestration.assets.exports import build_export_asset
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.testing import load
from medgen_pipeline.testing.loads import HISTORY, NAMES, PUBMED, RELEASES, A, B, C, D
from medgen_pipeline_tests.integration.killed_export import export_until
from medgen_pipeline_tests.integration.test_cli import medgen
from medgen_pipeline_tests.loaders.cases import THOROUGH, THOROUGHLY
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import new_loader, query
from medgen_pipeline_tests.redgate.s3server import BUCKET, S3Fault, S3Server

LINKS = [(2, "C2", None, 7), (1, "C1", "one", 11), (1, "C1", "one", 9)]
TABLES = (NAMES, PUBMED, HISTORY)
# Of a process that is killed: imported once.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([export_until.__module__])


@pytest.fixture
def warehouse(database: str) -> str:
    load(new_loader(database), NAMES, [B, A, C])
    load(new_loader(database), PUBMED, LINKS)
    load(new_loader(database), HISTORY, [])
    return database


def exported(dsn: str, place: object, *tables: str, **more: Any) -> Export:
    return export(lambda: new_loader(dsn), str(place), tables, **more)


def next_week(dsn: str) -> None:
    """``names`` changes, the links are the same, and the history is not published."""
    load(new_loader(dsn), NAMES, [B, A, D], RELEASES[1])
    load(new_loader(dsn), PUBMED, LINKS, RELEASES[1])


def latest(place: Path) -> Path:
    """Where a reader looks: the folder that ``latest`` names, in which all is as its dictionary says."""
    folder = place / (place / "latest").read_text().strip()
    files = {path.name for path in folder.iterdir()} - {"datapackage.json"}
    resources = json.loads((folder / "datapackage.json").read_text())["resources"]
    assert {resource["path"] for resource in resources} == files
    for resource in resources:
        data = (folder / resource["path"]).read_bytes()
        assert resource["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert resource["bytes"] == len(data)
    return folder


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in parquet.read_table(path).to_pylist()]


# What is in a release


def test_a_release_is_a_folder_with_every_loaded_table_as_parquet_that_is_sorted(
    warehouse: str, tmp_path: Path
) -> None:
    done = exported(warehouse, tmp_path)
    folder = latest(tmp_path)
    assert folder.name == RELEASES[0]
    assert done.path == str(folder)
    assert rows_of(folder / "names.parquet") == [A, B, C]
    assert rows_of(folder / "medgen_pubmed_lnk.parquet") == sorted(LINKS, key=lambda row: (row[0], row[3]))
    assert rows_of(folder / "medgen_cui_history.parquet") == []
    assert (done.rows, done.release, set(done.written)) == (6, RELEASES[0], {table.name for table in TABLES})
    assert done.size == sum(path.stat().st_size for path in folder.glob("*.parquet"))


def test_a_file_has_types_meanings_licences_and_says_how_it_is_sorted_and_packed(
    warehouse: str, tmp_path: Path
) -> None:
    exported(warehouse, tmp_path, "medgen_pubmed_lnk")
    file = parquet.ParquetFile(latest(tmp_path) / "medgen_pubmed_lnk.parquet")
    fields = {field.name: (str(field.type), field.metadata[b"comment"].decode()) for field in file.schema_arrow}
    types = {"uid": "int64", "cui": "string", "name": "string", "pmid": "int64"}
    assert fields == {column.name: (types[column.name], column.description) for column in PUBMED.columns}
    about = file.schema_arrow.metadata
    assert about[b"comment"].decode() == PUBMED.description
    assert b"https://www.nlm.nih.gov/research/umls/" in about[b"licences"]
    group = file.metadata.row_group(0)
    assert [group.sorting_columns[k].column_index for k in range(2)] == [0, 3]
    assert group.column(0).compression == "ZSTD"


def test_pandas_polars_and_duckdb_read_it(warehouse: str, tmp_path: Path) -> None:
    exported(warehouse, tmp_path)
    path = str(latest(tmp_path) / "names.parquet")
    assert pl.read_parquet(path).rows() == duckdb.connect().read_parquet(path).fetchall() == [A, B, C]
    assert pd.read_parquet(path)["cui"].tolist() == ["C1", "C2", "C3"]


def test_curated_tables_come_first_and_only_those_that_are_named(database: str, tmp_path: Path) -> None:
    curated = CuratedWarehouse(lambda: new_loader(database), database)
    curated.give_names("C1", "C2")
    curated.make("concept_name")
    told: list[str] = []
    assert exported(database, tmp_path, told=told.append).written[0] == "concept_name"
    assert told[0].startswith("concept_name: ")
    assert exported(database, tmp_path / "some", "names").written == ("names",)
    assert [path.name for path in latest(tmp_path / "some").glob("*.parquet")] == ["names.parquet"]


def test_the_dictionary_is_a_valid_data_package_made_from_the_catalog(warehouse: str, tmp_path: Path) -> None:
    exported(warehouse, tmp_path)
    path = latest(tmp_path) / "datapackage.json"
    package = Package(str(path))  # reads it, and raises where it is none
    (names,) = [resource for resource in package.resources if resource.name == "names"]
    assert [(field.name, field.type) for field in names.schema.fields] == [
        (name, "string") for name in NAMES.column_names
    ]
    assert names.schema.primary_key == ["cui"]
    assert "Refers to `names.cui`." in str(
        package.get_resource("medgen_pubmed_lnk").schema.get_field("cui").description
    )
    described = json.loads(path.read_text())
    assert [source["title"] for source in described["sources"]] == ["MedGen"]
    paths = [licence["path"] for licence in described["licenses"]]
    assert paths == [licence.url for licence in NAMES.source.licences]
    assert "https://www.nlm.nih.gov/research/umls" in " ".join(paths)


MAPPED = {
    "mgconso": [
        {"cui": "C0000001", "sab": "NCI", "scui": "C34537"},
    ],
    "medgen_id_mappings": [
        {"cui": "C0000001", "source": "MedGen", "source_id": "11"},
        {"cui": "C0000001", "source": "MONDO", "source_id": "MONDO:0000002"},
        {"cui": "C0000001", "source": "OMIM", "source_id": "600001"},
        {"cui": "C0000001", "source": "OMIM Phenotypic Series", "source_id": "PS600000"},
        {"cui": "C0000001", "source": "OMIM Allelic Variant", "source_id": "600001.0001"},
        {"cui": "C0000001", "source": "Something new", "source_id": "7"},
        {"cui": "C0000009", "source": "MedGen", "source_id": "9"},
        {"cui": "C0000009", "source": "MONDO", "source_id": "MONDO:0000001"},
        {"cui": "CN000003", "source": "MedGen", "source_id": "33"},
        {"cui": "CN000003", "source": "MONDO", "source_id": "MONDO:0000003"},
    ],
}


@pytest.fixture
def mapped(database: str, tmp_path: Path) -> Path:
    """A release with ``concept_xref``."""
    curated = CuratedWarehouse(lambda: new_loader(database), database)
    for name, rows in MAPPED.items():
        curated.give(name, rows)
    curated.make("concept_xref")
    exported(database, tmp_path)
    return latest(tmp_path)


def test_identifiers_are_there_as_sssom_with_what_the_specification_demands(mapped: Path) -> None:
    text = (mapped / "concept_xref.sssom.tsv").read_text()
    head = yaml.safe_load("".join(line[1:] for line in text.splitlines(keepends=True) if line[0] == "#"))
    rows = list(csv.DictReader((line for line in text.splitlines() if line[0] != "#"), delimiter="\t"))
    assert {"mapping_set_id", "license"} <= head.keys()
    assert head["mapping_set_version"] == RELEASES[0]
    assert {"subject_id", "predicate_id", "object_id", "mapping_justification"} == rows[0].keys()
    told = {curie.partition(":")[0] for row in rows for curie in (row["subject_id"], row["object_id"])}
    assert told <= head["curie_map"].keys()
    assert len(set(head["curie_map"].values())) == len(head["curie_map"])
    triples = [(row["subject_id"], row["predicate_id"], row["object_id"]) for row in rows]
    assert triples == [
        ("UMLS:C0000001", "skos:broadMatch", "OMIMPS:600000"),
        ("UMLS:C0000001", "skos:exactMatch", "MEDGEN:11"),
        ("UMLS:C0000001", "skos:exactMatch", "MONDO:0000002"),
        ("UMLS:C0000001", "skos:exactMatch", "NCIT:C34537"),
        ("UMLS:C0000001", "skos:exactMatch", "OMIM:600001"),
        ("UMLS:C0000001", "skos:relatedMatch", "OMIM:600001.0001"),
        ("UMLS:C0000009", "skos:exactMatch", "MEDGEN:9"),
        ("UMLS:C0000009", "skos:exactMatch", "MONDO:0000001"),
        ("medgen.cid:CN000003", "skos:exactMatch", "MEDGEN:33"),
        ("medgen.cid:CN000003", "skos:exactMatch", "MONDO:0000003"),
    ]


@pytest.mark.skipif(not (THOROUGHLY and shutil.which("uv")), reason=f"sssom-py brings 100 packages: set {THOROUGH}")
def test_sssom_py_finds_nothing_wrong_with_it(mapped: Path) -> None:
    right = mapped / "concept_xref.sssom.tsv"
    wrong = right.with_name("wrong.sssom.tsv")
    wrong.write_text(right.read_text().replace("semapv:UnspecifiedMatching", "semapv:Guessed", 1))
    tool = ("uv", "tool", "run", "--from", "sssom==0.4.21", "sssom", "validate")
    codes = [subprocess.run([*tool, path], check=False, capture_output=True).returncode for path in (right, wrong)]
    assert codes == [0, 1]


def test_mondo_s_template_is_there_without_concepts_made_by_ncbi(mapped: Path) -> None:
    # Its bytes on real data: loaders/test_mondo_versions.py.
    described = [resource.path for resource in Package(str(mapped / "datapackage.json")).resources]
    assert described[:3] == ["concept_xref.parquet", "concept_xref.sssom.tsv", "mondo-medgen.robot.tsv"]
    assert [line.split("\t")[:3] for line in (mapped / "mondo-medgen.robot.tsv").read_text().splitlines()[2:]] == [
        ["MONDO:0000002", "MEDGEN:11", ""],
        ["MONDO:0000001", "MEDGEN:9", ""],
        ["MONDO:0000002", "UMLS:C0000001", "MEDGEN:11"],
        ["MONDO:0000001", "UMLS:C0000009", "MEDGEN:9"],
    ]


# From release to release


def test_the_next_release_is_a_folder_of_its_own_in_which_unchanged_tables_are_the_same_files(
    warehouse: str, tmp_path: Path
) -> None:
    exported(warehouse, tmp_path)
    before = latest(tmp_path)
    next_week(warehouse)
    done = exported(warehouse, tmp_path)
    after = latest(tmp_path)
    assert (before.name, after.name) == RELEASES[:2]
    assert rows_of(before / "names.parquet") == [A, B, C]
    assert rows_of(after / "names.parquet") == [A, B, D]
    assert done.written == ("names",)
    assert (after / "medgen_pubmed_lnk.parquet").samefile(before / "medgen_pubmed_lnk.parquet")
    resources = {one["name"]: one for one in json.loads((after / "datapackage.json").read_text())["resources"]}
    assert [resources[table.name]["release"] for table in TABLES] == [RELEASES[1], RELEASES[1], RELEASES[0]]
    assert resources["medgen_pubmed_lnk"]["changedIn"] == RELEASES[0]


def test_where_nothing_has_changed_nothing_is_written(warehouse: str, tmp_path: Path) -> None:
    first = exported(warehouse, tmp_path)
    states = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("[!.]*")}
    again = exported(warehouse, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("[!.]*")} == states
    assert (again.path, again.rows, again.size, again.written) == (first.path, first.rows, first.size, ())


def test_other_rows_of_the_same_release_are_a_second_folder_and_the_first_stays(warehouse: str, tmp_path: Path) -> None:
    exported(warehouse, tmp_path)
    load(new_loader(warehouse), NAMES, [A], RELEASES[0])
    exported(warehouse, tmp_path)
    assert latest(tmp_path).name == f"{RELEASES[0]}.2"
    assert rows_of(latest(tmp_path) / "names.parquet") == [A]
    assert rows_of(tmp_path / RELEASES[0] / "names.parquet") == [A, B, C]


def test_a_table_that_is_loaded_meanwhile_is_written_again_so_that_all_are_of_one_moment(
    warehouse: str, tmp_path: Path
) -> None:
    def load_once(line: str) -> None:
        if line.startswith("medgen_cui_history") and not query(
            warehouse, "SELECT 1 FROM medgen_audit.load_run WHERE release = %s", RELEASES[1]
        ):
            next_week(warehouse)

    done = exported(warehouse, tmp_path, told=load_once)
    assert done.release == RELEASES[1]
    assert rows_of(latest(tmp_path) / "names.parquet") == [A, B, D]

    def load_always(line: str) -> None:
        load(new_loader(warehouse), NAMES, [A, (line[-9:], str(len(told)), None, None)], RELEASES[2])
        told.append(line)

    told: list[str] = []
    with pytest.raises(MovingTablesError, match="names was loaded again and again"):
        exported(warehouse, tmp_path, "names", told=load_always)


# Interruption


def test_readers_of_latest_see_a_whole_release_wherever_an_export_is_killed(warehouse: str, tmp_path: Path) -> None:
    exported(warehouse, tmp_path)
    next_week(warehouse)
    killed = 0
    while True:
        process = PROCESSES.Process(target=partial(export_until, killed + 1, warehouse, tmp_path))
        process.start()
        process.join()
        found = latest(tmp_path).name
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        assert found in RELEASES[:2]
        killed += 1
    assert killed >= 10
    assert found == RELEASES[1]
    assert {path.name for path in tmp_path.iterdir()} - {".lock"} == {*RELEASES[:2], "latest"}
    assert rows_of(tmp_path / found / "names.parquet") == [A, B, D]


# S3

PLACE = f"s3://{BUCKET}/some where"


def objects(s3: S3Server) -> dict[str, bytes]:
    client = s3.client()
    found = client.list_objects_v2(Bucket=BUCKET, Prefix="some where/").get("Contents", [])
    return {
        item["Key"].removeprefix("some where/"): client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        for item in found
    }


def of_latest(s3: S3Server) -> dict[str, bytes]:
    """The files of the release that ``latest`` names, which are as its dictionary says."""
    found = objects(s3)
    folder = found["latest"].decode().strip() + "/"
    files = {name.removeprefix(folder): data for name, data in found.items() if name.startswith(folder)}
    assert files.pop(CLAIM) == b""
    resources = {one["path"]: one["hash"] for one in json.loads(files.pop("datapackage.json"))["resources"]}
    assert resources == {name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in files.items()}
    return files


def test_a_release_in_s3_has_the_same_files_and_what_is_unchanged_is_copied_there(
    warehouse: str, s3: S3Server, tmp_path: Path
) -> None:
    assert exported(warehouse, PLACE).path == f"{PLACE}/{RELEASES[0]}"
    exported(warehouse, tmp_path)
    assert of_latest(s3) == {path.name: path.read_bytes() for path in latest(tmp_path).glob("*.parquet")}
    next_week(warehouse)
    s3.requests.clear()
    exported(warehouse, PLACE)
    exported(warehouse, tmp_path)
    assert of_latest(s3) == {path.name: path.read_bytes() for path in latest(tmp_path).glob("*.parquet")}
    folder = f"{RELEASES[1]}/"
    sent = [request.rpartition("/")[2] for request in s3.requests if request.startswith("PUT")]
    assert sent[-2:] == ["datapackage.json", "latest"]
    assert {f"{folder}{name}" for name in of_latest(s3)} < objects(s3).keys()
    s3.requests.clear()
    assert exported(warehouse, PLACE).written == ()
    assert not [request for request in s3.requests if request.startswith("PUT")]


def test_readers_of_latest_in_s3_see_a_whole_release_wherever_an_export_breaks(warehouse: str, s3: S3Server) -> None:
    exported(warehouse, PLACE)
    first = of_latest(s3)
    next_week(warehouse)
    broken = 0
    while True:
        s3.order(S3Fault("PUT ", status=403, skip=broken, times=1))
        try:
            exported(warehouse, PLACE)
        except ExportError:
            assert of_latest(s3) == first
            broken += 1
        else:
            break
    assert broken == 6  # the claim, a changed table, two copies, the dictionary, latest
    assert of_latest(s3).keys() == first.keys()
    assert of_latest(s3) != first


def test_of_two_exports_to_one_prefix_at_a_time_each_has_its_folder_and_the_first_is_latest(
    warehouse: str, s3: S3Server
) -> None:
    others: list[Export] = []

    def overtake(_: str) -> None:
        if not others:
            others.append(exported(warehouse, PLACE, "names"))
            s3.order(S3Fault("GET .*list-type", body=b"<ListBucketResult/>", times=1))  # as it was just before

    for release in RELEASES[:2]:  # before the first there is no latest
        with pytest.raises(PlaceUnavailableError, match=f"another export has published {release} meanwhile"):
            exported(warehouse, PLACE, told=overtake)
        assert of_latest(s3).keys() == {"names.parquet"}
        exported(warehouse, PLACE)
        assert of_latest(s3).keys() == {f"{table.name}.parquet" for table in TABLES}
        next_week(warehouse)
        others.clear()


# One DuckDB file


def in_file(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(path, read_only=True) as found:
        return found.execute(statement).fetchall()


def test_a_duckdb_file_has_the_rows_comments_keys_and_indexes_of_the_catalog(database: str, tmp_path: Path) -> None:
    load(new_loader(database), PUBMED, LINKS)
    curated = CuratedWarehouse(lambda: new_loader(database), database)
    curated.give_names("C2", "C1")
    curated.make("concept_name")
    curated.make("concept_xref")
    path = tmp_path / "new" / "medgen.duckdb"
    done = exported(database, path)
    assert (done.path, done.size, done.written[:2]) == (
        str(path),
        path.stat().st_size,
        ("concept_name", "concept_xref"),
    )
    assert [cui for (cui,) in in_file(path, "SELECT cui FROM names")] == ["C1", "C2"]
    assert in_file(path, "FROM medgen_pubmed_lnk") == sorted(LINKS, key=lambda row: (row[0], row[3]))
    assert done.rows == sum(rows for (rows,) in in_file(path, "SELECT row_count FROM medgen_export"))
    tables = dict(in_file(path, "SELECT table_name, comment FROM duckdb_tables()"))
    assert tables["concept_name"] == any_table_by_name("concept_name").description
    of_pmid = "SELECT data_type, comment FROM duckdb_columns() WHERE column_name = 'pmid'"
    assert in_file(path, of_pmid) == [("BIGINT", PUBMED.columns[3].description)]
    keys = "SELECT table_name, constraint_column_names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"
    assert in_file(path, f"{keys} ORDER BY ALL") == [
        ("concept_xref", ["cui", "source", "kind", "source_id"]),
        ("medgen_export", ["table_name"]),
        ("names", ["cui"]),
    ]
    assert in_file(path, "SELECT index_name FROM duckdb_indexes() ORDER BY ALL") == [
        ("concept_name_by_normalized_name",),
        ("concept_xref_by_curie",),
    ]
    (licences,) = in_file(path, "SELECT licences FROM medgen_export WHERE table_name = 'names'")[0]
    assert "License Agreement for Use of the UMLS Metathesaurus: https://" in licences


def test_what_is_unchanged_in_a_duckdb_file_stays_and_so_do_tables_of_the_user_s_own(
    warehouse: str, tmp_path: Path
) -> None:
    path = tmp_path / "medgen.duckdb"
    exported(warehouse, path)
    with duckdb.connect(path) as own:
        own.execute("CREATE TABLE mine AS SELECT 7 AS seven")
        own.execute("UPDATE medgen_pubmed_lnk SET name = 'as it was' WHERE uid = 2")
    before = path.stat()
    assert exported(warehouse, path).written == ()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    next_week(warehouse)
    assert exported(warehouse, path).written == ("names",)
    assert path.stat().st_ino != before.st_ino  # who has the old file open goes on with that
    assert in_file(path, "FROM names") == [A, B, D]
    assert in_file(path, "SELECT name FROM medgen_pubmed_lnk WHERE uid = 2") == [("as it was",)]
    assert in_file(path, "FROM mine") == [(7,)]
    of = "SELECT table_name, release, changed_in FROM medgen_export WHERE table_name LIKE 'm%k'"
    assert in_file(path, of) == [("medgen_pubmed_lnk", RELEASES[1], RELEASES[0])]
    exported(warehouse, path, "names")
    assert in_file(path, "SELECT table_name FROM duckdb_tables() ORDER BY ALL") == [
        ("medgen_export",),
        ("mine",),
        ("names",),
    ]


def test_readers_of_a_duckdb_file_see_one_release_wherever_an_export_is_killed(warehouse: str, tmp_path: Path) -> None:
    path = tmp_path / "medgen.duckdb"
    exported(warehouse, path)
    next_week(warehouse)
    killed = 0
    while True:
        process = PROCESSES.Process(target=partial(export_until, killed + 1, warehouse, path))
        process.start()
        process.join()
        releases = {release for (release,) in in_file(path, "SELECT DISTINCT changed_in FROM medgen_export")}
        found = in_file(path, "FROM names")
        if process.exitcode == 0:
            break
        assert (found, releases) == ([A, B, C], {RELEASES[0]})
        killed += 1
    assert killed >= 5
    assert (found, releases) == ([A, B, D], set(RELEASES[:2]))
    assert {one.name for one in tmp_path.iterdir()} == {path.name, f".{path.name}.lock"}


def test_a_database_that_no_export_has_made_is_left_alone(warehouse: str, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(path) as own:
        own.execute("CREATE TABLE names AS SELECT 7 AS seven")
    with pytest.raises(ExportError, match=r"warehouse.duckdb: this database was not made by an export"):
        exported(warehouse, path)
    assert in_file(path, "FROM names") == [(7,)]


@pytest.mark.parametrize(
    ("missing", "place", "said"),
    [
        ("duckdb", "medgen.duckdb", r"A DuckDB file needs duckdb: pip install 'medgen_pipeline\[duckdb\]'\.$"),
        ("pyarrow", "folder", r"Reading rows needs pyarrow: pip install 'medgen_pipeline\[arrow\]'\.$"),
        ("boto3", "s3://bucket", r"AWS needs boto3: pip install 'medgen_pipeline\[s3\]'\.$"),
    ],
)
def test_a_library_that_is_missing_is_one_clear_line(
    warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, place: str, said: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MedgenError, match=said):
        exported(warehouse, place if "://" in place else tmp_path / place)


# What is refused


def test_what_cannot_be_exported_is_said_in_one_line(warehouse: str, tmp_path: Path) -> None:
    for place, tables, error, said in (
        (tmp_path, ["concept"], ExportError, "concept: never loaded"),
        (tmp_path, ["nmaes"], LookupError, "nmaes"),
        ("ftp://host/folder", [], ExportError, r"a local folder, s3://BUCKET/PREFIX or a file that ends in \.duckdb"),
        ("s3://me:s3cr3t@bucket/", [], ExportError, "names a bucket and no user"),
    ):
        with pytest.raises(error, match=said) as refusal:
            exported(warehouse, place, *tables)
        assert "s3cr3t" not in str(refusal.value)
    assert not (tmp_path / "latest").exists()


def test_a_bucket_that_is_not_there_or_does_not_answer_is_named(warehouse: str, s3: S3Server) -> None:
    with pytest.raises(ExportError, match=r"s3://nobody-s-bucket/latest: .*there is no such bucket"):
        exported(warehouse, "s3://nobody-s-bucket")
    s3.order(S3Fault("GET ", status=503))
    with pytest.raises(PlaceUnavailableError, match="Try again later"):
        exported(warehouse, PLACE)


def test_nothing_was_ever_loaded_is_an_error(database: str, tmp_path: Path) -> None:
    with pytest.raises(LoaderError, match="expected the record of loads"):
        exported(database, tmp_path)


# As assets


def materialized(dsn: str, place: Path) -> dg.ExecuteInProcessResult:
    asset = build_export_asset("parquet", str(place), TABLES, DEFAULT_NAMES)
    resources = {DEFAULT_NAMES.warehouse: WarehouseIOManager(target=DatabaseTarget(dsn=dsn))}
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize([asset], resources=resources, instance=instance, raise_on_error=False)


def test_an_export_is_an_asset_that_says_where_it_is_and_how_much(warehouse: str, tmp_path: Path) -> None:
    (event,) = materialized(warehouse, tmp_path).get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(["medgen_export", "parquet"])
    shown = {name: value.value for name, value in event.materialization.metadata.items()}
    folder = latest(tmp_path)
    assert shown == {
        "medgen/release": RELEASES[0],
        "medgen/path": str(folder),
        "dagster/row_count": 6,
        "medgen/bytes": sum(path.stat().st_size for path in folder.glob("*.parquet")),
        "medgen/tables_written": 3,
        "medgen/tables_kept": 0,
    }


def test_an_export_that_cannot_succeed_fails_without_retries(database: str, tmp_path: Path) -> None:
    done = materialized(database, tmp_path)
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    assert "expected the record of loads" in str(failure.step_failure_data.user_failure_data)


# medgen export


def test_the_command_says_what_it_has_written(warehouse: str, tmp_path: Path) -> None:
    def said(*arguments: str) -> list[str]:
        done = medgen("export", str(tmp_path / "out"), *arguments, home=tmp_path, MEDGEN_DSN=warehouse)
        assert done.exit_code == 0, done.output
        return list(done.stdout.splitlines())

    first, *_, last = said()
    assert first.startswith("names: 3 rows, ")
    assert last.startswith(f"{tmp_path / 'out' / RELEASES[0]}: release {RELEASES[0]}, 3 written, 0 as before, 6 rows, ")
    assert said("names")[0] == "names: as before"
    refused = medgen("export", str(tmp_path / "out"), "nmaes", home=tmp_path, MEDGEN_DSN=warehouse)
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert "nmaes" in refused.output
