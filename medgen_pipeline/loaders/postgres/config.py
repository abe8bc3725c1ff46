"""Settings of the PostgreSQL loader, checked before anything is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from medgen_pipeline.errors import MOST_SECONDS, require_number
from medgen_pipeline.loaders.capabilities import LoaderCapabilities

CAPABILITIES = LoaderCapabilities(
    backend="postgres",
    max_identifier_bytes=63,
    max_text_bytes=(1 << 30) - 1,
    transactional_ddl=True,
    enforced_keys=True,
    curated=True,
    documentation=(
        "https://www.postgresql.org/docs/current/limits.html",
        "https://www.postgresql.org/docs/current/sql-copy.html",
    ),
)


@dataclass(frozen=True)
class PostgresConfig:
    """Settings of the PostgreSQL loader.

    Attributes:
        schema: Schema of the tables; ``_staging``, ``_changes`` and ``_audit`` are appended for the others.
        lock_timeout_seconds: How long to wait for another load of the same table, and for other writers to it.
        work_mem: Memory per sort or hash of the comparison, as PostgreSQL writes sizes.
        maintenance_work_mem: Memory per index build.
    """

    schema: str = "medgen"
    lock_timeout_seconds: float = 600.0
    work_mem: str = "256MB"
    maintenance_work_mem: str = "512MB"

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> Self:
        """Check names and numbers.

        Raises:
            ValueError: An unknown setting, or one that cannot be meant.
        """
        known = {field.name for field in fields(cls)}
        if strangers := sorted(set(config) - known):
            raise ValueError(f"PostgreSQL loader: unknown settings {strangers}; known: {sorted(known)}.")
        made = cls(**config)
        require_number("PostgreSQL loader: lock_timeout_seconds", made.lock_timeout_seconds, most=MOST_SECONDS)
        return made
