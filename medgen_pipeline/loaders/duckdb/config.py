"""Settings of the DuckDB loader. Needs no driver."""

from typing import Annotated, ClassVar

from pydantic import Field

from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.config import DEFAULT_SCHEMA, Form, LoaderConfig, Span

MAIN = "main"
"""The schema that every file has, and whose name need not be written."""

CAPABILITIES = LoaderCapabilities(
    backend="duckdb",
    max_identifier_bytes=128,  # DuckDB has no limit
    max_text_bytes=(1 << 30) - 1,  # a batch of Arrow's strings has 2 GiB at most
    enforced_keys=True,
    curated=True,
    views="growing",
    bulk_encoding="arrow",
    documentation=(
        "https://duckdb.org/docs/current/guides/python/import_arrow",
        "https://duckdb.org/docs/current/sql/statements/transactions",
        "https://duckdb.org/docs/current/sql/statements/create_view",
    ),
)


class DuckDBConfig(LoaderConfig):
    """Settings of the DuckDB loader."""

    loader_name: ClassVar[str] = "DuckDB loader"

    schema_: str = Field(
        default=DEFAULT_SCHEMA,
        alias="schema",
        description="Schema of the tables, which for `medgen` is the file's own, `main`; those beside it end in "
        "`_staging`, `_changes`, `_audit` and `_history`.",
    )
    lock_timeout_seconds: Annotated[float, Span()] = Field(
        default=600.0,
        description="Seconds to wait for another load of the same table, and for a process that has the file open.",
    )
    memory_limit: Annotated[str, Form(r"\d+(\.\d+)? *([KMGT]i?B)", "a size as DuckDB writes it, such as 2GB")] = Field(
        default="1GB", description="Memory of DuckDB's in a load or a read; what needs more goes to disk."
    )

    @property
    def schema(self) -> str:  # type: ignore[override]  # pydantic's own is deprecated, and not for this
        """Where the tables are."""
        return MAIN if self.schema_ == DEFAULT_SCHEMA else self.schema_
