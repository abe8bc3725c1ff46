"""COPY from S3: what is loaded, what is refused and how the error reads, and that both readers mean the same."""

import gzip
import json

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medgen_pipeline_tests.gates.lexer import split
from medgen_pipeline_tests.redgate.conftest import BUCKET, Stage
from medgen_pipeline_tests.redgate.copycommand import CopyCommand, parse_copy
from medgen_pipeline_tests.redgate.records import LoadColumn, LoadError, RecordConverter
from medgen_pipeline_tests.redgate.s3server import S3Fault, S3Server

TABLE = 'CREATE TABLE t ("k" VARCHAR(8) NOT NULL, "v" VARCHAR(20), "n" BIGINT)'
ERRORS = """SELECT TRIM(file_name), line_number, TRIM(column_name), error_code, TRIM(error_message)
            FROM sys_load_error_detail WHERE query_id = pg_last_copy_id() ORDER BY 1, 2 LIMIT 10"""
FAILED = "Load into table 't' failed.  Check 'sys_load_error_detail'"


def test_parts_of_a_manifest_are_loaded_and_counted(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    notices: list[str] = []
    connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
    first = b"C1\talpha\t1\nC2\tbe\\\tta\t2\n"
    second = "C3\tline\\\nbreak\t\nC4\tnaïve \\\\ x\t-4\nC5\t\\N\t5".encode()  # no LF at the very end
    cursor = connection.execute(stage.copy("t", first, second).encode())
    assert (cursor.statusmessage, cursor.rowcount) == ("COPY", -1)
    assert connection.execute("SELECT pg_last_copy_count()").fetchone() == (5,)
    assert connection.execute("SELECT * FROM t ORDER BY k").fetchall() == [
        ("C1", "alpha", 1),
        ("C2", "be\tta", 2),
        ("C3", "line\nbreak", None),
        ("C4", "naïve \\ x", -4),
        ("C5", None, 5),
    ]
    assert notices == ["Load into table 't' completed, 5 record(s) loaded successfully."]


def test_without_emptyasnull_an_empty_text_stays_empty(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    connection.execute(
        stage.copy("t", b"C1\t\t\nC2\t\\N\t2\nC3\t\\\\N\t3\nC4\t\\\\\\N\t4\n", options="ESCAPE").encode()
    )
    # \\N is NULL too, so the two characters must be written \\\N (AWS: copy-parameters-data-conversion).
    assert connection.execute("SELECT v, n FROM t ORDER BY k").fetchall() == [
        ("", None),
        (None, 2),
        (None, 3),
        ("\\N", 4),
    ]


def test_a_letter_after_a_backslash_is_that_letter(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    connection.execute(stage.copy("t", b"C1\ta\\nb\\x41\\.\t1\n").encode())
    assert connection.execute("SELECT v FROM t").fetchone() == ("anbx41.",)


def test_without_escape_a_backslash_is_data(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    connection.execute(stage.copy("t", b"C1\ta\\b\\\t1\n", options="").encode())
    assert connection.execute("SELECT v FROM t").fetchone() == ("a\\b\\",)


def test_a_column_list_leaves_defaults_and_identities_alone(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute("CREATE TABLE t (id BIGINT IDENTITY(10, 5), k VARCHAR(8), v VARCHAR(8) DEFAULT 'd', n INTEGER)")
    uri = stage.put("data", b"1\ta\n2\tb\n")
    connection.execute(stage.statement("t (n, k)", uri, "").encode())
    assert connection.execute("SELECT id, k, v, n FROM t ORDER BY n").fetchall() == [
        (10, "a", "d", 1),
        (15, "b", "d", 2),
    ]


def test_every_supported_type_is_converted(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(
        "CREATE TABLE t (a SMALLINT, b INTEGER, c DECIMAL(8,2), d DOUBLE PRECISION, e BOOLEAN, f DATE, g TIMESTAMP,"
        " h CHAR(4))"
    )
    row = b"1\t+22\t20.259\t1.5\tyes\t2024-02-29\t2024-02-29 12:30:00\tab\n\t\t\t\t\t\t\t\n"
    connection.execute(stage.copy("t", row).encode())
    # DECIMAL is truncated, not rounded (AWS: ROUNDEC).
    query = "SELECT a, b, c::VARCHAR(9), d, e, f::VARCHAR(10), g::VARCHAR(19), h FROM t WHERE a IS NOT NULL"
    assert connection.execute(query).fetchall() == [
        (1, 22, "20.25", 1.5, True, "2024-02-29", "2024-02-29 12:30:00", "ab  ")
    ]
    assert connection.execute("SELECT count(*) FROM t WHERE g IS NULL AND h IS NULL").fetchone() == (1,)


@pytest.mark.parametrize(
    ("row", "column", "code", "reason"),
    [
        (b"C1\tx\tseven", "n", 1207, "Invalid digit, Value 's', Pos 0, Type: Long"),
        (b"C1\tx\t9223372036854775808", "n", 1222, "Overflow"),
        (b"C1\tx\t0x1F", "n", 1207, "Invalid digit"),
        (b"C1\tx\t1_000", "n", 1207, "Invalid digit"),
        ("C1\t{}\t1".format("é" * 11).encode(), "v", 1204, "String length exceeds DDL length"),
        (b"C1\t\xff\xfe\t1", "v", 1220, "String contains invalid or unsupported UTF-8 codepoints"),
        (b"\tx\t1", "k", 1213, "Missing data for not-null field"),
        (b"\\N\tx\t1", "k", 1213, "Missing data for not-null field"),
        (b"C1\tx", "v", 1214, "Delimiter not found"),
        (b"", "k", 1214, "Delimiter not found"),
        (b"C1\tx\t1\t2", "", 1202, "Extra column(s) found"),
        (b"C1\tx\ry\t1", "v", 1216, "redgate: a NUL or an unescaped CR"),
        (b"C1\tx\0y\t1", "v", 1216, "redgate: a NUL or an unescaped CR"),
    ],
)
def test_a_bad_record_fails_the_load_and_is_reported_with_file_line_column_and_reason(
    connection: psycopg.Connection, stage: Stage, row: bytes, column: str, code: int, reason: str
) -> None:
    connection.execute(TABLE)
    good = b"".join(b"A%d\t\\\n\t1\n" % number for number in range(20))  # two lines of the file each
    with pytest.raises(psycopg.errors.InternalError_, match=FAILED):
        connection.execute(stage.copy("t", good, good + row + b"\n" + good).encode())
    file, line, name, number, message = connection.execute(ERRORS).fetchall()[0]
    assert (file, line, name, number) == (f"s3://{BUCKET}/t/part-1.gz", 41, column, code)
    assert message.startswith(reason)
    assert connection.execute("SELECT count(*), pg_last_copy_count() FROM t").fetchone() == (0, 0)


def test_maxerror_loads_the_good_records_and_reports_the_others(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    data = b"C1\tx\t1\nC2\tx\tno\nC3\tx\t3\nC4\tx\tno\n"
    connection.execute(stage.copy("t", data, options="MAXERROR 3").encode())
    assert [row[1] for row in connection.execute(ERRORS).fetchall()] == [2, 4]
    assert connection.execute("SELECT count(*), pg_last_copy_count() FROM t").fetchone() == (2, 2)
    with pytest.raises(psycopg.errors.InternalError_, match=FAILED):
        connection.execute(stage.copy("t", data, options="MAXERROR 2").encode())


def test_a_failed_copy_aborts_the_transaction_and_its_report_stays(
    connection: psycopg.Connection, stage: Stage
) -> None:
    connection.execute(TABLE)
    connection.execute("BEGIN")
    connection.execute("INSERT INTO t VALUES ('a')")
    with pytest.raises(psycopg.errors.InternalError_, match=FAILED):
        connection.execute(stage.copy("t", b"C1\tx\tno\n").encode())
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        connection.execute("SELECT 1")
    connection.execute("ROLLBACK")
    assert len(connection.execute(ERRORS).fetchall()) == 1


def test_a_copy_inside_a_transaction_is_rolled_back_with_it(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    connection.execute("BEGIN")
    connection.execute(stage.copy("t", b"C1\tx\t1\n").encode())
    assert connection.execute("SELECT pg_last_copy_count()").fetchone() == (1,)
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_missing_part_fails_only_where_it_is_mandatory(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    stage.put("present", b"C1\tx\t1\n")
    manifest = stage.manifest("m", ["missing", "present"])
    with pytest.raises(psycopg.errors.InternalError_, match=r"Status 404,Error NoSuchKey,Key s3://stage/missing"):
        connection.execute(stage.statement("t", manifest, "MANIFEST").encode())
    manifest = stage.manifest("m", ["missing", "present"], mandatory=False)
    connection.execute(stage.statement("t", manifest, "MANIFEST").encode())
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_part_listed_twice_is_loaded_twice(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    stage.put("part", b"C1\tx\t1\n")
    connection.execute(stage.statement("t", stage.manifest("m", ["part", "part"]), "MANIFEST").encode())
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_without_manifest_all_objects_below_the_prefix_are_loaded(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    for number in range(3):
        stage.put(f"load/part{number}", b"C%d\tx\t1\n" % number)
    connection.execute(stage.statement("t", f"s3://{BUCKET}/load/", "").encode())
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (3,)
    with pytest.raises(psycopg.errors.InternalError_, match="prefix 'nothing' does not exist"):
        connection.execute(stage.statement("t", f"s3://{BUCKET}/nothing", "").encode())


@pytest.mark.parametrize(
    "text", [b"not json", b"[]", b'{"entries": [{"url": "part"}]}', b'{"entries": [{}]}', gzip.compress(b"{}", mtime=0)]
)
def test_an_unreadable_manifest_fails(connection: psycopg.Connection, stage: Stage, text: bytes) -> None:
    connection.execute(TABLE)
    with pytest.raises(psycopg.errors.InternalError_, match="Problem reading manifest file"):
        connection.execute(stage.statement("t", stage.put("m", text), "MANIFEST").encode())


@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda data: b"xx" + data, lambda data: data + b"trailing"])
def test_a_damaged_gzip_part_fails(connection: psycopg.Connection, stage: Stage, damage: object) -> None:
    assert callable(damage)
    connection.execute(TABLE)
    stage.put("part", damage(gzip.compress(b"C1\tx\t1\n" * 5000)))
    with pytest.raises(psycopg.errors.InternalError_, match="Failed to decompress s3://stage/part"):
        connection.execute(stage.statement("t", stage.manifest("m", ["part"]), "MANIFEST GZIP").encode())
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_part_of_several_gzip_members_is_read_whole(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    uri = stage.put("part", gzip.compress(b"C1\tx\t1\nC2\t") + gzip.compress(b"y\t2\n"))
    connection.execute(stage.statement("t", uri, "GZIP").encode())
    assert connection.execute("SELECT k, v FROM t ORDER BY k").fetchall() == [("C1", "x"), ("C2", "y")]


def test_a_role_that_is_not_attached_a_foreign_region_and_a_missing_column_are_refused(
    connection: psycopg.Connection, stage: Stage
) -> None:
    connection.execute(TABLE)
    copy = stage.copy("t", b"C1\tx\t1\n")
    with pytest.raises(psycopg.errors.InternalError_, match="not authorized to assume IAM Role"):
        connection.execute(copy.replace("role/medgen-load", "role/other").encode())
    with pytest.raises(psycopg.errors.InternalError_, match="PermanentRedirect"):
        connection.execute(f"{copy} REGION 'eu-central-1'".encode())
    with pytest.raises(psycopg.errors.UndefinedColumn, match='column "nope"'):
        connection.execute(copy.replace("COPY t", "COPY t (k, nope)").encode())
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute(copy.replace("COPY t", "COPY u").encode())


def test_a_bucket_in_another_region_needs_its_region(connection: psycopg.Connection, stage: Stage) -> None:
    connection.execute(TABLE)
    client = stage.server.client()
    client.create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.put_object(Bucket="far", Key="part", Body=b"C1\tx\t1\n")
    copy = stage.statement("t", "s3://far/part", "")
    with pytest.raises(psycopg.errors.InternalError_, match="PermanentRedirect"):
        connection.execute(copy.encode())
    connection.execute(f"{copy} REGION 'eu-central-1'".encode())
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (S3Fault("GET /stage/t/part", status=403), "Status 403,Error AccessDenied"),
        (S3Fault("GET /stage/t/part", status=500), "Status 500,Error InternalError"),
        (S3Fault("GET /stage/t/part", cut=True), "S3ServiceException"),
        (
            S3Fault("GET /stage/t.manifest", status=403),
            "COPY with MANIFEST parameter requires full path of an S3 object",
        ),
        (S3Fault("GET /stage/t.manifest", status=404), "Problem reading manifest file"),
        (S3Fault("GET /stage.*location", status=403), "Status 403"),
    ],
)
def test_a_failure_of_s3_fails_the_load_with_its_status(
    connection: psycopg.Connection, stage: Stage, s3: S3Server, fault: S3Fault, message: str
) -> None:
    connection.execute(TABLE)
    copy = stage.copy("t", b"C1\tx\t1\n" * 1000).encode()
    s3.order(fault)
    with pytest.raises(psycopg.errors.InternalError_, match=message):
        connection.execute(copy)
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    s3.heal()
    connection.execute(copy)
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1000,)


def _command(options: str) -> CopyCommand:
    (statement,) = split(f"COPY t FROM 's3://b/k' IAM_ROLE default DELIMITER '\t' {options}")
    return parse_copy(statement)


COLUMNS = (
    LoadColumn("a", "character varying", 6, 0, nullable=False),
    LoadColumn("b", "bigint", 0, 0, nullable=True),
    LoadColumn("c", "character varying", 20, 0, nullable=True),
)


class _SingleRecords(RecordConverter):
    """Looks at every record by itself; what the fast walk must agree with."""

    def _end_of_run(self, buffer: bytes, position: int) -> int:
        del buffer
        return position


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.lists(
        st.sampled_from(
            [b"\t", b"\n", b"\\", b"N", b"n", b".", b"x", b"7", b"-1", b"12345678901234567890", b"\r", b"\0"]
        )
        | st.text("aé漢🧬 ", max_size=4).map(str.encode)
        | st.just(b"\xff")
        | st.just(b"ok\t1\tfine\n"),
        max_size=40,
    ).map(b"".join),
    cut=st.integers(1, 9),
    options=st.sampled_from(["ESCAPE EMPTYASNULL", "ESCAPE", "ESCAPE NULL AS ''", "EMPTYASNULL", ""]),
)
def test_the_fast_walk_and_the_look_at_single_records_agree(
    data: bytes,
    cut: int,
    options: str,
) -> None:
    command = _command(options)
    results = []
    for kind, size in ((RecordConverter, cut), (_SingleRecords, len(data) or 1)):
        errors: list[LoadError] = []
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        converted = b"".join(kind(command, COLUMNS).convert(chunks, errors.append))
        results.append(
            (_as_postgres_reads(converted, command), [(error.line, error.code, error.reason) for error in errors])
        )
    assert results[0] == results[1]


def _as_postgres_reads(text: bytes, command: CopyCommand) -> list[list[bytes | None]]:
    """Values of PostgreSQL's COPY text, which may be written in more than one way."""
    null = RecordConverter(command, COLUMNS).null_marker
    rows = []
    for record in _split_unescaped(text, b"\n")[:-1]:
        fields = _split_unescaped(record, b"\t")
        rows.append([None if field == null else _unescaped(field) for field in fields])
    return rows


def _split_unescaped(text: bytes, stop: bytes) -> list[bytes]:
    parts, current, position = [], b"", 0
    while position < len(text):
        width = 2 if text[position : position + 1] == b"\\" else 1
        piece = text[position : position + width]
        position += width
        if piece == stop:
            parts.append(current)
            current = b""
        else:
            current += piece
    return [*parts, current]


def _unescaped(field: bytes) -> bytes:
    plain, position = b"", 0
    while position < len(field):
        if field[position : position + 1] == b"\\":
            letter = field[position + 1 : position + 2]
            plain += {b"n": b"\n", b"r": b"\r"}.get(letter, letter)
            position += 2
        else:
            plain += field[position : position + 1]
            position += 1
    return plain


def test_the_manifest_of_a_stage_is_what_redshift_reads(stage: Stage) -> None:
    stage.manifest("m", ["a"])
    body = stage.server.client().get_object(Bucket=BUCKET, Key="m")["Body"].read()
    assert json.loads(body) == {"entries": [{"url": f"s3://{BUCKET}/a", "mandatory": True}]}
