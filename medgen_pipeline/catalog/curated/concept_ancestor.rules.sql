-- name: no_cycle
-- Two concepts that are each other's ancestors are on a cycle, in which each parent is its child's descendant, too.
SELECT 'ERROR' AS severity, one.cui, one.ancestor_cui, one.distance
FROM {concept_ancestor} AS one LEFT JOIN {concept_ancestor} AS other
    ON other.cui = one.ancestor_cui AND other.ancestor_cui = one.cui
WHERE one.cui = one.ancestor_cui OR one.distance = 1 AND other.cui IS NOT NULL
ORDER BY 1, 2, 3;

-- name: known_facts_hold
SELECT CASE WHEN back.cui IS NOT NULL THEN 'ERROR' ELSE 'WARN' END AS severity,
    CASE
        WHEN back.cui IS NOT NULL THEN 'the wrong way round'
        WHEN own.cui IS NULL OR above.cui IS NULL THEN 'one of the concepts is not in this release'
        ELSE 'missing'
    END AS finding,
    fact.cui, fact.name, fact.ancestor_cui, fact.ancestor_name
FROM {facts} AS fact
    LEFT JOIN {concept_ancestor} AS held ON held.cui = fact.cui AND held.ancestor_cui = fact.ancestor_cui
    LEFT JOIN {concept_ancestor} AS back ON back.cui = fact.ancestor_cui AND back.ancestor_cui = fact.cui
    LEFT JOIN {names} AS own ON own.cui = fact.cui
    LEFT JOIN {names} AS above ON above.cui = fact.ancestor_cui
WHERE held.cui IS NULL OR back.cui IS NOT NULL
ORDER BY 1, 3, 5;
