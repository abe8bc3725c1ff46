-- A concept is a part: it is other than before where a row of it is in any table, or where a gene is listed by it or by
-- what was merged into it.

CREATE TEMP TABLE {affected} AS
SELECT cui FROM {recent_names} AS feed
UNION SELECT cui FROM {recent_mgdef} AS feed
UNION SELECT cui FROM {recent_mgsty} AS feed
UNION SELECT cui FROM {recent_concept_name} AS feed
UNION SELECT cui FROM {recent_medgen_id_mappings} AS feed
UNION SELECT cui FROM {recent_concept_literature} AS feed
UNION SELECT medgen_cui FROM {recent_mim2gene_medgen} AS feed WHERE medgen_cui IS NOT NULL
UNION SELECT redirect.current_cui
    FROM {recent_mim2gene_medgen} AS feed JOIN {cui_redirect} AS redirect ON redirect.cui = feed.medgen_cui
    WHERE redirect.current_cui IS NOT NULL
UNION SELECT concept_id FROM {recent_gene_condition_source_id} AS feed WHERE concept_id IS NOT NULL
UNION SELECT redirect.current_cui
    FROM {recent_gene_condition_source_id} AS feed JOIN {cui_redirect} AS redirect ON redirect.cui = feed.concept_id
    WHERE redirect.current_cui IS NOT NULL
UNION SELECT current_cui FROM {recent_cui_redirect} AS feed WHERE current_cui IS NOT NULL;

CREATE TEMP TABLE {names} AS
SELECT own.* FROM {names} AS own WHERE own.cui IN (SELECT cui FROM {affected});

CREATE TEMP TABLE {mgdef} AS
SELECT own.* FROM {mgdef} AS own WHERE own.cui IN (SELECT cui FROM {affected});

CREATE TEMP TABLE {mgsty} AS
SELECT own.* FROM {mgsty} AS own WHERE own.cui IN (SELECT cui FROM {affected});

CREATE TEMP TABLE {concept_name} AS
SELECT own.* FROM {concept_name} AS own WHERE own.cui IN (SELECT cui FROM {affected});

CREATE TEMP TABLE {medgen_id_mappings} AS
SELECT own.* FROM {medgen_id_mappings} AS own WHERE own.cui IN (SELECT cui FROM {affected});

CREATE TEMP TABLE {concept_literature} AS
SELECT own.* FROM {concept_literature} AS own WHERE own.cui IN (SELECT cui FROM {affected});

CREATE TEMP TABLE {mim2gene_medgen} AS
SELECT own.*
FROM {mim2gene_medgen} AS own LEFT JOIN {cui_redirect} AS redirect ON redirect.cui = own.medgen_cui
WHERE COALESCE(redirect.current_cui, own.medgen_cui) IN (SELECT cui FROM {affected});

CREATE TEMP TABLE {gene_condition_source_id} AS
SELECT own.*
FROM {gene_condition_source_id} AS own LEFT JOIN {cui_redirect} AS redirect ON redirect.cui = own.concept_id
WHERE COALESCE(redirect.current_cui, own.concept_id) IN (SELECT cui FROM {affected});
