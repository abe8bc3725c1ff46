"""Where a retired concept has gone: one row per CUI that is no longer current.

Made from `merged` and `medgen_cui_history`, followed from one to the next until a current concept is reached. Current
is what is in `names`.

- `status` is `current` where one is reached. Else it is a dead end, and `current_cui` is empty: `not reported` (NCBI
  says so in words such as "No longer reported"), `unknown target` (the last CUI on the way is in no table), `cycle`
  (the CUIs lead in a circle).
- A CUI that is current again has no row, whatever the history says, and the way ends where it reaches a current one.
- Where a concept was split, `targets` counts the current concepts that were reached, and `current_cui` is the nearest,
  of equally near ones the lowest CUI.
- Retired concepts that NCBI never listed in either table are not here.
"""

from medgen_pipeline.catalog.curated.columns import ID, integer, text
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.model import CuratedTable, Rule

# What a CUI looks like, as a POSIX expression. NCBI promises no number of digits.
_CUI_FORM = "^CN?[0-9]+$"

_RULES = read_named("cui_redirect.rules.sql")

TABLE = CuratedTable(
    name="cui_redirect",
    columns=(
        text("cui", "The retired concept.", ID),
        text("current_cui", "The current concept it has become; empty for a dead end.", ID, nullable=True),
        text("status", "`current`, or why there is none: `not reported`, `unknown target`, `cycle`.", ID),
        integer("steps", "How many replacements lie between the two; empty for a dead end.", nullable=True),
        integer("targets", "Current concepts that were reached; more than one where the concept was split."),
    ),
    key=("cui",),
    key_proven=True,
    description=__doc__,
    references=(),
    query=read("cui_redirect.sql", cui_form=_CUI_FORM),
    increment=read_increment("cui_redirect.increment.sql", "cui"),
    lineage={
        "cui": ("merged.cui", "medgen_cui_history.previous_cui", "names.cui"),
        "current_cui": ("merged.to_cui", "medgen_cui_history.current_cui", "names.cui"),
        "status": ("merged.to_cui", "medgen_cui_history.current_cui", "names.cui"),
        "steps": ("merged.to_cui", "medgen_cui_history.current_cui"),
        "targets": ("merged.to_cui", "medgen_cui_history.current_cui", "names.cui"),
    },
    rules=(
        Rule(
            name="targets_are_current",
            description="No redirect leads to a retired concept, and no current concept is redirected.",
            blocking=True,
            columns=("CUI", "current CUI", "status"),
            query=_RULES["targets_are_current"],
        ),
    ),
)
