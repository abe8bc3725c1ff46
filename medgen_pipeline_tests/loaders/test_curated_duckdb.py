"""Curated tables of a DuckDB file are those of PostgreSQL, row by row, when they are made and when they follow."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medgen_pipeline.access.read import read
from medgen_pipeline.catalog import CURATED_TABLES, CuratedTable
from medgen_pipeline.release import Archive
from medgen_pipeline.testing import Row
from medgen_pipeline_tests.loaders.curated_support import READ, ROWS_FROM, CuratedWarehouse
from medgen_pipeline_tests.loaders.duckdb_backend import DuckDBFile, kept_open
from medgen_pipeline_tests.loaders.support import new_loader


def test_curated_tables_of_a_file_are_those_of_postgresql(
    database: str, samples: tuple[Path, Path], tmp_path: Path
) -> None:
    file = DuckDBFile.of(tmp_path)
    warehouses = [CuratedWarehouse(loader, database) for loader in (lambda: new_loader(database), file.new_loader)]
    differ = []
    with kept_open():
        for release, tables in zip(samples, (READ, ROWS_FROM), strict=True):
            for warehouse in warehouses:
                warehouse.bring_to(release, Archive(tmp_path / "archive"), *tables)
            reasons = [{name: made.strategy_reason for name, made in one.make_all().items()} for one in warehouses]
            assert reasons[0] == reasons[1]
            for table in CURATED_TABLES:
                one, other = (Counter(rows_of(warehouse, table)) for warehouse in warehouses)
                if one != other:
                    differ.append((release.name, table.name, one - other, other - one))
    assert differ == []
    assert sum(reason.startswith("followed") for reason in reasons[1].values()) > 5


def rows_of(warehouse: CuratedWarehouse, table: CuratedTable) -> Iterator[Row]:
    return zip(*read(warehouse.new_loader, table).read_all().to_pydict().values(), strict=True)
