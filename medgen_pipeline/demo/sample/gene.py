"""The rows of NCBI Gene's files, in the world of the sample."""

from collections.abc import Iterator

from medgen_pipeline.demo.sample.world import INVENTED, Concept, Values, World, hashed, rows_of

_COMMENTS = ("susceptibility", "question", "nondisease", "susceptibility; question", "nondisease; nondisease; QTL 2")
_SOURCES = (" GeneMap", " GeneMap; GeneReviews", " GeneReviews", " GeneMap; NCBI curation")  # the blank is NCBI's


def _comment(concept: Concept) -> str:
    if not concept.cui.startswith(INVENTED):
        return ""
    return dict(enumerate(_COMMENTS)).get(hashed("comment", concept.cui) % 20, "")


@rows_of("mim2gene_medgen", "mim_number gene_id type source medgen_cui comment")
def _mim2gene(world: World) -> Iterator[Values]:
    for gene in world.genes.values():
        yield gene.mim, str(gene.number), "gene", "", "", ""
    for concept in world.concepts:
        for mim in concept.ids_of("OMIM"):
            if concept.gene is None:
                yield mim, "", "phenotype", "", concept.cui, ""
                continue
            number, comment = str(concept.gene.number), _comment(concept)
            source = _SOURCES[hashed("source", concept.cui) % len(_SOURCES)]
            yield mim, number, "phenotype", source, concept.cui, comment
            if concept.uid % 60 == 1:  # the same pair from two sources
                yield mim, number, "phenotype", " NCBI curation", concept.cui, ""
    for concept in world.retired:  # its day is another one than MedGen's
        yield str(700_000 + concept.uid), "", "phenotype", "", concept.cui, ""


@rows_of(
    "gene_info",
    "tax_id gene_id symbol locus_tag synonyms db_xrefs chromosome map_location description type_of_gene"
    " symbol_from_nomenclature_authority full_name_from_nomenclature_authority nomenclature_status other_designations"
    " modification_date feature_type",
)
def _gene_info(world: World) -> Iterator[Values]:
    for gene in world.genes.values():
        number, symbol, rare = str(gene.number), gene.symbol, gene.number % 50 == 0
        xrefs = f"MIM:{gene.mim}" + (f"|HGNC:HGNC:{gene.number}" if gene.number % 2 else "")
        where = str(gene.number % 22 + 1)
        name = f"sample gene {symbol}"
        yield (
            *("9606", number, symbol, f"LT_{number}" if rare else "", f"{symbol}A|{symbol}B", xrefs, where),
            *(f"{where}q21", name, "protein-coding", symbol, name, "O", f"protein {symbol}", "20260105"),
            "regulatory:enhancer" if rare else "",
        )


REVISIONS = {"mim2gene_medgen": {"comment": "question"}, "gene_info": {"modification_date": "20260113"}}
