-- Everything above a concept, in three steps: find the cycles, cut them, walk up what is left.
--
-- The remarks "in the example" follow the six concepts of docs/hierarchy.md:
--
--     disease <- skin disease <-> other skin disease <- eczema <- atopic eczema, which is also below skin disease
--                                 other skin disease <- psoriasis

-- 1. Find the cycles ------------------------------------------------------------------------------------------------

-- Who is directly above whom, whatever vocabulary says so. In the example: seven edges.
CREATE TEMP TABLE {edge} AS
SELECT cui, parent_cui FROM {concept_parent}
WHERE '*' IN ({sources}) OR source IN ({sources})
GROUP BY cui, parent_cui;

-- The edges on cycles, and on ways between two: what is left when concepts without children, then those without
-- parents, are taken off until there is none. Four of five concepts have no children, so the first line does most.
-- In the example: skin disease -> other skin disease, and back.
CREATE TEMP TABLE {cycle} AS
SELECT cui, parent_cui FROM {edge} WHERE cui IN (SELECT parent_cui FROM {edge});

DELETE FROM {cycle} WHERE NOT EXISTS (SELECT 1 FROM {cycle} AS below WHERE below.parent_cui = {cycle}.cui);

DELETE FROM {cycle} WHERE NOT EXISTS (SELECT 1 FROM {cycle} AS above WHERE above.cui = {cycle}.parent_cui);

-- All ways up from there; distance is the shortest. A pair is added once, so this ends on any graph.
-- In the example: skin disease reaches disease in 1, the other in 1 and itself in 2; the other reaches skin disease in
-- 1, disease in 2 and itself in 2.
CREATE TEMP TABLE {walk} AS
SELECT cui, parent_cui AS ancestor_cui, CAST(1 AS BIGINT) AS distance FROM {edge}
WHERE cui IN (SELECT cui FROM {cycle});

INSERT INTO {walk}
SELECT walk.cui, edge.parent_cui, {round} + 1
FROM {walk} AS walk JOIN {edge} AS edge ON edge.cui = walk.ancestor_cui
    LEFT JOIN {walk} AS seen ON seen.cui = walk.cui AND seen.ancestor_cui = edge.parent_cui
WHERE walk.distance = {round} AND seen.cui IS NULL
GROUP BY walk.cui, edge.parent_cui;

-- Concepts that are above each other are one group, called by its lowest CUI. In the example: one group of two; skin
-- disease has 2 children, the other has 3.
CREATE TEMP TABLE {member} AS
SELECT grouped.cui, grouped.leader, children.children
FROM (
    SELECT walk.cui, MIN(walk.ancestor_cui) AS leader
    FROM {walk} AS walk JOIN {walk} AS back ON back.cui = walk.ancestor_cui AND back.ancestor_cui = walk.cui
    GROUP BY walk.cui
) AS grouped
    JOIN (SELECT parent_cui, COUNT(*) AS children FROM {edge} GROUP BY parent_cui) AS children
        ON children.parent_cui = grouped.cui;

-- 2. Cut them -------------------------------------------------------------------------------------------------------

-- Where nothing is above a group, its top is the one with the most children. In the example: none, disease is above.
CREATE TEMP TABLE {head} AS
SELECT ranked.cui
FROM (
    SELECT member.cui,
        ROW_NUMBER() OVER (PARTITION BY member.leader ORDER BY member.children DESC, member.cui) AS place
    FROM {member} AS member
        LEFT JOIN (
            SELECT own.leader
            FROM {walk} AS walk JOIN {member} AS own ON own.cui = walk.cui
                LEFT JOIN {member} AS other ON other.cui = walk.ancestor_cui AND other.leader = own.leader
            WHERE other.cui IS NULL
            GROUP BY own.leader
        ) AS topped ON topped.leader = member.leader
    WHERE topped.leader IS NULL
) AS ranked
WHERE ranked.place = 1;

-- Each has its place in its group, the nearest to the top first, so that each step of a shortest way to the top leads
-- to an earlier place or out of the group. A head counts as a top only where no other is above the group.
-- In the example: skin disease is 1 below the top and has place 1, the other is 2 below it and has place 2.
CREATE TEMP TABLE {place} AS
SELECT member.cui, member.leader, ROW_NUMBER() OVER (
    PARTITION BY member.leader
    ORDER BY CASE WHEN head.cui IS NULL THEN depth.distance ELSE 0 END, member.children DESC, member.cui) AS place
FROM {member} AS member LEFT JOIN {head} AS head ON head.cui = member.cui
    LEFT JOIN (
        SELECT walk.cui,
            COALESCE(MIN(CASE WHEN above.cui IS NULL THEN walk.distance END), MIN(walk.distance)) AS distance
        FROM {walk} AS walk LEFT JOIN {edge} AS above ON above.cui = walk.ancestor_cui
            LEFT JOIN {head} AS head ON head.cui = walk.ancestor_cui
        WHERE above.cui IS NULL OR head.cui IS NOT NULL
        GROUP BY walk.cui
    ) AS depth ON depth.cui = member.cui;

-- The edges within groups. In the example: the two of the cycle.
CREATE TEMP TABLE {inner_edge} AS
SELECT cycle.cui, cycle.parent_cui
FROM {cycle} AS cycle JOIN {place} AS own ON own.cui = cycle.cui
    JOIN {place} AS parent ON parent.cui = cycle.parent_cui AND parent.leader = own.leader;

-- The first of each group is its top: its edges up within the group are cut. What is on no cycle any more is taken off
-- before the next of those that are left has its turn. So the next step of a shortest way to the top is never cut.
-- In the example: skin disease -> other skin disease is cut, then the way back is on no cycle any more.
CREATE TEMP TABLE {cut} AS
SELECT cui, parent_cui FROM {inner_edge} WHERE 1 = 0;

DELETE FROM {inner_edge}
WHERE NOT EXISTS (SELECT 1 FROM {inner_edge} AS below WHERE below.parent_cui = {inner_edge}.cui);

DELETE FROM {inner_edge}
WHERE NOT EXISTS (SELECT 1 FROM {inner_edge} AS above WHERE above.cui = {inner_edge}.parent_cui);

-- Nothing is cut while there is anything to take off.
INSERT INTO {cut}
SELECT inner_edge.cui, inner_edge.parent_cui
FROM {inner_edge} AS inner_edge JOIN {place} AS own ON own.cui = inner_edge.cui
    JOIN (
        SELECT place.leader, MIN(place.place) AS place
        FROM {inner_edge} AS one JOIN {place} AS place ON place.cui = one.cui
        GROUP BY place.leader
    ) AS top_of ON top_of.leader = own.leader AND top_of.place = own.place
WHERE NOT EXISTS (
    SELECT 1
    FROM {inner_edge} AS loose LEFT JOIN {inner_edge} AS below ON below.parent_cui = loose.cui
        LEFT JOIN {inner_edge} AS above ON above.cui = loose.parent_cui
    WHERE below.cui IS NULL OR above.cui IS NULL
);

DELETE FROM {inner_edge}
WHERE EXISTS (
    SELECT 1 FROM {cut} AS cut WHERE cut.cui = {inner_edge}.cui AND cut.parent_cui = {inner_edge}.parent_cui
);

-- 3. Walk up what is left -------------------------------------------------------------------------------------------

-- The hierarchy. In the example: six of the seven edges.
CREATE TEMP TABLE {kept} AS
SELECT edge.cui, edge.parent_cui
FROM {edge} AS edge LEFT JOIN {cut} AS cut ON cut.cui = edge.cui AND cut.parent_cui = edge.parent_cui
WHERE cut.cui IS NULL;

-- From a concept to itself and to what is above it, level by level; without cycles it ends by itself. That is done for
-- concepts with grandchildren alone, few in a hundred: above any other are its parents and what is above them.
-- In the example: from disease, skin disease and the other.
CREATE TEMP TABLE {reached} AS
SELECT parent_cui AS cui, parent_cui AS ancestor_cui, CAST(0 AS BIGINT) AS distance FROM {kept}
WHERE cui IN (SELECT parent_cui FROM {kept})
GROUP BY parent_cui;

INSERT INTO {reached}
SELECT reached.cui, kept.parent_cui, {round}
FROM {reached} AS reached JOIN {kept} AS kept ON kept.cui = reached.ancestor_cui
WHERE reached.distance = {round} - 1 AND {round} < {max_depth}
GROUP BY reached.cui, kept.parent_cui;

-- The same for all concepts with children, so with eczema in the example: to itself in 0, to the other skin disease in
-- 1, to skin disease in 2, to disease in 3. Of several ways to the same ancestor the shortest counts; looking for it in
-- every round above took twice as long.
CREATE TEMP TABLE {nearest} AS
SELECT way.cui, way.ancestor_cui, MIN(way.distance) AS distance
FROM (
    SELECT parent_cui AS cui, parent_cui AS ancestor_cui, 0 AS distance FROM {kept} GROUP BY parent_cui
    UNION ALL
    SELECT kept.cui, reached.ancestor_cui, reached.distance + 1
    FROM {kept} AS kept JOIN {reached} AS reached ON reached.cui = kept.parent_cui
    WHERE kept.cui IN (SELECT parent_cui FROM {kept}) AND reached.distance + 1 < {max_depth}
) AS way
GROUP BY way.cui, way.ancestor_cui;

CREATE TEMP TABLE {parents} AS
SELECT cui, COUNT(*) AS parents FROM {kept} GROUP BY cui;

-- Every concept is one step below what its parents reach. Most have one parent, and nothing to choose from. In the
-- example atopic eczema has two: it is 1 below skin disease, not 3.
SELECT kept.cui, nearest.ancestor_cui, nearest.distance + 1 AS distance
FROM {kept} AS kept JOIN {parents} AS parents ON parents.cui = kept.cui AND parents.parents = 1
    JOIN {nearest} AS nearest ON nearest.cui = kept.parent_cui
UNION ALL
SELECT kept.cui, nearest.ancestor_cui, MIN(nearest.distance) + 1
FROM {kept} AS kept JOIN {parents} AS parents ON parents.cui = kept.cui AND parents.parents > 1
    JOIN {nearest} AS nearest ON nearest.cui = kept.parent_cui
GROUP BY kept.cui, nearest.ancestor_cui;
