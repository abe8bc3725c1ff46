"""A Redshift for the loader's tests: the gate, its S3, and what a test needs of a backend.

``Warehouse.new_loader``, ``read`` and ``query`` are all that tests of the contract use, so that they can become one
suite for all backends.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.gates import GateLimits
from medgen_pipeline.load import LoadOptions, LoadResult, load_table
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderFactory
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline_tests.integration.test_strategies import write
from medgen_pipeline_tests.loaders.support import Row, query, read
from medgen_pipeline_tests.redgate.gate import Gate
from medgen_pipeline_tests.redgate.s3server import BUCKET as BUCKET
from medgen_pipeline_tests.redgate.s3server import S3Server

ROLE = "arn:aws:iam::123456789012:role/medgen-load"
OPEN_GATES = GateLimits(
    max_rejected_percent=100, max_shrink_percent=100, max_growth_percent=1e9, accept_broken_key=True
)


@dataclass(frozen=True)
class Warehouse:
    """An empty Redshift and its bucket.

    Attributes:
        database: URL of the PostgreSQL behind the gate, for looks that nothing translates.
        gate: The Redshift.
        s3: The S3.
    """

    database: str
    gate: Gate
    s3: S3Server

    def new_loader(self, **config: object) -> AbstractNativeLoader:
        settings = {
            "s3_bucket": BUCKET,
            "aws_region": "us-east-1",
            "iam_role": ROLE,
            "drop_grace_seconds": 0,
            "conflict_backoff_seconds": 0.01,
        }
        return LoaderFactory.create_loader(self.gate.dsn("redshift", sslmode="disable"), {**settings, **config})

    def read(self, schema: str, table: SourceTable, columns: Sequence[str] = ()) -> list[Row]:
        return read(self.database, schema, table, columns)

    def query(self, statement: str, *params: object) -> list[Row]:
        return query(self.database, statement, *params)

    def exists(self, relation: str) -> bool:
        return self.query("SELECT to_regclass(%s) IS NOT NULL", relation) == [(True,)]

    def left_in_s3(self) -> list[str]:
        """Objects and unfinished uploads."""
        return [*self.s3.keys(BUCKET), *self.s3.unfinished_uploads(BUCKET)]

    def left_in_staging(self) -> list[Row]:
        """Tables in staging, and those that stand beside production under a name of their own."""
        return self.query(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'medgen_staging' OR schemaname = 'medgen'"
            " AND tablename LIKE '%%\\_\\_%%'"
        )

    def statuses(self) -> list[str]:
        return [str(row[0]) for row in self.query("SELECT status FROM medgen_audit.load_run ORDER BY load_id")]


@dataclass(frozen=True)
class Mirror:
    """One table kept up to date by whole loads, from files written for it."""

    warehouse: Warehouse
    home: Path
    table: SourceTable
    schema: str = "medgen"

    def load(self, lines: list[bytes], *, release: str = "2026-01-07", **options: object) -> LoadResult:
        folder = self.home / "source" / release
        write(folder, self.table, lines)
        archive = Archive(self.home / "archive")
        source = ReleaseSource(folder.as_uri(), archive).fetch(self.table)
        loader = self.warehouse.new_loader(schema=self.schema)
        given = {"limits": OPEN_GATES, **options}
        return load_table(loader, self.table, source, archive, LoadOptions(**given))  # type: ignore[arg-type]

    def production(self) -> Counter[Row]:
        return Counter(self.warehouse.read(self.schema, self.table))

    def feed(self) -> Counter[Row]:
        if not self.warehouse.exists(f"{self.schema}_changes.{self.table.name}"):
            return Counter()
        return Counter(self.warehouse.read(f"{self.schema}_changes", self.table, ("_change_type", "_release")))
