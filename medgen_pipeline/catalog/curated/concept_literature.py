"""How much is published on a concept: its links to PubMed, and how that compares with the other concepts.

Counted from `medgen_pubmed_lnk`.

- `link_count` counts rows of that table. Should a release repeat a link, it counts twice.
- `percentile` is the share of linked concepts that have fewer links, in whole percent. Unlike the count it does not
  grow with the years, so it can be compared between releases. MedGen gives no years of publication.
- Concepts without links have no row.
- A later load does not count again: it adds and takes away what the change feed of `medgen_pubmed_lnk` has since the
  load before.
"""

from medgen_pipeline.catalog.curated.columns import ID, integer, text
from medgen_pipeline.catalog.model import AFFECTED, CuratedTable, Increment, Reference, Rule
from medgen_pipeline.catalog.query import Query, Scratch

# Window functions with a frame are not the same on all warehouses; RANK needs none.
_RANKED = """
SELECT counted.cui, counted.link_count,
    (RANK() OVER (ORDER BY counted.link_count) - 1) * 100 / total.concepts AS percentile
FROM {counted} AS counted CROSS JOIN (SELECT COUNT(*) AS concepts FROM {counted}) AS total
"""

# Links are added to and taken from the counts of before. A change of one count moves the percentiles of others; which
# percentile a count has is told from how many concepts have each count.
_INCREMENT = Increment(
    key=("cui",),
    scratch=(
        Scratch(
            "moved",
            """
SELECT feed.cui,
    CAST(SUM(CASE WHEN feed._change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END) AS BIGINT) AS links
FROM {recent_medgen_pubmed_lnk} AS feed
GROUP BY feed.cui
HAVING SUM(CASE WHEN feed._change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END) <> 0
""",
        ),
        Scratch(
            "recounted",
            """
SELECT moved.cui, COALESCE(own.link_count, 0) AS old_count, COALESCE(own.link_count, 0) + moved.links AS link_count
FROM {moved} AS moved LEFT JOIN {concept_literature} AS own ON own.cui = moved.cui
""",
        ),
        Scratch(
            "ranked",
            """
SELECT each_count.link_count, each_count.concepts,
    (CAST(SUM(each_count.concepts) OVER (ORDER BY each_count.link_count ROWS UNBOUNDED PRECEDING) AS BIGINT)
        - each_count.concepts) * 100
        / CAST(SUM(each_count.concepts) OVER () AS BIGINT) AS percentile
FROM (
    SELECT part.link_count, CAST(SUM(part.concepts) AS BIGINT) AS concepts
    FROM (
        SELECT link_count, COUNT(*) AS concepts FROM {concept_literature} AS own GROUP BY link_count
        UNION ALL SELECT old_count, -1 FROM {recounted} AS gone WHERE old_count > 0
        UNION ALL SELECT link_count, 1 FROM {recounted} AS come WHERE link_count > 0
    ) AS part
    GROUP BY part.link_count
    HAVING SUM(part.concepts) > 0
) AS each_count
""",
        ),
        Scratch(
            AFFECTED,
            """
SELECT cui FROM {recounted} AS recounted
UNION
SELECT own.cui FROM {concept_literature} AS own JOIN {ranked} AS ranked ON ranked.link_count = own.link_count
WHERE ranked.percentile <> own.percentile
""",
        ),
    ),
    query=Query(
        text="""
SELECT counted.cui, counted.link_count, ranked.percentile
FROM (
    SELECT cui, link_count FROM {recounted} AS recounted WHERE link_count > 0
    UNION ALL
    SELECT own.cui, own.link_count
    FROM {concept_literature} AS own JOIN {affected} AS affected ON affected.cui = own.cui
        LEFT JOIN {recounted} AS recounted ON recounted.cui = own.cui
    WHERE recounted.cui IS NULL
) AS counted JOIN {ranked} AS ranked ON ranked.link_count = counted.link_count
"""
    ),
)

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
    increment=_INCREMENT,
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
