"""Every kind of statement the Redshift loader sends, kept in a file, so that a change of one is seen in review.

``MEDGEN_REWRITE_GOLDEN=1 pytest -k golden`` writes the file again.
"""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import medgen_pipeline.loaders.redshift as redshift_package
import medgen_pipeline.loaders.sql as sql_package
from medgen_pipeline.catalog import ColumnType
from medgen_pipeline.catalog.query import Constant, Scratch
from medgen_pipeline.loaders import LoaderError, LoadStatus, Strategy, TableBusyError, dialect
from medgen_pipeline.loaders.records import LOADS_WITH_REJECTED_ROWS
from medgen_pipeline.loading.rollback import undo
from medgen_pipeline.rows.records import RejectedRow
from medgen_pipeline.testing import Mirror, canonical, load, start_of
from medgen_pipeline.testing.curated import made_by, published
from medgen_pipeline.testing.loads import HISTORY, MONDO
from medgen_pipeline_tests.gates.lexer import split
from medgen_pipeline_tests.loaders.redshift_support import ROLE, GatedRedshift
from medgen_pipeline_tests.redgate.plan import judge

# What all backends share is Redshift's too, but for a query in whose place it has one of its own, and for what other
# capabilities ask for: another way to delete, tables made before a transaction, publication table by table. A view's
# query is sent within another statement.
NOT_SENT = (
    "information_schema.columns",
    "DELETE FROM {production} WHERE EXISTS",
    "AS filled WHERE 1 = 0",
    "AS events) AS numbered",
    "DELETE FROM {feed} WHERE _load_id",
    "UPDATE {audit}.load_run SET status = {succeeded}, finished_at",
    "SELECT {chosen}, 1 FROM {production}",  # of a table whose feed a load of this version has yet to make
)
_VERB = re.compile(
    r"(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER TABLE|DROP TABLE|COPY \{|LOCK|SET|GRANT|REVOKE|COMMENT ON)"
    r"\b.*[ {]"
)
MANY = 50
GOLDEN = Path(__file__).with_name("redshift_statements.sql")


def normalised(statement: str) -> str:
    """Without what differs from run to run."""
    statement = re.sub(r"\b[0-9a-f]{16}\b", "DIGEST", re.sub(r"\b\d{17,}\b", "LOAD_ID", statement))
    return statement.replace("\t", "<TAB>")


def send_everything(redshift: GatedRedshift, home: Path) -> None:
    """Loads that take every turn: by key and by row, both strategies, all ways of publishing, history, lock."""
    one, two, other = ("M1", "C1", "Jan", "0"), ("M1", "C1", "Jan", "1"), ("M2", "C2", "Jan", "1")
    load(redshift.new_loader(), MONDO, [one, other])
    load(redshift.new_loader(), MONDO, [two, other], "2026-01-14")
    load(redshift.new_loader(), MONDO, [one, two, other, one], "2026-01-21")
    load(redshift.new_loader(), MONDO, [one], "2026-01-28")
    make_a_curated_table(redshift)
    load(redshift.new_loader(iam_role=""), HISTORY, [])
    mirror = Mirror(redshift, home, HISTORY)
    mirror.load([b"C1\tC2\tJan", b"C1\tC2\tJan", b"C3\t\tJan"])
    mirror.load([b"C1\tC2\tJan", b"C4\t\tFeb"], release="2026-01-14")
    with redshift.new_loader() as loader:
        second = loader.last_load(HISTORY)
    mirror.load([b"C1\tC2\tJan", b"C4\t\tFeb", b"bad"], release="2026-01-21")
    assert second is not None
    undo(redshift.new_loader(), HISTORY, second)
    with redshift.new_loader() as loader, redshift.new_loader(lock_timeout_seconds=0.01) as waiting:
        loader.find_drift(HISTORY)
        list(loader.read_changes(HISTORY, "2026-01-07", "2026-01-14"))
        list(loader.read_as_of(HISTORY, "2026-01-07"))
        loader.count_changes(HISTORY, second, second)
        list(loader.read(HISTORY, ["previous_cui"], {"current_cui": "C2"}))
        list(loader.read(HISTORY, ["previous_cui"], {"current_cui": "C2"}, "2026-01-07"))
        loader.log_run_start(start_of(MONDO))
        with pytest.raises(TableBusyError):
            waiting.log_run_start(start_of(MONDO))
        for lines in (
            [b"+\t" + canonical([other]), b"-\t" + canonical([one])],
            [b"+\t" + canonical([other]), b"+\t" + canonical([two])],  # a key that is there
        ):
            loader.initialize_staging(MONDO, Strategy.SNAPSHOT)
            loader.bulk_load(MONDO.name, iter(lines))
            loader.execute_cdc(MONDO)
        for _ in range(LOADS_WITH_REJECTED_ROWS + 1):
            loader.log_rejected_rows(loader.log_run_start(start_of(MONDO)), [RejectedRow(2, "x", b"y")])
        loader.log_run_finish(loader.log_run_start(start_of(MONDO)), LoadStatus.FAILED, "why")
    change_the_catalog(redshift)


def change_the_catalog(redshift: GatedRedshift) -> None:
    """Columns come, grow, become text and numbers; a row is refused."""
    narrow = replace(HISTORY.columns[0], max_bytes=60)
    number = replace(HISTORY.columns[2], type=ColumnType.INTEGER)
    first = replace(HISTORY, name="growing", columns=(narrow, number))
    second = replace(first, columns=(replace(narrow, max_bytes=64), HISTORY.columns[1], HISTORY.columns[2]))
    load(redshift.new_loader(), first, [("C1", 1)])
    load(redshift.new_loader(), first, [("C1", 2)], "2026-01-14")
    # What somebody has damaged, in an installation of an earlier version.
    redshift.direct("COMMENT ON TABLE medgen_audit.load_run IS NULL")
    redshift.direct(f"ALTER TABLE medgen.growing DROP {number.name}, ADD {number.name} varchar(9)")
    with redshift.new_loader() as loader:
        loader.find_drift(first)
    load(redshift.new_loader(), first, [("C1", 2)], "2026-01-17")
    with redshift.new_loader() as loader:
        loader.initialize_staging(first)
        with pytest.raises(LoaderError, match="Invalid digit"):
            loader.bulk_load(first.name, iter([b"C1\tseven\n"]))
    load(redshift.new_loader(), second, [("C1", None, "x")], "2026-01-21")
    load(redshift.new_loader(), second, [("C1", None, "y")], "2026-01-28")
    load(redshift.new_loader(), replace(second, columns=(*second.columns[:2], number)), [("C1", None, 4)], "2026-01-31")


def make_a_curated_table(redshift: GatedRedshift) -> None:
    """A query with a scratch table that grows, a constant, a parameter and a feed; staged and read."""
    scratch = Scratch("held", "SELECT cui FROM {mondo_cui_history}", ("DELETE FROM {held} WHERE cui IN ({unwanted})",))
    table = made_by(
        "SELECT held.cui, words.number FROM {held} AS held JOIN {words} AS words ON words.word = held.cui"
        " UNION ALL SELECT cui, _load_id FROM {changes_of_mondo_cui_history} AS change WHERE 1 = 0",
        scratch=[scratch],
        constants=[Constant("words", ("word", "number"), (("C1", 1),))],
    )
    table = replace(table, query=replace(table.query, parameters={"unwanted": ("C2", "C3")}))
    assert published(redshift, table)[0] == redshift.direct("SELECT count(*) FROM medgen.made_up")[0][0]
    with redshift.new_loader() as loader:
        loader.read_query(table.query, 3)


def templates() -> Iterator[str]:
    """Every text in the loader's modules that is a statement, with its braces and its signs for values."""
    folders = [Path(str(module.__file__)).parent for module in (redshift_package, sql_package)]
    for path in (Path(dialect.__file__), *(path for folder in folders for path in folder.glob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _VERB.match(node.value):
                yield node.value


def test_every_statement_of_the_loaders_modules_is_in_the_golden_file() -> None:
    statements = [" ".join(statement.split()) for statement in GOLDEN.read_text().split(";\n\n")]
    found = [template for template in templates() if not any(words in template for words in NOT_SENT)]
    assert len(found) > MANY
    for template in found:
        pieces = re.split(r"\{\w*\}|%s", " ".join(template.split()))
        assert any(has_in_order(statement, pieces) for statement in statements), template


def has_in_order(statement: str, pieces: list[str]) -> bool:
    """Whether the statement begins with the first piece, and the others follow."""
    at = 0
    for number, piece in enumerate(pieces):
        found = statement.find(piece, at)
        if found < 0 or (not number and found):
            return False
        at = found + len(piece)
    return True


def test_every_statement_of_the_golden_file_is_one_that_redshift_runs() -> None:
    """By sqlfluff's Redshift dialect and the gate's rules, which refuse by raising."""
    for text in GOLDEN.read_text().removesuffix(";\n").split(";\n\n"):
        (statement,) = split(text.replace("<TAB>", "\t"))
        judge(statement)


def test_the_golden_file_holds_every_statement_that_is_sent(redshift: GatedRedshift, tmp_path: Path) -> None:
    """The gate has accepted each: it parses with sqlfluff's Redshift dialect and breaks no rule of Redshift's."""
    send_everything(redshift, tmp_path)
    statements = sorted({normalised(statement.sql) for statement in redshift.gate.log.statements})
    text = ";\n\n".join(statements) + ";\n"
    assert ROLE in text
    if os.environ.get("MEDGEN_REWRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
