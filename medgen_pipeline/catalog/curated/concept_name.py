"""Every name of a concept: one row per concept, name and source that uses it.

The terms of `mgconso` and the preferred names of `names`, of current concepts.

- `is_preferred` marks MedGen's own preferred name, in every source that uses it. It may come from no term of `mgconso`.
- Blanks before and after a name are taken off; capitals are kept, so spellings that differ in them are names apart.
- `is_suppressed` marks what the source or UMLS has given up; such names still occur in old papers.
- Count names, not rows: a name that three sources use has three rows.
"""

from medgen_pipeline.catalog.curated.columns import ID, NAME, flag, text
from medgen_pipeline.catalog.curated.sql_files import read
from medgen_pipeline.catalog.model import CuratedTable, Reference, by_column

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
    query=read("concept_name.sql"),
    increment=by_column("cui", mgconso="cui", names="cui"),
    lineage={
        "cui": ("mgconso.cui", "names.cui"),
        "name": ("mgconso.str", "names.name"),
        "source": ("mgconso.sab", "names.source"),
        "is_preferred": ("mgconso.str", "names.name"),
        "is_suppressed": ("mgconso.suppress",),
    },
)
