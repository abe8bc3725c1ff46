CREATE TEMP TABLE {counted} AS
SELECT cui, COUNT(*) AS link_count FROM {medgen_pubmed_lnk} GROUP BY cui;

-- Window functions with a frame are not the same on all warehouses; RANK needs none.
SELECT counted.cui, counted.link_count,
    (RANK() OVER (ORDER BY counted.link_count) - 1) * 100 / total.concepts AS percentile
FROM {counted} AS counted CROSS JOIN (SELECT COUNT(*) AS concepts FROM {counted}) AS total;
