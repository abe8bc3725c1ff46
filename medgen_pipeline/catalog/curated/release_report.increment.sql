-- A release is a part. That of a load is other than before, and those that list a concept of which something is.

CREATE TEMP TABLE {moved} AS
SELECT cui FROM {recent_concept_literature} AS feed
UNION SELECT cui FROM {recent_cui_redirect} AS feed
UNION SELECT cui FROM {recent_mgsty} AS feed;

CREATE TEMP TABLE {affected} AS
SELECT release FROM {recent_load_run} AS run
UNION SELECT run.release
    FROM {changes_of_names} AS changed JOIN {moved} AS moved ON moved.cui = changed.cui
        JOIN {load_run} AS run ON run.load_id = changed._load_id;

CREATE TEMP TABLE {load_run} AS
SELECT own.* FROM {load_run} AS own WHERE own.release IN (SELECT release FROM {affected});

CREATE TEMP TABLE {changes_of_names} AS
SELECT own.* FROM {changes_of_names} AS own WHERE own._load_id IN (SELECT load_id FROM {load_run});

CREATE TEMP TABLE {mgsty} AS
SELECT own.* FROM {mgsty} AS own WHERE own.cui IN (SELECT cui FROM {changes_of_names});

CREATE TEMP TABLE {changes_of_mgsty} AS
SELECT own.* FROM {changes_of_mgsty} AS own WHERE own.cui IN (SELECT cui FROM {changes_of_names});

CREATE TEMP TABLE {concept_literature} AS
SELECT own.* FROM {concept_literature} AS own WHERE own.cui IN (SELECT cui FROM {changes_of_names});

CREATE TEMP TABLE {cui_redirect} AS
SELECT own.* FROM {cui_redirect} AS own WHERE own.cui IN (SELECT cui FROM {changes_of_names});
