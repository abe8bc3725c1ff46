"""What ClinVar publishes beside MedGen: conditions, their genes and what became of their identifiers.

Facts only, as in ``medgen``.
"""

from medgen_pipeline.catalog.model import DAILY, Column, ColumnType, Framing, Source, SourceTable
from medgen_pipeline.catalog.sources.licences import HPO, MONDO, NCBI, OMIM, ORPHANET, UMLS

CLINVAR = Source(
    name="clinvar",
    title="ClinVar",
    url="https://ftp.ncbi.nlm.nih.gov/pub/clinvar/",
    cadence=DAILY,
    licences=(NCBI, UMLS, OMIM, HPO, MONDO, ORPHANET),
)

_NAME = 4096

_GENE_CONDITION = SourceTable(
    source=CLINVAR,
    name="gene_condition_source_id",
    file_name="gene_condition_source_id",
    framing=Framing.TAB,
    columns=(
        Column(
            "gene_id",
            "GeneID",
            "Gene, by its number in NCBI Gene.",
            type=ColumnType.INTEGER,
            nullable=False,
            max_bytes=18,
        ),
        Column(
            "associated_genes",
            "AssociatedGenes",
            "Symbol of the gene where variants of it cause the condition; else missing.",
            aliases=("GeneSymbol",),  # of the older layout, where it is the symbol of every gene
        ),
        Column(
            "related_genes",
            "RelatedGenes",
            "Symbol of the gene where the two are related in another way. One of the two columns is filled.",
            absence=(
                "This is the older layout of NCBI's README. Its GeneSymbol has the symbols of both kinds and goes to "
                "associated_genes, so gene_disease calls all of them causal."
            ),
        ),
        Column("concept_id", "ConceptID", "Concept of the condition; a few rows have none.", max_bytes=64),
        Column("disease_name", "DiseaseName", "Name of the condition.", nullable=False, max_bytes=_NAME),
        Column(
            "source_name",
            "SourceName",
            "Whose identifier `source_id` is: `MONDO`, `Human Phenotype Ontology`, `OMIM`, `OMIM phenotypic series`, "
            "`NCBI curation`, `Orphanet`, `GeneReviews`.",
        ),
        Column(
            "source_id",
            "SourceID",
            "The identifier. Orphanet's are written `ORPHA91387` here, `Orphanet_91387` in MedGen and `ORPHA:91387` "
            "elsewhere.",
        ),
        Column("disease_mim", "DiseaseMIM", "Number of the condition in OMIM.", max_bytes=64),
        Column(
            "last_updated",
            "LastUpdated",
            "Day of the change as text, **in two formats**: `Feb 16 2016` and `21 May 2021`.",
            max_bytes=64,
        ),
    ),
    key=(),
    lookups=("concept_id",),
    key_proven=False,
    description=(
        "Genes and the conditions that variants of them were reported for. Made daily by ClinVar, with concepts of "
        "NCBI MedGen.\n\n"
        "- Hundreds of rows repeat exactly: use `select distinct` to count pairs.\n"
        "- A condition has a row for each gene and each source that names it.\n"
        "- NCBI's README describes an older layout with eight columns. Its `GeneSymbol` is the symbol of either kind "
        "of gene and becomes `associated_genes`, so such a file is only loaded once it is accepted that "
        "`related_genes` is missing.\n"
        "- Its day is another one than that of `names`: about one concept in a hundred is missing there."
    ),
    typical_rows=12_800,
)

_CONCEPT_ID_HISTORY = SourceTable(
    source=CLINVAR,
    name="concept_id_history",
    file_name="ConceptID_history.txt",
    framing=Framing.TAB,
    columns=(
        Column("previous_concept_id", "Previous ConceptID", "The retired concept.", nullable=False, max_bytes=64),
        Column(
            "current_concept_id", "Current ConceptID", "The concept that replaced it, or the text `No longer reported`."
        ),
        Column("date_of_action", "Date of Action", "Day of the change, as text.", max_bytes=64),
    ),
    key=(),
    key_proven=False,
    description=(
        "What became of concepts that ClinVar once reported. Kept daily by ClinVar since 2012.\n\n"
        "- `current_concept_id` is not always a concept: test its shape before joining.\n"
        "- It has retired `CN…` concepts that are in no table of MedGen's; many records elsewhere still carry them.\n"
        "- Chains are possible: a replacement may be retired in its turn.\n"
        "- No real lines were seen when this was written, only NCBI's description; dates may have two formats, as in "
        "`gene_condition_source_id`."
    ),
    typical_rows=20_000,
)

_DISEASE_NAMES = SourceTable(
    source=CLINVAR,
    name="disease_names",
    file_name="disease_names",
    framing=Framing.TAB,
    columns=(
        Column(
            "disease_name",
            "DiseaseName",
            "Name of the condition that ClinVar and GTR prefer.",
            nullable=False,
            max_bytes=_NAME,
        ),
        Column("source_name", "SourceName", "Who uses this name, too."),
        Column("concept_id", "ConceptID", "Concept of the condition.", max_bytes=64),
        Column(
            "source_id",
            "SourceID",
            "The condition's identifier there. Orphanet's are written in a way of ClinVar's own: `ORPHA91387`.",
        ),
        Column("disease_mim", "DiseaseMIM", "Number of the condition in OMIM.", max_bytes=64),
        Column(
            "last_modified",
            "LastModified",
            "Day of the change, as text.",
            aliases=("LastUpdated",),  # of NCBI's README
            max_bytes=64,
        ),
        Column(
            "category",
            "Category",
            "`Blood group`, `Disease`, `Finding`, `Named protein variant`, `Pharmacological response` or `phenotype "
            "instruction`.",
        ),
    ),
    key=("concept_id", "source_name", "source_id"),
    key_proven=False,
    description=(
        "Names of conditions as ClinVar and GTR use them. Made daily by ClinVar.\n\n"
        "- A condition has a row for each source that uses its name.\n"
        "- More than `gene_condition_source_id` has: no gene need be known.\n"
        "- No real lines were seen when this was written, only the header and NCBI's description."
    ),
    typical_rows=40_000,
)

TABLES: tuple[SourceTable, ...] = (_GENE_CONDITION, _CONCEPT_ID_HISTORY, _DISEASE_NAMES)
