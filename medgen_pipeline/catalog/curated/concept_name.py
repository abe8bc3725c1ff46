"""Every name of a concept: one row per concept, name and source that uses it.

The terms of `mgconso` and the preferred names of `names`, of current concepts.

- `is_preferred` marks MedGen's own preferred name, in every source that uses it. It may come from no term of `mgconso`.
- Blanks before and after a name are taken off; capitals are kept, so spellings that differ in them are names apart.
- `is_suppressed` marks what the source or UMLS has given up; such names still occur in old papers.
- Count names, not rows: a name that three sources use has three rows.
"""

from medgen_pipeline.catalog.curated.columns import ID, NAME, flag, text
from medgen_pipeline.catalog.model import CuratedTable, Reference, by_column
from medgen_pipeline.catalog.query import Query

TABLE = CuratedTable(
    name="concept_name",
    columns=(
        text("cui", "The concept.", ID),
        text("name", "The name.", NAME),
        text("source", "The vocabulary that uses it; `MedGen` where `names` gives none.", ID),
        flag("is_preferred", "where it is MedGen's preferred name of the concept"),
        flag("is_suppressed", "where all its terms in that source are obsolete or suppressed"),
    ),
    key=(),  # names are longer than what PostgreSQL's index takes, so only the whole row identifies a row
    key_proven=False,
    description=__doc__,
    references=(Reference("cui", "names", "cui"),),
    query=Query(
        text="""
SELECT term.cui, term.name, term.source,
    CASE WHEN term.name = TRIM(living.name) THEN 'Y' ELSE 'N' END AS is_preferred,
    CASE WHEN term.suppressed = 1 THEN 'Y' ELSE 'N' END AS is_suppressed
FROM (
    SELECT spelled.cui, spelled.name, spelled.source, MIN(spelled.suppressed) AS suppressed
    FROM (
        SELECT cui, TRIM(str) AS name, sab AS source,
            CASE WHEN suppress IN ('O', 'E', 'Y') THEN 1 ELSE 0 END AS suppressed
        FROM {mgconso}
        UNION ALL
        SELECT cui, TRIM(name), COALESCE(source, 'MedGen'), 0 FROM {names}
    ) AS spelled
    GROUP BY spelled.cui, spelled.name, spelled.source
) AS term JOIN {names} AS living ON living.cui = term.cui
WHERE term.name <> ''
"""
    ),
    increment=by_column("cui", mgconso="cui", names="cui"),
    lineage={
        "cui": ("mgconso.cui", "names.cui"),
        "name": ("mgconso.str", "names.name"),
        "source": ("mgconso.sab", "names.source"),
        "is_preferred": ("mgconso.str", "names.name"),
        "is_suppressed": ("mgconso.suppress",),
    },
)
