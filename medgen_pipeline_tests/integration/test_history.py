"""What the feed and the audit are for: a table as of an earlier release, changes between releases, drift."""

from pathlib import Path

import dagster as dg
import pytest

from medgen_pipeline.loaders import AbstractNativeLoader, LoaderError, LoaderFactory
from medgen_pipeline.loading.findings import DRIFT_CHECK
from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.targets import DatabaseTarget
from medgen_pipeline.testing import Mirror
from medgen_pipeline.testing.files import GOOD
from medgen_pipeline.testing.loads import NAMES
from medgen_pipeline_tests.loaders.support import postgres_mirror, query


def loader_of(mirror: Mirror) -> AbstractNativeLoader:
    return LoaderFactory.create_loader(mirror.dsn, {"schema": mirror.backend.schema})


@pytest.fixture
def mirror(database: str, tmp_path: Path) -> Mirror:
    """Three releases of ``names``: C0 is renamed in the second, C1 goes in the third, C99 comes in it."""
    mirror = postgres_mirror(database, tmp_path, NAMES, "medgen")
    mirror.load(GOOD, release="2026-01-07")
    second = [b"C0|renamed|GTR|N|", *GOOD[1:]]
    mirror.load(second, release="2026-01-14")
    mirror.load([second[0], *second[2:], b"C99|new|GTR|N|"], release="2026-01-21")
    return mirror


def test_a_release_before_the_first_load_of_a_new_table_is_out_of_reach(mirror: Mirror) -> None:
    query(mirror.dsn, "DROP TABLE medgen.names")
    mirror.load(GOOD, release="2026-02-04")
    with loader_of(mirror) as loader, pytest.raises(LoaderError, match="newest first: 2026-02-04"):
        list(loader.read_as_of(NAMES, "2026-01-21"))


def drift_check(mirror: Mirror) -> dg.AssetCheckEvaluation:
    """The result of the table's drift check, run as the job runs it among those of all tables."""
    target = DatabaseTarget(dsn=mirror.dsn, schema=mirror.backend.schema)
    definitions = build_definitions(resources={"medgen_warehouse": WarehouseIOManager(target=target)}, environment={})
    check = dg.AssetCheckKey(dg.AssetKey(["medgen", NAMES.name]), DRIFT_CHECK)
    job = definitions.resolve_job_def("check_medgen").get_subset(asset_selection=set(), asset_check_selection={check})
    with dg.DagsterInstance.ephemeral() as instance:
        (evaluation,) = job.execute_in_process(instance=instance, raise_on_error=False).get_asset_check_evaluations()
    return evaluation


def test_a_table_nobody_touched_passes_the_drift_check(mirror: Mirror) -> None:
    assert drift_check(mirror).passed


def test_a_table_that_was_never_loaded_is_a_warning(database: str, tmp_path: Path) -> None:
    evaluation = drift_check(postgres_mirror(database, tmp_path, NAMES, "medgen"))
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.description == "The table was never loaded."


@pytest.mark.parametrize(
    ("edit", "foreign_rows", "rows"),
    [
        ("UPDATE medgen.names SET name = 'by hand' WHERE cui IN ('C5', 'C6')", 2, 50),
        ("DELETE FROM medgen.names WHERE cui = 'C5'", 0, 49),
        ("INSERT INTO medgen.names VALUES ('C500', 'by hand', NULL, NULL)", 1, 51),
        ("TRUNCATE medgen.names", 0, 0),
        ("DROP TABLE medgen.names", 0, 0),
    ],
)
def test_an_edit_by_hand_fails_the_drift_check_and_is_shown(
    mirror: Mirror, edit: str, foreign_rows: int, rows: int
) -> None:
    query(mirror.dsn, edit)
    evaluation = drift_check(mirror)
    assert not evaluation.passed
    metrics = {key: value.value for key, value in evaluation.metadata.items()}
    assert (metrics["drift/foreign_rows"], metrics["drift/rows"], metrics["drift/expected_rows"]) == (
        foreign_rows,
        rows,
        50,
    )
    shown = metrics.get("drift/rows_written_by_others", [])
    assert isinstance(shown, list)
    assert all(row["name"] == "by hand" for row in shown)
    assert len(shown) == foreign_rows


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE medgen.names SET name = CASE cui WHEN 'C5' THEN 'name 6' ELSE 'name 5' END WHERE cui IN ('C5', 'C6')",
        "UPDATE medgen.names SET cui = source, source = cui WHERE cui = 'C5'",
        "UPDATE medgen.names SET name = source, source = name WHERE cui = 'C5'",
        "UPDATE medgen.names SET source = '' WHERE cui = 'C0'",
        "UPDATE medgen.names SET source = NULL, suppress = source WHERE cui = 'C5'",
    ],
)
def test_the_checksum_alone_shows_values_that_changed_places(mirror: Mirror, edit: str) -> None:
    mirror.load([b"C0|no source||N|", *GOOD[2:]], release="2026-02-04")
    query(mirror.dsn, edit)
    evaluation = drift_check(mirror)
    assert not evaluation.passed
    assert evaluation.metadata["drift/checksum_matches"].value is False


def test_rows_put_back_as_they_were_are_no_drift(mirror: Mirror) -> None:
    query(
        mirror.dsn,
        "DELETE FROM medgen.names WHERE cui = 'C5'; INSERT INTO medgen.names VALUES ('C5', 'name 5', 'GTR', 'N')",
    )
    assert drift_check(mirror).passed


def test_loading_again_heals_what_the_drift_check_found(mirror: Mirror) -> None:
    query(mirror.dsn, "UPDATE medgen.names SET name = 'by hand' WHERE cui = 'C5'")
    mirror.load(GOOD, release="2026-02-04")
    assert drift_check(mirror).passed
