"""What NCBI Gene publishes beside MedGen: which genes belong to which entries of OMIM and concepts.

Facts only, as in ``medgen``.
"""

from medgen_pipeline.catalog.model import DAILY, Column, ColumnType, Framing, Source, SourceTable
from medgen_pipeline.catalog.sources.licences import HGNC, NCBI, OMIM

GENE = Source(
    name="gene",
    title="NCBI Gene",
    url="https://ftp.ncbi.nlm.nih.gov/gene/DATA/",
    cadence=DAILY,
    licences=(NCBI, OMIM),
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

# A directory of its own, and so a source of its own: a look at it is one more request.
GENE_INFO = Source(
    name="gene_info",
    title="NCBI Gene, human",
    url="https://ftp.ncbi.nlm.nih.gov/gene/DATA/GENE_INFO/Mammalia/",
    cadence=DAILY,
    licences=(NCBI, HGNC, OMIM),
    null_markers=("-",),
)

_LIST = "as a list with `|`"

_GENE_INFO = SourceTable(
    source=GENE_INFO,
    name="gene_info",
    file_name="Homo_sapiens.gene_info.gz",
    framing=Framing.TAB,
    columns=(
        Column("tax_id", "tax_id", "Taxon; `9606` is man.", type=ColumnType.INTEGER, nullable=False, max_bytes=18),
        Column(
            "gene_id", "GeneID", "Gene, by its number in NCBI Gene.", ColumnType.INTEGER, nullable=False, max_bytes=18
        ),
        Column("symbol", "Symbol", "The gene's symbol. Not unique."),
        Column("locus_tag", "LocusTag", "Name of the locus."),
        Column("synonyms", "Synonyms", f"Other symbols, {_LIST}.", max_bytes=4096),
        Column("db_xrefs", "dbXrefs", f"Identifiers elsewhere, {_LIST}: `MIM:134797|HGNC:HGNC:3603`.", max_bytes=4096),
        Column("chromosome", "chromosome", "Chromosome; may be several, `X|Y`."),
        Column("map_location", "map_location", "Band, such as `15q21.1`."),
        Column("description", "description", "What the gene is.", max_bytes=4096),
        Column("type_of_gene", "type_of_gene", "`protein-coding`, `ncRNA`, `pseudo`, `unknown` and so on."),
        Column(
            "symbol_from_nomenclature_authority",
            "Symbol_from_nomenclature_authority",
            "Symbol given by HGNC, where there is one.",
        ),
        Column(
            "full_name_from_nomenclature_authority",
            "Full_name_from_nomenclature_authority",
            "Name given by HGNC.",
            max_bytes=4096,
        ),
        Column("nomenclature_status", "Nomenclature_status", "`O` official, `I` interim.", max_bytes=16),
        Column("other_designations", "Other_designations", f"Other names, {_LIST}.", max_bytes=65535),
        Column("modification_date", "Modification_date", "Day of the last change: `20251125`.", max_bytes=64),
        Column("feature_type", "Feature_type", f"Further types, {_LIST}.", max_bytes=4096),
    ),
    key=("gene_id",),
    key_proven=False,
    lookups=("symbol",),
    description=(
        "Human genes with their symbols and names. Made daily by NCBI Gene.\n\n"
        "- In the file `-` stands for a missing value; here that is NULL.\n"
        "- Join by `gene_id`: symbols change, and one may belong to two genes.\n"
        "- `modification_date` moves without anything else: many rows change every week."
    ),
    typical_rows=193_000,
)

TABLES: tuple[SourceTable, ...] = (_MIM2GENE, _GENE_INFO)
