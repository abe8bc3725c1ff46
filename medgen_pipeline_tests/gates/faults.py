"""Faults that a test orders, and the log of what clients sent. Both are shared by all sessions of a gate."""

import re
import threading
from dataclasses import dataclass, field
from enum import Enum, auto


class Drop(Enum):
    """When the connection is cut. After means: the statement took effect, and the client never learns it."""

    BEFORE = auto()
    AFTER = auto()


@dataclass
class Fault:
    """What happens to statements that match.

    Attributes:
        pattern: Regular expression, searched in the statement as sent, case ignored.
        drop: Cut the connection.
        error: Refuse with this error.
        seconds: Wait this long first; a cancel or statement_timeout ends the wait.
        skip: Let as many matching statements pass before.
        times: How often it strikes; None means always.
    """

    pattern: str
    drop: Drop | None = None
    error: Exception | None = None
    seconds: float = 0.0
    skip: int = 0
    times: int | None = 1

    def strikes(self, sql: str) -> bool:
        """Whether this statement suffers; counts it."""
        if self.times == 0 or not re.search(self.pattern, sql, re.IGNORECASE | re.DOTALL):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times = None if self.times is None else self.times - 1
        return True


@dataclass(frozen=True)
class LoggedStatement:
    """A statement as sent, its bound values, and the number of the session that sent it."""

    sql: str
    parameters: tuple[str, ...]
    session: int


@dataclass
class StatementLog:
    """All statements in the order of their arrival."""

    statements: list[LoggedStatement] = field(default_factory=list)
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    def add(self, statement: LoggedStatement) -> None:
        """Note a statement and wake who waits for it."""
        with self._arrived:
            self.statements.append(statement)
            self._arrived.notify_all()

    def matching(self, pattern: str) -> list[str]:
        """Texts of the statements in which the pattern is found, case ignored."""
        compiled = re.compile(pattern, re.IGNORECASE | re.DOTALL)
        return [statement.sql for statement in list(self.statements) if compiled.search(statement.sql)]

    def wait_for(self, pattern: str, timeout: float = 30.0) -> None:
        """Block until a matching statement has arrived; TimeoutError if none does."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self.matching(pattern), timeout):
                raise TimeoutError(f"no statement matching {pattern!r} arrived within {timeout} s")

    def clear(self) -> None:
        """Forget all statements."""
        with self._arrived:
            self.statements.clear()


@dataclass
class FaultPlan:
    """The ordered faults and the log, used by the threads of all sessions."""

    log: StatementLog = field(default_factory=StatementLog)
    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, fault: Fault) -> None:
        """Add a fault; of several that match a statement the first ordered strikes."""
        with self._lock:
            self._faults.append(fault)

    @property
    def is_calm(self) -> bool:
        """Whether no fault may strike any more."""
        with self._lock:
            return all(fault.times == 0 for fault in self._faults)

    def clear(self) -> None:
        """Order no faults any more."""
        with self._lock:
            self._faults.clear()

    def arrived(self, statement: LoggedStatement) -> Fault | None:
        """Log a statement; the fault that strikes it, if one does."""
        struck = self.struck(statement.sql)
        self.log.add(statement)
        return struck

    def struck(self, text: str) -> Fault | None:
        """The fault that strikes what is no statement, and is not logged."""
        with self._lock:
            return next((fault for fault in self._faults if fault.strikes(text)), None)
