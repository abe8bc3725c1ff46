"""The sample release, read back by a reader of its own: split on LF, split on the delimiter, nothing else."""

import gzip
import re
import struct
from collections import Counter
from pathlib import Path

import pytest

from medgen_pipeline.catalog import TABLES, Framing, SourceTable, table_by_name
from medgen_pipeline.demo.sample_release import write_sample

Rows = list[tuple[bytes, ...]]
Release = dict[str, Rows]
JANUARY_7, JANUARY_14 = 1_767_805_200, 1_768_410_000  # 17:00 UTC
WHOLE_ROWS = {
    "mgconso",
    "mgdef",
    "medgen_hpo_omim_mapping",
    "medgen_cui_history",
    "mondo_cui_history",  # it has a key, and the sample breaks it
    "mim2gene_medgen",
    "gene_condition_source_id",
    "concept_id_history",
    "genereviews_omim",
    "genereviews_gene",
    "genereviews_title",
    "gtr_test_condition_gene",
}


def lines_of(path: Path) -> list[bytes]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    assert text.endswith(b"\n")
    return text[:-1].split(b"\n")


def rows_of(table: SourceTable, directory: Path) -> Rows:
    delimiter = b"|" if table.framing is Framing.PIPE else b"\t"
    rows = (tuple(line.split(delimiter)) for line in lines_of(directory / table.file_name)[1:])
    missing = [marker.encode() for marker in table.source.null_markers]
    fields = (row[:-1] if table.framing is Framing.PIPE else row for row in rows)
    return [tuple(b"" if value in missing else value for value in row) for row in fields]


def good_rows(table: SourceTable, directory: Path) -> Rows:
    return [row for row in rows_of(table, directory) if len(row) == len(table.columns)]


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base, successor = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("successor")
    write_sample(base)
    write_sample(successor, successor=True)
    return base, successor


@pytest.fixture(scope="module")
def base(directories: tuple[Path, Path]) -> Release:
    return {table.name: good_rows(table, directories[0]) for table in TABLES}


@pytest.fixture(scope="module")
def successor(directories: tuple[Path, Path]) -> Release:
    return {table.name: good_rows(table, directories[1]) for table in TABLES}


def column(release: Release, table_name: str, column_name: str) -> list[bytes]:
    position = table_by_name(table_name).column_names.index(column_name)
    return [row[position] for row in release[table_name]]


def pairs(release: Release, table_name: str, first: str, second: str) -> list[tuple[bytes, bytes]]:
    return list(zip(column(release, table_name, first), column(release, table_name, second), strict=True))


# The files


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for successor in (False, True):
        one = write_sample(tmp_path / "one", scale=0.05, successor=successor)
        two = write_sample(tmp_path / "two", scale=0.05, successor=successor)
        assert [path.name for path in one] == [table.file_name for table in TABLES]
        assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_file_and_its_gzip_header_carry_the_time_of_the_release(directories: tuple[Path, Path]) -> None:
    for directory, stamp in zip(directories, (JANUARY_7, JANUARY_14), strict=True):
        for table in TABLES:
            path = directory / table.file_name
            assert path.stat().st_mtime == stamp
            if table.is_gzip:
                assert struct.unpack("<I", path.read_bytes()[4:8]) == (stamp,)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_file_has_the_header_and_the_fields_of_the_catalog(
    table: SourceTable, directories: tuple[Path, Path]
) -> None:
    delimiter, end = ("|", "|") if table.framing is Framing.PIPE else ("\t", "")
    header = "#" + delimiter.join(column.header for column in table.columns) + end
    for directory in directories:
        first, *others = lines_of(directory / table.file_name)
        assert first == header.encode()
        assert all(line.endswith(end.encode()) for line in others)
        bad = [row for row in rows_of(table, directory) if len(row) != len(table.columns)]
        assert len(bad) == (1 if table.name == "mgconso" else 0)


def test_the_release_is_small_and_no_table_is_tiny(base: Release) -> None:
    assert 60_000 < sum(map(len, base.values())) < 100_000
    assert {name for name, rows in base.items() if len(rows) < 300} == {"medgen_sources"}
    assert len(base["medgen_sources"]) == table_by_name("medgen_sources").typical_rows


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_holds_values_and_the_catalog_says_where_they_may_be_missing(
    table: SourceTable, base: Release
) -> None:
    for spec in table.columns:
        values = column(base, table.name, spec.name)
        assert any(values), spec.name
        assert spec.nullable or all(values), spec.name
        assert max(map(len, values)) <= spec.max_bytes, spec.name


def test_scale_changes_the_size_and_must_be_positive(tmp_path: Path, base: Release) -> None:
    write_sample(tmp_path, scale=0.1)
    small = rows_of(table_by_name("mgrel"), tmp_path)
    assert 0.05 < len(small) / len(base["mgrel"]) < 0.2
    with pytest.raises(ValueError, match="scale is 0"):
        write_sample(tmp_path, scale=0)


# The oddities of real files

ODDITIES = [
    ("a carriage return inside a definition", "mgdef", "def", rb".\r."),
    ("a double quote in a definition", "mgdef", "def", rb'"'),
    ("a backslash in a definition", "mgdef", "def", rb"\\"),
    ("a TAB in a definition", "mgdef", "def", rb"\t"),
    ("a double quote in a name", "names", "name", rb'"'),
    ("a backslash in a name", "names", "name", rb"\\"),
    ("a name outside ASCII", "names", "name", "ö".encode()),
    ("trailing blanks", "names", "name", rb" +\Z"),
    ("a value that is \\N", "mgsat", "atv", rb"\A\\N\Z"),
    ("a value that is \\.", "mgsat", "atv", rb"\A\\\.\Z"),
    ("a term that is \\N", "mgconso", "str", rb"\A\\N\Z"),
    ("a lone backslash", "mgconso", "str", rb"\A\\\Z"),
    ("the word NULL", "mgconso", "str", rb"\ANULL\Z"),
    ("a blank RELA", "mgrel", "rela", rb"\A\Z"),
    ("a denied relationship", "mgrel", "rela", rb"\Anot_"),
    ("a denied relationship of HPO", "medgen_hpo_omim_mapping", "relationship", rb"\Anot_"),
    ("a blank relationship", "medgen_hpo_omim_mapping", "relationship", rb"\A\Z"),
    ("one spelling of allelic variants", "medgen_id_mappings", "source", rb"\AOMIM allelic variant\Z"),
    ("the other spelling of allelic variants", "medgen_id_mappings", "source", rb"\AOMIM Allelic Variant\Z"),
    ("a text for a CUI", "medgen_cui_history", "current_cui", rb"\ANo longer reported\Z"),
    ("a concept made by NCBI", "names", "cui", rb"\ACN\d{6}\Z"),
    ("a blank before a source", "mim2gene_medgen", "source", rb"\A GeneMap\Z"),
    ("a list of sources", "mim2gene_medgen", "source", rb"\A GeneMap; GeneReviews\Z"),
    ("an entry without a gene", "mim2gene_medgen", "gene_id", rb"\A\Z"),
    ("a susceptibility", "mim2gene_medgen", "comment", rb"\Asusceptibility\Z"),
    ("a symbol of a gene that is only related", "gene_condition_source_id", "related_genes", rb"\ARLTD"),
    ("an Orphanet number like nobody else's", "gene_condition_source_id", "source_id", rb"\AORPHA\d+\Z"),
    ("a chapter without a gene", "genereviews_gene", "gene_symbol", rb"\A\Z"),
    ("a number whose meaning another column tells", "gtr_test_condition_gene", "object", rb"\Acondition\Z"),
    ("a retired concept that ClinVar reports no longer", "concept_id_history", "current_concept_id", rb"\ANo longer"),
    ("a list of identifiers", "gene_info", "db_xrefs", rb"\AMIM:\d+\|HGNC:HGNC:\d+\Z"),
    ("one format of dates", "gene_condition_source_id", "last_updated", rb"\A[A-Z][a-z]{2} \d\d \d{4}\Z"),
    ("the other format of dates", "gene_condition_source_id", "last_updated", rb"\A\d\d [A-Z][a-z]{2} \d{4}\Z"),
]


@pytest.mark.parametrize(("what", "table_name", "column_name", "pattern"), ODDITIES, ids=[odd[0] for odd in ODDITIES])
def test_both_releases_have(
    what: str, table_name: str, column_name: str, pattern: bytes, base: Release, successor: Release
) -> None:
    for release in (base, successor):
        assert any(re.search(pattern, value) for value in column(release, table_name, column_name)), what


def test_one_name_of_the_pubmed_links_and_one_title_are_not_utf8(base: Release, successor: Release) -> None:
    for release in (base, successor):
        damaged = []
        for table_name, rows in release.items():
            damaged += [table_name for row in rows if "\ufffd" in b"|".join(row).decode(errors="replace")]
        assert damaged == ["medgen_pubmed_lnk", "genereviews_title"]


def test_rows_repeat_exactly_in_the_hpo_omim_mapping_and_a_key_repeats_in_mondo(base: Release) -> None:
    repeated = {name for name, rows in base.items() if len(set(rows)) < len(rows)}
    assert repeated == {"medgen_hpo_omim_mapping", "mondo_cui_history", "gene_condition_source_id", "genereviews_omim"}


def test_an_aui_repeats_in_mgconso(base: Release) -> None:
    auis = column(base, "mgconso", "aui")
    assert len(set(auis)) < len(auis)


def test_some_concepts_have_no_preferred_atom(base: Release) -> None:
    preferred = {cui for cui, status in pairs(base, "mgconso", "cui", "ts") if status == b"P"}
    assert preferred < set(column(base, "names", "cui"))


def test_identifiers_are_many_to_many(base: Release) -> None:
    mapped = [row for row in base["medgen_id_mappings"] if row[3] != b"MedGen"]
    assert max(Counter((row[0], row[3]) for row in mapped).values()) > 1
    assert max(Counter((row[2], row[3]) for row in mapped).values()) > 1


def test_mgrel_has_self_loops_and_a_cycle_of_parents(base: Release) -> None:
    related = base["mgrel"]
    assert sum(row[0] == row[4] for row in related) > 10
    parents = {(row[0], row[4]) for row in related if row[3] == b"PAR" and row[0] != row[4]}
    assert any((parent, child) in parents for child, parent in parents)


def test_merged_has_chains_and_a_cycle(base: Release) -> None:
    target = dict(pairs(base, "merged", "cui", "to_cui"))
    assert any(target.get(target[cui]) == cui for cui in target)
    living = set(column(base, "names", "cui"))
    assert any(target[cui] in target and target[target[cui]] in living for cui in target)
    assert not living & target.keys()


def test_links_of_a_concept_stand_together(base: Release) -> None:
    uids = column(base, "medgen_pubmed_lnk", "uid")
    groups = [uid for number, uid in enumerate(uids) if number == 0 or uids[number - 1] != uid]
    assert len(groups) == len(set(groups))


# One world: the tables join


def test_every_reference_of_the_base_release_resolves_but_for_chains_of_merges(base: Release) -> None:
    living = set(column(base, "names", "cui"))
    orphaned = set()
    for table in TABLES:
        for reference in table.references:
            if not set(column(base, table.name, reference.column)) <= living:
                orphaned.add(table.name)
    assert orphaned == {"merged"}


def test_marfan_syndrome_has_its_parent_its_identifiers_and_its_features(base: Release) -> None:
    names = dict(pairs(base, "names", "cui", "name"))
    marfan = b"C0024796"
    assert names[marfan] == b"Marfan syndrome"
    parents = [row[4] for row in base["mgrel"] if row[0] == marfan and row[3] == b"PAR"]
    assert [names[cui] for cui in parents] == [b"Connective tissue disorder"]
    children = [row[4] for row in base["mgrel"] if row[0] == parents[0] and row[3] == b"CHD"]
    assert set(children) == {marfan, b"C2697932"}  # and Loeys-Dietz syndrome
    ids = {(row[3], row[2]) for row in base["medgen_id_mappings"] if row[0] == marfan}
    assert {(b"OMIM", b"154700"), (b"Orphanet", b"Orphanet_558"), (b"MONDO", b"MONDO:0007947")} < ids
    features = {row[6]: row[3] for row in base["medgen_hpo_omim_mapping"] if row[1] == b"154700"}
    assert features[b"Ectopia lentis"] == b"manifestation_of"
    assert features[b"Autosomal dominant inheritance"] == b"inheritance_type_of"
    related = {(row[4], row[6]) for row in base["mgrel"] if row[0] == marfan}
    assert (b"C0013581", b"manifestation_of") in related


def test_marfan_syndrome_has_its_gene_in_both_siblings(base: Release) -> None:
    (linked,) = (row for row in base["mim2gene_medgen"] if row[4] == b"C0024796")
    assert linked[:3] == (b"154700", b"2200", b"phenotype")
    reported = {(row[0], row[1], row[6]) for row in base["gene_condition_source_id"] if row[3] == b"C0024796"}
    assert (b"2200", b"FBN1", b"MONDO:0007947") in reported


def test_loeys_dietz_syndrome_is_a_series_and_denies_what_marfan_syndrome_has(base: Release) -> None:
    features = {row[6]: row[3] for row in base["medgen_hpo_omim_mapping"] if row[1] == b"609192"}
    assert features[b"Ectopia lentis"] == b"not_manifestation_of"
    assert features[b"Bifid uvula"] == b"manifestation_of"
    ids = {(row[3], row[2]) for row in base["medgen_id_mappings"] if row[0] == b"C2697932"}
    assert (b"OMIM Phenotypic Series", b"PS609192") in ids
    assert b"OMIM" not in {source for source, _ in ids}


def test_invented_concepts_take_no_cui_of_umls_and_known_ones_are_few(base: Release) -> None:
    known = [cui for cui in column(base, "names", "cui") if not cui.startswith((b"C9", b"CN9"))]
    assert len(known) == 39


# The successor


def changes(table: SourceTable, before: Rows, after: Rows) -> tuple[int, int, int]:
    """Inserted, updated, deleted: by key where it is unique on both sides, else by whole rows."""
    positions = [table.column_names.index(name) for name in table.key]
    old, new = ({tuple(row[k] for k in positions): row for row in rows} for rows in (before, after))
    if not positions or len(old) < len(before) or len(new) < len(after):
        assert table.name in WHOLE_ROWS
        gained, lost = Counter(after) - Counter(before), Counter(before) - Counter(after)
        return gained.total(), 0, lost.total()
    assert table.name not in WHOLE_ROWS
    updated = sum(old[key] != new[key] for key in old.keys() & new.keys())
    return len(new.keys() - old.keys()), updated, len(old.keys() - new.keys())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_successor_changes_a_table_in_every_way_it_can(table: SourceTable, base: Release, successor: Release) -> None:
    inserted, updated, deleted = changes(table, base[table.name], successor[table.name])
    total = len(base[table.name])
    if table.name == "medgen_sources":
        assert (inserted, updated, deleted) == (0, 0, 0)
        return
    assert 0 < inserted < total / 5
    assert 0 < deleted < total / 5
    can_update = table.name not in WHOLE_ROWS and set(table.column_names) > set(table.key)
    assert (updated > 0) is can_update
    assert updated < total / 5


def test_a_successor_leaves_the_sources_byte_for_byte(directories: tuple[Path, Path]) -> None:
    one, two = (directory / "MedGen_Sources.txt" for directory in directories)
    assert one.read_bytes() == two.read_bytes()


def test_a_successor_renames_fifty_concepts_at_once(base: Release, successor: Release) -> None:
    assert changes(table_by_name("names"), base["names"], successor["names"])[1] == 50


def test_a_retired_concept_is_merged_has_a_history_and_lingers_in_mgrel(base: Release, successor: Release) -> None:
    living = set(column(successor, "names", "cui"))
    retired = set(column(base, "names", "cui")) - living
    assert retired
    assert retired <= set(column(successor, "merged", "cui"))
    assert retired <= set(column(successor, "medgen_cui_history", "previous_cui"))
    current = pairs(successor, "medgen_uid_cui_history", "cui", "is_current")
    assert not [cui for cui, is_current in current if cui in retired and is_current == b"1"]
    related = {*column(successor, "mgrel", "cui1"), *column(successor, "mgrel", "cui2")}
    assert len(related - living) == 1
    assert related - living < retired


def test_the_multiplicity_of_repeated_rows_rises_and_falls(base: Release, successor: Release) -> None:
    before, after = (Counter(release["medgen_hpo_omim_mapping"]) for release in (base, successor))
    moves = {(before[row], after[row]) for row in before if before[row] > 1}
    assert {(2, 1), (2, 2), (2, 3)} <= moves
