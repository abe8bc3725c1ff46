"""DuckDB keeps the contract, and what is its own: files, their names, and processes that wait for them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import duckdb
import pytest

from medgen_pipeline.loaders import LoaderError, LoaderFactory, TableBusyError
from medgen_pipeline.testing import LoaderConformance, load
from medgen_pipeline.testing.loads import NAMES, A, B
from medgen_pipeline_tests.loaders.cases import skip_what_others_stand_for
from medgen_pipeline_tests.loaders.duckdb_backend import DuckDBFile, kept_open

# What a file's header says is the same wherever rows go; PostgreSQL has all cases.
ALWAYS = {
    "test_snapshot_and_warehouse_find_the_same_changes": ("names-repeated", "medgen_cui_history-repeated"),
    "test_a_header_that_changes_from_week_to_week_is_read_as_its_own_file_has_it": ("missing at first",),
    "test_an_edit_by_hand_is_found_and_the_next_load_compares_all_and_heals_it": ("changes",),
    # The file's locks go with the process, wherever it was.
    "test_a_load_killed_at_a_step_leaves_all_of_a_release_and_the_next_load_heals": ("half sent", "compared"),
}


@pytest.fixture
def backend(tmp_path: Path) -> DuckDBFile:
    return DuckDBFile.of(tmp_path)


class TestDuckDB(LoaderConformance):
    @pytest.fixture
    def backend(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DuckDBFile]:
        skip_what_others_stand_for(request, ALWAYS)
        # Those start processes that open the file themselves.
        alone = request.function.__qualname__.startswith(("InterruptionContract", "HangingContract"))
        with nullcontext() if alone else kept_open():
            yield DuckDBFile.of(tmp_path)


@contextmanager
def opened_by_another_process(file: Path, *, read_only: bool = False, until: float | None = None) -> Iterator[None]:
    """Until the block ends, or for so many seconds."""
    wait = "input()" if until is None else f"import time; time.sleep({until})"
    script = f"import duckdb; held = duckdb.connect({str(file)!r}, read_only={read_only}); print(flush=True); {wait}"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield
        finally:
            process.communicate(b"\n")


# Files and names


def test_three_slashes_begin_in_the_working_directory_and_four_at_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("med gen.duckdb")
    same = ("duckdb:///med%20gen.duckdb", f"duckdb:///{tmp_path}/med%20gen.duckdb", "duckdb:///./link")
    uris = {LoaderFactory.create_loader(dsn, {}).table_uri(NAMES) for dsn in same}
    assert uris == {f"duckdb:///{tmp_path}/med gen.duckdb/main/names"}


@pytest.mark.parametrize(
    ("dsn", "schema", "said"),
    [
        ("duckdb:///folder/s3cret#1@host", "medgen", "Percent-encode the password"),
        ("duckdb:///", "medgen", "names no file"),
        ("duckdb://medgen.duckdb", "medgen", "names no file"),
        ("duckdb:///:memory:", "medgen", "names no file"),
        ("duckdb:///medgen.duckdb?read_only=true", "medgen", "names no file"),
        ("duckdb:///mirror.v2.duckdb", "mirror", "would be the database mirror,"),
        ("duckdb:///Medgen_Audit.db", "medgen", "would be the database Medgen_Audit,"),
        ("duckdb:///medgen.duckdb", "main", "Leave MEDGEN_SCHEMA unset"),
    ],
)
def test_a_dsn_or_a_schema_that_cannot_work_is_refused(dsn: str, schema: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LoaderFactory.create_loader(dsn, {"schema": schema})


def test_a_file_of_any_name_has_the_tables_in_front_and_its_views_work_wherever_it_is_attached(
    backend: DuckDBFile, tmp_path: Path
) -> None:
    load(backend.new_loader(), NAMES, [A, B])
    names = ("names", "medgen.names", "medgen_history.names")
    assert [len(backend.query(f"FROM {name}")) for name in names] == [2, 2, 2]
    (tmp_path / "medgen.duckdb").rename(tmp_path / "copy.duckdb")
    with duckdb.connect() as other:
        other.execute(f"ATTACH '{tmp_path}/copy.duckdb' AS mirror (READ_ONLY)")
        names = ("mirror.names", "mirror.main.names", "mirror.medgen_history.names")
        assert [len(other.execute(f"FROM {name}").fetchall()) for name in names] == [2, 2, 2]
    moved = LoaderFactory.create_loader(f"duckdb:///{tmp_path}/copy.duckdb", {})
    assert load(moved, NAMES, [A], "2026-02-04").deleted == 1


def test_a_folder_that_does_not_exist_and_a_file_that_is_no_database_are_told(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("not a database " * 1000)
    for file, said in (("no/medgen.duckdb", "there is no folder"), ("text.duckdb", "not a valid DuckDB database file")):
        with pytest.raises(LoaderError, match=said):
            LoaderFactory.create_loader(f"duckdb:///{tmp_path}/{file}", {}).connect()


def test_who_reads_has_no_more_memory_than_who_loads(backend: DuckDBFile) -> None:
    load(backend.new_loader(), NAMES, [A])
    with (
        backend.new_loader(memory_limit="1KB") as reader,
        pytest.raises(LoaderError, match=r"The setting memory_limit has more\."),
    ):
        list(reader.read(NAMES))


# Processes


def test_a_load_waits_for_another_process_that_has_the_file_and_says_which(
    backend: DuckDBFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(backend.new_loader(), NAMES, [A])
    for read_only in (False, True):
        with (
            opened_by_another_process(tmp_path / "medgen.duckdb", read_only=read_only),
            pytest.raises(TableBusyError, match=r"waited 0\.1 s .*PID \d+.*Close it there"),
        ):
            load(backend.new_loader(lock_timeout_seconds=0.1), NAMES, [A, B], "2026-02-04")
    with opened_by_another_process(tmp_path / "medgen.duckdb", until=3.0):
        assert load(backend.new_loader(), NAMES, [A, B], "2026-02-11").inserted == 1
    assert [record.getMessage().count("waiting for whoever has the file open") for record in caplog.records] == [1]


def test_who_reads_reads_beside_others_that_read_and_waits_for_one_that_writes(
    backend: DuckDBFile, tmp_path: Path
) -> None:
    load(backend.new_loader(), NAMES, [A, B])
    with (
        opened_by_another_process(tmp_path / "medgen.duckdb", read_only=True),
        backend.new_loader(lock_timeout_seconds=0) as reader,
        backend.new_loader(lock_timeout_seconds=0) as beside,
    ):
        assert [len(list(one.read_as_of(NAMES, "2026-01-07"))) for one in (reader, beside)] == [2, 2]
        assert sum(batch.num_rows for batch in reader.read(NAMES)) == 2
    with opened_by_another_process(tmp_path / "medgen.duckdb"), pytest.raises(TableBusyError, match="waited 0 s"):
        backend.new_loader(lock_timeout_seconds=0).connect()
