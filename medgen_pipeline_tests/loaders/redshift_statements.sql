ALTER TABLE "medgen"."growing" ADD COLUMN "current_cui" VARCHAR(255);

ALTER TABLE "medgen"."growing" ADD COLUMN "date_of_action__new" BIGINT;

ALTER TABLE "medgen"."growing" ADD COLUMN "date_of_action__new" VARCHAR(64);

ALTER TABLE "medgen"."growing" ALTER COLUMN "previous_cui" TYPE VARCHAR(64);

ALTER TABLE "medgen"."growing" DROP COLUMN "date_of_action";

ALTER TABLE "medgen"."growing" RENAME COLUMN "date_of_action__new" TO "date_of_action";

ALTER TABLE "medgen"."growing__new" APPEND FROM "medgen_staging"."growing";

ALTER TABLE "medgen"."growing__new" RENAME TO "growing";

ALTER TABLE "medgen"."made_up__new" APPEND FROM "medgen_staging"."made_up";

ALTER TABLE "medgen"."made_up__new" RENAME TO "made_up";

ALTER TABLE "medgen"."medgen_cui_history__new" APPEND FROM "medgen_staging"."medgen_cui_history";

ALTER TABLE "medgen"."medgen_cui_history__new" RENAME TO "medgen_cui_history";

ALTER TABLE "medgen"."mondo_cui_history__new" APPEND FROM "medgen_staging"."mondo_cui_history";

ALTER TABLE "medgen"."mondo_cui_history__new" RENAME TO "mondo_cui_history";

ALTER TABLE "medgen_changes"."growing" ADD COLUMN "current_cui" VARCHAR(255);

ALTER TABLE "medgen_changes"."growing" ADD COLUMN "date_of_action__new" VARCHAR(64);

ALTER TABLE "medgen_changes"."growing" ALTER COLUMN "previous_cui" TYPE VARCHAR(64);

ALTER TABLE "medgen_changes"."growing" DROP COLUMN "date_of_action";

ALTER TABLE "medgen_changes"."growing" RENAME COLUMN "date_of_action__new" TO "date_of_action";

BEGIN;

COMMENT ON COLUMN "medgen"."growing"."current_cui" IS 'The concept that replaced it, or a text such as `No longer reported`.';

COMMENT ON COLUMN "medgen"."growing"."date_of_action" IS 'Month and year as text.';

COMMENT ON COLUMN "medgen"."growing"."previous_cui" IS 'The retired concept.';

COMMENT ON COLUMN "medgen"."made_up"."cui" IS 'Text.';

COMMENT ON COLUMN "medgen"."made_up"."number" IS 'A number.';

COMMENT ON COLUMN "medgen"."medgen_cui_history"."current_cui" IS 'The concept that replaced it, or a text such as `No longer reported`.';

COMMENT ON COLUMN "medgen"."medgen_cui_history"."date_of_action" IS 'Month and year as text.';

COMMENT ON COLUMN "medgen"."medgen_cui_history"."previous_cui" IS 'The retired concept.';

COMMENT ON COLUMN "medgen"."mondo_cui_history"."cui" IS 'The concept the identifier stood for; retired where the row is past.';

COMMENT ON COLUMN "medgen"."mondo_cui_history"."date" IS 'Day of the change, as NCBI writes it: `12 Jun 2019`.';

COMMENT ON COLUMN "medgen"."mondo_cui_history"."is_current" IS '`1` the assignment holds, `0` it is past.';

COMMENT ON COLUMN "medgen"."mondo_cui_history"."mondo_id" IS 'Mondo term, `MONDO:` + 7 digits.';

COMMENT ON TABLE "medgen"."growing" IS 'What became of retired concepts. Kept by NCBI MedGen.

- `current_cui` is not always a CUI: test its shape before joining.
- Chains and cycles are possible, as in `merged`.
- A replacement may be retired in its turn and missing from `names`.';

COMMENT ON TABLE "medgen"."growing__new" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen"."made_up" IS 'For tests.';

COMMENT ON TABLE "medgen"."made_up__new" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen"."medgen_cui_history" IS 'What became of retired concepts. Kept by NCBI MedGen.

- `current_cui` is not always a CUI: test its shape before joining.
- Chains and cycles are possible, as in `merged`.
- A replacement may be retired in its turn and missing from `names`.';

COMMENT ON TABLE "medgen"."medgen_cui_history__new" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen"."mondo_cui_history" IS 'Which concept each Mondo term has stood for over time. Kept by NCBI MedGen.

- Take `is_current = ''1''` for today''s concept; an identifier may have several past rows.
- A retired identifier has past rows only.
- Concepts of past rows may be retired and missing from `names`.
- `date` is text: do not sort by it without parsing.';

COMMENT ON TABLE "medgen"."mondo_cui_history__new" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_audit"."commit_lock" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_audit"."load_run" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_audit"."rejected_row" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_changes"."growing" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_changes"."made_up" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_changes"."medgen_cui_history" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_changes"."mondo_cui_history" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."growing" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."growing__changes" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."growing__difference" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."growing__kept" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."made_up" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."medgen_cui_history" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."medgen_cui_history__changes" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."medgen_cui_history__difference" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."medgen_cui_history__kept" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."mondo_cui_history" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."mondo_cui_history__changes" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."mondo_cui_history__difference" IS 'Made by medgen_pipeline.';

COMMENT ON TABLE "medgen_staging"."mondo_cui_history__kept" IS 'Made by medgen_pipeline.';

COMMENT ON VIEW "medgen_history"."growing" IS 'Made by medgen_pipeline. Every row that medgen.growing has had since release 2026-01-07, with the releases that it was valid from and to. 04c399a037a0 DIGEST';

COMMENT ON VIEW "medgen_history"."growing" IS 'Made by medgen_pipeline. Every row that medgen.growing has had since release 2026-01-07, with the releases that it was valid from and to. 74dc861fb0d8 DIGEST';

COMMENT ON VIEW "medgen_history"."growing" IS 'Made by medgen_pipeline. Every row that medgen.growing has had since release 2026-01-07, with the releases that it was valid from and to. b664dabc5962 DIGEST';

COMMENT ON VIEW "medgen_history"."made_up" IS 'Made by medgen_pipeline. Every row that medgen.made_up has had since release 2026-01-07, with the releases that it was valid from and to. 14cb1d42a4a4 DIGEST';

COMMENT ON VIEW "medgen_history"."medgen_cui_history" IS 'Made by medgen_pipeline. Every row that medgen.medgen_cui_history has had since release 2026-01-07, with the releases that it was valid from and to. b664dabc5962 DIGEST';

COMMENT ON VIEW "medgen_history"."mondo_cui_history" IS 'Made by medgen_pipeline. Every row that medgen.mondo_cui_history has had since release 2026-01-07, with the releases that it was valid from and to. bbf92004f08a DIGEST';

COMMIT;

COPY "medgen_staging"."growing" FROM 's3://stage/medgen/medgen/growing/LOAD_ID/manifest' IAM_ROLE 'arn:aws:iam::123456789012:role/medgen-load' REGION 'us-east-1' MANIFEST GZIP DELIMITER '<TAB>' ESCAPE NULL AS '' MAXERROR 0 COMPUPDATE OFF STATUPDATE OFF;

COPY "medgen_staging"."medgen_cui_history" FROM 's3://stage/medgen/medgen/medgen_cui_history/LOAD_ID/manifest' IAM_ROLE 'arn:aws:iam::123456789012:role/medgen-load' REGION 'us-east-1' MANIFEST GZIP DELIMITER '<TAB>' ESCAPE NULL AS '' MAXERROR 0 COMPUPDATE OFF STATUPDATE OFF;

COPY "medgen_staging"."mondo_cui_history" FROM 's3://stage/medgen/medgen/mondo_cui_history/LOAD_ID/manifest' IAM_ROLE 'arn:aws:iam::123456789012:role/medgen-load' REGION 'us-east-1' MANIFEST GZIP DELIMITER '<TAB>' ESCAPE NULL AS '' MAXERROR 0 COMPUPDATE OFF STATUPDATE OFF;

CREATE OR REPLACE VIEW "medgen_history"."growing" AS SELECT COALESCE(MAX(CASE WHEN _end = 0 THEN _release END), CAST('2026-01-07' AS VARCHAR(255))) AS valid_from_release, MAX(CASE WHEN _end = 1 THEN _release END) AS valid_to_release, COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_from_load_id, NULLIF(MAX(CASE WHEN _end = 1 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_to_load_id, "previous_cui", "current_cui", "date_of_action" FROM (SELECT "previous_cui", "current_cui", "date_of_action", _release, _load_id, _end,  ROW_NUMBER() OVER (PARTITION BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action"), _end ORDER BY _load_id DESC) AS _nth  FROM (SELECT "previous_cui", "current_cui", "date_of_action", CAST(NULL AS VARCHAR(255)) AS _release, CAST(LOAD_ID AS BIGINT) AS _load_id, 1 AS _end   FROM "medgen"."growing" UNION ALL SELECT "previous_cui", "current_cui", "date_of_action", _release, _load_id,   CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE 0 END AS _end FROM "medgen_changes"."growing" WHERE _load_id > CAST(LOAD_ID AS BIGINT))  AS events) AS numbered GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action"), _nth HAVING MAX(CASE WHEN _end = 1 THEN _load_id END)  > COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) WITH NO SCHEMA BINDING;

CREATE OR REPLACE VIEW "medgen_history"."growing" AS SELECT COALESCE(MAX(CASE WHEN _end = 0 THEN _release END), CAST('2026-01-07' AS VARCHAR(255))) AS valid_from_release, MAX(CASE WHEN _end = 1 THEN _release END) AS valid_to_release, COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_from_load_id, NULLIF(MAX(CASE WHEN _end = 1 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_to_load_id, "previous_cui", "current_cui", "date_of_action" FROM (SELECT "previous_cui", "current_cui", "date_of_action", _release, _load_id, _end,  ROW_NUMBER() OVER (PARTITION BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", _end ORDER BY _load_id DESC) AS _nth  FROM (SELECT "previous_cui", "current_cui", "date_of_action", CAST(NULL AS VARCHAR(255)) AS _release, CAST(LOAD_ID AS BIGINT) AS _load_id, 1 AS _end   FROM "medgen"."growing" UNION ALL SELECT "previous_cui", "current_cui", CASE WHEN CAST("date_of_action" AS VARCHAR(255)) ~ '^-?[0-9]+$' AND LENGTH(CAST("date_of_action" AS VARCHAR(255))) < 19 THEN CAST(CAST("date_of_action" AS VARCHAR(255)) AS BIGINT) END AS "date_of_action", _release, _load_id,   CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE 0 END AS _end FROM "medgen_changes"."growing" WHERE _load_id > CAST(LOAD_ID AS BIGINT))  AS events) AS numbered GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", _nth HAVING MAX(CASE WHEN _end = 1 THEN _load_id END)  > COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) WITH NO SCHEMA BINDING;

CREATE OR REPLACE VIEW "medgen_history"."growing" AS SELECT COALESCE(MAX(CASE WHEN _end = 0 THEN _release END), CAST('2026-01-07' AS VARCHAR(255))) AS valid_from_release, MAX(CASE WHEN _end = 1 THEN _release END) AS valid_to_release, COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_from_load_id, NULLIF(MAX(CASE WHEN _end = 1 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_to_load_id, "previous_cui", "date_of_action" FROM (SELECT "previous_cui", "date_of_action", _release, _load_id, _end,  ROW_NUMBER() OVER (PARTITION BY "previous_cui", OCTET_LENGTH("previous_cui"), "date_of_action", _end ORDER BY _load_id DESC) AS _nth  FROM (SELECT "previous_cui", "date_of_action", CAST(NULL AS VARCHAR(255)) AS _release, CAST(LOAD_ID AS BIGINT) AS _load_id, 1 AS _end   FROM "medgen"."growing" UNION ALL SELECT "previous_cui", "date_of_action", _release, _load_id,   CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE 0 END AS _end FROM "medgen_changes"."growing" WHERE _load_id > CAST(LOAD_ID AS BIGINT))  AS events) AS numbered GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "date_of_action", _nth HAVING MAX(CASE WHEN _end = 1 THEN _load_id END)  > COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) WITH NO SCHEMA BINDING;

CREATE OR REPLACE VIEW "medgen_history"."made_up" AS SELECT COALESCE(MAX(CASE WHEN _end = 0 THEN _release END), CAST('2026-01-07' AS VARCHAR(255))) AS valid_from_release, MAX(CASE WHEN _end = 1 THEN _release END) AS valid_to_release, COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_from_load_id, NULLIF(MAX(CASE WHEN _end = 1 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_to_load_id, "cui", "number" FROM (SELECT "cui", "number", _release, _load_id, _end,  ROW_NUMBER() OVER (PARTITION BY "cui", OCTET_LENGTH("cui"), "number", _end ORDER BY _load_id DESC) AS _nth  FROM (SELECT "cui", "number", CAST(NULL AS VARCHAR(255)) AS _release, CAST(LOAD_ID AS BIGINT) AS _load_id, 1 AS _end   FROM "medgen"."made_up" UNION ALL SELECT "cui", "number", _release, _load_id,   CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE 0 END AS _end FROM "medgen_changes"."made_up" WHERE _load_id > CAST(LOAD_ID AS BIGINT))  AS events) AS numbered GROUP BY "cui", OCTET_LENGTH("cui"), "number", _nth HAVING MAX(CASE WHEN _end = 1 THEN _load_id END)  > COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) WITH NO SCHEMA BINDING;

CREATE OR REPLACE VIEW "medgen_history"."medgen_cui_history" AS SELECT COALESCE(MAX(CASE WHEN _end = 0 THEN _release END), CAST('2026-01-07' AS VARCHAR(255))) AS valid_from_release, MAX(CASE WHEN _end = 1 THEN _release END) AS valid_to_release, COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_from_load_id, NULLIF(MAX(CASE WHEN _end = 1 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_to_load_id, "previous_cui", "current_cui", "date_of_action" FROM (SELECT "previous_cui", "current_cui", "date_of_action", _release, _load_id, _end,  ROW_NUMBER() OVER (PARTITION BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action"), _end ORDER BY _load_id DESC) AS _nth  FROM (SELECT "previous_cui", "current_cui", "date_of_action", CAST(NULL AS VARCHAR(255)) AS _release, CAST(LOAD_ID AS BIGINT) AS _load_id, 1 AS _end   FROM "medgen"."medgen_cui_history" UNION ALL SELECT "previous_cui", "current_cui", "date_of_action", _release, _load_id,   CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE 0 END AS _end FROM "medgen_changes"."medgen_cui_history" WHERE _load_id > CAST(LOAD_ID AS BIGINT))  AS events) AS numbered GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action"), _nth HAVING MAX(CASE WHEN _end = 1 THEN _load_id END)  > COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) WITH NO SCHEMA BINDING;

CREATE OR REPLACE VIEW "medgen_history"."mondo_cui_history" AS SELECT COALESCE(MAX(CASE WHEN _end = 0 THEN _release END), CAST('2026-01-07' AS VARCHAR(255))) AS valid_from_release, MAX(CASE WHEN _end = 1 THEN _release END) AS valid_to_release, COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_from_load_id, NULLIF(MAX(CASE WHEN _end = 1 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) AS valid_to_load_id, "mondo_id", "cui", "date", "is_current" FROM (SELECT "mondo_id", "cui", "date", "is_current", _release, _load_id, _end,  ROW_NUMBER() OVER (PARTITION BY "mondo_id", OCTET_LENGTH("mondo_id"), "cui", OCTET_LENGTH("cui"), "date", OCTET_LENGTH("date"), "is_current", OCTET_LENGTH("is_current"), _end ORDER BY _load_id DESC) AS _nth  FROM (SELECT "mondo_id", "cui", "date", "is_current", CAST(NULL AS VARCHAR(255)) AS _release, CAST(LOAD_ID AS BIGINT) AS _load_id, 1 AS _end   FROM "medgen"."mondo_cui_history" UNION ALL SELECT "mondo_id", "cui", "date", "is_current", _release, _load_id,   CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE 0 END AS _end FROM "medgen_changes"."mondo_cui_history" WHERE _load_id > CAST(LOAD_ID AS BIGINT))  AS events) AS numbered GROUP BY "mondo_id", OCTET_LENGTH("mondo_id"), "cui", OCTET_LENGTH("cui"), "date", OCTET_LENGTH("date"), "is_current", OCTET_LENGTH("is_current"), _nth HAVING MAX(CASE WHEN _end = 1 THEN _load_id END)  > COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), CAST(LOAD_ID AS BIGINT)) WITH NO SCHEMA BINDING;

CREATE SCHEMA IF NOT EXISTS "medgen";

CREATE SCHEMA IF NOT EXISTS "medgen_audit";

CREATE SCHEMA IF NOT EXISTS "medgen_changes";

CREATE SCHEMA IF NOT EXISTS "medgen_history";

CREATE SCHEMA IF NOT EXISTS "medgen_staging";

CREATE TABLE "medgen"."growing__new" ("previous_cui" VARCHAR(60), "date_of_action" BIGINT) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen"."made_up__new" ("cui" VARCHAR(255), "number" BIGINT) DISTSTYLE KEY DISTKEY ("cui") COMPOUND SORTKEY ("cui");

CREATE TABLE "medgen"."medgen_cui_history__new" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen"."mondo_cui_history__new" ("mondo_id" VARCHAR(64), "cui" VARCHAR(64), "date" VARCHAR(64), "is_current" VARCHAR(16)) DISTSTYLE KEY DISTKEY ("mondo_id") COMPOUND SORTKEY ("mondo_id", "cui", "date");

CREATE TABLE "medgen_changes"."growing" (_change_type VARCHAR(255) NOT NULL, _release VARCHAR(255) NOT NULL, _commit_timestamp TIMESTAMPTZ NOT NULL, _load_id BIGINT NOT NULL, "previous_cui" VARCHAR(60), "date_of_action" BIGINT) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("_load_id");

CREATE TABLE "medgen_changes"."made_up" (_change_type VARCHAR(255) NOT NULL, _release VARCHAR(255) NOT NULL, _commit_timestamp TIMESTAMPTZ NOT NULL, _load_id BIGINT NOT NULL, "cui" VARCHAR(255), "number" BIGINT) DISTSTYLE KEY DISTKEY ("cui") COMPOUND SORTKEY ("_load_id");

CREATE TABLE "medgen_changes"."medgen_cui_history" (_change_type VARCHAR(255) NOT NULL, _release VARCHAR(255) NOT NULL, _commit_timestamp TIMESTAMPTZ NOT NULL, _load_id BIGINT NOT NULL, "previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("_load_id");

CREATE TABLE "medgen_changes"."mondo_cui_history" (_change_type VARCHAR(255) NOT NULL, _release VARCHAR(255) NOT NULL, _commit_timestamp TIMESTAMPTZ NOT NULL, _load_id BIGINT NOT NULL, "mondo_id" VARCHAR(64), "cui" VARCHAR(64), "date" VARCHAR(64), "is_current" VARCHAR(16)) DISTSTYLE KEY DISTKEY ("mondo_id") COMPOUND SORTKEY ("_load_id");

CREATE TABLE "medgen_staging"."growing" ("previous_cui" VARCHAR(60), "date_of_action" BIGINT) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" BIGINT) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing__changes" (_change_type VARCHAR(255) NOT NULL, "previous_cui" VARCHAR(60), "date_of_action" BIGINT) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing__changes" (_change_type VARCHAR(255) NOT NULL, "previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" BIGINT) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing__changes" (_change_type VARCHAR(255) NOT NULL, "previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing__difference" ("previous_cui" VARCHAR(60), "date_of_action" BIGINT, _copies BIGINT NOT NULL) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing__difference" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" BIGINT, _copies BIGINT NOT NULL) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing__difference" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64), _copies BIGINT NOT NULL) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing__kept" ("previous_cui" VARCHAR(60), "date_of_action" BIGINT) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing__kept" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" BIGINT) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."growing__kept" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."made_up" ("cui" VARCHAR(255), "number" BIGINT) DISTSTYLE KEY DISTKEY ("cui") COMPOUND SORTKEY ("cui");

CREATE TABLE "medgen_staging"."medgen_cui_history" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."medgen_cui_history" (_sign VARCHAR(255) NOT NULL, "previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."medgen_cui_history__changes" (_change_type VARCHAR(255) NOT NULL, "previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."medgen_cui_history__difference" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64), _copies BIGINT NOT NULL) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."medgen_cui_history__kept" ("previous_cui" VARCHAR(64), "current_cui" VARCHAR(255), "date_of_action" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("previous_cui") COMPOUND SORTKEY ("previous_cui");

CREATE TABLE "medgen_staging"."mondo_cui_history" ("mondo_id" VARCHAR(64), "cui" VARCHAR(64), "date" VARCHAR(64), "is_current" VARCHAR(16)) DISTSTYLE KEY DISTKEY ("mondo_id") COMPOUND SORTKEY ("mondo_id", "cui", "date");

CREATE TABLE "medgen_staging"."mondo_cui_history" (_sign VARCHAR(255) NOT NULL, "mondo_id" VARCHAR(64), "cui" VARCHAR(64), "date" VARCHAR(64), "is_current" VARCHAR(16)) DISTSTYLE KEY DISTKEY ("mondo_id") COMPOUND SORTKEY ("mondo_id", "cui", "date");

CREATE TABLE "medgen_staging"."mondo_cui_history__changes" (_change_type VARCHAR(255) NOT NULL, "mondo_id" VARCHAR(64), "cui" VARCHAR(64), "date" VARCHAR(64), "is_current" VARCHAR(16)) DISTSTYLE KEY DISTKEY ("mondo_id") COMPOUND SORTKEY ("mondo_id", "cui", "date");

CREATE TABLE "medgen_staging"."mondo_cui_history__difference" ("mondo_id" VARCHAR(64), "cui" VARCHAR(64), "date" VARCHAR(64), "is_current" VARCHAR(16), _copies BIGINT NOT NULL) DISTSTYLE KEY DISTKEY ("mondo_id") COMPOUND SORTKEY ("mondo_id", "cui", "date");

CREATE TABLE "medgen_staging"."mondo_cui_history__kept" ("mondo_id" VARCHAR(64), "cui" VARCHAR(64), "date" VARCHAR(64), "is_current" VARCHAR(16)) DISTSTYLE KEY DISTKEY ("mondo_id") COMPOUND SORTKEY ("mondo_id", "cui", "date");

CREATE TABLE IF NOT EXISTS "medgen_audit"."lock_growing" (held SMALLINT);

CREATE TABLE IF NOT EXISTS "medgen_audit"."lock_made_up" (held SMALLINT);

CREATE TABLE IF NOT EXISTS "medgen_audit"."lock_medgen_cui_history" (held SMALLINT);

CREATE TABLE IF NOT EXISTS "medgen_audit"."lock_mondo_cui_history" (held SMALLINT);

CREATE TABLE IF NOT EXISTS "medgen_audit".commit_lock (held SMALLINT);

CREATE TABLE IF NOT EXISTS "medgen_audit".load_run (load_id BIGINT NOT NULL, dagster_run_id VARCHAR(255), table_name VARCHAR(255) NOT NULL, release VARCHAR(255) NOT NULL, source_sha256 VARCHAR(255) NOT NULL, content_sha256 VARCHAR(255) NOT NULL, table_shape VARCHAR(255) NOT NULL, strategy VARCHAR(255), mode VARCHAR(255), status VARCHAR(255) NOT NULL, started_at TIMESTAMPTZ NOT NULL, finished_at TIMESTAMPTZ, rows_extracted BIGINT, rows_rejected BIGINT, rows_repaired BIGINT, rows_inserted BIGINT, rows_updated BIGINT, rows_deleted BIGINT, rows_unchanged BIGINT, guard VARCHAR(65535), error VARCHAR(65535) ) DISTSTYLE ALL COMPOUND SORTKEY (load_id);

CREATE TABLE IF NOT EXISTS "medgen_audit".rejected_row (load_id BIGINT NOT NULL, line_number BIGINT NOT NULL, reason VARCHAR(65535) NOT NULL, "raw" VARCHAR(65535) NOT NULL ) DISTSTYLE EVEN COMPOUND SORTKEY (load_id);

CREATE TEMP TABLE "medgen_pipeline__held" AS SELECT cui FROM "medgen"."mondo_cui_history";

DELETE FROM "medgen"."growing" USING "medgen_staging"."growing__changes" WHERE "growing__changes"._change_type IN ('delete') AND COALESCE("growing"."previous_cui", '') = COALESCE("growing__changes"."previous_cui", '') AND COALESCE(OCTET_LENGTH("growing"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("growing__changes"."previous_cui"), -1) AND COALESCE("growing"."current_cui", '') = COALESCE("growing__changes"."current_cui", '') AND COALESCE(OCTET_LENGTH("growing"."current_cui"), -1) = COALESCE(OCTET_LENGTH("growing__changes"."current_cui"), -1) AND COALESCE("growing"."date_of_action", '') = COALESCE("growing__changes"."date_of_action", '') AND COALESCE(OCTET_LENGTH("growing"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("growing__changes"."date_of_action"), -1);

DELETE FROM "medgen"."growing" USING "medgen_staging"."growing__changes" WHERE "growing__changes"._change_type IN ('delete') AND COALESCE("growing"."previous_cui", '') = COALESCE("growing__changes"."previous_cui", '') AND COALESCE(OCTET_LENGTH("growing"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("growing__changes"."previous_cui"), -1) AND COALESCE("growing"."current_cui", '') = COALESCE("growing__changes"."current_cui", '') AND COALESCE(OCTET_LENGTH("growing"."current_cui"), -1) = COALESCE(OCTET_LENGTH("growing__changes"."current_cui"), -1) AND COALESCE("growing"."date_of_action", 0) = COALESCE("growing__changes"."date_of_action", 0) AND NVL2("growing"."date_of_action", 1, 0) = NVL2("growing__changes"."date_of_action", 1, 0);

DELETE FROM "medgen"."growing" USING "medgen_staging"."growing__changes" WHERE "growing__changes"._change_type IN ('delete') AND COALESCE("growing"."previous_cui", '') = COALESCE("growing__changes"."previous_cui", '') AND COALESCE(OCTET_LENGTH("growing"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("growing__changes"."previous_cui"), -1) AND COALESCE("growing"."date_of_action", 0) = COALESCE("growing__changes"."date_of_action", 0) AND NVL2("growing"."date_of_action", 1, 0) = NVL2("growing__changes"."date_of_action", 1, 0);

DELETE FROM "medgen"."medgen_cui_history" USING "medgen_staging"."medgen_cui_history__changes" WHERE "medgen_cui_history__changes"._change_type IN ('delete') AND COALESCE("medgen_cui_history"."previous_cui", '') = COALESCE("medgen_cui_history__changes"."previous_cui", '') AND COALESCE(OCTET_LENGTH("medgen_cui_history"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("medgen_cui_history__changes"."previous_cui"), -1) AND COALESCE("medgen_cui_history"."current_cui", '') = COALESCE("medgen_cui_history__changes"."current_cui", '') AND COALESCE(OCTET_LENGTH("medgen_cui_history"."current_cui"), -1) = COALESCE(OCTET_LENGTH("medgen_cui_history__changes"."current_cui"), -1) AND COALESCE("medgen_cui_history"."date_of_action", '') = COALESCE("medgen_cui_history__changes"."date_of_action", '') AND COALESCE(OCTET_LENGTH("medgen_cui_history"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("medgen_cui_history__changes"."date_of_action"), -1);

DELETE FROM "medgen"."mondo_cui_history" USING "medgen_staging"."mondo_cui_history__changes" WHERE "mondo_cui_history__changes"._change_type IN ('delete') AND COALESCE("mondo_cui_history"."mondo_id", '') = COALESCE("mondo_cui_history__changes"."mondo_id", '') AND COALESCE(OCTET_LENGTH("mondo_cui_history"."mondo_id"), -1) = COALESCE(OCTET_LENGTH("mondo_cui_history__changes"."mondo_id"), -1) AND COALESCE("mondo_cui_history"."cui", '') = COALESCE("mondo_cui_history__changes"."cui", '') AND COALESCE(OCTET_LENGTH("mondo_cui_history"."cui"), -1) = COALESCE(OCTET_LENGTH("mondo_cui_history__changes"."cui"), -1) AND COALESCE("mondo_cui_history"."date", '') = COALESCE("mondo_cui_history__changes"."date", '') AND COALESCE(OCTET_LENGTH("mondo_cui_history"."date"), -1) = COALESCE(OCTET_LENGTH("mondo_cui_history__changes"."date"), -1) AND COALESCE("mondo_cui_history"."is_current", '') = COALESCE("mondo_cui_history__changes"."is_current", '') AND COALESCE(OCTET_LENGTH("mondo_cui_history"."is_current"), -1) = COALESCE(OCTET_LENGTH("mondo_cui_history__changes"."is_current"), -1);

DELETE FROM "medgen"."mondo_cui_history" USING "medgen_staging"."mondo_cui_history__changes" WHERE "mondo_cui_history__changes"._change_type IN ('delete', 'update_preimage') AND "mondo_cui_history"."mondo_id" = "mondo_cui_history__changes"."mondo_id" AND OCTET_LENGTH("mondo_cui_history"."mondo_id") = OCTET_LENGTH("mondo_cui_history__changes"."mondo_id") AND "mondo_cui_history"."cui" = "mondo_cui_history__changes"."cui" AND OCTET_LENGTH("mondo_cui_history"."cui") = OCTET_LENGTH("mondo_cui_history__changes"."cui") AND "mondo_cui_history"."date" = "mondo_cui_history__changes"."date" AND OCTET_LENGTH("mondo_cui_history"."date") = OCTET_LENGTH("mondo_cui_history__changes"."date");

DELETE FROM "medgen_audit".rejected_row WHERE load_id = $1;

DELETE FROM "medgen_pipeline__held" WHERE cui IN ('C2', 'C3');

DELETE FROM "medgen_staging"."growing";

DELETE FROM "medgen_staging"."made_up";

DELETE FROM "medgen_staging"."medgen_cui_history";

DELETE FROM "medgen_staging"."medgen_cui_history__changes";

DELETE FROM "medgen_staging"."mondo_cui_history";

DELETE FROM "medgen_staging"."mondo_cui_history__changes";

DROP TABLE "medgen_pipeline__held";

DROP TABLE IF EXISTS "medgen_staging"."growing";

DROP TABLE IF EXISTS "medgen_staging"."growing__changes";

DROP TABLE IF EXISTS "medgen_staging"."growing__difference";

DROP TABLE IF EXISTS "medgen_staging"."growing__kept";

DROP TABLE IF EXISTS "medgen_staging"."made_up";

DROP TABLE IF EXISTS "medgen_staging"."medgen_cui_history";

DROP TABLE IF EXISTS "medgen_staging"."medgen_cui_history__changes";

DROP TABLE IF EXISTS "medgen_staging"."medgen_cui_history__difference";

DROP TABLE IF EXISTS "medgen_staging"."medgen_cui_history__kept";

DROP TABLE IF EXISTS "medgen_staging"."mondo_cui_history";

DROP TABLE IF EXISTS "medgen_staging"."mondo_cui_history__changes";

DROP TABLE IF EXISTS "medgen_staging"."mondo_cui_history__difference";

DROP TABLE IF EXISTS "medgen_staging"."mondo_cui_history__kept";

DROP VIEW "medgen_history"."growing";

INSERT INTO "medgen"."growing" ("previous_cui", "current_cui", "date_of_action") SELECT "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."growing__changes" WHERE _change_type IN ('insert', 'update_postimage');

INSERT INTO "medgen"."growing" ("previous_cui", "current_cui", "date_of_action") SELECT "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."growing__kept";

INSERT INTO "medgen"."growing" ("previous_cui", "date_of_action") SELECT "previous_cui", "date_of_action" FROM "medgen_staging"."growing__changes" WHERE _change_type IN ('insert', 'update_postimage');

INSERT INTO "medgen"."growing" ("previous_cui", "date_of_action") SELECT "previous_cui", "date_of_action" FROM "medgen_staging"."growing__kept";

INSERT INTO "medgen"."medgen_cui_history" ("previous_cui", "current_cui", "date_of_action") SELECT "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."medgen_cui_history__changes" WHERE _change_type IN ('insert', 'update_postimage');

INSERT INTO "medgen"."medgen_cui_history" ("previous_cui", "current_cui", "date_of_action") SELECT "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."medgen_cui_history__kept";

INSERT INTO "medgen"."mondo_cui_history" ("mondo_id", "cui", "date", "is_current") SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history__changes" WHERE _change_type IN ('insert', 'update_postimage');

INSERT INTO "medgen"."mondo_cui_history" ("mondo_id", "cui", "date", "is_current") SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history__kept";

INSERT INTO "medgen_audit"."load_run" ("load_id", "dagster_run_id", "table_name", "release", "source_sha256", "content_sha256", "table_shape", "status", "started_at") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, GETDATE());

INSERT INTO "medgen_audit"."rejected_row" ("load_id", "line_number", "reason", "raw") VALUES ($1, $2, $3, $4);

INSERT INTO "medgen_changes"."growing" ("_change_type", "_release", "_commit_timestamp", "_load_id", "previous_cui", "current_cui", "date_of_action") SELECT _change_type, CAST($1 AS VARCHAR(255)), (SELECT GETDATE()), CAST($2 AS BIGINT), "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."growing__changes";

INSERT INTO "medgen_changes"."growing" ("_change_type", "_release", "_commit_timestamp", "_load_id", "previous_cui", "date_of_action") SELECT _change_type, CAST($1 AS VARCHAR(255)), (SELECT GETDATE()), CAST($2 AS BIGINT), "previous_cui", "date_of_action" FROM "medgen_staging"."growing__changes";

INSERT INTO "medgen_changes"."medgen_cui_history" ("_change_type", "_release", "_commit_timestamp", "_load_id", "previous_cui", "current_cui", "date_of_action") SELECT _change_type, CAST($1 AS VARCHAR(255)), (SELECT GETDATE()), CAST($2 AS BIGINT), "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."medgen_cui_history__changes";

INSERT INTO "medgen_changes"."mondo_cui_history" ("_change_type", "_release", "_commit_timestamp", "_load_id", "mondo_id", "cui", "date", "is_current") SELECT _change_type, CAST($1 AS VARCHAR(255)), (SELECT GETDATE()), CAST($2 AS BIGINT), "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history__changes";

INSERT INTO "medgen_staging"."growing__changes" (_change_type, "previous_cui", "current_cui", "date_of_action") SELECT 'delete', "previous_cui", "current_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."current_cui", "a"."date_of_action", -d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."current_cui", OCTET_LENGTH("a"."current_cui"), "a"."date_of_action") AS _nth  FROM "medgen"."growing" a JOIN "medgen_staging"."growing__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("a"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("a"."date_of_action", 0) = COALESCE("d"."date_of_action", 0) AND NVL2("a"."date_of_action", 1, 0) = NVL2("d"."date_of_action", 1, 0)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."growing__changes" (_change_type, "previous_cui", "current_cui", "date_of_action") SELECT 'delete', "previous_cui", "current_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."current_cui", "a"."date_of_action", -d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."current_cui", OCTET_LENGTH("a"."current_cui"), "a"."date_of_action", OCTET_LENGTH("a"."date_of_action")) AS _nth  FROM "medgen"."growing" a JOIN "medgen_staging"."growing__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("a"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("a"."date_of_action", '') = COALESCE("d"."date_of_action", '') AND COALESCE(OCTET_LENGTH("a"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("d"."date_of_action"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."growing__changes" (_change_type, "previous_cui", "current_cui", "date_of_action") SELECT 'insert', "previous_cui", "current_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."current_cui", "a"."date_of_action", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."current_cui", OCTET_LENGTH("a"."current_cui"), "a"."date_of_action") AS _nth  FROM "medgen_staging"."growing" a JOIN "medgen_staging"."growing__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("a"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("a"."date_of_action", 0) = COALESCE("d"."date_of_action", 0) AND NVL2("a"."date_of_action", 1, 0) = NVL2("d"."date_of_action", 1, 0)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."growing__changes" (_change_type, "previous_cui", "current_cui", "date_of_action") SELECT 'insert', "previous_cui", "current_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."current_cui", "a"."date_of_action", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."current_cui", OCTET_LENGTH("a"."current_cui"), "a"."date_of_action", OCTET_LENGTH("a"."date_of_action")) AS _nth  FROM "medgen_staging"."growing" a JOIN "medgen_staging"."growing__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("a"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("a"."date_of_action", '') = COALESCE("d"."date_of_action", '') AND COALESCE(OCTET_LENGTH("a"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("d"."date_of_action"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."growing__changes" (_change_type, "previous_cui", "date_of_action") SELECT 'delete', "previous_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."date_of_action", -d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."date_of_action") AS _nth  FROM "medgen"."growing" a JOIN "medgen_staging"."growing__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."date_of_action", 0) = COALESCE("d"."date_of_action", 0) AND NVL2("a"."date_of_action", 1, 0) = NVL2("d"."date_of_action", 1, 0)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."growing__changes" (_change_type, "previous_cui", "date_of_action") SELECT 'insert', "previous_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."date_of_action", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."date_of_action") AS _nth  FROM "medgen_staging"."growing" a JOIN "medgen_staging"."growing__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."date_of_action", 0) = COALESCE("d"."date_of_action", 0) AND NVL2("a"."date_of_action", 1, 0) = NVL2("d"."date_of_action", 1, 0)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."growing__difference" ("previous_cui", "current_cui", "date_of_action", _copies) SELECT "previous_cui", "current_cui", "date_of_action", SUM(_one) FROM (SELECT "previous_cui", "current_cui", "date_of_action", 1 AS _one FROM "medgen_staging"."growing" n UNION ALL SELECT "previous_cui", "current_cui", "date_of_action", -1 AS _one FROM "medgen"."growing" o) AS both_sides GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action" HAVING SUM(_one) <> 0;

INSERT INTO "medgen_staging"."growing__difference" ("previous_cui", "current_cui", "date_of_action", _copies) SELECT "previous_cui", "current_cui", "date_of_action", SUM(_one) FROM (SELECT "previous_cui", "current_cui", "date_of_action", 1 AS _one FROM "medgen_staging"."growing" n UNION ALL SELECT "previous_cui", "current_cui", "date_of_action", -1 AS _one FROM "medgen"."growing" o) AS both_sides GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action") HAVING SUM(_one) <> 0;

INSERT INTO "medgen_staging"."growing__difference" ("previous_cui", "date_of_action", _copies) SELECT "previous_cui", "date_of_action", SUM(_one) FROM (SELECT "previous_cui", "date_of_action", 1 AS _one FROM "medgen_staging"."growing" n UNION ALL SELECT "previous_cui", "date_of_action", -1 AS _one FROM "medgen"."growing" o) AS both_sides GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "date_of_action" HAVING SUM(_one) <> 0;

INSERT INTO "medgen_staging"."growing__kept" ("previous_cui", "current_cui", "date_of_action") SELECT "previous_cui", "current_cui", "date_of_action" FROM (SELECT "p"."previous_cui", "p"."current_cui", "p"."date_of_action", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "p"."previous_cui", OCTET_LENGTH("p"."previous_cui"), "p"."current_cui", OCTET_LENGTH("p"."current_cui"), "p"."date_of_action") AS _nth  FROM "medgen"."growing" p JOIN (SELECT "previous_cui", "current_cui", "date_of_action", COUNT(*) AS _copies FROM "medgen_staging"."growing__changes"   WHERE _change_type = 'delete' GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action") d ON COALESCE("p"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("p"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("p"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("p"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("p"."date_of_action", 0) = COALESCE("d"."date_of_action", 0) AND NVL2("p"."date_of_action", 1, 0) = NVL2("d"."date_of_action", 1, 0)) AS numbered WHERE _nth > _copies;

INSERT INTO "medgen_staging"."growing__kept" ("previous_cui", "current_cui", "date_of_action") SELECT "previous_cui", "current_cui", "date_of_action" FROM (SELECT "p"."previous_cui", "p"."current_cui", "p"."date_of_action", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "p"."previous_cui", OCTET_LENGTH("p"."previous_cui"), "p"."current_cui", OCTET_LENGTH("p"."current_cui"), "p"."date_of_action", OCTET_LENGTH("p"."date_of_action")) AS _nth  FROM "medgen"."growing" p JOIN (SELECT "previous_cui", "current_cui", "date_of_action", COUNT(*) AS _copies FROM "medgen_staging"."growing__changes"   WHERE _change_type = 'delete' GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action")) d ON COALESCE("p"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("p"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("p"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("p"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("p"."date_of_action", '') = COALESCE("d"."date_of_action", '') AND COALESCE(OCTET_LENGTH("p"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("d"."date_of_action"), -1)) AS numbered WHERE _nth > _copies;

INSERT INTO "medgen_staging"."growing__kept" ("previous_cui", "date_of_action") SELECT "previous_cui", "date_of_action" FROM (SELECT "p"."previous_cui", "p"."date_of_action", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "p"."previous_cui", OCTET_LENGTH("p"."previous_cui"), "p"."date_of_action") AS _nth  FROM "medgen"."growing" p JOIN (SELECT "previous_cui", "date_of_action", COUNT(*) AS _copies FROM "medgen_staging"."growing__changes"   WHERE _change_type = 'delete' GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "date_of_action") d ON COALESCE("p"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("p"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("p"."date_of_action", 0) = COALESCE("d"."date_of_action", 0) AND NVL2("p"."date_of_action", 1, 0) = NVL2("d"."date_of_action", 1, 0)) AS numbered WHERE _nth > _copies;

INSERT INTO "medgen_staging"."made_up" ("cui", "number") SELECT "cui", "number" FROM (SELECT held.cui, words.number FROM "medgen_pipeline__held" AS held JOIN (SELECT CAST('C1' AS VARCHAR(255)) AS "word", CAST(1 AS BIGINT) AS "number") AS words ON words.word = held.cui UNION ALL SELECT cui, _load_id FROM "medgen_changes"."mondo_cui_history" AS change WHERE 1 = 0) AS built;

INSERT INTO "medgen_staging"."medgen_cui_history" (_sign, "previous_cui", "current_cui", "date_of_action") SELECT _sign, "previous_cui", "current_cui", "date_of_action" FROM (SELECT _sign, "previous_cui", "current_cui", "date_of_action", ROW_NUMBER() OVER (PARTITION BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action"), _sign) AS _nth, COUNT(*) OVER (PARTITION BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action")) - COUNT(*) OVER (PARTITION BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action"), _sign) AS _opposite FROM (SELECT CASE WHEN _change_type IN ('insert', 'update_postimage') THEN '-' ELSE '+' END AS _sign, "previous_cui", "current_cui", "date_of_action" FROM "medgen_changes"."medgen_cui_history" WHERE _load_id > LOAD_ID) AS undoing) AS numbered WHERE _nth > _opposite;

INSERT INTO "medgen_staging"."medgen_cui_history__changes" (_change_type, "previous_cui", "current_cui", "date_of_action") SELECT 'delete', "previous_cui", "current_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."current_cui", "a"."date_of_action", -d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."current_cui", OCTET_LENGTH("a"."current_cui"), "a"."date_of_action", OCTET_LENGTH("a"."date_of_action")) AS _nth  FROM "medgen"."medgen_cui_history" a JOIN "medgen_staging"."medgen_cui_history__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("a"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("a"."date_of_action", '') = COALESCE("d"."date_of_action", '') AND COALESCE(OCTET_LENGTH("a"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("d"."date_of_action"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."medgen_cui_history__changes" (_change_type, "previous_cui", "current_cui", "date_of_action") SELECT 'delete', "previous_cui", "current_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."current_cui", "a"."date_of_action", -d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."current_cui", OCTET_LENGTH("a"."current_cui"), "a"."date_of_action", OCTET_LENGTH("a"."date_of_action")) AS _nth  FROM (SELECT "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."medgen_cui_history" WHERE _sign = '-') a JOIN "medgen_staging"."medgen_cui_history__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("a"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("a"."date_of_action", '') = COALESCE("d"."date_of_action", '') AND COALESCE(OCTET_LENGTH("a"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("d"."date_of_action"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."medgen_cui_history__changes" (_change_type, "previous_cui", "current_cui", "date_of_action") SELECT 'insert', "previous_cui", "current_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."current_cui", "a"."date_of_action", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."current_cui", OCTET_LENGTH("a"."current_cui"), "a"."date_of_action", OCTET_LENGTH("a"."date_of_action")) AS _nth  FROM "medgen_staging"."medgen_cui_history" a JOIN "medgen_staging"."medgen_cui_history__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("a"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("a"."date_of_action", '') = COALESCE("d"."date_of_action", '') AND COALESCE(OCTET_LENGTH("a"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("d"."date_of_action"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."medgen_cui_history__changes" (_change_type, "previous_cui", "current_cui", "date_of_action") SELECT 'insert', "previous_cui", "current_cui", "date_of_action" FROM (SELECT "a"."previous_cui", "a"."current_cui", "a"."date_of_action", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."previous_cui", OCTET_LENGTH("a"."previous_cui"), "a"."current_cui", OCTET_LENGTH("a"."current_cui"), "a"."date_of_action", OCTET_LENGTH("a"."date_of_action")) AS _nth  FROM (SELECT "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."medgen_cui_history" WHERE _sign = '+') a JOIN "medgen_staging"."medgen_cui_history__difference" d ON COALESCE("a"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("a"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("a"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("a"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("a"."date_of_action", '') = COALESCE("d"."date_of_action", '') AND COALESCE(OCTET_LENGTH("a"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("d"."date_of_action"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."medgen_cui_history__difference" ("previous_cui", "current_cui", "date_of_action", _copies) SELECT "previous_cui", "current_cui", "date_of_action", SUM(_one) FROM (SELECT "previous_cui", "current_cui", "date_of_action", 1 AS _one FROM "medgen_staging"."medgen_cui_history" n UNION ALL SELECT "previous_cui", "current_cui", "date_of_action", -1 AS _one FROM "medgen"."medgen_cui_history" o) AS both_sides GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action") HAVING SUM(_one) <> 0;

INSERT INTO "medgen_staging"."medgen_cui_history__difference" ("previous_cui", "current_cui", "date_of_action", _copies) SELECT "previous_cui", "current_cui", "date_of_action", SUM(_one) FROM (SELECT "previous_cui", "current_cui", "date_of_action", 1 AS _one FROM (SELECT "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."medgen_cui_history" WHERE _sign = '+') n UNION ALL SELECT "previous_cui", "current_cui", "date_of_action", -1 AS _one FROM (SELECT "previous_cui", "current_cui", "date_of_action" FROM "medgen_staging"."medgen_cui_history" WHERE _sign = '-') o) AS both_sides GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action") HAVING SUM(_one) <> 0;

INSERT INTO "medgen_staging"."medgen_cui_history__kept" ("previous_cui", "current_cui", "date_of_action") SELECT "previous_cui", "current_cui", "date_of_action" FROM (SELECT "p"."previous_cui", "p"."current_cui", "p"."date_of_action", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "p"."previous_cui", OCTET_LENGTH("p"."previous_cui"), "p"."current_cui", OCTET_LENGTH("p"."current_cui"), "p"."date_of_action", OCTET_LENGTH("p"."date_of_action")) AS _nth  FROM "medgen"."medgen_cui_history" p JOIN (SELECT "previous_cui", "current_cui", "date_of_action", COUNT(*) AS _copies FROM "medgen_staging"."medgen_cui_history__changes"   WHERE _change_type = 'delete' GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action")) d ON COALESCE("p"."previous_cui", '') = COALESCE("d"."previous_cui", '') AND COALESCE(OCTET_LENGTH("p"."previous_cui"), -1) = COALESCE(OCTET_LENGTH("d"."previous_cui"), -1) AND COALESCE("p"."current_cui", '') = COALESCE("d"."current_cui", '') AND COALESCE(OCTET_LENGTH("p"."current_cui"), -1) = COALESCE(OCTET_LENGTH("d"."current_cui"), -1) AND COALESCE("p"."date_of_action", '') = COALESCE("d"."date_of_action", '') AND COALESCE(OCTET_LENGTH("p"."date_of_action"), -1) = COALESCE(OCTET_LENGTH("d"."date_of_action"), -1)) AS numbered WHERE _nth > _copies;

INSERT INTO "medgen_staging"."mondo_cui_history__changes" (_change_type, "mondo_id", "cui", "date", "is_current") SELECT 'delete', "mondo_id", "cui", "date", "is_current" FROM (SELECT "a"."mondo_id", "a"."cui", "a"."date", "a"."is_current", -d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."mondo_id", OCTET_LENGTH("a"."mondo_id"), "a"."cui", OCTET_LENGTH("a"."cui"), "a"."date", OCTET_LENGTH("a"."date"), "a"."is_current", OCTET_LENGTH("a"."is_current")) AS _nth  FROM "medgen"."mondo_cui_history" a JOIN "medgen_staging"."mondo_cui_history__difference" d ON COALESCE("a"."mondo_id", '') = COALESCE("d"."mondo_id", '') AND COALESCE(OCTET_LENGTH("a"."mondo_id"), -1) = COALESCE(OCTET_LENGTH("d"."mondo_id"), -1) AND COALESCE("a"."cui", '') = COALESCE("d"."cui", '') AND COALESCE(OCTET_LENGTH("a"."cui"), -1) = COALESCE(OCTET_LENGTH("d"."cui"), -1) AND COALESCE("a"."date", '') = COALESCE("d"."date", '') AND COALESCE(OCTET_LENGTH("a"."date"), -1) = COALESCE(OCTET_LENGTH("d"."date"), -1) AND COALESCE("a"."is_current", '') = COALESCE("d"."is_current", '') AND COALESCE(OCTET_LENGTH("a"."is_current"), -1) = COALESCE(OCTET_LENGTH("d"."is_current"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."mondo_cui_history__changes" (_change_type, "mondo_id", "cui", "date", "is_current") SELECT 'delete', "mondo_id", "cui", "date", "is_current" FROM (SELECT "a"."mondo_id", "a"."cui", "a"."date", "a"."is_current", -d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."mondo_id", OCTET_LENGTH("a"."mondo_id"), "a"."cui", OCTET_LENGTH("a"."cui"), "a"."date", OCTET_LENGTH("a"."date"), "a"."is_current", OCTET_LENGTH("a"."is_current")) AS _nth  FROM (SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history" WHERE _sign = '-') a JOIN "medgen_staging"."mondo_cui_history__difference" d ON COALESCE("a"."mondo_id", '') = COALESCE("d"."mondo_id", '') AND COALESCE(OCTET_LENGTH("a"."mondo_id"), -1) = COALESCE(OCTET_LENGTH("d"."mondo_id"), -1) AND COALESCE("a"."cui", '') = COALESCE("d"."cui", '') AND COALESCE(OCTET_LENGTH("a"."cui"), -1) = COALESCE(OCTET_LENGTH("d"."cui"), -1) AND COALESCE("a"."date", '') = COALESCE("d"."date", '') AND COALESCE(OCTET_LENGTH("a"."date"), -1) = COALESCE(OCTET_LENGTH("d"."date"), -1) AND COALESCE("a"."is_current", '') = COALESCE("d"."is_current", '') AND COALESCE(OCTET_LENGTH("a"."is_current"), -1) = COALESCE(OCTET_LENGTH("d"."is_current"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."mondo_cui_history__changes" (_change_type, "mondo_id", "cui", "date", "is_current") SELECT 'insert', "mondo_id", "cui", "date", "is_current" FROM (SELECT "a"."mondo_id", "a"."cui", "a"."date", "a"."is_current", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."mondo_id", OCTET_LENGTH("a"."mondo_id"), "a"."cui", OCTET_LENGTH("a"."cui"), "a"."date", OCTET_LENGTH("a"."date"), "a"."is_current", OCTET_LENGTH("a"."is_current")) AS _nth  FROM "medgen_staging"."mondo_cui_history" a JOIN "medgen_staging"."mondo_cui_history__difference" d ON COALESCE("a"."mondo_id", '') = COALESCE("d"."mondo_id", '') AND COALESCE(OCTET_LENGTH("a"."mondo_id"), -1) = COALESCE(OCTET_LENGTH("d"."mondo_id"), -1) AND COALESCE("a"."cui", '') = COALESCE("d"."cui", '') AND COALESCE(OCTET_LENGTH("a"."cui"), -1) = COALESCE(OCTET_LENGTH("d"."cui"), -1) AND COALESCE("a"."date", '') = COALESCE("d"."date", '') AND COALESCE(OCTET_LENGTH("a"."date"), -1) = COALESCE(OCTET_LENGTH("d"."date"), -1) AND COALESCE("a"."is_current", '') = COALESCE("d"."is_current", '') AND COALESCE(OCTET_LENGTH("a"."is_current"), -1) = COALESCE(OCTET_LENGTH("d"."is_current"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."mondo_cui_history__changes" (_change_type, "mondo_id", "cui", "date", "is_current") SELECT 'insert', "mondo_id", "cui", "date", "is_current" FROM (SELECT "a"."mondo_id", "a"."cui", "a"."date", "a"."is_current", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "a"."mondo_id", OCTET_LENGTH("a"."mondo_id"), "a"."cui", OCTET_LENGTH("a"."cui"), "a"."date", OCTET_LENGTH("a"."date"), "a"."is_current", OCTET_LENGTH("a"."is_current")) AS _nth  FROM (SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history" WHERE _sign = '+') a JOIN "medgen_staging"."mondo_cui_history__difference" d ON COALESCE("a"."mondo_id", '') = COALESCE("d"."mondo_id", '') AND COALESCE(OCTET_LENGTH("a"."mondo_id"), -1) = COALESCE(OCTET_LENGTH("d"."mondo_id"), -1) AND COALESCE("a"."cui", '') = COALESCE("d"."cui", '') AND COALESCE(OCTET_LENGTH("a"."cui"), -1) = COALESCE(OCTET_LENGTH("d"."cui"), -1) AND COALESCE("a"."date", '') = COALESCE("d"."date", '') AND COALESCE(OCTET_LENGTH("a"."date"), -1) = COALESCE(OCTET_LENGTH("d"."date"), -1) AND COALESCE("a"."is_current", '') = COALESCE("d"."is_current", '') AND COALESCE(OCTET_LENGTH("a"."is_current"), -1) = COALESCE(OCTET_LENGTH("d"."is_current"), -1)) AS numbered WHERE _nth <= _copies;

INSERT INTO "medgen_staging"."mondo_cui_history__changes" (_change_type, "mondo_id", "cui", "date", "is_current") SELECT CASE WHEN "b"."mondo_id" IS NULL THEN 'delete' ELSE 'update_preimage' END, "a"."mondo_id", "a"."cui", "a"."date", "a"."is_current" FROM "medgen"."mondo_cui_history" a LEFT JOIN "medgen_staging"."mondo_cui_history" b ON "a"."mondo_id" = "b"."mondo_id" AND OCTET_LENGTH("a"."mondo_id") = OCTET_LENGTH("b"."mondo_id") AND "a"."cui" = "b"."cui" AND OCTET_LENGTH("a"."cui") = OCTET_LENGTH("b"."cui") AND "a"."date" = "b"."date" AND OCTET_LENGTH("a"."date") = OCTET_LENGTH("b"."date") WHERE "b"."mondo_id" IS NULL OR NOT (COALESCE("a"."is_current", '') = COALESCE("b"."is_current", '') AND COALESCE(OCTET_LENGTH("a"."is_current"), -1) = COALESCE(OCTET_LENGTH("b"."is_current"), -1));

INSERT INTO "medgen_staging"."mondo_cui_history__changes" (_change_type, "mondo_id", "cui", "date", "is_current") SELECT CASE WHEN "b"."mondo_id" IS NULL THEN 'delete' ELSE 'update_preimage' END, "a"."mondo_id", "a"."cui", "a"."date", "a"."is_current" FROM (SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history" WHERE _sign = '-') a LEFT JOIN (SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history" WHERE _sign = '+') b ON "a"."mondo_id" = "b"."mondo_id" AND OCTET_LENGTH("a"."mondo_id") = OCTET_LENGTH("b"."mondo_id") AND "a"."cui" = "b"."cui" AND OCTET_LENGTH("a"."cui") = OCTET_LENGTH("b"."cui") AND "a"."date" = "b"."date" AND OCTET_LENGTH("a"."date") = OCTET_LENGTH("b"."date") WHERE "b"."mondo_id" IS NULL OR NOT (COALESCE("a"."is_current", '') = COALESCE("b"."is_current", '') AND COALESCE(OCTET_LENGTH("a"."is_current"), -1) = COALESCE(OCTET_LENGTH("b"."is_current"), -1));

INSERT INTO "medgen_staging"."mondo_cui_history__changes" (_change_type, "mondo_id", "cui", "date", "is_current") SELECT CASE WHEN "b"."mondo_id" IS NULL THEN 'insert' ELSE 'update_postimage' END, "a"."mondo_id", "a"."cui", "a"."date", "a"."is_current" FROM "medgen_staging"."mondo_cui_history" a LEFT JOIN "medgen"."mondo_cui_history" b ON "a"."mondo_id" = "b"."mondo_id" AND OCTET_LENGTH("a"."mondo_id") = OCTET_LENGTH("b"."mondo_id") AND "a"."cui" = "b"."cui" AND OCTET_LENGTH("a"."cui") = OCTET_LENGTH("b"."cui") AND "a"."date" = "b"."date" AND OCTET_LENGTH("a"."date") = OCTET_LENGTH("b"."date") WHERE "b"."mondo_id" IS NULL OR NOT (COALESCE("a"."is_current", '') = COALESCE("b"."is_current", '') AND COALESCE(OCTET_LENGTH("a"."is_current"), -1) = COALESCE(OCTET_LENGTH("b"."is_current"), -1));

INSERT INTO "medgen_staging"."mondo_cui_history__changes" (_change_type, "mondo_id", "cui", "date", "is_current") SELECT CASE WHEN "b"."mondo_id" IS NULL THEN 'insert' ELSE 'update_postimage' END, "a"."mondo_id", "a"."cui", "a"."date", "a"."is_current" FROM (SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history" WHERE _sign = '+') a LEFT JOIN (SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history" WHERE _sign = '-') b ON "a"."mondo_id" = "b"."mondo_id" AND OCTET_LENGTH("a"."mondo_id") = OCTET_LENGTH("b"."mondo_id") AND "a"."cui" = "b"."cui" AND OCTET_LENGTH("a"."cui") = OCTET_LENGTH("b"."cui") AND "a"."date" = "b"."date" AND OCTET_LENGTH("a"."date") = OCTET_LENGTH("b"."date") WHERE "b"."mondo_id" IS NULL OR NOT (COALESCE("a"."is_current", '') = COALESCE("b"."is_current", '') AND COALESCE(OCTET_LENGTH("a"."is_current"), -1) = COALESCE(OCTET_LENGTH("b"."is_current"), -1));

INSERT INTO "medgen_staging"."mondo_cui_history__difference" ("mondo_id", "cui", "date", "is_current", _copies) SELECT "mondo_id", "cui", "date", "is_current", SUM(_one) FROM (SELECT "mondo_id", "cui", "date", "is_current", 1 AS _one FROM "medgen_staging"."mondo_cui_history" n UNION ALL SELECT "mondo_id", "cui", "date", "is_current", -1 AS _one FROM "medgen"."mondo_cui_history" o) AS both_sides GROUP BY "mondo_id", OCTET_LENGTH("mondo_id"), "cui", OCTET_LENGTH("cui"), "date", OCTET_LENGTH("date"), "is_current", OCTET_LENGTH("is_current") HAVING SUM(_one) <> 0;

INSERT INTO "medgen_staging"."mondo_cui_history__difference" ("mondo_id", "cui", "date", "is_current", _copies) SELECT "mondo_id", "cui", "date", "is_current", SUM(_one) FROM (SELECT "mondo_id", "cui", "date", "is_current", 1 AS _one FROM (SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history" WHERE _sign = '+') n UNION ALL SELECT "mondo_id", "cui", "date", "is_current", -1 AS _one FROM (SELECT "mondo_id", "cui", "date", "is_current" FROM "medgen_staging"."mondo_cui_history" WHERE _sign = '-') o) AS both_sides GROUP BY "mondo_id", OCTET_LENGTH("mondo_id"), "cui", OCTET_LENGTH("cui"), "date", OCTET_LENGTH("date"), "is_current", OCTET_LENGTH("is_current") HAVING SUM(_one) <> 0;

INSERT INTO "medgen_staging"."mondo_cui_history__kept" ("mondo_id", "cui", "date", "is_current") SELECT "mondo_id", "cui", "date", "is_current" FROM (SELECT "p"."mondo_id", "p"."cui", "p"."date", "p"."is_current", d._copies AS _copies, ROW_NUMBER() OVER (PARTITION BY "p"."mondo_id", OCTET_LENGTH("p"."mondo_id"), "p"."cui", OCTET_LENGTH("p"."cui"), "p"."date", OCTET_LENGTH("p"."date"), "p"."is_current", OCTET_LENGTH("p"."is_current")) AS _nth  FROM "medgen"."mondo_cui_history" p JOIN (SELECT "mondo_id", "cui", "date", "is_current", COUNT(*) AS _copies FROM "medgen_staging"."mondo_cui_history__changes"   WHERE _change_type = 'delete' GROUP BY "mondo_id", OCTET_LENGTH("mondo_id"), "cui", OCTET_LENGTH("cui"), "date", OCTET_LENGTH("date"), "is_current", OCTET_LENGTH("is_current")) d ON COALESCE("p"."mondo_id", '') = COALESCE("d"."mondo_id", '') AND COALESCE(OCTET_LENGTH("p"."mondo_id"), -1) = COALESCE(OCTET_LENGTH("d"."mondo_id"), -1) AND COALESCE("p"."cui", '') = COALESCE("d"."cui", '') AND COALESCE(OCTET_LENGTH("p"."cui"), -1) = COALESCE(OCTET_LENGTH("d"."cui"), -1) AND COALESCE("p"."date", '') = COALESCE("d"."date", '') AND COALESCE(OCTET_LENGTH("p"."date"), -1) = COALESCE(OCTET_LENGTH("d"."date"), -1) AND COALESCE("p"."is_current", '') = COALESCE("d"."is_current", '') AND COALESCE(OCTET_LENGTH("p"."is_current"), -1) = COALESCE(OCTET_LENGTH("d"."is_current"), -1)) AS numbered WHERE _nth > _copies;

LOCK "medgen_audit"."lock_growing";

LOCK "medgen_audit"."lock_made_up";

LOCK "medgen_audit"."lock_medgen_cui_history";

LOCK "medgen_audit"."lock_mondo_cui_history";

LOCK "medgen_audit".commit_lock;

ROLLBACK;

SELECT "_change_type", "_release", "_commit_timestamp", "_load_id", "previous_cui", "current_cui", "date_of_action" FROM "medgen_changes"."medgen_cui_history" WHERE _load_id > LOAD_ID AND _load_id <= LOAD_ID ORDER BY _load_id, "previous_cui", "current_cui", "date_of_action", _change_type DESC, "previous_cui", "current_cui", "date_of_action";

SELECT "load_id", "dagster_run_id", "table_name", "release", "source_sha256", "content_sha256", "table_shape", "strategy", "mode", "status", "started_at", "finished_at", "rows_extracted", "rows_rejected", "rows_repaired", "rows_inserted", "rows_updated", "rows_deleted", "rows_unchanged", "guard", "error" FROM "medgen_audit".load_run WHERE table_name = $1 AND status = $2 ORDER BY load_id DESC LIMIT 1;

SELECT "previous_cui" FROM "medgen"."medgen_cui_history" WHERE (("current_cui" = 'C2' AND OCTET_LENGTH("current_cui") = OCTET_LENGTH('C2')));

SELECT "previous_cui", "current_cui", "date_of_action" FROM "medgen"."medgen_cui_history" LIMIT 10;

SELECT "previous_cui", "current_cui", "date_of_action", CAST(SUM(_one) AS BIGINT) FROM (SELECT "previous_cui", "current_cui", "date_of_action", 1 AS _one FROM "medgen"."medgen_cui_history" UNION ALL SELECT "previous_cui", "current_cui", "date_of_action", CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE -1 END AS _one FROM "medgen_changes"."medgen_cui_history" WHERE _load_id > LOAD_ID) AS undone WHERE 1 = 1 GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action") HAVING SUM(_one) > 0;

SELECT "previous_cui", CAST(SUM(_one) AS BIGINT) FROM (SELECT "previous_cui", "current_cui", "date_of_action", 1 AS _one FROM "medgen"."medgen_cui_history" UNION ALL SELECT "previous_cui", "current_cui", "date_of_action", CASE WHEN _change_type IN ('delete', 'update_preimage') THEN 1 ELSE -1 END AS _one FROM "medgen_changes"."medgen_cui_history" WHERE _load_id > LOAD_ID) AS undone WHERE (("current_cui" = 'C2' AND OCTET_LENGTH("current_cui") = OCTET_LENGTH('C2'))) GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action") HAVING SUM(_one) > 0;

SELECT 1 FROM "medgen"."mondo_cui_history" GROUP BY "mondo_id", OCTET_LENGTH("mondo_id"), "cui", OCTET_LENGTH("cui"), "date", OCTET_LENGTH("date") HAVING COUNT(*) > 1 OR MAX(CASE WHEN "mondo_id" IS NULL OR "cui" IS NULL OR "date" IS NULL THEN 1 ELSE 0 END) > 0 LIMIT 1;

SELECT 1 FROM "medgen_staging"."mondo_cui_history" GROUP BY "mondo_id", OCTET_LENGTH("mondo_id"), "cui", OCTET_LENGTH("cui"), "date", OCTET_LENGTH("date") HAVING COUNT(*) > 1 OR MAX(CASE WHEN "mondo_id" IS NULL OR "cui" IS NULL OR "date" IS NULL THEN 1 ELSE 0 END) > 0 LIMIT 1;

SELECT 1 FROM "medgen_staging"."mondo_cui_history" GROUP BY _sign, "mondo_id", OCTET_LENGTH("mondo_id"), "cui", OCTET_LENGTH("cui"), "date", OCTET_LENGTH("date") HAVING COUNT(*) > 1 OR MAX(CASE WHEN "mondo_id" IS NULL OR "cui" IS NULL OR "date" IS NULL THEN 1 ELSE 0 END) > 0 LIMIT 1;

SELECT 1 FROM "medgen_staging"."mondo_cui_history__changes" c JOIN "medgen"."mondo_cui_history" p ON "c"."mondo_id" = "p"."mondo_id" AND OCTET_LENGTH("c"."mondo_id") = OCTET_LENGTH("p"."mondo_id") AND "c"."cui" = "p"."cui" AND OCTET_LENGTH("c"."cui") = OCTET_LENGTH("p"."cui") AND "c"."date" = "p"."date" AND OCTET_LENGTH("c"."date") = OCTET_LENGTH("p"."date") WHERE c._change_type = 'insert' LIMIT 1;

SELECT 1 FROM (SELECT "mondo_id", "cui", "date", 1 AS _one FROM "medgen"."mondo_cui_history" UNION ALL SELECT "mondo_id", "cui", "date", CASE WHEN _change_type = 'insert' THEN 1 ELSE -1 END AS _one FROM "medgen_staging"."mondo_cui_history__changes") AS after_it GROUP BY "mondo_id", OCTET_LENGTH("mondo_id"), "cui", OCTET_LENGTH("cui"), "date", OCTET_LENGTH("date") HAVING SUM(_one) > 1 OR (SUM(_one) > 0 AND MAX(CASE WHEN "mondo_id" IS NULL OR "cui" IS NULL OR "date" IS NULL THEN 1 ELSE 0 END) > 0) LIMIT 1;

SELECT COALESCE(SUM(CASE WHEN _change_type IN ('insert', 'update_postimage') THEN CAST(FNV_HASH(CAST(CASE WHEN "c"."mondo_id" IS NULL THEN 0 ELSE FNV_HASH("c"."mondo_id") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."cui" IS NULL THEN 0 ELSE FNV_HASH("c"."cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."date" IS NULL THEN 0 ELSE FNV_HASH("c"."date") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."is_current" IS NULL THEN 0 ELSE FNV_HASH("c"."is_current") END AS VARCHAR(20))) AS DECIMAL(38, 0)) ELSE -CAST(FNV_HASH(CAST(CASE WHEN "c"."mondo_id" IS NULL THEN 0 ELSE FNV_HASH("c"."mondo_id") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."cui" IS NULL THEN 0 ELSE FNV_HASH("c"."cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."date" IS NULL THEN 0 ELSE FNV_HASH("c"."date") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."is_current" IS NULL THEN 0 ELSE FNV_HASH("c"."is_current") END AS VARCHAR(20))) AS DECIMAL(38, 0)) END), 0) FROM "medgen_staging"."mondo_cui_history__changes" c;

SELECT COALESCE(SUM(CASE WHEN _change_type IN ('insert', 'update_postimage') THEN CAST(FNV_HASH(CAST(CASE WHEN "c"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("c"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."current_cui" IS NULL THEN 0 ELSE FNV_HASH("c"."current_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("c"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0)) ELSE -CAST(FNV_HASH(CAST(CASE WHEN "c"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("c"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."current_cui" IS NULL THEN 0 ELSE FNV_HASH("c"."current_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "c"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("c"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0)) END), 0) FROM "medgen_staging"."medgen_cui_history__changes" c;

SELECT COALESCE(SUM(rows_inserted + 2 * rows_updated + rows_deleted), 0) FROM "medgen_audit".load_run WHERE table_name = $1 AND status = 'succeeded' AND load_id > LOAD_ID;

SELECT COUNT(*) FROM "medgen"."growing";

SELECT COUNT(*) FROM "medgen_changes"."medgen_cui_history" WHERE _load_id IN (SELECT load_id FROM "medgen_audit".load_run WHERE table_name = $1 AND status = 'succeeded' AND load_id > LOAD_ID);

SELECT COUNT(*) FROM "medgen_staging"."made_up";

SELECT COUNT(*) FROM "medgen_staging"."medgen_cui_history";

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."cui" IS NULL THEN 0 ELSE FNV_HASH("t"."cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."number" IS NULL THEN 0 ELSE FNV_HASH("t"."number") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen"."made_up__new" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."cui" IS NULL THEN 0 ELSE FNV_HASH("t"."cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."number" IS NULL THEN 0 ELSE FNV_HASH("t"."number") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0), 0 FROM "medgen_staging"."made_up" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."mondo_id" IS NULL THEN 0 ELSE FNV_HASH("t"."mondo_id") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."cui" IS NULL THEN 0 ELSE FNV_HASH("t"."cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date" IS NULL THEN 0 ELSE FNV_HASH("t"."date") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."is_current" IS NULL THEN 0 ELSE FNV_HASH("t"."is_current") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen"."mondo_cui_history" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."mondo_id" IS NULL THEN 0 ELSE FNV_HASH("t"."mondo_id") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."cui" IS NULL THEN 0 ELSE FNV_HASH("t"."cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date" IS NULL THEN 0 ELSE FNV_HASH("t"."date") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."is_current" IS NULL THEN 0 ELSE FNV_HASH("t"."is_current") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen"."mondo_cui_history__new" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."mondo_id" IS NULL THEN 0 ELSE FNV_HASH("t"."mondo_id") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."cui" IS NULL THEN 0 ELSE FNV_HASH("t"."cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date" IS NULL THEN 0 ELSE FNV_HASH("t"."date") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."is_current" IS NULL THEN 0 ELSE FNV_HASH("t"."is_current") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen_staging"."mondo_cui_history" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."mondo_id" IS NULL THEN 0 ELSE FNV_HASH("t"."mondo_id") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."cui" IS NULL THEN 0 ELSE FNV_HASH("t"."cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date" IS NULL THEN 0 ELSE FNV_HASH("t"."date") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."is_current" IS NULL THEN 0 ELSE FNV_HASH("t"."is_current") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0), COUNT(CASE WHEN "t"."mondo_id" IS NULL OR "t"."cui" IS NULL THEN 1 END) FROM "medgen_staging"."mondo_cui_history" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."current_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."current_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen"."growing" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."current_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."current_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen"."medgen_cui_history" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."current_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."current_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen"."medgen_cui_history__new" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."current_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."current_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen_staging"."growing" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."current_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."current_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen_staging"."medgen_cui_history" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."current_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."current_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0), COUNT(CASE WHEN "t"."previous_cui" IS NULL THEN 1 END) FROM "medgen_staging"."medgen_cui_history" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen"."growing" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen"."growing__new" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0) FROM "medgen_staging"."growing" t;

SELECT COUNT(*), COALESCE(SUM(CAST(FNV_HASH(CAST(CASE WHEN "t"."previous_cui" IS NULL THEN 0 ELSE FNV_HASH("t"."previous_cui") END AS VARCHAR(20)) || ',' || CAST(CASE WHEN "t"."date_of_action" IS NULL THEN 0 ELSE FNV_HASH("t"."date_of_action") END AS VARCHAR(20))) AS DECIMAL(38, 0))), 0), COUNT(CASE WHEN "t"."previous_cui" IS NULL THEN 1 END) FROM "medgen_staging"."growing" t;

SELECT DISTINCT r.load_id FROM "medgen_audit".rejected_row r JOIN "medgen_audit".load_run l ON l.load_id = r.load_id WHERE l.table_name = (SELECT table_name FROM "medgen_audit".load_run WHERE load_id = $1) ORDER BY 1;

SELECT MAX(load_id), MAX(CASE WHEN status = $1 THEN load_id END) FROM "medgen_audit".load_run WHERE table_name = $2;

SELECT SUM(_came - _both), SUM(_both), SUM(_went - _both) FROM (SELECT _came, _went, CASE WHEN _came < _went THEN _came ELSE _went END AS _both FROM  (SELECT SUM(CASE WHEN _copies > 0 THEN _copies ELSE 0 END) AS _came,   SUM(CASE WHEN _copies < 0 THEN -_copies ELSE 0 END) AS _went FROM   (SELECT "previous_cui", "current_cui", "date_of_action", SUM(_one) AS _copies FROM    (SELECT "previous_cui", "current_cui", "date_of_action", CASE WHEN _change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END AS _one FROM "medgen_changes"."medgen_cui_history"     WHERE _load_id > LOAD_ID AND _load_id <= LOAD_ID) AS events    GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action") HAVING SUM(_one) <> 0) AS netted GROUP BY "previous_cui", OCTET_LENGTH("previous_cui"), "current_cui", OCTET_LENGTH("current_cui"), "date_of_action", OCTET_LENGTH("date_of_action")) AS sides) AS counted;

SELECT TRIM(file_name), line_number, TRIM(column_name), error_code, TRIM(error_message) FROM sys_load_error_detail WHERE query_id = $1 ORDER BY 1, 2 LIMIT 10;

SELECT _change_type, COUNT(*) FROM "medgen_staging"."growing__changes" GROUP BY _change_type;

SELECT _change_type, COUNT(*) FROM "medgen_staging"."medgen_cui_history__changes" GROUP BY _change_type;

SELECT _change_type, COUNT(*) FROM "medgen_staging"."mondo_cui_history__changes" GROUP BY _change_type;

SELECT column_name, character_maximum_length FROM svv_columns WHERE table_schema = $1 AND table_name = $2 AND character_maximum_length IS NOT NULL;

SELECT column_name, data_type FROM svv_columns WHERE table_schema = $1 AND table_name = $2;

SELECT held.cui, words.number FROM "medgen_pipeline__held" AS held JOIN (SELECT CAST('C1' AS VARCHAR(255)) AS "word", CAST(1 AS BIGINT) AS "number") AS words ON words.word = held.cui UNION ALL SELECT cui, _load_id FROM "medgen_changes"."mondo_cui_history" AS change WHERE 1 = 0 LIMIT 3;

SELECT load_id FROM "medgen_audit".load_run WHERE table_name = $1 AND status <> $2;

SELECT load_id, release FROM "medgen_audit".load_run WHERE table_name = $1 AND status = 'succeeded' AND load_id >= $2 ORDER BY load_id DESC;

SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname IN ('medgen');

SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname IN ('medgen', 'medgen_staging');

SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname IN ('medgen', 'medgen_staging', 'medgen_changes', 'medgen_audit', 'medgen_history');

SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname IN ('medgen_audit');

SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname IN ('medgen_changes');

SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname IN ('medgen_history');

SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname IN ('medgen_staging');

SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname IN ('medgen_staging_audit');

SELECT pg_last_copy_count();

SELECT pg_last_copy_id();

SELECT release FROM "medgen_audit".load_run WHERE load_id = $1;

SELECT status FROM "medgen_audit".load_run WHERE load_id = $1;

SELECT t.pid, t.txn_owner, t.txn_start FROM svv_transactions t, pg_class c, pg_namespace n WHERE c.oid = t.relation AND n.oid = c.relnamespace AND n.nspname = $1 AND c.relname = $2 AND t.granted AND t.pid <> pg_backend_pid();

SELECT table_name, MAX(load_id), MAX(CASE WHEN status = 'succeeded' THEN load_id END) FROM "medgen_audit".load_run GROUP BY table_name;

SET SESSION statement_timeout TO 0;

SET SESSION statement_timeout TO 60000;

SET datestyle TO 'ISO';

SET statement_timeout TO 0;

SET statement_timeout TO 10;

SET statement_timeout TO 60000;

SET timezone TO 'UTC';

UPDATE "medgen"."growing" SET "date_of_action__new" = CASE WHEN CAST("date_of_action" AS VARCHAR(255)) ~ '^-?[0-9]+$' AND LENGTH(CAST("date_of_action" AS VARCHAR(255))) < 19 THEN CAST(CAST("date_of_action" AS VARCHAR(255)) AS BIGINT) END;

UPDATE "medgen"."growing" SET "date_of_action__new" = CAST("date_of_action" AS VARCHAR(64));

UPDATE "medgen_audit".load_run SET status = $1, error = $2, finished_at = GETDATE() WHERE load_id = $3 AND status = $4;

UPDATE "medgen_audit".load_run SET status = $1, finished_at = GETDATE(), error = 'its process ended without closing it; found by the next load' WHERE table_name = $2 AND status = $3;

UPDATE "medgen_audit".load_run SET status = $1, mode = $2, finished_at = GETDATE(), rows_inserted = $3, rows_updated = $4, rows_deleted = $5, rows_unchanged = $6, guard = $7 WHERE load_id = $8 AND status = $9;

UPDATE "medgen_audit".load_run SET strategy = $1, rows_extracted = $2, rows_rejected = $3, rows_repaired = $4 WHERE load_id = $5;

UPDATE "medgen_changes"."growing" SET "date_of_action__new" = CAST("date_of_action" AS VARCHAR(64));
