"""What the gate lets through, as data: commands, functions, types, settings, views, each with the vendor's page.

Whatever is not listed is refused. The lists hold what a loader may want, not all of Databricks SQL; an entry may be
added when the page says that Databricks has it and the engine, or the gate, really does the same. Pages are names below
https://docs.databricks.com/aws/en/, those of commands and functions below its ``sql/language-manual/``.
"""

from collections.abc import Mapping
from types import MappingProxyType

from medgen_pipeline_tests.gates.lexer import words

MANUAL = "sql/language-manual/"

# Beginning of a statement's shape -> what it is, and its page. The first that fits counts.
COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        r"(SELECT|\( SELECT|VALUES)\b": ("select", "sql-ref-syntax-qry-select"),
        r"WITH\b": ("select", "sql-ref-syntax-qry-select-cte"),
        r"INSERT INTO\b": ("insert", "sql-ref-syntax-dml-insert-into"),
        r"UPDATE\b": ("update", "delta-update"),
        r"DELETE FROM\b": ("delete", "delta-delete-from"),
        r"MERGE INTO\b": ("merge", "delta-merge-into"),
        r"COPY INTO\b": ("copy", "delta-copy-into"),
        r"PUT\b": ("put", "sql-ref-syntax-aux-connector-put-into"),
        r"REMOVE\b": ("remove", "sql-ref-syntax-aux-connector-remove"),
        r"LIST\b": ("list", "sql-ref-syntax-aux-list"),
        r"CREATE (SCHEMA|DATABASE)\b": ("create_schema", "sql-ref-syntax-ddl-create-schema"),
        r"CREATE VOLUME\b": ("create_volume", "sql-ref-syntax-ddl-create-volume"),
        r"CREATE TABLE\b": ("create_table", "sql-ref-syntax-ddl-create-table-using"),
        r"CREATE (OR REPLACE )?VIEW\b": ("create_view", "sql-ref-syntax-ddl-create-view"),
        r"DROP (SCHEMA|DATABASE)\b": ("drop_schema", "sql-ref-syntax-ddl-drop-schema"),
        r"DROP VOLUME\b": ("drop_volume", "sql-ref-syntax-ddl-drop-volume"),
        r"DROP TABLE\b": ("drop_table", "sql-ref-syntax-ddl-drop-table"),
        r"DROP VIEW\b": ("drop_view", "sql-ref-syntax-ddl-drop-view"),
        r"TRUNCATE TABLE\b": ("truncate", "sql-ref-syntax-ddl-truncate-table"),
        r"ALTER TABLE\b": ("alter", "sql-ref-syntax-ddl-alter-table"),
        r"COMMENT ON\b": ("comment", "sql-ref-syntax-ddl-comment"),
        r"(DESCRIBE|DESC)\b": ("describe", "sql-ref-syntax-aux-describe-table"),
        r"SHOW COLUMNS\b": ("show_columns", "sql-ref-syntax-aux-show-columns"),
        r"SHOW TABLES\b": ("show_tables", "sql-ref-syntax-aux-show-tables"),
        r"SHOW (SCHEMAS|DATABASES)\b": ("show_schemas", "sql-ref-syntax-aux-show-schemas"),
        r"SHOW VOLUMES\b": ("show_volumes", "sql-ref-syntax-aux-show-volumes"),
        r"BEGIN (TRANSACTION|WORK)$": ("begin", "sql-ref-syntax-txn-begin"),
        r"COMMIT( TRANSACTION| WORK)?$": ("commit", "sql-ref-syntax-txn-commit"),
        r"ROLLBACK( TRANSACTION| WORK)?$": ("rollback", "sql-ref-syntax-txn-rollback"),
        r"SET AUTOCOMMIT = (TRUE|FALSE)$": ("autocommit", "sql-ref-syntax-txn-begin"),
    }
)

# All that a transaction takes (error-messages/transaction-not-supported-error-class, COMMAND).
IN_TRANSACTION = words("select insert update delete merge")

# Each has a page functions/NAME.
FUNCTIONS = words(
    """abs array_agg array_join avg bigint bool_and bool_or cast ceil char_length charindex chr coalesce collect_list
    collect_set concat concat_ws count count_if current_catalog current_date current_schema current_timestamp
    current_user date_trunc decode dense_rank element_at endswith exists explode first_value floor format_string
    greatest hash if ifnull instr isnotnull isnull lag last_value lead least left length levenshtein locate lower lpad
    ltrim max max_by md5 min min_by mod now nullif nvl nvl2 octet_length position power rank regexp_extract
    regexp_like regexp_replace repeat replace reverse right round row_number rpad rtrim sequence sha2 size sort_array
    split split_part startswith string string_agg listagg substr substring sum timestampadd timestampdiff to_date
    to_timestamp translate trim try_add try_cast try_divide try_to_number unix_timestamp upper uuid xxhash64"""
)

# sql-ref-datatypes. ARRAY, MAP, STRUCT, VARIANT, INTERVAL, TIMESTAMP_NTZ exist there and are not emulated.
TYPES: Mapping[str, str] = MappingProxyType(
    {
        "STRING": "string",
        "VARCHAR": "varchar",
        "CHAR": "char",
        "TINYINT": "tinyint",
        "BYTE": "tinyint",
        "SMALLINT": "smallint",
        "SHORT": "smallint",
        "INT": "int",
        "INTEGER": "int",
        "BIGINT": "bigint",
        "LONG": "bigint",
        "FLOAT": "float",
        "REAL": "float",
        "DOUBLE": "double",
        "DECIMAL": "decimal",
        "DEC": "decimal",
        "NUMERIC": "decimal",
        "BOOLEAN": "boolean",
        "DATE": "date",
        "TIMESTAMP": "timestamp",
        "BINARY": "binary",
    }
)

# information_schema (information-schema/NAME): the views, and of their columns those that the gate fills.
INFORMATION_SCHEMA: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "schemata": ("catalog_name", "schema_name", "schema_owner", "comment"),
        "tables": ("table_catalog", "table_schema", "table_name", "table_type", "table_owner", "comment"),
        "columns": (
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "is_nullable",
            "full_data_type",
            "data_type",
            "comment",
        ),
        "views": ("table_catalog", "table_schema", "table_name", "view_definition"),
        "volumes": ("volume_catalog", "volume_schema", "volume_name", "volume_type", "comment"),
    }
)

# What information_schema.columns calls a type in data_type (information-schema/columns).
SHORT_TYPES: Mapping[str, str] = MappingProxyType({"bigint": "LONG", "smallint": "SHORT", "tinyint": "BYTE"})

# tables/features/catalog-commits, delta/column-mapping
TABLE_PROPERTIES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "delta.feature.catalogManaged": words("supported"),
        "delta.columnMapping.mode": words("name none"),
    }
)

# Of a session (sql-ref-parameters).
SETTINGS = words("ansi_mode timezone statement_timeout use_cached_result query_tags")
