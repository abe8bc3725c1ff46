"""What is Databricks' own: the DSN and its secrets, lost answers, leases, and loads of several tables at once."""

import random
import re
import time
from collections import Counter
from pathlib import Path

import pytest
import urllib3

from medgen_pipeline.errors import PermanentError, TransientError
from medgen_pipeline.loaders import LoaderError, LoaderFactory, LostConnectionError, TableBusyError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.databricks.config import DatabricksConfig
from medgen_pipeline.loaders.databricks.connect import Connector, ServicePrincipal, read_dsn
from medgen_pipeline.loaders.databricks.failures import StatementError
from medgen_pipeline.loaders.databricks.session import QUERY_SCRATCH, DatabricksSession
from medgen_pipeline.loaders.databricks.volume import Volume
from medgen_pipeline.loading.staging import stage
from medgen_pipeline.testing import Mirror, Row, load
from medgen_pipeline.testing.files import GOOD
from medgen_pipeline.testing.loads import (
    CHANGED_B,
    NAMES,
    RELEASES,
    A,
    B,
    C,
    D,
    begun,
    canonical,
    compared,
    start_of,
    undone,
)
from medgen_pipeline_tests.dbxgate.backend import GatedDatabricks
from medgen_pipeline_tests.dbxgate.gate import CLIENT, TOKEN
from medgen_pipeline_tests.documents import Document

SECRET = "dapi0topsecret"
# One of each kind of statement that a load sends, in no order; the first ones by a first load alone.
FIRST_KINDS = (
    "^MERGE INTO `medgen_audit`.`lock_names`",
    "^CREATE TABLE `medgen_changes`",
    "^CREATE OR REPLACE VIEW `medgen_history`",
)
KINDS = (
    "^BEGIN",
    "^CREATE TABLE `medgen_staging`.`names` ",
    "^DELETE FROM `medgen_staging`.`names`",
    "^PUT",
    "^COPY",
    "^REMOVE",
    "^INSERT INTO `medgen_staging`.`names__changes`",
    "^INSERT INTO `medgen`.`names`",
    "^INSERT INTO `medgen_changes`",
    "^MERGE INTO `medgen`.`names`",
    r"^UPDATE `medgen_audit`.`lock_names` SET holder = \?",
    "^MERGE INTO `medgen_audit`.load_run",
    "^UPDATE `medgen_audit`.load_run SET strategy",
    "^UPDATE `medgen_audit`.load_run SET status = .* mode = ",
    "^UPDATE `medgen_audit`.`lock_names` SET holder = NULL",
    "^COMMIT",
    "^DROP TABLE",
)


@pytest.mark.parametrize(
    "dsn",
    [
        f"databricks://token:{SECRET}@host/p",  # no catalog
        f"databricks://token:{SECRET}@host?catalog=main",  # no path
        f"databricks://token:{SECRET}@/p?catalog=main",
        f"databricks://{SECRET}@host/p?catalog=main",
        f"databricks://token:{SECRET}@one,two/p?catalog=main",
        f"databricks://token:{SECRET}/x@host/p?catalog=main",
        f"databricks://token:{SECRET}?x@host/p?catalog=main",
        f"databricks://token:{SECRET}#x@host/p?catalog=main",
        f"databricks://token:{SECRET}@host:port/p?catalog=main",
        f"databricks://token:x@host/p?catalog=main&{SECRET}=1",
    ],
)
def test_a_dsn_that_is_none_is_refused_without_a_word_of_it(dsn: str) -> None:
    with pytest.raises(ValueError, match=r"Databricks loader: the DSN is not .*databricks://|is not a valid") as error:
        LoaderFactory.create_loader(dsn, {})
    assert SECRET not in repr(error.value)
    assert error.value.__cause__ is None


def test_a_service_principal_logs_in_by_oauth(databricks: GatedDatabricks) -> None:
    databricks.dsn = databricks.gate.dsn(*CLIENT)
    assert load(databricks.new_loader(), NAMES, [A]).inserted == 1


def test_a_token_is_kept_until_it_is_about_to_end(databricks: GatedDatabricks, monkeypatch: pytest.MonkeyPatch) -> None:
    place = read_dsn(databricks.gate.dsn(*CLIENT))
    headers = ServicePrincipal(place)()
    assert headers() == headers()
    monkeypatch.setattr("medgen_pipeline.loaders.databricks.connect._SPARE_SECONDS", 3600)  # as long as the gate's live
    headers = ServicePrincipal(place)()
    assert headers() != headers()


@pytest.mark.parametrize(("user", "said"), [("token", "token or secret"), (CLIENT[0], "client id and its secret")])
def test_a_secret_that_is_refused_is_a_permanent_error_without_it(
    databricks: GatedDatabricks, user: str, said: str
) -> None:
    databricks.dsn = databricks.gate.dsn(user, SECRET)
    with pytest.raises(PermanentError, match=said) as error:
        databricks.new_loader().connect()
    chain: BaseException | None = error.value
    while chain is not None:
        assert SECRET not in repr(chain)
        chain = chain.__cause__


def test_who_only_looks_has_one_session(databricks: GatedDatabricks) -> None:
    load(databricks.new_loader(), NAMES, [A])
    with databricks.new_loader() as loader:
        assert loader.last_load(NAMES)
        assert databricks.gate.service.open_sessions == 1


def test_the_connector_sends_no_statement_again_by_itself(databricks: GatedDatabricks) -> None:
    databricks.query("CREATE SCHEMA other")
    databricks.query("CREATE TABLE other.t (x STRING) TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported')")
    databricks.gate.drop_after("^INSERT")
    connection = Connector(databricks.dsn).open("test")
    with connection, connection.cursor() as cursor, pytest.raises(urllib3.exceptions.HTTPError):
        cursor.execute("INSERT INTO other.t VALUES ('a')")
    assert databricks.query("SELECT COUNT(*) FROM other.t") == [(1,)]
    assert len(databricks.gate.log.matching("^INSERT")) == 1


def test_a_load_that_lost_an_answer_of_every_kind_has_the_same_result(databricks: GatedDatabricks) -> None:
    for kind in FIRST_KINDS:
        databricks.gate.drop_after(kind)
    load(databricks.new_loader(), NAMES, [A, B, C])
    sent = {kind: databricks.gate.log.matching(kind) for kind in FIRST_KINDS}
    for kind in KINDS:
        databricks.gate.drop_after(kind)
    databricks.gate.log.clear()
    counts = load(databricks.new_loader(conflict_attempts=20), NAMES, [A, CHANGED_B, D], RELEASES[1])
    sent |= {kind: databricks.gate.log.matching(kind) for kind in KINDS}
    assert [kind for kind, statements in sent.items() if len(statements) < 2] == []
    assert (counts.inserted, counts.updated, counts.deleted, counts.unchanged) == (1, 1, 1, 1)
    assert databricks.production(NAMES) == Counter([A, CHANGED_B, D])
    assert databricks.feed(NAMES).total() == 4
    assert undone(databricks, NAMES, Counter([A, CHANGED_B, D]), RELEASES[1]) == Counter([A, B, C])
    assert databricks.loads("status", "mode") == [("succeeded", "first"), ("succeeded", "delta")]
    assert databricks.leftovers([NAMES]) == []
    with databricks.new_loader() as loader:
        assert not loader.find_drift(NAMES).found


def test_a_table_that_exists_is_an_error_where_no_answer_was_lost(databricks: GatedDatabricks) -> None:
    session, create = DatabricksSession(databricks.dsn, DatabricksConfig()), sql.SQL("CREATE TABLE other.t (x STRING)")
    databricks.query("CREATE SCHEMA other")
    session.open()
    session.execute(create)
    with pytest.raises(StatementError, match="ALREADY_EXISTS"):
        session.execute(create)
    session.close()


def test_a_commit_that_did_not_arrive_or_met_others_is_tried_again(databricks: GatedDatabricks) -> None:
    databricks.gate.drop_before("^COMMIT", times=2)
    databricks.gate.conflict("^COMMIT", times=2)
    load(databricks.new_loader(), NAMES, [A, B])
    assert databricks.production(NAMES) == Counter([A, B])
    assert databricks.statuses() == ["succeeded"]


def test_a_publication_whose_commit_lost_its_answer_is_not_done_again(databricks: GatedDatabricks) -> None:
    load(databricks.new_loader(), NAMES, [A, B, C])
    with databricks.new_loader() as loader:
        counts = compared(loader, NAMES, [A, CHANGED_B, D])
        databricks.gate.drop_after("^COMMIT")
        databricks.gate.log.clear()
        assert loader.apply_changes(NAMES, counts.mode) == counts
        loader.cleanup(NAMES)
    assert len(databricks.gate.log.matching("^COMMIT")) == 2
    assert databricks.production(NAMES) == Counter([A, CHANGED_B, D])
    assert databricks.feed(NAMES).total() == 4
    assert databricks.statuses() == ["succeeded"] * 2


def test_a_warehouse_that_is_busy_is_asked_again_as_it_wishes(databricks: GatedDatabricks) -> None:
    databricks.gate.status("^COPY", 503)
    databricks.gate.status("^COMMIT", 429)
    assert load(databricks.new_loader(), NAMES, [A, B]).inserted == 2


@pytest.mark.parametrize(("status", "kind"), [(507, TransientError), (403, PermanentError)])
def test_a_volume_that_takes_no_file_leaves_everything_as_it_was(
    databricks: GatedDatabricks, status: int, kind: type[Exception]
) -> None:
    databricks.gate.fill_volumes(status)
    with begun(databricks.new_loader(), NAMES) as loader:
        with pytest.raises(kind, match=rf"writing /Volumes/main/medgen_staging/loads/names/.* {status}"):
            stage(loader, NAMES, [canonical([A])])
        databricks.gate.heal()
        assert stage(loader, NAMES, [canonical([A])]) == 1
        loader.cleanup(NAMES)
    assert databricks.leftovers() == []


def test_what_a_dead_load_left_in_the_volume_is_found_in_its_folder_and_goes(databricks: GatedDatabricks) -> None:
    session = DatabricksSession(databricks.dsn, DatabricksConfig())
    volume, folder = Volume(session), "/Volumes/main/medgen_staging/loads/names/"
    with databricks.new_loader() as loader:
        loader.log_run_start(start_of(NAMES))
        session.open()
        assert list(volume.names(folder)) == []
        for name in ("1/part", "2/part"):
            volume.put(f"{folder}{name}", b"x")
        volume.remove([f"{folder}1/part", f"{folder}1/part"])
        assert list(volume.names(folder)) == [f"{folder}2/part"]
        session.close()
        loader.initialize_staging(NAMES)
        assert databricks.left_outside() == []


def test_parts_are_copied_as_many_at_a_time_as_the_warehouse_takes(
    databricks: GatedDatabricks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medgen_pipeline.loaders.databricks.volume._FILES_AT_ONCE", 1)
    generator = random.Random(7)
    rows: list[Row] = [(f"C{number}", generator.randbytes(4000).hex(), None, "N") for number in range(1200)]
    with begun(databricks.new_loader(part_megabytes=1), NAMES) as loader:
        assert stage(loader, NAMES, [canonical([row]) for row in rows]) == len(rows)
    assert len(databricks.gate.log.matching("^PUT")) == len(databricks.gate.log.matching("^COPY")) > 1


def test_rows_that_the_warehouse_does_not_hold_are_an_error_and_none_is_kept(
    databricks: GatedDatabricks, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_rows = Volume.load
    monkeypatch.setattr(Volume, "load", lambda *arguments: load_rows(*arguments) + 1)
    said = "names: sent 2 rows, Databricks holds 1; nothing was kept"
    with begun(databricks.new_loader(), NAMES) as loader, pytest.raises(LoaderError, match=said):
        stage(loader, NAMES, [canonical([A])])
    assert databricks.run("SELECT COUNT(*) FROM {staging}", NAMES) == [(0,)]


def test_a_load_that_cannot_renew_its_lease_stops(databricks: GatedDatabricks) -> None:
    with databricks.new_loader(lease_seconds=1, conflict_attempts=1) as loader:
        loader.log_run_start(start_of(NAMES))
        databricks.gate.conflict("^UPDATE `medgen_audit`.`lock_names` SET expires_at", times=None)
        time.sleep(1.2)
        with pytest.raises(TableBusyError, match=r"medgen\.names: the lock could not be renewed in 1 s"):
            loader.initialize_staging(NAMES)
        databricks.gate.heal()


def test_a_session_that_has_ended_is_a_lost_connection_and_the_lock_is_still_held(databricks: GatedDatabricks) -> None:
    with databricks.new_loader(lease_seconds=60) as loader:
        loader.log_run_start(start_of(NAMES))
        databricks.gate.cut()
        with pytest.raises(LostConnectionError):
            loader.initialize_staging(NAMES)
        loader.cancel()
        loader.initialize_staging(NAMES)
        with databricks.new_loader(lock_timeout_seconds=0) as other, pytest.raises(TableBusyError, match="whose lease"):
            other.log_run_start(start_of(NAMES))


def test_what_a_query_that_died_has_left_is_swept_a_day_later(databricks: GatedDatabricks) -> None:
    with databricks.new_loader() as loader:
        loader.log_run_start(start_of(NAMES))
        old, new = (int(time.time() - age) * 1000 << 20 for age in (25 * 3600, 3600))
        for number in (old, new):
            databricks.run(
                "CREATE TABLE {place} (x STRING) COMMENT 'Made by medgen_pipeline.'",
                place=sql.Identifier("medgen_staging", f"{QUERY_SCRATCH}held__{number}"),
            )
        theirs = f"{QUERY_SCRATCH}theirs__{old}"
        databricks.run("CREATE TABLE {place} (x STRING)", place=sql.Identifier("medgen_staging", theirs))
        loader.initialize_staging(NAMES)
        loader.cleanup(NAMES)
    assert databricks.relations("_staging") == {f"{QUERY_SCRATCH}held__{new}", theirs}


def test_a_load_sends_as_many_statements_as_its_page_says(databricks: GatedDatabricks, tmp_path: Path) -> None:
    mirror, log = Mirror(databricks, tmp_path, NAMES), databricks.gate.log
    loads = [(GOOD, False), (GOOD[1:], True), (GOOD[2:], False), (GOOD[2:], False)]
    page = re.findall(r"^\| .* \| (\d+) \| (\d+) \|$", Document("docs/databricks.md").text, re.MULTILINE)
    for (lines, whole), release, (most, reading) in zip(loads, RELEASES, page, strict=True):
        log.clear()
        mirror.load(lines, release=release, force_warehouse=whole)
        assert int(most) - 10 < len(log.statements) <= int(most)
        read = log.matching(r"^(?!CREATE).*(FROM|JOIN|MERGE INTO) `medgen`\.`names`(?!.* LIMIT 10?$)")
        assert len(read) == int(reading), read


def test_an_error_of_the_warehouse_says_what_to_do(databricks: GatedDatabricks) -> None:
    for _ in range(8):  # a first load looks again, for others may be making them
        databricks.gate.refuse("^CREATE SCHEMA", "no privilege", "INSUFFICIENT_PERMISSIONS", "42501")
    with pytest.raises(LoaderError, match=re.escape("creating schemas: [INSUFFICIENT_PERMISSIONS]")) as error:
        load(databricks.new_loader(), NAMES, [A])
    assert "CREATE VOLUME" in str(error.value)
    assert TOKEN not in str(error.value)
