"""Whole loads from files: both strategies, rejected lines, and what is there at the end either way."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import LiteralString

import pytest

from medgen_pipeline.catalog import SourceTable, Table
from medgen_pipeline.loaders import AbstractNativeLoader, ApplyMode, ChangeCounts, LoaderError, Strategy
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loading import file_load as load
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.loading.gates import GateLimits, GatesClosedError
from medgen_pipeline.loading.load import LoadOptions, LoadResult
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline.rows.published import header_of, line_of, packed
from medgen_pipeline.testing.backend import Backend, Row
from medgen_pipeline.testing.loads import HISTORY, MERGED, MONDO, NAMES, RELEASES, last_of, undone
from medgen_pipeline.testing.tiers import Behaviour, needs

OPEN_GATES = GateLimits(
    max_rejected_percent=100,
    max_repaired_percent=100,
    max_shrink_percent=100,
    max_growth_percent=1e9,
    accept_broken_key=True,
)
GOOD = [b"C%d|name %d|GTR|N|" % (number, number) for number in range(50)]
_UNIQUE, _REPEATED = 10**9, 400  # keys to choose from at random


def write(folder: Path, table: SourceTable, lines: list[bytes], headers: Sequence[str] = ()) -> None:
    """A published file; a new stamp tells the archive that it changed.

    Args:
        folder: The release.
        table: The catalog's entry.
        lines: Those after the header.
        headers: The names of its columns, where they are not the catalog's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = header_of(table, headers) + b"".join(line + b"\n" for line in lines)
    path = folder / table.file_name
    path.unlink(missing_ok=True)
    path.write_bytes(packed(table, content))


# What somebody does to production, what it holds then, and what the next load says.
DAMAGES: dict[str, tuple[tuple[LiteralString, ...], Callable[[list[Row]], list[Row]], str]] = {
    "rows of a key that is there, by somebody who dropped the index": (
        (
            "DROP INDEX IF EXISTS {schema}.names_key",
            "INSERT INTO {production} VALUES ('C5', 'again', 'GTR', 'N'), ('C5', 'name 5', 'GTR', 'N')",
        ),
        lambda rows: [*rows, ("C5", "again", "GTR", "N"), ("C5", "name 5", "GTR", "N")],
        "it has 52 rows, expected 50",
    ),
    "a row without a key": (
        ("INSERT INTO {production} VALUES (NULL, 'nothing', 'GTR', 'N')",),
        lambda rows: [*rows, (None, "nothing", "GTR", "N")],
        "it has 51 rows, expected 50",
    ),
    "a column that was dropped": (
        ("ALTER TABLE {production} DROP COLUMN source",),
        lambda rows: [(*row[:2], None, row[3]) for row in rows],
        "it has no column source",
    ),
    "a column of another type": (
        (
            "ALTER TABLE {production} DROP COLUMN source",
            "ALTER TABLE {production} ADD COLUMN source {integer_type}",
            "UPDATE {production} SET source = 7",
        ),
        lambda rows: [(*row[:2], "7", row[3]) for row in rows],
        "it has no column source",
    ),
}


@dataclass(frozen=True)
class Mirror:
    """One table kept up to date by whole loads, from files written for it into ``home``, under ``headers``."""

    backend: Backend
    home: Path
    table: SourceTable
    headers: tuple[str, ...] = ()

    @property
    def dsn(self) -> str:
        """The backend's."""
        return self.backend.dsn

    def load(self, lines: list[bytes], *, release: str = RELEASES[0], **options: object) -> LoadResult:
        """Publish ``lines`` as a release and load it; ``options`` are those of ``LoadOptions``."""
        folder = self.home / "source" / release
        write(folder, self.table, lines, self.headers)
        archive = Archive(self.home / "archive")
        source = ReleaseSource(folder.as_uri(), archive).fetch(self.table)
        given = LoadOptions(**{"limits": OPEN_GATES, **options})  # type: ignore[arg-type]  # tests name real options
        return load_table(self.backend.new_loader(), self.table, source, archive, given)

    def production(self) -> Counter[Row]:
        """The table's rows."""
        return self.backend.production(self.table)

    def feed(self) -> Counter[Row]:
        """The feed's rows."""
        return self.backend.feed(self.table)


class FilesContract(Behaviour):
    """Loads through ``load_table``."""

    @pytest.fixture
    def mirror(self, backend: Backend, tmp_path: Path) -> Mirror:
        return Mirror(backend, tmp_path, NAMES)

    @pytest.mark.parametrize(
        ("table", "keys"),
        [
            pytest.param(NAMES, _UNIQUE, id="names-unique"),
            pytest.param(NAMES, _REPEATED, id="names-repeated"),
            pytest.param(MONDO, _REPEATED, id="mondo_cui_history-repeated"),
            pytest.param(MERGED, _UNIQUE, id="merged-unique"),
            pytest.param(HISTORY, _REPEATED, id="medgen_cui_history-repeated"),
        ],
    )
    def test_snapshot_and_warehouse_find_the_same_changes(
        self, backend: Backend, tmp_path: Path, table: SourceTable, keys: int
    ) -> None:
        other = backend.in_schema(f"{backend.schema}_other")
        by_diff, by_join = Mirror(backend, tmp_path, table), Mirror(other, tmp_path, table)
        strategies = set()
        for release, lines in zip(RELEASES, _random_files(table, len(RELEASES), keys), strict=True):
            one = by_diff.load(lines, release=release)
            two = by_join.load(lines, release=release, force_warehouse=True)
            assert one.counts == two.counts
            assert (one.report.rows, one.report.rejected, one.report.repaired) == (
                two.report.rows,
                two.report.rejected,
                two.report.repaired,
            )
            assert by_diff.production() == by_join.production()
            assert by_diff.feed() == by_join.feed()
            strategies.add(one.strategy)
        assert strategies == set(Strategy)

    def test_a_release_that_changed_little_is_staged_as_its_difference(self, mirror: Mirror) -> None:
        mirror.load(GOOD)
        result = mirror.load([b"C0|renamed|GTR|N|", *GOOD[2:], b"C99|new|GTR|N|"], release=RELEASES[1])
        assert (result.strategy, result.mode) == (Strategy.SNAPSHOT, ApplyMode.DELTA)
        counts = result.counts
        assert (counts.inserted, counts.updated, counts.deleted, counts.unchanged) == (1, 1, 1, 48)
        assert len(mirror.feed()) == 4

    def test_a_load_whose_place_was_taken_is_not_tried_again(
        self, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mirror.load(GOOD)
        loader_class = type(mirror.backend.new_loader())
        apply_changes, tried = loader_class.apply_changes, []

        def after_another_load(loader: AbstractNativeLoader, table: Table, mode: ApplyMode) -> ChangeCounts:
            mirror.backend.run("UPDATE {load_run} SET status = 'abandoned' WHERE status = 'running'")
            tried.append(mode)
            return apply_changes(loader, table, mode)

        monkeypatch.setattr(loader_class, "apply_changes", after_another_load)
        with pytest.raises(LoaderError, match="another load has taken over"):
            mirror.load(GOOD[25:], release=RELEASES[1], force_warehouse=True)
        assert tried == [ApplyMode.DELTA]
        assert mirror.production().total() == 50

    def test_equal_content_writes_the_audit_row_and_nothing_else(self, mirror: Mirror) -> None:
        mirror.load(GOOD)
        result = mirror.load(GOOD, release=RELEASES[1])
        assert (result.mode, result.counts.unchanged, result.counts.changed) == (ApplyMode.UNCHANGED, 50, 0)
        assert mirror.production().total() == 50
        assert mirror.feed() == Counter()
        assert mirror.backend.loads("release", "mode", "rows_extracted", "rows_unchanged") == [
            (RELEASES[0], "first", 50, 0),
            (RELEASES[1], "unchanged", 50, 50),
        ]
        # What it left is as good as what any other load leaves.
        assert mirror.load([*GOOD[1:]], release=RELEASES[2]).strategy is Strategy.SNAPSHOT

    def test_a_reordered_file_changes_nothing(self, mirror: Mirror) -> None:
        mirror.load(GOOD)
        result = mirror.load(GOOD[::-1], release=RELEASES[1])
        assert (result.mode, result.counts.changed) == (ApplyMode.UNCHANGED, 0)
        assert mirror.load(GOOD, release=RELEASES[2]).strategy is Strategy.SNAPSHOT

    @pytest.mark.parametrize(
        "weeks",
        [
            pytest.param(["whole", "lacks", "lacks", "whole", "lacks"], id="missing and back"),
            pytest.param(["lacks", "whole"], id="missing at first"),
            pytest.param(["whole", "swapped", "moved", "more", "renamed", "whole"], id="moved"),
        ],
    )
    def test_a_header_that_changes_from_week_to_week_is_read_as_its_own_file_has_it(
        self, backend: Backend, tmp_path: Path, weeks: list[str]
    ) -> None:
        other = backend.in_schema(f"{backend.schema}_other")
        before: Counter[Row] = Counter()
        for number, kind in enumerate(weeks):
            release, limits = f"2026-02-{number + 1:02}", OPEN_GATES
            headers, lines, rows = _week(kind, number)
            by_diff, by_join = (Mirror(one, tmp_path, NAMES, headers) for one in (backend, other))
            if kind == "lacks":
                with pytest.raises(GatesClosedError, match=r"the header lacks source: found '#CUI\|name\|SUPPRESS"):
                    by_diff.load(lines, release=release)
                limits = replace(OPEN_GATES, accept_missing_columns=("source",))
            one = by_diff.load(lines, release=release, limits=limits)
            two = by_join.load(lines, release=release, limits=limits, force_warehouse=True)
            assert one.counts == two.counts
            assert by_diff.production() == by_join.production() == rows
            assert by_diff.feed() == by_join.feed()
            if number:
                assert undone(backend, NAMES, rows, release) == before
            before = rows

    def test_a_record_that_holds_a_line_break_is_a_row_in_table_and_feed(self, mirror: Mirror) -> None:
        broken = [b"C77|Name|", b"GTR|N|", b"C78|One", b"two|\\|N|"]
        result = mirror.load([*GOOD, *broken])
        assert (result.report.rows, result.report.rejected, result.report.repaired) == (52, 0, 2)
        assert mirror.backend.loads("rows_extracted", "rows_rejected", "rows_repaired") == [(52, 0, 2)]
        rows = Counter([("C77", "Name", "\nGTR", "N"), ("C78", "One\ntwo", "\\", "N")])
        whole = mirror.production()
        assert rows <= whole
        mirror.load(GOOD, release=RELEASES[1])
        assert mirror.feed() == Counter(("delete", RELEASES[1], *row) for row in rows)
        with mirror.backend.new_loader() as loader:
            assert Counter(loader.read_as_of(NAMES, RELEASES[0])) == whole
            assert Counter(row[4:] for row in loader.read_changes(NAMES, RELEASES[0])) == rows

    def test_lines_that_are_no_rows_are_rejected_with_number_reason_and_bytes(self, mirror: Mirror) -> None:
        result = mirror.load([GOOD[0], b"too|few", GOOD[1], b"C9|nul\0|x|N|"])
        assert (result.report.rows, result.report.rejected) == (2, 2)
        assert mirror.production().total() == 2
        found = mirror.backend.run(
            "SELECT line_number, reason, {raw} FROM {rejected_row} ORDER BY line_number", raw=sql.Identifier("raw")
        )
        assert [number for number, _, _ in found] == [3, 5]
        assert all(reason for _, reason, _ in found)
        assert found[0][2] in (b"too|few", "too|few")
        assert mirror.backend.loads("rows_extracted", "rows_rejected") == [(2, 2)]

    def test_rejected_lines_are_kept_up_to_a_limit_and_all_of_them_counted(
        self, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(load, "MAX_REJECTED_ROWS", 3)
        result = mirror.load([GOOD[0], *[b"bad"] * 5])
        assert (result.report.rejected, result.rejected_left_out) == (5, 2)
        assert mirror.backend.loads("rows_rejected") == [(5,)]
        found = mirror.backend.run("SELECT line_number, reason FROM {rejected_row} ORDER BY line_number")
        assert [number for number, _ in found] == [3, 4, 5, 6]
        assert str(found[-1][1]).startswith("2 rejected lines from this one on were left out: of one load, 3 lines and")

    def test_a_value_too_wide_for_an_index_is_rejected_in_a_table_without_a_key(
        self, backend: Backend, tmp_path: Path
    ) -> None:
        mirror = Mirror(backend, tmp_path, HISTORY)
        result = mirror.load([b"C1\tC2\tMay", _random_text(10_000) + b"\tC2\tMay"])
        assert (result.report.rows, result.report.rejected) == (1, 1)
        assert mirror.production() == Counter([("C1", "C2", "May")])

    def test_a_closed_gate_leaves_production_as_it_was_until_it_is_opened(self, mirror: Mirror) -> None:
        mirror.load(GOOD)
        with pytest.raises(GatesClosedError, match="shrink from 50 to 20 rows"):
            mirror.load(GOOD[:20], release=RELEASES[1], limits=GateLimits())
        assert mirror.production().total() == 50
        assert mirror.backend.run("SELECT COUNT(*) FROM {staging}", NAMES) == [(30,)]  # the lines that would go
        assert mirror.backend.statuses() == ["succeeded", "failed"]
        mirror.load(GOOD[:20], release=RELEASES[1], limits=GateLimits(max_shrink_percent=61))
        assert mirror.production().total() == 20
        assert mirror.backend.leftovers([NAMES]) == []

    def test_no_limit_lets_a_file_without_a_row_empty_a_table(self, mirror: Mirror) -> None:
        for number, lines in enumerate(([], [b"bad"])):
            with pytest.raises(GatesClosedError, match="no setting lets a load empty a table") as error:
                mirror.load(lines)
            assert error.value.overrides == {}
            if not number:
                mirror.load(GOOD)
        assert mirror.production().total() == 50
        assert mirror.backend.statuses() == ["failed", "succeeded", "failed"]

    def test_a_file_in_another_encoding_closes_a_gate_and_changes_nothing(self, mirror: Mirror) -> None:
        mirror.load(GOOD)
        before = mirror.production()
        latin_1 = [line.replace(b"name", "Sjögren".encode("latin-1")) for line in GOOD]
        with pytest.raises(GatesClosedError, match=r"50 of 50 rows were repaired \(at most 20 or 0\.01 %\)") as error:
            mirror.load(latin_1, release=RELEASES[1], limits=GateLimits())
        assert mirror.production() == before
        limits = GateLimits(**error.value.overrides)  # type: ignore[arg-type]  # by name, as in YAML
        assert mirror.load(latin_1, release=RELEASES[1], limits=limits).counts.updated == 50


class RepairContract(Behaviour):
    """What others have done to a table is found by the next load, and put right."""

    mirror = FilesContract.mirror

    @pytest.mark.parametrize("content", ["changes", "stays"])
    def test_an_edit_by_hand_is_found_and_the_next_load_compares_all_and_heals_it(
        self, mirror: Mirror, content: str
    ) -> None:
        mirror.load(GOOD)
        for number, edit in enumerate(EDITS[1::2]):
            for statement in edit:
                mirror.backend.run(statement, NAMES)
            with mirror.backend.new_loader() as loader:
                last = last_of(loader, NAMES)
                assert not loader.is_as_left(NAMES, last), edit
                drift = loader.find_drift(NAMES)
            assert (drift.found, drift.expected_rows) == (True, len(GOOD)), edit
            assert drift.rows == mirror.production().total()
            lines = [*GOOD[:-1], b"C49|renamed %d|GTR|N|" % number] if content == "changes" else GOOD
            result = mirror.load(lines, release=f"2026-02-{number + 1:02}")
            assert result.strategy is Strategy.WAREHOUSE, edit
            assert result.strategy_reason.startswith("production is not as the last load left it: "), edit
            assert mirror.production() == _rows_of(lines), edit
        with mirror.backend.new_loader() as loader:
            assert not loader.find_drift(NAMES).found

    @pytest.mark.parametrize(("damage", "rows", "reason"), DAMAGES.values(), ids=DAMAGES)
    def test_production_that_others_have_damaged_is_repaired_by_the_next_load(
        self, mirror: Mirror, damage: tuple[LiteralString, ...], rows: Callable[[list[Row]], list[Row]], reason: str
    ) -> None:
        mirror.load(GOOD)
        changed = [*GOOD[:-1], b"C49|renamed|GTR|N|"]
        damaged = Counter(rows([*mirror.production().elements()]))
        enforced = mirror.backend.new_loader().capabilities.enforced_keys
        for statement in damage:
            if enforced or not statement.startswith("DROP INDEX"):
                mirror.backend.run(statement, NAMES)
        result = mirror.load(changed, release=RELEASES[1], limits=GateLimits())
        assert result.strategy_reason.startswith(f"production is not as the last load left it: {reason}")
        expected = _rows_of(changed)
        assert mirror.production() == expected
        counts = result.counts
        assert (counts.rows_before, counts.rows_after, counts.baseline) == (damaged.total(), 50, False)
        assert counts.unchanged == (damaged & expected).total()
        assert undone(mirror.backend, NAMES, mirror.production(), RELEASES[1]) == damaged
        later = mirror.load(changed[1:], release=RELEASES[2], limits=GateLimits())
        assert (later.strategy, later.counts.deleted, later.counts.by_key) == (Strategy.SNAPSHOT, 1, True)

    def test_another_table_put_in_the_place_of_one_that_loads_made_is_left_alone(self, mirror: Mirror) -> None:
        mirror.load(GOOD)
        mirror.backend.run("DROP TABLE {production}", NAMES)
        mirror.backend.run("CREATE TABLE {production} (mine INTEGER)", NAMES)
        mirror.backend.run("INSERT INTO {production} VALUES (7)", NAMES)
        with pytest.raises(LoaderError, match=r"names exists, but not as the catalog has it: missing .*Rename or drop"):
            mirror.load(GOOD, release=RELEASES[1])
        mirror.backend.run("DROP TABLE {production}", NAMES)  # what the message says
        assert mirror.load(GOOD, release=RELEASES[2]).counts.rows_after == len(GOOD)

    def test_a_table_that_no_load_made_is_taken_over_only_where_the_load_is_told_to(self, mirror: Mirror) -> None:
        mirror.load([b"C1|mine|||", b"X||||"])
        mirror.backend.run("DELETE FROM {load_run}")
        with pytest.raises(GatesClosedError, match=r"names exists, and no load of it is recorded") as refused:
            mirror.load(GOOD[:2], limits=GateLimits())
        assert [(gate.setting, gate.value) for gate in refused.value.closed] == [("take_over", True)]
        assert mirror.production() == Counter([("C1", "mine", None, None), ("X", None, None, None)])
        assert mirror.backend.statuses() == ["failed"]
        assert mirror.backend.leftovers([NAMES]) == []
        counts = mirror.load(GOOD[:2], take_over=True).counts
        assert (counts.inserted, counts.updated, counts.deleted) == (1, 1, 1)
        assert mirror.production() == Counter([("C0", "name 0", "GTR", "N"), ("C1", "name 1", "GTR", "N")])
        assert mirror.load(GOOD[:3], release=RELEASES[1]).counts.inserted == 1  # from now on it is the loads'

    def test_a_guard_that_no_load_has_written_makes_the_next_one_compare_everything(self, mirror: Mirror) -> None:
        mirror.load(GOOD)
        for guard in ("{", "[1]", '{"rows": 50}', "", '{"rows": 50, "checksum": "x"}'):
            mirror.backend.run("UPDATE {load_run} SET guard = {guard}", guard=sql.Literal(guard))
            with mirror.backend.new_loader() as loader, pytest.raises(LoaderError, match="guard in load_run"):
                loader.find_drift(NAMES)
        result = mirror.load(GOOD[1:], release=RELEASES[1])
        assert (result.strategy, result.counts.deleted, result.counts.unchanged) == (Strategy.WAREHOUSE, 1, 49)
        assert mirror.load(GOOD, release=RELEASES[2]).strategy is Strategy.SNAPSHOT

    def test_a_table_that_somebody_dropped_is_made_again(self, mirror: Mirror) -> None:
        mirror.load(GOOD)
        mirror.backend.run("DROP TABLE {production}", NAMES)
        result = mirror.load(GOOD, release=RELEASES[1])
        assert (result.counts.baseline, result.counts.inserted) == (True, 50)
        assert mirror.production().total() == 50


@needs(declares_text_width=True)
class TextWidthContract(Behaviour):
    """Columns with a width in bytes."""

    mirror = FilesContract.mirror

    def test_a_value_wider_than_its_column_is_rejected_with_column_and_width(self, mirror: Mirror) -> None:
        width = mirror.backend.new_loader().capabilities.text_bytes(NAMES.columns[1])
        assert width is not None
        fits = "é".encode() * (width // 2) + b"x" * (width % 2)
        result = mirror.load([b"C1|" + fits + b"||N|", b"C2|" + fits + b"x||N|"])
        assert (result.report.rows, result.report.rejected) == (1, 1)
        assert mirror.production() == Counter([("C1", fits.decode(), None, "N")])
        reason = f"name: {width + 1:,} bytes, the column has at most {width:,}"
        assert mirror.backend.run("SELECT line_number, reason FROM {rejected_row}") == [(3, reason)]


EDITS = (
    ("UPDATE {production} SET name = 'by hand' WHERE cui = 'C5'",),
    ("UPDATE {production} SET source = NULL WHERE cui = 'C5'",),
    ("DELETE FROM {production} WHERE cui = 'C5'",),
    ("INSERT INTO {production} VALUES ('C500', 'by hand', NULL, NULL)",),
    ("DELETE FROM {production} WHERE cui = 'C5'", "INSERT INTO {production} VALUES ('C5', 'x', 'y', 'N')"),
    (  # two rows swap a value: every sum over one column stays as it was
        "UPDATE {production} SET name = CASE cui WHEN 'C5' THEN 'name 6' ELSE 'name 5' END WHERE cui IN ('C5', 'C6')",
    ),
)


def _week(kind: str, number: int) -> tuple[tuple[str, ...], list[bytes], Counter[Row]]:
    """A release under a header of some kind: header names, lines, and the rows it means. Each renames one concept."""
    names = [f"name {concept}" if concept != number else f"renamed in {number}" for concept in range(9)]
    fields = [(f"C{concept}", name, "GTR", "N") for concept, name in enumerate(names)]
    headers, order, (source, suppress) = {
        "whole": (("CUI", "name", "source", "SUPPRESS"), (0, 1, 2, 3), ("GTR", "N")),
        "lacks": (("CUI", "name", "SUPPRESS"), (0, 1, 3), (None, "N")),
        "moved": (("SUPPRESS", "source", "name", "CUI"), (3, 2, 1, 0), ("GTR", "N")),
        "swapped": (("CUI", "name", "SUPPRESS", "source"), (0, 1, 2, 3), ("N", "GTR")),  # the lines of "whole"
        "renamed": (("cui", "NAME", "Source", "suppress"), (0, 1, 2, 3), ("GTR", "N")),
        "more": (("CUI", "name", "source", "LAT", "SUPPRESS"), (0, 1, 2, 2, 3), ("GTR", "N")),
    }[kind]
    lines = [b"".join(row[place].encode() + b"|" for place in order) for row in fields]
    return headers, lines, Counter((cui, name, source, suppress) for cui, name, _, _ in fields)


def _rows_of(lines: Sequence[bytes]) -> Counter[Row]:
    """The rows that plain lines of ``names`` mean."""
    return Counter(tuple(line.decode().split("|")[:-1]) for line in lines)


def _random_text(length: int) -> bytes:
    """Text that cannot be compressed to less than an index takes."""
    return "".join(random.Random(length).choices("0123456789abcdef", k=length)).encode()  # noqa: S311  # not secret


def _random_files(table: SourceTable, number: int, keys: int) -> list[list[bytes]]:
    """Releases of which each shares most lines with the one before, in another order; some lines are no rows.

    The third is the first again, so that a change is made and unmade. From the fourth on there are records that hold a
    line break, and lines that look like pieces of one.
    """
    generator = random.Random(f"{table.name} {keys}")  # noqa: S311  # repeatable, not secret
    delimiter = table.framing.delimiter

    def line() -> bytes:
        if generator.random() < 0.05:
            return generator.choice([b"nul\0" + delimiter, b"1" + delimiter * 7])
        kinds = [b"a", b"b", b"", b"\\N", b"c\rd", b"\xff", b"a "]
        if len(files) > 2:
            if generator.random() < 0.2:
                return generator.choice([b"bad", b"7" + delimiter, b"x" + delimiter])
            kinds += [b"a\nb", b"\n"]
        values = (generator.choice(kinds) for _ in table.columns[1:])
        return line_of(table, [b"%d" % generator.randrange(keys), *values])[:-1]

    files: list[list[bytes]] = []
    while len(files) < number:
        kept = [line for line in files[-1] if generator.random() < 0.97] if files else []
        files.append(list(files[-2]) if len(files) == 2 else kept + [line() for _ in range(8 if files else 200)])
        generator.shuffle(files[-1])
    return files
