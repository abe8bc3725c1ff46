"""Which genes go with which diseases: one row per concept, gene, kind of association and source that says so.

The union of `mim2gene_medgen` and `gene_condition_source_id`; neither has all that the other has. A concept that was
retired since is followed through `cui_redirect`.

- `association` is how they go together. `causal`: variants of the gene cause the disease. `related`: ClinVar relates
  the two in another way. `susceptibility`, `somatic`, `question` (doubted) and `nondisease` (a trait, a laboratory
  value) are OMIM's restrictions; of several the one that restricts most. `other` is one that is not known here.
- `source` is whose word it is, such as `GeneMap`, `GeneReviews`, `NCBI curation`, `MONDO`, `Orphanet`. A pair with
  several has a row for each, so that a filter by one source loses none. Count pairs with `DISTINCT`.
- `listed_in` is the file. `last_updated` is ClinVar's day; the other file has none.
- `symbol` is the approved one, of HGNC, as `gene_info` has it; else what NCBI calls the gene there. For a gene that is
  not there, or where the source `gene_info` is off, it is ClinVar's, and empty where ClinVar does not list the gene.
- Rows without a gene or without a concept are left out. A concept that is current in neither file's day nor through a
  redirect is kept, and the check `concepts_are_current` lists it.
- It is made where both sources, `gene` and `clinvar`, are loaded.
"""

from medgen_pipeline.catalog.curated.columns import date, integer, text
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Rule
from medgen_pipeline.catalog.model import Reference
from medgen_pipeline.catalog.query import Constant

_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = Constant(
    "months",
    ("name", "number", "days"),
    tuple((name, f"{place:02}", days) for place, (name, days) in enumerate(zip(_NAMES, _DAYS, strict=True), 1)),
)
# How many sources a row of mim2gene_medgen may list; three are the most so far.
_PLACES = Constant("places", ("place",), ((1,), (2,), (3,), (4,), (5,), (6,)))
_KNOWN = Constant(
    "known",
    ("cui", "name", "gene_id", "symbol"),
    (
        ("C0024796", "Marfan syndrome", 2200, "FBN1"),
        ("C0010674", "Cystic fibrosis", 1080, "CFTR"),
        ("C0020179", "Huntington disease", 3064, "HTT"),
    ),
)
_RULES = read_named("gene_disease.rules.sql", [_KNOWN])

TABLE = CuratedTable(
    name="gene_disease",
    columns=(
        text("cui", "The disease's concept, or what it was merged into."),
        integer("gene_id", "The gene, by its number in NCBI Gene."),
        text("symbol", "Its approved symbol, e.g. `FBN1`.", nullable=True),
        text("association", "`causal`, `related`, `susceptibility`, `somatic`, `question`, `nondisease` or `other`."),
        text("source", "Whose word it is, e.g. `GeneMap`, `MONDO`."),
        text("mim_number", "The disease in OMIM, e.g. `154700`.", nullable=True),
        text("listed_in", "The file: `mim2gene_medgen` or `gene_condition_source_id`."),
        date("last_updated", "Day of ClinVar's last change of the row.", nullable=True),
    ),
    key=(),  # a row may lack its number in OMIM, so only the whole row identifies a row
    key_proven=False,
    description=__doc__,
    references=(Reference("cui", "names", "cui"),),
    lookups=("gene_id", "symbol"),
    query=read("gene_disease.sql", [_MONTHS, _PLACES]),
    optional=("gene_info",),
    increment=read_increment("gene_disease.increment.sql", "gene_id"),
    lineage={
        "cui": ("mim2gene_medgen.medgen_cui", "gene_condition_source_id.concept_id", "cui_redirect.current_cui"),
        "gene_id": ("mim2gene_medgen.gene_id", "gene_condition_source_id.gene_id"),
        "symbol": (
            "gene_info.symbol_from_nomenclature_authority",
            "gene_info.symbol",
            "gene_condition_source_id.associated_genes",
            "gene_condition_source_id.related_genes",
        ),
        "association": ("mim2gene_medgen.comment", "gene_condition_source_id.associated_genes"),
        "source": ("mim2gene_medgen.source", "gene_condition_source_id.source_name"),
        "mim_number": ("mim2gene_medgen.mim_number", "gene_condition_source_id.disease_mim"),
        "listed_in": ("mim2gene_medgen.gene_id", "gene_condition_source_id.gene_id"),
        "last_updated": ("gene_condition_source_id.last_updated",),
    },
    rules=(
        Rule(
            name="well_known_genes_cause_their_diseases",
            description="FBN1 causes Marfan syndrome, CFTR cystic fibrosis, HTT Huntington disease: otherwise genes "
            "and concepts are not what they were. A warning where the disease has no genes at all, so that nothing is "
            "proven.",
            columns=("CUI", "disease", "gene", "finding"),
            query=_RULES["well_known_genes_cause_their_diseases"],
        ),
        Rule(
            name="concepts_are_current",
            description="Diseases are current concepts. The files are made daily and MedGen weekly, so a few are not; "
            "an error where more than one row in ten is not.",
            columns=("CUI", "gene", "symbol", "listed in"),
            query=_RULES["concepts_are_current"],
        ),
    ),
)
