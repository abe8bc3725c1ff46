"""Back to an earlier release from the launchpad: what is loaded, what the UI shows, and how a table is let go."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest
import yaml

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.orchestration.executor import _goes_back
from medgen_pipeline.orchestration.keys import PINNED, RELEASE, SOURCE_VERSION
from medgen_pipeline.rows.published import content_of
from medgen_pipeline_tests.documents import Document
from medgen_pipeline_tests.integration.support import Deployment, load_runs, multiset, publish, rows_of
from medgen_pipeline_tests.loaders.support import query

NAMES = table_by_name("names")
FIRST, SECOND, THIRD = "2026-01-07", "2026-01-14", "2026-01-21"
(CONFIG,) = Document("docs/going-back.md").blocks("yaml")


@pytest.fixture
def deployment(database: str, tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    """The first two of three releases are loaded."""
    instance.wipe()
    made = Deployment(database, tmp_path / "home", instance, curated=False, checks=True)
    for number, release in enumerate((FIRST, SECOND, THIRD)):
        lines = [[b"C%d" % (number * 3 + row), b"name", b"GTR", b"N"] for row in range(30)]
        publish(tmp_path / release, NAMES, content_of(NAMES, lines), stamp=number + 1)
    for release in (FIRST, SECOND):
        assert made.materialize(tmp_path / release, NAMES).success
    return made


def file_of(deployment: Deployment, release: str) -> Counter[tuple[object, ...]]:
    return Counter(rows_of(NAMES, deployment.home.parent / release / NAMES.file_name))


def forget_files(deployment: Deployment) -> None:
    shutil.rmtree(deployment.home / "archive" / "sha256")


def version_shown(deployment: Deployment) -> str:
    """The version of NCBI's file in the UI."""
    event = deployment.instance.get_latest_materialization_event(dg.AssetKey(["ncbi", "names"]))
    assert event is not None
    assert event.asset_materialization is not None
    return str(event.asset_materialization.tags)


def test_a_table_is_made_from_the_version_that_the_ui_shows_of_its_file(deployment: Deployment) -> None:
    event = deployment.instance.get_latest_materialization_event(dg.AssetKey(["medgen", "names"]))
    assert event is not None
    assert event.asset_materialization is not None
    made_from = (event.asset_materialization.tags or {})["dagster/input_data_version/ncbi/names"]
    assert made_from in version_shown(deployment)


@pytest.mark.parametrize("kept", [True, False], ids=["from the archive", "by the feed"])
def test_a_table_goes_back_stays_there_and_is_let_go(deployment: Deployment, kept: bool) -> None:
    if not kept:
        forget_files(deployment)
    third = deployment.home.parent / THIRD
    published = version_shown(deployment)
    back = deployment.materialize(third, NAMES, config={"release": FIRST})
    assert back.success, back.failure
    made = back.metadata["names"]
    assert (made[RELEASE], made[PINNED], SOURCE_VERSION in made) == (FIRST, FIRST, kept)
    assert (made["cdc/inserted"], made["cdc/deleted"], made["cdc/unchanged"]) == (3, 3, 27)
    check = back.checks["names.is_not_pinned"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert multiset(deployment.dsn, NAMES) == file_of(deployment, FIRST)
    assert version_shown(deployment) == published  # what NCBI has, not what was gone back to

    plain = deployment.materialize(third, NAMES)  # as the schedule does
    made = plain.metadata["names"]
    assert (made[RELEASE], made[PINNED], made["medgen/mode"]) == (FIRST, FIRST, "unchanged")
    assert plain.data_versions == back.data_versions
    assert "names is pinned to release 2026-01-07, which somebody has chosen" in plain.log
    assert THIRD not in str(deployment.archive.records())

    forth = deployment.materialize(third, NAMES, config={"release": "newest"})
    assert (forth.metadata["names"][RELEASE], PINNED in forth.metadata["names"]) == (THIRD, False)
    assert forth.checks["names.is_not_pinned"].passed
    assert multiset(deployment.dsn, NAMES) == file_of(deployment, THIRD)
    assert load_runs(deployment.dsn, "release", "mode")[2:] == [
        (FIRST, "delta"),
        (FIRST, "unchanged"),
        (THIRD, "delta"),
    ]


def test_a_pinned_table_that_somebody_has_edited_is_repaired_to_its_pin(deployment: Deployment) -> None:
    second = deployment.home.parent / SECOND
    deployment.materialize(second, NAMES, config={"release": FIRST})
    query(deployment.dsn, "DELETE FROM medgen.names WHERE cui = 'C5'")
    assert deployment.materialize(second, NAMES).metadata["names"]["cdc/inserted"] == 1
    assert multiset(deployment.dsn, NAMES) == file_of(deployment, FIRST)


def test_a_release_that_is_nowhere_fails_at_once_with_those_that_there_are(deployment: Deployment) -> None:
    run = deployment.materialize(deployment.home.parent / SECOND, NAMES, config={"release": "2025-12-31"})
    assert (run.success, run.retries) == (False, 0)
    assert "'2025-12-31' is neither in the archive nor within reach of the change feed" in run.failure
    assert "2026-01-14 (archive, feed); 2026-01-07 (archive, feed)" in run.failure


def test_a_release_that_somebody_chooses_may_be_of_any_size(deployment: Deployment, tmp_path: Path) -> None:
    few: Sequence[Sequence[bytes]] = [[b"C1", b"name", b"GTR", b"N"]]
    publish(tmp_path / THIRD, NAMES, content_of(NAMES, few), stamp=9)
    shrunk = deployment.materialize(tmp_path / THIRD, NAMES, config={"max_shrink_percent": 99})
    assert shrunk.success, shrunk.failure
    assert (
        deployment.materialize(tmp_path / THIRD, NAMES, config={"release": SECOND}).metadata["names"]["cdc/inserted"]
        == 30
    )


def test_the_run_config_of_the_page_goes_back_and_needs_no_source(deployment: Deployment) -> None:
    ops = yaml.safe_load(CONFIG)["ops"]
    assert ops == {"medgen__names": {"config": {"release": FIRST}}}
    assert _goes_back(ops["medgen__names"])
    others: list[object] = [None, {}, {"config": {}}, {"config": {"release": "newest"}}, {"config": 7}]
    assert not any(map(_goes_back, others))
    run = deployment.materialize("gopher://127.0.0.1/", NAMES, config=ops["medgen__names"]["config"])
    assert run.metadata["names"][RELEASE] == FIRST
