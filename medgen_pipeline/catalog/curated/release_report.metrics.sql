-- The newest release.
CREATE TEMP TABLE {newest} AS
SELECT report.topic, report.subject, report.position, report.label, report.detail,
    report.rows_inserted, report.rows_updated, report.rows_deleted, report.total
FROM {release_report} AS report
    JOIN (SELECT MAX(release) AS release FROM {release_report}) AS newest ON newest.release = report.release;

-- Numbers, which plot: concepts of each topic, rows of all tables together.

-- name: report/new_disease
SELECT COALESCE(SUM(total), 0) AS found FROM {newest} WHERE topic = 'total' AND subject = 'new disease';

-- name: report/new_concept
SELECT COALESCE(SUM(total), 0) AS found FROM {newest} WHERE topic = 'total' AND subject = 'new concept';

-- name: report/renamed
SELECT COALESCE(SUM(total), 0) AS found FROM {newest} WHERE topic = 'total' AND subject = 'renamed';

-- name: report/merged
SELECT COALESCE(SUM(total), 0) AS found FROM {newest} WHERE topic = 'total' AND subject = 'merged';

-- name: report/retired
SELECT COALESCE(SUM(total), 0) AS found FROM {newest} WHERE topic = 'total' AND subject = 'retired';

-- name: report/rows_inserted
SELECT COALESCE(SUM(rows_inserted), 0) AS found FROM {newest};

-- name: report/rows_updated
SELECT COALESCE(SUM(rows_updated), 0) AS found FROM {newest};

-- name: report/rows_deleted
SELECT COALESCE(SUM(rows_deleted), 0) AS found FROM {newest};

-- Tables, which the dialog shows.

-- name: report/concepts
-- The first of each topic, and how many more there are.
SELECT listed.topic, listed.subject, listed.label, listed.detail
FROM (
    SELECT topic, subject, label, detail, position FROM {newest} WHERE position <= {shown}
    UNION ALL
    SELECT subject, NULL, CAST(total - {shown} AS VARCHAR(20)) || ' more', NULL, {shown} + 1
    FROM {newest} WHERE topic = 'total' AND total > {shown}
) AS listed JOIN {topics} AS topics ON topics.topic = listed.topic
ORDER BY topics.place, listed.position;

-- name: report/tables
SELECT subject, detail, total, rows_inserted, rows_updated, rows_deleted, rows_inserted + rows_updated + rows_deleted
FROM {newest} WHERE topic = 'table' ORDER BY position;

-- name: report/releases
SELECT release,
    COALESCE(MAX(CASE WHEN topic = 'total' AND subject = 'new disease' THEN total END), 0),
    COALESCE(MAX(CASE WHEN topic = 'total' AND subject = 'new concept' THEN total END), 0),
    COALESCE(MAX(CASE WHEN topic = 'total' AND subject = 'renamed' THEN total END), 0),
    COALESCE(MAX(CASE WHEN topic = 'total' AND subject = 'merged' THEN total END), 0),
    COALESCE(MAX(CASE WHEN topic = 'total' AND subject = 'retired' THEN total END), 0),
    CAST(SUM(CASE WHEN topic = 'table' THEN rows_inserted + rows_updated + rows_deleted ELSE 0 END) AS BIGINT)
FROM {release_report} AS report WHERE topic IN ('table', 'total')
GROUP BY release ORDER BY release DESC;
