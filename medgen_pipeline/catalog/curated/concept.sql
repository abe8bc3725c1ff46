-- One definition of each concept. LENGTH and MD5 decide between those of one source, because the order of texts is not
-- the same everywhere.
CREATE TEMP TABLE {definition} AS
SELECT ranked.cui, ranked.def, ranked.source
FROM (
    SELECT told.cui, told.def, told.source,
        ROW_NUMBER() OVER (PARTITION BY told.cui ORDER BY
            CASE WHEN told.suppress IN ('O', 'E', 'Y') THEN 1 ELSE 0 END,
            COALESCE(listed.place, 1000), LENGTH(told.def) DESC, MD5(told.def)) AS place
    FROM {mgdef} AS told LEFT JOIN {order_of_sources} AS listed ON listed.source = told.source
) AS ranked
WHERE ranked.place = 1;

CREATE TEMP TABLE {typed} AS
SELECT own.cui, COUNT(*) AS types, MAX(own.sty) AS sty, MAX(own.is_disease) AS is_disease
FROM (
    SELECT typed.cui, typed.tui, COALESCE(typed.sty, typed.tui) AS sty,
        CASE WHEN disease.tui IS NULL THEN 0 ELSE 1 END AS is_disease
    FROM {mgsty} AS typed LEFT JOIN {disease_types} AS disease ON disease.tui = typed.tui
) AS own
GROUP BY own.cui;

-- Aggregates of text differ between warehouses, so where there are several types they are put in a row by number. UMLS
-- gives no concept more than five; what would be beyond six is not in the text, but counts for is_disease.
CREATE TEMP TABLE {several_types} AS
SELECT numbered.cui,
    MAX(CASE WHEN numbered.place = 1 THEN numbered.sty END)
        || COALESCE(MAX(CASE WHEN numbered.place = 2 THEN '; ' || numbered.sty END), '')
        || COALESCE(MAX(CASE WHEN numbered.place = 3 THEN '; ' || numbered.sty END), '')
        || COALESCE(MAX(CASE WHEN numbered.place = 4 THEN '; ' || numbered.sty END), '')
        || COALESCE(MAX(CASE WHEN numbered.place = 5 THEN '; ' || numbered.sty END), '')
        || COALESCE(MAX(CASE WHEN numbered.place = 6 THEN '; ' || numbered.sty END), '')
        AS semantic_types
FROM (
    SELECT own.cui, own.sty, ROW_NUMBER() OVER (PARTITION BY own.cui ORDER BY own.tui, MD5(own.sty)) AS place
    FROM (
        SELECT each_type.cui, each_type.tui, COALESCE(each_type.sty, each_type.tui) AS sty
        FROM {mgsty} AS each_type JOIN {typed} AS typed ON typed.cui = each_type.cui AND typed.types > 1
        GROUP BY each_type.cui, each_type.tui, COALESCE(each_type.sty, each_type.tui)
    ) AS own
) AS numbered
GROUP BY numbered.cui;

CREATE TEMP TABLE {synonyms} AS
SELECT each_name.cui, COUNT(*) AS names
FROM (SELECT cui, name FROM {concept_name} WHERE NOT is_preferred GROUP BY cui, name) AS each_name
GROUP BY each_name.cui;

CREATE TEMP TABLE {uids} AS
SELECT cui, MIN(CASE WHEN source_id ~ '^[0-9]+$' THEN CAST(source_id AS BIGINT) END) AS uid
FROM {medgen_id_mappings} WHERE source = 'MedGen' GROUP BY cui;

-- Genes are listed by the concept of their day.
CREATE TEMP TABLE {genes} AS
SELECT COALESCE(redirect.current_cui, listed.cui) AS cui, COUNT(DISTINCT listed.gene_id) AS genes
FROM (
    SELECT medgen_cui AS cui, gene_id FROM {mim2gene_medgen} AS listed
    UNION ALL SELECT concept_id, gene_id FROM {gene_condition_source_id} AS listed
) AS listed LEFT JOIN {cui_redirect} AS redirect ON redirect.cui = listed.cui
GROUP BY COALESCE(redirect.current_cui, listed.cui);

SELECT living.cui, CASE WHEN living.cui ~ '^C[0-9]+$' THEN 'UMLS:' ELSE 'medgen.cid:' END || living.cui AS curie,
    uids.uid, living.name, living.source AS name_source,
    definition.def AS definition, definition.source AS definition_source,
    COALESCE(several.semantic_types, typed.sty) AS semantic_types,
    COALESCE(typed.is_disease = 1, FALSE) AS is_disease,
    placeholder.name IS NOT NULL AS is_placeholder,
    COALESCE(synonyms.names, 0) AS synonym_count, COALESCE(literature.link_count, 0) AS link_count,
    CASE WHEN {has_mim2gene_medgen} + {has_gene_condition_source_id} = 2 THEN COALESCE(genes.genes, 0) END AS gene_count
FROM {names} AS living
    LEFT JOIN {placeholders} AS placeholder ON placeholder.name = LOWER(TRIM(living.name))
    LEFT JOIN {uids} AS uids ON uids.cui = living.cui
    LEFT JOIN {definition} AS definition ON definition.cui = living.cui
    LEFT JOIN {typed} AS typed ON typed.cui = living.cui
    LEFT JOIN {several_types} AS several ON several.cui = living.cui
    LEFT JOIN {synonyms} AS synonyms ON synonyms.cui = living.cui
    LEFT JOIN {genes} AS genes ON genes.cui = living.cui
    LEFT JOIN {concept_literature} AS literature ON literature.cui = living.cui;
