"""The table of refusals. Each rule: a name, a test of the statement, Databricks' words, the vendor's page.

A test gives the offending piece, which fills the braces of the message, or an empty string. Rules are tried in order,
so that what has a name here is refused under that name. Pages are names below https://docs.databricks.com/aws/en/.
"""

import re
from itertools import pairwise

from medgen_pipeline_tests.dbxgate import allowlist, reading
from medgen_pipeline_tests.dbxgate.errors import RefusedError
from medgen_pipeline_tests.gates.lexer import Cursor, Statement, split_list
from medgen_pipeline_tests.gates.rules import Rule, shape

_M = allowlist.MANUAL
_SELECT, _INSERT = f"{_M}sql-ref-syntax-qry-select", f"{_M}sql-ref-syntax-dml-insert-into"
_CREATE, _ALTER = f"{_M}sql-ref-syntax-ddl-create-table-using", f"{_M}sql-ref-syntax-ddl-alter-table"
_LITERALS, _TYPES = f"{_M}data-types/string-type", f"{_M}sql-ref-datatypes"
_NEAR = "Syntax error at or near '{}'."
_SYNTAX = "42601"
_NAME = r'(?:"q"|[\w$]+)'
_TABLE = rf"{_NAME}(?>(?: \. {_NAME})*)"


def _double_quoted(statement: Statement) -> str:
    return next((token.text for token in statement.tokens if token.kind == "double"), "")


def _unreadable(statement: Statement) -> str:
    return next(
        (token.text for token in statement.tokens if token.kind == "symbol" and token.text in "'\"`$\\@{}#"), ""
    )


def _foreign_parameter(statement: Statement) -> str:
    parameters = (token.text for token in statement.tokens if token.kind == "parameter")
    return next((text for text in parameters if text[0] in "$%"), "")


def _prefixed_literal(statement: Statement) -> str:
    for before, token in pairwise(statement.tokens):
        if token.kind == "string" and before.kind == "word" and before.end == token.start:
            return "" if before.keyword in ("X", "R") else before.text
    return ""


def _doubled_quote(statement: Statement) -> str:
    for before, token in pairwise(statement.tokens):
        if before.kind == token.kind == "string" and before.end == token.start:
            return before.text + token.text
    return ""


def _unknown_command(statement: Statement) -> str:
    known = any(re.match(pattern, statement.shape) for pattern in allowlist.COMMANDS)
    return "" if known else " ".join(token.text for token in statement.tokens[:2])


def _unknown_function(statement: Statement) -> str:
    return next((name for name in reading.calls(statement) if name not in allowlist.FUNCTIONS), "")


def _unknown_type(statement: Statement) -> str:
    used = [*reading.cast_types(statement), *_column_types(statement)]
    return next((name for name in used if name not in allowlist.TYPES), "")


def _column_types(statement: Statement) -> list[str]:
    """First words of the types of columns that CREATE TABLE or ALTER TABLE … ADD COLUMN defines."""
    cursor = Cursor(statement.tokens)
    if cursor.accept("CREATE", "TABLE"):
        cursor.accept("IF", "NOT", "EXISTS")
        cursor.relation()
    elif cursor.accept("ALTER", "TABLE"):
        cursor.relation()
        if not (cursor.accept("ADD", "COLUMN") or cursor.accept("ADD", "COLUMNS")):
            return []
        if cursor.next.text != "(":
            return [part[1].keyword for part in split_list(cursor.rest) if len(part) > 1]
    if not cursor.position or cursor.next.text != "(":
        return []
    return [part[1].keyword for part in split_list(cursor.group()) if len(part) > 1]


def _foreign_catalog(statement: Statement) -> str:
    words = (token.text.lower() for token in statement.tokens if token.kind in ("word", "name"))
    return next((word for word in words if re.match(r"`?(pg_|svv_|stl_|sys_)", word)), "")


def _unordered_window(statement: Statement) -> str:
    """A function that ranks, over a window without an order."""
    cursor = Cursor(statement.tokens)
    while cursor.next.kind != "end":
        name = cursor.take()
        if name.keyword not in ("ROW_NUMBER", "RANK", "DENSE_RANK", "LAG", "LEAD") or cursor.next.text != "(":
            continue
        cursor.group()
        if cursor.accept("OVER") and "ORDER" not in [token.keyword for token in cursor.group()]:
            return name.text
    return ""


def _near(name: str, pattern: str, page: str) -> Rule:
    """A syntax error at what the pattern finds."""
    return Rule(name, shape(pattern), _NEAR, page, _SYNTAX)


RULES: tuple[Rule, ...] = (
    Rule("double-quotes", _double_quoted, "{} is a string, not a name: names are in backticks", _LITERALS, _SYNTAX),
    Rule("foreign-parameter", _foreign_parameter, _NEAR, f"{_M}sql-ref-parameter-marker", _SYNTAX),
    Rule("escape-string", _prefixed_literal, _NEAR, _LITERALS, _SYNTAX),
    Rule("doubled-quote", _doubled_quote, "{} is two strings, joined: a quote is escaped by a backslash", _LITERALS),
    Rule("unreadable", _unreadable, _NEAR, f"{_M}sql-ref-identifiers", _SYNTAX),
    _near("regex-operator", r"(?<!BETWEEN) (! ?~|~) \*?", f"{_M}functions/rlike"),
    _near("index", r"^(?:CREATE (?:UNIQUE )?|DROP )INDEX\b", f"{_M}#ddl-statements"),
    _near("savepoint", r"^(?:SAVEPOINT|RELEASE|ROLLBACK .*TO)\b", f"{_M}sql-ref-syntax-txn-rollback"),
    _near(
        "transaction-words",
        r"^(BEGIN(?! (?:TRANSACTION|WORK)$)|START TRANSACTION|END|ABORT|COMMIT (?!TRANSACTION|WORK)).*",
        f"{_M}sql-ref-syntax-txn-begin",
    ),
    Rule(
        "temporary-table",
        shape(r"^CREATE (?:LOCAL )?(TEMP|TEMPORARY|UNLOGGED) "),
        "dbxgate does not emulate {} tables",
        _CREATE,
    ),
    _near("copy-from-client", r"^COPY (?!INTO\b)(\S+)", f"{_M}delta-copy-into"),
    _near(
        "truncate-table",
        r"^(TRUNCATE (?!TABLE\b)\S+|TRUNCATE TABLE .* (?:,|CASCADE|RESTART)\b.*)",
        f"{_M}sql-ref-syntax-ddl-truncate-table",
    ),
    _near(
        "drop-options", rf"^DROP (?:TABLE|VIEW) (?>(?:IF EXISTS )?){_TABLE} (\S+)", f"{_M}sql-ref-syntax-ddl-drop-table"
    ),
    Rule("unknown-command", _unknown_command, _NEAR, _M, _SYNTAX),
    _near("on-conflict", r"\b(ON) CONFLICT\b", f"{_M}delta-merge-into"),
    _near("returning", r"\bRETURNING\b", _INSERT),
    _near("default-values", r"^INSERT INTO .* (DEFAULT) VALUES$", _INSERT),
    _near(
        "delete-using",
        rf"^DELETE FROM {_TABLE}(?: AS {_NAME}| (?!USING|WHERE){_NAME})? (USING)\b",
        f"{_M}delta-delete-from",
    ),
    _near("update-from", r"^UPDATE (?:(?!\bWHERE\b|\().)*\bSET (?:(?! WHERE | \( ).)* (FROM) ", f"{_M}delta-update"),
    _near("row-update", r"^UPDATE .*\bSET (\() ", f"{_M}delta-update"),
    _near("row-lock", r"\b(FOR) (?:UPDATE|SHARE|NO KEY)\b", _SELECT),
    _near("distinct-on", r"\bDISTINCT (ON) \(", _SELECT),
    _near("fetch-first", r"\b(FETCH) (?:FIRST|NEXT)\b", f"{_M}sql-ref-syntax-qry-select-limit"),
    _near("select-into", r"^SELECT (?:(?! FROM ).)* (INTO) ", _SELECT),
    _near("similar-to", r"\b(SIMILAR) TO\b", f"{_M}functions/rlike"),
    _near("order-using", r"\bORDER BY .* (USING) [<>=]", f"{_M}sql-ref-syntax-qry-select-orderby"),
    _near(
        "data-modifying-cte",
        r"\bAS (?:(?:NOT )?MATERIALIZED )?\( (INSERT|UPDATE|DELETE|MERGE)\b",
        f"{_M}sql-ref-syntax-qry-select-cte",
    ),
    _near("materialized-cte", r"\bAS (?:NOT )?(MATERIALIZED) \(", f"{_M}sql-ref-syntax-qry-select-cte"),
    Rule(
        "cte-before-change",
        shape(r"^WITH\b.*\) (INSERT|UPDATE|DELETE|MERGE)\b"),
        "dbxgate does not emulate WITH before {}",
        _INSERT,
    ),
    _near("array-literal", r"\b(ARRAY \[)", f"{_M}data-types/array-type"),
    _near("json-operator", r"(- > >?|# >|@ >|< @)", f"{_M}sql-ref-functions-builtin"),
    _near("with-no-data", r"\bWITH (NO )?DATA\b", _CREATE),
    _near("create-like", rf"^CREATE TABLE (?:IF NOT EXISTS )?{_TABLE} \( (LIKE) ", _CREATE),
    _near(
        "storage-parameters",
        r"^CREATE TABLE (?:(?! AS ).)*\b(WITH|TABLESPACE|INHERITS|ON COMMIT|DISTKEY|SORTKEY|DISTSTYLE)\b",
        _CREATE,
    ),
    Rule(
        "constraint",
        shape(
            r"^(?:CREATE|ALTER) TABLE (?:(?! AS SELECT ).)*"
            r"\b(PRIMARY KEY|UNIQUE|CHECK|REFERENCES|FOREIGN KEY|EXCLUDE)\b"
        ),
        "dbxgate does not emulate {}, which Databricks does not enforce",
        f"{_M}sql-ref-syntax-ddl-create-table-constraint",
    ),
    Rule(
        "column-value",
        shape(r"^(?:CREATE|ALTER) TABLE .*\b(DEFAULT|GENERATED|IDENTITY|COLLATE)\b"),
        "dbxgate does not emulate {}",
        _CREATE,
    ),
    _near(
        "alter-one-action", rf"^ALTER TABLE {_TABLE} (?:ADD|DROP|ALTER|RENAME)\b.* , (ADD|DROP|ALTER|RENAME)\b", _ALTER
    ),
    _near(
        "alter-add-column",
        rf"^ALTER TABLE {_TABLE} ADD (?:COLUMNS? (IF)|(?!COLUMNS? )(\S+))",
        f"{_M}sql-ref-syntax-ddl-alter-table-manage-column",
    ),
    Rule(
        "alter-type",
        shape(rf"^ALTER TABLE {_TABLE} ALTER (?:COLUMN )?{_NAME} (TYPE|SET DATA)"),
        "dbxgate does not emulate a change of type",
        f"{_M}sql-ref-syntax-ddl-alter-table-manage-column",
    ),
    _near("alter-schema", rf"^ALTER TABLE {_TABLE} (SET SCHEMA)\b", _ALTER),
    _near("merge-nothing", r"^MERGE INTO .* THEN (DO) NOTHING\b", f"{_M}delta-merge-into"),
    _near("at-time-zone", r"\b(AT) TIME ZONE\b", f"{_M}functions/from_utc_timestamp"),
    Rule(
        "foreign-catalog",
        _foreign_catalog,
        "The table or view `{}` cannot be found.",
        f"{_M}sql-ref-information-schema",
        "42P01",
    ),
    Rule(
        "window-order",
        _unordered_window,
        "Window function {} requires an OVER clause with ORDER BY.",
        f"{_M}sql-ref-window-functions",
        "42601",
    ),
    Rule(
        "unknown-function",
        _unknown_function,
        "Cannot resolve routine `{}` on search path.",
        f"{_M}sql-ref-functions-builtin",
        "42883",
    ),
    Rule("unknown-type", _unknown_type, 'Unsupported data type "{}".', _TYPES),
)


def check(statement: Statement) -> None:
    """Raise the refusal of the first rule that the statement breaks."""
    for rule in RULES:
        if offence := rule.test(statement):
            raise RefusedError(rule.name, rule.message.format(offence), rule.page, rule.sqlstate)
