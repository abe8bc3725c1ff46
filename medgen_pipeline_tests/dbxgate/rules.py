"""The table of refusals (to come)."""

from medgen_pipeline_tests.dbxgate import reading
from medgen_pipeline_tests.dbxgate.allowlist import FUNCTIONS, TYPES
from medgen_pipeline_tests.dbxgate.errors import RefusedError
from medgen_pipeline_tests.gates.lexer import Statement


def check(statement: Statement) -> None:
    """Raise the refusal of the first rule that the statement breaks."""
    reading.kind_of(statement)
    for name in reading.calls(statement):
        if name not in FUNCTIONS:
            raise RefusedError(
                "unknown-function",
                f"Cannot resolve routine `{name}` on search path.",
                "sql/language-manual/sql-ref-functions-builtin",
                "42883",
            )
    for name in reading.cast_types(statement):
        if name not in TYPES:
            raise RefusedError(
                "unknown-type", f'Unsupported data type "{name}".', "sql/language-manual/sql-ref-datatypes", "0A000"
            )
