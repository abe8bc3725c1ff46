"""How much is published on a concept: its links to PubMed, and how that compares with the other concepts.

Counted from `medgen_pubmed_lnk`.

- `link_count` counts rows of that table. Should a release repeat a link, it counts twice.
- `percentile` is the share of linked concepts that have fewer links, in whole percent. Unlike the count it does not
  grow with the years, so it can be compared between releases. MedGen gives no years of publication.
- Concepts without links have no row.
- A later load does not count again: it adds and takes away what the change feed of `medgen_pubmed_lnk` has since the
  load before.
"""

from medgen_pipeline.catalog.curated.columns import integer, text
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Rule
from medgen_pipeline.catalog.model import Reference

_RULES = read_named("concept_literature.rules.sql")

TABLE = CuratedTable(
    name="concept_literature",
    columns=(
        text("cui", "The concept."),
        integer("link_count", "Links to PubMed."),
        integer("percentile", "Share of linked concepts with fewer links, in percent from 0 to 99."),
    ),
    key=("cui",),
    key_proven=True,
    description=__doc__,
    references=(Reference("cui", "names", "cui"),),
    query=read("concept_literature.sql"),
    increment=read_increment("concept_literature.increment.sql", "cui"),
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
            query=_RULES["every_link_is_counted"],
        ),
    ),
)
