"""What there is to say about a concept, in one row: name, definition, types, and how much is known of it.

One row per CUI of `names`, that is, per current concept. Retired ones are in `cui_redirect`.

- `uid` is the number in MedGen's URLs: https://www.ncbi.nlm.nih.gov/medgen/UID.
- `definition` is the one from the source that comes first in the list of `catalog/curated/concept.py`: sources that
  write for the disorder before dictionaries. Of several by one source, the longest. `mgdef` has them all.
- `is_disease` goes by semantic types: diseases, neoplasms, mental disorders, malformations, cell dysfunctions.
  Findings, signs and injuries are not among them, so a phenotype of HPO can be one or not.
- `synonym_count` counts names apart from the preferred one, `link_count` links to PubMed.
"""

from medgen_pipeline.catalog.curated.columns import ID, LONG, NAME, flag, integer, text
from medgen_pipeline.catalog.model import CuratedTable, Rule, by_column
from medgen_pipeline.catalog.query import Constant, Query, Scratch

# Whose definition to show, best first. MedGen's own pages begin with GeneReviews and MedlinePlus Genetics, too.
DEFINITION_SOURCES = (
    "GeneReviews",  # written by clinicians for the disorder, reviewed and kept up to date
    "MedlinePlus Genetics",  # whole summaries in plain words
    "Genetics Home Reference",  # its name before 2020
    "Orphanet",  # written for the rare disease
    "ORDO",  # the same source in its ontology
    "MONDO",  # short, but says what sets the disease apart
    "OMIM",  # long texts that begin with genes rather than with the disease
    "HPO",  # the definition of a phenotype
    "NCI",  # a dictionary of cancer research
    "MSH",  # written for indexers of articles
    "SNOMEDCT_US",  # mostly restates the name
)
_SOURCES = Constant("order_of_sources", ("source", "place"), tuple((s, n) for n, s in enumerate(DEFINITION_SOURCES)))

# Semantic types of UMLS whose concepts are diseases. Of the group "Disorders" these are left out, because what has them
# is something a patient shows, suffers once, or that goes on inside a disease: T033 Finding, T034 Laboratory or Test
# Result, T037 Injury or Poisoning, T046 Pathologic Function, T184 Sign or Symptom; T050 is about animals.
DISEASE_TYPES = (
    ("T019", "Congenital Abnormality"),
    ("T020", "Acquired Abnormality"),
    ("T047", "Disease or Syndrome"),
    ("T048", "Mental or Behavioral Dysfunction"),
    ("T049", "Cell or Molecular Dysfunction"),
    ("T190", "Anatomical Abnormality"),
    ("T191", "Neoplastic Process"),
)
DISEASES = Constant("disease_types", ("tui", "sty"), DISEASE_TYPES)
# LENGTH and MD5 decide between definitions of one source, because the order of texts is not the same everywhere.
_DEFINITION = Scratch(
    "definition",
    """
SELECT ranked.cui, ranked.def, ranked.source
FROM (
    SELECT told.cui, told.def, told.source,
        ROW_NUMBER() OVER (PARTITION BY told.cui ORDER BY
            CASE WHEN told.suppress IN ('O', 'E', 'Y') THEN 1 ELSE 0 END,
            COALESCE(listed.place, 1000), LENGTH(told.def) DESC, MD5(told.def)) AS place
    FROM {mgdef} AS told LEFT JOIN {order_of_sources} AS listed ON listed.source = told.source
) AS ranked
WHERE ranked.place = 1
""",
)
# Aggregates of text differ between warehouses, so where there are several types they are put in a row by number. UMLS
# gives no concept more than five; what would be beyond six is not in the text, but counts for is_disease.
_TYPED = Scratch(
    "typed",
    """
SELECT own.cui, COUNT(*) AS types, MAX(own.sty) AS sty, MAX(own.is_disease) AS is_disease
FROM (
    SELECT typed.cui, typed.tui, COALESCE(typed.sty, typed.tui) AS sty,
        CASE WHEN disease.tui IS NULL THEN 'N' ELSE 'Y' END AS is_disease
    FROM {mgsty} AS typed LEFT JOIN {disease_types} AS disease ON disease.tui = typed.tui
) AS own
GROUP BY own.cui
""",
)
_SEVERAL_TYPES = Scratch(
    "several_types",
    """
SELECT numbered.cui,
    MAX(CASE WHEN numbered.place = 1 THEN numbered.sty END)
        || COALESCE(MAX(CASE WHEN numbered.place = 2 THEN '; ' || numbered.sty END), '')
        || COALESCE(MAX(CASE WHEN numbered.place = 3 THEN '; ' || numbered.sty END), '')
        || COALESCE(MAX(CASE WHEN numbered.place = 4 THEN '; ' || numbered.sty END), '')
        || COALESCE(MAX(CASE WHEN numbered.place = 5 THEN '; ' || numbered.sty END), '')
        || COALESCE(MAX(CASE WHEN numbered.place = 6 THEN '; ' || numbered.sty END), '')
        AS semantic_types
FROM (
    SELECT own.cui, own.sty, ROW_NUMBER() OVER (PARTITION BY own.cui ORDER BY own.tui, MD5(own.sty)) AS place
    FROM (
        SELECT each_type.cui, each_type.tui, COALESCE(each_type.sty, each_type.tui) AS sty
        FROM {mgsty} AS each_type JOIN {typed} AS typed ON typed.cui = each_type.cui AND typed.types > 1
        GROUP BY each_type.cui, each_type.tui, COALESCE(each_type.sty, each_type.tui)
    ) AS own
) AS numbered
GROUP BY numbered.cui
""",
)
_SYNONYMS = Scratch(
    "synonyms",
    """
SELECT each_name.cui, COUNT(*) AS names
FROM (SELECT cui, name FROM {concept_name} WHERE is_preferred = 'N' GROUP BY cui, name) AS each_name
GROUP BY each_name.cui
""",
)
_UIDS = Scratch(
    "uids",
    """
SELECT cui, MIN(CASE WHEN source_id ~ '^[0-9]+$' THEN CAST(source_id AS BIGINT) END) AS uid
FROM {medgen_id_mappings} WHERE source = 'MedGen' GROUP BY cui
""",
)

TABLE = CuratedTable(
    name="concept",
    columns=(
        text("cui", "The concept: `C` + 7 digits (UMLS) or `CN` + 6 digits (made by NCBI).", ID),
        integer("uid", "MedGen's number of the concept, as in its URLs.", nullable=True),
        text("name", "Preferred name.", NAME),
        text("name_source", "Where the preferred name was taken from.", ID, nullable=True),
        text("definition", "The best definition; CR is its inner line break.", LONG, nullable=True),
        text("definition_source", "Who wrote it.", ID, nullable=True),
        text(
            "semantic_types",
            "Names of the semantic types, in the order of their codes: `Finding; Sign or Symptom`.",
            NAME,
            nullable=True,
        ),
        flag("is_disease", "where one of the semantic types is a disease's"),
        integer("synonym_count", "Names apart from the preferred one."),
        integer("link_count", "Links to PubMed."),
    ),
    key=("cui",),
    key_proven=True,
    description=__doc__,
    query=Query(
        constants=(_SOURCES, DISEASES),
        scratch=(_DEFINITION, _TYPED, _SEVERAL_TYPES, _SYNONYMS, _UIDS),
        text="""
SELECT living.cui, uids.uid, living.name, living.source AS name_source,
    definition.def AS definition, definition.source AS definition_source,
    COALESCE(several.semantic_types, typed.sty) AS semantic_types, COALESCE(typed.is_disease, 'N') AS is_disease,
    COALESCE(synonyms.names, 0) AS synonym_count, COALESCE(literature.link_count, 0) AS link_count
FROM {names} AS living
    LEFT JOIN {uids} AS uids ON uids.cui = living.cui
    LEFT JOIN {definition} AS definition ON definition.cui = living.cui
    LEFT JOIN {typed} AS typed ON typed.cui = living.cui
    LEFT JOIN {several_types} AS several ON several.cui = living.cui
    LEFT JOIN {synonyms} AS synonyms ON synonyms.cui = living.cui
    LEFT JOIN {concept_literature} AS literature ON literature.cui = living.cui
""",
    ),
    increment=by_column(
        "cui",
        names="cui",
        mgdef="cui",
        mgsty="cui",
        concept_name="cui",
        medgen_id_mappings="cui",
        concept_literature="cui",
    ),
    lineage={
        "cui": ("names.cui",),
        "uid": ("medgen_id_mappings.source_id",),
        "name": ("names.name",),
        "name_source": ("names.source",),
        "definition": ("mgdef.def", "mgdef.source"),
        "definition_source": ("mgdef.source",),
        "semantic_types": ("mgsty.sty", "mgsty.tui"),
        "is_disease": ("mgsty.tui",),
        "synonym_count": ("concept_name.name", "concept_name.is_preferred"),
        "link_count": ("concept_literature.link_count",),
    },
    rules=(
        Rule(
            name="every_current_concept_is_here",
            description="There is a row for each concept of `names`, and no other.",
            columns=("CUI", "name", "finding"),
            query=Query(
                text="""
SELECT 'ERROR' AS severity, COALESCE(own.cui, living.cui) AS cui, COALESCE(own.name, living.name) AS name,
    CASE WHEN own.cui IS NULL THEN 'missing' ELSE 'not in names' END AS finding
FROM {concept} AS own FULL OUTER JOIN {names} AS living ON living.cui = own.cui
WHERE own.cui IS NULL OR living.cui IS NULL
ORDER BY 1, 2
"""
            ),
        ),
        Rule(
            name="well_known_diseases_are_diseases",
            description="Marfan syndrome and cystic fibrosis are diseases, autosomal dominant inheritance is "
            "none: otherwise semantic types are not what they were. A warning where the concept is not in the release.",
            columns=("CUI", "name", "semantic types", "finding"),
            query=Query(
                constants=(
                    Constant(
                        "known",
                        ("cui", "name", "is_disease"),
                        (
                            ("C0024796", "Marfan syndrome", "Y"),
                            ("C0010674", "Cystic fibrosis", "Y"),
                            ("C0443147", "Autosomal dominant inheritance", "N"),
                        ),
                    ),
                ),
                text="""
SELECT CASE WHEN own.cui IS NULL THEN 'WARN' ELSE 'ERROR' END AS severity, known.cui, known.name, own.semantic_types,
    CASE WHEN own.cui IS NULL THEN 'not in this release' ELSE 'is_disease is ' || own.is_disease END AS finding
FROM {known} AS known LEFT JOIN {concept} AS own ON own.cui = known.cui
WHERE own.cui IS NULL OR own.is_disease <> known.is_disease
ORDER BY 1, 2
""",
            ),
        ),
    ),
)
