"""The table of refusals. Each rule: a name, a test of the statement, Redshift's words, AWS's page.

A test gives the offending piece, which fills the braces of the message, or an empty string. Rules are tried in order;
the grammar comes last, so that what has a name here is refused under that name.
"""

import re
from itertools import pairwise

from medgen_pipeline_tests.gates.lexer import Cursor, Statement
from medgen_pipeline_tests.gates.rules import Rule, shape
from medgen_pipeline_tests.redgate import allowlist, reading
from medgen_pipeline_tests.redgate.errors import RefusedError
from medgen_pipeline_tests.redgate.grammar import grammar_error

MAX_STATEMENT_BYTES = 16 << 20
MAX_IDENTIFIER_BYTES = 63  # PostgreSQL would cut it silently; Redshift allows 127


def _unreadable(statement: Statement) -> str:
    return next((token.text for token in statement.tokens if token.kind == "symbol" and token.text in "'\"$\\@{}"), "")


def _prefixed_literal(statement: Statement) -> str:
    for before, token in pairwise(statement.tokens):
        if token.kind == "string" and before.kind == "word" and before.end == token.start:
            return before.text.lower()
    return ""


def _unknown_command(statement: Statement) -> str:
    known = any(re.match(pattern, statement.shape) for pattern in allowlist.COMMANDS)
    return "" if known else statement.tokens[0].text


def _long_identifier(statement: Statement) -> str:
    names = (token.identifier for token in statement.tokens)
    return next((name for name in names if len(name.encode()) > MAX_IDENTIFIER_BYTES), "")


def _unknown_function(statement: Statement) -> str:
    return next((name for name in reading.calls(statement) if name not in allowlist.FUNCTIONS), "")


def _unknown_cast(statement: Statement) -> str:
    known = {name.split(" ")[0] for name in allowlist.TYPES}
    return next((name.lower() for name in reading.cast_types(statement) if name not in known), "")


def _unknown_setting(statement: Statement) -> str:
    name = reading.setting(statement)
    return "" if name in allowlist.SETTINGS_OF_POSTGRES | allowlist.SETTINGS_OF_REDSHIFT else name


def _unknown_catalog(statement: Statement) -> str:
    owned = (relation.name for relation in reading.relations(statement) if relation.of_catalog)
    return next((name for name in owned if name not in allowlist.CATALOG), "")


def _reads_user_table(statement: Statement) -> bool:
    return any(not relation.of_catalog for relation in reading.relations(statement))


def _leader_node_function(statement: Statement) -> str:
    words = {token.text.lower() for token in statement.tokens if token.kind == "word"}
    used = words & allowlist.LEADER_NODE_ONLY
    return min(used) if used and _reads_user_table(statement) else ""


def _leader_node_catalog(statement: Statement) -> str:
    on_leader = [
        relation.name
        for relation in reading.relations(statement)
        if relation.of_catalog and not relation.name.startswith(("stl_", "sys_"))
    ]
    return on_leader[0] if on_leader and _reads_user_table(statement) else ""


def _unqualified_in_late_view(statement: Statement) -> str:
    if not statement.shape.endswith("WITH NO SCHEMA BINDING"):
        return ""
    return next((relation.name for relation in reading.relations(statement) if not relation.schema), "")


def _merge_into_itself(statement: Statement) -> str:
    cursor = Cursor(statement.tokens)
    if not cursor.accept("MERGE", "INTO"):
        return ""
    target = [token.identifier for token in cursor.relation()]
    cursor.accept("USING")
    return ".".join(filter(None, target)) if target == [token.identifier for token in cursor.relation()] else ""


def _merge_without_branch(statement: Statement) -> str:
    shape = statement.shape
    if not shape.startswith("MERGE ") or shape.endswith("REMOVE DUPLICATES"):
        return ""
    matched = len(re.findall(r"\bWHEN MATCHED THEN (?:UPDATE|DELETE)\b", shape))
    unmatched = len(re.findall(r"\bWHEN NOT MATCHED THEN INSERT\b", shape))
    return "" if (matched, unmatched) == (1, 1) else "WHEN"


def _oversized(statement: Statement) -> str:
    size = len(statement.text.encode())
    return str(size) if size > MAX_STATEMENT_BYTES else ""


_NAME = r'(?:"q"|[\w#$]+)'
_TABLE = rf"{_NAME}(?>(?: \. {_NAME})*)"
_FEATURES = "c_unsupported-postgresql-features"
_FUNCTIONS = "c_unsupported-postgresql-functions"
_TYPES = "c_unsupported-postgresql-datatypes"
_DIFFERENT = "c_redshift-sql-implementated-differently"
_ON_NODES = "Specified types or functions (one per INFO message) not supported on Redshift tables. ({})"


def _near(name: str, pattern: str, page: str) -> Rule:
    """A syntax error at what the pattern finds."""
    return Rule(name, shape(pattern), 'syntax error at or near "{}"', page, "42601")


RULES: tuple[Rule, ...] = (
    Rule("statement-size", _oversized, "Statement is too large. Statement Size: {} bytes.", "c_redshift-sql", "54001"),
    Rule("escape-string", _prefixed_literal, 'type "{}" does not exist', "c_redshift-and-postgres-sql", "42704"),
    Rule("unreadable", _unreadable, 'syntax error at or near "{}"', "r_names", "42601"),
    Rule("long-identifier", _long_identifier, 'redgate cannot hold the identifier "{}"', "r_names", "42622"),
    Rule("index", shape(r"^(?:CREATE (?:UNIQUE )?|DROP )INDEX\b"), "{} is not supported", _FEATURES),
    _near("unlogged-table", r"^CREATE (UNLOGGED)\b", _DIFFERENT),
    Rule("savepoint", shape(r"^(?:SAVEPOINT|RELEASE|ROLLBACK .*TO)\b"), "{} is not supported", _FUNCTIONS),
    Rule("unknown-command", _unknown_command, 'syntax error at or near "{}"', "c_SQL_commands", "42601"),
    _near("on-conflict", r"\b(ON) CONFLICT\b", "r_INSERT_30"),
    _near("returning", r"\bRETURNING\b", "r_INSERT_30"),
    Rule("is-distinct-from", shape(r"\bIS (?:NOT )?DISTINCT FROM\b"), "{} is not supported", _FUNCTIONS),
    Rule("set-operation-all", shape(r"\b(?:EXCEPT|INTERSECT|MINUS) ALL\b"), "{} is not supported", "r_UNION"),
    _near("filter-clause", r"\) (FILTER) \(", "c_Aggregate_Functions"),
    _near("lateral", r"\b(LATERAL) ", "r_FROM_clause30"),
    _near("fetch-first", r"\b(FETCH) (?:FIRST|NEXT)\b", "r_SELECT_synopsis"),
    _near("order-using", r"\bORDER BY .* (USING) [<>=]", "r_ORDER_BY_clause"),
    _near("row-update", r"^UPDATE .*\bSET (\() ", "r_UPDATE"),
    Rule("row-lock", shape(r"\bFOR (?:UPDATE|SHARE)\b"), "SELECT {} is not supported", "r_SELECT_synopsis"),
    _near("data-modifying-cte", r"\bAS \( (INSERT|UPDATE|DELETE|MERGE)\b", "r_WITH_clause"),
    _near("cte-before-insert", r"^WITH\b.*\) (INSERT INTO|MERGE INTO)\b", "r_INSERT_30"),
    Rule("values-as-table", shape(r"\b(?:FROM|JOIN) \( (VALUES)\b"), "{} as a table is not supported", _FEATURES),
    Rule(
        "late-binding-schema",
        _unqualified_in_late_view,
        "All the relation names inside should be qualified when creating views with no schema binding: {}",
        "r_CREATE_VIEW",
        "42601",
    ),
    Rule("array", shape(r"\["), "array types and subscripts are not supported", _TYPES),
    Rule("truncate-several", shape(rf"^TRUNCATE (?:TABLE )?{_TABLE} ,"), "only one table", "r_TRUNCATE", "42601"),
    _near("truncate-options", r"^TRUNCATE\b.*\b(ONLY|CASCADE|RESTRICT|RESTART|CONTINUE)\b", "r_TRUNCATE"),
    Rule(
        "alter-one-action",
        shape(rf"^ALTER TABLE {_TABLE} (?:ADD|DROP|ALTER|RENAME)\b.* , (ADD|DROP|ALTER|RENAME)\b"),
        "ALTER TABLE: only one column per statement",
        _DIFFERENT,
    ),
    _near("alter-rename-schema", rf"\bRENAME TO {_NAME} (\.)", "r_ALTER_TABLE"),
    Rule(
        "alter-set-schema",
        shape(r"^ALTER TABLE\b.*\bSET SCHEMA\b"),
        'syntax error at or near "SET"',
        "r_ALTER_TABLE",
        "42601",
    ),
    _near("deallocate-all", r"^DEALLOCATE (?:PREPARE )?(ALL)$", "r_DEALLOCATE"),
    _near("lock-mode", r"^LOCK\b.* (IN|NOWAIT)\b", "r_LOCK"),
    Rule("with-no-data", shape(r"\bWITH (?:NO )?DATA\b"), "{} is not supported", "r_CREATE_TABLE_AS"),
    _near("like-including", r"\bINCLUDING (?!DEFAULTS)(\w+)", "r_CREATE_TABLE_NEW"),
    _near("on-commit", r"\b(ON) COMMIT\b", "r_CREATE_TABLE_NEW"),
    _near("generated-always", r"\bGENERATED (ALWAYS)\b", "r_CREATE_TABLE_NEW"),
    Rule(
        "table-storage",
        shape(r"^CREATE\b.*\b(PARTITION BY (?:RANGE|LIST|HASH)|PARTITION OF|INHERITS|TABLESPACE)\b"),
        "{} is not supported",
        _DIFFERENT,
    ),
    Rule(
        "checked-constraint",
        shape(r"^(?:CREATE|ALTER) .*\b(CHECK|EXCLUDE) "),
        "{} constraints are not supported",
        _FEATURES,
    ),
    Rule(
        "postgres-type",
        shape(
            r"^(?:CREATE|ALTER) (?:.* )?((?:BIG|SMALL)?SERIAL|BIT|BYTEA|CIDR|CITEXT|HSTORE|INET|JSONB?|MONEY|OID"
            r"|TSVECTOR|UUID|XML)\b"
        ),
        'Column type "{}" is not supported',
        _TYPES,
    ),
    _near("copy-from-client", r"^COPY\b.* (?:FROM|TO) (STDIN|STDOUT|PROGRAM)\b", "r_COPY"),
    _near("merge-target-alias", rf"^MERGE INTO {_TABLE} (?!USING )(\S+)", "r_MERGE"),
    Rule("merge-source", shape(r"^MERGE INTO .* USING (\()"), "MERGE: the source must be a table", "r_MERGE"),
    Rule("merge-itself", _merge_into_itself, "MERGE: source and target are both {}", "r_MERGE"),
    _near("merge-condition", r"^MERGE INTO .* WHEN (?:NOT )?MATCHED (?!THEN )(\w+)", "r_MERGE"),
    Rule("merge-branches", _merge_without_branch, "syntax error: MERGE needs both branches", "r_MERGE", "42601"),
    _near("merge-set-prefix", rf"^MERGE INTO .*(?: SET|,) {_NAME} (\.) {_NAME} =", "r_MERGE"),
    Rule(
        "merge-equality",
        shape(r"^MERGE INTO .*? ON (?:(?! WHEN ).)* (<>|!=|<=|>=|<|>|OR|IS|LIKE|IN|NOT) .* WHEN "),
        "MERGE: the match condition must be equalities, found {}",
        "r_MERGE",
    ),
    Rule(
        "unknown-setting",
        _unknown_setting,
        'unrecognized configuration parameter "{}"',
        "cm_chap_ConfigurationRef",
        "42704",
    ),
    Rule("unknown-catalog", _unknown_catalog, 'relation "{}" does not exist', "cm_chap_system-tables", "42P01"),
    Rule("leader-node-function", _leader_node_function, _ON_NODES, "c_SQL_functions_leader_node_only"),
    Rule("leader-node-catalog", _leader_node_catalog, _ON_NODES, "c_SQL_functions_leader_node_only"),
    Rule("unknown-function", _unknown_function, "function {}() does not exist", _FUNCTIONS, "42883"),
    Rule("unknown-cast", _unknown_cast, 'type "{}" does not exist', _TYPES, "42704"),
    Rule(
        "grammar",
        lambda statement: grammar_error(statement.shape),
        "syntax error (sqlfluff's Redshift dialect): {}",
        "c_SQL_commands",
        "42601",
    ),
)


def check(statement: Statement) -> None:
    """Raise the refusal of the first rule that the statement breaks."""
    for rule in RULES:
        if offence := rule.test(statement):
            raise RefusedError(rule.name, rule.message.format(offence), rule.page, rule.sqlstate)
