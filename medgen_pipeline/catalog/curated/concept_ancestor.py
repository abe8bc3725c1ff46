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

from medgen_pipeline.catalog.curated.columns import integer, text
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Metric, Rule, Setting
from medgen_pipeline.catalog.model import Reference
from medgen_pipeline.catalog.query import Constant, Parameter, Query

ALL_SOURCES = "*"
_PARAMETERS: dict[str, Parameter] = {"sources": (ALL_SOURCES,), "max_depth": 64}

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

_RULES = read_named("concept_ancestor.rules.sql", [_FACTS])
_METRICS = read_named("concept_ancestor.metrics.sql", **_PARAMETERS)

TABLE = CuratedTable(
    name="concept_ancestor",
    columns=(
        text("cui", "The concept."),
        text("ancestor_cui", "A concept above it."),
        integer("distance", "Steps of the shortest way up: 1 for a parent."),
    ),
    key=("cui", "ancestor_cui"),
    lookups=("ancestor_cui",),
    key_proven=True,
    description=__doc__,
    references=(Reference("cui", "names", "cui"), Reference("ancestor_cui", "names", "cui")),
    query=read("concept_ancestor.sql", **_PARAMETERS),
    lineage={
        "cui": ("concept_parent.cui", "concept_parent.source"),
        "ancestor_cui": ("concept_parent.parent_cui", "concept_parent.source"),
        "distance": ("concept_parent.cui", "concept_parent.parent_cui", "concept_parent.source"),
    },
    increment=read_increment("concept_ancestor.increment.sql", "cui"),
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
            query=_RULES["no_cycle"],
        ),
        Rule(
            name="known_facts_hold",
            description="Well-known facts of medicine, such as that ectopia lentis is an abnormality of the eye. An "
            "error where one is the wrong way round; a warning where it is missing, or where one of its concepts is, "
            "so that nothing was proven. Sources that were left out on purpose explain a warning.",
            columns=("finding", "CUI", "name", "ancestor CUI", "ancestor's name"),
            query=_RULES["known_facts_hold"],
        ),
    ),
    metrics=(
        Metric(name="hierarchy/cut_edges", query=_METRICS["hierarchy/cut_edges"]),
        Metric(name="hierarchy/cut", columns=("CUI", "parent CUI"), query=_METRICS["hierarchy/cut"]),
        Metric(name="hierarchy/greatest_distance", query=_METRICS["hierarchy/greatest_distance"]),
    ),
)
