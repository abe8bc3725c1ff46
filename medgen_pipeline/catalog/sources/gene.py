"""What NCBI Gene publishes beside MedGen: which genes belong to which entries of OMIM and concepts.

Facts only, as in ``medgen``.
"""

from medgen_pipeline.catalog.model import DAILY, Column, ColumnType, Framing, Source, SourceTable

GENE = Source(
    name="gene",
    title="NCBI Gene",
    url="https://ftp.ncbi.nlm.nih.gov/gene/DATA/",
    cadence=DAILY,
    null_markers=("-",),
)

_MIM2GENE = SourceTable(
    source=GENE,
    name="mim2gene_medgen",
    file_name="mim2gene_medgen",
    framing=Framing.TAB,
    columns=(
        Column("mim_number", "MIM number", "Number of the OMIM entry.", nullable=False, max_bytes=64),
        Column(
            "gene_id",
            "GeneID",
            "Gene, by its number in NCBI Gene. Missing where the entry has none.",
            type=ColumnType.INTEGER,
            max_bytes=18,
        ),
        Column("type", "type", "What the OMIM entry is: `gene` or `phenotype`.", nullable=False, max_bytes=64),
        Column(
            "source",
            "Source",
            "Who links gene and entry, as a list with `; `, **with a blank before it**: ` GeneMap`, "
            "` GeneMap; GeneReviews`. Compare parts, not the whole: `source = 'GeneMap'` finds none.",
            max_bytes=255,
        ),
        Column(
            "medgen_cui",
            "MedGenCUI",
            "Concept of the entry. Missing where `type` is `gene`, but for a few.",
            max_bytes=64,
        ),
        Column(
            "comment",
            "Comment",
            "What limits the link, as a list with `; `: `question`, `susceptibility`, `nondisease`, `somatic`, "
            "`modifier`, `QTL 1`. Parts may repeat.",
            max_bytes=255,
        ),
    ),
    key=(),
    lookups=("gene_id", "medgen_cui"),
    key_proven=False,
    description=(
        "Entries of OMIM with their genes and concepts. Made daily by NCBI Gene and NCBI MedGen.\n\n"
        "- In the file `-` stands for a missing value; here that is NULL.\n"
        "- A gene and a concept may be linked by several rows, one for each entry and source.\n"
        "- Not the only list of genes and conditions: `gene_condition_source_id` has thousands of pairs that are not "
        "here, and lacks some that are.\n"
        "- Its day is another one than that of `names`: about one concept in sixty is missing there. Follow such "
        "concepts through `cui_redirect`."
    ),
    typical_rows=28_600,
)

TABLES: tuple[SourceTable, ...] = (_MIM2GENE,)
