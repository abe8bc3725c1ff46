-- name: concepts_are_current
SELECT CASE WHEN lost.found * 100 > (SELECT COUNT(*) FROM {concept_xref}) THEN 'ERROR' ELSE 'WARN' END AS severity,
    lost.cui, lost.source, lost.source_id
FROM (
    SELECT xref.cui, xref.source, xref.source_id, COUNT(*) OVER () AS found
    FROM {concept_xref} AS xref LEFT JOIN {names} AS living ON living.cui = xref.cui
    WHERE living.cui IS NULL
) AS lost
ORDER BY 1, 2, 3, 4;

-- name: mondo_and_uid_are_one_to_one
SELECT 'WARN' AS severity, many.source, many.finding, many.identifier, many.found
FROM (
    SELECT source, 'a concept has several' AS finding, cui AS identifier, COUNT(*) AS found
    FROM {concept_xref} WHERE source IN ('MONDO', 'MedGen') GROUP BY source, cui
    UNION ALL
    SELECT source, 'is that of several concepts', source_id, COUNT(*)
    FROM {concept_xref} WHERE source IN ('MONDO', 'MedGen') GROUP BY source, source_id
) AS many
WHERE many.found > 1
ORDER BY 1, 2, 3, 4;

-- name: vocabularies_are_known
SELECT 'WARN' AS severity, source, COUNT(*) AS identifiers, MIN(source_id) AS example
FROM {concept_xref} WHERE curie IS NULL GROUP BY source ORDER BY 1, 2;

-- name: known_identifiers_are_here
SELECT CASE WHEN other.cui IS NULL THEN 'WARN' ELSE 'ERROR' END AS severity, fact.cui, fact.name, fact.curie,
    CASE WHEN other.cui IS NULL THEN 'missing' ELSE 'of ' || other.cui END AS finding
FROM {facts} AS fact
    LEFT JOIN {concept_xref} AS held ON held.cui = fact.cui AND held.curie = fact.curie
    LEFT JOIN (
        SELECT curie, MIN(cui) AS cui FROM {concept_xref}
        WHERE curie IN (SELECT known.curie FROM {facts} AS known) GROUP BY curie
    ) AS other ON other.curie = fact.curie
WHERE held.cui IS NULL AND (SELECT COUNT(*) FROM {concept_xref}) >= {full_release}
ORDER BY 1, 2, 4;
