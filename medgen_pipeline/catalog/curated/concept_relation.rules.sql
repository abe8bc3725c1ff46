-- name: counts_are_plausible
SELECT 'WARN' AS severity, anchor.what, anchor.expected, counted.found
FROM {anchors} AS anchor JOIN (
    SELECT 'rows of mgrel' AS what, COUNT(*) AS found FROM {mgrel}
    UNION ALL
    SELECT 'rows of mgrel without a name of the relation', COUNT(*) FROM {mgrel} WHERE rela IS NULL
) AS counted ON counted.what = anchor.what
WHERE (SELECT COUNT(*) FROM {names}) >= {full_release}
    AND ABS(counted.found - anchor.expected) * 10 > anchor.expected
ORDER BY 1, 2;
