"""From a statement to what the gate does with it: forward, answer, commit on the way, or load from S3."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from medgen_pipeline_tests.gates.lexer import Cursor, Statement, quoted_literal, render
from medgen_pipeline_tests.redgate import allowlist, rules
from medgen_pipeline_tests.redgate.copycommand import CopyCommand, parse_copy
from medgen_pipeline_tests.redgate.errors import not_emulated
from medgen_pipeline_tests.redgate.rewrite import (
    Physical,
    as_postgres,
    bytes_constraint,
    column,
    column_type,
    create_table,
)

SCHEMA = "redgate"
LATE_BINDING = "WITH NO SCHEMA BINDING"
# pg_catalog after our schema: that makes = and version() ours.
SEARCH_PATH_TAIL = f", {SCHEMA}, pg_catalog"


class Action(Enum):
    """How a statement is carried out."""

    FORWARD = auto()  # PostgreSQL runs it and answers
    RENAME = auto()  # as FORWARD; named because a gate may be told to let others see it before COMMIT
    COMMIT_AFTER = auto()  # PostgreSQL runs it, and the transaction ends with it
    NOTHING = auto()  # only the table must exist
    CALL = auto()  # the gate calls a function of ``compat.sql``
    ALONE = auto()  # the gate runs it, never inside a transaction
    COPY = auto()  # the gate loads from S3


@dataclass(frozen=True)
class Plan:
    """One statement, judged.

    Attributes:
        action: What to do.
        sql: PostgreSQL's version of the statement; for NOTHING a query that fails where the table is missing,
            for CALL and ALONE a call of ``compat.sql``.
        tag: Command tag of the answer, where PostgreSQL does not give it.
        copy: The command, for COPY.
    """

    action: Action
    sql: str
    tag: str = ""
    copy: CopyCommand | None = None


def judge(statement: Statement) -> Plan:
    """Refuse the statement, or say how it is carried out."""
    rules.check(statement)
    shape, cursor = statement.shape, Cursor(statement.tokens)
    match cursor.take().keyword:
        case "COPY":
            return Plan(Action.COPY, "", "COPY", parse_copy(statement))
        case "TRUNCATE":
            return Plan(Action.COMMIT_AFTER, render(statement.tokens), "TRUNCATE TABLE")
        case "VACUUM" | "ANALYZE" as word:
            return Plan(Action.ALONE if word == "VACUUM" else Action.NOTHING, "", word)
        case "BEGIN" | "START":
            return Plan(Action.FORWARD, "BEGIN")  # the isolation is the database's, whatever the statement says
        case "CREATE" if re.match(r"CREATE (?:LOCAL )?(?:TEMP(?:ORARY)? )?TABLE\b", shape):
            return Plan(Action.FORWARD, create_table(statement))
        case "CREATE" if shape.endswith(LATE_BINDING):
            return _late_binding_view(statement)
        case "ALTER":
            return _alter_table(statement)
        case "SET" | "RESET" | "SHOW":
            return Plan(Action.FORWARD, _setting(statement))
        case "GRANT" | "REVOKE":
            return Plan(Action.FORWARD, _grant(statement))
        case "MERGE" if shape.endswith("REMOVE DUPLICATES"):
            raise not_emulated("MERGE ... REMOVE DUPLICATES", "r_MERGE")
    return Plan(Action.FORWARD, render(as_postgres(statement.tokens)))


def _late_binding_view(statement: Statement) -> Plan:
    """CREATE VIEW ... WITH NO SCHEMA BINDING: PostgreSQL binds every view, so this one reads through a function."""
    cursor = Cursor(statement.tokens[: -len(LATE_BINDING.split())])
    cursor.accept("CREATE")
    replaced = cursor.accept("OR", "REPLACE")
    cursor.accept("VIEW")
    name = render(cursor.relation())
    if cursor.next.text == "(":
        raise not_emulated("a late-binding view with a list of columns", "r_CREATE_VIEW")
    cursor.accept("AS")
    arguments = [quoted_literal(name), str(replaced), quoted_literal(render(as_postgres(cursor.rest)))]
    return Plan(Action.CALL, f"SELECT {SCHEMA}.create_late_view({', '.join(arguments)})", "CREATE VIEW")


def _alter_table(statement: Statement) -> Plan:
    cursor = Cursor(statement.tokens)
    cursor.accept("ALTER", "TABLE")
    table = render(cursor.relation())
    probe = f"SELECT FROM {table} LIMIT 0"
    if cursor.accept("RENAME", "TO"):
        return Plan(Action.RENAME, render(statement.tokens), "ALTER TABLE")
    if cursor.accept("RENAME") or cursor.accept("OWNER", "TO") or cursor.accept("DROP", "COLUMN"):
        return Plan(Action.FORWARD, render(statement.tokens))
    if cursor.accept("ADD"):
        if cursor.next.keyword in ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN"):
            return Plan(Action.NOTHING, probe, "ALTER TABLE")
        cursor.accept("COLUMN")
        return Plan(Action.FORWARD, f"ALTER TABLE {table} ADD COLUMN {column(cursor, Physical())[1]}")
    if cursor.accept("DROP", "CONSTRAINT"):
        return Plan(Action.NOTHING, probe, "ALTER TABLE")
    if cursor.accept("APPEND", "FROM"):
        return _append(table, cursor)
    if cursor.accept("ALTER", "COLUMN"):
        return _resize(table, cursor)
    if cursor.accept("ALTER") and cursor.next.keyword in ("DISTKEY", "DISTSTYLE", "SORTKEY", "COMPOUND", "ENCODE"):
        return Plan(Action.NOTHING, probe, "ALTER TABLE")
    raise not_emulated("this form of ALTER TABLE", "r_ALTER_TABLE")


def _append(table: str, cursor: Cursor) -> Plan:
    source = render(cursor.relation())
    if cursor.rest:
        raise not_emulated("ALTER TABLE APPEND with columns that differ", "r_ALTER_TABLE_APPEND")
    call = f"SELECT {SCHEMA}.append_from({quoted_literal(table)}, {quoted_literal(source)})"
    return Plan(Action.ALONE, call, "ALTER TABLE APPEND")


def _resize(table: str, cursor: Cursor) -> Plan:
    name = cursor.take().identifier
    if not cursor.accept("TYPE"):
        raise not_emulated("this form of ALTER COLUMN", "r_ALTER_TABLE")
    _, most_bytes = column_type(cursor)
    arguments = [quoted_literal(table), quoted_literal(name), str(most_bytes), quoted_literal(bytes_constraint(name))]
    return Plan(Action.ALONE, f"SELECT {SCHEMA}.resize({', '.join(arguments)})", "ALTER TABLE ALTER COLUMN")


def _setting(statement: Statement) -> str:
    tokens = list(statement.tokens)
    for index, token in enumerate(tokens):
        if token.identifier in allowlist.SETTINGS_OF_REDSHIFT:
            tokens[index] = token._replace(kind="word", text=f"{SCHEMA}.{token.identifier}")
            break
    sql = render(tokens)
    is_search_path = tokens[0].keyword == "SET" and any(token.identifier == "search_path" for token in tokens[1:3])
    return sql + SEARCH_PATH_TAIL if is_search_path else sql


def _grant(statement: Statement) -> str:
    """PostgreSQL knows one kind of grantee and no word before its name."""
    kept = []
    past_preposition = False
    for token in statement.tokens:
        past_preposition = past_preposition or token.keyword in ("TO", "FROM")
        if not (past_preposition and token.keyword in ("ROLE", "GROUP")):
            kept.append(token)
    return render(kept)
