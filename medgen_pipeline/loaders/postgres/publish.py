"""Publishes a change set: in place, or by putting the staged table in production's place. One transaction each.

Nothing is dropped with CASCADE. A swap carries over what it knows how to carry (plain views, grants, owner, comments,
indexes); a table with anything else attached is changed in place, which leaves all of it alone.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from medgen_pipeline.catalog import Column, ColumnType
from medgen_pipeline.loaders.postgres.compare import (
    Comparison,
    build_index,
    has_unique_index,
    make_unique_index,
)
from medgen_pipeline.loaders.postgres.guard import is_written_by, production_oid, what_changes_values
from medgen_pipeline.loaders.postgres.names import TableNames, definitions, schemas
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.records import (
    ChangeCounts,
    LoaderError,
    LoadStart,
    ProductionChangedError,
    Strategy,
    SwapRefusedError,
)

# Shorter than deadlock_timeout (1 s): the swap gives way before the server would have to kill a reader that holds the
# table and waits for one of its views.
_SWAP_LOCK_TIMEOUT = "300ms"
_SWAP_ATTEMPTS = 40
# Indexes of the staged table carry it until production's have gone.
NEW_SUFFIX = "__new"

# A unique index and repeated values, a removed column, an expression that fails, a value too long for an index page.
_DOES_NOT_FIT = (psycopg.IntegrityError, psycopg.ProgrammingError, psycopg.DataError, pg_errors.ProgramLimitExceeded)

# Each row: what stands in the way of a swap, as words for the log. {t} is production's oid. The first query finds
# whatever the server would not let go of with the table, except plain views and indexes; the others find what would go
# with it unnoticed.
_OBSTACLES: LiteralString = """
SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
FROM pg_depend d LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    LEFT JOIN pg_class v ON v.oid = r.ev_class
WHERE d.deptype <> 'i' AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = {t}
    OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN
        (SELECT unnest(ARRAY[y.oid, y.typarray]) FROM pg_type y WHERE y.typrelid = {t}))
AND NOT (r.rulename IS NOT NULL AND r.rulename = '_RETURN' AND v.relkind = 'v' AND v.relpersistence = 'p'
    AND pg_has_role(v.relowner, 'USAGE') AND has_schema_privilege(v.relnamespace, 'CREATE'))
AND NOT (d.classid = 'pg_class'::regclass
    AND EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = d.objid AND i.indrelid = {t}))
UNION ALL SELECT 'publication ' || p.pubname FROM pg_publication_tables p
    JOIN pg_namespace n ON n.nspname = p.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename WHERE c.oid = {t}
UNION ALL SELECT 'inheritance' FROM pg_inherits WHERE inhrelid = {t} OR inhparent = {t}
UNION ALL SELECT 'security label' FROM pg_seclabel WHERE objoid = {t} AND classoid = 'pg_class'::regclass
UNION ALL SELECT 'settings of the table' FROM pg_class c WHERE c.oid = {t} AND (c.reloptions IS NOT NULL
    OR c.relrowsecurity OR c.relforcerowsecurity OR c.relreplident <> 'd' OR c.reltablespace <> 0
    OR c.relpersistence <> 'p' OR c.relkind <> 'r' OR c.reloftype <> 0
    OR c.relam <> (SELECT oid FROM pg_am WHERE amname = current_setting('default_table_access_method'))
    OR EXISTS (SELECT FROM pg_class toast WHERE toast.oid = c.reltoastrelid AND toast.reloptions IS NOT NULL))
UNION ALL SELECT 'owner ' || pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = {t}
    AND (NOT pg_has_role(c.relowner, 'USAGE') OR pg_get_userbyid(c.relowner) <> current_user
        AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
        AND NOT has_schema_privilege(c.relowner, {staging_schema}, 'CREATE'))
UNION ALL SELECT 'settings of column ' || a.attname FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
    WHERE a.attrelid = {t} AND a.attnum > 0 AND (a.attnotnull OR coalesce(a.attstattarget, -1) >= 0
    OR a.attoptions IS NOT NULL OR a.attcompression <> '' OR a.attstorage <> y.typstorage
    OR a.attcollation <> y.typcollation OR a.attidentity <> '')
UNION ALL SELECT 'column ' || attname FROM pg_attribute WHERE attrelid = {t} AND attnum > 0
    AND NOT attisdropped AND attname <> ALL ({known})
UNION ALL SELECT 'index ' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = {t} AND (i.indisclustered OR i.indisreplident OR NOT i.indisvalid OR c.reltablespace <> 0
    OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND coalesce(a.attstattarget, -1) >= 0)
    OR c.relname = ANY ({own_indexes}) AND (i.indpred IS NOT NULL OR c.reloptions IS NOT NULL OR {index_columns} <>
        ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
            LEFT JOIN pg_attribute a ON a.attrelid = {t} AND a.attnum = k.number ORDER BY k.place)))
"""


def swap_obstacles(session: PostgresSession, names: TableNames) -> list[str]:
    """What is attached to production that a swap could not carry over; empty where there is no production."""
    oid = production_oid(session, names)
    if oid is None:
        return []
    rows = session.run(
        _OBSTACLES,
        names,
        t=sql.Literal(oid),
        staging_schema=sql.Literal(names.staging_schema),
        known=sql.Literal(list(names.table.column_names)),
        own_indexes=sql.Literal(list(names.own_indexes)),
        index_columns=sql.Literal(list(names.index_columns)),
    )
    return sorted({row[0] for row in rows})


def apply_delta(session: PostgresSession, names: TableNames, start: LoadStart, load_id: int, found: Comparison) -> None:
    """Delete, update and insert in place, and feed. Inside the caller's transaction."""
    counts = found.counts
    _lock_writers_out(session, names)
    _check_as_compared(session, names, found)
    _check_no_child_has_rows(session, names)
    if names.table.key and not counts.by_key and not (counts.key_is_unique and has_unique_index(session, names)):
        _give_up_unique_key(session, names)
    session.run("ANALYZE {changes}", names)
    if counts.deleted:
        _check_applied(names, "deleted", _delete(session, names, counts), counts.deleted)
    if counts.updated:
        _check_applied(names, "updated", _update(session, names), counts.updated)
    if counts.inserted:
        _check_applied(names, "inserted", _insert(session, names), counts.inserted)
    write_feed(session, names, start, load_id)


def check_values(session: PostgresSession, names: TableNames, found: Comparison, strategy: Strategy) -> None:
    """Prove that production holds what was written, where anything could have changed it. In the same transaction."""
    causes = what_changes_values(session, names)
    if not causes:
        return
    session.work.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what would fire at the commit, now
    rows, checksum = session.run(
        "SELECT count(*), coalesce(sum({hash}), 0) FROM {production} p", names, hash=names.row_hash("p")
    ).fetchone() or (0, 0)
    if (rows, int(checksum)) == (found.counts.rows_after, found.checksum_after):
        return
    other = session.value(
        "SELECT count(*) FROM {changes} c WHERE _change_type IN ('insert', 'update_postimage')"
        " AND NOT EXISTS (SELECT FROM {production} p WHERE {same})",
        names,
        same=names.same_row("p", "c"),
    )
    message = (
        f"{names.schema}.{names.table.name}: its rows are not those of the release: expected "
        f"{found.counts.rows_after:,} rows, found {rows:,}; {other:,} of those written have other values. "
        f"Nothing was published. What may have changed them: {', '.join(causes)}. Drop or disable that, and load again."
    )
    # A change between files is added to what an earlier load left, which the whole file may have to put right.
    raise ProductionChangedError(message) if strategy is Strategy.SNAPSHOT else LoaderError(message)


def publish_first(session: PostgresSession, names: TableNames) -> None:
    """Move the staged table, indexed already, to where production will be. Inside the caller's transaction."""
    # ALTER DEFAULT PRIVILEGES may have other grants for the schema of staging: take those that a table made here gets.
    session.run("CREATE TABLE {production} ()", names)
    _copy_grants(session, names)
    session.run("DROP TABLE {production}", names)
    session.run("ALTER TABLE {staging} SET SCHEMA {schema}", names, schema=sql.Identifier(names.schema))
    describe(session, names)


def prepare_swap(session: PostgresSession, names: TableNames, *, indexed: bool) -> None:
    """Give the staged table production's indexes, out of readers' sight.

    Args:
        session: The open session.
        names: The table's names.
        indexed: Whether the staged table has its own index already, under its name for the time being.
    """
    if not indexed:
        build_index(session, names, suffix=NEW_SUFFIX)
    for index in _users_indexes(session, names):
        try:
            session.work.execute(index.definition.encode())
        except _DOES_NOT_FIT as error:
            raise LoaderError(
                f"{names.schema}.{names.table.name}: index {index.name} cannot be built on the new rows: {error}. "
                "Nothing was published. Change or drop the index, and load again."
            ) from error
        if index.comment is not None:
            session.run(
                "COMMENT ON INDEX {index} IS {text}",
                names,
                index=sql.Identifier(names.staging_schema, index.new_name),
                text=sql.Literal(index.comment),
            )


def swap(
    session: PostgresSession,
    names: TableNames,
    start: LoadStart,
    load_id: int,
    found: Comparison,
) -> None:
    """Put the prepared staged table in production's place. Inside the caller's transaction.

    The feed is written before readers are locked out; from then to the commit only the system catalog is touched.
    """
    _lock_writers_out(session, names)
    if found.production is not None:
        _check_as_compared(session, names, found)
        write_feed(session, names, start, load_id)
    with _attached_things_refuse(names):
        _take_place(session, names)


@contextmanager
def _attached_things_refuse(names: TableNames) -> Iterator[None]:
    """Tell what the user's views, grants and indexes refuse, mostly for want of a right, from what any change would."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        raise SwapRefusedError(
            f"{names.schema}.{names.table.name}: a new table cannot take its place: {error}. Nothing was published."
        ) from error


def _take_place(session: PostgresSession, names: TableNames) -> None:
    """Give the staged table what production has, lock readers out, and exchange the two."""
    _copy_owner(session, names)
    _copy_comments(session, names)
    renames = _index_renames(session, names)
    _lock_readers_out(session, names, _dependent_views(session, names))
    # Only now: the locks of before keep neither CREATE VIEW nor GRANT out.
    _check_nothing_new_is_attached(session, names)
    views = [(view, _definition(session, view)) for view in _dependent_views(session, names)]
    _copy_grants(session, names)
    retired = f"{names.table.name}__retired"
    session.run("ALTER TABLE {production} RENAME TO {retired}", names, retired=sql.Identifier(retired))
    session.run("ALTER TABLE {staging} SET SCHEMA {schema}", names, schema=sql.Identifier(names.schema))
    for view, definition in views:
        _bind_again(session, names, view, definition)
    session.run("DROP TABLE {retired}", names, retired=sql.Identifier(names.schema, retired))
    for new, old in renames.items():
        session.run(
            "ALTER INDEX {new} RENAME TO {old}",
            names,
            new=sql.Identifier(names.schema, new),
            old=sql.Identifier(old),
        )


def describe(session: PostgresSession, names: TableNames) -> None:
    """Put the catalog's descriptions where psql, BI tools and data catalogs find them."""
    _comment(session, names.production, None, names.table.description)
    describe_columns(session, names, names.table.columns)


def describe_columns(session: PostgresSession, names: TableNames, columns: Sequence[Column]) -> None:
    """The same for some of the columns."""
    for column in columns:
        _comment(session, names.production, column.name, column.description)


def write_feed(session: PostgresSession, names: TableNames, start: LoadStart, load_id: int) -> None:
    """Append the change set to the table's feed, which follows Delta Lake's change data feed."""
    standing = session.columns(schemas(names.schema)[2], names.table.name)
    if standing:
        _fit_feed(session, names, standing)
    else:
        session.run(
            "CREATE TABLE {feed} (_change_type text NOT NULL, _release text NOT NULL,"
            " _commit_timestamp timestamptz NOT NULL, _load_id bigint NOT NULL, {definitions})",
            names,
            definitions=definitions(names.table.columns),
        )
        session.mark(names.feed)
    session.run(
        "INSERT INTO {feed} (_change_type, _release, _commit_timestamp, _load_id, {columns})"
        " SELECT _change_type, {release}, now(), {load_id}, {columns} FROM {changes}",
        names,
        release=sql.Literal(start.release),
        load_id=sql.Literal(load_id),
    )


def _fit_feed(session: PostgresSession, names: TableNames, types: Mapping[str, str]) -> None:
    """Give the feed the columns that the catalog has gained, and text where a column is no longer an integer.

    Looks first: ALTER TABLE would wait for the feed's readers even where it has nothing to do.
    """
    for column in names.table.columns:
        if column.name not in types:
            session.run("ALTER TABLE {feed} ADD COLUMN {definition}", names, definition=definitions([column]))
        elif column.type is ColumnType.TEXT and types[column.name] != "text":
            session.run("ALTER TABLE {feed} ALTER {column} TYPE text", names, column=sql.Identifier(column.name))


def _lock_writers_out(session: PostgresSession, names: TableNames) -> None:
    """Keep out other writers and whoever would alter the table; let readers through."""
    session.set_local("lock_timeout", f"{session.config.lock_timeout_seconds:g}s")
    session.run("LOCK TABLE ONLY {production} IN SHARE ROW EXCLUSIVE MODE", names)


def _check_as_compared(session: PostgresSession, names: TableNames, found: Comparison) -> None:
    """Prove that production is as it was compared. The caller keeps writers out."""
    if found.production is None or not is_written_by(session, names, found.production):
        raise ProductionChangedError(
            f"{names.schema}.{names.table.name}: somebody else wrote to the table since it was compared. "
            "Nothing was published; load again."
        )


def _check_no_child_has_rows(session: PostgresSession, names: TableNames) -> None:
    """Rows of a table that inherits from production count as production's, and would be deleted as such."""
    production = session.value(
        "SELECT oid::bigint FROM pg_class WHERE oid = %s AND relkind = 'r' AND relhassubclass",
        names,
        [production_oid(session, names)],
    )
    child = production and session.value(
        "SELECT tableoid::regclass::text FROM {production} WHERE tableoid <> %s LIMIT 1", names, [production]
    )
    if child:
        raise LoaderError(
            f"{names.schema}.{names.table.name}: {child} inherits from it and has rows, which this load would delete. "
            f"Nothing was published. ALTER TABLE {child} NO INHERIT {names.schema}.{names.table.name}, and load again."
        )


def _check_applied(names: TableNames, verb: str, observed: int, expected: int) -> None:
    if observed != expected:
        raise LoaderError(
            f"{names.schema}.{names.table.name}: {verb} {observed:,} rows, the change set has {expected:,}. "
            "Nothing was published. A trigger or rule on the table may interfere."
        )


def _delete(session: PostgresSession, names: TableNames, counts: ChangeCounts) -> int:
    if counts.by_key:
        return session.run(
            "DELETE FROM {production} AS p USING {changes} c WHERE c._change_type = 'delete' AND {on}",
            names,
            on=names.key_matches("p", "c"),
        ).rowcount
    # As many copies as the change set has, of however many equal rows production holds. Found through the index where
    # no column of it is NULL, which equality does not find: 0.01 s against 0.33 s for 200 of 850,000 terms.
    by_index = sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier("p", name), sql.Identifier("d", name)) for name in names.index_columns
    )
    return session.run(
        "WITH doomed AS (SELECT {columns}, count(*) AS copies, row_number() OVER () AS id FROM {changes}"
        "   WHERE _change_type = 'delete' GROUP BY {columns}),"
        " matching AS ("
        "  SELECT p.ctid AS tid, d.id, d.copies FROM doomed d JOIN {production} p ON {by_index} AND {same}"
        "   WHERE num_nulls({d_index_columns}) = 0"
        "  UNION ALL SELECT p.ctid, d.id, d.copies FROM doomed d JOIN {production} p ON {same}"
        "   WHERE num_nulls({d_index_columns}) > 0)"
        " DELETE FROM {production} WHERE ctid = ANY (ARRAY("
        "  SELECT tid FROM (SELECT *, row_number() OVER (PARTITION BY id) AS nth FROM matching) AS numbered"
        "  WHERE nth <= copies))",
        names,
        by_index=by_index,
        same=names.same_row("p", "d"),
        d_index_columns=names.columns("d", names.index_columns),
    ).rowcount


def _update(session: PostgresSession, names: TableNames) -> int:
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("c", name)) for name in names.other_columns
    )
    return session.run(
        "UPDATE {production} AS p SET {assignments} FROM {changes} c"
        " WHERE c._change_type = 'update_postimage' AND {on}",
        names,
        assignments=assignments,
        on=names.key_matches("p", "c"),
    ).rowcount


def _insert(session: PostgresSession, names: TableNames) -> int:
    return session.run(
        "INSERT INTO {production} ({columns}) SELECT {columns} FROM {changes} WHERE _change_type = 'insert'", names
    ).rowcount


def _give_up_unique_key(session: PostgresSession, names: TableNames) -> None:
    """A key that repeats must not cost rows: its index stays, but no longer as a unique one."""
    session.run(
        "CREATE INDEX IF NOT EXISTS {name} ON {production} ({key})", names, name=sql.Identifier(names.plain_index)
    )
    # What has the name without being the key's unique index is the user's.
    if has_unique_index(session, names):
        session.run("DROP INDEX IF EXISTS {index}", names, index=sql.Identifier(names.schema, names.unique_index))


def regain_unique_key(session: PostgresSession, names: TableNames) -> bool:
    """Make the key's index unique again once the repeated rows are gone; returns whether it is."""
    repeats = session.value(
        "SELECT EXISTS (SELECT FROM {production} GROUP BY {key} HAVING count(*) > 1 OR num_nulls({key}) > 0)", names
    )
    if repeats:
        return False
    with session.work.transaction():
        unique = has_unique_index(session, names) or make_unique_index(session, names)
        if unique:
            session.run("DROP INDEX IF EXISTS {index}", names, index=sql.Identifier(names.schema, names.plain_index))
    return unique


def _lock_readers_out(session: PostgresSession, names: TableNames, views: list["_View"]) -> None:
    """Take the exclusive locks of the swap: views first, as readers do, and never for long.

    While this waits, new readers queue behind it, so it waits 300 ms, lets them pass, and tries again.
    """
    for attempt in range(1, _SWAP_ATTEMPTS + 1):
        try:
            with session.work.transaction():
                session.set_local("lock_timeout", _SWAP_LOCK_TIMEOUT)
                for view in views:
                    # Changes nothing but takes the lock. LOCK TABLE would also lock whatever else the view reads, and
                    # ask the view's owner for the right to do so.
                    session.run("ALTER VIEW {view} OWNER TO {owner}", names, view=view.identifier, owner=view.owner)
                session.run("LOCK TABLE ONLY {production} IN ACCESS EXCLUSIVE MODE", names)
        except pg_errors.LockNotAvailable:
            if attempt == _SWAP_ATTEMPTS:
                raise
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311  # spreads retries, hides nothing
        else:
            return


def _check_nothing_new_is_attached(session: PostgresSession, names: TableNames) -> None:
    if obstacles := swap_obstacles(session, names):
        raise ProductionChangedError(
            f"{names.schema}.{names.table.name}: a new table in its place would lose {', '.join(obstacles)}. "
            "Nothing was published; load again, and it will be changed in place."
        )


@dataclass(frozen=True)
class _View:
    """A plain view that reads production directly."""

    oid: int
    identifier: sql.Identifier
    owner: sql.Identifier


def _dependent_views(session: PostgresSession, names: TableNames) -> list[_View]:
    """Views on these views need nothing: a replaced view keeps its object id, grants and dependents."""
    rows = session.work.execute(
        "SELECT DISTINCT v.oid::bigint, n.nspname::text, v.relname::text, pg_get_userbyid(v.relowner)::text"
        " FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class"
        " JOIN pg_namespace n ON n.oid = v.relnamespace"
        " WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s"
        " AND v.relkind = 'v' ORDER BY 2, 3",
        [production_oid(session, names)],
    )
    return [_View(oid, sql.Identifier(schema, name), sql.Identifier(owner)) for oid, schema, name, owner in rows]


def _definition(session: PostgresSession, view: _View) -> str:
    """The view's options and query.

    Reading the query locks all tables in it until the transaction ends, so the view's own lock comes first: of two
    swaps with a view on both tables, each would else keep the other out of its table.
    """
    row = session.work.execute(
        "SELECT concat('WITH (' || array_to_string(reloptions, ', ') || ') ', 'AS ', pg_get_viewdef(oid))"
        " FROM pg_class WHERE oid = %s",
        [view.oid],
    ).fetchone()
    return str(row[0]) if row else ""


def _bind_again(session: PostgresSession, names: TableNames, view: _View, definition: str) -> None:
    """Bind a view to what has production's name now."""
    name = view.identifier.as_string(session.work)
    try:
        session.work.execute(f"CREATE OR REPLACE VIEW {name} {definition}".encode())
    except psycopg.ProgrammingError as error:
        raise SwapRefusedError(
            f"{names.schema}.{names.table.name}: view {name} does not fit the new table: {error}. "
            "Nothing was published. Change or drop the view, and load again."
        ) from error


@dataclass(frozen=True)
class _Index:
    """An index of the user's, and the statement that makes its like on the staged table."""

    name: str
    new_name: str
    definition: str
    comment: str | None


def _users_indexes(session: PostgresSession, names: TableNames) -> list[_Index]:
    """The user's own indexes on production. Those of constraints are obstacles to a swap."""
    rows = session.work.execute(
        "SELECT name, new_name, replace(pg_get_indexdef(oid),"
        "  format('INDEX %%I ON %%I.%%I ', name, %(schema)s::text, %(table)s::text),"
        "  format('INDEX %%I ON %%I.%%I ', new_name, %(staging)s::text, %(table)s::text)),"
        "  obj_description(oid, 'pg_class')"
        " FROM pg_index i, LATERAL (SELECT c.oid, c.relname::text AS name, %(table)s || '__new_' || c.oid AS new_name"
        "  FROM pg_class c WHERE c.oid = i.indexrelid) AS one"
        " WHERE i.indrelid = %(oid)s AND name <> ALL (%(own)s) ORDER BY name",
        {
            "oid": production_oid(session, names),
            "own": list(names.own_indexes),
            "schema": names.schema,
            "staging": names.staging_schema,
            "table": names.table.name,
        },
    )
    return [_Index(*row) for row in rows]


def _index_renames(session: PostgresSession, names: TableNames) -> dict[str, str]:
    """What each index of the staged table is to be called once production's have gone."""
    renames = {name + NEW_SUFFIX: name for name in names.own_indexes}
    renames |= {index.new_name: index.name for index in _users_indexes(session, names)}
    rows = session.run(
        "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass",
        names,
        [names.staging.as_string(session.work)],
    )
    standing = {row[0] for row in rows}
    missing = {new for new, old in renames.items() if old not in names.own_indexes} - standing
    if missing or not standing <= set(renames):
        raise ProductionChangedError(
            f"{names.schema}.{names.table.name}: its indexes were changed while their like were being built. "
            "Nothing was published; load again."
        )
    return {new: renames[new] for new in sorted(standing)}


def _copy_owner(session: PostgresSession, names: TableNames) -> None:
    owner = session.value(
        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s", names, [production_oid(session, names)]
    )
    session.run("ALTER TABLE {staging} OWNER TO {owner}", names, owner=sql.Identifier(owner))


def _copy_grants(session: PostgresSession, names: TableNames) -> None:
    """Give the staged table production's grants and no others; ALTER DEFAULT PRIVILEGES may have added some."""
    statements = session.work.execute(
        "WITH granted AS ("
        "  SELECT c.oid, NULL::name AS attname, a.*"
        "   FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a"
        "   WHERE c.oid IN (%(staging)s::regclass, %(oid)s)"
        "  UNION ALL SELECT t.attrelid, t.attname, a.* FROM pg_attribute t, aclexplode(t.attacl) a"
        "   WHERE t.attrelid = %(oid)s AND NOT t.attisdropped),"
        " worded AS (SELECT *, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END"
        "   AS role, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option FROM granted)"
        " SELECT format('REVOKE ALL ON %%s FROM %%s', %(staging)s::text, role), 1 AS step FROM worded"
        "  WHERE oid = %(staging)s::regclass"
        " UNION SELECT format('GRANT %%s%%s ON %%s TO %%s%%s', privilege_type, ' (' || quote_ident(attname) || ')',"
        "   %(staging)s::text, role, option), 2 FROM worded WHERE oid = %(oid)s"
        " ORDER BY step",
        {"staging": names.staging.as_string(session.work), "oid": production_oid(session, names)},
    ).fetchall()
    for statement, _ in statements:
        session.work.execute(str(statement).encode())


def _copy_comments(session: PostgresSession, names: TableNames) -> None:
    """Carry production's comments over: the catalog's, or what the user made of them. New columns get the catalog's."""
    rows = session.work.execute(
        "SELECT a.attname::text, col_description(a.attrelid, a.attnum) FROM pg_attribute a"
        " WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped"
        " UNION ALL SELECT NULL, obj_description(%(oid)s, 'pg_class')",
        {"oid": production_oid(session, names)},
    ).fetchall()
    comments = {column.name: column.description for column in names.table.columns} | dict(rows)
    for column, text in comments.items():
        # The mark of the loads is not for production, so a table without a comment has none afterwards.
        if text is not None or column is None:
            _comment(session, names.staging, column, text)


def _comment(session: PostgresSession, table: sql.Identifier, column: str | None, text: str | None) -> None:
    target = sql.SQL("TABLE {}").format(table)
    if column is not None:
        target = sql.SQL("COLUMN {}.{}").format(table, sql.Identifier(column))
    session.work.execute(sql.SQL("COMMENT ON {} IS {}").format(target, sql.Literal(text)))
