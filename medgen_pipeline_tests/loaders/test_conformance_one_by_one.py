"""A warehouse whose tables are atomic one by one keeps the contract."""

from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from medgen_pipeline_sqlite.session import SqliteSession
from medgen_pipeline_sqlite.testing import SqliteFolder

from medgen_pipeline.catalog import Table
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.testing import Backend, Row, compared, load
from medgen_pipeline.testing.auditing import AuditContract, HistoryContract
from medgen_pipeline.testing.comparing import ComparisonContract
from medgen_pipeline.testing.conformance import ByCapability
from medgen_pipeline.testing.files import RepairContract
from medgen_pipeline.testing.loads import CHANGED_B, HISTORY, NAMES, RELEASES, A, B, C, D, undone
from medgen_pipeline.testing.processes import ConcurrencyContract, InterruptionContract
from medgen_pipeline.testing.publishing import ColumnsContract, OthersTablesContract, PublicationContract
from medgen_pipeline_tests.loaders.sqlite_one_by_one import SqliteOneByOneLoader


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader as an installed package would register it, for processes that are started too."""
    package = tmp_path / "site" / "medgen_one_by_one-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: medgen_one_by_one\nVersion: 1\n")
    line = f"{SqliteOneByOneLoader.scheme} = {SqliteOneByOneLoader.__module__}:{SqliteOneByOneLoader.__name__}\n"
    (package / "entry_points.txt").write_text(f"[medgen_pipeline.loaders]\n{line}")
    monkeypatch.syspath_prepend(str(package.parent))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "warehouse"
    folder.mkdir()
    return folder


class TestSqliteOneByOne(
    ComparisonContract,
    PublicationContract,
    ColumnsContract,
    OthersTablesContract,
    AuditContract,
    HistoryContract,
    ConcurrencyContract,
    InterruptionContract,
    RepairContract,
    ByCapability,
):
    """What depends on it; the rest is as in examples/sqlite."""

    @pytest.fixture
    def backend(self, folder: Path) -> SqliteFolder:
        return SqliteFolder(f"{SqliteOneByOneLoader.scheme}://{folder}")


class Died(BaseException):
    """A process has no time for anything after this."""


def die_after(statements: int, session: SqliteSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a loader carry out so many statements more."""
    left = iter(range(statements))
    execute = session.execute

    def execute_or_die(statement: sql.Statement) -> Any:
        if next(left, None) is None:
            raise Died
        return execute(statement)

    monkeypatch.setattr(session, "execute", execute_or_die)


_KEYED: list[list[Row]] = [[A, B, D], [A, CHANGED_B, C], [B, C]]
_ROW, _OTHER = ("C1", None, "Jan"), ("C2", None, None)
_KEYLESS: list[list[Row]] = [[_ROW] * 3 + [_OTHER], [_ROW, ("C3", None, "May")], [_ROW, _ROW, _OTHER, _OTHER]]


@pytest.mark.parametrize(("table", "states"), [(NAMES, _KEYED), (HISTORY, _KEYLESS)], ids=["key", "no key"])
def test_a_load_that_dies_between_any_two_statements_is_put_right_by_the_next_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, table: Table, states: list[list[Row]]
) -> None:
    backend = SqliteFolder(f"{SqliteOneByOneLoader.scheme}://{folder}")
    load(backend.new_loader(), table, states[0])
    fates = []
    for statements in count():
        dying, healing = f"2026-02-{statements + 1:02}", f"2026-03-{statements + 1:02}"
        before = backend.production(table)
        lived = publish_or_die(backend, table, states[1], dying, statements, monkeypatch)
        healed = states[2] if before == Counter(states[0]) else states[0]
        load(backend.new_loader(), table, healed, healing)
        ((fate,),) = backend.run("SELECT status FROM {load_run} WHERE release = {dying}", dying=sql.Literal(dying))
        fates.append(str(fate))
        assert backend.production(table) == Counter(healed)
        left = undone(backend, table, Counter(healed), healing)
        assert left == (Counter(states[1]) if fate == "succeeded" else before)
        assert undone(backend, table, left, dying) == before
        assert fate == "succeeded" or dying not in {release for _, release, *_ in backend.feed(table)}
        with backend.new_loader() as loader:
            assert not loader.find_drift(table).found
            assert Counter(loader.read_as_of(table, RELEASES[0])) == Counter(states[0])
        if lived:
            break
    assert "running" not in backend.statuses()
    assert fates == sorted(fates)  # abandoned, and from some statement on published
    assert fates.count("succeeded") > 1  # one that died published, too
    assert fates.count("abandoned") > 5


def test_a_first_load_that_dies_between_any_two_statements_is_put_right_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = False
    for statements in count():
        folder = tmp_path / str(statements)
        folder.mkdir()
        backend = SqliteFolder(f"{SqliteOneByOneLoader.scheme}://{folder}")
        lived = publish_or_die(backend, NAMES, [A, B], RELEASES[0], statements, monkeypatch)
        counts = load(backend.new_loader(), NAMES, [B, C], RELEASES[1])
        assert counts.baseline == (backend.statuses()[0] == "abandoned")
        assert backend.production(NAMES) == Counter([B, C])
        if lived:
            break
    assert statements > 5


def publish_or_die(
    backend: Backend, table: Table, rows: list[Row], release: str, statements: int, monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Load a release with a process that dies before so many statements and one more; whether it lived."""
    loader = backend.new_loader()
    assert isinstance(loader, SqliteOneByOneLoader)
    with loader, monkeypatch.context() as patch:
        counts = compared(loader, table, rows, release)
        die_after(statements, loader.session, patch)
        try:
            loader.apply_changes(table, counts.mode)
        except Died:
            return False
    return True
