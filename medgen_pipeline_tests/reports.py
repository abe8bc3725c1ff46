"""Reports made up for tests and pictures of their page, with the concepts of the sample."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace

from medgen_pipeline.access.report.facts import Fact, Item, Report, TableChange, Topic
from medgen_pipeline.catalog import ALL_TABLES, Table
from medgen_pipeline.catalog.curated.release_report import CONCEPT_TOPICS, FACT_TOPICS
from medgen_pipeline.demo.sample.world import Concept, hashed, world_of

HOSTILE = '</script><script>alert("1")</script><!-- <img src=x onerror=alert(2)> & "quoted" \'\u2028'
"""A name that tries to get out of wherever it is put."""
WEEKS = 30
SINCE, UNTIL = "2026-01-07", "2026-01-14"


def history(of: str, last: int) -> dict[str, int]:
    """A number for each of half a year's releases."""
    days = (dt.date.fromisoformat(UNTIL) - dt.timedelta(weeks=week) for week in reversed(range(WEEKS)))
    releases = [day.isoformat() for day in days]
    found = {
        release: hashed(of, release) % (2 * last + 1) * (hashed(release) % 4 // 2 + 1) // 2 for release in releases
    }
    return found | {UNTIL: last}


def topic(name: str, items: Iterable[Item], concepts: int | None = None) -> Topic:
    listed = tuple(items)
    gone, came = (sum(len(getattr(item, side)) for item in listed) for side in ("gone", "came"))
    total = len(listed) if concepts is None else concepts
    return Topic(name, total, listed, history(name, total), gone, came)


def _change(table: Table, until: str, counts: Sequence[int]) -> TableChange:
    inserted, updated, deleted = (30, 53, 14) if table.name == "names" else counts
    before, changed = 2_000 + hashed("rows", table.name) % 9_000, inserted + updated + deleted
    after = before + inserted - deleted
    return TableChange(table, until, before, after, inserted, updated, deleted, history(table.name, changed))


def report_of(topics: Sequence[Topic], since: str = SINCE, until: str = UNTIL) -> Report:
    """A report with these topics; the others are empty."""
    given = {topic.name: topic for topic in topics}
    tables = tuple(
        _change(table, until, [hashed(kind, table.name) % 90 * (place % 4 > 0) for kind in ("in", "up", "out")])
        for place, table in enumerate(ALL_TABLES)
    )
    every = tuple(given.get(name, Topic(name, 0, (), history(name, 0))) for name in (*CONCEPT_TOPICS, *FACT_TOPICS))
    return Report(since, until, tuple(history("", 0)), every, tables)


def sample_report() -> Report:
    """One with something in every topic."""
    world = [concept for concept in world_of(2400, successor=True, pubmed_links=0).concepts if concept.name.isascii()]
    diseases = [concept for concept in world if "syndrome type" in concept.name]
    features = [concept for concept in world if concept.is_feature]
    named = {concept.cui: concept.name for concept in world}

    def item(concept: Concept, links: int, **more: object) -> Item:
        return replace(Item(concept.cui, concept.name, links), **more)  # type: ignore[arg-type]  # its fields

    def shared(concepts: Sequence[Concept], count: int, first: int) -> list[tuple[Concept, int]]:
        return [(concept, max(first - 3 * place, 0)) for place, concept in enumerate(concepts[:count])]

    def phenotype(cui: str) -> Fact:
        (hpo, *_) = next(concept for concept in world if concept.cui == cui).ids_of("HPO")
        return Fact(hpo, "phenotype", named[cui])

    with_features = [concept for concept in diseases if any(cui.startswith("C9") for cui in concept.features)]
    with_genes = [concept for concept in diseases if concept.gene]
    return report_of(
        [
            topic("new disease", (item(*one) for one in shared(diseases[200:], 24, 61))),
            topic("new concept", (item(*one) for one in shared(features[100:], 6, 12))),
            topic(
                "renamed",
                (
                    item(*one, detail=one[0].name.replace("syndrome", "disease"))
                    for one in shared(diseases[20:], 53, 412)
                ),
            ),
            topic(
                "merged",
                (item(*one, detail=diseases[3].cui, target=diseases[3].name) for one in shared(diseases[300:], 12, 9)),
            ),
            topic("retired", (item(*one, detail="not reported") for one in shared(diseases[400:], 2, 1))),
            topic(
                "identifiers",
                (
                    item(
                        *one,
                        gone=(Fact(f"OMIM:{900_000 + place}", "concept", "OMIM"),),
                        came=(
                            Fact(f"OMIM:{910_000 + place}", "concept", "OMIM"),
                            Fact(f"MONDO:90{place:05}", "concept", "MONDO"),
                        ),
                    )
                    for place, one in enumerate(shared(diseases[50:], 99, 240))
                ),
                3_207,
            ),
            topic(
                "genes",
                (
                    item(
                        *one,
                        gone=(Fact(str(gene.number), "related", gene.symbol),),
                        came=(Fact(str(gene.number), "causal", gene.symbol),),
                    )
                    for one in shared(with_genes, 15, 4_210)
                    if (gene := one[0].gene)
                ),
            ),
            topic(
                "phenotypes",
                (
                    item(*one, came=tuple(phenotype(cui) for cui in one[0].features if cui.startswith("C9")))
                    for one in shared(with_features[10:], 37, 130)
                ),
            ),
        ]
    )
