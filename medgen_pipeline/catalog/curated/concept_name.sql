SELECT term.cui, term.name, term.source,
    term.name = TRIM(living.name) AS is_preferred,
    term.suppressed = 1 AS is_suppressed,
    -- Blanks that follow each other become one: "a  b" is "a<><>b", "a<>b", "a b". No < or > is left in a name by then.
    NULLIF(TRIM(LEFT(
        REPLACE(REPLACE(REPLACE(
            CASE WHEN term.name ~ {usual_form}
                THEN REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(LOWER(term.name),
                    ',', ' '), '-', ' '), '(', ' '), ')', ' '), '.', ' '), '/', ' '), ':', ' '), '_', ' ')
                ELSE TRANSLATE(LOWER(term.name), {letters}, {plain})
            END, ' ', '<>'), '><', ''), '<>', ' '), 255
    )), '') AS normalized_name
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
