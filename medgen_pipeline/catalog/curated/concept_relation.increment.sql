-- Two concepts are a part, whichever comes first: all that is said of how they relate.

CREATE TEMP TABLE {affected} AS
SELECT cui1 AS cui, cui2 AS other_cui FROM {recent_mgrel} AS feed
UNION SELECT cui2, cui1 FROM {recent_mgrel} AS feed;

CREATE TEMP TABLE {mgrel} AS
SELECT own.* FROM {mgrel} AS own JOIN {affected} AS affected
    ON affected.cui = own.cui1 AND affected.other_cui = own.cui2;
