"""What ClinVar publishes beside MedGen: conditions, their genes and what became of their identifiers.

Facts only, as in ``medgen``.
"""

from medgen_pipeline.catalog.model import DAILY, Column, ColumnType, Framing, Source, SourceTable

CLINVAR = Source(name="clinvar", title="ClinVar", url="https://ftp.ncbi.nlm.nih.gov/pub/clinvar/", cadence=DAILY)

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
            aliases=("GeneSymbol",),  # of NCBI's README, with eight columns
            max_bytes=255,
        ),
        Column(
            "related_genes",
            "RelatedGenes",
            "Symbol of the gene where the two are related in another way. One of the two columns is filled.",
            max_bytes=255,
        ),
        Column("concept_id", "ConceptID", "Concept of the condition; a few rows have none.", max_bytes=64),
        Column("disease_name", "DiseaseName", "Name of the condition.", nullable=False, max_bytes=_NAME),
        Column(
            "source_name",
            "SourceName",
            "Whose identifier `source_id` is: `MONDO`, `Human Phenotype Ontology`, `OMIM`, `OMIM phenotypic series`, "
            "`NCBI curation`, `Orphanet`, `GeneReviews`.",
            max_bytes=255,
        ),
        Column(
            "source_id",
            "SourceID",
            "The identifier. Orphanet's are written `ORPHA91387` here, `Orphanet_91387` in MedGen and `ORPHA:91387` "
            "elsewhere.",
            max_bytes=255,
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
        "- NCBI's README describes an older file with eight columns. Its one column of symbols, `GeneSymbol`, becomes "
        "`associated_genes`; accept that `related_genes` is missing.\n"
        "- Its day is another one than that of `names`: about one concept in a hundred is missing there."
    ),
    typical_rows=12_800,
)

TABLES: tuple[SourceTable, ...] = (_GENE_CONDITION,)
