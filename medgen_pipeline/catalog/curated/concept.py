"""What there is to say about a concept, in one row: name, definition, types, and how much is known of it.

One row per CUI of `names`, that is, per current concept. Retired ones are in `cui_redirect`.

- `uid` is the number in MedGen's URLs: https://www.ncbi.nlm.nih.gov/medgen/UID.
- `curie` is the concept itself, by its CUI. The prefix `MEDGEN:` is another identifier's: `MEDGEN:44287` is the `uid`,
  and so is `medgen:44287` at Bioregistry, where a CUI is `medgen.cid:C0024796`.
- `is_placeholder` marks what submitters to ClinVar and GTR give where they name no condition: `not provided`,
  `not specified`. More than a quarter of ClinVar's records have one; leave them out of counts and joins.
- `definition` is the one from the source that comes first in the list of `catalog/curated/concept.py`: sources that
  write for the disorder before dictionaries. Of several by one source, the longest. `mgdef` has them all.
- `is_disease` goes by semantic types: diseases, neoplasms, mental disorders, malformations, cell dysfunctions.
  Findings, signs and injuries are not among them, so a phenotype of HPO can be one or not.
- `synonym_count` counts names apart from the preferred one, `link_count` links to PubMed.
- `gene_count` counts genes as `gene_disease` lists them, whatever the association; 0 where it lists none. It is empty
  where the sources `gene` and `clinvar` are not both loaded.
"""

from medgen_pipeline.catalog.curated.columns import LONG, NAME, flag, integer, text
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Rule
from medgen_pipeline.catalog.query import Constant

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
# Names of concepts that are none, in lower case, as releases of 2021 to 2025 have them.
_PLACEHOLDERS = Constant(
    "placeholders", ("name",), (("not provided",), ("not specified",), ("none provided",), ("none",))
)
# With fewer concepts it is a sample, of which counts and facts of real releases say nothing.
FULL_RELEASE = 100_000
_KNOWN = Constant(
    "known",
    ("cui", "name", "is_disease"),
    (
        ("C0024796", "Marfan syndrome", 1),
        ("C0010674", "Cystic fibrosis", 1),
        ("C0023467", "Acute myeloid leukemia", 1),
        ("C0011859", "Lipoatrophic diabetes", 1),
        ("C0443147", "Autosomal dominant inheritance", 0),
    ),
)
# What RDF Portal counted in the release of July 2026 (https://rdfportal.org/dataset/medgen). A tenth more or less: from
# 2021 to 2025 MedGen grew by 14 %, and UMLS, which it follows, comes out twice a year.
_ANCHORS = Constant(
    "anchors",
    ("what", "expected"),
    (
        ("concepts", 233_939),
        ("concepts with a definition", 78_578),
        ("semantic types, one for each concept that has it", 235_010),
        ("T033 Finding", 106_477),
        ("T047 Disease or Syndrome", 64_364),
        ("T191 Neoplastic Process", 26_706),
    ),
)
_RULES = read_named("concept.rules.sql", [_KNOWN, _ANCHORS], full_release=FULL_RELEASE)

TABLE = CuratedTable(
    name="concept",
    columns=(
        text("cui", "The concept: `C` + 7 digits (UMLS) or `CN` + 6 digits (made by NCBI)."),
        text("curie", "Its CURIE: `UMLS:C0024796`, or `medgen.cid:CN169374` for one made by NCBI."),
        integer("uid", "MedGen's number of the concept, as in its URLs.", nullable=True),
        text("name", "Preferred name.", NAME),
        text("name_source", "Where the preferred name was taken from.", nullable=True),
        text("definition", "The best definition; CR is its inner line break.", LONG, nullable=True),
        text("definition_source", "Who wrote it.", nullable=True),
        text(
            "semantic_types",
            "Names of the semantic types, in the order of their codes: `Finding; Sign or Symptom`.",
            NAME,
            nullable=True,
        ),
        flag("is_disease", "Whether one of the semantic types is a disease's."),
        flag("is_placeholder", "Whether it stands for no concept at all, such as `not provided`."),
        integer("synonym_count", "Names apart from the preferred one."),
        integer("link_count", "Links to PubMed."),
        integer("gene_count", "Genes, as in `gene_disease`; empty where that is not made.", nullable=True),
    ),
    key=("cui",),
    lookups=("curie", "link_count"),
    key_proven=True,
    description=__doc__,
    query=read(
        "concept.sql", [_SOURCES, DISEASES, _PLACEHOLDERS], has_mim2gene_medgen=1, has_gene_condition_source_id=1
    ),
    # Not gene_disease, which cannot be made before both lists were loaded: it would hold up all concepts until then.
    optional=("mim2gene_medgen", "gene_condition_source_id"),
    increment=read_increment("concept.increment.sql", "cui"),
    lineage={
        "cui": ("names.cui",),
        "curie": ("names.cui",),
        "uid": ("medgen_id_mappings.source_id",),
        "name": ("names.name",),
        "name_source": ("names.source",),
        "definition": ("mgdef.def", "mgdef.source"),
        "definition_source": ("mgdef.source",),
        "semantic_types": ("mgsty.sty", "mgsty.tui"),
        "is_disease": ("mgsty.tui",),
        "is_placeholder": ("names.name",),
        "synonym_count": ("concept_name.name", "concept_name.is_preferred"),
        "link_count": ("concept_literature.link_count",),
        "gene_count": (
            "mim2gene_medgen.gene_id",
            "mim2gene_medgen.medgen_cui",
            "gene_condition_source_id.gene_id",
            "gene_condition_source_id.concept_id",
            "cui_redirect.current_cui",
        ),
    },
    rules=(
        Rule(
            name="every_current_concept_is_here",
            description="There is a row for each concept of `names`, and no other.",
            columns=("CUI", "name", "finding"),
            query=_RULES["every_current_concept_is_here"],
        ),
        Rule(
            name="counts_are_plausible",
            description="In a full release there are about as many concepts, definitions and semantic types as others "
            "counted in July 2026, a tenth more or less. A warning: either a file is not what it was, or MedGen has "
            "changed a lot since. It says nothing of a sample.",
            columns=("what", "expected", "found"),
            query=_RULES["counts_are_plausible"],
        ),
        Rule(
            name="well_known_diseases_are_diseases",
            description="Marfan syndrome, cystic fibrosis, acute myeloid leukemia and lipoatrophic diabetes are "
            "diseases, autosomal dominant inheritance is none: otherwise semantic types are not what they were. A "
            "warning where the concept is not in a full release.",
            columns=("CUI", "name", "semantic types", "finding"),
            query=_RULES["well_known_diseases_are_diseases"],
        ),
    ),
)
