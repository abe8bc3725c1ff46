SELECT edge.cui, edge.parent_cui, edge.source
FROM (
    SELECT CASE WHEN rel = 'PAR' THEN cui1 ELSE cui2 END AS cui,
        CASE WHEN rel = 'PAR' THEN cui2 ELSE cui1 END AS parent_cui,
        sab AS source
    FROM {mgrel}
    WHERE rel IN ('PAR', 'CHD') AND cui1 <> cui2
        AND (suppress IS NULL OR suppress NOT IN ('O', 'E', 'Y'))
        AND (rela IS NULL OR STRPOS(rela, 'not_') = 0)
) AS edge
WHERE edge.cui IN (SELECT cui FROM {names}) AND edge.parent_cui IN (SELECT cui FROM {names})
GROUP BY edge.cui, edge.parent_cui, edge.source;
