"""Six real versions of Mondo's mapping to MedGen, rebuilt byte for byte from `concept_xref`.

Mondo makes the file from MedGenIDMappings.txt, so that can be told from it: its rows of sources MONDO and MedGen. What
changed from version to version was counted without this package.
"""

import gzip
import os
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from medgen_pipeline.access.export.mappings import Xref, robot, xrefs
from medgen_pipeline.catalog import any_table_by_name, table_by_name
from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.release import Archive
from medgen_pipeline_tests.loaders.cases import THOROUGHLY, skip_what_others_stand_for
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import new_loader

# Pairs of a Mondo id and a CUI, and how many of them went and came since the version before.
VERSIONS = {
    "2024-08-05": (21_079, 0, 0),
    "2024-11-22": (21_139, 10, 70),
    "2024-12-06": (21_202, 54, 117),
    "2025-06-11": (21_354, 69, 221),
    "2025-09-08": (21_381, 13, 40),
    "2025-12-16": (21_439, 101, 159),
}
LOADED = list(VERSIONS)[: len(VERSIONS) if THOROUGHLY else 4]
MAPPINGS = table_by_name("medgen_id_mappings")
XREF = any_table_by_name("concept_xref")
VALID = (
    "SELECT {columns} FROM {view} WHERE valid_from_release <= {release}"
    " AND (valid_to_release > {release} OR valid_to_release IS NULL)"
)

pytestmark = pytest.mark.real


def mapping_of(rows: Iterable[Xref]) -> bytes:
    """Mondo's file, as an export makes it."""
    return "".join(robot(rows)).encode()


def publish(folder: Path, mapping: bytes, version: str) -> None:
    """A release whose MedGenIDMappings.txt.gz has what Mondo's file was made from, of the version's date."""
    folder.mkdir()
    lines = [b"#CUI_or_CN_id|pref_name|source_id|source|\n"]
    for line in mapping.splitlines()[2:]:
        mondo, xref, source, *_ = line.split(b"\t")
        if xref.startswith(b"UMLS:"):
            cui, uid = xref.removeprefix(b"UMLS:"), source.removeprefix(b"MEDGEN:")
            lines += [b"%b||%b|MedGen|\n" % (cui, uid), b"%b||%b|MONDO|\n" % (cui, mondo)]
    path = folder / MAPPINGS.file_name
    path.write_bytes(gzip.compress(b"".join(lines), 1))
    stamp = datetime.fromisoformat(version).replace(tzinfo=UTC).timestamp()
    os.utime(path, (stamp, stamp))


@pytest.fixture(params=["postgres", "duckdb", "redshift", "databricks"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> CuratedWarehouse:
    skip_what_others_stand_for(request, {request.function.__name__: ("postgres",)})
    if request.param == "duckdb":
        dsn = f"duckdb:///{tmp_path}/medgen.duckdb"
        return CuratedWarehouse(lambda: LoaderFactory.create_loader(dsn, {}), dsn)
    database: str = request.getfixturevalue("database")
    if request.param == "postgres":
        return CuratedWarehouse(lambda: new_loader(database), database)
    return CuratedWarehouse(request.getfixturevalue(request.param).new_loader, database)


def as_of(warehouse: CuratedWarehouse, version: str) -> list[Xref]:
    """The rows as they were after a version, from production and the change feed."""
    with warehouse.new_loader() as loader:
        return sorted(Xref(*row) for row in loader.read_as_of(XREF, version))


def require_same_in_the_view(warehouse: CuratedWarehouse, version: str) -> None:
    """The view of the history has the same rows."""
    with warehouse.new_loader() as loader:
        for table in (XREF, MAPPINGS):
            as_read = loader.read_as_of(table, version)
            names = sql.SQL(", ").join(map(sql.Identifier, table.column_names))
            view = sql.Identifier("medgen_history", table.name)
            assert Counter(loader.query(VALID, columns=names, view=view, release=version)) == Counter(as_read)


def test_every_version_is_rebuilt_byte_for_byte_and_its_changes_are_the_known_ones(
    warehouse: CuratedWarehouse, real_releases: Path, tmp_path: Path
) -> None:
    for name in ("names", "mgconso"):
        warehouse.give(name, [], "2024-01-01")
    published: dict[str, bytes] = {}
    before = ""
    for version in LOADED:
        pairs, gone, come = VERSIONS[version]
        mapping = gzip.decompress((real_releases / "mondo" / f"mondo-medgen.{version}.tsv.gz").read_bytes())
        publish(tmp_path / version, mapping, version)
        warehouse.bring_to(tmp_path / version, Archive(tmp_path / "archive"), MAPPINGS)
        made = warehouse.make_alone("concept_xref")
        assert not before or made.strategy_reason.startswith("followed"), made.strategy_reason
        with warehouse.new_loader() as loader:
            rows = list(xrefs(loader.read(XREF, ordered=True)))
            changes: list[tuple[object, ...]] = list(loader.read_changes(XREF, before, version)) if before else []
        assert Counter(row.source for row in rows) == {"MONDO": pairs, "MedGen": pairs}
        assert mapping_of(rows) == mapping
        kinds = Counter(str(row[0]) for row in changes if row[5] == "MONDO")
        assert (kinds["delete"], kinds["insert"], kinds.total()) == (gone, come, gone + come)
        published[version], before = mapping, version
    for version, mapping in published.items():
        assert mapping_of(as_of(warehouse, version)) == mapping
    for version in LOADED[1::2]:
        require_same_in_the_view(warehouse, version)
    assert warehouse.findings("concept_xref", "mondo_and_uid_are_one_to_one") == []
