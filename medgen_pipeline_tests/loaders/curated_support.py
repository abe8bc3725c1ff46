"""What tests of curated tables need of a warehouse, be it PostgreSQL or the Redshift behind the gate.

Upstream tables are filled through the contract, a few rows at a time; curated tables are made by ``load_curated``.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medgen_pipeline.catalog import (
    CURATED_TABLES,
    CuratedTable,
    SourceTable,
    Table,
    any_table_by_name,
    upstream_of,
)
from medgen_pipeline.catalog.query import Parameter
from medgen_pipeline.loaders import AbstractNativeLoader
from medgen_pipeline.loading.curated_load import CuratedOptions, load_curated, read_metrics
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.loading.load import LoadOptions, LoadResult
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline.testing import Row, load
from medgen_pipeline.testing.files import OPEN_GATES
from medgen_pipeline_tests.loaders.support import query, read

RELEASE = "2026-01-07"
# NCBI's tables that a curated table reads; each of the others is one more load that shows nothing new.
READ = tuple(
    dict.fromkeys(
        upstream for table in CURATED_TABLES for upstream in upstream_of(table) if isinstance(upstream, SourceTable)
    )
)
# Those that rows are made from; of the others the report reads the loads alone.
ROWS_FROM = tuple(table for table in READ if any(table.name in one.query.rows_of for one in CURATED_TABLES))


def curated(name: str) -> CuratedTable:
    return next(table for table in CURATED_TABLES if table.name == name)


@dataclass(frozen=True)
class CuratedWarehouse:
    """A schema in which upstream tables are given and curated ones are made.

    Attributes:
        new_loader: A loader for the schema.
        database: URL of the PostgreSQL in which the tables are.
        schema: Where they are.
    """

    new_loader: Callable[[], AbstractNativeLoader]
    database: str
    schema: str = "medgen"
    given: dict[str, str] = field(default_factory=dict)

    def give(self, name: str, rows: Sequence[Mapping[str, object] | Row], release: str = RELEASE) -> None:
        """Make ``rows`` the content of an upstream table; columns that a row does not name are NULL."""
        table = any_table_by_name(name)
        whole = [
            tuple(row.get(column) for column in table.column_names) if isinstance(row, Mapping) else row for row in rows
        ]
        load(self.new_loader(), table, whole, release)
        self.given[name] = release

    def give_names(self, *cuis: str) -> None:
        self.give("names", [{"cui": cui, "name": f"Name of {cui}", "source": "GTR"} for cui in cuis])

    def make(self, name: str, **parameters: Parameter) -> LoadResult:
        """Make a curated table, and before it what it cannot be made without: empty where it was not given."""
        table = curated(name)
        for upstream in upstream_of(table):
            if isinstance(upstream, CuratedTable):
                self.make(upstream.name)
            elif upstream.name not in self.given and upstream.name not in table.optional:
                self.give(upstream.name, [])
        return load_curated(self.new_loader(), table, CuratedOptions(parameters))

    def bring_to(self, release: Path, archive: Archive, *tables: SourceTable) -> None:
        """Load NCBI's tables from a directory: those that a curated table reads, unless some are named."""
        source = ReleaseSource(release.as_uri(), archive)
        for table in tables or READ:
            load_table(self.new_loader(), table, source.fetch(table), archive, LoadOptions(limits=OPEN_GATES))

    def make_all(self) -> dict[str, LoadResult]:
        """Make every curated table from what is there."""
        return {table.name: self.make_alone(table.name) for table in CURATED_TABLES}

    def make_alone(self, name: str, *, force_rebuild: bool = False, **parameters: Parameter) -> LoadResult:
        """Make one curated table from what is there."""
        options = CuratedOptions(parameters, force_rebuild=force_rebuild)
        return load_curated(self.new_loader(), curated(name), options)

    def rows(self, table: Table | str, columns: Sequence[str] = ()) -> list[Row]:
        """The rows of a table, sorted; of some columns only where they are named."""
        found = any_table_by_name(table) if isinstance(table, str) else table
        if not columns:
            return read(self.database, self.schema, found)
        places = [found.column_names.index(column) for column in columns]
        return sorted((tuple(row[k] for k in places) for row in self.rows(found)), key=repr)

    def findings(self, name: str, rule: str, **parameters: Parameter) -> list[Row]:
        """What a rule of a curated table finds in it."""
        (asked,) = (one.query for one in curated(name).rules if one.name == rule)
        with self.new_loader() as loader:
            return loader.read_query(asked.with_parameters(parameters), 100)

    def metrics(self, name: str, **parameters: Parameter) -> dict[str, list[Row]]:
        with self.new_loader() as loader:
            return read_metrics(loader, curated(name), CuratedOptions(parameters))

    def edit(self, statement: str) -> None:
        """Change a table behind the loader's back."""
        query(self.database, statement)

    def feed(self, name: str) -> Counter[Row]:
        if query(self.database, "SELECT to_regclass(%s) IS NULL", f"{self.schema}_changes.{name}") == [(True,)]:
            return Counter()
        return Counter(read(self.database, f"{self.schema}_changes", any_table_by_name(name), ("_change_type",)))
