"""How two concepts relate: one row per relation, turned one way round, and vocabulary that says so.

Made from `mgrel`, which has many relations twice, once from either end and under two names. Read a row from left to
right: `C0003706 manifestation_of C0024796`, arachnodactyly is a manifestation of Marfan syndrome.

- `relation` is the published `rela`, or `rel` where that is empty. Of a name and its reverse one is used: `isa` and not
  `inverse_isa`, `manifestation_of` and not `has_manifestation`, `is_finding_of_disease` and not
  `disease_has_finding`. A name that is known by none of these rules stays as published, and so does its row.
- `rel` is the broad kind: what `cui` is to `other_cui`. `CHD` child, `RN` narrower, `SY` synonym, `SIB` sibling, `RO`
  and `RQ` something else. Children are in `concept_parent`, too, which has them from any `relation`.
- A sibling, or a relation without a name that is neither wider nor narrower, reads the same both ways; it is here once,
  the lower CUI first.
- `is_negated` is true where the relation is denied: `not_manifestation_of`, `is_not_finding_of_disease`.
- Left out: a concept's relations to itself, and what UMLS suppresses. `source` says whose word it is: MedGen has
  relations of six vocabularies and more, and they disagree.
"""

from medgen_pipeline.catalog.curated.columns import flag, text
from medgen_pipeline.catalog.curated.concept import FULL_RELEASE
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Rule
from medgen_pipeline.catalog.model import Reference
from medgen_pipeline.catalog.query import Constant

# Names that are turned, and what they are called the other way round. Those of the first lines are `rel`.
_REVERSES = Constant(
    "reverses",
    ("published", "relation"),
    (
        ("PAR", "CHD"),
        ("RB", "RN"),
        ("QB", "AQ"),
        ("mapped_from", "mapped_to"),
        ("has_no_manifestation", "not_manifestation_of"),
        ("has_ctdc_value", "is_ctdc_value_of"),
        ("disease_has_associated_disease", "is_associated_disease_of"),
        (
            "gene_product_sequence_variation_encoded_by_gene_mutant",
            "gene_mutant_encodes_gene_product_sequence_variation",
        ),
    ),
)
# Others by how they begin, as UMLS names relations and their reverses: what comes instead, and at the end.
_FORMS = Constant(
    "reverse_forms",
    ("beginning", "before", "after"),
    (
        ("inverse_", "", ""),
        ("has_", "", "_of"),
        ("disease_has_", "is_", "_of_disease"),
        ("disease_may_have_", "may_be_", "_of_disease"),
        ("disease_excludes_", "is_not_", "_of_disease"),
    ),
)
_OPPOSITES = Constant(
    "opposites",
    ("rel", "turned"),
    (("PAR", "CHD"), ("CHD", "PAR"), ("RB", "RN"), ("RN", "RB"), ("QB", "AQ"), ("AQ", "QB")),
)
_EITHER_WAY = ("SY", "RQ", "RO", "RL", "RU")
# What RDF Portal counted in July 2026, as in ``concept``. The share without a name, 7.1 %, was 6.8 % in 2021.
_ANCHORS = Constant(
    "anchors",
    ("what", "expected"),
    (("rows of mgrel", 1_130_420), ("rows of mgrel without a name of the relation", 80_226)),
)
_RULES = read_named("concept_relation.rules.sql", [_ANCHORS], full_release=FULL_RELEASE)

TABLE = CuratedTable(
    name="concept_relation",
    columns=(
        text("cui", "The concept that the row is about."),
        text("relation", "How it relates to the other."),
        text("other_cui", "The other concept."),
        text("rel", "The broad kind of relation, in UMLS's letters: `CHD`, `RN`, `RO`, `SY`, `SIB`."),
        text("source", "The vocabulary that says so."),
        flag("is_negated", "Whether the relation is denied."),
    ),
    key=("cui", "relation", "other_cui", "rel", "source"),
    key_proven=True,
    description=__doc__,
    references=(Reference("cui", "names", "cui"), Reference("other_cui", "names", "cui")),
    lookups=("other_cui",),
    query=read("concept_relation.sql", [_REVERSES, _FORMS, _OPPOSITES], either_way=_EITHER_WAY),
    increment=read_increment("concept_relation.increment.sql", "cui", "other_cui"),
    lineage={
        "cui": ("mgrel.cui1", "mgrel.cui2", "mgrel.rel", "mgrel.rela"),
        "relation": ("mgrel.rel", "mgrel.rela"),
        "other_cui": ("mgrel.cui1", "mgrel.cui2", "mgrel.rel", "mgrel.rela"),
        "rel": ("mgrel.rel", "mgrel.rela"),
        "source": ("mgrel.sab",),
        "is_negated": ("mgrel.rela",),
    },
    rules=(
        Rule(
            name="counts_are_plausible",
            description="In a full release `mgrel` has about as many rows, with and without a name of the relation, as "
            "others counted in July 2026, a tenth more or less. A warning: either the file is not what it was, or "
            "MedGen has changed a lot since. It says nothing of a sample.",
            columns=("what", "expected", "found"),
            query=_RULES["counts_are_plausible"],
        ),
    ),
)
