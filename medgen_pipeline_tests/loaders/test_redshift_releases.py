"""Whole releases through both backends: of NCBI's tables and of curated ones the same counts, rows and feed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from medgen_pipeline.catalog import CURATED_TABLES, SourceTable, Table, table_by_name
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderFactory
from medgen_pipeline.loading.file_load import load_table
from medgen_pipeline.loading.load import LoadOptions
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline.testing import Row
from medgen_pipeline.testing.files import OPEN_GATES
from medgen_pipeline_tests.loaders.cases import THOROUGHLY
from medgen_pipeline_tests.loaders.curated_support import READ, ROWS_FROM, CuratedWarehouse
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift
from medgen_pipeline_tests.loaders.support import outcome

REAL = ("2021-08-20", "2021-11-11", "2021-12-02")


@dataclass(frozen=True)
class Backends:
    """PostgreSQL and Redshift, fed with the same files. Redshift's schema is behind the gate, in the same database."""

    redshift: GatedRedshift
    home: Path

    def load(self, table: SourceTable, release: Path, *, force_warehouse: bool) -> None:
        archive = Archive(self.home)
        source = ReleaseSource(release.as_uri(), archive).fetch(table)
        options = LoadOptions(limits=OPEN_GATES, force_warehouse=force_warehouse)
        on_postgres, on_redshift = (
            load_table(new_loader(), table, source, archive, options) for new_loader in self.new_loaders
        )
        assert outcome(on_redshift) == outcome(on_postgres), table.name
        self.require_same(table)

    def make_curated(self) -> None:
        on_postgres, on_redshift = (
            CuratedWarehouse(new_loader, self.redshift.database).make_all() for new_loader in self.new_loaders
        )
        assert len(on_postgres) == len(CURATED_TABLES)
        for table in CURATED_TABLES:
            assert outcome(on_redshift[table.name]) == outcome(on_postgres[table.name]), table.name
            assert self.require_same(table) > 10, table.name

    @property
    def new_loaders(self) -> list[Callable[[], AbstractNativeLoader]]:
        """Of PostgreSQL and of Redshift."""
        return [
            lambda: LoaderFactory.create_loader(self.redshift.database, {"schema": "plain"}),
            self.redshift.in_schema("shift").new_loader,
        ]

    def require_same(self, table: Table) -> int:
        """Compare rows and feed; how many rows there are. In the database: a real table has many."""
        assert self.differences("", table) == [], table.name
        assert self.differences("_changes", table, "_change_type", "_release") == [], table.name
        ((rows,),) = self.redshift.direct(f"SELECT count(*) FROM plain.{table.name}")  # noqa: S608  # of the catalog
        return int(str(rows))

    def differences(self, part: str, table: Table, *columns: str) -> list[Row]:
        """Some rows that one has and the other has not, or not as often."""
        names = ", ".join((*columns, *table.column_names))
        one, other = (f"SELECT {names} FROM {schema}{part}.{table.name}" for schema in ("plain", "shift"))  # noqa: S608
        return self.redshift.direct(f"({one} EXCEPT ALL {other}) UNION ALL ({other} EXCEPT ALL {one}) LIMIT 9")


def test_every_table_of_the_sample_releases_is_the_same_on_both_backends(
    redshift: GatedRedshift, samples: tuple[Path, Path], tmp_path: Path
) -> None:
    backends = Backends(redshift, tmp_path)
    for release, tables in zip(samples, (READ, READ if THOROUGHLY else ROWS_FROM), strict=True):
        for table in tables:
            backends.load(table, release, force_warehouse=False)
        backends.make_curated()
    for table in READ if THOROUGHLY else map(table_by_name, ("names", "mgrel", "gene_info")):
        backends.load(table, samples[0], force_warehouse=True)
    assert redshift.in_schema("shift").left_outside() == []


@pytest.mark.real
@pytest.mark.parametrize("name", ["names", "mgrel"] if THOROUGHLY else ["names"])
def test_a_table_of_three_real_releases_is_the_same_on_both_backends(
    redshift: GatedRedshift, real_releases: Path, tmp_path: Path, name: str
) -> None:
    backends = Backends(redshift, tmp_path)
    for number, release in enumerate(REAL):
        backends.load(table_by_name(name), real_releases / release, force_warehouse=number == 2)
