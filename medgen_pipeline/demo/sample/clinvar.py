"""The rows of ClinVar's files, in the world of the sample."""

from collections.abc import Iterator

from medgen_pipeline.demo.sample.world import INVENTED, Concept, Values, World, date_of, hashed, rows_of

_OF_SOURCE = {  # of MedGenIDMappings: the name that ClinVar gives it
    "MONDO": "MONDO",
    "HPO": "Human Phenotype Ontology",
    "OMIM": "OMIM",
    "OMIM Phenotypic Series": "OMIM phenotypic series",
    "Orphanet": "Orphanet",
}


def _identifiers(concept: Concept) -> list[tuple[str, str]]:
    """Source and identifier, as ClinVar writes them: its identifiers of Orphanet are like nobody else's."""
    ids = [(_OF_SOURCE[source], number) for source, number in concept.ids if source in _OF_SOURCE]
    return [(source, number.replace("Orphanet_", "ORPHA")) for source, number in ids] or [("NCBI curation", "")]


def _updated(concept: Concept) -> str:
    """A day in one of ClinVar's two formats."""
    day, month, year = date_of("clinvar", concept.cui).split()
    return f"{day} {month} {year}" if hashed("format", concept.cui) % 10 == 0 else f"{month} {day} {year}"


@rows_of(
    "gene_condition_source_id",
    "gene_id associated_genes related_genes concept_id disease_name source_name source_id disease_mim last_updated",
)
def _gene_condition(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        gene, mim = concept.gene, next(concept.ids_of("OMIM"), "")
        if gene:
            genes = str(gene.number), gene.symbol, ""
        elif not concept.is_feature and hashed("related", concept.cui) % 4 == 0:
            number = hashed("gene", concept.cui) % 400
            genes = str(91_000_000 + number), "", f"RLTD{number}"
        else:
            continue
        for source, identifier in _identifiers(concept)[:2]:
            repeats = concept.cui.startswith(INVENTED) and hashed("repeats", concept.cui, source) % 20 == 0
            for _ in range(1 + repeats):
                yield *genes, concept.cui, concept.name, source, identifier, mim, _updated(concept)


@rows_of("concept_id_history", "previous_concept_id current_concept_id date_of_action")
def _concept_id_history(world: World) -> Iterator[Values]:
    for number in range(len(world.concepts) // 6):
        current = world.settled("reported", number) if number % 9 else "No longer reported"
        yield f"CN{800000 + number}", current, date_of("reported", number)
    for concept in world.retired:
        yield concept.cui, concept.parent, "14 Jan 2026"


@rows_of("disease_names", "disease_name source_name concept_id source_id disease_mim last_modified category")
def _disease_names(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        mim, category = next(concept.ids_of("OMIM"), ""), "Finding" if concept.is_feature else "Disease"
        for source, identifier in _identifiers(concept):
            yield concept.name, source, concept.cui, identifier, mim, _updated(concept), category


REVISIONS = {
    "gene_condition_source_id": {"last_updated": "14 Jan 2026"},
    "disease_names": {"last_modified": "14 Jan 2026"},
    "concept_id_history": {"current_concept_id": "No longer reported"},
}
