"""Sessions and transactions: which statement runs in which unit of work, and when that is committed."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from medgen_pipeline_tests.dbxgate import rules
from medgen_pipeline_tests.dbxgate.allowlist import IN_TRANSACTION
from medgen_pipeline_tests.dbxgate.catalog import Catalog, Unit
from medgen_pipeline_tests.dbxgate.engine import Engine, Running
from medgen_pipeline_tests.dbxgate.errors import DOCUMENTATION, GateError
from medgen_pipeline_tests.dbxgate.execution import Answer, Execution
from medgen_pipeline_tests.dbxgate.reading import Reading, lex, read
from medgen_pipeline_tests.dbxgate.volumes import Volumes

_NUMBERS = itertools.count(1)


@dataclass
class Session:
    """One client's.

    Attributes:
        unit: The transaction that is open.
        autocommit: Whether each statement is one of its own.
        aborted: Whether the transaction has failed, and can only be rolled back.
        number: In the log.
    """

    unit: Unit | None = None
    autocommit: bool = True
    aborted: bool = False
    number: int = field(default_factory=lambda: next(_NUMBERS))


@lru_cache(maxsize=2048)
def understood(text: str) -> Reading:
    """A statement that the rules let through, read."""
    statement = lex(text)
    rules.check(statement)
    return read(statement)


def _refused(condition: str, message: str, sqlstate: str, page: str) -> GateError:
    return GateError(condition, message, sqlstate, f" ({DOCUMENTATION}{page})")


class Warehouse:
    """Executes statements of all sessions."""

    def __init__(self, root: Path, address: str, engine: Engine) -> None:
        self.engine = engine
        self.catalog = Catalog(root)
        self.volumes = Volumes(root, self.catalog, address)

    def execute(
        self, session: Session, text: str, values: Mapping[str, str] | Sequence[str], running: Running
    ) -> Answer:
        """Run a statement of a session."""
        reading = understood(text)
        if reading.kind in ("begin", "commit", "rollback", "autocommit"):
            return self._transaction(session, reading)
        if session.unit is None and not session.autocommit:
            session.unit = self.catalog.begin()
        if session.unit is None:
            return self._alone(reading, values, running)
        if session.aborted:
            raise _refused(
                "TRANSACTION_ABORTED",
                "The transaction has failed: ROLLBACK first.",
                "25000",
                "sql/language-manual/sql-ref-syntax-txn-rollback",
            )
        try:
            if reading.kind not in IN_TRANSACTION:
                raise _refused(
                    "TRANSACTION_NOT_SUPPORTED.COMMAND",
                    f"Command {reading.kind} is not supported in a transaction."
                    " Only SELECT / INSERT / MERGE / UPDATE / DELETE are supported.",
                    "0A000",
                    "error-messages/transaction-not-supported-error-class",
                )
            return self._in(session.unit, reading, values, running)
        except GateError:
            session.aborted = True
            raise

    def _in(self, unit: Unit, reading: Reading, values: Mapping[str, str] | Sequence[str], running: Running) -> Answer:
        answer = Execution(self.catalog, self.engine, self.volumes, unit, reading, values, running).run()
        if unmanaged := [name for name, table in unit.written.items() if not table.managed]:
            raise _refused(
                "TRANSACTION_NOT_SUPPORTED.TABLE_WITHOUT_CATALOG_COMMITS",
                f"{unmanaged} cannot be written in a transaction.",
                "0A000",
                "tables/features/catalog-commits",
            )
        return answer

    def _transaction(self, session: Session, reading: Reading) -> Answer:
        page = f"sql/language-manual/{reading.page}"
        if reading.kind == "autocommit":
            if session.unit is not None:
                raise _refused("AUTOCOMMIT_IN_TRANSACTION", "A transaction is active.", "25001", page)
            session.autocommit = reading.lexed.shape.endswith("TRUE")
        elif reading.kind == "begin":
            if session.unit is not None:
                nested = "TRANSACTION_NOT_SUPPORTED.NESTED_TRANSACTION"
                raise _refused(nested, "A transaction is active already.", "0A000", page)
            session.unit, session.aborted = self.catalog.begin(), False
        elif reading.kind == "rollback":
            session.unit, session.aborted = None, False
        else:
            if session.unit is None:
                raise _refused("NO_ACTIVE_TRANSACTION", "There is nothing to commit.", "25000", page)
            if session.aborted:
                raise _refused("TRANSACTION_ABORTED", "The transaction has failed: ROLLBACK first.", "25000", page)
            try:
                self.catalog.commit(session.unit)
            except GateError:
                session.aborted = True
                raise
            session.unit = None
        return Answer()

    def _alone(self, reading: Reading, values: Mapping[str, str] | Sequence[str], running: Running) -> Answer:
        """Autocommit. An append that reads no table never conflicts under WriteSerializable, so it is tried again."""
        blind = reading.kind == "copy" or (reading.kind == "insert" and len(reading.places) == 1)
        while True:
            unit = self.catalog.begin()
            answer = Execution(self.catalog, self.engine, self.volumes, unit, reading, values, running).run()
            running.check()
            try:
                self.catalog.commit(unit)
            except GateError:
                if not blind:
                    raise
            else:
                return answer
