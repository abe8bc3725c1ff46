"""The rows of GTR's file, in the world of the sample."""

from collections.abc import Iterator

from medgen_pipeline.demo.sample.world import Values, World, rows_of


@rows_of(
    "gtr_test_condition_gene",
    "accession_version test_type object gtr_identifier mim_number object_name gene_or_snomed_ct_id gene_symbol",
)
def _test_condition_gene(world: World) -> Iterator[Values]:
    for concept in world.concepts:
        if gene := concept.gene:
            test = f"GTR{500_000_000 + concept.uid}.1", "Clinical" if concept.uid % 9 else "Research"
            mim, snomed = (next(concept.ids_of(source), "") for source in ("OMIM", "SNOMEDCT_US"))
            yield *test, "condition", concept.cui, mim, concept.name, snomed, ""
            name = f"{gene.symbol}:sample gene {gene.symbol}"
            yield *test, "gene", f"C8{gene.number % 1_000_000:06d}", gene.mim, name, str(gene.number), gene.symbol


REVISIONS = {"gtr_test_condition_gene": {"test_type": "Research"}}
