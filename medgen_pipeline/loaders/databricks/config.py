"""Settings of the Databricks loader. Needs no driver."""

from typing import Annotated, ClassVar

from pydantic import Field

from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.config import DEFAULT_SCHEMA, Form, LoaderConfig, Span

CAPABILITIES = LoaderCapabilities(
    backend="databricks",
    max_identifier_bytes=255,
    max_text_bytes=16 << 20,  # a STRING has no limit of its own; a row of a result has
    enforced_keys=False,
    curated=True,
    views="growing",
    transactional_ddl=False,
    delete_join="merge",
    leased_lock=True,
    bulk_encoding="arrow",
    documentation=(
        "https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-names",
        "https://docs.databricks.com/aws/en/sql/language-manual/data-types/string-type",
        "https://docs.databricks.com/aws/en/tables/constraints",
        "https://docs.databricks.com/aws/en/transactions/",
        "https://docs.databricks.com/aws/en/sql/language-manual/delta-merge-into",
        "https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-create-view",
    ),
)

# Unity Catalog keeps names in small letters. A name in the path of a volume has no quotes that could hold more.
_NAME = r"[a-z_][a-z0-9_]*"
_NAME_WORDS = "lower-case letters, digits and underscores"


class DatabricksConfig(LoaderConfig):
    """Settings of the Databricks loader."""

    loader_name: ClassVar[str] = "Databricks loader"

    schema_: Annotated[str, Form(_NAME, _NAME_WORDS)] = Field(
        default=DEFAULT_SCHEMA,
        alias="schema",
        description="Schema of the tables; those beside it end in `_staging`, `_changes`, `_audit` and `_history`.",
    )
    volume: Annotated[str, Form(_NAME, _NAME_WORDS)] = Field(
        default="loads", description="Volume in the schema for staging through which rows reach the warehouse."
    )
    part_megabytes: Annotated[int, Span(least=1, most=256, whole=True)] = Field(
        default=32, description="Size of a Parquet part; up to three are in memory."
    )
    lease_seconds: Annotated[float, Span(least=1, most=3600)] = Field(
        default=120.0,
        description="Seconds after which the lock of a load that died is free; a load renews it four times as often.",
    )
    conflict_attempts: Annotated[int, Span(least=1, most=100, whole=True)] = Field(
        default=8, description="How often a transaction is tried that others get in the way of."
    )
    conflict_backoff_seconds: Annotated[float, Span(most=60)] = Field(
        default=0.25, description="Seconds between two such tries, the first time; they double."
    )
