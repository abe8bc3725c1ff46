"""Genes and concepts of two real files, against numbers that were counted without this package."""

import gzip
from pathlib import Path

import pytest

from medgen_pipeline.catalog import Query, table_by_name
from medgen_pipeline.release import Archive
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import new_loader

FILES = {
    "mim2gene_medgen": ("mim2gene_medgen.2026-04-14.txt.gz", 7_624),
    "gene_condition_source_id": ("gene_condition_source_id.txt.gz", 10_666),
}
IN_BOTH = 7_144
PAIRS = Query(text="SELECT listed_in, gene_id, cui FROM {gene_disease} GROUP BY listed_in, gene_id, cui")
MARFAN = Query(
    text="""
SELECT symbol, association, source, mim_number, listed_in FROM {gene_disease}
WHERE cui = 'C0024796' ORDER BY listed_in, source
"""
)


@pytest.mark.real
def test_all_pairs_of_both_files_are_there_before_any_is_redirected(
    database: str, real_releases: Path, tmp_path: Path
) -> None:
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    release = tmp_path / "release"
    release.mkdir()
    for name, (file, _) in FILES.items():
        content = gzip.decompress((real_releases / "siblings" / file).read_bytes())
        (release / table_by_name(name).file_name).write_bytes(content)
    warehouse.bring_to(release, Archive(tmp_path / "archive"), *map(table_by_name, FILES))
    warehouse.give("cui_redirect", [])
    warehouse.make_alone("gene_disease")
    with warehouse.new_loader() as loader:
        pairs = {name: {row[1:] for row in loader.read_query(PAIRS, 99_999) if row[0] == name} for name in FILES}
        marfan = loader.read_query(MARFAN, 9)
    assert {name: len(found) for name, found in pairs.items()} == {name: count for name, (_, count) in FILES.items()}
    mim, clinvar = pairs.values()
    assert (len(mim & clinvar), len(mim | clinvar)) == (IN_BOTH, 7_624 + 10_666 - IN_BOTH)
    assert marfan == [
        ("FBN1", "causal", "MONDO", "154700", "gene_condition_source_id"),
        ("FBN1", "causal", "GeneMap", "154700", "mim2gene_medgen"),
        ("FBN1", "causal", "GeneReviews", "154700", "mim2gene_medgen"),
    ]
