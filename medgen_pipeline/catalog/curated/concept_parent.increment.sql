-- The edges of a child are a part. They are other than before where one of its relationships is, and where it or a
-- parent has come or gone.

CREATE TEMP TABLE {moved} AS
SELECT cui FROM {recent_names} AS feed WHERE _change_type IN ('insert', 'delete') GROUP BY cui;

CREATE TEMP TABLE {affected} AS
SELECT CASE WHEN feed.rel = 'PAR' THEN feed.cui1 ELSE feed.cui2 END AS cui
FROM {recent_mgrel} AS feed WHERE feed.rel IN ('PAR', 'CHD')
UNION SELECT cui FROM {moved} AS moved
UNION SELECT own.cui1 FROM {mgrel} AS own JOIN {moved} AS moved ON moved.cui = own.cui2 WHERE own.rel = 'PAR'
UNION SELECT own.cui2 FROM {mgrel} AS own JOIN {moved} AS moved ON moved.cui = own.cui1 WHERE own.rel = 'CHD';

CREATE TEMP TABLE {mgrel} AS
SELECT own.* FROM {mgrel} AS own JOIN {affected} AS affected ON affected.cui = own.cui1 WHERE own.rel = 'PAR'
UNION ALL
SELECT own.* FROM {mgrel} AS own JOIN {affected} AS affected ON affected.cui = own.cui2 WHERE own.rel = 'CHD';

CREATE TEMP TABLE {names} AS
SELECT own.* FROM {names} AS own
WHERE own.cui IN (SELECT cui1 FROM {mgrel} AS one UNION SELECT cui2 FROM {mgrel} AS other);
