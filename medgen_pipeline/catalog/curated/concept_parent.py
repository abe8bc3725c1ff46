"""Who is directly above whom: one row per concept, parent and vocabulary that says so.

Made from the rows of `mgrel` with `rel` PAR or CHD, turned the same way round: a CHD row names the child second, a PAR
row the parent. The same edge given in both directions is one row.

- Left out: a concept above itself, relationships that are denied (`not_`) or that UMLS suppresses, and edges of which
  one end is no current concept.
- RB and RN (broader, narrower) are no hierarchy and are not here.
- Vocabularies disagree: an edge and its reverse may both be here, from one source or from two. Walk the hierarchy with
  `concept_ancestor`, which cuts such cycles.
- Orphanet's edges lead from a disease to the groups it is part of, HPO's and SNOMED CT's to kinds of things: choose by
  `source` what "above" shall mean.
"""

from medgen_pipeline.catalog.curated.columns import text
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Rule
from medgen_pipeline.catalog.model import Reference
from medgen_pipeline.catalog.query import Constant

# Concepts that stand at or near the top of a vocabulary, in every release.
_TOPS = Constant(
    "tops",
    ("cui", "name"),
    (("C0012634", "Disease"), ("C4021819", "Phenotypic abnormality"), ("C1708511", "Mode of inheritance")),
)

_RULES = read_named("concept_parent.rules.sql", [_TOPS])

TABLE = CuratedTable(
    name="concept_parent",
    columns=(
        text("cui", "The concept."),
        text("parent_cui", "A concept directly above it."),
        text("source", "The vocabulary that says so, e.g. `HPO`, `MONDO`, `SNOMEDCT_US`."),
    ),
    key=("cui", "parent_cui", "source"),
    lookups=("parent_cui",),
    key_proven=True,
    description=__doc__,
    references=(Reference("cui", "names", "cui"), Reference("parent_cui", "names", "cui")),
    query=read("concept_parent.sql"),
    increment=read_increment("concept_parent.increment.sql", "cui"),
    lineage={
        "cui": ("mgrel.cui1", "mgrel.cui2", "mgrel.rel", "names.cui"),
        "parent_cui": ("mgrel.cui1", "mgrel.cui2", "mgrel.rel", "names.cui"),
        "source": ("mgrel.sab",),
    },
    rules=(
        Rule(
            name="parents_are_above",
            description="Well-known concepts at the top of a vocabulary have more concepts below them than above: "
            "otherwise parents and children are the wrong way round. A warning for each that has no edges, so "
            "that it proves nothing.",
            blocking=True,
            columns=("CUI", "name", "edges up", "edges down"),
            query=_RULES["parents_are_above"],
        ),
    ),
)
