"""How much is published on a concept: its links to PubMed, and how that compares with the other concepts.

Counted from `medgen_pubmed_lnk`.

- `link_count` counts rows of that table. Should a release repeat a link, it counts twice.
- `percentile` is the share of linked concepts that have fewer links, in whole percent. Unlike the count it does not
  grow with the years, so it can be compared between releases. MedGen gives no years of publication.
- Concepts without links have no row.
- A later load does not count again: it adds and takes away what the change feed of `medgen_pubmed_lnk` has since the
  load before, where the audit proves that nothing is missing between them; else it counts all. `force_rebuild` counts
  all.
"""

from medgen_pipeline.catalog.curated.columns import ID, integer, text
from medgen_pipeline.catalog.model import CuratedTable, Increment, Reference, Rule
from medgen_pipeline.catalog.query import Query, Scratch

# Window functions with a frame are not the same on all warehouses; RANK needs none.
_RANKED = """
SELECT counted.cui, counted.link_count,
    (RANK() OVER (ORDER BY counted.link_count) - 1) * 100 / total.concepts AS percentile
FROM {counted} AS counted CROSS JOIN (SELECT COUNT(*) AS concepts FROM {counted}) AS total
"""

TABLE = CuratedTable(
    name="concept_literature",
    columns=(
        text("cui", "The concept.", ID),
        integer("link_count", "Links to PubMed."),
        integer("percentile", "Share of linked concepts with fewer links, in percent from 0 to 99."),
    ),
    key=("cui",),
    key_proven=True,
    description=__doc__,
    references=(Reference("cui", "names", "cui"),),
    query=Query(
        scratch=(Scratch("counted", "SELECT cui, COUNT(*) AS link_count FROM {medgen_pubmed_lnk} GROUP BY cui"),),
        text=_RANKED,
    ),
    increment=Increment(
        conserved=Query(text="SELECT COALESCE(SUM(link_count), 0) AS links FROM {concept_literature}"),
        query=Query(
            parameters={"since": 0, "until": 0},
            scratch=(
                Scratch(
                    "counted",
                    """
SELECT part.cui, CAST(SUM(part.links) AS BIGINT) AS link_count
FROM (
    SELECT cui, link_count AS links FROM {concept_literature}
    UNION ALL
    SELECT cui, CASE WHEN _change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END
    FROM {changes_of_medgen_pubmed_lnk} AS change WHERE _load_id > {since} AND _load_id <= {until}
) AS part
GROUP BY part.cui
HAVING SUM(part.links) <> 0
""",
                ),
            ),
            text=_RANKED,
        ),
    ),
    lineage={
        "cui": ("medgen_pubmed_lnk.cui",),
        "link_count": ("medgen_pubmed_lnk.cui",),
        "percentile": ("medgen_pubmed_lnk.cui",),
    },
    rules=(
        Rule(
            name="every_link_is_counted",
            description="The counts add up to the rows of `medgen_pubmed_lnk`.",
            columns=("links counted", "links listed"),
            query=Query(
                text="""
SELECT 'ERROR' AS severity, counted.links AS counted, listed.links AS listed
FROM (SELECT COALESCE(SUM(link_count), 0) AS links FROM {concept_literature}) AS counted
    CROSS JOIN (SELECT COUNT(*) AS links FROM {medgen_pubmed_lnk}) AS listed
WHERE counted.links <> listed.links
"""
            ),
        ),
    ),
)
