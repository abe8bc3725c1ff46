"""What the NIH Genetic Testing Registry publishes beside MedGen: which tests are for which conditions and genes.

Facts only, as in ``medgen``.
"""

from medgen_pipeline.catalog.model import DAILY, Column, Framing, Source, SourceTable
from medgen_pipeline.catalog.sources.licences import NCBI, OMIM, UMLS

GTR = Source(
    name="gtr",
    title="GTR",
    url="https://ftp.ncbi.nlm.nih.gov/pub/GTR/data/",
    cadence=DAILY,
    licences=(NCBI, UMLS, OMIM),
    null_markers=("N/A",),
    on=False,  # 46 MB every day, which few have a use for
)

_TEST_CONDITION_GENE = SourceTable(
    source=GTR,
    name="gtr_test_condition_gene",
    file_name="test_condition_gene.txt",
    framing=Framing.TAB,
    columns=(
        Column(
            "accession_version",
            "accession_version",
            "The test and its version: `GTR000004006.1`.",
            nullable=False,
            max_bytes=64,
        ),
        Column("test_type", "test_type", "`Clinical`, `Research`.", max_bytes=64),
        Column("object", "object", "What the row is about: `condition` or `gene`.", nullable=False, max_bytes=64),
        Column("gtr_identifier", "GTR_identifier", "Concept of that condition or gene.", max_bytes=64),
        Column("mim_number", "MIM_number", "Number in OMIM.", max_bytes=64),
        Column("object_name", "object_name", "Name of the condition, or `SYMBOL:name` of the gene.", max_bytes=4096),
        Column(
            "gene_or_snomed_ct_id",
            "gene_or_SNOMED_CT_ID",
            "Where `object` is `gene`: its number in NCBI Gene. Where it is `condition`: its SNOMED CT id.",
            max_bytes=64,
        ),
        Column("gene_symbol", "gene_symbol", "Symbol of the gene; missing for conditions."),
    ),
    key=(),
    lookups=("gtr_identifier",),
    key_proven=False,
    description=(
        "Registered genetic tests with their conditions and genes. Made daily by GTR.\n\n"
        "- `object` decides what `gtr_identifier` and `gene_or_snomed_ct_id` mean: filter by it first.\n"
        "- Genes have concepts, too, which are no diseases.\n"
        "- In the file `N/A` stands for a missing value; here that is NULL.\n"
        "- A test's conditions and genes are rows of their own: which gene is tested for which condition is not said."
    ),
    typical_rows=600_000,
)

TABLES: tuple[SourceTable, ...] = (_TEST_CONDITION_GENE,)
