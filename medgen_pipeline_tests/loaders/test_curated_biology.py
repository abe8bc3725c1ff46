"""What each curated table says, on small worlds made for one question each, on both backends."""

import time
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from medgen_pipeline.errors import SettingError
from medgen_pipeline.testing import Row
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import query

# By the others PostgreSQL stands for Redshift, whose gate has the rows in a PostgreSQL too. That every statement of a
# curated table passes it, and gives the same rows, test_redshift_releases.py and test_curated_lineage.py show.
ON_BOTH = ("test_sources_and_depth_are_the_user_s_choice",)


def related(
    first: str, rel: str, second: str, *, rela: str | None = None, sab: str = "HPO", suppress: str = "N"
) -> Row:
    """A row of MGREL: ``second`` is the ``rel`` of ``first``."""
    rui = f"R-{first}-{rel}-{second}-{sab}-{rela}"
    return first, "A1", "AUI", rel, second, "A2", rela, rui, sab, sab, suppress


def parents(*edges: tuple[str, str], sab: str = "HPO") -> list[Row]:
    return [related(child, "PAR", parent, sab=sab) for child, parent in edges]


def hierarchy(warehouse: CuratedWarehouse, rows: Sequence[Row], **settings: object) -> list[Row]:
    """The ancestors of a world whose concepts are all current."""
    warehouse.give_names(*sorted({str(cui) for row in rows for cui in (row[0], row[4])}))
    warehouse.give("mgrel", rows)
    warehouse.make("concept_ancestor", **settings)  # type: ignore[arg-type]
    return warehouse.rows("concept_ancestor")


# Hierarchy


def test_parents_and_children_of_mgrel_are_turned_the_same_way_round(curated_warehouse: CuratedWarehouse) -> None:
    """REL says what CUI2 is to CUI1: a PAR row names the parent second, a CHD row the child."""
    curated_warehouse.give_names("C1", "C2", "C3")
    rows = [related("C1", "PAR", "C2"), related("C2", "CHD", "C1"), related("C2", "CHD", "C3", sab="MSH")]
    curated_warehouse.give("mgrel", rows)
    curated_warehouse.make("concept_parent")
    assert curated_warehouse.rows("concept_parent") == [("C1", "C2", "HPO"), ("C3", "C2", "MSH")]


def test_what_is_no_edge_of_the_hierarchy_is_left_out(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give_names("C1", "C2")
    curated_warehouse.give(
        "mgrel",
        [
            related("C1", "PAR", "C1"),  # itself
            related("C1", "PAR", "C9"),  # not a current concept
            related("C9", "PAR", "C1"),
            related("C1", "PAR", "C2", rela="not_isa"),  # denied, in both ways that MedGen has of it
            related("C2", "CHD", "C1", rela="is_not_finding_of_disease"),
            related("C1", "PAR", "C2", suppress="O", sab="NCI"),
            related("C1", "RB", "C2"),
            related("C1", "RO", "C2", rela="isa"),
            related("C1", "SIB", "C2"),
        ],
    )
    curated_warehouse.make("concept_parent")
    assert curated_warehouse.rows("concept_parent") == []


def test_an_ancestor_is_as_far_away_as_the_shortest_way_up(curated_warehouse: CuratedWarehouse) -> None:
    rows = parents(("C1", "C2"), ("C2", "C3"), ("C3", "C4"), ("C1", "C4"), ("C4", "C5"))
    assert hierarchy(curated_warehouse, rows) == [
        ("C1", "C2", 1),
        ("C1", "C3", 2),
        ("C1", "C4", 1),
        ("C1", "C5", 2),
        ("C2", "C3", 1),
        ("C2", "C4", 2),
        ("C2", "C5", 3),
        ("C3", "C4", 1),
        ("C3", "C5", 2),
        ("C4", "C5", 1),
    ]


def test_of_a_cycle_the_edge_that_leads_away_from_the_top_is_cut_counted_and_listed(
    curated_warehouse: CuratedWarehouse,
) -> None:
    rows = parents(("C3", "C2"), ("C2", "C1"), ("C2", "C3"), ("C4", "C3"))
    assert hierarchy(curated_warehouse, rows) == [
        ("C2", "C1", 1),
        ("C3", "C1", 2),
        ("C3", "C2", 1),
        ("C4", "C1", 3),
        ("C4", "C2", 2),
        ("C4", "C3", 1),
    ]
    metrics = curated_warehouse.metrics("concept_ancestor")
    assert metrics["hierarchy/cut_edges"] == [(1,)]
    assert metrics["hierarchy/cut"] == [("C2", "C3")]
    assert metrics["hierarchy/greatest_distance"] == [(3,)]
    assert curated_warehouse.findings("concept_ancestor", "no_cycle") == []


def test_of_a_cycle_that_nothing_stands_above_the_concept_with_most_children_is_the_top(
    curated_warehouse: CuratedWarehouse,
) -> None:
    rows = parents(("C1", "C2"), ("C2", "C3"), ("C3", "C1"), ("C4", "C2"))
    assert {row for row in hierarchy(curated_warehouse, rows) if row[0] != "C4"} == {
        ("C1", "C2", 1),
        ("C3", "C1", 1),
        ("C3", "C2", 2),
    }
    metrics = curated_warehouse.metrics("concept_ancestor")
    assert metrics["hierarchy/cut"] == [("C2", "C3")]


def test_of_a_cycle_of_equals_the_lowest_cui_is_the_top(curated_warehouse: CuratedWarehouse) -> None:
    found = hierarchy(curated_warehouse, parents(("C3", "C1"), ("C1", "C2"), ("C2", "C3")))
    assert found == [("C2", "C1", 2), ("C2", "C3", 1), ("C3", "C1", 1)]


def test_cycles_that_share_concepts_are_cut_one_after_the_other(curated_warehouse: CuratedWarehouse) -> None:
    """C1 is the top. Without its way up C2 and C3 still go round: C2, the nearer to the top, stays above C3."""
    rows = parents(("C1", "C3"), ("C2", "C1"), ("C3", "C2"), ("C2", "C3"), ("C1", "C0"))
    found = hierarchy(curated_warehouse, rows)
    assert {("C2", "C1", 1), ("C3", "C2", 1), ("C3", "C0", 3)} <= set(found)
    cut = set(curated_warehouse.metrics("concept_ancestor")["hierarchy/cut"])
    assert cut == {("C1", "C3"), ("C2", "C3")}


def test_concepts_between_two_cycles_lose_nothing(curated_warehouse: CuratedWarehouse) -> None:
    rows = parents(("C2", "C1"), ("C1", "C2"), ("C3", "C2"), ("C4", "C3"), ("C5", "C4"), ("C4", "C5"))
    found = hierarchy(curated_warehouse, rows)
    assert {("C1", "C2", 1), ("C3", "C2", 1), ("C4", "C3", 1), ("C5", "C4", 1), ("C5", "C2", 3)} <= set(found)
    assert curated_warehouse.metrics("concept_ancestor")["hierarchy/cut_edges"] == [(2,)]


def test_sources_and_depth_are_the_user_s_choice(curated_warehouse: CuratedWarehouse) -> None:
    rows = [*parents(("C1", "C2"), ("C2", "C3"), ("C3", "C4")), *parents(("C1", "C4"), ("C4", "C1"), sab="MSH")]
    assert ("C1", "C4", 1) in hierarchy(curated_warehouse, rows)
    assert curated_warehouse.metrics("concept_ancestor")["hierarchy/cut_edges"] == [(1,)]
    curated_warehouse.make_alone("concept_ancestor", sources=("HPO",))
    assert ("C1", "C4", 3) in curated_warehouse.rows("concept_ancestor")
    assert curated_warehouse.metrics("concept_ancestor", sources=("HPO",))["hierarchy/cut_edges"] == [(0,)]
    curated_warehouse.make_alone("concept_ancestor", sources=("HPO", "MSH"), max_depth=1)
    assert {row[2] for row in curated_warehouse.rows("concept_ancestor")} == {1}


_REFUSED: Sequence[tuple[dict[str, Any], str]] = (
    ({"sources": ("HPO", "hpo")}, r"sources is \['HPO', 'hpo'\], expected some of \['HPO'\], or \['\*'\] for all"),
    ({"sources": ()}, r"sources is \[\], expected some of \['HPO'\]"),
    ({"max_depth": 0}, "max_depth is 0, expected a whole number from 1 to 1,000"),
    ({"max_depth": 10**20}, "max_depth is 1000000+, expected a whole number from 1 to 1,000"),
    ({"depth": 3}, r"concept_ancestor has no setting 'depth'; it has \['max_depth', 'sources'\]"),
)


def test_a_setting_that_cannot_be_meant_is_refused(curated_warehouse: CuratedWarehouse) -> None:
    hierarchy(curated_warehouse, parents(("C1", "C2")))
    for settings, message in _REFUSED:
        with pytest.raises(SettingError, match=message):
            curated_warehouse.make_alone("concept_ancestor", **settings)
    assert curated_warehouse.rows("concept_ancestor") == [("C1", "C2", 1)]


# Redirects


def redirects(
    warehouse: CuratedWarehouse,
    current: Sequence[str],
    merged: Sequence[Row],
    history: Sequence[Row],
    clinvar: Sequence[Row] | None = None,
) -> list[Row]:
    """What is made of MedGen's two tables, and of ClinVar's where that is loaded."""
    if clinvar is not None:
        warehouse.give("concept_id_history", [(*row, "Feb 16 2016") for row in clinvar])
    warehouse.give_names(*current)
    warehouse.give("merged", merged)
    warehouse.give("medgen_cui_history", [(*row, "Jan 2020") for row in history])
    warehouse.make("cui_redirect")
    assert warehouse.findings("cui_redirect", "targets_are_current") == []
    return warehouse.rows("cui_redirect")


def test_a_chain_through_both_tables_is_followed_to_the_current_concept(curated_warehouse: CuratedWarehouse) -> None:
    found = redirects(curated_warehouse, ["C9"], [("C1", "C2"), ("C3", "C9")], [("C2", "C3")])
    assert found == [
        ("C1", "C9", "current", 3, 1, "MedGen"),
        ("C2", "C9", "current", 2, 1, "MedGen"),
        ("C3", "C9", "current", 1, 1, "MedGen"),
    ]


def test_a_concept_that_is_current_again_is_not_redirected_and_ends_the_way(
    curated_warehouse: CuratedWarehouse,
) -> None:
    found = redirects(curated_warehouse, ["C2", "C3"], [("C1", "C2"), ("C2", "C3")], [("C3", "No longer reported")])
    assert found == [("C1", "C2", "current", 1, 1, "MedGen")]


def test_dead_ends_say_why(curated_warehouse: CuratedWarehouse) -> None:
    found = redirects(
        curated_warehouse,
        ["C9"],
        [("C1", "C2"), ("C2", "C1"), ("C3", "C1"), ("C4", "C5"), ("C8", "C8")],
        [("C6", "No longer reported"), ("C7", "C6"), ("CN1", None)],
    )
    assert found == [
        ("C1", None, "cycle", None, 0, "MedGen"),
        ("C2", None, "cycle", None, 0, "MedGen"),
        ("C3", None, "cycle", None, 0, "MedGen"),
        ("C4", None, "unknown target", None, 0, "MedGen"),
        ("C6", None, "not reported", None, 0, "MedGen"),
        ("C7", None, "not reported", None, 0, "MedGen"),
        ("C8", None, "unknown target", None, 0, "MedGen"),
        ("CN1", None, "not reported", None, 0, "MedGen"),
    ]


def test_a_way_out_of_a_cycle_is_found_and_a_split_counts_its_targets(curated_warehouse: CuratedWarehouse) -> None:
    found = redirects(
        curated_warehouse,
        ["C7", "C8", "C9"],
        [("C1", "C2"), ("C2", "C1"), ("C2", "C9"), ("C3", "C8"), ("C3", "C7"), ("C4", "C3"), ("C4", "C9")],
        [("C3", "No longer reported")],
    )
    assert found == [
        ("C1", "C9", "current", 2, 1, "MedGen"),
        ("C2", "C9", "current", 1, 1, "MedGen"),
        ("C3", "C7", "current", 1, 2, "MedGen"),
        ("C4", "C9", "current", 1, 3, "MedGen"),
    ]


def test_clinvar_s_word_is_taken_where_medgen_s_leads_to_no_current_concept(
    curated_warehouse: CuratedWarehouse,
) -> None:
    found = redirects(
        curated_warehouse,
        ["C7", "C8", "C9"],
        [("C1", "C2"), ("C2", "C9"), ("C3", "C20"), ("C6", "C21"), ("C10", "C8")],
        [("C4", "No longer reported"), ("CN2", "No longer reported")],
        [
            ("C1", "C8"),  # nearer, but MedGen's leads on
            ("C1", "C9"),  # nearer to the same
            ("C3", "C8"),  # MedGen's leads to an unknown concept
            ("C4", "C8"),  # MedGen has given it up
            ("C5", "C1"),  # MedGen does not have it, but what it has become
            ("C21", "C7"),  # MedGen's way ends where ClinVar's goes on
            ("C10", "C8"),  # both tell the same
            ("CN1", "No longer reported"),
            ("CN2", "No longer reported"),
            ("C9", "C7"),  # current
        ],
    )
    assert found == [
        ("C1", "C9", "current", 2, 1, "MedGen"),
        ("C10", "C8", "current", 1, 1, "MedGen"),
        ("C2", "C9", "current", 1, 1, "MedGen"),
        ("C21", "C7", "current", 1, 1, "ClinVar"),
        ("C3", "C8", "current", 1, 1, "ClinVar"),
        ("C4", "C8", "current", 1, 1, "ClinVar"),
        ("C5", "C9", "current", 3, 1, "ClinVar"),
        ("C6", "C7", "current", 2, 1, "ClinVar"),
        ("CN1", None, "not reported", None, 0, "ClinVar"),
        ("CN2", None, "not reported", None, 0, "MedGen"),
    ]


# Identifiers


def test_identifiers_become_curies_and_what_omim_files_apart_stays_apart(curated_warehouse: CuratedWarehouse) -> None:
    mapped = [
        ("MONDO", "MONDO:0007947"),
        ("MONDO", "7948"),
        ("OMIM", "154700"),
        ("OMIM allelic variant", "154700.0001"),
        ("OMIM Allelic Variant", "154700.0001"),
        ("OMIM included", "154701"),
        ("OMIM Phenotypic Series", "PS609192"),
        ("HPO", "HP:0001166"),
        ("Orphanet", "Orphanet_558"),
        ("SNOMEDCT_US", "19346006"),
        ("MeSH", "D008382"),
        ("GARD", "6975"),
        ("MedGen", "44287"),
        ("A new one", "x:1"),
    ]
    curated_warehouse.give("medgen_id_mappings", [("C1", "Any", identifier, source) for source, identifier in mapped])
    curated_warehouse.make("concept_xref")
    assert curated_warehouse.rows("concept_xref", ["source", "kind", "source_id", "curie"]) == sorted(
        [
            ("MONDO", "concept", "MONDO:0007947", "MONDO:0007947"),
            ("MONDO", "concept", "7948", "MONDO:0007948"),
            ("OMIM", "concept", "154700", "OMIM:154700"),
            ("OMIM", "allelic variant", "154700.0001", "OMIM:154700.0001"),
            ("OMIM", "included", "154701", "OMIM:154701"),
            ("OMIM", "phenotypic series", "PS609192", "OMIMPS:609192"),
            ("HPO", "concept", "HP:0001166", "HP:0001166"),
            ("Orphanet", "concept", "Orphanet_558", "ORPHA:558"),
            ("SNOMEDCT_US", "concept", "19346006", "SNOMEDCT:19346006"),
            ("MeSH", "concept", "D008382", "MESH:D008382"),
            ("GARD", "concept", "6975", "GARD:0006975"),
            ("MedGen", "concept", "44287", "MEDGEN:44287"),
            ("A new one", "concept", "x:1", None),
        ],
        key=repr,
    )
    assert curated_warehouse.findings("concept_xref", "vocabularies_are_known") == [("WARN", "A new one", 1, "x:1")]


def test_identifiers_that_are_with_the_terms_alone_are_taken_from_there(curated_warehouse: CuratedWarehouse) -> None:
    terms: list[dict[str, object]] = [
        {**term("C1", "One", "NCI"), "scui": "C34537", "code": "C34537"},
        {**term("C1", "Another term", "NCI"), "scui": "C34537"},
        {**term("C1", "Of an atom without a concept", "NCI"), "code": "C99"},
        {**term("C1", "Given up", "NCI", "O"), "scui": "C1"},
        {**term("C1", "In the mappings, too", "MSH"), "scui": "M1", "sdui": "D1"},
        term("C2", "Without any", "NCI"),
    ]
    curated_warehouse.give("mgconso", terms)
    curated_warehouse.give("medgen_id_mappings", [("C1", "Any", "D1", "MeSH")])
    curated_warehouse.make("concept_xref")
    assert curated_warehouse.rows("concept_xref") == [
        ("C1", "MeSH", "concept", "D1", "MESH:D1"),
        ("C1", "NCIt", "concept", "C34537", "NCIT:C34537"),
        ("C1", "NCIt", "concept", "C99", "NCIT:C99"),
    ]


def test_a_concept_with_two_mondo_ids_and_a_uid_of_two_concepts_are_warnings(
    curated_warehouse: CuratedWarehouse,
) -> None:
    mapped = [
        ("C1", "1", "MedGen"), ("C1", "MONDO:0000001", "MONDO"), ("C1", "MONDO:0000002", "MONDO"),
        ("C2", "2", "MedGen"), ("C2", "MONDO:0000003", "MONDO"), ("C2", "HP:1", "HPO"),
        ("C3", "2", "MedGen"), ("C3", "HP:1", "HPO"), ("C3", "HP:2", "HPO"),
    ]  # fmt: skip
    curated_warehouse.give("medgen_id_mappings", [(cui, "Any", given, source) for cui, given, source in mapped])
    curated_warehouse.make("concept_xref")
    assert curated_warehouse.findings("concept_xref", "mondo_and_uid_are_one_to_one") == [
        ("WARN", "MONDO", "a concept has several", "C1", 2),
        ("WARN", "MedGen", "is that of several concepts", "2", 2),
    ]


# Relations


def test_a_relation_and_its_reverse_are_one_row_that_reads_from_left_to_right(
    curated_warehouse: CuratedWarehouse,
) -> None:
    """MGREL says "CUI2 rela CUI1"."""
    curated_warehouse.give(
        "mgrel",
        [
            related("C1", "RO", "C2", rela="manifestation_of"),
            related("C2", "RO", "C1", rela="has_manifestation"),
            related("C1", "RO", "C2", rela="manifestation_of", sab="OMIM"),
            related("C1", "PAR", "C3", rela="inverse_isa"),
            related("C3", "CHD", "C1", rela="isa"),
            related("C3", "CHD", "C4", rela="part_of", sab="ORDO"),
            related("C4", "PAR", "C3", rela="has_part", sab="ORDO"),
            related("C1", "RO", "C5", rela="disease_has_finding", sab="NCI"),
            related("C1", "RO", "C5", rela="disease_may_have_finding", sab="NCI"),
            related("C1", "RO", "C5", rela="disease_excludes_finding", sab="NCI"),
            related("C5", "RO", "C1", rela="is_not_finding_of_disease", sab="NCI"),
            related("C1", "RO", "C6", rela="not_manifestation_of"),
            related("C6", "RO", "C1", rela="has_no_manifestation"),
            related("C1", "RB", "C7", rela="mapped_from"),
            related("C1", "RO", "C8", rela="a_name_nobody_knows"),
        ],
    )
    curated_warehouse.make("concept_relation")
    assert curated_warehouse.rows("concept_relation") == sorted(
        [
            ("C2", "manifestation_of", "C1", "RO", "HPO", False),
            ("C2", "manifestation_of", "C1", "RO", "OMIM", False),
            ("C1", "isa", "C3", "CHD", "HPO", False),
            ("C4", "part_of", "C3", "CHD", "ORDO", False),
            ("C1", "is_finding_of_disease", "C5", "RO", "NCI", False),
            ("C1", "may_be_finding_of_disease", "C5", "RO", "NCI", False),
            ("C1", "is_not_finding_of_disease", "C5", "RO", "NCI", True),
            ("C6", "not_manifestation_of", "C1", "RO", "HPO", True),
            ("C1", "mapped_to", "C7", "RN", "HPO", False),
            ("C8", "a_name_nobody_knows", "C1", "RO", "HPO", False),
        ]
    )


def test_what_has_no_name_goes_by_its_kind_and_what_reads_both_ways_is_there_once(
    curated_warehouse: CuratedWarehouse,
) -> None:
    curated_warehouse.give(
        "mgrel",
        [
            related("C2", "PAR", "C1"),
            related("C1", "CHD", "C2"),
            related("C1", "RB", "C3"),
            related("C3", "RN", "C1"),
            related("C1", "SIB", "C4", rela="sib_in_isa"),
            related("C4", "SIB", "C1", rela="sib_in_isa"),
            related("C5", "SY", "C1"),
            related("C1", "SY", "C5"),
            related("C1", "AQ", "C6", sab="MSH"),
            related("C6", "QB", "C1", sab="MSH"),
            related("C1", "RO", "C1", rela="isa"),  # itself
            related("C1", "RO", "C7", suppress="O"),
        ],
    )
    curated_warehouse.make("concept_relation")
    assert curated_warehouse.rows("concept_relation", ["cui", "relation", "other_cui", "rel"]) == sorted(
        [
            ("C2", "CHD", "C1", "CHD"),
            ("C1", "RN", "C3", "RN"),
            ("C1", "sib_in_isa", "C4", "SIB"),
            ("C1", "SY", "C5", "SY"),
            ("C6", "AQ", "C1", "AQ"),
        ]
    )


# Genes


def gene_row(gene_id: int | None, cui: str | None, source: str | None, **values: object) -> dict[str, object]:
    """A row of mim2gene_medgen."""
    return {"mim_number": "154700", "gene_id": gene_id, "medgen_cui": cui, "source": source, **values}


def condition(
    gene_id: int, symbol: str, cui: str | None, updated: str | None = None, **values: object
) -> dict[str, object]:
    """A row of gene_condition_source_id, of a gene whose variants cause the condition."""
    return {"gene_id": gene_id, "associated_genes": symbol, "concept_id": cui, "last_updated": updated, **values}


def test_genes_of_both_files_are_followed_to_current_concepts_and_no_source_is_lost(
    curated_warehouse: CuratedWarehouse,
) -> None:
    curated_warehouse.give_names("C1", "C2", "C3", "C4")
    curated_warehouse.give("merged", [("C9", "C1")])
    curated_warehouse.give(
        "mim2gene_medgen",
        [
            gene_row(1, "C9", " GeneMap; GeneReviews"),
            gene_row(2, "C2", " GeneMap", comment="nondisease; susceptibility"),
            gene_row(2, "C3", " GeneMap", comment="susceptibility; question"),
            gene_row(3, "C3", None, comment="susceptibility; modifier"),
            gene_row(3, "C4", " OMIM", comment="QTL 2"),
            gene_row(3, None, " GeneMap"),
            gene_row(None, "C4", " GeneMap"),
        ],
    )
    curated_warehouse.give(
        "gene_condition_source_id",
        [
            condition(1, "FBN1", "C1", "Feb 16 2016", source_name="MONDO", disease_mim="154700"),
            condition(1, "FBN1", "C1", "21 May 2021", source_name="MONDO", disease_mim="154700"),
            condition(2, "", "C4", "Feb 29 2020", associated_genes=None, related_genes="TWO"),
            condition(1, "FBN1", "C2", "Feb 29 2021"),
            condition(1, "FBN1", "C3", "yesterday"),
            condition(1, "FBN1", None),
        ],
    )
    curated_warehouse.make("gene_disease")
    mim, clinvar = "mim2gene_medgen", "gene_condition_source_id"
    assert curated_warehouse.rows("gene_disease") == sorted(
        [
            ("C1", 1, "FBN1", "causal", "GeneMap", "154700", mim, None),
            ("C1", 1, "FBN1", "causal", "GeneReviews", "154700", mim, None),
            ("C1", 1, "FBN1", "causal", "MONDO", "154700", clinvar, date(2021, 5, 21)),
            ("C2", 2, "TWO", "nondisease", "GeneMap", "154700", mim, None),
            ("C3", 2, "TWO", "question", "GeneMap", "154700", mim, None),
            ("C3", 3, None, "susceptibility", "NCBI", "154700", mim, None),
            ("C4", 3, None, "other", "OMIM", "154700", mim, None),
            ("C4", 2, "TWO", "related", "ClinVar", None, clinvar, date(2020, 2, 29)),
            ("C2", 1, "FBN1", "causal", "ClinVar", None, clinvar, None),
            ("C3", 1, "FBN1", "causal", "ClinVar", None, clinvar, None),
        ],
        key=repr,
    )


def test_the_approved_symbol_of_a_gene_goes_before_the_published_one(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give(
        "gene_info",
        [
            {"gene_id": 1, "symbol": "NCBIS", "symbol_from_nomenclature_authority": "APPROVED"},
            {"gene_id": 2, "symbol": "LOC2"},
            {"gene_id": 3, "symbol": "THREE"},
        ],
    )
    curated_warehouse.give("mim2gene_medgen", [gene_row(3, "C1", " GeneMap")])
    listed = [condition(1, "A", "C1"), condition(2, "Z", "C1"), condition(4, "FOUR", "C1")]
    curated_warehouse.give("gene_condition_source_id", listed)
    curated_warehouse.make("gene_disease")
    symbols = [(1, "APPROVED"), (2, "LOC2"), (3, "THREE"), (4, "FOUR")]
    assert curated_warehouse.rows("gene_disease", ["gene_id", "symbol"]) == symbols


def test_genes_of_a_concept_are_counted_once_with_those_of_what_was_merged_into_it(
    curated_warehouse: CuratedWarehouse,
) -> None:
    curated_warehouse.give_names("C1", "C2", "C3")
    curated_warehouse.give("merged", [("C9", "C1")])
    listed = [gene_row(1, "C1", None), gene_row(2, "C9", None), gene_row(None, "C2", None), gene_row(3, None, None)]
    curated_warehouse.give("mim2gene_medgen", listed)
    curated_warehouse.make("concept")
    counts = [("C1", None), ("C2", None), ("C3", None)]  # one of the two lists says nothing
    assert curated_warehouse.rows("concept", ["cui", "gene_count"]) == counts
    listed = [condition(1, "A", "C1"), condition(1, "A", "C9"), condition(4, "D", "C9"), condition(4, "D", "C2")]
    curated_warehouse.give("gene_condition_source_id", listed)
    curated_warehouse.make("concept")
    assert curated_warehouse.rows("concept", ["cui", "gene_count"]) == [("C1", 3), ("C2", 1), ("C3", 0)]


def test_a_well_known_gene_that_is_not_the_cause_is_an_error_and_so_are_many_lost_concepts(
    curated_warehouse: CuratedWarehouse,
) -> None:
    curated_warehouse.give_names("C0024796", "C0010674")
    curated_warehouse.give(
        "mim2gene_medgen",
        [gene_row(1080, "C0010674", " GeneMap"), gene_row(2200, "C0024796", " GeneMap", comment="question")],
    )
    curated_warehouse.give("gene_condition_source_id", [condition(7, "SEVEN", "C9")])
    curated_warehouse.make("gene_disease")
    found = curated_warehouse.findings("gene_disease", "well_known_genes_cause_their_diseases")
    assert [(row[0], row[3]) for row in found] == [("ERROR", "FBN1"), ("WARN", "HTT")]
    lost = curated_warehouse.findings("gene_disease", "concepts_are_current")
    assert lost == [("ERROR", "C9", 7, "SEVEN", "gene_condition_source_id")]


# Phenotypes


def feature(disease: str, relationship: str | None, hpo: str) -> Row:
    """A row of MedGen_HPO_OMIM_Mapping."""
    about_omim = (disease, f"10000{disease[1:]}", "OMIM's name", relationship)
    return *about_omim, hpo, f"HP:000000{hpo[1:]}", "HPO's name", "Any", "GTR", "Finding"


def test_denied_features_stay_denied_and_modes_of_inheritance_apart(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give_names("C1", "C2", "C3", "C4", "C5", "C6")
    rows = [
        feature("C1", "manifestation_of", "C2"),
        feature("C1", "manifestation_of", "C2"),  # the file repeats rows
        feature("C1", "not_manifestation_of", "C3"),
        feature("C1", "inheritance_type_of", "C4"),
        feature("C1", "not_inheritance_type_of", "C5"),
        feature("C1", None, "C6"),
        feature("C1", "related_to", "C6"),
    ]
    curated_warehouse.give("medgen_hpo_omim_mapping", rows)
    curated_warehouse.make("disease_phenotype")
    found = curated_warehouse.rows("disease_phenotype", ["phenotype_cui", "kind", "relationship", "is_negated"])
    assert found == [
        ("C2", "phenotype", "manifestation_of", False),
        ("C3", "phenotype", "manifestation_of", True),
        ("C4", "inheritance", "inheritance_type_of", False),
        ("C5", "inheritance", "inheritance_type_of", True),
        ("C6", "other", "related_to", False),
        ("C6", "other", "unspecified", False),
    ]
    (first, *_) = curated_warehouse.rows("disease_phenotype")
    assert first[:6] == ("C1", "OMIM:100001", "Name of C1", "C2", "HP:0000002", "Name of C2")


# Names and concepts


def term(cui: str, text: str, sab: str = "GTR", suppress: str | None = "N") -> dict[str, object]:
    return {"cui": cui, "aui": "A1", "sab": sab, "str": text, "suppress": suppress}


def test_every_name_stands_once_per_source_without_blanks_around_it(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give(
        "names",
        [
            {"cui": "C1", "name": "Marfan syndrome  ", "source": "GTR"},
            {"cui": "C2", "name": "Only in names", "source": None},
        ],
    )
    curated_warehouse.give(
        "mgconso",
        [
            term("C1", "Marfan syndrome", "OMIM"),
            term("C1", "Marfan syndrome ", "OMIM"),
            term("C1", "MARFAN SYNDROME", "OMIM"),
            term("C1", "Old name", "NCI", "O"),
            term("C1", "Half old", "NCI", "O"),
            term("C1", "Half old", "NCI", None),
            term("C9", "Not current"),
        ],
    )
    curated_warehouse.make("concept_name")
    assert curated_warehouse.rows("concept_name") == [
        ("C1", "Half old", "NCI", False, False, "half old"),
        ("C1", "MARFAN SYNDROME", "OMIM", False, False, "marfan syndrome"),
        ("C1", "Marfan syndrome", "GTR", True, False, "marfan syndrome"),
        ("C1", "Marfan syndrome", "OMIM", True, False, "marfan syndrome"),
        ("C1", "Old name", "NCI", False, True, "old name"),
        ("C2", "Only in names", "MedGen", True, False, "only in names"),
    ]


def test_a_normalized_name_is_what_spellings_of_it_have_in_common(curated_warehouse: CuratedWarehouse) -> None:
    spelled = {
        "SJÖGREN'S  Syndrome": "sjogrens syndrome",
        "Sjo\u0308gren": "sjo\u0308gren",  # letters in two parts stay as they are
        "Charcot-Marie-Tooth disease, type 1A": "charcot marie tooth disease type 1a",
        "(2R)-Hydroxy{glutaric} <aciduria>; 50%": "2r hydroxy glutaric aciduria 50",
        "A,b-c(d)e.F/g:h_1": "a b c d e f g h 1",
        "A,b-c(d)e.F/g:h_1;": "a b c d e f g h 1",
        "Legg\u2013Calvé\u2013Perthes": "legg calve perthes",
        "--": None,
        "Ångström " + "x" * 300: "angstrom " + "x" * 246,
    }
    curated_warehouse.give_names("C1")
    curated_warehouse.give("mgconso", [term("C1", name) for name in spelled])
    curated_warehouse.make("concept_name")
    found = curated_warehouse.rows("concept_name", ["name", "normalized_name"])
    assert sorted(found) == sorted({**spelled, "Name of C1": "name of c1"}.items())


def test_a_concept_has_one_row_with_the_best_definition_its_types_and_its_counts(
    curated_warehouse: CuratedWarehouse,
) -> None:
    curated_warehouse.give_names("C1", "C2", "C3")
    curated_warehouse.give(
        "mgdef",
        [
            {"cui": "C1", "def": "By a dictionary, and a long one.", "source": "NCI"},
            {"cui": "C1", "def": "Short.", "source": "GeneReviews"},
            {"cui": "C1", "def": "The longer of two.", "source": "GeneReviews"},
            {"cui": "C1", "def": "The longest of all, but given up.", "source": "GeneReviews", "suppress": "O"},
            {"cui": "C2", "def": "By nobody that is listed.", "source": "SOMEBODY"},
        ],
    )
    types = {"T047": "Disease or Syndrome", "T184": "Sign or Symptom", "T033": "Finding"}
    curated_warehouse.give(
        "mgsty",
        [{"cui": cui, "tui": tui, "sty": types[tui]} for cui, tui in (("C1", "T184"), ("C1", "T047"), ("C2", "T033"))],
    )
    curated_warehouse.give(
        "mgconso", [term("C1", "Other"), term("C1", "Other", "NCI"), term("C1", "Third"), term("C1", "Name of C1")]
    )
    curated_warehouse.give("medgen_pubmed_lnk", [(1, "C1", "Any", 11), (1, "C1", "Any", 12)])
    mapped = [("C1", "Any", "9", "MedGen"), ("C1", "Any", "10", "MedGen"), ("C2", "Any", "none yet", "MedGen")]
    curated_warehouse.give("medgen_id_mappings", mapped)
    curated_warehouse.make("concept")
    nothing = (False, False, 0, 0, None)
    assert curated_warehouse.rows("concept") == [
        (
            "C1",
            "UMLS:C1",
            9,
            "Name of C1",
            "GTR",
            "The longer of two.",
            "GeneReviews",
            "Disease or Syndrome; Sign or Symptom",
            True,
            False,
            2,
            2,
            None,
        ),
        ("C2", "UMLS:C2", None, "Name of C2", "GTR", "By nobody that is listed.", "SOMEBODY", "Finding", *nothing),
        ("C3", "UMLS:C3", None, "Name of C3", "GTR", None, None, None, *nothing),
    ]
    assert curated_warehouse.findings("concept", "every_current_concept_is_here") == []


def test_a_concept_of_ncbi_s_has_another_prefix_and_a_name_for_no_condition_is_a_placeholder(
    curated_warehouse: CuratedWarehouse,
) -> None:
    named = {
        "C3661900": "not provided",
        "CN169374": "not specified ",
        "CN235283": "None Provided",
        "C0549184": "none",
        "C0151453": "None of the Above",
        "C1302457": "Tumor site not specified",
    }
    curated_warehouse.give("names", [{"cui": cui, "name": name} for cui, name in named.items()])
    curated_warehouse.make("concept")
    assert curated_warehouse.rows("concept", ["cui", "curie", "is_placeholder"]) == [
        ("C0151453", "UMLS:C0151453", False),
        ("C0549184", "UMLS:C0549184", True),
        ("C1302457", "UMLS:C1302457", False),
        ("C3661900", "UMLS:C3661900", True),
        ("CN169374", "medgen.cid:CN169374", True),
        ("CN235283", "medgen.cid:CN235283", True),
    ]


# Literature


def links(**counts: int) -> list[Row]:
    return [(1, cui, "Any", number) for cui, count in counts.items() for number in range(count)]


def test_links_are_counted_and_the_percentile_counts_concepts_with_fewer(curated_warehouse: CuratedWarehouse) -> None:
    rows: list[Row] = [*links(C1=1, C2=5, C3=5, C4=9), (1, "C1", "Any", 0)]  # the last link twice
    curated_warehouse.give("medgen_pubmed_lnk", rows)
    curated_warehouse.make("concept_literature")
    assert curated_warehouse.rows("concept_literature") == [("C1", 2, 0), ("C2", 5, 25), ("C3", 5, 25), ("C4", 9, 75)]
    assert curated_warehouse.findings("concept_literature", "every_link_is_counted") == []


# The report


def test_a_report_lists_what_a_release_brought(curated_warehouse: CuratedWarehouse) -> None:
    warehouse = curated_warehouse
    before = [
        ("C1", "One", "GTR", "N"),
        ("C2", "Two", "GTR", "N"),
        ("C3", "Three", "GTR", "N"),
        ("C4", "Four", "GTR", "N"),
    ]
    after = [
        ("C1", "One", "GTR", "O"),  # changed, but not its name
        ("C2", "Two, renamed", "GTR", "N"),
        ("C5", "New disease", "GTR", "N"),
        ("C6", "New finding", "GTR", "N"),
        ("C7", "New and much published", "GTR", "N"),
    ]
    warehouse.give("names", before)
    warehouse.give("mgsty", [])
    warehouse.give("merged", [])
    warehouse.give("medgen_pubmed_lnk", [(7, "C7", "Any", 1), (1, "C1", "Any", 1)])
    warehouse.make("release_report")
    assert [row for row in warehouse.rows("release_report") if row[1] not in {"table", "total"}] == []
    warehouse.give("names", after, "2026-01-14")
    types = [("C5", "T047"), ("C5", "T191"), ("C6", "T033"), ("C7", "T047")]
    warehouse.give("mgsty", [{"cui": cui, "tui": tui} for cui, tui in types], "2026-01-14")
    warehouse.give("merged", [("C3", "C1")], "2026-01-14")
    warehouse.make("release_report")
    columns = ["release", "topic", "position", "subject", "label", "detail"]
    found = [row for row in warehouse.rows("release_report", columns) if row[1] not in {"table", "total"}]
    assert found == [
        ("2026-01-14", "merged", 1, "C3", "Three", "C1"),
        ("2026-01-14", "new concept", 1, "C6", "New finding", None),
        ("2026-01-14", "new disease", 1, "C7", "New and much published", None),
        ("2026-01-14", "new disease", 2, "C5", "New disease", None),
        ("2026-01-14", "renamed", 1, "C2", "Two, renamed", "Two"),
        ("2026-01-14", "retired", 1, "C4", "Four", "not explained"),
    ]
    totals = {row[2]: row[9] for row in warehouse.rows("release_report") if row[:2] == ("2026-01-14", "total")}
    assert totals == {"new disease": 2, "new concept": 1, "renamed": 1, "merged": 1, "retired": 1}
    tables = {row[2]: row[5:] for row in warehouse.rows("release_report") if row[:2] == ("2026-01-14", "table")}
    assert tables == {
        "names": ("delta", 3, 2, 2, 5),
        "mgsty": ("delta", 4, 0, 0, 4),
        "merged": ("delta", 1, 0, 0, 1),
    }
    metrics = warehouse.metrics("release_report")
    assert metrics["report/new_disease"] == [(2,)]
    assert metrics["report/rows_inserted"] == [(8,)]
    assert [row[:2] for row in metrics["report/concepts"]] == [
        ("new disease", "C7"),
        ("new disease", "C5"),
        ("new concept", "C6"),
        ("renamed", "C2"),
        ("merged", "C3"),
        ("retired", "C4"),
    ]


def test_a_report_lists_a_hundred_renamed_concepts_and_counts_all_also_where_the_feed_has_no_updates(
    curated_warehouse: CuratedWarehouse,
) -> None:
    repeated = [("C1", "Without a key of its own", "GTR", "N")] * 2
    names = [(f"C{number}", "Old name", "GTR", "N") for number in range(1000, 1103)]
    curated_warehouse.give("names", [*names, *repeated])
    renamed = [(cui, "New name", *rest) for cui, _, *rest in names]
    curated_warehouse.give("names", [*renamed, *repeated], "2026-01-14")
    assert {row[0] for row in curated_warehouse.feed("names")} == {"insert", "delete"}
    curated_warehouse.make("release_report")
    listed = sorted(row[3:1:-1] + row[4:6] for row in curated_warehouse.rows("release_report") if row[1] == "renamed")
    assert listed == [(place, f"C{999 + place}", "New name", "Old name") for place in range(1, 101)]
    (total,) = (row for row in curated_warehouse.rows("release_report") if row[1:3] == ("total", "renamed") and row[9])
    assert total[9] == 103


# Rules: each finds what is wrong, and says how bad that is


def facts(*, reverse: bool = False) -> list[Row]:
    """A hierarchy in which the well-known facts hold, or all the wrong way round."""
    edges = [
        ("C0003706", "C4021790"),
        ("C0036439", "C4021790"),
        ("C4021790", "C4021819"),
        ("C0013581", "C4316870"),
        ("C4316870", "C4021819"),
        ("C0026267", "C0243050"),
        ("C0243050", "C4021819"),
        ("C0036572", "C0497552"),
        ("C0497552", "C4021819"),
        ("C0443147", "C1708511"),
        ("C0024796", "C0009782"),
        ("C0009782", "C0012634"),
    ]
    return parents(*((parent, child) if reverse else (child, parent) for child, parent in edges))


def test_facts_that_hold_pass_and_reversed_ones_are_errors(curated_warehouse: CuratedWarehouse) -> None:
    hierarchy(curated_warehouse, facts())
    assert curated_warehouse.findings("concept_parent", "parents_are_above") == []
    assert curated_warehouse.findings("concept_ancestor", "known_facts_hold") == []
    hierarchy(curated_warehouse, facts(reverse=True))
    tops = curated_warehouse.findings("concept_parent", "parents_are_above")
    assert [row[:2] for row in tops] == [("ERROR", "C0012634"), ("ERROR", "C1708511"), ("ERROR", "C4021819")]
    found = curated_warehouse.findings("concept_ancestor", "known_facts_hold")
    assert len(found) == 7
    assert {row[:2] for row in found} == {("ERROR", "the wrong way round")}


def test_facts_that_the_release_cannot_prove_are_warnings(curated_warehouse: CuratedWarehouse) -> None:
    hierarchy(curated_warehouse, [*parents(("C0003706", "C1")), *parents(("C4021819", "C2"))])
    found = {str(row[2]): row[:2] for row in curated_warehouse.findings("concept_ancestor", "known_facts_hold")}
    assert found["C0003706"] == ("WARN", "missing")
    assert found["C0013581"] == ("WARN", "one of the concepts is not in this release")
    tops = {row[1]: row[0] for row in curated_warehouse.findings("concept_parent", "parents_are_above")}
    assert tops == {"C4021819": "ERROR", "C0012634": "WARN", "C1708511": "WARN"}


def test_a_cycle_in_the_ancestors_is_an_error(curated_warehouse: CuratedWarehouse) -> None:
    hierarchy(curated_warehouse, parents(("C1", "C2")))
    curated_warehouse.edit("INSERT INTO medgen.concept_ancestor VALUES ('C2', 'C1', 1), ('C3', 'C3', 1)")
    assert [row[:3] for row in curated_warehouse.findings("concept_ancestor", "no_cycle")] == [
        ("ERROR", "C1", "C2"),
        ("ERROR", "C2", "C1"),
        ("ERROR", "C3", "C3"),
    ]


def test_a_redirect_to_a_retired_concept_or_of_a_current_one_is_an_error(curated_warehouse: CuratedWarehouse) -> None:
    redirects(curated_warehouse, ["C8", "C9"], [("C1", "C9"), ("C2", "C8")], [])
    curated_warehouse.edit("UPDATE medgen.cui_redirect SET current_cui = 'C7' WHERE cui = 'C1'")
    curated_warehouse.edit("UPDATE medgen.cui_redirect SET cui = 'C9' WHERE cui = 'C2'")
    found = curated_warehouse.findings("cui_redirect", "targets_are_current")
    assert found == [("ERROR", "C1", "C7", "current"), ("ERROR", "C9", "C8", "current")]


def test_an_identifier_of_no_current_concept_is_a_warning_and_many_are_an_error(
    curated_warehouse: CuratedWarehouse,
) -> None:
    curated_warehouse.give_names("C1")
    known = [("C1", "Any", str(number), "OMIM") for number in range(200)]
    curated_warehouse.give("medgen_id_mappings", [*known, ("C9", "Any", "9", "OMIM")])
    curated_warehouse.make("concept_xref")
    assert curated_warehouse.findings("concept_xref", "concepts_are_current") == [("WARN", "C9", "OMIM", "9")]
    curated_warehouse.give("medgen_id_mappings", [*known[:50], ("C9", "Any", "9", "OMIM")], "2026-01-14")
    curated_warehouse.make("concept_xref")
    assert curated_warehouse.findings("concept_xref", "concepts_are_current") == [("ERROR", "C9", "OMIM", "9")]


def test_many_identifiers_of_no_current_concept_are_counted_in_one_scan(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give_names("C1")
    curated_warehouse.give("medgen_id_mappings", [("C9", "Any", str(number), "OMIM") for number in range(2000)])
    curated_warehouse.make("concept_xref")
    scans = (
        "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relid = 'medgen.concept_xref'::regclass"
    )
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def counted() -> int:
        while query(curated_warehouse.database, others):  # what a session has scanned counts when it has ended
            time.sleep(0.01)
        return int(str(query(curated_warehouse.database, scans)[0][0]))

    before = counted()
    assert len(curated_warehouse.findings("concept_xref", "concepts_are_current")) == 100
    assert counted() - before == 2  # the rows, and how many there are


def test_phenotypes_of_no_current_concept_and_contradictions_are_found(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give_names("C1", "C2")
    rows = [feature("C1", "manifestation_of", "C2"), feature("C1", "not_manifestation_of", "C2")]
    curated_warehouse.give("medgen_hpo_omim_mapping", [*rows, feature("C1", "manifestation_of", "C9")])
    curated_warehouse.make("disease_phenotype")
    lost = curated_warehouse.findings("disease_phenotype", "concepts_are_current")
    assert lost == [("ERROR", "OMIM:100001", "C1", "HP:0000009", "C9")]
    both = curated_warehouse.findings("disease_phenotype", "nothing_is_affirmed_and_denied")
    assert both == [("WARN", "OMIM:100001", "Name of C1", "HP:0000002", "Name of C2")]


def test_missing_and_strange_concepts_and_lost_types_are_found(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give_names("C0024796", "C1")
    curated_warehouse.give("mgsty", [{"cui": "C0024796", "tui": "T033", "sty": "Finding"}])
    curated_warehouse.make("concept")
    wrong = [("ERROR", "C0024796")]
    missing = [("WARN", "C0010674"), ("WARN", "C0011859"), ("WARN", "C0023467"), ("WARN", "C0443147")]
    for full_release, expected in ((3, wrong), (2, wrong + missing)):
        found = curated_warehouse.findings("concept", "well_known_diseases_are_diseases", full_release=full_release)
        assert [row[:2] for row in found] == expected
    curated_warehouse.edit("UPDATE medgen.concept SET cui = 'C2' WHERE cui = 'C1'")
    assert curated_warehouse.findings("concept", "every_current_concept_is_here") == [
        ("ERROR", "C1", "Name of C1", "missing"),
        ("ERROR", "C2", "Name of C1", "not in names"),
    ]


KNOWN = "known_identifiers_are_here"
# Lines of NCBI's files, of 2025 and 2026, and what Mondo, RDF Portal and MyDisease publish of the same concepts.
RECORDS = {
    "names": ["C0011859|Lipoatrophic diabetes|GTR|N", "C0023467|Acute myeloid leukemia|GTR|N",
              "C0024796|Marfan syndrome|GTR|N"],
    "mgsty": ["C0011859|T047||Disease or Syndrome|", "C0023467|T191||Neoplastic Process|",
              "C0024796|T047||Disease or Syndrome|"],
    "mgconso": ["C0011859|S|VO|N|A1||C34537||NCI|PT|C34537|Lipoatrophic Diabetes|N"],
    "medgen_id_mappings": ["C0011859||4256|MedGen", "C0011859||MONDO:0005827|MONDO", "C0011859||D003923|MeSH",
                           "C0011859||127012008|SNOMEDCT_US", "C0023467||9730|MedGen",
                           "C0023467||MONDO:0018874|MONDO", "C0023467||HP:0004808|HPO", "C0023467||D015470|MeSH",
                           "C0023467||601626|OMIM", "C0023467||Orphanet_519|Orphanet", "C0024796||44287|MedGen",
                           "C0024796||MONDO:0007947|MONDO", "C0024796||D008382|MeSH", "C0024796||154700|OMIM",
                           "C0024796||19346006|SNOMEDCT_US", "C0024796||6975|GARD"],
    "mim2gene_medgen": ["154700|2200|phenotype| GeneMap; GeneReviews|C0024796|",
                        "601626|1050|phenotype| GeneMap; GeneReviews|C0023467|",
                        "601626|2624|phenotype| GeneMap|C0023467|susceptibility"],
    "gene_condition_source_id": [
        "2200|FBN1||C0024796|Marfan syndrome|MONDO|MONDO:0007947|154700|Feb 16 2016",
        "1050|CEBPA||C0023467|Acute myeloid leukemia|Orphanet|ORPHA519|601626|Feb 16 2016",
        "1050|CEBPA||C0023467|Acute myeloid leukemia|MONDO|MONDO:0018874|601626|Feb 16 2016",
        "2624|GATA2||C0023467|Acute myeloid leukemia|MONDO|MONDO:0018874|601626|Feb 16 2016",
    ],
}  # fmt: skip
CONCEPTS = [
    ("C0011859", "UMLS:C0011859", 4256, "Lipoatrophic diabetes", "Disease or Syndrome", True, 0),
    ("C0023467", "UMLS:C0023467", 9730, "Acute myeloid leukemia", "Neoplastic Process", True, 2),
    ("C0024796", "UMLS:C0024796", 44287, "Marfan syndrome", "Disease or Syndrome", True, 1),
]
IDENTIFIERS = {
    "C0011859": "MEDGEN:4256 MESH:D003923 MONDO:0005827 NCIT:C34537 SNOMEDCT:127012008",
    "C0023467": "HP:0004808 MEDGEN:9730 MESH:D015470 MONDO:0018874 OMIM:601626 ORPHA:519",
    "C0024796": "GARD:0006975 MEDGEN:44287 MESH:D008382 MONDO:0007947 OMIM:154700 SNOMEDCT:19346006",
}
GENES = [
    ("C0023467", 1050, "CEBPA", "causal", "GeneMap", "601626"),
    ("C0023467", 1050, "CEBPA", "causal", "GeneReviews", "601626"),
    ("C0023467", 1050, "CEBPA", "causal", "MONDO", "601626"),
    ("C0023467", 1050, "CEBPA", "causal", "Orphanet", "601626"),
    ("C0023467", 2624, "GATA2", "causal", "MONDO", "601626"),
    ("C0023467", 2624, "GATA2", "susceptibility", "GeneMap", "601626"),
    ("C0024796", 2200, "FBN1", "causal", "GeneMap", "154700"),
    ("C0024796", 2200, "FBN1", "causal", "GeneReviews", "154700"),
    ("C0024796", 2200, "FBN1", "causal", "MONDO", "154700"),
]


def test_three_diseases_are_as_a_whole_what_others_publish_of_them(curated_warehouse: CuratedWarehouse) -> None:
    for name, lines in RECORDS.items():
        curated_warehouse.give(name, [tuple(field or None for field in line.split("|")) for line in lines])
    for name in ("concept", "concept_xref", "gene_disease"):
        curated_warehouse.make(name)
    columns = ["cui", "curie", "uid", "name", "semantic_types", "is_disease", "gene_count"]
    assert curated_warehouse.rows("concept", columns) == CONCEPTS
    found = curated_warehouse.rows("concept_xref", ["cui", "curie"])
    curies = {cui: " ".join(sorted(str(curie) for own, curie in found if own == cui)) for cui, _ in found}
    assert curies == IDENTIFIERS
    columns = ["cui", "gene_id", "symbol", "association", "source", "mim_number"]
    assert curated_warehouse.rows("gene_disease", columns) == GENES
    assert curated_warehouse.findings("concept_xref", KNOWN, full_release=1) == []
    known = curated_warehouse.findings("concept", "well_known_diseases_are_diseases", full_release=1)
    assert {row[0] for row in known} == {"WARN"}  # those that are not among the three


def test_counts_and_facts_of_real_releases_are_held_against_full_releases_alone(
    curated_warehouse: CuratedWarehouse,
) -> None:
    curated_warehouse.give_names("C0024796", "C1")
    mapped = [("C0024796", "MONDO:0007947", "MONDO"), ("C1", "154700", "OMIM")]
    curated_warehouse.give("medgen_id_mappings", [(cui, "Any", given, source) for cui, given, source in mapped])
    curated_warehouse.make("concept")
    curated_warehouse.make("concept_xref")
    curated_warehouse.give("mgrel", [related("C1", "PAR", "C0024796"), related("C1", "RO", "C0024796", rela="isa")])
    curated_warehouse.make("concept_relation")
    counted = "counts_are_plausible"
    for name, rule in (("concept", counted), ("concept_relation", counted), ("concept_xref", KNOWN)):
        assert curated_warehouse.findings(name, rule) == []
    assert curated_warehouse.findings("concept_relation", counted, full_release=2) == [
        ("WARN", "rows of mgrel", 1_130_420, 2),
        ("WARN", "rows of mgrel without a name of the relation", 80_226, 1),
    ]
    counts = curated_warehouse.findings("concept", "counts_are_plausible", full_release=2)
    assert ("WARN", "concepts", 233_939, 2) in counts
    assert len(counts) == 6
    found = {row[3]: (row[0], row[4]) for row in curated_warehouse.findings("concept_xref", KNOWN, full_release=2)}
    assert found["OMIM:154700"] == ("ERROR", "of C1")
    assert found["GARD:0006975"] == ("WARN", "missing")
    assert "MONDO:0007947" not in found


def test_links_that_are_not_counted_are_an_error(curated_warehouse: CuratedWarehouse) -> None:
    curated_warehouse.give("medgen_pubmed_lnk", links(C1=3))
    curated_warehouse.make("concept_literature")
    curated_warehouse.edit("UPDATE medgen.concept_literature SET link_count = 2")
    assert curated_warehouse.findings("concept_literature", "every_link_is_counted") == [("ERROR", 2, 3)]
