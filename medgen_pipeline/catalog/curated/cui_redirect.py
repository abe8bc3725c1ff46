"""Where a retired concept has gone: one row per CUI that is no longer current.

Made from MedGen's `merged` and `medgen_cui_history`, and ClinVar's `concept_id_history` where that is loaded, followed
from one to the next until a current concept is reached. Current is what is in `names`.

- `status` is `current` where one is reached. Else it is a dead end, and `current_cui` is empty: `not reported` (NCBI
  says so in words such as "No longer reported"), `unknown target` (the last CUI on the way is in no table), `cycle`
  (the CUIs lead in a circle).
- A CUI that is current again has no row, whatever the history says, and the way ends where it reaches a current one.
- Where a concept was split, `targets` counts the current concepts that were reached, and `current_cui` is the nearest,
  of equally near ones the lowest CUI.
- Where MedGen and ClinVar tell of the same CUI, MedGen's word goes: it makes and retires the CUIs, and its two tables
  come with `names`, while ClinVar's list has kept since 2012 what was true on the day of each row. ClinVar's is taken
  where MedGen's leads to no current concept, or does not have the CUI: most are `CN…` that MedGen's release has
  forgotten and records elsewhere still carry. `source` is whose word it is.
- Retired concepts that NCBI never listed in any of the three tables are not here.
"""

from medgen_pipeline.catalog.curated.columns import integer, text
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Rule

# What a CUI looks like, as a POSIX expression. NCBI promises no number of digits.
_CUI_FORM = "^CN?[0-9]+$"

_RETIRED = ("merged.cui", "medgen_cui_history.previous_cui", "concept_id_history.previous_concept_id")
_TARGETS = ("merged.to_cui", "medgen_cui_history.current_cui", "concept_id_history.current_concept_id")
_RULES = read_named("cui_redirect.rules.sql")

TABLE = CuratedTable(
    name="cui_redirect",
    columns=(
        text("cui", "The retired concept."),
        text("current_cui", "The current concept it has become; empty for a dead end.", nullable=True),
        text("status", "`current`, or why there is none: `not reported`, `unknown target`, `cycle`."),
        integer("steps", "How many replacements lie between the two; empty for a dead end.", nullable=True),
        integer("targets", "Current concepts that were reached; more than one where the concept was split."),
        text("source", "`MedGen`, or `ClinVar` where a step of the way, or all that is known, is its list's alone."),
    ),
    key=("cui",),
    key_proven=True,
    description=__doc__,
    references=(),
    query=read("cui_redirect.sql", cui_form=_CUI_FORM),
    optional=("concept_id_history",),
    increment=read_increment("cui_redirect.increment.sql", "cui"),
    lineage={
        "cui": (*_RETIRED, "names.cui"),
        "current_cui": (*_TARGETS, "names.cui"),
        "status": (*_TARGETS, "names.cui"),
        "steps": _TARGETS,
        "targets": (*_TARGETS, "names.cui"),
        "source": (*_RETIRED, *_TARGETS),
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
