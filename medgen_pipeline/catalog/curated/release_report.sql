-- The load of each table and release that counts.
CREATE TEMP TABLE {run} AS
SELECT numbered.table_name, numbered.release, numbered.load_id, numbered.mode, numbered.rows_inserted,
    numbered.rows_updated, numbered.rows_deleted, numbered.rows_unchanged
FROM (
    SELECT load.table_name, load.release, load.load_id, load.mode, load.rows_inserted, load.rows_updated,
        load.rows_deleted, load.rows_unchanged,
        ROW_NUMBER() OVER (PARTITION BY load.table_name, load.release
            ORDER BY CASE WHEN load.mode = 'unchanged' THEN 1 ELSE 0 END, load.load_id DESC) AS place
    FROM {load_run} AS load JOIN {table_names} AS listed ON listed.table_name = load.table_name
    WHERE load.status = 'succeeded'
) AS numbered
WHERE numbered.place = 1;

-- One row per release and concept whose row in names came, went or changed its name. What its loads have put in and
-- taken out is added up, so that a name that was changed back is none, and an update may be a delete and an insert.
CREATE TEMP TABLE {change} AS
SELECT named.release, named.cui,
    MAX(CASE WHEN named.copies < 0 THEN named.name END) AS old_name,
    MAX(CASE WHEN named.copies > 0 THEN named.name END) AS new_name
FROM (
    SELECT run.release, changed.cui, TRIM(changed.name) AS name,
        SUM(CASE WHEN changed._change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END) AS copies
    FROM {changes_of_names} AS changed JOIN {run} AS run
        ON run.load_id = changed._load_id AND run.table_name = 'names'
    GROUP BY run.release, changed.cui, TRIM(changed.name)
) AS named
WHERE named.copies <> 0
GROUP BY named.release, named.cui;

-- The concepts worth a look, in the order in which they are listed.
CREATE TEMP TABLE {item} AS
SELECT sorted.release, sorted.topic, sorted.cui, sorted.label, sorted.detail, sorted.links,
    ROW_NUMBER() OVER (PARTITION BY sorted.release, sorted.topic ORDER BY sorted.links DESC, sorted.cui) AS position
FROM (
    SELECT change.release, change.cui, COALESCE(literature.link_count, 0) AS links,
        CASE
            WHEN change.old_name IS NULL AND disease.cui IS NOT NULL THEN 'new disease'
            WHEN change.old_name IS NULL THEN 'new concept'
            WHEN change.new_name IS NOT NULL THEN 'renamed'
            WHEN redirect.status = 'current' THEN 'merged'
            ELSE 'retired'
        END AS topic,
        COALESCE(change.new_name, change.old_name) AS label,
        CASE
            WHEN change.old_name IS NULL THEN NULL
            WHEN change.new_name IS NOT NULL THEN change.old_name
            WHEN redirect.status = 'current' THEN redirect.current_cui
            ELSE COALESCE(redirect.status, 'not explained')
        END AS detail
    FROM {change} AS change
        LEFT JOIN {concept_literature} AS literature ON literature.cui = change.cui
        LEFT JOIN {cui_redirect} AS redirect ON redirect.cui = change.cui
        LEFT JOIN (
            SELECT typed.cui
            FROM (
                SELECT cui, tui FROM {mgsty} UNION ALL SELECT cui, tui FROM {changes_of_mgsty} AS past
            ) AS typed JOIN {disease_types} AS disease ON disease.tui = typed.tui
            GROUP BY typed.cui
        ) AS disease ON disease.cui = change.cui
    WHERE change.old_name IS NULL OR change.new_name IS NULL OR change.new_name <> change.old_name
) AS sorted;

SELECT release, 'table' AS topic, table_name AS subject,
    ROW_NUMBER() OVER (PARTITION BY release ORDER BY table_name) AS position,
    CAST(NULL AS VARCHAR(4096)) AS label, CAST(mode AS VARCHAR(4096)) AS detail,
    rows_inserted, rows_updated, rows_deleted, rows_inserted + rows_updated + rows_unchanged AS total
FROM {run}
UNION ALL
SELECT counted.release, 'total', topics.topic, topics.place, NULL, NULL, NULL, NULL, NULL, COUNT(item.cui)
FROM (SELECT release FROM {run} WHERE table_name = 'names' GROUP BY release) AS counted
    CROSS JOIN {topics} AS topics
    LEFT JOIN {item} AS item ON item.release = counted.release AND item.topic = topics.topic
GROUP BY counted.release, topics.topic, topics.place
UNION ALL
SELECT release, topic, cui, position, label, detail, NULL, NULL, NULL, NULL
FROM {item} WHERE position <= {listed};
