SELECT named.cui, named.source, named.kind, named.source_id,
    named.prefix || ':' || CASE
        WHEN named.digits > LENGTH(named.local_id) THEN LPAD(named.local_id, CAST(named.digits AS INTEGER), '0')
        ELSE named.local_id
    END AS curie
FROM (
    SELECT mapped.cui, mapped.source_id, known.prefix, known.digits,
        COALESCE(known.source, mapped.any_spelling) AS source, COALESCE(known.kind, 'concept') AS kind,
        CASE
            WHEN LEFT(mapped.source_id, LENGTH(known.strip)) = known.strip
                THEN SUBSTRING(mapped.source_id, LENGTH(known.strip) + 1, 255)
            ELSE mapped.source_id
        END AS local_id
    FROM (
        SELECT given.cui, given.source_id, LOWER(given.source) AS published, MAX(given.source) AS any_spelling
        FROM (
            SELECT cui, source_id, source FROM {medgen_id_mappings}
            UNION ALL
            SELECT cui, COALESCE(scui, code), sab FROM {mgconso}
            WHERE sab IN ({only_terms}) AND (suppress IS NULL OR suppress NOT IN ('O', 'E', 'Y'))
        ) AS given
        WHERE given.source_id IS NOT NULL
        GROUP BY given.cui, given.source_id, LOWER(given.source)
    ) AS mapped LEFT JOIN {vocabularies} AS known ON known.published = mapped.published
) AS named;
