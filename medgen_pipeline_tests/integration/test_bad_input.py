r"""Everything bad that has come, or may come, from a source, a file, a row or a warehouse, through the asset.

Each case starts from a good release in production and ends in a clear error or in an exact record of what was set
aside. Where a load fails, production must be the same rows in the same places.
"""

import gzip
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest

from medgen_pipeline.catalog import SourceTable, table_by_name
from medgen_pipeline.demo.embedded_postgres import TEST_SETTINGS, EmbeddedPostgres
from medgen_pipeline.orchestration.resources import MedgenSource
from medgen_pipeline.rows.published import content_of, header_of, line_of
from medgen_pipeline.settings import Settings
from medgen_pipeline.testing import Row
from medgen_pipeline_tests.databases import fresh_database
from medgen_pipeline_tests.folders import short_lived
from medgen_pipeline_tests.integration.support import (
    Deployment,
    Run,
    exists,
    load_runs,
    publish,
    rejected_rows,
    rows_of,
    stream,
)
from medgen_pipeline_tests.loaders.support import query, read
from medgen_pipeline_tests.ncbi_double import ncbi_double

PROJECT = Path(__file__).parents[2]
NAMES = table_by_name("names")
SUCCEEDED = ("succeeded", None)
WHOLE_FILE: dict[str, object] = {"force_warehouse": True}  # or only the lines that differ would be staged

# 1,200 rows: one rejected line is 0.08 %, below the gate's 0.1 %; two are above.
ROWS = [(b"C%07d" % number, b"name %d" % number, b"GTR", b"N") for number in range(1200)]
GOOD = content_of(NAMES, ROWS)
IN_LATIN_1 = content_of(
    NAMES, [*((cui, "Sjögren".encode("latin-1"), *rest) for cui, _, *rest in ROWS[:600]), *ROWS[600:]]
)
GOOD_GZ = gzip.compress(GOOD, mtime=1)


@dataclass
class Site:
    """A deployment whose production holds a good release of one table."""

    deployment: Deployment
    release: Path
    table: SourceTable

    def load(self, content: bytes, config: dict[str, object] | None = None) -> Run:
        """Materialize the table from a file with this content."""
        publish(self.release, self.table, content)
        return self.deployment.materialize(self.release, self.table, config=config)

    def load_file(self, published: bytes) -> Run:
        """Materialize the table from exactly these published bytes."""
        (self.release / self.table.file_name).write_bytes(published)
        return self.deployment.materialize(self.release, self.table)

    @property
    def dsn(self) -> str:
        return self.deployment.dsn

    def production(self) -> list[Row]:
        """Every row with its place and the transaction that wrote it."""
        return sorted(stream(self.dsn, "medgen", self.table, ("ctid", "xmin")), key=repr)

    def runs(self) -> list[Row]:
        return load_runs(self.dsn, "status", "error")

    @contextmanager
    def production_stays(self) -> Iterator[None]:
        before = self.production()
        yield
        assert len(before) == 1200
        assert self.production() == before
        feed = f"medgen_changes.{self.table.name}"
        if exists(self.dsn, feed):  # made before a publication that was refused
            assert query(self.dsn, f"SELECT count(*) FROM {feed}") == [(0,)]  # noqa: S608  # a name of ours


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One archive: it keeps files by content, so tests cannot disturb each other in it."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def deployment(database: str, home: Path, instance: dg.DagsterInstance) -> Deployment:
    return Deployment(database, home, instance)


def site(deployment: Deployment, folder: Path, table: SourceTable, content: bytes) -> Site:
    made = Site(deployment, folder / "2026-01-07", table)
    assert made.load(content).success
    return made


@pytest.fixture(scope="module")
def good(
    postgres_server: str, home: Path, instance: dg.DagsterInstance, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The good release of NAMES in production, for tests that show that they change nothing in it."""
    with fresh_database(postgres_server) as dsn:
        yield site(Deployment(dsn, home, instance), tmp_path_factory.mktemp("good"), NAMES, GOOD)


@pytest.fixture
def names(postgres_server: str, good: Site, home: Path, instance: dg.DagsterInstance, tmp_path: Path) -> Iterator[Site]:
    """A copy of it."""
    with fresh_database(postgres_server, like=good.dsn) as dsn:
        publish(tmp_path / "2026-01-07", NAMES, GOOD)
        yield Site(Deployment(dsn, home, instance), tmp_path / "2026-01-07", NAMES)


def change_counts(run: Run) -> tuple[int, int, int, int]:
    """Inserted, updated, deleted, unchanged."""
    cdc = {key.removeprefix("cdc/"): value for key, value in run.metadata["names"].items()}
    return cdc["inserted"], cdc["updated"], cdc["deleted"], cdc["unchanged"]


def assert_failed_for_good(run: Run, message: str) -> None:
    """The step failed for good: Dagster did not try again, and the error says what it should."""
    assert run.retries == 0
    assert not run.success
    assert re.search(message, run.failure, re.DOTALL), run.failure


# Files that are not the table: refused before the load starts, so the audit knows only the good load


@pytest.mark.parametrize(
    ("published", "message"),
    [
        pytest.param(GOOD_GZ[:-20], r"damaged gzip file \(it ends too early", id="truncated gzip"),
        pytest.param(b"<html>503</html>\n", r"expected a gzip file \(1f 8b\), got an HTML or XML page", id="HTML page"),
    ],
)
def test_a_file_that_is_damaged_or_something_else_is_refused(good: Site, published: bytes, message: str) -> None:
    with good.production_stays():
        run = good.load_file(published)
    assert "NAMES.RRF.gz" in run.failure
    assert_failed_for_good(run, message)
    assert good.runs() == [SUCCEEDED]


def test_a_gzip_file_padded_with_zeros_is_loaded_and_compared(names: Site) -> None:
    """As ``gzip -t`` has it. Both times a padded file is read: whole, and as the earlier side of a difference."""
    runs = [
        names.load_file(gzip.compress(GOOD.replace(b"|name 7|", name)) + bytes(100_000)) for name in (b"|x|", b"|y|")
    ]
    assert [change_counts(run) for run in runs] == [(0, 1, 0, 1199)] * 2
    assert runs[1].metadata["names"]["medgen/strategy"] == "snapshot"


def test_a_missing_file_is_named(good: Site) -> None:
    (good.release / NAMES.file_name).unlink()
    with good.production_stays():
        run = good.deployment.materialize(good.release, NAMES)
    assert_failed_for_good(run, r"2026-01-07 holds no file NAMES\.RRF\.gz")
    assert good.runs() == [SUCCEEDED]


def test_a_file_missing_on_a_server_is_named_with_the_server_s_answer(good: Site, tmp_path: Path) -> None:
    with good.production_stays(), ncbi_double(tmp_path / "nothing here") as server:
        run = good.deployment.materialize(server.url, NAMES)
    assert_failed_for_good(run, r"http://localhost:\d+/pub/medgen/NAMES\.RRF\.gz: the server answered 404")
    assert good.runs() == [SUCCEEDED]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///no/such/release", "there is no directory /no/such/release. Check the URL of the source"),
        ("https://u:topsecret@example.org/pub?x=1", "must name a directory"),
    ],
)
def test_a_wrong_source_url_is_explained(good: Site, url: str, message: str) -> None:
    with good.production_stays():
        run = good.deployment.materialize(url, NAMES)
    assert_failed_for_good(run, message)
    assert good.runs() == [SUCCEEDED]
    assert "topsecret" not in run.log


# Files that are archived and then not published: the audit says why


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            GOOD.partition(b"\n")[2], r"no header line: expected 'CUI\|name\|source\|SUPPRESS'", id="no header"
        ),
        pytest.param(content_of(NAMES, [*ROWS, ROWS[7]]), r"Its key \(cui\) repeats", id="a proven key that repeats"),
    ],
)
def test_a_file_with_the_wrong_content_is_not_published(names: Site, content: bytes, message: str) -> None:
    with names.production_stays():
        runs = [names.load(content), names.load(content, WHOLE_FILE)]
    good, *failed = names.runs()
    assert good == SUCCEEDED
    for run, (status, error) in zip(runs, failed, strict=True):
        assert_failed_for_good(run, message)
        assert status == "failed"
        assert str(error) in run.failure


@pytest.mark.parametrize(
    ("content", "config", "counts"),
    [
        pytest.param(content_of(NAMES, ROWS[:839]), {"max_shrink_percent": 31.0}, (0, 0, 361, 839), id="shrunk"),
        pytest.param(
            content_of(NAMES, [*ROWS, *((b"D%d" % number, b"", b"", b"") for number in range(1201))]),
            {"max_growth_percent": 101.0},
            (1201, 0, 0, 1200),
            id="grown",
        ),
        pytest.param(
            content_of(NAMES, [*ROWS, ROWS[7]]), {"accept_broken_key": True}, (1, 0, 0, 1200), id="broken key"
        ),
        pytest.param(
            content_of(NAMES, [*ROWS, (b"C1", b"short"), (b"C1", b"a", b"b", b"c", b"long")]),
            {"max_rejected_percent": 1.0},
            (0, 0, 0, 1200),
            id="rejected rows",
        ),
        pytest.param(IN_LATIN_1, {"max_repaired_rows": 600}, (0, 600, 0, 600), id="Latin-1"),
    ],
)
def test_the_override_a_closed_gate_names_lets_the_release_through(
    names: Site, content: bytes, config: dict[str, object], counts: tuple[int, int, int, int]
) -> None:
    with names.production_stays():
        refused = names.load(content)
    ((setting, value),) = config.items()
    assert f"ops:\n  medgen__names:\n    config:\n      {setting}: {str(value).lower()}\n" in refused.failure
    names.deployment.checks = True
    accepted = names.load(content, config)
    # A broken key that is let through still stops what is downstream: a join would multiply rows.
    assert accepted.success is (setting != "accept_broken_key")
    assert accepted.success or "key_is_unique" in accepted.failure
    assert change_counts(accepted) == counts
    assert load_runs(names.dsn, "status", "rows_inserted", "rows_updated", "rows_deleted", "rows_unchanged")[1:] == [
        ("failed", None, None, None, None),
        ("succeeded", *counts),
    ]


def test_no_setting_empties_a_table_and_none_is_offered(names: Site) -> None:
    content = header_of(NAMES) + b"a|b|\n"
    wide_open: dict[str, object] = {"max_rejected_percent": 100, "max_shrink_percent": 100}
    with names.production_stays():
        runs = [names.load(content), names.load(content, {**wide_open, **WHOLE_FILE})]
    for run in runs:
        assert_failed_for_good(run, "no setting lets a load empty a table. Look at the file")
        assert "run config" not in run.failure


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"max_rejected_percent": -1.0}, "max_rejected_percent is -1.0, expected a number from 0 to 100"),
        (
            {"accept_missing_columns": ["sorce"]},
            r"accept_missing_columns is \['sorce'\], expected columns of names: cui",
        ),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_at_once(good: Site, config: dict[str, object], message: str) -> None:
    with good.production_stays():
        run = good.load(GOOD, config)
    assert_failed_for_good(run, message)
    assert good.runs() == [SUCCEEDED]


def test_rows_above_the_gate_s_limit_are_recorded_whether_the_gate_opens_or_not(names: Site) -> None:
    short, long = line_of(NAMES, (b"C1", b"short")), line_of(NAMES, (b"C2", b"one", b"field", b"too", b"many"))
    content = content_of(NAMES, ROWS[:100]) + short + content_of(NAMES, ROWS[100:]).partition(b"\n")[2] + long
    expected = [(102, "2 fields, expected 4", short[:-1]), (1203, "5 fields, expected 4", long[:-1])]
    with names.production_stays():
        refused = names.load(content)
    assert_failed_for_good(refused, r"2 of 1,202 lines were rejected \(0\.166 %, at most 0\.1 %\)")
    assert "max_rejected_percent: 1.0" in refused.failure
    assert rejected_rows(names.dsn) == expected
    accepted = names.load(content, {"max_rejected_percent": 1.0})
    assert accepted.success
    assert rejected_rows(names.dsn) == expected
    assert accepted.metadata["names"]["medgen/rejected_rows"] == 2
    assert load_runs(names.dsn, "status", "rows_extracted", "rows_rejected") == [
        ("succeeded", 1200, 0),
        ("failed", 1200, 2),
        ("succeeded", 1200, 2),
    ]


# Headers that moved


WITHOUT_SOURCE = b"#CUI|name|SUPPRESS|\n" + b"".join(b"|".join((*row[:2], row[3])) + b"|\n" for row in ROWS)


def test_a_missing_column_is_named_and_loads_as_null_once_accepted(names: Site) -> None:
    with names.production_stays():
        refused = names.load(WITHOUT_SOURCE)
    assert_failed_for_good(refused, "the header lacks source")
    assert "staged rows" not in refused.failure  # there are none
    assert query(names.dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'medgen_staging'") == []
    assert "accept_missing_columns:\n      - source\n" in refused.failure
    assert names.runs()[1][0] == "failed"
    accepted = names.load(WITHOUT_SOURCE, {"accept_missing_columns": ["source"]})
    assert accepted.success
    assert change_counts(accepted) == (0, 1200, 0, 0)
    assert accepted.metadata["names"]["medgen/missing_columns"] == ["source"]
    assert query(names.dsn, "SELECT DISTINCT source, suppress FROM medgen.names") == [(None, "N")]
    next_release = WITHOUT_SOURCE.replace(b"|name 7|", b"|another name|")
    refused = names.load(next_release)  # it was accepted for one load only
    assert_failed_for_good(refused, r"lacks source: .*or for good: MEDGEN_MISSING_COLUMNS=names\.source\.")
    assert "accept_missing_columns:\n      - source\n" in refused.failure
    assert query(names.dsn, "SELECT name FROM medgen.names WHERE cui = 'C0000007'") == [("name 7",)]


@pytest.mark.parametrize("variable", [True, False], ids=["variable", "resource"])
def test_a_column_that_is_gone_for_good_is_one_setting(names: Site, variable: bool) -> None:
    documented = re.search(r"`MEDGEN_MISSING_COLUMNS=(\S+)`", (PROJECT / "docs" / "run.md").read_text())
    assert documented
    of_environment = MedgenSource.of(Settings.read({"MEDGEN_MISSING_COLUMNS": documented[1]}))
    columns = of_environment.missing_columns if variable else documented[1].split(",")
    names.deployment.source_settings = {"missing_columns": columns}
    first = names.load(WITHOUT_SOURCE)
    assert first.success
    assert change_counts(first) == (0, 1200, 0, 0)
    second = names.load(WITHOUT_SOURCE.replace(b"|name 7|", b"|another name|"))
    assert (second.metadata["names"]["medgen/strategy"], change_counts(second)) == ("snapshot", (0, 1, 0, 1199))
    back = names.load(GOOD)
    assert change_counts(back) == (0, 1200, 0, 0)


def with_header(header: bytes, arrange: tuple[int | bytes, ...]) -> bytes:
    """GOOD under another header; ``arrange`` takes a field by its place or puts a constant."""
    rows = (b"|".join(part if isinstance(part, bytes) else row[part] for part in arrange) for row in ROWS)
    return header + b"\n" + b"".join(row + b"|\n" for row in rows)


@pytest.mark.parametrize(
    ("content", "extra"),
    [
        pytest.param(with_header(b"#CUI|name|LAT|source|SUPPRESS|", (0, 1, b"ENG", 2, 3)), ["LAT"], id="extra"),
        pytest.param(with_header(b"#SUPPRESS|source|name|CUI|", (3, 2, 1, 0)), None, id="reordered"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, None, id="byte order mark"),
        pytest.param(GOOD.replace(b"\n", b"\r\n"), None, id="CRLF"),
    ],
)
def test_columns_are_found_by_name_and_unknown_ones_are_kept_out_and_reported(
    names: Site, content: bytes, extra: list[str] | None
) -> None:
    with names.production_stays():
        runs = [names.load(content), names.load(content, WHOLE_FILE)]
    for run in runs:
        assert run.success
        assert change_counts(run) == (0, 0, 0, 1200)
        assert run.metadata["names"].get("medgen/extra_columns") == extra
    assert names.runs() == [SUCCEEDED] * 3


# Rows


BAD_ROWS = {
    b"C1|too short|N|": "3 fields, expected 4",
    b"C1|a name with a | pipe|GTR|N|": "5 fields, expected 4",
    b"": "0 fields, expected 4",
    b"C1|name|GTR|N": "no trailing '|'",
    b"C1|name|GTR|N|\r": "no trailing '|'",  # CRLF in an LF file
    b"C1|NUL \0 byte|GTR|N|": "NUL byte",
    b"C1|NUL \0 byte and \xff|GTR|N|": "NUL byte",
    b"|no key|GTR|N|": "cui: empty, and it is the key",
}


def test_a_bad_row_is_rejected_exactly_and_the_others_are_loaded(names: Site) -> None:
    lines = GOOD.split(b"\n")
    for place, row in enumerate(BAD_ROWS, 1):
        lines.insert(100 * place, row)  # so it is the next line
    with names.production_stays():
        run = names.load(b"\n".join(lines), {"max_rejected_percent": 1.0})
    assert run.success
    assert change_counts(run) == (0, 0, 0, 1200)
    assert rejected_rows(names.dsn) == [
        (100 * place + 1, reason, row) for place, (row, reason) in enumerate(BAD_ROWS.items(), 1)
    ]
    assert run.metadata["names"]["medgen/rejected_rows"] == len(BAD_ROWS)
    assert load_runs(names.dsn, "status", "rows_extracted", "rows_rejected", "rows_repaired")[1:] == [
        ("succeeded", 1200, len(BAD_ROWS), 0)
    ]


# Values


AWKWARD = (
    *(b"\\N", b"\\.", b"\\", b"trailing blanks  ", b"  ", b"a lone\rCR", b"ends with CR\r", b"a\ttab"),
    *(b'a "quoted, name', b"NULL", "Sjögren 綜合症 \U0001f9ec".encode(), b"x" * 5_000_000),
)


def test_an_awkward_value_arrives_as_it_is(names: Site) -> None:
    awkward = [(cui, value, *rest) for (cui, _, *rest), value in zip(ROWS, AWKWARD, strict=False)]
    rows = [*awkward, *ROWS[len(AWKWARD) :]]
    run = names.load(content_of(NAMES, rows))
    assert run.success
    assert change_counts(run) == (0, len(AWKWARD), 0, 1200 - len(AWKWARD))
    found = query(names.dsn, "SELECT name FROM medgen.names ORDER BY cui LIMIT %s", len(AWKWARD))
    assert [value for (value,) in found] == [value.decode() for value in AWKWARD]
    file = names.release / NAMES.file_name
    assert read(names.dsn, "medgen", NAMES) == sorted(rows_of(NAMES, file), key=repr)
    again = names.load(content_of(NAMES, rows), WHOLE_FILE)
    assert change_counts(again) == (0, 0, 0, 1200)


def test_invalid_utf8_is_repaired_and_counted(names: Site) -> None:
    rows = [(ROWS[0][0], b"caf\xe9", b"GTR", b"N"), (ROWS[1][0], b"\xff \xc3\xa9 \xc3", b"GTR", b"N"), *ROWS[2:]]
    run = names.load(content_of(NAMES, rows))
    assert run.success
    assert change_counts(run) == (0, 2, 0, 1198)
    assert query(names.dsn, "SELECT name FROM medgen.names WHERE cui < 'C0000002' ORDER BY cui") == [
        ("caf\ufffd",),
        ("\ufffd é \ufffd",),
    ]
    again = names.load(content_of(NAMES, rows), WHOLE_FILE)
    assert change_counts(again) == (0, 0, 0, 1200)
    assert [found.metadata["names"]["medgen/repaired_rows"] for found in (run, again)] == [2, 2]
    assert load_runs(names.dsn, "rows_rejected", "rows_repaired") == [(0, 0), (0, 2), (0, 2)]


# Warehouses


def as_role(dsn: str, role: str, password: str) -> str:
    """The same database for another role."""
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{role}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


def elsewhere(
    names: Site, dsn: str, schema: str = "medgen", on_event: Callable[[dg.EventLogEntry], None] | None = None
) -> Run:
    """Materialize the good release into another warehouse."""
    return Deployment(dsn, names.deployment.home, names.deployment.instance, schema).materialize(
        names.release, NAMES, on_event=on_event
    )


@pytest.mark.parametrize(
    ("dsn", "message"),
    [
        ("mysql://u:topsecret@h/d", r"Unsupported database scheme: 'mysql'\. Known schemes: .*postgresql"),
        ("postgresql://u:topsecret@h:notaport:1/d?x", "the DSN is not a valid connection URI"),
    ],
)
def test_a_wrong_dsn_is_explained_without_its_password(good: Site, dsn: str, message: str) -> None:
    with good.production_stays():
        run = elsewhere(good, dsn)
    assert_failed_for_good(run, message)
    assert "topsecret" not in run.log
    assert good.runs() == [SUCCEEDED]


def end_the_run(entry: dg.EventLogEntry) -> None:
    """Not to wait for attempts that a permanent error should not have."""
    if entry.dagster_event and entry.dagster_event.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY:
        raise RuntimeError("the step was up for a retry")


def test_a_dsn_that_can_never_work_is_a_permanent_error(good: Site) -> None:
    with good.production_stays():
        run = elsewhere(good, "postgresql://u:topsecret@127.0.0.1:1/d?sslmode=maybe", on_event=end_the_run)
    assert_failed_for_good(run, "Check the DSN")
    assert "topsecret" not in run.log


def test_an_unknown_database_is_a_permanent_error(good: Site) -> None:
    with good.production_stays():
        run = elsewhere(good, urlsplit(good.dsn)._replace(path="/no_such_database").geturl())
    assert_failed_for_good(run, 'refuses the connection: .*database "no_such_database" does not exist. Check the DSN')


@pytest.fixture
def guarded_server() -> Iterator[str]:
    """A server of its own that asks the role ``guarded`` for its password, which is ``right``."""
    folder = short_lived("medgen-pg-")
    server = EmbeddedPostgres(folder / "pg", TEST_SETTINGS)
    try:
        dsn = server.ensure_running()
        query(dsn, "CREATE ROLE guarded LOGIN PASSWORD 'right'")
        query(dsn, "GRANT CREATE ON DATABASE medgen TO guarded")
        access = server.location / "data" / "pg_hba.conf"
        access.write_text("local all guarded scram-sha-256\n" + access.read_text())
        query(dsn, "SELECT pg_reload_conf()")
        yield dsn
    finally:
        server.stop()
        shutil.rmtree(server.location, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_wrong_password_is_a_permanent_error_that_does_not_repeat_it(names: Site, guarded_server: str) -> None:
    run = elsewhere(names, as_role(guarded_server, "guarded", "topsecret"))
    assert_failed_for_good(run, 'refuses the connection: .*password authentication failed for user "guarded"')
    assert "topsecret" not in run.log
    without = elsewhere(names, as_role(guarded_server, "guarded", "").replace("guarded:@", "guarded@"))
    assert_failed_for_good(without, "refuses the connection: .*no password supplied")
    right = elsewhere(names, as_role(guarded_server, "guarded", "right"))
    assert right.success
    assert "guarded:right" not in right.log


@pytest.fixture
def reader(postgres_server: str) -> Iterator[str]:
    """A role that may connect and nothing else."""
    role = f"medgen_reader_{uuid.uuid4().hex}"
    query(postgres_server, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    try:
        yield role
    finally:
        query(postgres_server, f"DROP ROLE {role}")


@pytest.mark.parametrize("schema", ["medgen", "new_schema"], ids=["schemas of another role", "no schemas yet"])
def test_a_role_without_permission_on_the_schema_is_told_what_it_needs(names: Site, reader: str, schema: str) -> None:
    with names.production_stays():
        run = elsewhere(names, as_role(names.dsn, reader, "x"), schema)
    assert_failed_for_good(
        run, f"permission denied for .* The role needs CREATE on the database, or on the schemas {schema},"
    )
    assert names.runs() == [SUCCEEDED]


def test_a_role_without_permission_on_the_table_is_refused_and_the_audit_says_so(names: Site, reader: str) -> None:
    for schema in ("medgen", "medgen_staging", "medgen_changes", "medgen_audit", "medgen_history"):
        query(names.dsn, f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {reader}")
        query(names.dsn, f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}")
    query(names.dsn, f"GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA medgen_audit TO {reader}")
    publish(names.release, NAMES, content_of(NAMES, ROWS[1:]))
    try:
        with names.production_stays():
            run = elsewhere(names, as_role(names.dsn, reader, "x"))
        assert_failed_for_good(run, "publishing names: permission denied for table names. The role must own the table")
        (good, (status, error)) = names.runs()
        assert (good, status) == (SUCCEEDED, "failed")
        assert "permission denied for table names" in str(error)
    finally:
        query(names.dsn, f"DROP OWNED BY {reader}")


def test_a_table_that_the_user_keeps_under_another_name_keeps_its_index_and_the_load_says_what_to_do(
    names: Site,
) -> None:
    query(names.dsn, "ALTER TABLE medgen.names RENAME TO names_kept")
    run = elsewhere(names, names.dsn)
    assert_failed_for_good(run, 'relation "names_key" already exists.*Rename or drop it, and load again')
    query(names.dsn, "ALTER INDEX medgen.names_key RENAME TO names_kept_key")
    assert elsewhere(names, names.dsn).success
    assert query(names.dsn, "TABLE medgen.names_kept") == query(names.dsn, "TABLE medgen.names")
    query(names.dsn, "DROP TABLE medgen.names_kept")


def test_a_transient_error_is_tried_again_and_the_load_succeeds_once_it_clears(names: Site) -> None:
    """The only test that waits for the retry policy: five seconds, more or less."""
    name = urlsplit(names.dsn).path[1:]
    server = urlsplit(names.dsn)._replace(path="/postgres").geturl()
    before = names.production()
    query(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")

    def open_again(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event and event.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY:
            query(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    run = names.deployment.materialize(names.release, NAMES, on_event=open_again)
    assert run.retries == 1
    assert run.success
    assert "not currently accepting connections" in run.log
    assert names.production() == before
    assert names.runs() == [SUCCEEDED, SUCCEEDED]
