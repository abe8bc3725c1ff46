-- A concept is a part. What is above it may be other than before where an edge above it, or its own, has come or gone,
-- be it cut or not. Which edges of a cycle are cut also depends on how many children its concepts have, and on what is
-- above it; so an edge that leads to a concept on a cycle affects that concept and what is below it. Where a cycle is
-- gone, one of its edges is, and whatever was on it or below it is below that edge's concept, or below that of another
-- edge that has gone.

CREATE TEMP TABLE {moved} AS
SELECT own.cui, own.parent_cui,
    SUM(CASE WHEN own._change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END) AS sources
FROM {recent_concept_parent} AS own
WHERE '*' IN ({sources}) OR own.source IN ({sources})
GROUP BY own.cui, own.parent_cui;

-- Not where other sources have the same edge.
CREATE TEMP TABLE {moved_edge} AS
SELECT moved.cui, moved.parent_cui
FROM {moved} AS moved LEFT JOIN (
    SELECT own.cui, own.parent_cui, COUNT(*) AS sources
    FROM {concept_parent} AS own
    WHERE own.cui IN (SELECT cui FROM {moved}) AND ('*' IN ({sources}) OR own.source IN ({sources}))
    GROUP BY own.cui, own.parent_cui
) AS held ON held.cui = moved.cui AND held.parent_cui = moved.parent_cui
WHERE CASE WHEN COALESCE(held.sources, 0) > 0 THEN 1 ELSE 0 END
    <> CASE WHEN COALESCE(held.sources, 0) - moved.sources > 0 THEN 1 ELSE 0 END;

-- The parents of moved edges, and all that is above them.
CREATE TEMP TABLE {above_moved} AS
SELECT parent_cui AS cui, CAST(0 AS BIGINT) AS step FROM {moved_edge} AS own GROUP BY parent_cui;

INSERT INTO {above_moved}
SELECT own.parent_cui, {round}
FROM {above_moved} AS reached JOIN {concept_parent} AS own ON own.cui = reached.cui
    LEFT JOIN {above_moved} AS seen ON seen.cui = own.parent_cui
WHERE reached.step = {round} - 1 AND seen.cui IS NULL
GROUP BY own.parent_cui;

-- Of their edges those that may be on cycles, as in the table's own query.
CREATE TEMP TABLE {cycle_above_moved} AS
SELECT own.cui, own.parent_cui FROM {concept_parent} AS own
WHERE own.cui IN (SELECT cui FROM {above_moved}) AND ('*' IN ({sources}) OR own.source IN ({sources}))
GROUP BY own.cui, own.parent_cui;

DELETE FROM {cycle_above_moved}
WHERE NOT EXISTS (SELECT 1 FROM {cycle_above_moved} AS below WHERE below.parent_cui = {cycle_above_moved}.cui);

DELETE FROM {cycle_above_moved}
WHERE NOT EXISTS (SELECT 1 FROM {cycle_above_moved} AS above WHERE above.cui = {cycle_above_moved}.parent_cui);

CREATE TEMP TABLE {affected} AS
SELECT start.cui, CAST(0 AS BIGINT) AS step
FROM (
    SELECT cui FROM {moved_edge} AS own
    UNION SELECT own.parent_cui
        FROM {moved_edge} AS own JOIN {cycle_above_moved} AS on_cycle ON on_cycle.cui = own.parent_cui
) AS start;

INSERT INTO {affected}
SELECT own.cui, {round}
FROM {affected} AS reached JOIN {concept_parent} AS own ON own.parent_cui = reached.cui
    LEFT JOIN {affected} AS seen ON seen.cui = own.cui
WHERE reached.step = {round} - 1 AND seen.cui IS NULL
GROUP BY own.cui;

-- What the affected concepts are made from: all that is above them, and which of it is on cycles.
CREATE TEMP TABLE {above} AS
SELECT cui, CAST(0 AS BIGINT) AS step FROM {affected} AS affected;

INSERT INTO {above}
SELECT own.parent_cui, {round}
FROM {above} AS reached JOIN {concept_parent} AS own ON own.cui = reached.cui
    LEFT JOIN {above} AS seen ON seen.cui = own.parent_cui
WHERE reached.step = {round} - 1 AND seen.cui IS NULL
GROUP BY own.parent_cui;

CREATE TEMP TABLE {cycle_above} AS
SELECT own.cui, own.parent_cui FROM {concept_parent} AS own
WHERE own.cui IN (SELECT cui FROM {above}) AND ('*' IN ({sources}) OR own.source IN ({sources}))
GROUP BY own.cui, own.parent_cui;

DELETE FROM {cycle_above}
WHERE NOT EXISTS (SELECT 1 FROM {cycle_above} AS below WHERE below.parent_cui = {cycle_above}.cui);

DELETE FROM {cycle_above}
WHERE NOT EXISTS (SELECT 1 FROM {cycle_above} AS above WHERE above.cui = {cycle_above}.parent_cui);

-- And the other children of what is on cycles, which are counted.
CREATE TEMP TABLE {concept_parent} AS
SELECT own.* FROM {concept_parent} AS own WHERE own.cui IN (SELECT cui FROM {above})
UNION
SELECT own.* FROM {concept_parent} AS own WHERE own.parent_cui IN (SELECT cui FROM {cycle_above});
