-- The names that are turned, with those of their reverse: known by the whole name, or by how it begins.
CREATE TEMP TABLE {turned_name} AS
SELECT given.relation,
    COALESCE(
        known.relation, formed.before || SUBSTRING(given.relation, LENGTH(formed.beginning) + 1, 255) || formed.after
    ) AS turned
FROM (SELECT COALESCE(rela, rel) AS relation FROM {mgrel} GROUP BY COALESCE(rela, rel)) AS given
    LEFT JOIN {reverses} AS known ON known.published = given.relation
    LEFT JOIN {reverse_forms} AS formed ON formed.beginning = LEFT(given.relation, LENGTH(formed.beginning))
WHERE known.relation IS NOT NULL OR formed.beginning IS NOT NULL;

-- MGREL says "cui2 rela cui1", and of rel what cui2 is to cui1. What has no rela goes by its rel.
CREATE TEMP TABLE {stated} AS
SELECT own.cui2 AS cui, own.cui1 AS other_cui, own.rel, own.sab AS source,
    COALESCE(name.turned, own.rela, own.rel) AS relation,
    CASE
        WHEN name.turned IS NOT NULL THEN 1
        WHEN own.cui2 > own.cui1 AND (own.rel = 'SIB' OR own.rela IS NULL AND own.rel IN ({either_way})) THEN 1
        ELSE 0
    END AS is_turned
FROM {mgrel} AS own LEFT JOIN {turned_name} AS name ON name.relation = COALESCE(own.rela, own.rel)
WHERE own.cui1 <> own.cui2 AND (own.suppress IS NULL OR own.suppress NOT IN ('O', 'E', 'Y'));

SELECT turned.cui, turned.relation, turned.other_cui, turned.rel, turned.source,
    STRPOS(turned.relation, 'not_') > 0 AS is_negated
FROM (
    SELECT stated.relation, stated.source,
        CASE WHEN stated.is_turned = 1 THEN stated.other_cui ELSE stated.cui END AS cui,
        CASE WHEN stated.is_turned = 1 THEN stated.cui ELSE stated.other_cui END AS other_cui,
        CASE WHEN stated.is_turned = 1 THEN COALESCE(opposite.turned, stated.rel) ELSE stated.rel END AS rel
    FROM {stated} AS stated LEFT JOIN {opposites} AS opposite ON opposite.rel = stated.rel
) AS turned
GROUP BY turned.cui, turned.relation, turned.other_cui, turned.rel, turned.source;
