"""Under which licences the sources' content is. docs/licence.md says the same to people."""

from medgen_pipeline.catalog.model import Licence

NCBI = Licence(
    "NCBI Website and Data Usage Policies",
    "https://www.ncbi.nlm.nih.gov/home/about/policies/",
    "What NCBI itself writes is in the public domain.",
)
UMLS = Licence(
    "UMLS Metathesaurus License Agreement",
    "https://www.nlm.nih.gov/research/umls/knowledge_sources/metathesaurus/release/license_agreement.html",
    "Names, definitions and relationships come from sources of the UMLS, SNOMED CT, OMIM and HPO among them. Their "
    "licences apply to whoever uses them. The columns sab and source name the source of a row.",
)
UNIVERSITY_OF_WASHINGTON = Licence(
    "GeneReviews Copyright Notice and Usage Disclaimer",
    "https://www.ncbi.nlm.nih.gov/books/NBK138602/",
    "GeneReviews is a work of the University of Washington, which holds the copyright.",
)
