-- Links are added to and taken from the counts of before. A change of one count moves the percentiles of others; which
-- percentile a count has is told from how many concepts have each count.

CREATE TEMP TABLE {moved} AS
SELECT feed.cui,
    CAST(SUM(CASE WHEN feed._change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END) AS BIGINT) AS links
FROM {recent_medgen_pubmed_lnk} AS feed
GROUP BY feed.cui
HAVING SUM(CASE WHEN feed._change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END) <> 0;

CREATE TEMP TABLE {recounted} AS
SELECT moved.cui, COALESCE(own.link_count, 0) AS old_count, COALESCE(own.link_count, 0) + moved.links AS link_count
FROM {moved} AS moved LEFT JOIN {concept_literature} AS own ON own.cui = moved.cui;

CREATE TEMP TABLE {ranked} AS
SELECT each_count.link_count, each_count.concepts,
    (CAST(SUM(each_count.concepts) OVER (ORDER BY each_count.link_count ROWS UNBOUNDED PRECEDING) AS BIGINT)
        - each_count.concepts) * 100
        / CAST(SUM(each_count.concepts) OVER () AS BIGINT) AS percentile
FROM (
    SELECT part.link_count, CAST(SUM(part.concepts) AS BIGINT) AS concepts
    FROM (
        SELECT link_count, COUNT(*) AS concepts FROM {concept_literature} AS own GROUP BY link_count
        UNION ALL SELECT old_count, -1 FROM {recounted} AS gone WHERE old_count > 0
        UNION ALL SELECT link_count, 1 FROM {recounted} AS come WHERE link_count > 0
    ) AS part
    GROUP BY part.link_count
    HAVING SUM(part.concepts) > 0
) AS each_count;

CREATE TEMP TABLE {affected} AS
SELECT cui FROM {recounted} AS recounted
UNION
SELECT own.cui FROM {concept_literature} AS own JOIN {ranked} AS ranked ON ranked.link_count = own.link_count
WHERE ranked.percentile <> own.percentile;

SELECT counted.cui, counted.link_count, ranked.percentile
FROM (
    SELECT cui, link_count FROM {recounted} AS recounted WHERE link_count > 0
    UNION ALL
    SELECT own.cui, own.link_count
    FROM {concept_literature} AS own JOIN {affected} AS affected ON affected.cui = own.cui
        LEFT JOIN {recounted} AS recounted ON recounted.cui = own.cui
    WHERE recounted.cui IS NULL
) AS counted JOIN {ranked} AS ranked ON ranked.link_count = counted.link_count;
