-- What is told of a CUI, and whether it is ClinVar who does.
CREATE TEMP TABLE {told} AS
SELECT cui, to_cui, CAST(0 AS BIGINT) AS by_clinvar FROM {merged}
UNION SELECT previous_cui, current_cui, CAST(0 AS BIGINT) FROM {medgen_cui_history}
UNION SELECT previous_concept_id, current_concept_id, CAST(1 AS BIGINT) FROM {concept_id_history} AS history;

CREATE TEMP TABLE {retired} AS
SELECT told.cui, MIN(told.by_clinvar) AS by_clinvar
FROM {told} AS told LEFT JOIN {names} AS living ON living.cui = told.cui
WHERE living.cui IS NULL
GROUP BY told.cui;

-- Only retired concepts lead on, so a walk ends at the first current one.
CREATE TEMP TABLE {link} AS
SELECT step.cui, step.to_cui, MIN(step.by_clinvar) AS by_clinvar
FROM {told} AS step JOIN {retired} AS retired ON retired.cui = step.cui
WHERE step.to_cui ~ {cui_form} AND step.cui <> step.to_cui
GROUP BY step.cui, step.to_cui;

-- All that each leads to, with the number of steps that only ClinVar tells. A pair is added again only with fewer of
-- them, so this ends on any graph.
CREATE TEMP TABLE {walk} AS
SELECT cui, to_cui, by_clinvar, CAST(1 AS BIGINT) AS steps FROM {link};

INSERT INTO {walk}
SELECT walk.cui, link.to_cui, walk.by_clinvar + link.by_clinvar, {round} + 1
FROM {walk} AS walk JOIN {link} AS link ON link.cui = walk.to_cui
    LEFT JOIN {walk} AS seen ON seen.cui = walk.cui AND seen.to_cui = link.to_cui
        AND seen.by_clinvar <= walk.by_clinvar + link.by_clinvar
WHERE walk.steps = {round} AND seen.cui IS NULL
GROUP BY walk.cui, link.to_cui, walk.by_clinvar + link.by_clinvar;

CREATE TEMP TABLE {target} AS
SELECT walk.cui, walk.to_cui, walk.by_clinvar, walk.steps,
    ROW_NUMBER() OVER (PARTITION BY walk.cui ORDER BY walk.by_clinvar, walk.steps, walk.to_cui) AS place,
    COUNT(*) OVER (PARTITION BY walk.cui, walk.by_clinvar) AS targets
FROM {walk} AS walk JOIN (SELECT cui FROM {names} GROUP BY cui) AS living ON living.cui = walk.to_cui;

-- Why a way ends without a current concept. What leads nowhere by itself says so for all that lead to it.
CREATE TEMP TABLE {dead_end} AS
SELECT place.cui, MAX(CASE WHEN worded.cui IS NOT NULL THEN 1 ELSE 0 END) AS not_reported,
    MAX(CASE WHEN link.cui IS NULL THEN 1 ELSE 0 END) AS leads_nowhere
FROM (SELECT cui, cui AS at_cui FROM {retired} UNION SELECT cui, to_cui FROM {walk}) AS place
    LEFT JOIN (
        SELECT cui FROM {told} AS told WHERE to_cui IS NULL OR NOT (to_cui ~ {cui_form}) GROUP BY cui
    ) AS worded ON worded.cui = place.at_cui
    LEFT JOIN (SELECT cui FROM {link} GROUP BY cui) AS link ON link.cui = place.at_cui
GROUP BY place.cui;

SELECT retired.cui, target.to_cui AS current_cui,
    CASE
        WHEN target.cui IS NOT NULL THEN 'current'
        WHEN dead_end.not_reported = 1 THEN 'not reported'
        WHEN dead_end.leads_nowhere = 1 THEN 'unknown target'
        ELSE 'cycle'
    END AS status,
    target.steps, COALESCE(target.targets, 0) AS targets,
    CASE WHEN COALESCE(target.by_clinvar, retired.by_clinvar) = 0 THEN 'MedGen' ELSE 'ClinVar' END AS source
FROM {retired} AS retired
    LEFT JOIN {target} AS target ON target.cui = retired.cui AND target.place = 1
    LEFT JOIN {dead_end} AS dead_end ON dead_end.cui = retired.cui;
