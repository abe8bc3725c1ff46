"""The rows of GeneReviews' files, in the world of the sample."""

from collections.abc import Iterator
from typing import NamedTuple

from medgen_pipeline.demo.sample.world import INVENTED, Concept, Gene, Values, World, rows_of


class _Chapter(NamedTuple):
    concept: Concept
    gene: Gene
    number: str
    shortname: str


def _chapters(world: World) -> Iterator[_Chapter]:
    for concept in world.concepts:
        if concept.gene:
            is_known = not concept.cui.startswith(INVENTED)
            shortname = concept.name.split()[0].lower() if is_known else f"smpl{concept.uid}"
            yield _Chapter(concept, concept.gene, f"NBK{900_000 + concept.uid}", shortname)


@rows_of("genereviews_omim", "nbk_id gr_shortname omim")
def _omim(world: World) -> Iterator[Values]:
    for chapter in _chapters(world):
        for mim in (*chapter.concept.ids_of("OMIM"), chapter.gene.mim):
            for _ in range(1 + (chapter.concept.uid % 13 == 0)):
                yield chapter.number, chapter.shortname, mim


@rows_of("genereviews_gene", "nbk_id gr_shortname gene_symbol")
def _gene(world: World) -> Iterator[Values]:
    for chapter in _chapters(world):
        yield chapter.number, chapter.shortname, chapter.gene.symbol if chapter.concept.uid % 11 else ""


@rows_of("genereviews_title", "gr_shortname gr_title nbk_id pmid")
def _title(world: World) -> Iterator[Values]:
    for place, chapter in enumerate(_chapters(world)):
        title = f"{chapter.concept.name}, a chapter" + (" by Cant\udcfa" if place == 1 else "")  # a byte of Latin-1
        yield chapter.shortname, title, chapter.number, str(20_300_000 + chapter.concept.uid)


REVISIONS = {
    "genereviews_omim": {"omim": "800001"},
    "genereviews_gene": {"gene_symbol": ""},
    "genereviews_title": {"gr_title": "A revised chapter"},
}
