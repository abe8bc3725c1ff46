-- name: hierarchy/cut_edges
CREATE TEMP TABLE {edge} AS
SELECT cui, parent_cui FROM {concept_parent}
WHERE '*' IN ({sources}) OR source IN ({sources})
GROUP BY cui, parent_cui;

SELECT edge.edges - kept.edges AS edges
FROM (SELECT COUNT(*) AS edges FROM {edge}) AS edge
    CROSS JOIN (SELECT COUNT(*) AS edges FROM {concept_ancestor} WHERE distance = 1) AS kept;

-- name: hierarchy/cut
-- What was cut, from the finished table: all edges that were kept are in it.
CREATE TEMP TABLE {missing} AS
SELECT edge.cui, edge.parent_cui
FROM {concept_parent} AS edge LEFT JOIN {concept_ancestor} AS kept
    ON kept.cui = edge.cui AND kept.ancestor_cui = edge.parent_cui AND kept.distance = 1
WHERE kept.cui IS NULL AND ('*' IN ({sources}) OR edge.source IN ({sources}))
GROUP BY edge.cui, edge.parent_cui;

SELECT missing.cui, missing.parent_cui FROM {missing} AS missing ORDER BY missing.cui, missing.parent_cui;

-- name: hierarchy/greatest_distance
SELECT COALESCE(MAX(distance), 0) AS distance FROM {concept_ancestor};
