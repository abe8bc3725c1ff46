-- What happened between two releases, whatever lay between them: the facts of a release, of all its loads at once.

-- name: concepts
-- Takes the place of the loads of each release.
CREATE TEMP TABLE {run} AS
SELECT load.table_name, CAST({release} AS VARCHAR(255)) AS release, load.load_id
FROM {load_run} AS load
WHERE load.table_name = 'names' AND load.status = 'succeeded'
    AND load.load_id > {since_names} AND load.load_id <= {until_names};

-- First how many there are of each topic.
SELECT counted.topic, 0 AS position, CAST(NULL AS VARCHAR(255)) AS cui, CAST(NULL AS VARCHAR(4096)) AS label,
    CAST(NULL AS VARCHAR(4096)) AS detail, CAST(NULL AS VARCHAR(4096)) AS target, COUNT(*) AS number
FROM {item} AS counted GROUP BY counted.topic
UNION ALL
SELECT item.topic, item.position, item.cui, item.label, item.detail, target.name, item.links
FROM {item} AS item LEFT JOIN {names} AS target ON item.topic = 'merged' AND target.cui = item.detail
WHERE item.position <= {listed}
ORDER BY 1, 2;

-- Facts about concepts: production's, and how often each change since the earlier release has taken them away. Only
-- those of concepts of which something has changed between the two.

-- name: identifiers
SELECT own.cui, COALESCE(own.curie, own.source_id) AS id, own.kind AS note, own.source AS label,
    1 AS copies, 0 AS load_id
FROM {concept_xref} AS own WHERE own.cui IN (
    SELECT feed.cui FROM {changes_of_concept_xref} AS feed
    WHERE feed._load_id > {since_concept_xref} AND feed._load_id <= {until_concept_xref}
)
UNION ALL
SELECT feed.cui, COALESCE(feed.curie, feed.source_id), feed.kind, feed.source,
    CASE WHEN feed._change_type IN ('delete', 'update_preimage') THEN 1 ELSE -1 END, feed._load_id
FROM {changes_of_concept_xref} AS feed WHERE feed._load_id > {since_concept_xref};

-- name: genes
SELECT own.cui, CAST(own.gene_id AS VARCHAR(20)) AS id, own.association AS note, own.symbol AS label,
    1 AS copies, 0 AS load_id
FROM {gene_disease} AS own WHERE own.cui IN (
    SELECT feed.cui FROM {changes_of_gene_disease} AS feed
    WHERE feed._load_id > {since_gene_disease} AND feed._load_id <= {until_gene_disease}
)
UNION ALL
SELECT feed.cui, CAST(feed.gene_id AS VARCHAR(20)), feed.association, feed.symbol,
    CASE WHEN feed._change_type IN ('delete', 'update_preimage') THEN 1 ELSE -1 END, feed._load_id
FROM {changes_of_gene_disease} AS feed WHERE feed._load_id > {since_gene_disease};

-- name: phenotypes
SELECT own.disease_cui AS cui, own.phenotype_id AS id,
    CASE WHEN own.is_negated THEN 'denied' ELSE own.kind END AS note, own.phenotype_name AS label,
    1 AS copies, 0 AS load_id
FROM {disease_phenotype} AS own WHERE own.disease_cui IN (
    SELECT feed.disease_cui FROM {changes_of_disease_phenotype} AS feed
    WHERE feed._load_id > {since_disease_phenotype} AND feed._load_id <= {until_disease_phenotype}
)
UNION ALL
SELECT feed.disease_cui, feed.phenotype_id, CASE WHEN feed.is_negated THEN 'denied' ELSE feed.kind END,
    feed.phenotype_name,
    CASE WHEN feed._change_type IN ('delete', 'update_preimage') THEN 1 ELSE -1 END, feed._load_id
FROM {changes_of_disease_phenotype} AS feed WHERE feed._load_id > {since_disease_phenotype};
