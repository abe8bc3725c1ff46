-- Facts that one of two releases has and the other has not, of concepts that did not come or go between them: those of
-- a new concept are as new as it is. The earlier release has what is there, less every change since; the later one the
-- same, less those after it.
CREATE TEMP TABLE {moved} AS
SELECT held.cui, held.id, held.note, held.label, held.before, held.after
FROM (
    SELECT fact.cui, fact.id, fact.note, MAX(fact.label) AS label,
        CASE WHEN SUM(fact.copies) > 0 THEN 1 ELSE 0 END AS before,
        CASE WHEN SUM(CASE WHEN fact.load_id BETWEEN 1 AND {until} THEN 0 ELSE fact.copies END) > 0 THEN 1 ELSE 0 END
        AS after
    FROM {fact} AS fact
    GROUP BY fact.cui, fact.id, fact.note
) AS held LEFT JOIN {change} AS gone
    ON gone.cui = held.cui AND (gone.old_name IS NULL OR gone.new_name IS NULL)
WHERE held.before <> held.after AND gone.cui IS NULL;

CREATE TEMP TABLE {ranked} AS
SELECT each_one.cui, literature.link_count AS links,
    ROW_NUMBER() OVER (ORDER BY COALESCE(literature.link_count, 0) DESC, each_one.cui) AS position
FROM (SELECT cui FROM {moved} GROUP BY cui) AS each_one
    LEFT JOIN {concept_literature} AS literature ON literature.cui = each_one.cui;

-- First how many concepts there are, and how many facts of each side.
SELECT 0 AS position, CAST(NULL AS VARCHAR(255)) AS cui, CAST(NULL AS VARCHAR(4096)) AS name,
    CAST(NULL AS VARCHAR(512)) AS id, CAST(NULL AS VARCHAR(255)) AS note, CAST(NULL AS VARCHAR(4096)) AS label,
    COALESCE(SUM(before), 0) AS before, COALESCE(SUM(after), 0) AS after, COUNT(DISTINCT cui) AS number
FROM {moved} AS counted
UNION ALL
SELECT ranked.position, ranked.cui, named.name, moved.id, moved.note, moved.label, moved.before, moved.after,
    ranked.links
FROM {ranked} AS ranked JOIN {moved} AS moved ON moved.cui = ranked.cui LEFT JOIN {names} AS named
    ON named.cui = ranked.cui
WHERE ranked.position <= {listed}
ORDER BY 1, 4, 5;
