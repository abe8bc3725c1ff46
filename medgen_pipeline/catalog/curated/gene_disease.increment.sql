-- A gene is a part: it is other than before where a row of it is in either file, where one of its concepts leads, or
-- what it is called. Other columns of gene_info change every day.

CREATE TEMP TABLE {affected} AS
SELECT gene_id FROM {recent_mim2gene_medgen} AS feed WHERE gene_id IS NOT NULL
UNION SELECT gene_id FROM {recent_gene_condition_source_id} AS feed WHERE gene_id IS NOT NULL
UNION SELECT own.gene_id
    FROM {mim2gene_medgen} AS own JOIN {recent_cui_redirect} AS moved ON moved.cui = own.medgen_cui
    WHERE own.gene_id IS NOT NULL
UNION SELECT own.gene_id
    FROM {gene_condition_source_id} AS own JOIN {recent_cui_redirect} AS moved ON moved.cui = own.concept_id
    WHERE own.gene_id IS NOT NULL
UNION SELECT renamed.gene_id
    FROM (
        SELECT gene_id, COALESCE(symbol_from_nomenclature_authority, symbol) AS symbol,
            SUM(CASE WHEN _change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END) AS copies
        FROM {recent_gene_info} AS feed WHERE gene_id IS NOT NULL
        GROUP BY gene_id, COALESCE(symbol_from_nomenclature_authority, symbol)
    ) AS renamed
    WHERE renamed.copies <> 0;

CREATE TEMP TABLE {mim2gene_medgen} AS
SELECT own.* FROM {mim2gene_medgen} AS own WHERE own.gene_id IN (SELECT gene_id FROM {affected});

CREATE TEMP TABLE {gene_condition_source_id} AS
SELECT own.* FROM {gene_condition_source_id} AS own WHERE own.gene_id IN (SELECT gene_id FROM {affected});

CREATE TEMP TABLE {gene_info} AS
SELECT own.* FROM {gene_info} AS own WHERE own.gene_id IN (SELECT gene_id FROM {affected});
