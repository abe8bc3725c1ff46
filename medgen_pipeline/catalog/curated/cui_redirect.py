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
from medgen_pipeline.catalog.model import AFFECTED, CuratedTable, Increment, Rule, narrowed
from medgen_pipeline.catalog.query import Query, Scratch

# What a CUI looks like, as a POSIX expression. NCBI promises no number of digits.
_CUI_FORM = "^CN?[0-9]+$"

_RETIRED = Scratch(
    "retired",
    """
SELECT known.cui
FROM (SELECT cui FROM {merged} UNION SELECT previous_cui FROM {medgen_cui_history}) AS known
    LEFT JOIN {names} AS living ON living.cui = known.cui
WHERE living.cui IS NULL
GROUP BY known.cui
""",
)
# Only retired concepts lead on, so a walk ends at the first current one.
_LINK = Scratch(
    "link",
    """
SELECT step.cui, step.to_cui
FROM (
    SELECT cui, to_cui FROM {merged}
    UNION SELECT previous_cui, current_cui FROM {medgen_cui_history} WHERE current_cui ~ {cui_form}
) AS step JOIN {retired} AS retired ON retired.cui = step.cui
WHERE step.cui <> step.to_cui
""",
)
_WALK = Scratch(
    "walk",
    "SELECT cui, to_cui, CAST(1 AS BIGINT) AS steps FROM {link}",
    (
        """
INSERT INTO {walk}
SELECT walk.cui, link.to_cui, {round} + 1
FROM {walk} AS walk JOIN {link} AS link ON link.cui = walk.to_cui
    LEFT JOIN {walk} AS seen ON seen.cui = walk.cui AND seen.to_cui = link.to_cui
WHERE walk.steps = {round} AND seen.cui IS NULL
GROUP BY walk.cui, link.to_cui
""",
    ),
)
_TARGET = Scratch(
    "target",
    """
SELECT walk.cui, walk.to_cui, walk.steps,
    ROW_NUMBER() OVER (PARTITION BY walk.cui ORDER BY walk.steps, walk.to_cui) AS place,
    COUNT(*) OVER (PARTITION BY walk.cui) AS targets
FROM {walk} AS walk JOIN (SELECT cui FROM {names} GROUP BY cui) AS living ON living.cui = walk.to_cui
""",
)
# Why a way ends without a current concept. What leads nowhere by itself says so for all that lead to it.
_END = Scratch(
    "dead_end",
    """
SELECT place.cui, MAX(CASE WHEN worded.previous_cui IS NOT NULL THEN 1 ELSE 0 END) AS not_reported,
    MAX(CASE WHEN link.cui IS NULL THEN 1 ELSE 0 END) AS leads_nowhere
FROM (SELECT cui, cui AS at_cui FROM {retired} UNION SELECT cui, to_cui FROM {walk}) AS place
    LEFT JOIN (
        SELECT previous_cui FROM {medgen_cui_history}
        WHERE current_cui IS NULL OR NOT (current_cui ~ {cui_form}) GROUP BY previous_cui
    ) AS worded ON worded.previous_cui = place.at_cui
    LEFT JOIN (SELECT cui FROM {link} GROUP BY cui) AS link ON link.cui = place.at_cui
GROUP BY place.cui
""",
)

# A CUI is a part: itself and all that it leads to. So what has changed affects all that leads to it.
_INCREMENT = Increment(
    key=("cui",),
    scratch=(
        Scratch(
            "step",
            """
SELECT cui, to_cui FROM {merged} AS own
UNION SELECT previous_cui, current_cui FROM {medgen_cui_history} AS own WHERE current_cui ~ {cui_form}
""",
        ),
        Scratch(
            AFFECTED,
            """
SELECT cui FROM {recent_merged} AS feed
UNION SELECT previous_cui FROM {recent_medgen_cui_history} AS feed
UNION SELECT cui FROM {recent_names} AS feed WHERE _change_type IN ('insert', 'delete')
""",
            (
                """
INSERT INTO {affected}
SELECT step.cui
FROM {step} AS step JOIN {affected} AS affected ON affected.cui = step.to_cui
    LEFT JOIN {affected} AS seen ON seen.cui = step.cui
WHERE seen.cui IS NULL
GROUP BY step.cui
""",
            ),
        ),
        Scratch(
            "led_to",
            "SELECT cui FROM {affected} AS affected",
            (
                """
INSERT INTO {led_to}
SELECT step.to_cui
FROM {step} AS step JOIN {led_to} AS led_to ON led_to.cui = step.cui
    LEFT JOIN {led_to} AS seen ON seen.cui = step.to_cui
WHERE seen.cui IS NULL
GROUP BY step.to_cui
""",
            ),
        ),
        narrowed("merged", "own.cui IN (SELECT cui FROM {led_to})"),
        narrowed("medgen_cui_history", "own.previous_cui IN (SELECT cui FROM {led_to})"),
        narrowed("names", "own.cui IN (SELECT cui FROM {led_to})"),
    ),
)

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
    query=Query(
        scratch=(_RETIRED, _LINK, _WALK, _TARGET, _END),
        parameters={"cui_form": _CUI_FORM},
        text="""
SELECT retired.cui, target.to_cui AS current_cui,
    CASE
        WHEN target.cui IS NOT NULL THEN 'current'
        WHEN dead_end.not_reported = 1 THEN 'not reported'
        WHEN dead_end.leads_nowhere = 1 THEN 'unknown target'
        ELSE 'cycle'
    END AS status,
    target.steps, COALESCE(target.targets, 0) AS targets
FROM {retired} AS retired
    LEFT JOIN {target} AS target ON target.cui = retired.cui AND target.place = 1
    LEFT JOIN {dead_end} AS dead_end ON dead_end.cui = retired.cui
""",
    ),
    increment=_INCREMENT,
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
            query=Query(
                text="""
SELECT 'ERROR' AS severity, redirect.cui, redirect.current_cui, redirect.status
FROM {cui_redirect} AS redirect
    LEFT JOIN {names} AS target ON target.cui = redirect.current_cui
    LEFT JOIN {names} AS own ON own.cui = redirect.cui
WHERE own.cui IS NOT NULL OR redirect.status = 'current' AND target.cui IS NULL
    OR redirect.status <> 'current' AND redirect.current_cui IS NOT NULL
ORDER BY 1, 2
""",
            ),
        ),
    ),
)
