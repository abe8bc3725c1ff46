-- A CUI is a part: itself and all that it leads to. So what has changed affects all that leads to it.

CREATE TEMP TABLE {step} AS
SELECT cui, to_cui FROM {merged} AS own
UNION SELECT previous_cui, current_cui FROM {medgen_cui_history} AS own WHERE current_cui ~ {cui_form}
UNION SELECT previous_concept_id, current_concept_id FROM {concept_id_history} AS own
    WHERE current_concept_id ~ {cui_form};

CREATE TEMP TABLE {affected} AS
SELECT cui FROM {recent_merged} AS feed
UNION SELECT previous_cui FROM {recent_medgen_cui_history} AS feed
UNION SELECT previous_concept_id FROM {recent_concept_id_history} AS feed
UNION SELECT cui FROM {recent_names} AS feed WHERE _change_type IN ('insert', 'delete');

INSERT INTO {affected}
SELECT step.cui
FROM {step} AS step JOIN {affected} AS affected ON affected.cui = step.to_cui
    LEFT JOIN {affected} AS seen ON seen.cui = step.cui
WHERE seen.cui IS NULL
GROUP BY step.cui;

CREATE TEMP TABLE {led_to} AS
SELECT cui FROM {affected} AS affected;

INSERT INTO {led_to}
SELECT step.to_cui
FROM {step} AS step JOIN {led_to} AS led_to ON led_to.cui = step.cui
    LEFT JOIN {led_to} AS seen ON seen.cui = step.to_cui
WHERE seen.cui IS NULL
GROUP BY step.to_cui;

CREATE TEMP TABLE {merged} AS
SELECT own.* FROM {merged} AS own WHERE own.cui IN (SELECT cui FROM {led_to});

CREATE TEMP TABLE {medgen_cui_history} AS
SELECT own.* FROM {medgen_cui_history} AS own WHERE own.previous_cui IN (SELECT cui FROM {led_to});

CREATE TEMP TABLE {concept_id_history} AS
SELECT own.* FROM {concept_id_history} AS own WHERE own.previous_concept_id IN (SELECT cui FROM {led_to});

CREATE TEMP TABLE {names} AS
SELECT own.* FROM {names} AS own WHERE own.cui IN (SELECT cui FROM {led_to});
