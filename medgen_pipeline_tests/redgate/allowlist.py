"""What the gate lets through, as data: commands, functions, types, settings, catalog relations, each with AWS's page.

Whatever is not listed is refused. The lists hold what a bulk loader may want, not all of Redshift; an entry may be
added when the page says that Redshift has it and PostgreSQL or ``compat.sql`` really does the same.
Pages are names below https://docs.aws.amazon.com/redshift/latest/dg/, read in the stored guide of April 2023 and,
where newer, in later copies.
"""

from collections.abc import Mapping
from types import MappingProxyType

from medgen_pipeline_tests.gates.lexer import words

# Beginning of a statement's shape -> page. The first that fits counts.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        r"(SELECT|\( SELECT)\b": "r_SELECT_synopsis",
        r"WITH\b": "r_WITH_clause",
        r"INSERT INTO\b": "r_INSERT_30",
        r"UPDATE\b": "r_UPDATE",
        r"DELETE\b": "r_DELETE",
        r"MERGE INTO\b": "r_MERGE",
        r"COPY\b": "r_COPY",
        r"CREATE ((LOCAL )?TEMP(ORARY)? )?TABLE\b": "r_CREATE_TABLE_NEW",
        r"CREATE (OR REPLACE )?VIEW\b": "r_CREATE_VIEW",
        r"CREATE SCHEMA\b": "r_CREATE_SCHEMA",
        r"ALTER TABLE\b": "r_ALTER_TABLE",
        r"DROP TABLE\b": "r_DROP_TABLE",
        r"DROP VIEW\b": "r_DROP_VIEW",
        r"DROP SCHEMA\b": "r_DROP_SCHEMA",
        r"TRUNCATE\b": "r_TRUNCATE",
        r"BEGIN\b": "r_BEGIN",
        r"START TRANSACTION\b": "r_BEGIN",
        r"COMMIT\b": "r_COMMIT",
        r"END\b": "r_END",
        r"ROLLBACK\b": "r_ROLLBACK",
        r"ABORT\b": "r_ABORT",
        r"LOCK\b": "r_LOCK",
        r"SET\b": "r_SET",
        r"RESET\b": "r_RESET",
        r"SHOW\b": "r_SHOW",
        r"GRANT\b": "r_GRANT",
        r"REVOKE\b": "r_REVOKE",
        r"COMMENT ON\b": "r_COMMENT",
        r"ANALYZE\b": "r_ANALYZE",
        r"VACUUM\b": "r_VACUUM_command",
        r"EXPLAIN\b": "r_EXPLAIN",
        r"DEALLOCATE\b": "r_DEALLOCATE",
    }
)

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "abs": "r_ABS",
        "avg": "r_AVG",
        "bool_and": "r_BOOL_AND",
        "bool_or": "r_BOOL_OR",
        "btrim": "r_BTRIM",
        "cast": "r_CAST_function",
        "chr": "r_CHR",
        "coalesce": "r_NVL_function",
        "concat": "r_CONCAT",
        "count": "r_COUNT",
        "current_database": "r_CURRENT_DATABASE",
        "current_schema": "r_CURRENT_SCHEMA",
        "date_trunc": "r_DATE_TRUNC",
        "decode": "r_DECODE_expression",
        "extract": "r_EXTRACT_function",
        "fnv_hash": "r_FNV_HASH",
        "getdate": "r_GETDATE",
        "greatest": "r_GREATEST_LEAST",
        "has_schema_privilege": "r_HAS_SCHEMA_PRIVILEGE",
        "has_table_privilege": "r_HAS_TABLE_PRIVILEGE",
        "lag": "r_WF_LAG",
        "lead": "r_WF_LEAD",
        "least": "r_GREATEST_LEAST",
        "left": "r_LEFT",
        "len": "r_LEN",
        "length": "r_LENGTH",
        "lower": "r_LOWER",
        "lpad": "r_LPAD",
        "ltrim": "r_LTRIM",
        "max": "r_MAX",
        "md5": "r_MD5",
        "min": "r_MIN",
        "mod": "r_MOD",
        "now": "r_NOW",
        "nullif": "r_NULLIF_function",
        "nvl": "r_NVL_function",
        "nvl2": "r_NVL2",
        "octet_length": "r_OCTET_LENGTH",
        "pg_backend_pid": "PG_BACKEND_PID",
        "pg_last_copy_count": "PG_LAST_COPY_COUNT",
        "pg_last_copy_id": "PG_LAST_COPY_ID",
        "position": "r_POSITION",
        "rank": "r_WF_RANK",
        "repeat": "r_REPEAT",
        "replace": "r_REPLACE",
        "right": "r_LEFT",
        "round": "r_ROUND",
        "row_number": "r_WF_ROW_NUMBER",
        "rtrim": "r_RTRIM",
        "sha2": "SHA2",
        "split_part": "SPLIT_PART",
        "strpos": "r_STRPOS",
        "substring": "r_SUBSTRING",
        "sum": "r_SUM",
        "to_char": "r_TO_CHAR",
        "translate": "r_TRANSLATE",
        "trim": "r_TRIM",
        "upper": "r_UPPER",
        "version": "r_VERSION",
    }
)

# They fail as soon as a user's table takes part (AWS: c_SQL_functions_leader_node_only).
LEADER_NODE_ONLY = words(
    """age current_schema current_schemas current_time current_timestamp has_database_privilege has_schema_privilege
    has_table_privilege isfinite localtime now"""
)

# Redshift's spelling of a column type -> PostgreSQL's, without a length (AWS: c_Supported_data_types).
# SUPER, VARBYTE, GEOMETRY, HLLSKETCH, TIME, TIMETZ and INTERVAL exist there and are not emulated.
TYPES: Mapping[str, str] = MappingProxyType(
    {
        "SMALLINT": "smallint",
        "INT2": "smallint",
        "INTEGER": "integer",
        "INT": "integer",
        "INT4": "integer",
        "BIGINT": "bigint",
        "INT8": "bigint",
        "DECIMAL": "numeric",
        "NUMERIC": "numeric",
        "REAL": "real",
        "FLOAT4": "real",
        "DOUBLE PRECISION": "double precision",
        "FLOAT8": "double precision",
        "FLOAT": "double precision",
        "BOOLEAN": "boolean",
        "BOOL": "boolean",
        "CHAR": "char",
        "CHARACTER": "char",
        "NCHAR": "char",
        "BPCHAR": "char",
        "VARCHAR": "varchar",
        "CHARACTER VARYING": "varchar",
        "NVARCHAR": "varchar",
        "TEXT": "varchar",
        "DATE": "date",
        "TIMESTAMP": "timestamp",
        "TIMESTAMP WITHOUT TIME ZONE": "timestamp",
        "TIMESTAMPTZ": "timestamptz",
        "TIMESTAMP WITH TIME ZONE": "timestamptz",
    }
)

# Parameters a session may set, show or reset (AWS: cm_chap_ConfigurationRef). PostgreSQL has no use for the second
# kind; the gate keeps those under a name of its own.
SETTINGS_OF_POSTGRES = words(
    "application_name client_encoding datestyle extra_float_digits search_path statement_timeout timezone"
)
SETTINGS_OF_REDSHIFT = words(
    "analyze_threshold_percent enable_result_cache_for_session query_group wlm_query_slot_count"
)

# Catalog relations with AWS's page. PostgreSQL has many more, which a query through the gate must not lean on.
CATALOG: Mapping[str, str] = MappingProxyType(
    {
        "columns": "r_SVV_COLUMNS",  # information_schema
        "tables": "r_SVV_TABLES",  # information_schema
        "pg_attribute": "c_join_PG",
        "pg_class": "c_join_PG",
        "pg_depend": "c_join_PG",
        "pg_description": "c_join_PG",
        "pg_namespace": "c_join_PG",
        "pg_user": "c_join_PG",
        "pg_views": "c_join_PG",
        "stl_load_errors": "r_STL_LOAD_ERRORS",
        "svv_columns": "r_SVV_COLUMNS",
        "svv_relation_privileges": "r_SVV_RELATION_PRIVILEGES",
        "svv_table_info": "r_SVV_TABLE_INFO",
        "svv_tables": "r_SVV_TABLES",
        "svv_transactions": "r_SVV_TRANSACTIONS",
        "sys_load_error_detail": "SYS_LOAD_ERROR_DETAIL",
    }
)
CATALOG_PREFIXES = ("pg_", "stl_", "stv_", "svcs_", "svl_", "svv_", "sys_")
