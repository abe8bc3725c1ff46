-- name: well_known_genes_cause_their_diseases
SELECT CASE WHEN other.cui IS NULL THEN 'WARN' ELSE 'ERROR' END AS severity, known.cui, known.name, known.symbol,
    CASE WHEN other.cui IS NULL THEN 'the disease has no genes' ELSE 'another gene, or not its cause' END AS finding
FROM {known} AS known
    LEFT JOIN (
        SELECT cui, gene_id FROM {gene_disease} WHERE association = 'causal' GROUP BY cui, gene_id
    ) AS held ON held.cui = known.cui AND held.gene_id = known.gene_id
    LEFT JOIN (SELECT cui FROM {gene_disease} GROUP BY cui) AS other ON other.cui = known.cui
WHERE held.cui IS NULL
ORDER BY 1, 2;

-- name: concepts_are_current
SELECT CASE WHEN lost.found * 10 > (SELECT COUNT(*) FROM {gene_disease}) THEN 'ERROR' ELSE 'WARN' END AS severity,
    lost.cui, lost.gene_id, lost.symbol, lost.listed_in
FROM (
    SELECT own.cui, own.gene_id, own.symbol, own.listed_in, COUNT(*) OVER () AS found
    FROM {gene_disease} AS own LEFT JOIN {names} AS living ON living.cui = own.cui
    WHERE living.cui IS NULL
) AS lost
ORDER BY 1, 2, 3, 5;
