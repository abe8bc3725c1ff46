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

from medgen_pipeline.catalog.curated.columns import ID, text
from medgen_pipeline.catalog.model import AFFECTED, CuratedTable, Increment, Reference, Rule, narrowed
from medgen_pipeline.catalog.query import Constant, Query, Scratch

# Concepts that stand at or near the top of a vocabulary, in every release.
_TOPS = Constant(
    "tops",
    ("cui", "name"),
    (("C0012634", "Disease"), ("C4021819", "Phenotypic abnormality"), ("C1708511", "Mode of inheritance")),
)

# The edges of a child are a part. They are other than before where one of its relationships is, and where it or a
# parent has come or gone.
_INCREMENT = Increment(
    key=("cui",),
    scratch=(
        Scratch(
            "moved",
            "SELECT cui FROM {recent_names} AS feed WHERE _change_type IN ('insert', 'delete') GROUP BY cui",
        ),
        Scratch(
            AFFECTED,
            """
SELECT CASE WHEN feed.rel = 'PAR' THEN feed.cui1 ELSE feed.cui2 END AS cui
FROM {recent_mgrel} AS feed WHERE feed.rel IN ('PAR', 'CHD')
UNION SELECT cui FROM {moved} AS moved
UNION SELECT own.cui1 FROM {mgrel} AS own JOIN {moved} AS moved ON moved.cui = own.cui2 WHERE own.rel = 'PAR'
UNION SELECT own.cui2 FROM {mgrel} AS own JOIN {moved} AS moved ON moved.cui = own.cui1 WHERE own.rel = 'CHD'
""",
        ),
        Scratch(
            "mgrel",
            """
SELECT own.* FROM {mgrel} AS own JOIN {affected} AS affected ON affected.cui = own.cui1 WHERE own.rel = 'PAR'
UNION ALL
SELECT own.* FROM {mgrel} AS own JOIN {affected} AS affected ON affected.cui = own.cui2 WHERE own.rel = 'CHD'
""",
        ),
        narrowed("names", "own.cui IN (SELECT cui1 FROM {mgrel} AS one UNION SELECT cui2 FROM {mgrel} AS other)"),
    ),
)

TABLE = CuratedTable(
    name="concept_parent",
    columns=(
        text("cui", "The concept.", ID),
        text("parent_cui", "A concept directly above it.", ID),
        text("source", "The vocabulary that says so, e.g. `HPO`, `MONDO`, `SNOMEDCT_US`.", ID),
    ),
    key=("cui", "parent_cui", "source"),
    lookups=("parent_cui",),
    key_proven=True,
    description=__doc__,
    references=(Reference("cui", "names", "cui"), Reference("parent_cui", "names", "cui")),
    query=Query(
        text="""
SELECT edge.cui, edge.parent_cui, edge.source
FROM (
    SELECT CASE WHEN rel = 'PAR' THEN cui1 ELSE cui2 END AS cui,
        CASE WHEN rel = 'PAR' THEN cui2 ELSE cui1 END AS parent_cui,
        sab AS source
    FROM {mgrel}
    WHERE rel IN ('PAR', 'CHD') AND cui1 <> cui2
        AND (suppress IS NULL OR suppress NOT IN ('O', 'E', 'Y'))
        AND (rela IS NULL OR STRPOS(rela, 'not_') = 0)
) AS edge
WHERE edge.cui IN (SELECT cui FROM {names}) AND edge.parent_cui IN (SELECT cui FROM {names})
GROUP BY edge.cui, edge.parent_cui, edge.source
"""
    ),
    increment=_INCREMENT,
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
            query=Query(
                constants=(_TOPS,),
                text="""
SELECT CASE WHEN up.edges IS NULL AND down.edges IS NULL THEN 'WARN' ELSE 'ERROR' END AS severity,
    top_concept.cui, top_concept.name, COALESCE(up.edges, 0) AS above, COALESCE(down.edges, 0) AS below
FROM {tops} AS top_concept
    LEFT JOIN (SELECT cui, COUNT(*) AS edges FROM {concept_parent} GROUP BY cui) AS up ON up.cui = top_concept.cui
    LEFT JOIN (SELECT parent_cui, COUNT(*) AS edges FROM {concept_parent} GROUP BY parent_cui) AS down
        ON down.parent_cui = top_concept.cui
WHERE COALESCE(up.edges, 0) >= COALESCE(down.edges, 0)
ORDER BY 1, 2
""",
            ),
        ),
    ),
)
