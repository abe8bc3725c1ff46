-- A disease and a phenotype are a part; it is other than before where a row of the file is, or the name of one of them.

CREATE TEMP TABLE {moved} AS
SELECT cui FROM {recent_names} AS feed GROUP BY cui;

CREATE TEMP TABLE {affected} AS
SELECT feed.omim_cui AS disease_cui, feed.hpo_cui AS phenotype_cui FROM {recent_medgen_hpo_omim_mapping} AS feed
UNION SELECT own.omim_cui, own.hpo_cui
    FROM {medgen_hpo_omim_mapping} AS own JOIN {moved} AS moved ON moved.cui = own.omim_cui
UNION SELECT own.omim_cui, own.hpo_cui
    FROM {medgen_hpo_omim_mapping} AS own JOIN {moved} AS moved ON moved.cui = own.hpo_cui;

CREATE TEMP TABLE {medgen_hpo_omim_mapping} AS
SELECT own.* FROM {medgen_hpo_omim_mapping} AS own JOIN {affected} AS affected
    ON affected.disease_cui = own.omim_cui AND affected.phenotype_cui = own.hpo_cui;

CREATE TEMP TABLE {names} AS
SELECT own.* FROM {names} AS own
WHERE own.cui IN (SELECT disease_cui FROM {affected} UNION SELECT phenotype_cui FROM {affected});
