"""What an error of a PostgreSQL-like server means for a load, by SQLSTATE: whether a retry can help, and the remedy.

Data only, but for the look-up. A driver's class of exception is no guide: ``OperationalError`` of DB-API holds a broken
connection and a full disk alike. https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders.records import LoaderError, LostConnectionError, TableBusyError, WarehouseBusyError


@dataclass(frozen=True)
class Failure:
    """One kind of error.

    Attributes:
        sqlstate: The code, or its first two characters for a whole class.
        error: What is raised: transient where a later attempt may succeed with nothing changed.
        remedy: What to do next, in sentences; ``{connections}`` is what one load needs.
        says: Words of the message or its hint, where the code alone does not tell.
    """

    sqlstate: str
    error: type[MedgenError]
    remedy: str = ""
    says: str = ""


TOO_MANY_CONNECTIONS = (
    "A load needs {connections} connections at the same time. Raise the limit (of the server, the database, the role "
    "or the pool), or let fewer loads run at a time."
)

# The first that fits counts. "57014" comes of statement_timeout or of somebody's cancel, and only the words tell.
FAILURES: tuple[Failure, ...] = (
    Failure("08", LostConnectionError),
    Failure("25006", LoaderError, "The server or the role may only read."),
    Failure("25P03", LostConnectionError),
    Failure("25P04", LostConnectionError),
    Failure("28", LoaderError, "Check the DSN."),
    Failure("3D000", LoaderError, "Check the DSN."),
    Failure("40", WarehouseBusyError, "Others were in the way; nothing of this was kept. Load again."),
    Failure("53100", LoaderError, "Free disk space on the server, then load again; nothing of this was kept."),
    Failure("53200", WarehouseBusyError, "The server is short of memory: let fewer loads run at a time."),
    Failure("53300", WarehouseBusyError, TOO_MANY_CONNECTIONS),
    Failure("53400", LoaderError, "Raise that limit for the role of the DSN, then load again."),
    Failure("54", LoaderError, "A limit of the server itself: what the message names must become smaller."),
    Failure("55006", WarehouseBusyError, "Another session uses it. End that session, or load again later."),
    Failure(
        "55P03",
        TableBusyError,
        "Another session has kept the table locked for longer than this load waits. End that session, or load again "
        "later.",
    ),
    Failure(
        "57014",
        LoaderError,
        "The loader switches statement_timeout off; a function or a rule of the server has set it again.",
        says="statement timeout",
    ),
    Failure("57014", WarehouseBusyError, "Somebody has cancelled the statement. Load again."),
    Failure("57P04", LoaderError, "The database was dropped. Check the DSN."),
    Failure("57", LostConnectionError, "The server or an administrator has ended the session. Load again."),
)


# libpq gives no SQLSTATE before a session exists, so the wording is all there is.
REFUSALS: tuple[Failure, ...] = (
    *(
        Failure("", WarehouseBusyError, TOO_MANY_CONNECTIONS, says)
        for says in ("too many clients", "too many connections", "remaining connection slots")
    ),
    # ALLOW_CONNECTIONS false, as an administrator sets it for a while.
    Failure("", WarehouseBusyError, "Load again once it is open.", "not currently accepting connections"),
    *(
        Failure("", LoaderError, "Check sslmode, sslrootcert, sslcert and sslkey in the DSN.", says)
        for says in ("certificate", "root.crt", "does not support SSL")
    ),
    *(
        Failure("", LoaderError, "Check the DSN.", says)
        for says in (
            "authentication failed",
            "does not exist",
            "pg_hba.conf",
            "not permitted",
            "permission denied",
            "no password",
            "invalid",  # sslmode, port, channel_binding ...
            "Servname not supported",  # a port that is no number, as glibc's getaddrinfo puts it
        )
    ),
)


class Diagnosis(Protocol):
    """What a server says of an error."""

    @property
    def message_primary(self) -> str | None:
        """What happened."""

    @property
    def message_hint(self) -> str | None:
        """What might help."""


class ServerError(Protocol):
    """An error of a driver, as psycopg has it."""

    @property
    def sqlstate(self) -> str | None:
        """The server's code; None where the driver itself has failed."""

    @property
    def diag(self) -> Diagnosis:
        """What the server says."""


def failure_of(error: ServerError, failures: Iterable[Failure] = FAILURES) -> Failure:
    """The kind of ``error``; one that is not listed is permanent, an OperationalError without a code a lost connection.

    Args:
        error: Of the driver.
        failures: The kinds a backend knows, the more special first.
    """
    code = error.sqlstate
    if code is None:
        is_lost = any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)  # as DB-API names it
        return Failure("", LostConnectionError if is_lost else LoaderError)
    said = f"{error.diag.message_primary or error} {error.diag.message_hint or ''}"
    fitting = (known for known in failures if code.startswith(known.sqlstate) and known.says in said)
    return next(fitting, Failure(code, LoaderError))


def refusal_of(error: Exception, refusals: Iterable[Failure] = REFUSALS) -> Failure | None:
    """Why a server has not let in, or None where it was not reached, or is starting or stopping."""
    return next((known for known in refusals if known.says in str(error)), None)
