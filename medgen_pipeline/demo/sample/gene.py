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
    genes = {concept.gene.mim: concept.gene for concept in world.concepts if concept.gene}
    for mim, gene in genes.items():
        yield mim, str(gene.number), "gene", "", "", ""
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


REVISIONS = {"mim2gene_medgen": {"comment": "question"}}
