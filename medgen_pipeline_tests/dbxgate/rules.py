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


RULES: tuple[Rule, ...] = (
    Rule("double-quotes", _double_quoted, "{} is a string, not a name: names are in backticks", _LITERALS, _SYNTAX),
    Rule("foreign-parameter", _foreign_parameter, _NEAR, f"{_M}sql-ref-parameter-marker", _SYNTAX),
    Rule("escape-string", _prefixed_literal, _NEAR, _LITERALS, _SYNTAX),
    Rule("doubled-quote", _doubled_quote, "{} is two strings, joined: a quote is escaped by a backslash", _LITERALS),
    Rule("unreadable", _unreadable, _NEAR, f"{_M}sql-ref-identifiers", _SYNTAX),
    Rule("regex-operator", shape(r"(?<!BETWEEN) (! ?~|~) \*?"), _NEAR, f"{_M}functions/rlike", _SYNTAX),
    Rule("index", shape(r"^(?:CREATE (?:UNIQUE )?|DROP )INDEX\b"), _NEAR, f"{_M}#ddl-statements", _SYNTAX),
    Rule(
        "savepoint",
        shape(r"^(?:SAVEPOINT|RELEASE|ROLLBACK .*TO)\b"),
        _NEAR,
        f"{_M}sql-ref-syntax-txn-rollback",
        _SYNTAX,
    ),
    Rule(
        "transaction-words",
        shape(r"^(BEGIN(?! (?:TRANSACTION|WORK)$)|START TRANSACTION|END|ABORT|COMMIT (?!TRANSACTION|WORK)).*"),
        _NEAR,
        f"{_M}sql-ref-syntax-txn-begin",
        _SYNTAX,
    ),
    Rule(
        "temporary-table",
        shape(r"^CREATE (?:LOCAL )?(TEMP|TEMPORARY|UNLOGGED) "),
        "dbxgate does not emulate {} tables",
        _CREATE,
    ),
    Rule("copy-from-client", shape(r"^COPY (?!INTO\b)(\S+)"), _NEAR, f"{_M}delta-copy-into", _SYNTAX),
    Rule(
        "truncate-table",
        shape(r"^(TRUNCATE (?!TABLE\b)\S+|TRUNCATE TABLE .* (?:,|CASCADE|RESTART)\b.*)"),
        _NEAR,
        f"{_M}sql-ref-syntax-ddl-truncate-table",
        _SYNTAX,
    ),
    Rule(
        "drop-options",
        shape(rf"^DROP (?:TABLE|VIEW) (?>(?:IF EXISTS )?){_TABLE} (\S+)"),
        _NEAR,
        f"{_M}sql-ref-syntax-ddl-drop-table",
        _SYNTAX,
    ),
    Rule("unknown-command", _unknown_command, _NEAR, _M, _SYNTAX),
    Rule("on-conflict", shape(r"\b(ON) CONFLICT\b"), _NEAR, f"{_M}delta-merge-into", _SYNTAX),
    Rule("returning", shape(r"\bRETURNING\b"), _NEAR, _INSERT, _SYNTAX),
    Rule("default-values", shape(r"^INSERT INTO .* (DEFAULT) VALUES$"), _NEAR, _INSERT, _SYNTAX),
    Rule(
        "delete-using",
        shape(rf"^DELETE FROM {_TABLE}(?: AS {_NAME}| (?!USING|WHERE){_NAME})? (USING)\b"),
        _NEAR,
        f"{_M}delta-delete-from",
        _SYNTAX,
    ),
    Rule(
        "update-from",
        shape(r"^UPDATE (?:(?!\bWHERE\b|\().)*\bSET (?:(?! WHERE | \( ).)* (FROM) "),
        _NEAR,
        f"{_M}delta-update",
        _SYNTAX,
    ),
    Rule("row-update", shape(r"^UPDATE .*\bSET (\() "), _NEAR, f"{_M}delta-update", _SYNTAX),
    Rule("row-lock", shape(r"\b(FOR) (?:UPDATE|SHARE|NO KEY)\b"), _NEAR, _SELECT, _SYNTAX),
    Rule("distinct-on", shape(r"\bDISTINCT (ON) \("), _NEAR, _SELECT, _SYNTAX),
    Rule("fetch-first", shape(r"\b(FETCH) (?:FIRST|NEXT)\b"), _NEAR, f"{_M}sql-ref-syntax-qry-select-limit", _SYNTAX),
    Rule("select-into", shape(r"^SELECT (?:(?! FROM ).)* (INTO) "), _NEAR, _SELECT, _SYNTAX),
    Rule("similar-to", shape(r"\b(SIMILAR) TO\b"), _NEAR, f"{_M}functions/rlike", _SYNTAX),
    Rule(
        "order-using", shape(r"\bORDER BY .* (USING) [<>=]"), _NEAR, f"{_M}sql-ref-syntax-qry-select-orderby", _SYNTAX
    ),
    Rule(
        "data-modifying-cte",
        shape(r"\bAS (?:(?:NOT )?MATERIALIZED )?\( (INSERT|UPDATE|DELETE|MERGE)\b"),
        _NEAR,
        f"{_M}sql-ref-syntax-qry-select-cte",
        _SYNTAX,
    ),
    Rule(
        "materialized-cte",
        shape(r"\bAS (?:NOT )?(MATERIALIZED) \("),
        _NEAR,
        f"{_M}sql-ref-syntax-qry-select-cte",
        _SYNTAX,
    ),
    Rule(
        "cte-before-change",
        shape(r"^WITH\b.*\) (INSERT|UPDATE|DELETE|MERGE)\b"),
        "dbxgate does not emulate WITH before {}",
        _INSERT,
    ),
    Rule("array-literal", shape(r"\b(ARRAY \[)"), _NEAR, f"{_M}data-types/array-type", _SYNTAX),
    Rule("json-operator", shape(r"(- > >?|# >|@ >|< @)"), _NEAR, f"{_M}sql-ref-functions-builtin", _SYNTAX),
    Rule("with-no-data", shape(r"\bWITH (NO )?DATA\b"), _NEAR, _CREATE, _SYNTAX),
    Rule("create-like", shape(rf"^CREATE TABLE (?:IF NOT EXISTS )?{_TABLE} \( (LIKE) "), _NEAR, _CREATE, _SYNTAX),
    Rule(
        "storage-parameters",
        shape(r"^CREATE TABLE (?:(?! AS ).)*\b(WITH|TABLESPACE|INHERITS|ON COMMIT|DISTKEY|SORTKEY|DISTSTYLE)\b"),
        _NEAR,
        _CREATE,
        _SYNTAX,
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
    Rule(
        "alter-one-action",
        shape(rf"^ALTER TABLE {_TABLE} (?:ADD|DROP|ALTER|RENAME)\b.* , (ADD|DROP|ALTER|RENAME)\b"),
        _NEAR,
        _ALTER,
        _SYNTAX,
    ),
    Rule(
        "alter-add-column",
        shape(rf"^ALTER TABLE {_TABLE} ADD (?:COLUMNS? (IF)|(?!COLUMNS? )(\S+))"),
        _NEAR,
        f"{_M}sql-ref-syntax-ddl-alter-table-manage-column",
        _SYNTAX,
    ),
    Rule(
        "alter-type",
        shape(rf"^ALTER TABLE {_TABLE} ALTER (?:COLUMN )?{_NAME} (TYPE|SET DATA)"),
        "dbxgate does not emulate a change of type",
        f"{_M}sql-ref-syntax-ddl-alter-table-manage-column",
    ),
    Rule("alter-schema", shape(rf"^ALTER TABLE {_TABLE} (SET SCHEMA)\b"), _NEAR, _ALTER, _SYNTAX),
    Rule("merge-nothing", shape(r"^MERGE INTO .* THEN (DO) NOTHING\b"), _NEAR, f"{_M}delta-merge-into", _SYNTAX),
    Rule("at-time-zone", shape(r"\b(AT) TIME ZONE\b"), _NEAR, f"{_M}functions/from_utc_timestamp", _SYNTAX),
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
