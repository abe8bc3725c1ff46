"""Whole releases through both backends: the same counts, the same rows, the same feed, table by table."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from medgen_pipeline.catalog import TABLES, SourceTable, table_by_name
from medgen_pipeline.loaders import AbstractNativeLoader, LoaderFactory
from medgen_pipeline.loading.file_load import LoadOptions, load_table
from medgen_pipeline.release import Archive, ReleaseSource
from medgen_pipeline.testing.files import OPEN_GATES
from medgen_pipeline_tests.loaders.redshift_support import GatedRedshift
from medgen_pipeline_tests.loaders.support import outcome, read

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
        loaders: list[AbstractNativeLoader] = [
            LoaderFactory.create_loader(self.redshift.database, {"schema": "plain"}),
            self.redshift.new_loader(schema="shift"),
        ]
        on_postgres, on_redshift = (load_table(loader, table, source, archive, options) for loader in loaders)
        assert outcome(on_redshift) == outcome(on_postgres)
        assert self.rows("shift", table) == self.rows("plain", table)
        feed = ("_change_type", "_release")
        assert self.rows("shift_changes", table, feed) == self.rows("plain_changes", table, feed)

    def rows(self, schema: str, table: SourceTable, columns: tuple[str, ...] = ()) -> Counter[tuple[object, ...]]:
        if not self.redshift.exists(f"{schema}.{table.name}"):
            return Counter()
        return Counter(read(self.redshift.database, schema, table, columns))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_of_the_sample_releases_is_the_same_on_both_backends(
    redshift: GatedRedshift, samples: tuple[Path, Path], tmp_path: Path, table: SourceTable
) -> None:
    backends = Backends(redshift, tmp_path)
    first, second = samples
    backends.load(table, first, force_warehouse=False)
    backends.load(table, second, force_warehouse=False)
    backends.load(table, first, force_warehouse=True)
    assert redshift.left_outside() == []


@pytest.mark.real
@pytest.mark.parametrize("name", ["names", "mgrel"])
def test_a_table_of_three_real_releases_is_the_same_on_both_backends(
    redshift: GatedRedshift, real_releases: Path, tmp_path: Path, name: str
) -> None:
    backends = Backends(redshift, tmp_path)
    for number, release in enumerate(REAL):
        backends.load(table_by_name(name), real_releases / release, force_warehouse=number == 2)
