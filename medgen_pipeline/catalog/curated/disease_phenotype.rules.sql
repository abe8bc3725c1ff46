-- name: concepts_are_current
SELECT
    CASE WHEN lost.found * 100 > (SELECT COUNT(*) FROM {disease_phenotype}) THEN 'ERROR' ELSE 'WARN' END AS severity,
    lost.disease_id, lost.disease_cui, lost.phenotype_id, lost.phenotype_cui
FROM (
    SELECT pair.disease_id, pair.disease_cui, pair.phenotype_id, pair.phenotype_cui, COUNT(*) OVER () AS found
    FROM {disease_phenotype} AS pair
        LEFT JOIN {names} AS disease ON disease.cui = pair.disease_cui
        LEFT JOIN {names} AS phenotype ON phenotype.cui = pair.phenotype_cui
    WHERE disease.cui IS NULL OR phenotype.cui IS NULL
) AS lost
ORDER BY 1, 2, 4;

-- name: nothing_is_affirmed_and_denied
SELECT 'WARN' AS severity, yes.disease_id, yes.disease_name, yes.phenotype_id, yes.phenotype_name
FROM {disease_phenotype} AS yes JOIN {disease_phenotype} AS denied
    ON denied.disease_id = yes.disease_id AND denied.phenotype_id = yes.phenotype_id
    AND denied.relationship = yes.relationship
WHERE NOT yes.is_negated AND denied.is_negated
ORDER BY 1, 2, 4;
