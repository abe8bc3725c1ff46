"""What is Redshift's alone, through the gate; the contract's invariants are in test_conformance_redshift.py."""

import gzip
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.loaders import (
    ApplyMode,
    LoaderError,
    LoaderFactory,
    LostConnectionError,
    TableBusyError,
)
from medgen_pipeline.loaders.redshift.aws import client
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.loaders.redshift.connect import connection_parts
from medgen_pipeline.loaders.redshift.stage import Stage
from medgen_pipeline.rows.framing import frame_lines
from medgen_pipeline.rows.records import FramingReport, RejectedRow
from medgen_pipeline.testing import Mirror, Row, canonical, compared, load, start_of
from medgen_pipeline.testing.files import GOOD
from medgen_pipeline.testing.loads import HISTORY, MERGED, MONDO, NAMES, PUBMED, A, B, C, begun, last_of
from medgen_pipeline.testing.processes import all_at_once
from medgen_pipeline_tests.gates.faults import LoggedStatement
from medgen_pipeline_tests.gates.server import server_tls
from medgen_pipeline_tests.loaders.redshift_support import BUCKET, ROLE, GatedRedshift
from medgen_pipeline_tests.redgate.gate import Gate, Isolation
from medgen_pipeline_tests.redgate.s3server import S3Fault, S3Server

# Rows, locks and names


def test_who_only_looks_has_one_connection(redshift: GatedRedshift) -> None:
    load(redshift.new_loader(), NAMES, [A])
    with redshift.new_loader() as loader:
        assert loader.last_load(NAMES)
        assert redshift.gate.open_sessions == 1


def test_columns_have_real_widths_and_integers_are_integers(redshift: GatedRedshift) -> None:
    load(redshift.new_loader(), PUBMED, [(1, "C1", "a", 999_999_999_999_999_999), (None, "C2", None, None)])
    assert (1, "C1", "a", 999_999_999_999_999_999) in redshift.production(PUBMED)
    types = redshift.direct(
        "SELECT column_name::text, data_type::text, character_maximum_length FROM information_schema.columns"
        " WHERE table_schema = 'medgen' ORDER BY ordinal_position"
    )
    limits = {column.name: column.max_bytes for column in PUBMED.columns}
    assert types == [
        ("uid", "bigint", None),
        ("cui", "character varying", limits["cui"]),
        ("name", "character varying", limits["name"]),
        ("pmid", "bigint", None),
    ]


def test_a_load_that_waits_in_vain_names_the_server_process_that_holds_the_lock(redshift: GatedRedshift) -> None:
    with redshift.new_loader() as holder, redshift.new_loader(lock_timeout_seconds=0) as other:
        holder.log_run_start(start_of(NAMES))
        with pytest.raises(TableBusyError, match=r"server process \d+ of"):
            other.log_run_start(start_of(NAMES))


def test_an_interrupt_during_copy_ends_the_statement_and_keeps_the_lock(redshift: GatedRedshift) -> None:
    class Interrupt(BaseException):
        """As Dagster's: raised by a signal's handler, and no KeyboardInterrupt, which psycopg knows."""

    def interrupt(*_: object) -> None:
        raise Interrupt

    redshift.gate.slow("^COPY", 60, times=1)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with redshift.new_loader() as loader, redshift.new_loader(lock_timeout_seconds=0.3) as other:
            loader.log_run_start(start_of(NAMES))
            loader.initialize_staging(NAMES)
            signal.setitimer(signal.ITIMER_REAL, 1.5)
            with pytest.raises(Interrupt):
                loader.bulk_load("names", iter([canonical([A])]))
            assert redshift.left_outside() == []
            loader.cancel()
            with pytest.raises(TableBusyError):
                other.log_run_start(start_of(NAMES))
            loader.cleanup(NAMES)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert redshift.leftovers([NAMES]) == []
    assert redshift.gate.log.matching("^COPY") != []


def test_a_lost_lock_that_another_load_has_taken_ends_the_load(redshift: GatedRedshift) -> None:
    load(redshift.new_loader(), NAMES, [A, B])
    with redshift.new_loader() as loader:
        compared(loader, NAMES, [A])
        lock = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'medgen_audit.lock_names'::regclass"
        assert redshift.direct(lock) == [(True,)]
        with redshift.new_loader(lock_timeout_seconds=10) as other:
            other.log_run_start(start_of(NAMES))
            with pytest.raises(LoaderError, match="another load has taken over"):
                loader.apply_changes(NAMES, ApplyMode.DELTA)
            with pytest.raises(TableBusyError):
                loader.cancel()
    assert redshift.production(NAMES) == Counter([A, B])


def test_descriptions_of_the_catalog_are_comments_in_the_database(redshift: GatedRedshift) -> None:
    load(redshift.new_loader(), NAMES, [A])
    assert redshift.direct("SELECT obj_description('medgen.names'::regclass)") == [(NAMES.description,)]
    column = "SELECT col_description('medgen.names'::regclass, 1)"
    assert redshift.direct(column) == [(NAMES.columns[0].description,)]


# Whole loads


def test_equal_content_uploads_nothing(redshift: GatedRedshift, tmp_path: Path) -> None:
    mirror = Mirror(redshift, tmp_path, NAMES)
    mirror.load(GOOD)
    redshift.gate.log.clear()
    requests = len(redshift.s3.requests)
    result = mirror.load(GOOD, release="2026-01-14")
    assert (result.mode, result.counts.unchanged, result.counts.changed) == (ApplyMode.UNCHANGED, 50, 0)
    assert len(redshift.s3.requests) == requests
    assert redshift.gate.log.matching('^(COPY|INSERT INTO "medgen"|DELETE FROM "medgen"|ALTER)') == []


def test_a_release_that_changed_much_leaves_what_is_attached(redshift: GatedRedshift, tmp_path: Path) -> None:
    mirror = Mirror(redshift, tmp_path, NAMES)
    mirror.load(GOOD)
    oid = redshift.direct("SELECT 'medgen.names'::regclass::oid")
    for attach in (
        "GRANT SELECT ON medgen.names TO PUBLIC",
        "CREATE VIEW medgen.v AS SELECT name FROM medgen.names",
        "ALTER TABLE medgen.names ADD COLUMN note text",
        "COMMENT ON TABLE medgen.names IS 'a \\ in it'",
    ):
        redshift.direct(attach)
    redshift.query("CREATE VIEW medgen.late AS SELECT name FROM medgen.names WITH NO SCHEMA BINDING")
    changed = [line.replace(b"name", b"nom") for line in GOOD]
    result = mirror.load(changed, release="2026-01-14", force_warehouse=True)
    assert (result.mode, result.counts.updated) == (ApplyMode.DELTA, 50)
    assert redshift.direct("SELECT 'medgen.names'::regclass::oid") == oid
    for read in ("SELECT name FROM medgen.v", "SELECT name FROM medgen.late"):
        assert Counter(redshift.query(read)) == Counter((f"nom {n}",) for n in range(50))
    assert redshift.direct("SELECT obj_description('medgen.names'::regclass)") == [("a \\ in it",)]


def test_a_column_that_the_catalog_widens_is_widened_in_place(redshift: GatedRedshift) -> None:
    load(redshift.new_loader(), NAMES, [A])
    load(redshift.new_loader(), NAMES, [B])
    for relation in ("medgen.names", "medgen_changes.names"):
        checks = redshift.direct("SELECT conname::text FROM pg_constraint WHERE conrelid = %s::regclass", relation)
        for (name,) in checks:
            redshift.direct(f"ALTER TABLE {relation} DROP CONSTRAINT {name}")
        redshift.direct(
            f"ALTER TABLE {relation} ALTER COLUMN source TYPE varchar(3)"
        ) if relation == "medgen.names" else None
    wide = ("C7", "x", "a longer source", None)
    load(redshift.new_loader(), NAMES, [B, wide])
    assert wide in redshift.production(NAMES)


# Widths in bytes


@pytest.mark.parametrize(("invalid", "accepted"), [(21, True), (22, False)])
def test_a_value_that_repairing_makes_too_wide_is_rejected_and_others_are_not(
    redshift: GatedRedshift, tmp_path: Path, invalid: int, accepted: bool
) -> None:
    """U+FFFD takes three bytes where the invalid byte took one."""
    bad = b"C2|b|" + b"\xff" * invalid + b"|N|"
    result = Mirror(redshift, tmp_path, NAMES).load([b"C1|a\rb||N|", bad, b"C3|c|\xff|N|"])
    assert (result.report.rejected, result.report.repaired) == ((0, 2) if accepted else (1, 1))
    if not accepted:
        assert redshift.direct("SELECT line_number, reason, raw FROM medgen_audit.rejected_row") == [
            (3, "source: 66 bytes, the column has at most 64", "C2|b|" + r"\xff" * invalid + "|N|")
        ]


def test_limits_leave_everything_else_about_framing_as_it_was() -> None:
    lines = [b"C1|a|\xff|N|", b"bad", b"C2|b\0||N|", b"|c||N|", b"C3|d\\N|x\ty|N|"]

    def framed(limits: dict[str, int]) -> tuple[bytes, FramingReport, list[RejectedRow]]:
        rejected: list[RejectedRow] = []
        return *frame_lines(NAMES, b"#CUI|name|source|SUPPRESS|\n", lines, rejected.append, max_bytes=limits), rejected

    assert framed({column.name: column.max_bytes for column in NAMES.columns}) == framed({})


# S3


def contents(s3: S3Server, url: str) -> bytes:
    key = url.removeprefix(f"s3://{BUCKET}/")
    return bytes(s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read())


def incompressible(megabytes: int) -> Iterator[bytes]:
    """Chunks of random-looking records, so that the compressed size is large too."""
    import random

    generator = random.Random(1)
    for _ in range(megabytes):
        yield b"".join(generator.randbytes(32).hex().encode() + b"\n" for _ in range(16132))


def test_a_small_table_is_one_part_and_a_manifest_that_makes_it_mandatory(s3: S3Server) -> None:
    config = RedshiftConfig(s3_bucket=BUCKET, aws_region="us-east-1", s3_prefix="etl/x")
    with Stage(client("s3", config), config, "names", 7) as stage:
        uploaded = stage.upload(iter([b"a\n", b"b\nc\n"]))
        assert uploaded.manifest is not None
        manifest, part = contents(s3, uploaded.manifest), contents(s3, uploaded.parts[0])
    assert uploaded.rows == 3
    assert uploaded.parts == (f"s3://{BUCKET}/etl/x/medgen/names/7/part-00000.gz",)
    assert uploaded.manifest == f"s3://{BUCKET}/etl/x/medgen/names/7/manifest"
    assert json.loads(manifest) == {"entries": [{"url": uploaded.parts[0], "mandatory": True}]}
    assert gzip.decompress(part) == b"a\nb\nc\n"


def test_an_upload_that_fails_half_way_leaves_no_objects(redshift: GatedRedshift) -> None:
    redshift.s3.order(S3Fault("PUT /stage/.*part-00001", status=403))
    with (
        begun(redshift.new_loader(), NAMES) as loader,
        pytest.raises(LoaderError, match=r"AWS refuses with 403 AccessDenied.*allow s3:PutObject"),
    ):
        loader.bulk_load("names", incompressible(12))
    assert redshift.left_outside() == []
    assert [request for request in redshift.s3.requests if "part-00000" in request], "nothing was sent"
    assert redshift.gate.log.matching("^COPY") == []


def test_a_row_that_redshift_refuses_is_reported_with_file_line_column_and_reason(redshift: GatedRedshift) -> None:
    with begun(redshift.new_loader(), PUBMED) as loader:
        rows = b"1\tC1\ta\t1\n2\tC2\tb\tseven\n"
        with pytest.raises(LoaderError, match=r"part-00000\.gz line 2, column pmid: Invalid digit.* \(1207\)"):
            loader.bulk_load(PUBMED.name, iter([rows]))
    assert redshift.direct("SELECT count(*) FROM medgen_staging.medgen_pubmed_lnk") == [(0,)]


def test_what_dead_loads_left_in_s3_is_swept_and_what_others_have_there_is_not(redshift: GatedRedshift) -> None:
    client = redshift.s3.client()
    with redshift.new_loader() as loader:
        dead = loader.log_run_start(start_of(NAMES))
    of_another_database = f"medgen/medgen/names/{dead + 1}/part-00000.gz"
    for key in (f"medgen/medgen/names/{dead}/part-00000.gz", f"medgen/medgen/names/{dead}/manifest"):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    client.put_object(Bucket=BUCKET, Key=of_another_database, Body=b"x")
    load(redshift.new_loader(), NAMES, [A])
    assert redshift.left_outside() == [of_another_database]


# Conflicts and lost connections


def test_error_1023_repeats_the_whole_transaction(redshift: GatedRedshift) -> None:
    load(redshift.new_loader(), NAMES, [A, B])
    redshift.gate.log.clear()
    redshift.gate.conflict(r"^INSERT INTO .medgen_changes", times=2)
    assert load(redshift.new_loader(), NAMES, [A, C]).inserted == 1
    assert len(redshift.gate.log.matching(r"^DELETE FROM .medgen.\..names.")) == 3
    assert redshift.production(NAMES) == Counter([A, C])
    assert redshift.feed(NAMES).total() == 2


@pytest.mark.parametrize("statement", [r"^UPDATE .medgen_audit..load_run SET strategy", r"^SELECT _change_type, COUNT"])
def test_error_1023_elsewhere_is_repeated_too(redshift: GatedRedshift, statement: str) -> None:
    load(redshift.new_loader(), NAMES, [A])
    redshift.gate.conflict(statement, times=2)
    assert load(redshift.new_loader(), NAMES, [A, C]).inserted == 1


def test_loads_of_several_tables_at_once_do_not_conflict_even_where_isolation_is_serializable(
    database: str, s3: S3Server
) -> None:
    def load_thrice(table: SourceTable) -> None:
        for number in range(3):
            row: Row = (number, "C1", *(None for _ in table.columns[2:]))
            load(redshift.new_loader(conflict_attempts=1), table, [row])

    with Gate(database, s3.client_settings, roles=[ROLE], isolation=Isolation.SERIALIZABLE) as gate:
        redshift = GatedRedshift(database, gate, s3)
        all_at_once([partial(load_thrice, table) for table in (NAMES, MERGED, MONDO, HISTORY, PUBMED)])
        assert redshift.statuses() == ["succeeded"] * 15


def test_a_commit_whose_answer_is_lost_is_looked_up_and_stands(redshift: GatedRedshift) -> None:
    load(redshift.new_loader(), NAMES, [A, B])
    with redshift.new_loader() as loader:
        compared(loader, NAMES, [A, C])
        redshift.gate.log.clear()
        redshift.gate.drop_after("^COMMIT")
        assert loader.apply_changes(NAMES, ApplyMode.DELTA).inserted == 1
        loader.cleanup(NAMES)
    assert redshift.production(NAMES) == Counter([A, C])
    assert redshift.feed(NAMES).total() == 2
    assert redshift.statuses() == ["succeeded", "succeeded"]
    assert len(redshift.gate.log.matching("^INSERT INTO .medgen_changes")) == 1


@pytest.mark.parametrize("point", ["^COMMIT", "^DELETE FROM .medgen..", "^UPDATE .medgen_audit"])
def test_a_connection_that_breaks_before_the_commit_publishes_once_on_the_next(
    redshift: GatedRedshift, point: str
) -> None:
    load(redshift.new_loader(), NAMES, [A, B])
    with redshift.new_loader() as loader:
        compared(loader, NAMES, [A, C])
        redshift.gate.drop_before(point)
        assert loader.apply_changes(NAMES, ApplyMode.DELTA).inserted == 1
        loader.cleanup(NAMES)
    assert redshift.production(NAMES) == Counter([A, C])
    assert redshift.feed(NAMES).total() == 2
    assert redshift.statuses() == ["succeeded", "succeeded"]


# What is sent


def commits(statements: Sequence[LoggedStatement]) -> int:
    """How often these committed: at COMMIT, and by themselves where they change something outside a transaction."""
    found = 0
    inside: set[int] = set()
    for statement in statements:
        command = statement.sql.split()[0].upper()
        if command == "BEGIN":
            inside.add(statement.session)
        elif command in {"COMMIT", "ROLLBACK"}:
            inside.discard(statement.session)
            found += command == "COMMIT"
        else:
            found += statement.session not in inside and command not in {"SELECT", "SET", "LOCK"}
    return found


def test_what_is_sent_holds_no_secret_no_backslash_and_few_commits(redshift: GatedRedshift, tmp_path: Path) -> None:
    mirror = Mirror(redshift, tmp_path, NAMES)
    mirror.load([*GOOD, b"C51|\\N|a\\b|N|", b"bad \\", b"bad"])
    redshift.gate.log.clear()
    lines = [*GOOD[1:], b"C52|\\N|a\\b|N|"]
    mirror.load(lines, release="2026-01-14", force_warehouse=True)
    sent = [statement.sql for statement in redshift.gate.log.statements]
    assert not [text for text in sent if "\\" in text or "testing" in text or "secret-of-the-test" in text]
    assert len(redshift.gate.log.matching("^COPY")) == 1
    assert commits(redshift.gate.log.statements) <= 10
    assert len(redshift.gate.log.matching("^INSERT INTO")) <= 5
    assert redshift.gate.log.matching("^TRUNCATE|SAVEPOINT|DEALLOCATE") == []


# Settings and connections


def test_reading_needs_no_bucket_and_no_region_and_a_load_says_which_it_lacks(redshift: GatedRedshift) -> None:
    load(redshift.new_loader(), NAMES, [A])
    with redshift.new_loader(s3_bucket="", aws_region="") as loader:
        assert [batch.num_rows for batch in loader.read(NAMES)] == [1]
        for config, lacking in (({}, "MEDGEN_S3_BUCKET.*MEDGEN_AWS_REGION"), ({"s3_bucket": BUCKET}, "set aws_region")):
            with (
                redshift.new_loader(**{"s3_bucket": "", "aws_region": "", **config}) as loading,
                pytest.raises(LoaderError, match=lacking),
            ):
                loading.log_run_start(start_of(NAMES, "2026-01-14"))
        last = last_of(loader, NAMES)
        assert last.release == "2026-01-07"


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"iam_role": "arn:aws:iam::1:role/x"}, "iam_role is .* expected the ARN of a role"),
        ({"iam_role": f"{ROLE}' CREDENTIALS 'x"}, "iam_role"),
        ({"iam_role": f"{ROLE}, {ROLE}"}, "no blanks"),
        ({"s3_bucket": "Not A Bucket"}, "s3_bucket"),
        ({"s3_prefix": "a\\b"}, "s3_prefix"),
        ({"s3_prefix": "a'b"}, "s3_prefix"),
        ({"schema": "Medgen"}, "lower-case"),
        ({"auth": "drop"}, "auth is 'drop', expected 'password' or 'iam'"),
        ({"auth": "iam"}, "needs either 'cluster_identifier' or 'workgroup'"),
        ({"auth": "iam", "workgroup": "medgen", "aws_region": ""}, "auth 'iam' needs 'aws_region'"),
        ({"conflict_attempts": 2.5}, r"conflict_attempts is 2\.5, expected a whole number from 1 to 100"),
        ({"conflict_backoff_seconds": -1}, "conflict_backoff_seconds is -1, expected a number from 0 to 60"),
        ({"lock_timeout_seconds": float("inf")}, "lock_timeout_seconds is inf, expected a number from 0 to 604,800"),
        ({"lock_timeout_seconds": "1"}, "lock_timeout_seconds is '1', expected a number"),
        ({"shema": "x"}, r"unknown settings \['shema'\]"),
    ],
)
def test_a_setting_that_cannot_be_right_is_refused_by_name(config: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        RedshiftConfig.from_mapping({"s3_bucket": "stage", "aws_region": "us-east-1", **config})


def test_a_chain_of_roles_and_a_prefix_with_slashes_are_accepted() -> None:
    config = RedshiftConfig.from_mapping(
        {"s3_bucket": "stage", "aws_region": "us-gov-west-1", "iam_role": f"{ROLE},{ROLE}", "s3_prefix": "/a/b/"}
    )
    assert config.s3_prefix == "a/b"


def test_the_default_role_may_be_written_as_copy_writes_it() -> None:
    config = RedshiftConfig.from_mapping({"s3_bucket": "stage", "aws_region": "us-east-1", "iam_role": "Default"})
    assert config.iam_role == ""


def test_a_malformed_dsn_is_refused_without_showing_the_password() -> None:
    with pytest.raises(ValueError, match="not a valid connection URI") as error:
        LoaderFactory.create_loader("redshift://u:topsecret@h:1/d?x", {"s3_bucket": "stage", "aws_region": "us-east-1"})
    assert "topsecret" not in f"{error.value!r} {error.value.__cause__!r} {error.value.__suppress_context__}"


def test_tls_is_verified_and_the_port_is_redshifts_unless_the_dsn_says_otherwise() -> None:
    parts = connection_parts("redshift://u:p@h/d")
    assert (parts["port"], parts["sslmode"]) == ("5439", "verify-full")
    assert Path(parts["sslrootcert"]).is_file()
    assert "sslrootcert" not in connection_parts("redshift+psycopg://u:p@h/d?sslmode=disable")


def test_a_certificate_is_checked_before_the_password_is_sent(database: str, s3: S3Server, tmp_path: Path) -> None:
    context = server_tls("127.0.0.1", tmp_path / "ca.pem")
    config = {"s3_bucket": BUCKET, "aws_region": "us-east-1"}
    passwords = {"loader": "topsecret"}
    with Gate(database, s3.client_settings, tls=context, passwords=passwords) as gate:
        with LoaderFactory.create_loader(gate.dsn("redshift", sslrootcert=str(tmp_path / "ca.pem")), config):
            pass
        with pytest.raises(LoaderError, match="certificate verify failed") as error:
            LoaderFactory.create_loader(gate.dsn("redshift"), config).connect()
    assert "topsecret" not in str(error.value)


def test_a_cluster_that_does_not_answer_is_a_transient_error() -> None:
    config = {"s3_bucket": BUCKET, "aws_region": "us-east-1"}
    with pytest.raises(LostConnectionError, match=r"127\.0\.0\.1:1/x cannot be reached"):
        LoaderFactory.create_loader("redshift://u:topsecret@127.0.0.1:1/x", config).connect()


def test_a_wrong_password_is_a_permanent_error_that_does_not_show_it(database: str, s3: S3Server) -> None:
    config = {"s3_bucket": BUCKET, "aws_region": "us-east-1"}
    with Gate(database, s3.client_settings, passwords={"loader": "right"}) as gate:
        dsn = gate.dsn("redshift", sslmode="disable").replace("right", "topsecret")
        with pytest.raises(LoaderError, match="authentication failed") as error:
            LoaderFactory.create_loader(dsn, config).connect()
    assert "topsecret" not in str(error.value)


@pytest.mark.parametrize("serverless", [True, False])
def test_iam_credentials_are_fetched_for_each_connection(
    database: str, s3: S3Server, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, serverless: bool
) -> None:
    if serverless:
        monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", httpserver.url_for("/"))
        httpserver.expect_request("/").respond_with_json({"dbUser": "IAM:etl", "dbPassword": "for-one-login"})
        where = {"workgroup": "medgen"}
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT", httpserver.url_for("/"))
        body = (
            '<R xmlns="http://redshift.amazonaws.com/doc/2012-12-01/"><GetClusterCredentialsWithIAMResult>'
            "<DbUser>IAM:etl</DbUser><DbPassword>for-one-login</DbPassword>"
            "</GetClusterCredentialsWithIAMResult></R>"
        )
        httpserver.expect_request("/").respond_with_data(body, content_type="text/xml")
        where = {"cluster_identifier": "medgen"}
    config = {"s3_bucket": BUCKET, "aws_region": "us-east-1", "auth": "iam", **where}
    with Gate(database, s3.client_settings, passwords={"IAM:etl": "for-one-login"}) as gate:
        dsn = re.sub(r"//.*@", "//", gate.dsn("redshift", user="IAM:etl", sslmode="disable"))
        with LoaderFactory.create_loader(dsn, config) as loader:
            loader.log_run_start(start_of(NAMES))
    assert len(httpserver.log) == 3  # work, lock, audit


def test_importing_the_package_and_its_loaders_needs_neither_boto3_nor_sqlalchemy() -> None:
    code = (
        "import sys, medgen_pipeline.definitions, medgen_pipeline.loaders.redshift\n"
        "assert not {'boto3', 'botocore', 'sqlalchemy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
