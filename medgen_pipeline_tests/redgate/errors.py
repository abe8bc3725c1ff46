"""What the gate refuses, and how a PostgreSQL error reads on Redshift. Nothing about the wire's bytes is here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

DOCUMENTATION = "https://docs.aws.amazon.com/redshift/latest/dg/"
INTERNAL_ERROR = "XX000"


class GateError(Exception):
    """An error to send to the client, in the words of Redshift.

    Attributes:
        message: The primary message.
        sqlstate: Five characters; Redshift uses XX000 for nearly all that fails after parsing.
        detail: Second part, where Redshift sends one.
        hint: The gate's own words: which rule refused, and AWS's page about it.
    """

    def __init__(self, message: str, sqlstate: str = INTERNAL_ERROR, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.sqlstate, self.detail, self.hint = message, sqlstate, detail, hint


class RefusedError(GateError):
    """A statement that Redshift would not run, or that this gate does not know how to run."""

    def __init__(self, rule: str, message: str, page: str, sqlstate: str = "0A000") -> None:
        super().__init__(message, sqlstate, hint=f"redgate rule {rule}: {DOCUMENTATION}{page}.html")
        self.rule, self.page = rule, page


class LoadFailedError(GateError):
    """A COPY that loads nothing: AWS's load error number and the words Redshift puts into the detail."""

    def __init__(self, message: str, code: int = 8001) -> None:
        rule = "-" * 47
        detail = f"\n  {rule}\n  error:  {message}\n  code:      {code}\n  context:   redgate\n  {rule}\n"
        super().__init__(message, detail=detail)
        self.code = code


def not_emulated(what: str, page: str) -> RefusedError:
    """Redshift accepts it, the gate does not: refusing is safe, guessing is not."""
    return RefusedError("not-emulated", f"redgate does not emulate {what}", page)


def syntax_error(near: str, page: str) -> RefusedError:
    """What the parser says of an unexpected word; without a word, of an unexpected end."""
    where = f'at or near "{near}"' if near else "at end of input"
    return RefusedError("syntax", f"syntax error {where}", page, "42601")


def serialization_conflict() -> GateError:
    """Error 1023, as a cluster reports it when two transactions cannot be put in an order."""
    cycle = "transactions forming the cycle are: 4711, 4712 (pid:1)"
    return GateError("1023", detail=f"Serializable isolation violation on table - 100001, {cycle}")


def _conflict(fields: Mapping[str, str]) -> GateError:
    del fields
    return serialization_conflict()


def _too_long(fields: Mapping[str, str]) -> GateError | None:
    if fields.get("C") == "23514" and not fields.get("n", "").startswith(BYTES_CONSTRAINT):
        return None
    return GateError("Value too long for character type")


def _null(fields: Mapping[str, str]) -> GateError:
    return GateError(f"Cannot insert a NULL value into column {fields.get('c', '')}")


def _several_matches(fields: Mapping[str, str]) -> GateError | None:
    return GateError("Found multiple matches to update the same tuple.") if "MERGE" in fields.get("M", "") else None


def _cancelled(fields: Mapping[str, str]) -> GateError:
    del fields
    return GateError("Query (4711) cancelled on user's request", "57014")


# CHECK constraints that stand for Redshift's byte lengths start with this name.
BYTES_CONSTRAINT = "redgate_bytes_"

# PostgreSQL's SQLSTATE -> what Redshift says instead; a None leaves PostgreSQL's words.
_TRANSLATIONS: Mapping[str, Callable[[Mapping[str, str]], GateError | None]] = MappingProxyType(
    {
        "40001": _conflict,
        "22001": _too_long,
        "23514": _too_long,
        "23502": _null,
        "21000": _several_matches,
        "57014": _cancelled,
    }
)


def translated(fields: Mapping[str, str]) -> GateError:
    """A PostgreSQL error, given by the letters of its wire fields, as Redshift would report it."""
    translate = _TRANSLATIONS.get(fields.get("C", ""))
    error = translate(fields) if translate else None
    return error or GateError(
        fields.get("M", ""), fields.get("C", INTERNAL_ERROR), fields.get("D", ""), fields.get("H", "")
    )
