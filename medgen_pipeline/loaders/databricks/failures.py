"""What an error of Databricks or of its connector means for a load: whether a retry can help, and the remedy."""

import re
from dataclasses import dataclass

import urllib3

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders.records import LoaderError, LostConnectionError, WarehouseBusyError

GRANTS = (
    "docs/databricks.md lists what the user needs: USE CATALOG, CREATE SCHEMA or the five schemas, and in them USE "
    "SCHEMA, CREATE TABLE, CREATE VOLUME, SELECT, MODIFY, READ VOLUME and WRITE VOLUME."
)


@dataclass(frozen=True)
class Failure:
    """One kind of error.

    Attributes:
        says: A pattern of the message; ``[CONDITION]`` and ``SQLSTATE: 12345`` are in it.
        error: What is raised: transient where a later attempt may succeed with nothing changed.
        remedy: What to do next, in sentences.
    """

    says: str
    error: type[MedgenError]
    remedy: str = ""


# Error conditions: https://docs.databricks.com/aws/en/error-messages/
_CONFLICT = re.compile(r"\[DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)|Concurrent\w+Exception|2D521|40001")
_GONE = re.compile(r"Invalid ?Session|session (was|is|has been) (already )?closed|INVALID_HANDLE", re.IGNORECASE)
_DONE = re.compile(
    r"_ALREADY_EXISTS|_NOT_FOUND|UNRESOLVED_COLUMN|SQLSTATE: (42P0[17]|42704|42703|42711|42710)"
    r"|Staging operation over HTTP was unsuccessful: 404"
)
# The first that fits counts.
_FAILURES: tuple[Failure, ...] = (
    Failure(r"INSUFFICIENT_(PERMISSIONS|PRIVILEGES)|PERMISSION_DENIED|SQLSTATE: 42501", LoaderError, GRANTS),
    Failure(r"catalog.?[Mm]anaged|catalog commits", LoaderError, "A table of the load needs catalog commits."),
    Failure(r"Staging operation over HTTP was unsuccessful: (403|404)", LoaderError, GRANTS),
    Failure(r"Staging operation over HTTP was unsuccessful", LostConnectionError),
    Failure(r"CANCEL|SQLSTATE: 57", WarehouseBusyError, "Somebody has cancelled the statement. Load again."),
    Failure(r"QUOTA|RESOURCE|OUT_OF_MEMORY|SQLSTATE: 53", WarehouseBusyError, "The warehouse is short of something."),
    Failure(r"SQLSTATE: 08", LostConnectionError),
)
# What HTTP says in place of an answer.
_REQUESTS: tuple[Failure, ...] = (
    Failure(
        r"[Tt]oken|[Uu]nauthenticated|[Uu]nauthori[sz]ed|\b40[13]\b|[Ff]orbidden",
        LoaderError,
        "Check the DSN's token or secret.",
    ),
    Failure(r"\b404\b|[Nn]ot [Ff]ound", LoaderError, "Check host and HTTP path in the DSN."),
    Failure(r"\b(429|503)\b", WarehouseBusyError, "Load again later, or let fewer loads run at a time."),
    Failure(r"CERTIFICATE_VERIFY_FAILED", LoaderError, "tls_ca_file in the DSN names authorities to trust."),
)


class StatementError(Exception):
    """A statement that failed, as the connector tells it.

    Attributes:
        lost: Whether its answer was lost: it may have been executed.
        gone: Whether the session has ended.
    """

    def __init__(self, message: str, *, lost: bool = False, gone: bool = False, failures: tuple[Failure, ...]) -> None:
        """Remember what was said."""
        super().__init__(message)
        self.lost, self.gone, self._failures = lost, gone, failures

    @property
    def is_conflict(self) -> bool:
        """Whether others were in the way: the statement, or its transaction, may be tried again."""
        return _CONFLICT.search(str(self)) is not None

    @property
    def is_done(self) -> bool:
        """Whether a statement that was sent again fails because it was executed the first time."""
        return _DONE.search(str(self)) is not None

    def as_error(self, doing: str) -> MedgenError:
        """The contract's error."""
        if self.lost or self.gone:
            return LostConnectionError(f"{doing}: {self}")
        if self.is_conflict:
            return WarehouseBusyError(f"{doing}: {self}. Others were in the way; nothing was kept. Load again.")
        known = next((one for one in self._failures if re.search(one.says, str(self))), Failure("", LoaderError))
        return known.error(f"{doing}: {self}{known.remedy and f' {known.remedy}'}")


def error_of(error: BaseException) -> StatementError:
    """What an error of the driver, or of the network below it, says."""
    message = " ".join(str(error).split())
    if isinstance(error, urllib3.exceptions.HTTPError | OSError):
        refused = next((one for one in _REQUESTS if one.error is LoaderError and re.search(one.says, message)), None)
        return StatementError(message, lost=refused is None, failures=_REQUESTS)
    if type(error).__name__ in {"RequestError", "MaxRetryDurationError", "NonRecoverableNetworkError"}:
        code = str(getattr(error, "context", {}).get("http-code") or "")
        said = f"{message} HTTP {code}" if code and code != "200" else message
        known = any(re.search(one.says, said) for one in _REQUESTS)
        return StatementError(said, lost=not known, failures=_REQUESTS)
    gone = type(error).__name__ == "SessionAlreadyClosedError" or bool(_GONE.search(message))
    return StatementError(message, gone=gone, failures=_FAILURES)
