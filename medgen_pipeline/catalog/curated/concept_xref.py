"""The same concept in other vocabularies: one row per concept and identifier, with its CURIE.

Made from `medgen_id_mappings`; both spellings of a source are one. Identifiers of the NCI Thesaurus, which are not
there, come from the terms of `mgconso` that are neither obsolete nor suppressed.

- `curie` is the identifier as most tools write it: `MONDO:0007947`, `OMIM:154700`, `OMIMPS:…`, `HP:0001166`,
  `ORPHA:558`, `SNOMEDCT:…`, `MESH:D008382`, `GARD:0006975`, `NCIT:C34537`, `MEDGEN:…`, which is the UID. It is empty
  for a source that MedGen has added since; `source_id` always is as published.
- `kind` says what is meant: `concept` for the concept itself, and apart from it what OMIM files under an entry:
  `allelic variant`, `included`, and `phenotypic series`, which is wider than the concept.
- Many-to-many: a concept may have several identifiers of one source, and an identifier several concepts.
- Mondo, CUI and UID are meant to be one to one, and the check `mondo_and_uid_are_one_to_one` lists where they are not.
- Concepts that are not current are kept; the check `concepts_are_current` reports them.
"""

from medgen_pipeline.catalog.curated.columns import ID, text
from medgen_pipeline.catalog.curated.concept import FULL_RELEASE
from medgen_pipeline.catalog.curated.sql_files import read, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Rule, by_column
from medgen_pipeline.catalog.model import Reference
from medgen_pipeline.catalog.query import Constant

# By MedGen's name of the source in lower case: our name, the kind, the CURIE's prefix, what comes before the local
# identifier in MedGen, and the digits it is filled up to. Prefixes as Mondo's and HPO's files use them
# (https://mondo.readthedocs.io, https://hpo-annotation-qc.readthedocs.io).
_VOCABULARIES = Constant(
    "vocabularies",
    ("published", "source", "kind", "prefix", "strip", "digits"),
    (
        ("medgen", "MedGen", "concept", "MEDGEN", "", 0),
        ("mondo", "MONDO", "concept", "MONDO", "MONDO:", 7),
        ("omim", "OMIM", "concept", "OMIM", "OMIM:", 0),
        ("omim allelic variant", "OMIM", "allelic variant", "OMIM", "OMIM:", 0),
        ("omim included", "OMIM", "included", "OMIM", "OMIM:", 0),
        ("omim phenotypic series", "OMIM", "phenotypic series", "OMIMPS", "PS", 0),
        ("hpo", "HPO", "concept", "HP", "HP:", 7),
        ("orphanet", "Orphanet", "concept", "ORPHA", "Orphanet_", 0),
        ("snomedct_us", "SNOMEDCT_US", "concept", "SNOMEDCT", "", 0),
        ("mesh", "MeSH", "concept", "MESH", "", 0),
        ("gard", "GARD", "concept", "GARD", "GARD:", 7),
        ("nci", "NCIt", "concept", "NCIT", "", 0),
    ),
)

# What each prefix stands for, those of the concept itself included. As Mondo's and Bioregistry's files have them.
PREFIXES = {
    "GARD": "http://purl.obolibrary.org/obo/GARD_",
    "HP": "http://purl.obolibrary.org/obo/HP_",
    "MEDGEN": "https://www.ncbi.nlm.nih.gov/medgen/",
    "MESH": "http://id.nlm.nih.gov/mesh/",
    "MONDO": "http://purl.obolibrary.org/obo/MONDO_",
    "NCIT": "http://purl.obolibrary.org/obo/NCIT_",
    "OMIM": "https://omim.org/entry/",
    "OMIMPS": "https://omim.org/phenotypicSeries/PS",
    "ORPHA": "http://www.orpha.net/ORDO/Orphanet_",
    "SNOMEDCT": "http://snomed.info/id/",
    "UMLS": "https://uts.nlm.nih.gov/uts/umls/concept/",
    "medgen.cid": "https://www.ncbi.nlm.nih.gov/medgen/?term=",
}

# Vocabularies of terms whose identifiers are not in medgen_id_mappings.
_ONLY_TERMS = ("NCI",)

# As RDF Portal, MyDisease and Mondo have them, in 2025 and 2026.
_FACTS = Constant(
    "facts",
    ("cui", "name", "curie"),
    (
        ("C0023467", "Acute myeloid leukemia", "MONDO:0018874"),
        ("C0023467", "Acute myeloid leukemia", "HP:0004808"),
        ("C0023467", "Acute myeloid leukemia", "MESH:D015470"),
        ("C0023467", "Acute myeloid leukemia", "OMIM:601626"),
        ("C0023467", "Acute myeloid leukemia", "ORPHA:519"),
        ("C0011859", "Lipoatrophic diabetes", "MONDO:0005827"),
        ("C0011859", "Lipoatrophic diabetes", "MESH:D003923"),
        ("C0011859", "Lipoatrophic diabetes", "NCIT:C34537"),
        ("C0011859", "Lipoatrophic diabetes", "SNOMEDCT:127012008"),
        ("C0024796", "Marfan syndrome", "MONDO:0007947"),
        ("C0024796", "Marfan syndrome", "MESH:D008382"),
        ("C0024796", "Marfan syndrome", "OMIM:154700"),
        ("C0024796", "Marfan syndrome", "SNOMEDCT:19346006"),
        ("C0024796", "Marfan syndrome", "GARD:0006975"),
    ),
)
_RULES = read_named("concept_xref.rules.sql", [_FACTS], full_release=FULL_RELEASE)

TABLE = CuratedTable(
    name="concept_xref",
    columns=(
        text("cui", "The concept."),
        text(
            "source",
            "The vocabulary: `MONDO`, `OMIM`, `HPO`, `Orphanet`, `SNOMEDCT_US`, `MeSH`, `GARD`, `NCIt`, `MedGen`.",
        ),
        text("kind", "`concept`, `allelic variant`, `included` or `phenotypic series`."),
        text("source_id", "The identifier as MedGen writes it."),
        text(
            "curie", "The identifier with its prefix; empty for a source that is not known here.", 2 * ID, nullable=True
        ),
    ),
    key=("cui", "source", "kind", "source_id"),
    lookups=("curie",),
    key_proven=True,
    description=__doc__,
    references=(Reference("cui", "names", "cui"),),
    query=read("concept_xref.sql", [_VOCABULARIES], only_terms=_ONLY_TERMS),
    increment=by_column("cui", medgen_id_mappings="cui", mgconso="cui"),
    lineage={
        "cui": ("medgen_id_mappings.cui", "mgconso.cui"),
        "source": ("medgen_id_mappings.source", "mgconso.sab"),
        "kind": ("medgen_id_mappings.source", "mgconso.sab"),
        "source_id": ("medgen_id_mappings.source_id", "mgconso.scui", "mgconso.code"),
        "curie": (
            "medgen_id_mappings.source_id",
            "medgen_id_mappings.source",
            "mgconso.scui",
            "mgconso.code",
            "mgconso.sab",
        ),
    },
    rules=(
        Rule(
            name="concepts_are_current",
            description="Each identifier belongs to a current concept. An error where more than one row in a hundred "
            "does not.",
            columns=("CUI", "source", "identifier"),
            query=_RULES["concepts_are_current"],
        ),
        Rule(
            name="mondo_and_uid_are_one_to_one",
            description="A concept has one Mondo id and one UID, and each of these one concept: Mondo's own policy, "
            "kept by every version of its mapping from 2024 on. A warning, since MedGen promises it nowhere; whoever "
            "joins by one of these identifiers gets a row more for each finding.",
            columns=("source", "finding", "identifier", "how many"),
            query=_RULES["mondo_and_uid_are_one_to_one"],
        ),
        Rule(
            name="known_identifiers_are_here",
            description="In a full release Marfan syndrome, acute myeloid leukemia and lipoatrophic diabetes have the "
            "identifiers that others have of them. An error where one is another concept's; a warning where it is "
            "missing. It says nothing of a sample.",
            columns=("CUI", "name", "identifier", "finding"),
            query=_RULES["known_identifiers_are_here"],
        ),
        Rule(
            name="vocabularies_are_known",
            description="Every source of `medgen_id_mappings` has a prefix here. A warning names one that MedGen has "
            "added: its identifiers have no CURIE until the catalog knows it.",
            columns=("source", "identifiers", "one of them"),
            query=_RULES["vocabularies_are_known"],
        ),
    ),
)
