-- name: parents_are_above
SELECT CASE WHEN up.edges IS NULL AND down.edges IS NULL THEN 'WARN' ELSE 'ERROR' END AS severity,
    top_concept.cui, top_concept.name, COALESCE(up.edges, 0) AS above, COALESCE(down.edges, 0) AS below
FROM {tops} AS top_concept
    LEFT JOIN (SELECT cui, COUNT(*) AS edges FROM {concept_parent} GROUP BY cui) AS up ON up.cui = top_concept.cui
    LEFT JOIN (SELECT parent_cui, COUNT(*) AS edges FROM {concept_parent} GROUP BY parent_cui) AS down
        ON down.parent_cui = top_concept.cui
WHERE COALESCE(up.edges, 0) >= COALESCE(down.edges, 0)
ORDER BY 1, 2;
