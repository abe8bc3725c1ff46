"""What GeneReviews publishes beside MedGen: its chapters with their genes and entries of OMIM.

Facts only, as in ``medgen``. ``GRshortname_NBKid_genesymbol_dzname.txt`` is left out: it has no header line, and but
for a name of each condition nothing that these three do not have.
"""

from medgen_pipeline.catalog.model import DAILY, Column, ColumnType, Framing, Source, SourceTable
from medgen_pipeline.catalog.sources.licences import NCBI, OMIM, UNIVERSITY_OF_WASHINGTON

GENEREVIEWS = Source(
    name="genereviews",
    title="GeneReviews",
    url="https://ftp.ncbi.nlm.nih.gov/pub/GeneReviews/",
    cadence=DAILY,
    licences=(NCBI, UNIVERSITY_OF_WASHINGTON, OMIM),
    null_markers=("Not applicable",),
)

_NBK = Column("nbk_id", "NBK_id", "Chapter, by its number at NCBI Bookshelf: `NBK1335`.", nullable=False, max_bytes=64)
_SHORTNAME = Column("gr_shortname", "GR_shortname", "Short name of the chapter: `marfan`.")

_OMIM = SourceTable(
    source=GENEREVIEWS,
    name="genereviews_omim",
    file_name="NBKid_shortname_OMIM.txt",
    framing=Framing.TAB,
    columns=(_NBK, _SHORTNAME, Column("omim", "OMIM", "Number of an entry of OMIM, gene or condition.", max_bytes=64)),
    key=(),
    lookups=("omim",),
    key_proven=False,
    description=(
        "Chapters of GeneReviews and the entries of OMIM they are about. Made by GeneReviews.\n\n"
        "- The entries are of genes and of conditions: take `mim2gene_medgen.type` to tell which.\n"
        "- No concept is in it: join by `omim`.\n"
        "- Rows may repeat exactly."
    ),
    typical_rows=6_000,
)

_GENE = SourceTable(
    source=GENEREVIEWS,
    name="genereviews_gene",
    file_name="NBKid_shortname_genesymbol.txt",
    framing=Framing.TAB,
    columns=(
        _NBK,
        _SHORTNAME,
        Column("gene_symbol", "genesymbol", "Symbol of a gene; missing where the chapter is of none."),
    ),
    key=(),
    lookups=("gene_symbol",),
    key_proven=False,
    description=(
        "Chapters of GeneReviews and their genes. Made by GeneReviews.\n\n"
        "- In the file `Not applicable` stands for no gene; here that is NULL.\n"
        "- A chapter has many genes, and a gene several chapters.\n"
        "- Symbols, not numbers: old ones find nothing in `gene_info.symbol`."
    ),
    typical_rows=3_000,
)

_TITLE = SourceTable(
    source=GENEREVIEWS,
    name="genereviews_title",
    file_name="GRtitle_shortname_NBKid.txt",
    framing=Framing.TAB,
    columns=(
        _SHORTNAME,
        Column("gr_title", "GR_Title", "Title of the chapter.", max_bytes=4096),
        _NBK,
        Column("pmid", "PMID", "The chapter's number in PubMed.", type=ColumnType.INTEGER, max_bytes=18),
    ),
    key=(),
    lookups=("nbk_id",),
    key_proven=False,
    description=(
        "Titles of GeneReviews' chapters. Made by GeneReviews.\n\n"
        "- A few titles are in Latin-1, the others in UTF-8; letters of those few that are not ASCII are repaired with "
        "U+FFFD and counted.\n"
        "- Titles change when a chapter is revised; `nbk_id` does not."
    ),
    typical_rows=900,
)

TABLES: tuple[SourceTable, ...] = (_OMIM, _GENE, _TITLE)
