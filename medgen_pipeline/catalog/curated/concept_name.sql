SELECT term.cui, term.name, term.source,
    CASE WHEN term.name = TRIM(living.name) THEN 'Y' ELSE 'N' END AS is_preferred,
    CASE WHEN term.suppressed = 1 THEN 'Y' ELSE 'N' END AS is_suppressed
FROM (
    SELECT spelled.cui, spelled.name, spelled.source, MIN(spelled.suppressed) AS suppressed
    FROM (
        SELECT cui, TRIM(str) AS name, sab AS source,
            CASE WHEN suppress IN ('O', 'E', 'Y') THEN 1 ELSE 0 END AS suppressed
        FROM {mgconso}
        UNION ALL
        SELECT cui, TRIM(name), COALESCE(source, 'MedGen'), 0 FROM {names}
    ) AS spelled
    GROUP BY spelled.cui, spelled.name, spelled.source
) AS term JOIN {names} AS living ON living.cui = term.cui
WHERE term.name <> '';
