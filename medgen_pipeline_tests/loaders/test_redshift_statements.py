"""Every kind of statement the Redshift loader sends, kept in a file, so that a change of one is seen in review.

``MEDGEN_REWRITE_GOLDEN=1 pytest -k golden`` writes the file anew.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.loaders import ApplyMode, Strategy, TableBusyError
from medgen_pipeline_tests.loaders.redshift_support import ROLE, Mirror, Warehouse
from medgen_pipeline_tests.loaders.support import Row, canonical, load, start_of

GOLDEN = Path(__file__).with_name("redshift_statements.sql")
MONDO, HISTORY = table_by_name("mondo_cui_history"), table_by_name("medgen_cui_history")


def normalised(statement: str) -> str:
    """Without what differs from run to run."""
    return re.sub(r"\b\d{17,}\b", "LOAD_ID", statement).replace("\t", "<TAB>")


def send_everything(warehouse: Warehouse, home: Path) -> None:
    """Loads that take every turn: by key and by row, both strategies, all ways of publishing, history, lock."""
    warehouse.query("DROP ROLE IF EXISTS golden_reader")
    warehouse.query("CREATE ROLE golden_reader LOGIN")
    one, two, other = ("M1", "C1", "Jan", "0"), ("M1", "C1", "Jan", "1"), ("M2", "C2", "Jan", "1")
    load(warehouse.new_loader(), MONDO, [one, other])
    load(warehouse.new_loader(), MONDO, [two, other], "2026-01-14")
    warehouse.query("GRANT SELECT ON medgen.mondo_cui_history TO golden_reader WITH GRANT OPTION")
    for release, config, rows in (
        ("2026-01-21", {"swap": "rename"}, [one, two, other, one]),
        ("2026-01-28", {"swap": "strict"}, [one]),
    ):
        publish_by_swap(warehouse, config, release, rows)
    load(warehouse.new_loader(iam_role=""), HISTORY, [])
    mirror = Mirror(warehouse, home, HISTORY)
    mirror.load([b"C1\tC2\tJan", b"C1\tC2\tJan", b"C3\t\tJan", b"bad"])
    mirror.load([b"C1\tC2\tJan", b"C4\t\tFeb"], release="2026-01-14")
    mirror.load([b"C1\tC2\tJan", b"C4\t\tFeb"], release="2026-01-21")
    with warehouse.new_loader() as loader, warehouse.new_loader(lock_timeout_seconds=0.01) as waiting:
        loader.find_drift(HISTORY)
        list(loader.read_changes(HISTORY, "2026-01-07", "2026-01-14"))
        list(loader.read_as_of(HISTORY, "2026-01-07"))
        loader.log_run_start(start_of(MONDO))
        with pytest.raises(TableBusyError):
            waiting.log_run_start(start_of(MONDO))
        loader.initialize_staging(MONDO, Strategy.SNAPSHOT)
        loader.bulk_load(MONDO.name, iter([b"+\t" + canonical([other]), b"-\t" + canonical([one])]))
        loader.execute_cdc(MONDO)


def publish_by_swap(warehouse: Warehouse, config: dict[str, str], release: str, rows: Sequence[Row]) -> None:
    with warehouse.new_loader(**config) as loader:
        loader.log_run_start(start_of(MONDO, release))
        loader.initialize_staging(MONDO)
        loader.bulk_load(MONDO.name, iter([canonical(rows)]))
        loader.execute_cdc(MONDO)
        loader.can_swap(MONDO)
        loader.apply_changes(MONDO, ApplyMode.SWAP)
        loader.cleanup(MONDO)


def test_the_golden_file_holds_every_statement_that_is_sent(warehouse: Warehouse, tmp_path: Path) -> None:
    """The gate has accepted each: it parses with sqlfluff's Redshift dialect and breaks no rule of Redshift's."""
    try:
        send_everything(warehouse, tmp_path)
    finally:
        warehouse.query("DROP OWNED BY golden_reader; DROP ROLE golden_reader")
    statements = sorted({normalised(statement.sql) for statement in warehouse.gate.log.statements})
    text = ";\n\n".join(statements) + ";\n"
    assert ROLE in text
    if os.environ.get("MEDGEN_REWRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
