"""Under which licences the sources' content is. docs/licence.md says the same to people."""

from medgen_pipeline.catalog.model import Licence

NCBI = Licence(
    "NCBI Website and Data Usage Policies",
    "https://www.ncbi.nlm.nih.gov/home/about/policies/",
    "What NCBI itself writes is in the public domain.",
)
UMLS = Licence(
    "License Agreement for Use of the UMLS Metathesaurus",
    "https://www.nlm.nih.gov/research/umls/knowledge_sources/metathesaurus/release/license_agreement.html",
    "Names, definitions and relationships come from sources of the UMLS, SNOMED CT among them. Their licences apply to "
    "whoever uses them. The columns sab and source name the source of a row.",
)
OMIM = Licence(
    "OMIM Use Agreement",
    "https://www.omim.org/help/agreement",
    "OMIM is Johns Hopkins University's. Companies, and whoever shows its content or passes it on, need its licence.",
)
HPO = Licence(
    "Human Phenotype Ontology License",
    "https://hpo.jax.org/license",
    "HPO is free to use where it is acknowledged, its version is named, and its content is not altered.",
)
MONDO = Licence(
    "CC BY 4.0 (Mondo)", "https://mondo.monarchinitiative.org/", "Mondo is free to use where it is credited."
)
ORPHANET = Licence(
    "CC BY 4.0 (Orphanet)",
    "https://www.orphadata.com/legal-notice/",
    "Orphanet's ontology is INSERM's, and free to use where it is credited and changes are told.",
)
HGNC = Licence(
    "CC0 (HGNC)",
    "https://www.genenames.org/about/license/",
    "Symbols and names of human genes are HGNC's, in the public domain.",
)
UNIVERSITY_OF_WASHINGTON = Licence(
    "GeneReviews Copyright Notice and Usage Disclaimer",
    "https://www.ncbi.nlm.nih.gov/books/NBK138602/",
    "GeneReviews is a work of the University of Washington, which permits copies for noncommercial research "
    "alone, with credit, its copyright and a link to the original.",
)
