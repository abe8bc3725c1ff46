"""What a disease of OMIM's looks like: one row per OMIM entry and HPO term, with how they relate.

Made from `medgen_hpo_omim_mapping`; rows that the file repeats are one row here.

- `kind` tells the clinical features (`phenotype`) from the modes of inheritance (`inheritance`); all other
  relationships are `other`.
- `is_negated` is `Y` where the source denies the relationship (`not_manifestation_of`): the disease does **not** have
  the feature. Filter by it, always. The same pair can be affirmed by one source and denied by another.
- A frequency or an onset is not in MedGen's file; HPO's own annotations have them.
- The names are MedGen's preferred names; they are empty where the file names a concept that is not current.
"""

from medgen_pipeline.catalog.curated.columns import ID, NAME, flag, text
from medgen_pipeline.catalog.model import AFFECTED, CuratedTable, Increment, Reference, Rule, narrowed
from medgen_pipeline.catalog.query import Constant, Query, Scratch

# What MedGen's file calls the relationship, without "not_" before it.
_KINDS = Constant(
    "kinds",
    ("relationship", "kind"),
    (("manifestation_of", "phenotype"), ("inheritance_type_of", "inheritance")),
)

# A disease and a phenotype are a part; it is other than before where a row of the file is, or the name of one of them.
_INCREMENT = Increment(
    key=("disease_cui", "phenotype_cui"),
    scratch=(
        Scratch("moved", "SELECT cui FROM {recent_names} AS feed GROUP BY cui"),
        Scratch(
            AFFECTED,
            """
SELECT feed.omim_cui AS disease_cui, feed.hpo_cui AS phenotype_cui FROM {recent_medgen_hpo_omim_mapping} AS feed
UNION SELECT own.omim_cui, own.hpo_cui
    FROM {medgen_hpo_omim_mapping} AS own JOIN {moved} AS moved ON moved.cui = own.omim_cui
UNION SELECT own.omim_cui, own.hpo_cui
    FROM {medgen_hpo_omim_mapping} AS own JOIN {moved} AS moved ON moved.cui = own.hpo_cui
""",
        ),
        Scratch(
            "medgen_hpo_omim_mapping",
            """
SELECT own.* FROM {medgen_hpo_omim_mapping} AS own JOIN {affected} AS affected
    ON affected.disease_cui = own.omim_cui AND affected.phenotype_cui = own.hpo_cui
""",
        ),
        narrowed(
            "names",
            "own.cui IN (SELECT disease_cui FROM {affected} UNION SELECT phenotype_cui FROM {affected})",
        ),
    ),
)

TABLE = CuratedTable(
    name="disease_phenotype",
    columns=(
        text("disease_cui", "The disease's concept.", ID),
        text("disease_id", "Its OMIM entry, e.g. `OMIM:154700`.", ID),
        text("disease_name", "MedGen's name of the disease.", NAME, nullable=True),
        text("phenotype_cui", "The concept of the HPO term.", ID),
        text("phenotype_id", "The HPO term, e.g. `HP:0001166`.", ID),
        text("phenotype_name", "MedGen's name of the HPO term.", NAME, nullable=True),
        text("kind", "`phenotype`, `inheritance` or `other`.", ID),
        text("relationship", "As MedGen words it, without `not_`; `unspecified` where it is blank.", ID),
        flag("is_negated", "where the relationship is denied"),
    ),
    key=("disease_cui", "disease_id", "phenotype_cui", "phenotype_id", "relationship", "is_negated"),
    key_proven=True,
    description=__doc__,
    references=(Reference("disease_cui", "names", "cui"), Reference("phenotype_cui", "names", "cui")),
    query=Query(
        constants=(_KINDS,),
        text="""
SELECT pair.disease_cui, pair.disease_id, disease.name AS disease_name,
    pair.phenotype_cui, pair.phenotype_id, phenotype.name AS phenotype_name,
    COALESCE(kinds.kind, 'other') AS kind, pair.relationship, pair.is_negated
FROM (
    SELECT omim_cui AS disease_cui, 'OMIM:' || mim_number AS disease_id, hpo_cui AS phenotype_cui,
        hpo_id AS phenotype_id,
        CASE
            WHEN relationship IS NULL THEN 'unspecified'
            WHEN LEFT(relationship, 4) = 'not_' THEN SUBSTRING(relationship, 5, 255)
            ELSE relationship
        END AS relationship,
        CASE WHEN LEFT(relationship, 4) = 'not_' THEN 'Y' ELSE 'N' END AS is_negated
    FROM {medgen_hpo_omim_mapping}
    GROUP BY omim_cui, mim_number, hpo_cui, hpo_id, relationship
) AS pair
    LEFT JOIN {names} AS disease ON disease.cui = pair.disease_cui
    LEFT JOIN {names} AS phenotype ON phenotype.cui = pair.phenotype_cui
    LEFT JOIN {kinds} AS kinds ON kinds.relationship = pair.relationship
""",
    ),
    increment=_INCREMENT,
    lineage={
        "disease_cui": ("medgen_hpo_omim_mapping.omim_cui",),
        "disease_id": ("medgen_hpo_omim_mapping.mim_number",),
        "disease_name": ("names.name",),
        "phenotype_cui": ("medgen_hpo_omim_mapping.hpo_cui",),
        "phenotype_id": ("medgen_hpo_omim_mapping.hpo_id",),
        "phenotype_name": ("names.name",),
        "kind": ("medgen_hpo_omim_mapping.relationship",),
        "relationship": ("medgen_hpo_omim_mapping.relationship",),
        "is_negated": ("medgen_hpo_omim_mapping.relationship",),
    },
    rules=(
        Rule(
            name="concepts_are_current",
            description="Diseases and phenotypes are current concepts. An error where more than one row in a hundred "
            "is not: MedGen's files come from the same release, but HPO's have been ahead of it before.",
            columns=("disease", "disease's CUI", "phenotype", "phenotype's CUI"),
            query=Query(
                text="""
SELECT
    CASE WHEN lost.found * 100 > (SELECT COUNT(*) FROM {disease_phenotype}) THEN 'ERROR' ELSE 'WARN' END AS severity,
    lost.disease_id, lost.disease_cui, lost.phenotype_id, lost.phenotype_cui
FROM (
    SELECT pair.disease_id, pair.disease_cui, pair.phenotype_id, pair.phenotype_cui, COUNT(*) OVER () AS found
    FROM {disease_phenotype} AS pair
        LEFT JOIN {names} AS disease ON disease.cui = pair.disease_cui
        LEFT JOIN {names} AS phenotype ON phenotype.cui = pair.phenotype_cui
    WHERE disease.cui IS NULL OR phenotype.cui IS NULL
) AS lost
ORDER BY 1, 2, 4
"""
            ),
        ),
        Rule(
            name="nothing_is_affirmed_and_denied",
            description="No phenotype is both affirmed and denied of a disease. Sources do disagree now and then.",
            columns=("disease", "disease's name", "phenotype", "phenotype's name"),
            query=Query(
                text="""
SELECT 'WARN' AS severity, yes.disease_id, yes.disease_name, yes.phenotype_id, yes.phenotype_name
FROM {disease_phenotype} AS yes JOIN {disease_phenotype} AS denied
    ON denied.disease_id = yes.disease_id AND denied.phenotype_id = yes.phenotype_id
    AND denied.relationship = yes.relationship
WHERE yes.is_negated = 'N' AND denied.is_negated = 'Y'
ORDER BY 1, 2, 4
"""
            ),
        ),
    ),
)
