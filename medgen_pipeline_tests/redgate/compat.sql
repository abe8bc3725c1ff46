-- What Redshift has and PostgreSQL lacks, in a schema of its own. Run once per database by session.py, which puts the
-- schema before pg_catalog in every client's search_path. Pages are AWS's, below redshift/latest/dg/.

CREATE SCHEMA redgate;

-- r_GETDATE: start of the statement, without fractions. r_SYSDATE: start of the transaction. Both UTC by default.
CREATE FUNCTION redgate.getdate() RETURNS timestamp LANGUAGE sql STABLE
    RETURN date_trunc('second', statement_timestamp() AT TIME ZONE 'UTC');
CREATE FUNCTION redgate.sysdate() RETURNS timestamp LANGUAGE sql STABLE
    RETURN transaction_timestamp() AT TIME ZONE 'UTC';
CREATE FUNCTION redgate.version() RETURNS text LANGUAGE sql IMMUTABLE
    RETURN 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0.99999';

-- Trailing blanks do not count when VARCHAR is compared (r_Character_types). Operators found by name obey: = in WHERE,
-- ON, CASE, IN, NULLIF, MERGE. GROUP BY, DISTINCT, EXCEPT and ORDER BY go by operator class and do not.
-- The bodies are strings, so that the planner inlines them and can hash-join on the result.
DO $$
DECLARE
    pair text[];
    symbol text;
BEGIN
    FOREACH pair SLICE 1 IN ARRAY ARRAY[
        ['text', 'text'], ['text', 'varchar'], ['text', 'bpchar'], ['varchar', 'text'], ['varchar', 'varchar'],
        ['varchar', 'bpchar'], ['bpchar', 'text'], ['bpchar', 'varchar']]
    LOOP
        FOREACH symbol IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>='] LOOP
            EXECUTE format(
                'CREATE FUNCTION redgate.%I(%s, %s) RETURNS boolean LANGUAGE sql IMMUTABLE AS '
                '''SELECT pg_catalog.rtrim($1::text, '''' '''') OPERATOR(pg_catalog.%s) '
                'pg_catalog.rtrim($2::text, '''' '''')''',
                'blanks' || symbol, pair[1], pair[2], symbol);
            EXECUTE format(
                'CREATE OPERATOR redgate.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = redgate.%I)',
                symbol, pair[1], pair[2], 'blanks' || symbol);
        END LOOP;
    END LOOP;
END $$;

-- r_NVL_function, r_NVL2, r_DECODE_expression: two NULLs are equal to DECODE. One search value is all a loader needs.
CREATE FUNCTION redgate.nvl(anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql IMMUTABLE AS
    'SELECT coalesce($1, $2)';
CREATE FUNCTION redgate.nvl2(anyelement, anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1 IS NOT NULL THEN $2 ELSE $3 END';
CREATE FUNCTION redgate.decode(anycompatible, anycompatible, anyelement, anyelement) RETURNS anyelement
    LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1 = $2 OR ($1 IS NULL AND $2 IS NULL) THEN $3 ELSE $4 END';
CREATE FUNCTION redgate.len(text) RETURNS integer LANGUAGE sql IMMUTABLE RETURN length($1);
CREATE FUNCTION redgate.sha2(text, integer) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN encode(CASE $2 WHEN 256 THEN sha256(convert_to($1, 'UTF8')) WHEN 512 THEN sha512(convert_to($1, 'UTF8')) END,
                  'hex');

-- r_FNV_HASH: 64 bits, deterministic, trailing blanks count. Neither Redshift's numbers nor its property that
-- fnv_hash('cd', fnv_hash('ab')) = fnv_hash('abcd'). NULL gives NULL: the page does not say what Redshift gives.
CREATE FUNCTION redgate.fnv_hash(text) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT pg_catalog.hashtextextended($1, 0)';
CREATE FUNCTION redgate.fnv_hash(text, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT pg_catalog.hashtextextended($1, $2)';
CREATE FUNCTION redgate.fnv_hash(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT pg_catalog.hashint8extended($1, 0)';
CREATE FUNCTION redgate.fnv_hash(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT pg_catalog.hashint8extended($1, $2)';

-- PG_LAST_COPY_COUNT, PG_LAST_COPY_ID: the session sets both before it runs a statement that asks.
CREATE FUNCTION redgate.pg_last_copy_count() RETURNS bigint LANGUAGE sql STABLE
    RETURN coalesce(nullif(current_setting('redgate.last_copy_count', true), ''), '0')::bigint;
CREATE FUNCTION redgate.pg_last_copy_id() RETURNS integer LANGUAGE sql STABLE
    RETURN coalesce(nullif(current_setting('redgate.last_copy_id', true), ''), '-1')::integer;

-- r_STL_LOAD_ERRORS, SYS_LOAD_ERROR_DETAIL.
CREATE SEQUENCE redgate.query_id START 1000;
CREATE TABLE redgate.stl_load_errors (
    userid integer DEFAULT 100, slice integer DEFAULT 0, tbl integer,
    starttime timestamp DEFAULT (statement_timestamp() AT TIME ZONE 'UTC'), session integer DEFAULT 0, query integer,
    filename char(256), line_number bigint, colname char(127), type char(10), col_length char(10),
    position integer DEFAULT 0, raw_line char(1024), raw_field_value char(1024), err_code integer, err_reason char(100),
    is_partial integer DEFAULT 0, start_offset bigint DEFAULT 0);
CREATE VIEW redgate.sys_load_error_detail AS
    SELECT userid AS user_id, query::bigint AS query_id, NULL::bigint AS transaction_id, session AS session_id,
           current_database()::char(64) AS database_name, tbl AS table_id, starttime AS start_time,
           filename AS file_name, line_number, colname AS column_name, type AS column_type,
           col_length AS column_length, position, err_code AS error_code, err_reason AS error_message
    FROM redgate.stl_load_errors;

-- r_SVV_TABLES, r_SVV_COLUMNS.
CREATE VIEW redgate.svv_tables AS
    SELECT table_catalog, table_schema, table_name, table_type, NULL::text AS remarks FROM information_schema.tables
    WHERE table_schema <> 'redgate';
CREATE VIEW redgate.svv_columns AS
    SELECT table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable,
           data_type, character_maximum_length, numeric_precision, numeric_scale, NULL::text AS remarks
    FROM information_schema.columns WHERE table_schema <> 'redgate';

-- r_SVV_TABLE_INFO shows no empty tables. Rows are counted, because PostgreSQL's estimate is -1 before ANALYZE.
CREATE FUNCTION redgate.count_rows(oid) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    found bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s', $1::regclass) INTO found;
    RETURN found;
END $$;
CREATE VIEW redgate.svv_table_info AS
    SELECT current_database()::text AS "database", n.nspname::text AS "schema", c.oid::integer AS table_id,
           c.relname::text AS "table", pg_total_relation_size(c.oid) / 1048576 AS size, counted.found AS tbl_rows,
           counted.found::numeric AS estimated_visible_rows, 0::numeric AS unsorted, 0::numeric AS stats_off
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT redgate.count_rows(c.oid) AS found) counted
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('redgate', 'pg_catalog', 'information_schema') AND counted.found > 0;

-- r_SVV_TRANSACTIONS.
CREATE VIEW redgate.svv_transactions AS
    SELECT a.usename::text AS txn_owner, a.datname::text AS txn_db, a.backend_xid::text::bigint AS xid, l.pid,
           a.xact_start AT TIME ZONE 'UTC' AS txn_start, l.mode AS lock_mode, l.locktype AS lockable_object_type,
           l.relation, l.granted
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype IN ('relation', 'transactionid') AND a.datname = current_database();

-- r_SVV_RELATION_PRIVILEGES: a role that cannot log in stands for a Redshift role.
CREATE VIEW redgate.svv_relation_privileges AS
    SELECT n.nspname::text AS namespace_name, c.relname::text AS relation_name, a.privilege_type::text,
           a.grantee::integer AS identity_id, coalesce(r.rolname, 'public')::text AS identity_name,
           CASE WHEN a.grantee = 0 THEN 'public' WHEN r.rolcanlogin THEN 'user' ELSE 'role' END AS identity_type,
           a.is_grantable AS admin_option
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.relkind IN ('r', 'v') AND n.nspname NOT IN ('redgate', 'pg_catalog', 'information_schema');

-- r_ALTER_TABLE_APPEND: rows move between tables of the same columns, lengths, distribution and order. The gate keeps
-- lengths, distribution and order in constraints whose names begin with redgate_.
CREATE FUNCTION redgate.layout(regclass) RETURNS text[] LANGUAGE sql STABLE
    RETURN ARRAY(
        SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull) FROM pg_attribute
        WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
        UNION ALL SELECT conname FROM pg_constraint WHERE conrelid = $1 AND conname LIKE 'redgate%'
        ORDER BY 1);
CREATE FUNCTION redgate.append_from(target regclass, source regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    names text := (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
                   WHERE attrelid = source AND attnum > 0 AND NOT attisdropped);
BEGIN
    IF redgate.layout(target) IS DISTINCT FROM redgate.layout(source) THEN
        RAISE 'ALTER TABLE APPEND: the columns, distribution or sort keys of % and % differ', target, source
            USING ERRCODE = 'XX000';
    END IF;
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM %s', target, names, names, source);
    EXECUTE format('TRUNCATE %s', source);
END $$;

-- r_ALTER_TABLE, ALTER COLUMN ... TYPE: only the size of a VARCHAR.
CREATE FUNCTION redgate.resize(relation regclass, name text, bytes integer, size_constraint text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM pg_attribute WHERE attrelid = relation AND attname = name AND atttypid = 'varchar'::regtype;
    IF NOT FOUND THEN
        RAISE 'ALTER COLUMN TYPE: % is no VARCHAR column of %', name, relation USING ERRCODE = '0A000';
    END IF;
    EXECUTE format('ALTER TABLE %1$s ALTER %2$I TYPE varchar(%3$s), DROP CONSTRAINT IF EXISTS %4$I, '
                   'ADD CONSTRAINT %4$I CHECK (octet_length(%2$I) <= %3$s)', relation, name, bytes, size_constraint);
END $$;

-- r_CREATE_VIEW, WITH NO SCHEMA BINDING: the query is a text, read by name whenever the view is, so that nothing of it
-- is in pg_depend. Unlike on Redshift, what it reads must exist when it is made: PostgreSQL must know the columns.
CREATE FUNCTION redgate.late_view(query text) RETURNS SETOF record LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY EXECUTE query;
END $$;
CREATE FUNCTION redgate.create_late_view(name text, replaced boolean, query text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    columns text;
BEGIN
    EXECUTE 'CREATE TEMPORARY VIEW redgate_probe AS ' || query;
    SELECT string_agg(format('%I %s', attname, format_type(atttypid, NULL)), ', ' ORDER BY attnum) INTO columns
    FROM pg_attribute WHERE attrelid = 'pg_temp.redgate_probe'::regclass AND attnum > 0;
    DROP VIEW pg_temp.redgate_probe;
    EXECUTE format('CREATE %s VIEW %s AS SELECT * FROM redgate.late_view(%L) AS late (%s)',
                   CASE WHEN replaced THEN 'OR REPLACE' ELSE '' END, name, query, columns);
END $$;
