"""Settings of the PostgreSQL loader. Needs no driver."""

from typing import Annotated, ClassVar

from pydantic import Field

from medgen_pipeline.loaders.capabilities import LoaderCapabilities
from medgen_pipeline.loaders.config import Form, LoaderConfig, Span

CAPABILITIES = LoaderCapabilities(
    backend="postgres",
    max_identifier_bytes=63,
    max_text_bytes=(1 << 30) - 1,
    enforced_keys=True,
    curated=True,
    views="growing",
    documentation=(
        "https://www.postgresql.org/docs/current/limits.html",
        "https://www.postgresql.org/docs/current/sql-copy.html",
        "https://www.postgresql.org/docs/current/sql-createview.html",
    ),
)

_Memory = Annotated[str, Form(r"\d+(\.\d+)? *(B|kB|MB|GB|TB)?", "a size as PostgreSQL writes it, such as 256MB")]


class PostgresConfig(LoaderConfig):
    """Settings of the PostgreSQL loader."""

    loader_name: ClassVar[str] = "PostgreSQL loader"

    lock_timeout_seconds: Annotated[float, Span()] = Field(
        default=600.0, description="Seconds to wait for another load of the same table, and for other writers to it."
    )
    work_mem: _Memory = Field(default="256MB", description="Memory per sort or hash of the comparison.")
    maintenance_work_mem: _Memory = Field(default="512MB", description="Memory per build of an index.")
