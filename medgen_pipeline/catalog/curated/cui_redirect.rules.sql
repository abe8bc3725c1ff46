-- name: targets_are_current
SELECT 'ERROR' AS severity, redirect.cui, redirect.current_cui, redirect.status
FROM {cui_redirect} AS redirect
    LEFT JOIN {names} AS target ON target.cui = redirect.current_cui
    LEFT JOIN {names} AS own ON own.cui = redirect.cui
WHERE own.cui IS NOT NULL OR redirect.status = 'current' AND target.cui IS NULL
    OR redirect.status <> 'current' AND redirect.current_cui IS NOT NULL
ORDER BY 1, 2;
