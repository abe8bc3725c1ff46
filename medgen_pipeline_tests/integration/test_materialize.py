"""All 17 tables of the sample release and of its successor, as one run of the job each, and what Dagster is told."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest
import yaml
from psycopg import sql

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.catalog.sources.medgen import TABLES
from medgen_pipeline.cli.instance import INSTANCE_YAML
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.orchestration.io_manager import WarehouseTable
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.rows.published import content_of
from medgen_pipeline.settings import Settings
from medgen_pipeline.testing import Row
from medgen_pipeline.testing.loads import differences, undone
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.integration.support import (
    Deployment,
    Run,
    decompressed,
    load_runs,
    mode_of,
    multiset,
    publish,
    rows_of,
    stream,
)
from medgen_pipeline_tests.loaders.support import PostgresBackend, query
from medgen_pipeline_tests.ncbi_double import ncbi_double

if TYPE_CHECKING:
    from medgen_pipeline_tests.redgate.s3server import S3Server

NAMES = table_by_name("names")
BASE, SUCCESSOR = "2026-01-07", "2026-01-14"
EVERY_TABLE = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


# The sample: first load, successor, and the successor again


@dataclass(frozen=True)
class Sample:
    """Three runs of the whole job over a sample, and what production was after each."""

    dsn: str
    folder: Path
    strategy: str  # of the second and third run
    runs: tuple[Run, Run, Run]
    after_base: dict[str, Counter[Row]]
    places: tuple[dict[str, list[Row]], dict[str, list[Row]]]  # ctid and xmin of every row, before and after the third

    def file_rows(self, table: SourceTable, release: str) -> Counter[Row]:
        return Counter(rows_of(table, self.folder / release / table.file_name))


@pytest.fixture(scope="module")
def base(
    postgres_server: str, instance: dg.DagsterInstance, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, Run]]:
    """After the first load, to be copied; both releases are below its home."""
    home = tmp_path_factory.mktemp("sample")
    write_sample(home / BASE, scale=0.3)
    write_sample(home / SUCCESSOR, scale=0.3, successor=True)
    with fresh_database(postgres_server) as dsn:
        deployment = Deployment(dsn, home, instance, curated=False)
        yield deployment, deployment.materialize(home / BASE)


@pytest.fixture(scope="module", params=["snapshot", "warehouse"])
def sample(
    request: pytest.FixtureRequest,
    postgres_server: str,
    base: tuple[Deployment, Run],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sample]:
    loaded, first = base
    folder = shutil.copytree(loaded.home, tmp_path_factory.mktemp("sample"), dirs_exist_ok=True)
    with fresh_database(postgres_server, like=loaded.dsn) as dsn:
        deployment = replace(loaded, dsn=dsn, home=folder)
        after_base = {table.name: multiset(dsn, table) for table in TABLES}
        config = {"force_warehouse": request.param == "warehouse"}
        second = deployment.materialize(folder / SUCCESSOR, *TABLES, config=config)
        before = places(dsn)
        third = deployment.materialize(folder / SUCCESSOR, *TABLES, config=config)
        yield Sample(dsn, folder, request.param, (first, second, third), after_base, (before, places(dsn)))


def places(dsn: str) -> dict[str, list[Row]]:
    return {table.name: sorted(row[:2] for row in stream(dsn, "medgen", table, ("ctid", "xmin"))) for table in TABLES}


def test_one_run_of_the_job_materializes_every_table(sample: Sample) -> None:
    for run in sample.runs:
        assert run.success, run.failure
        assert run.retries == 0
        assert set(run.metadata) == {table.name for table in TABLES}


def test_the_ui_shows_which_version_of_each_file_was_found_and_some_rows_of_its_table(
    sample: Sample, instance: dg.DagsterInstance
) -> None:
    for table in TABLES:
        event = instance.get_latest_materialization_event(dg.AssetKey(["ncbi", table.name]))
        assert event is not None
        assert event.asset_materialization is not None
        shown = {key: value.value for key, value in event.asset_materialization.metadata.items()}
        assert str(shown["dagster/uri"]).endswith(f"/{SUCCESSOR}/{table.file_name}")
        found = sample.runs[2].metadata[table.name]
        assert shown["medgen/source_version"] == found["medgen/source_version"]
        header, _, *rows = str(found["medgen/preview"]).splitlines()
        assert header == f"| {' | '.join(table.column_names)} |"
        assert len(rows) == min(10, found["dagster/row_count"])
    versions = instance.fetch_materializations(dg.AssetKey(["ncbi", "names"]), limit=10).records
    assert len(versions) == 2  # the third run has found the second's version again


@EVERY_TABLE
def test_production_equals_the_file_after_each_release(table: SourceTable, sample: Sample) -> None:
    assert sample.after_base[table.name] == sample.file_rows(table, BASE)
    assert multiset(sample.dsn, table) == sample.file_rows(table, SUCCESSOR)


@EVERY_TABLE
def test_the_counts_are_those_of_brute_force(table: SourceTable, sample: Sample) -> None:
    base, successor = sample.file_rows(table, BASE), sample.file_rows(table, SUCCESSOR)
    counts = differences(table, [*base.elements()], [*successor.elements()])
    expected = counts.inserted, counts.updated, counts.deleted, counts.unchanged
    first, second, third = (run.metadata[table.name] for run in sample.runs)
    assert {**first, "cdc/inserted": base.total(), "cdc/updated": 0, "cdc/deleted": 0, "cdc/unchanged": 0} == first
    assert tuple(second[f"cdc/{what}"] for what in ("inserted", "updated", "deleted", "unchanged")) == expected
    assert first["dagster/row_count"] == base.total()
    assert second["dagster/row_count"] == third["dagster/row_count"] == successor.total()
    columns = ("rows_inserted", "rows_updated", "rows_deleted", "rows_unchanged")
    audit = load_runs(sample.dsn, "table_name", "status", "release", "mode", *columns)
    assert [row[1:] for row in audit if row[0] == table.name] == [
        ("succeeded", BASE, "first", base.total(), 0, 0, 0),
        ("succeeded", SUCCESSOR, counts.mode, *expected),
        ("succeeded", SUCCESSOR, "unchanged", 0, 0, 0, successor.total()),
    ]


@EVERY_TABLE
def test_the_feed_leads_back_from_the_successor_to_the_base(table: SourceTable, sample: Sample) -> None:
    base, successor = sample.file_rows(table, BASE), sample.file_rows(table, SUCCESSOR)
    if base != successor:
        assert undone(PostgresBackend(sample.dsn), table, multiset(sample.dsn, table), SUCCESSOR) == base
        feed = Counter(str(row[0]) for row in stream(sample.dsn, "medgen_changes", table, ("_change_type",)))
        found = sample.runs[1].metadata[table.name]
        assert feed["insert"] == found["cdc/inserted"]
        assert feed["update_preimage"] == feed["update_postimage"] == found["cdc/updated"]
        assert feed["delete"] == found["cdc/deleted"]


@EVERY_TABLE
def test_materializing_again_with_nothing_changed_writes_nothing(table: SourceTable, sample: Sample) -> None:
    again = sample.runs[2].metadata[table.name]
    assert {again["cdc/inserted"], again["cdc/updated"], again["cdc/deleted"]} == {0}
    assert again["cdc/unchanged"] == again["dagster/row_count"] == sample.file_rows(table, SUCCESSOR).total()
    assert again["medgen/mode"] == "unchanged"
    assert again["medgen/downloaded_bytes"] == 0
    before, after = (taken[table.name] for taken in sample.places)
    assert before == after


def test_the_bad_row_and_the_damaged_name_of_the_sample_are_accounted_for(sample: Sample) -> None:
    for run in sample.runs:
        counts = {name: (m["medgen/rejected_rows"], m["medgen/repaired_rows"]) for name, m in run.metadata.items()}
        assert counts.pop("mgconso") == (1, 0)
        assert counts.pop("medgen_pubmed_lnk") == (0, 1)
        assert set(counts.values()) == {(0, 0)}
    ((table_name, reason, raw),) = query(
        sample.dsn,
        "SELECT DISTINCT table_name, reason, raw FROM medgen_audit.rejected_row"
        " JOIN medgen_audit.load_run USING (load_id)",
    )
    assert (table_name, reason) == ("mgconso", "14 fields, expected 13")
    mgconso = table_by_name("mgconso")
    assert isinstance(raw, bytes)
    assert raw + b"\n" in decompressed(mgconso, sample.folder / BASE / mgconso.file_name)


def test_nothing_is_left_in_staging(sample: Sample) -> None:
    assert query(sample.dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'medgen_staging'") == []


# What Dagster is told


def assert_counts_what_was_moved(metadata: Mapping[str, Any]) -> None:
    """The whole file under one strategy, the lines that differ under the other, and nothing where there are none."""
    inserted, updated, deleted = (metadata[f"cdc/{what}"] for what in ("inserted", "updated", "deleted"))
    whole = metadata["medgen/strategy"] == "warehouse"
    moved = metadata["dagster/row_count"] if whole else inserted + deleted + 2 * updated
    assert ("medgen/rows_per_second" in metadata) == bool(moved)
    if moved:
        assert metadata["medgen/rows_per_second"] == pytest.approx(
            moved / metadata["medgen/load_seconds"], rel=0.1, abs=1
        )


@EVERY_TABLE
def test_a_materialization_carries_the_promised_metadata(table: SourceTable, sample: Sample) -> None:
    for run in sample.runs:
        metadata = run.metadata[table.name]
        numbers = {
            "dagster/row_count",
            "cdc/inserted",
            "cdc/updated",
            "cdc/deleted",
            "cdc/unchanged",
            "medgen/rejected_rows",
            "medgen/repaired_rows",
            "medgen/load_seconds",
        }
        assert {key for key in numbers if type(metadata[key]) not in (int, float)} == set()
        assert metadata["medgen/load_seconds"] > 0
        assert metadata["dagster/table_name"] == f"medgen.{table.name}"
        assert metadata["dagster/uri"].startswith("postgresql://")
        assert metadata["dagster/uri"].endswith(f"/medgen/{table.name}")
        assert [column.name for column in metadata["dagster/column_schema"].columns] == list(table.column_names)
        assert metadata["medgen/strategy_reason"]
        assert metadata["medgen/source_url"].endswith(f"/{table.file_name}")
        assert_counts_what_was_moved(metadata)
    strategies = [run.metadata[table.name]["medgen/strategy"] for run in sample.runs]
    assert strategies == ["warehouse", sample.strategy, sample.strategy]
    releases = [run.metadata[table.name]["medgen/release"] for run in sample.runs]
    assert releases == [BASE, SUCCESSOR, SUCCESSOR]
    modes = [run.metadata[table.name]["medgen/mode"] for run in sample.runs]
    assert modes == ["first", mode_of(sample.runs[1].metadata[table.name]), "unchanged"]


@EVERY_TABLE
def test_the_data_version_is_the_hash_of_the_content(table: SourceTable, sample: Sample) -> None:
    for run, release in zip(sample.runs, (BASE, SUCCESSOR, SUCCESSOR), strict=True):
        content = decompressed(table, sample.folder / release / table.file_name)
        assert run.data_versions[table.name] == sha256(content).hexdigest()


@pytest.fixture
def deployment(database: str, tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    return Deployment(database, tmp_path / "home", instance)


ROWS = [(b"C0000001", b"one", b"GTR", b"N"), (b"C0000002", b"two", b"GTR", b"N")]


def test_the_same_content_compressed_anew_is_the_same_data_version(deployment: Deployment, tmp_path: Path) -> None:
    content = content_of(NAMES, ROWS)
    publish(tmp_path / "a", NAMES, content, stamp=1)
    publish(tmp_path / "b", NAMES, content, stamp=2)
    publish(tmp_path / "c", NAMES, content_of(NAMES, ROWS[:1]), stamp=2)
    first, second, third = (deployment.materialize(tmp_path / release, NAMES) for release in "abc")
    one, two = first.metadata["names"], second.metadata["names"]
    assert one["medgen/source_sha256"] != two["medgen/source_sha256"]
    assert first.data_versions == second.data_versions != third.data_versions
    assert (two["cdc/inserted"], two["cdc/updated"], two["cdc/deleted"]) == (0, 0, 0)
    hashes = load_runs(deployment.dsn, "source_sha256", "content_sha256")
    assert [hashes[0][0] == hashes[1][0], hashes[0][1] == hashes[1][1]] == [False, True]


def test_a_run_is_found_in_the_audit_by_its_id(deployment: Deployment, tmp_path: Path) -> None:
    publish(tmp_path / "release", NAMES, content_of(NAMES, ROWS))
    run = deployment.materialize(tmp_path / "release", NAMES)
    assert load_runs(deployment.dsn, "dagster_run_id") == [(run.run_id,)]
    assert load_runs(deployment.dsn, "load_id") == [(run.metadata["names"]["medgen/load_id"],)]


def test_a_downstream_asset_gets_a_handle_and_never_rows(deployment: Deployment, tmp_path: Path) -> None:
    received: list[object] = []

    @dg.asset(ins={"names": dg.AssetIn(key=["medgen", "names"])})
    def counted(names: WarehouseTable) -> dg.MaterializeResult[None]:
        received.append(names)
        with psycopg.connect(deployment.dsn) as connection:
            table = sql.Identifier(names.schema, names.name)
            ((rows,),) = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchall()
        return dg.MaterializeResult(metadata={"rows": rows})

    publish(tmp_path / "release", NAMES, content_of(NAMES, ROWS))
    ours = deployment.definitions((tmp_path / "release").as_uri())
    job = dg.Definitions.merge(ours, dg.Definitions(assets=[counted])).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=deployment.instance, asset_selection=[dg.AssetKey(["medgen", "names"]), dg.AssetKey("counted")]
    )
    assert result.success
    assert received == [WarehouseTable("medgen", "names", ("cui", "name", "source", "suppress"))]
    (materialization,) = result.asset_materializations_for_node("counted")
    assert materialization.metadata["rows"].value == 2


def test_a_download_is_followed_in_the_run_s_log(deployment: Deployment, tmp_path: Path) -> None:
    publish(tmp_path / "release", NAMES, content_of(NAMES, ROWS))
    settings = yaml.safe_load(INSTANCE_YAML)
    with dg.instance_for_test(overrides={"python_logs": settings["python_logs"]}) as instance:
        run = Deployment(deployment.dsn, deployment.home, instance).materialize(tmp_path / "release", NAMES)
        said = [entry.user_message for entry in instance.all_logs(run.run_id) if not entry.dagster_event]
    assert any("NAMES.RRF.gz: download starts" in message for message in said)
    assert any("MB/s" in message for message in said)


# The archive


def archived(deployment: Deployment) -> int:
    return len([path for path in (deployment.home / "archive" / "sha256").rglob("*") if path.is_file()])


def test_older_versions_are_pruned_after_a_load_and_never_what_production_was_made_from(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.source_settings = {"archive_keep": 2}
    source, many = tmp_path / "release", [(b"C%07d" % number, b"n", b"s", b"N") for number in range(100)]
    for stamp in range(4):
        publish(source, NAMES, content_of(NAMES, many[stamp:]), stamp=stamp)
        assert deployment.materialize(source, NAMES).success
    assert archived(deployment) == 2
    for stamp in range(4, 8):  # far too few rows: fetched, and refused by a gate
        publish(source, NAMES, content_of(NAMES, many[:stamp]), stamp=stamp)
        assert not deployment.materialize(source, NAMES).success
    assert archived(deployment) == 6
    publish(source, NAMES, content_of(NAMES, many[4:]), stamp=9)
    run = deployment.materialize(source, NAMES)
    assert run.metadata["names"]["medgen/strategy"] == "snapshot"
    assert archived(deployment) == 2


def test_an_archive_setting_that_cannot_be_used_is_a_permanent_error(deployment: Deployment, tmp_path: Path) -> None:
    publish(tmp_path / "release", NAMES, content_of(NAMES, ROWS))
    deployment.source_settings = {"archive_url": "https://bucket/"}
    run = deployment.materialize(tmp_path / "release", NAMES)
    assert "expected s3://BUCKET/PREFIX" in run.failure
    assert run.retries == 0


def test_a_bucket_as_the_archive_s_second_tier_is_a_setting(
    deployment: Deployment, tmp_path: Path, s3: "S3Server"
) -> None:
    publish(tmp_path / "release", NAMES, content_of(NAMES, ROWS))
    of_environment = MedgenSource.of(Settings.read({"MEDGEN_ARCHIVE_URL": "s3://stage/medgen"}))
    deployment.source_settings = {"archive_url": of_environment.archive_url}
    run = deployment.materialize(tmp_path / "release", NAMES)
    sha = run.metadata["names"]["medgen/source_sha256"]
    assert f"medgen/sha256/{sha[:2]}/{sha}" in s3.keys("stage")


# Secrets


def with_password(dsn: str, password: str) -> str:
    """The same DSN with a password, or another one; the test server trusts whoever reaches it."""
    user, _, rest = dsn.removeprefix("postgresql://").partition("@")
    return f"postgresql://{user.partition(':')[0]}:{password}@{rest}"


def test_no_password_is_in_an_event_a_log_line_an_error_or_the_audit(
    deployment: Deployment,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "topsecret"
    dsn = with_password(deployment.dsn, secret)
    good, bad = content_of(NAMES, ROWS), content_of(NAMES, [(b"short",)])
    there = publish(tmp_path / "release", NAMES, good).parent
    with ncbi_double(there) as server:
        source = server.url.replace("http://", f"http://reader:{secret}@")
        known = replace(deployment, dsn=dsn, checks=True)
        runs = [known.materialize(source, NAMES), known.materialize(source, NAMES)]
        publish(there, NAMES, bad)
        runs.append(known.materialize(source, NAMES))
        query(dsn, "DROP TABLE medgen.names")
        query(dsn, "CREATE TABLE medgen.names (mine text)")
        publish(there, NAMES, good)
        runs.append(known.materialize(source, NAMES))
        unknown = replace(known, dsn=dsn.replace("/medgen_test_", "/no_such_"))
        runs.append(unknown.materialize(source, NAMES))
        publish(there, NAMES, b"")
        runs.append(known.materialize(source, NAMES))
    assert [run.success for run in runs] == [True, True, False, False, False, False]
    for run in runs:
        assert "NAMES.RRF.gz" in run.log or "refuses the connection" in run.log  # the log has what can hold a secret
        assert secret not in run.log
    out = capfd.readouterr()
    assert "STEP_FAILURE" in out.err
    assert secret not in out.out + out.err + caplog.text
    for table in ("load_run", "rejected_row"):
        assert secret not in repr(query(deployment.dsn, f"SELECT * FROM medgen_audit.{table}"))  # noqa: S608  # our own
    archived = [path for path in deployment.home.rglob("*.json") if path.is_file()]
    assert archived
    assert not [path for path in archived if secret in path.read_text()]
