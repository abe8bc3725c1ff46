-- Days of ClinVar's, written as "Feb 16 2016" or "21 May 2021"; what is neither is left out.
CREATE TEMP TABLE {written_day} AS
SELECT written.last_updated, written.year, written.month, written.day, written.days
FROM (
    SELECT own.last_updated, SPLIT_PART(own.last_updated, ' ', 3) AS year, month.number AS month, month.days,
        CASE
            WHEN SPLIT_PART(own.last_updated, ' ', 1) = month.name THEN SPLIT_PART(own.last_updated, ' ', 2)
            ELSE SPLIT_PART(own.last_updated, ' ', 1)
        END AS day
    FROM {gene_condition_source_id} AS own JOIN {months} AS month
        ON month.name = SPLIT_PART(own.last_updated, ' ', 1) OR month.name = SPLIT_PART(own.last_updated, ' ', 2)
    GROUP BY own.last_updated, month.name, month.number, month.days
) AS written
WHERE written.day ~ '^[0-9][0-9]?$' AND written.year ~ '^[0-9][0-9][0-9][0-9]$';

CREATE TEMP TABLE {day} AS
SELECT last_updated, CAST(year || '-' || month || '-' || LPAD(day, 2, '0') AS DATE) AS last_updated_on
FROM {written_day}
WHERE CAST(day AS BIGINT) BETWEEN 1
    AND days + CASE WHEN month = '02' AND MOD(CAST(year AS BIGINT), 4) = 0 THEN 1 ELSE 0 END;

-- A gene has one symbol. That of gene_info goes before ClinVar's.
CREATE TEMP TABLE {symbol} AS
SELECT told.gene_id, COALESCE(MIN(CASE WHEN told.is_gene_info = 1 THEN told.symbol END), MIN(told.symbol)) AS symbol
FROM (
    SELECT gene_id, 0 AS is_gene_info, COALESCE(associated_genes, related_genes) AS symbol
    FROM {gene_condition_source_id}
    UNION SELECT gene_id, 1, COALESCE(symbol_from_nomenclature_authority, symbol) FROM {gene_info} AS info
) AS told
GROUP BY told.gene_id;

-- Both files. The sources of mim2gene_medgen are a list, " GeneMap; GeneReviews", of which each becomes a row.
CREATE TEMP TABLE {listed} AS
SELECT own.gene_id, own.medgen_cui AS published_cui, 'mim2gene_medgen' AS listed_in, own.mim_number,
    CASE
        WHEN STRPOS(own.comment, 'nondisease') > 0 THEN 'nondisease'
        WHEN STRPOS(own.comment, 'question') > 0 THEN 'question'
        WHEN STRPOS(own.comment, 'susceptibility') > 0 THEN 'susceptibility'
        WHEN STRPOS(own.comment, 'somatic') > 0 THEN 'somatic'
        WHEN own.comment IS NOT NULL THEN 'other'
        ELSE 'causal'
    END AS association,
    COALESCE(NULLIF(SPLIT_PART(TRIM(own.source), '; ', CAST(place.place AS INTEGER)), ''), 'NCBI') AS source,
    CAST(NULL AS DATE) AS last_updated
FROM {mim2gene_medgen} AS own JOIN {places} AS place
    ON place.place = 1 OR SPLIT_PART(TRIM(own.source), '; ', CAST(place.place AS INTEGER)) <> ''
WHERE own.gene_id IS NOT NULL AND own.medgen_cui IS NOT NULL
UNION ALL
SELECT own.gene_id, own.concept_id, 'gene_condition_source_id', own.disease_mim,
    CASE WHEN own.associated_genes IS NULL THEN 'related' ELSE 'causal' END,
    COALESCE(own.source_name, 'ClinVar'), day.last_updated_on
FROM {gene_condition_source_id} AS own LEFT JOIN {day} AS day ON day.last_updated = own.last_updated
WHERE own.gene_id IS NOT NULL AND own.concept_id IS NOT NULL;

SELECT COALESCE(redirect.current_cui, listed.published_cui) AS cui, listed.gene_id, symbol.symbol, listed.association,
    listed.source, listed.mim_number, listed.listed_in, MAX(listed.last_updated) AS last_updated
FROM {listed} AS listed LEFT JOIN {symbol} AS symbol ON symbol.gene_id = listed.gene_id
    LEFT JOIN {cui_redirect} AS redirect ON redirect.cui = listed.published_cui
GROUP BY COALESCE(redirect.current_cui, listed.published_cui), listed.gene_id, symbol.symbol, listed.association,
    listed.source, listed.mim_number, listed.listed_in;
