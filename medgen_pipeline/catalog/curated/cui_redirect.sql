CREATE TEMP TABLE {retired} AS
SELECT known.cui
FROM (SELECT cui FROM {merged} UNION SELECT previous_cui FROM {medgen_cui_history}) AS known
    LEFT JOIN {names} AS living ON living.cui = known.cui
WHERE living.cui IS NULL
GROUP BY known.cui;

-- Only retired concepts lead on, so a walk ends at the first current one.
CREATE TEMP TABLE {link} AS
SELECT step.cui, step.to_cui
FROM (
    SELECT cui, to_cui FROM {merged}
    UNION SELECT previous_cui, current_cui FROM {medgen_cui_history} WHERE current_cui ~ {cui_form}
) AS step JOIN {retired} AS retired ON retired.cui = step.cui
WHERE step.cui <> step.to_cui;

-- All that each leads to. A pair is added once, so this ends on any graph.
CREATE TEMP TABLE {walk} AS
SELECT cui, to_cui, CAST(1 AS BIGINT) AS steps FROM {link};

INSERT INTO {walk}
SELECT walk.cui, link.to_cui, {round} + 1
FROM {walk} AS walk JOIN {link} AS link ON link.cui = walk.to_cui
    LEFT JOIN {walk} AS seen ON seen.cui = walk.cui AND seen.to_cui = link.to_cui
WHERE walk.steps = {round} AND seen.cui IS NULL
GROUP BY walk.cui, link.to_cui;

CREATE TEMP TABLE {target} AS
SELECT walk.cui, walk.to_cui, walk.steps,
    ROW_NUMBER() OVER (PARTITION BY walk.cui ORDER BY walk.steps, walk.to_cui) AS place,
    COUNT(*) OVER (PARTITION BY walk.cui) AS targets
FROM {walk} AS walk JOIN (SELECT cui FROM {names} GROUP BY cui) AS living ON living.cui = walk.to_cui;

-- Why a way ends without a current concept. What leads nowhere by itself says so for all that lead to it.
CREATE TEMP TABLE {dead_end} AS
SELECT place.cui, MAX(CASE WHEN worded.previous_cui IS NOT NULL THEN 1 ELSE 0 END) AS not_reported,
    MAX(CASE WHEN link.cui IS NULL THEN 1 ELSE 0 END) AS leads_nowhere
FROM (SELECT cui, cui AS at_cui FROM {retired} UNION SELECT cui, to_cui FROM {walk}) AS place
    LEFT JOIN (
        SELECT previous_cui FROM {medgen_cui_history}
        WHERE current_cui IS NULL OR NOT (current_cui ~ {cui_form}) GROUP BY previous_cui
    ) AS worded ON worded.previous_cui = place.at_cui
    LEFT JOIN (SELECT cui FROM {link} GROUP BY cui) AS link ON link.cui = place.at_cui
GROUP BY place.cui;

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
    LEFT JOIN {dead_end} AS dead_end ON dead_end.cui = retired.cui;
