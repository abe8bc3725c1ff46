"""Everything above a concept: one row per concept and ancestor, with the length of the shortest way up.

The closure of `concept_parent`. `distance` is 1 for a parent, 2 for a parent's parent, and so on.

- No concept is its own ancestor, and no two concepts are each other's. Where edges form a cycle, the concept nearest
  to the top stays on top, and its edges up into the cycle are cut. Near is few steps below a concept without parents;
  where there is none, below the one with the most children. Every concept stays as near to the top as it was.
  `hierarchy/cut_edges` counts what was cut, `hierarchy/cut` lists it, and a query finds it: edges of `concept_parent`
  that have no row here.
- The run config has `sources`, the vocabularies whose edges count (default: all), and `max_depth`, the greatest
  distance. Another choice makes another table, whose changes are in the change feed.
- Descendants are the same rows read the other way: `WHERE ancestor_cui = ...`.
"""

from medgen_pipeline.catalog.curated.columns import ID, integer, text
from medgen_pipeline.catalog.model import AFFECTED, CuratedTable, Increment, Metric, Reference, Rule, Setting, narrowed
from medgen_pipeline.catalog.query import Constant, Parameter, Query, Scratch

ALL_SOURCES = "*"
_PARAMETERS: dict[str, Parameter] = {"sources": (ALL_SOURCES,), "max_depth": 64}

# The edges, and those on cycles: what is left when concepts without children, then those without parents, are taken
# off until none is left. Four of five concepts have no children, so little is left after the first round.
_EDGES = Scratch(
    "edge",
    "SELECT cui, parent_cui FROM {concept_parent} WHERE '*' IN ({sources}) OR source IN ({sources})"
    " GROUP BY cui, parent_cui",
)
_CYCLES = Scratch(
    "cycle",
    "SELECT cui, parent_cui FROM {edge} WHERE cui IN (SELECT parent_cui FROM {edge})",
    (
        "DELETE FROM {cycle} WHERE NOT EXISTS (SELECT 1 FROM {cycle} AS below WHERE below.parent_cui = {cycle}.cui)",
        "DELETE FROM {cycle} WHERE NOT EXISTS (SELECT 1 FROM {cycle} AS above WHERE above.cui = {cycle}.parent_cui)",
    ),
)
# All ways up from there. A pair is added once, so this ends on any graph.
_WALK = Scratch(
    "walk",
    "SELECT cui, parent_cui AS ancestor_cui, CAST(1 AS BIGINT) AS distance FROM {edge}"
    " WHERE cui IN (SELECT cui FROM {cycle})",
    (
        """
INSERT INTO {walk}
SELECT walk.cui, edge.parent_cui, {round} + 1
FROM {walk} AS walk JOIN {edge} AS edge ON edge.cui = walk.ancestor_cui
    LEFT JOIN {walk} AS seen ON seen.cui = walk.cui AND seen.ancestor_cui = edge.parent_cui
WHERE walk.distance = {round} AND seen.cui IS NULL
GROUP BY walk.cui, edge.parent_cui
""",
    ),
)
# Concepts that are above each other are one group, led by its lowest CUI.
_MEMBERS = Scratch(
    "member",
    """
SELECT grouped.cui, grouped.leader, children.children
FROM (
    SELECT walk.cui, MIN(walk.ancestor_cui) AS leader
    FROM {walk} AS walk JOIN {walk} AS back ON back.cui = walk.ancestor_cui AND back.ancestor_cui = walk.cui
    GROUP BY walk.cui
) AS grouped
    JOIN (SELECT parent_cui, COUNT(*) AS children FROM {edge} GROUP BY parent_cui) AS children
        ON children.parent_cui = grouped.cui
""",
)
# Where nothing is above a group, its top is the one with the most children.
_HEADS = Scratch(
    "head",
    """
SELECT ranked.cui
FROM (
    SELECT member.cui,
        ROW_NUMBER() OVER (PARTITION BY member.leader ORDER BY member.children DESC, member.cui) AS place
    FROM {member} AS member
        LEFT JOIN (
            SELECT own.leader
            FROM {walk} AS walk JOIN {member} AS own ON own.cui = walk.cui
                LEFT JOIN {member} AS other ON other.cui = walk.ancestor_cui AND other.leader = own.leader
            WHERE other.cui IS NULL
            GROUP BY own.leader
        ) AS topped ON topped.leader = member.leader
    WHERE topped.leader IS NULL
) AS ranked
WHERE ranked.place = 1
""",
)
# Each has its place in its group, the nearest to the top first, so that each step of a shortest way to the top leads to
# an earlier place or out of the group. A head counts as a top only where no other is above the group.
_PLACES = Scratch(
    "place",
    """
SELECT member.cui, member.leader, ROW_NUMBER() OVER (
    PARTITION BY member.leader
    ORDER BY CASE WHEN head.cui IS NULL THEN depth.distance ELSE 0 END, member.children DESC, member.cui) AS place
FROM {member} AS member LEFT JOIN {head} AS head ON head.cui = member.cui
    LEFT JOIN (
        SELECT walk.cui,
            COALESCE(MIN(CASE WHEN above.cui IS NULL THEN walk.distance END), MIN(walk.distance)) AS distance
        FROM {walk} AS walk LEFT JOIN {edge} AS above ON above.cui = walk.ancestor_cui
            LEFT JOIN {head} AS head ON head.cui = walk.ancestor_cui
        WHERE above.cui IS NULL OR head.cui IS NOT NULL
        GROUP BY walk.cui
    ) AS depth ON depth.cui = member.cui
""",
)
_INNER = Scratch(
    "inner_edge",
    """
SELECT cycle.cui, cycle.parent_cui
FROM {cycle} AS cycle JOIN {place} AS own ON own.cui = cycle.cui
    JOIN {place} AS parent ON parent.cui = cycle.parent_cui AND parent.leader = own.leader
""",
)
# The first of each group is its top: its ways up within the group are cut. What is on no cycle any more is taken off
# before the next of those that are left has its turn. So the next step of a shortest way to the top is never cut.
_CUT = Scratch(
    "cut",
    "SELECT cui, parent_cui FROM {inner_edge} WHERE 1 = 0",
    (
        (
            "DELETE FROM {inner_edge} WHERE NOT EXISTS"
            " (SELECT 1 FROM {inner_edge} AS below WHERE below.parent_cui = {inner_edge}.cui)"
        ),
        (
            "DELETE FROM {inner_edge} WHERE NOT EXISTS"
            " (SELECT 1 FROM {inner_edge} AS above WHERE above.cui = {inner_edge}.parent_cui)"
        ),
        """
INSERT INTO {cut}
SELECT inner_edge.cui, inner_edge.parent_cui
FROM {inner_edge} AS inner_edge JOIN {place} AS own ON own.cui = inner_edge.cui
    JOIN (
        SELECT place.leader, MIN(place.place) AS place
        FROM {inner_edge} AS one JOIN {place} AS place ON place.cui = one.cui
        GROUP BY place.leader
    ) AS top_of ON top_of.leader = own.leader AND top_of.place = own.place
WHERE NOT EXISTS (
    SELECT 1
    FROM {inner_edge} AS loose LEFT JOIN {inner_edge} AS below ON below.parent_cui = loose.cui
        LEFT JOIN {inner_edge} AS above ON above.cui = loose.parent_cui
    WHERE below.cui IS NULL OR above.cui IS NULL
)
""",
        (
            "DELETE FROM {inner_edge} WHERE EXISTS (SELECT 1 FROM {cut} AS cut"
            " WHERE cut.cui = {inner_edge}.cui AND cut.parent_cui = {inner_edge}.parent_cui)"
        ),
    ),
)
_KEPT = Scratch(
    "kept",
    """
SELECT edge.cui, edge.parent_cui
FROM {edge} AS edge LEFT JOIN {cut} AS cut ON cut.cui = edge.cui AND cut.parent_cui = edge.parent_cui
WHERE cut.cui IS NULL
""",
)
# From a concept to itself and to what is above it, level by level; without cycles it ends by itself. That is done for
# concepts with grandchildren alone, few in a hundred: above any other are its parents and what is above them.
_REACHED = Scratch(
    "reached",
    "SELECT parent_cui AS cui, parent_cui AS ancestor_cui, CAST(0 AS BIGINT) AS distance FROM {kept}"
    " WHERE cui IN (SELECT parent_cui FROM {kept}) GROUP BY parent_cui",
    (
        """
INSERT INTO {reached}
SELECT reached.cui, kept.parent_cui, {round}
FROM {reached} AS reached JOIN {kept} AS kept ON kept.cui = reached.ancestor_cui
WHERE reached.distance = {round} - 1 AND {round} < {max_depth}
GROUP BY reached.cui, kept.parent_cui
""",
    ),
)
# The same for all concepts with children. A way of another length to the same ancestor comes second: looking for it in
# every round took twice as long.
_NEAREST = Scratch(
    "nearest",
    """
SELECT way.cui, way.ancestor_cui, MIN(way.distance) AS distance
FROM (
    SELECT parent_cui AS cui, parent_cui AS ancestor_cui, 0 AS distance FROM {kept} GROUP BY parent_cui
    UNION ALL
    SELECT kept.cui, reached.ancestor_cui, reached.distance + 1
    FROM {kept} AS kept JOIN {reached} AS reached ON reached.cui = kept.parent_cui
    WHERE kept.cui IN (SELECT parent_cui FROM {kept}) AND reached.distance + 1 < {max_depth}
) AS way
GROUP BY way.cui, way.ancestor_cui
""",
)
_PARENTS = Scratch("parents", "SELECT cui, COUNT(*) AS parents FROM {kept} GROUP BY cui")


def _on_cycles(name: str, concepts: str) -> Scratch:
    """As of _CYCLES: the edges of ``concepts``, which hold all that is above any of them, that may be on cycles."""
    edges = """
SELECT own.cui, own.parent_cui FROM {concept_parent} AS own
WHERE own.cui IN (SELECT cui FROM {CONCEPTS}) AND ('*' IN ({sources}) OR own.source IN ({sources}))
GROUP BY own.cui, own.parent_cui
"""
    off = tuple(statement.replace("{cycle}", f"{{{name}}}") for statement in _CYCLES.repeat)
    return Scratch(name, edges.replace("CONCEPTS", concepts), off)


def _all_above(name: str, start: str) -> Scratch:
    """The concepts that ``start`` gives with a step of 0, and all that is above them."""
    step = """
INSERT INTO {NAME}
SELECT own.parent_cui, {round}
FROM {NAME} AS reached JOIN {concept_parent} AS own ON own.cui = reached.cui
    LEFT JOIN {NAME} AS seen ON seen.cui = own.parent_cui
WHERE reached.step = {round} - 1 AND seen.cui IS NULL
GROUP BY own.parent_cui
"""
    return Scratch(name, start, (step.replace("NAME", name),))


# A concept is a part. What is above it may be other than before where an edge above it, or its own, has come or gone,
# be it cut or not. Which edges of a cycle are cut also depends on how many children its concepts have, and on what is
# above it; so an edge that leads to a concept on a cycle affects that concept and what is below it. Where a cycle is
# gone, one of its edges is, and whatever was on it or below it is below that edge's concept, or below that of another
# edge that has gone.
_INCREMENT = Increment(
    key=("cui",),
    scratch=(
        Scratch(
            "moved",
            """
SELECT own.cui, own.parent_cui,
    SUM(CASE WHEN own._change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END) AS sources
FROM {recent_concept_parent} AS own
WHERE '*' IN ({sources}) OR own.source IN ({sources})
GROUP BY own.cui, own.parent_cui
""",
        ),
        # Not where other sources have the same edge.
        Scratch(
            "moved_edge",
            """
SELECT moved.cui, moved.parent_cui
FROM {moved} AS moved LEFT JOIN (
    SELECT own.cui, own.parent_cui, COUNT(*) AS sources
    FROM {concept_parent} AS own
    WHERE own.cui IN (SELECT cui FROM {moved}) AND ('*' IN ({sources}) OR own.source IN ({sources}))
    GROUP BY own.cui, own.parent_cui
) AS held ON held.cui = moved.cui AND held.parent_cui = moved.parent_cui
WHERE CASE WHEN COALESCE(held.sources, 0) > 0 THEN 1 ELSE 0 END
    <> CASE WHEN COALESCE(held.sources, 0) - moved.sources > 0 THEN 1 ELSE 0 END
""",
        ),
        _all_above(
            "above_moved",
            "SELECT parent_cui AS cui, CAST(0 AS BIGINT) AS step FROM {moved_edge} AS own GROUP BY parent_cui",
        ),
        _on_cycles("cycle_above_moved", "above_moved"),
        Scratch(
            AFFECTED,
            """
SELECT start.cui, CAST(0 AS BIGINT) AS step
FROM (
    SELECT cui FROM {moved_edge} AS own
    UNION SELECT own.parent_cui
        FROM {moved_edge} AS own JOIN {cycle_above_moved} AS on_cycle ON on_cycle.cui = own.parent_cui
) AS start
""",
            (
                """
INSERT INTO {affected}
SELECT own.cui, {round}
FROM {affected} AS reached JOIN {concept_parent} AS own ON own.parent_cui = reached.cui
    LEFT JOIN {affected} AS seen ON seen.cui = own.cui
WHERE reached.step = {round} - 1 AND seen.cui IS NULL
GROUP BY own.cui
""",
            ),
        ),
        _all_above("above", "SELECT cui, CAST(0 AS BIGINT) AS step FROM {affected} AS affected"),
        _on_cycles("cycle_above", "above"),
        # And the other children of what is on cycles, which are counted.
        narrowed(
            "concept_parent",
            "own.cui IN (SELECT cui FROM {above})"
            " UNION SELECT own.* FROM {concept_parent} AS own WHERE own.parent_cui IN (SELECT cui FROM {cycle_above})",
        ),
    ),
)

# What was cut, from the finished table: all edges that were kept are in it.
_MISSING = Scratch(
    "missing",
    """
SELECT edge.cui, edge.parent_cui
FROM {concept_parent} AS edge LEFT JOIN {concept_ancestor} AS kept
    ON kept.cui = edge.cui AND kept.ancestor_cui = edge.parent_cui AND kept.distance = 1
WHERE kept.cui IS NULL AND ('*' IN ({sources}) OR edge.source IN ({sources}))
GROUP BY edge.cui, edge.parent_cui
""",
)

# Facts that medicine has settled; HPO and MedGen hold them in every release that was read.
_FACTS = Constant(
    "facts",
    ("cui", "name", "ancestor_cui", "ancestor_name"),
    (
        ("C0003706", "Arachnodactyly", "C4021819", "Phenotypic abnormality"),
        ("C0013581", "Ectopia lentis", "C4316870", "Abnormality of the eye"),
        ("C0036439", "Scoliosis", "C4021790", "Abnormality of the skeletal system"),
        ("C0026267", "Mitral valve prolapse", "C0243050", "Abnormality of the cardiovascular system"),
        ("C0036572", "Seizure", "C0497552", "Abnormality of the nervous system"),
        ("C0443147", "Autosomal dominant inheritance", "C1708511", "Mode of inheritance"),
        ("C0024796", "Marfan syndrome", "C0012634", "Disease"),
    ),
)

TABLE = CuratedTable(
    name="concept_ancestor",
    columns=(
        text("cui", "The concept.", ID),
        text("ancestor_cui", "A concept above it.", ID),
        integer("distance", "Steps of the shortest way up: 1 for a parent."),
    ),
    key=("cui", "ancestor_cui"),
    key_proven=True,
    description=__doc__,
    references=(Reference("cui", "names", "cui"), Reference("ancestor_cui", "names", "cui")),
    query=Query(
        scratch=(_EDGES, _CYCLES, _WALK, _MEMBERS, _HEADS, _PLACES, _INNER, _CUT, _KEPT, _REACHED, _NEAREST, _PARENTS),
        parameters=_PARAMETERS,
        text="""
SELECT kept.cui, nearest.ancestor_cui, nearest.distance + 1 AS distance
FROM {kept} AS kept JOIN {parents} AS parents ON parents.cui = kept.cui AND parents.parents = 1
    JOIN {nearest} AS nearest ON nearest.cui = kept.parent_cui
UNION ALL
SELECT kept.cui, nearest.ancestor_cui, MIN(nearest.distance) + 1
FROM {kept} AS kept JOIN {parents} AS parents ON parents.cui = kept.cui AND parents.parents > 1
    JOIN {nearest} AS nearest ON nearest.cui = kept.parent_cui
GROUP BY kept.cui, nearest.ancestor_cui
""",
    ),
    lineage={
        "cui": ("concept_parent.cui", "concept_parent.source"),
        "ancestor_cui": ("concept_parent.parent_cui", "concept_parent.source"),
        "distance": ("concept_parent.cui", "concept_parent.parent_cui", "concept_parent.source"),
    },
    increment=_INCREMENT,
    settings=(
        Setting(
            parameter="sources",
            description="Vocabularies whose edges count, as `concept_parent.source` has them; `*` for all.",
            known=Query(text="SELECT source FROM {concept_parent} GROUP BY source ORDER BY source"),
        ),
        Setting(parameter="max_depth", description="The greatest distance; ancestors farther up are left out."),
    ),
    rules=(
        Rule(
            name="no_cycle",
            description="No concept is its own ancestor, and no two concepts are each other's.",
            columns=("CUI", "ancestor CUI", "distance"),
            query=Query(
                text="""
SELECT 'ERROR' AS severity, one.cui, one.ancestor_cui, one.distance
FROM {concept_ancestor} AS one LEFT JOIN {concept_ancestor} AS other
    ON other.cui = one.ancestor_cui AND other.ancestor_cui = one.cui
WHERE one.cui = one.ancestor_cui OR other.cui IS NOT NULL
ORDER BY 1, 2, 3
""",
            ),
        ),
        Rule(
            name="known_facts_hold",
            description="Well-known facts of medicine, such as that ectopia lentis is an abnormality of the eye. An "
            "error where one is the wrong way round; a warning where it is missing, or where one of its concepts is, "
            "so that nothing was proven. Sources that were left out on purpose explain a warning.",
            columns=("finding", "CUI", "name", "ancestor CUI", "ancestor's name"),
            query=Query(
                constants=(_FACTS,),
                text="""
SELECT CASE WHEN back.cui IS NOT NULL THEN 'ERROR' ELSE 'WARN' END AS severity,
    CASE
        WHEN back.cui IS NOT NULL THEN 'the wrong way round'
        WHEN own.cui IS NULL OR above.cui IS NULL THEN 'one of the concepts is not in this release'
        ELSE 'missing'
    END AS finding,
    fact.cui, fact.name, fact.ancestor_cui, fact.ancestor_name
FROM {facts} AS fact
    LEFT JOIN {concept_ancestor} AS held ON held.cui = fact.cui AND held.ancestor_cui = fact.ancestor_cui
    LEFT JOIN {concept_ancestor} AS back ON back.cui = fact.ancestor_cui AND back.ancestor_cui = fact.cui
    LEFT JOIN {names} AS own ON own.cui = fact.cui
    LEFT JOIN {names} AS above ON above.cui = fact.ancestor_cui
WHERE held.cui IS NULL OR back.cui IS NOT NULL
ORDER BY 1, 3, 5
""",
            ),
        ),
    ),
    metrics=(
        Metric(
            name="hierarchy/cut_edges",
            query=Query(
                parameters=_PARAMETERS,
                scratch=(_EDGES,),
                text="""
SELECT edge.edges - kept.edges AS edges
FROM (SELECT COUNT(*) AS edges FROM {edge}) AS edge
    CROSS JOIN (SELECT COUNT(*) AS edges FROM {concept_ancestor} WHERE distance = 1) AS kept
""",
            ),
        ),
        Metric(
            name="hierarchy/cut",
            columns=("CUI", "parent CUI"),
            query=Query(
                scratch=(_MISSING,),
                parameters=_PARAMETERS,
                text="""
SELECT missing.cui, missing.parent_cui FROM {missing} AS missing ORDER BY missing.cui, missing.parent_cui
""",
            ),
        ),
        Metric(
            name="hierarchy/greatest_distance",
            query=Query(text="SELECT COALESCE(MAX(distance), 0) AS distance FROM {concept_ancestor}"),
        ),
    ),
)
