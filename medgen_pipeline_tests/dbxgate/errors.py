"""What the gate refuses, and how an error of the engine reads on Databricks."""

import re

DOCUMENTATION = "https://docs.databricks.com/aws/en/"


class GateError(Exception):
    """An error to send to the client, in the words of Databricks.

    Attributes:
        condition: The error condition, as the vendor's list of them has it.
        sqlstate: Five characters.
    """

    def __init__(self, condition: str, message: str, sqlstate: str = "42000", hint: str = "") -> None:
        super().__init__(f"[{condition}] {message} SQLSTATE: {sqlstate}{hint}")
        self.condition, self.sqlstate = condition, sqlstate


class RefusedError(GateError):
    """A statement that Databricks would not run, or that this gate does not know how to run."""

    def __init__(self, rule: str, message: str, page: str, sqlstate: str = "42601") -> None:
        condition = "PARSE_SYNTAX_ERROR" if sqlstate == "42601" else "UNSUPPORTED_FEATURE"
        super().__init__(condition, message, sqlstate, f" (dbxgate rule {rule}: {DOCUMENTATION}{page})")
        self.rule, self.page = rule, page


def not_emulated(what: str, page: str) -> RefusedError:
    """Databricks accepts it, the gate does not: refusing is safe, guessing is not."""
    return RefusedError("not-emulated", f"dbxgate does not emulate {what}", page, "0A000")


def concurrent(what: str) -> GateError:
    """Somebody else has committed to a table that the transaction has read or written."""
    return GateError(
        "DELTA_CONCURRENT_WRITE",
        f"ConcurrentWriteException: {what} was changed by another transaction since this one began.",
        "2D521",
        f" ({DOCUMENTATION}optimizations/isolation-level)",
    )


# Beginning of the engine's words -> condition and SQLSTATE on Databricks.
_TRANSLATIONS = (
    ("MERGE_CARDINALITY_VIOLATION", "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE", "21506"),
    ("Cannot cast", "CAST_INVALID_INPUT", "22018"),
    ("invalid argument", "INVALID_ARGUMENT", "42000"),
)


def translated(message: str) -> GateError:
    """An error of the engine, as Databricks would report it."""
    if found := re.match(r"\[(\w+(?:\.\w+)*)\] (.*)", message, re.DOTALL):
        return GateError(found[1], found[2])
    for beginning, condition, sqlstate in _TRANSLATIONS:
        if beginning in message:
            return GateError(condition, message, sqlstate)
    return GateError("INTERNAL_ERROR", message, "XX000")
