-- name: every_current_concept_is_here
SELECT 'ERROR' AS severity, COALESCE(own.cui, living.cui) AS cui, COALESCE(own.name, living.name) AS name,
    CASE WHEN own.cui IS NULL THEN 'missing' ELSE 'not in names' END AS finding
FROM {concept} AS own FULL OUTER JOIN {names} AS living ON living.cui = own.cui
WHERE own.cui IS NULL OR living.cui IS NULL
ORDER BY 1, 2;

-- name: well_known_diseases_are_diseases
SELECT CASE WHEN own.cui IS NULL THEN 'WARN' ELSE 'ERROR' END AS severity, known.cui, known.name, own.semantic_types,
    CASE
        WHEN own.cui IS NULL THEN 'not in this release'
        WHEN own.is_disease THEN 'is_disease is true'
        ELSE 'is_disease is false'
    END AS finding
FROM {known} AS known LEFT JOIN {concept} AS own ON own.cui = known.cui
WHERE CASE WHEN own.is_disease THEN 1 ELSE 0 END <> known.is_disease AND own.cui IS NOT NULL
    OR own.cui IS NULL AND (SELECT COUNT(*) FROM {concept}) >= {full_release}
ORDER BY 1, 2;

-- name: counts_are_plausible
SELECT 'WARN' AS severity, anchor.what, anchor.expected, COALESCE(counted.found, 0) AS found
FROM {anchors} AS anchor LEFT JOIN (
    SELECT 'concepts' AS what, COUNT(*) AS found FROM {concept}
    UNION ALL
    SELECT 'concepts with a definition', COUNT(definition) FROM {concept}
    UNION ALL
    SELECT 'semantic types, one for each concept that has it', COUNT(*) FROM {mgsty}
    UNION ALL
    SELECT tui || ' ' || sty, COUNT(*) FROM {mgsty} GROUP BY tui, sty
) AS counted ON counted.what = anchor.what
WHERE (SELECT COUNT(*) FROM {concept}) >= {full_release}
    AND ABS(COALESCE(counted.found, 0) - anchor.expected) * 10 > anchor.expected
ORDER BY 1, 2;
