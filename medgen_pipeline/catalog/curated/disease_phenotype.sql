SELECT pair.disease_cui, pair.disease_id, disease.name AS disease_name,
    pair.phenotype_cui, pair.phenotype_id, phenotype.name AS phenotype_name,
    COALESCE(kinds.kind, 'other') AS kind, pair.relationship, pair.is_negated
FROM (
    SELECT omim_cui AS disease_cui, 'OMIM:' || mim_number AS disease_id, hpo_cui AS phenotype_cui,
        hpo_id AS phenotype_id,
        CASE
            WHEN relationship IS NULL THEN 'unspecified'
            WHEN LEFT(relationship, 4) = 'not_' THEN SUBSTRING(relationship, 5, 255)
            ELSE relationship
        END AS relationship,
        COALESCE(LEFT(relationship, 4) = 'not_', FALSE) AS is_negated
    FROM {medgen_hpo_omim_mapping}
    GROUP BY omim_cui, mim_number, hpo_cui, hpo_id, relationship
) AS pair
    LEFT JOIN {names} AS disease ON disease.cui = pair.disease_cui
    LEFT JOIN {names} AS phenotype ON phenotype.cui = pair.phenotype_cui
    LEFT JOIN {kinds} AS kinds ON kinds.relationship = pair.relationship;
