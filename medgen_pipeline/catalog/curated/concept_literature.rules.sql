-- name: every_link_is_counted
SELECT 'ERROR' AS severity, counted.links AS counted, listed.links AS listed
FROM (SELECT COALESCE(SUM(link_count), 0) AS links FROM {concept_literature}) AS counted
    CROSS JOIN (SELECT COUNT(*) AS links FROM {medgen_pubmed_lnk}) AS listed
WHERE counted.links <> listed.links;
