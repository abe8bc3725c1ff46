"""Publishes a change set: in place, or by putting the staged table in production's place. One transaction each.

Nothing is dropped with CASCADE. A swap carries over what it knows how to carry (plain views, grants, owner, comments,
indexes); a table with anything else attached is changed in place, which leaves all of it alone.
"""

import random
import time
from dataclasses import dataclass
from typing import LiteralString

from psycopg import errors as pg_errors
from psycopg import sql

from medgen_pipeline.loaders.base import ChangeCounts, LoaderError, LoadStart, ProductionChangedError
from medgen_pipeline.loaders.postgres.compare import Comparison, build_index
from medgen_pipeline.loaders.postgres.guard import production_oid, read_writers
from medgen_pipeline.loaders.postgres.names import TableNames, definitions
from medgen_pipeline.loaders.postgres.session import PostgresSession

# Shorter than deadlock_timeout (1 s): the swap gives way before the server would have to kill a reader that holds the
# table and waits for one of its views.
_SWAP_LOCK_TIMEOUT = "300ms"
_SWAP_ATTEMPTS = 40
# Indexes of the staged table carry it until production's have gone.
NEW_SUFFIX = "__new"

# Each row: what stands in the way of a swap, as words for the log. {t} is production's oid.
_OBSTACLES: LiteralString = """
SELECT 'constraint ' || conname FROM pg_constraint WHERE conrelid = {t} OR confrelid = {t}
UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = {t} AND NOT tgisinternal
UNION ALL SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = {t}
UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = {t}
UNION ALL SELECT 'publication ' || pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
    WHERE r.prrelid = {t}
UNION ALL SELECT 'statistics ' || stxname FROM pg_statistic_ext WHERE stxrelid = {t}
UNION ALL SELECT 'inheritance' FROM pg_inherits WHERE inhrelid = {t} OR inhparent = {t}
UNION ALL SELECT 'column default' FROM pg_attrdef WHERE adrelid = {t}
UNION ALL SELECT 'security label' FROM pg_seclabel WHERE objoid = {t} AND classoid = 'pg_class'::regclass
UNION ALL SELECT 'settings of the table' FROM pg_class WHERE oid = {t} AND (reloptions IS NOT NULL OR relrowsecurity
    OR relforcerowsecurity OR relreplident <> 'd' OR reltablespace <> 0 OR relpersistence <> 'p' OR relkind <> 'r'
    OR relam <> (SELECT oid FROM pg_am WHERE amname = current_setting('default_table_access_method'))
    OR NOT pg_has_role(relowner, 'MEMBER'))
UNION ALL SELECT 'settings of column ' || attname FROM pg_attribute WHERE attrelid = {t} AND attnum > 0
    AND NOT attisdropped AND (coalesce(attstattarget, -1) >= 0 OR attoptions IS NOT NULL OR attcompression <> '')
UNION ALL SELECT 'column ' || attname FROM pg_attribute WHERE attrelid = {t} AND attnum > 0
    AND NOT attisdropped AND attname <> ALL ({known})
UNION ALL SELECT 'index ' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = {t} AND (i.indisclustered OR i.indisreplident OR NOT i.indisvalid)
UNION ALL SELECT CASE relkind WHEN 'm' THEN 'materialized view ' ELSE 'relation ' END || v.oid::regclass::text
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = {t}
    AND (v.relkind <> 'v' OR NOT pg_has_role(v.relowner, 'MEMBER'))
UNION ALL SELECT 'object that depends on the table' FROM pg_depend d
    WHERE d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass) AND d.deptype IN ('n', 'a')
    AND d.refobjid IN ({t}, (SELECT reltype FROM pg_class WHERE oid = {t}))
    AND d.classid NOT IN ('pg_rewrite'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass,
        'pg_policy'::regclass, 'pg_publication_rel'::regclass, 'pg_statistic_ext'::regclass, 'pg_attrdef'::regclass)
    AND NOT (d.classid = 'pg_class'::regclass
        AND EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = d.objid AND i.indrelid = {t}))
"""


def swap_obstacles(session: PostgresSession, names: TableNames) -> list[str]:
    """What is attached to production that a swap could not carry over; empty where there is no production."""
    oid = production_oid(session, names)
    if oid is None:
        return []
    rows = session.run(_OBSTACLES, names, t=sql.Literal(oid), known=sql.Literal(list(names.table.column_names)))
    return sorted({row[0] for row in rows})


def apply_delta(session: PostgresSession, names: TableNames, start: LoadStart, load_id: int, found: Comparison) -> None:
    """Delete, update and insert in place, and feed. Inside the caller's transaction."""
    counts = found.counts
    _keep_other_writers_out(session, names, found)
    if names.table.key and not counts.by_key:
        _give_up_unique_key(session, names)
    session.run("ANALYZE {changes}", names)
    if counts.deleted:
        _check_applied(names, "deleted", _delete(session, names, counts), counts.deleted)
    if counts.updated:
        _check_applied(names, "updated", _update(session, names), counts.updated)
    session.run(
        "INSERT INTO {production} ({columns}) SELECT {columns} FROM {changes} WHERE _change_type = 'insert'", names
    )
    write_feed(session, names, start, load_id)


def publish_first(session: PostgresSession, names: TableNames) -> None:
    """Move the staged table, indexed already, to where production will be. Inside the caller's transaction."""
    session.run("ALTER TABLE {staging} SET SCHEMA {schema}", names, schema=sql.Identifier(names.schema))
    describe(session, names)


def prepare_swap(session: PostgresSession, names: TableNames, *, indexed: bool) -> None:
    """Make the staged table all that production is, out of readers' sight.

    Args:
        session: The open session.
        names: The table's names.
        indexed: Whether the staged table has its own index already, under its name for the time being.
    """
    if not indexed:
        build_index(session, names, suffix=NEW_SUFFIX)
    for place, index in enumerate(_users_indexes(session, names)):
        definition = session.value(
            "SELECT replace(pg_get_indexdef(%(oid)s),"
            " format('INDEX %%I ON %%I.%%I ', %(index)s::text, %(schema)s::text, %(table)s::text),"
            " format('INDEX %%I ON %%I.%%I ', %(new)s::text, %(staging)s::text, %(table)s::text))",
            names,
            {
                "oid": index.oid,
                "index": index.name,
                "new": _users_new_index(names, place),
                "schema": names.schema,
                "staging": names.staging_schema,
                "table": names.table.name,
            },
        )
        session.work.execute(str(definition).encode())
    _copy_grants(session, names)
    _copy_comments(session, names)
    owner = session.value(
        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s", names, [production_oid(session, names)]
    )
    session.run("ALTER TABLE {staging} OWNER TO {owner}", names, owner=sql.Identifier(owner))


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
    if found.production is not None:
        _keep_other_writers_out(session, names, found)
        write_feed(session, names, start, load_id)
    views = _dependent_views(session, names)
    renames = {name + NEW_SUFFIX: name for name in names.own_indexes}
    renames |= {
        _users_new_index(names, place): index.name for place, index in enumerate(_users_indexes(session, names))
    }
    _lock_readers_out(session, names, views)
    retired = f"{names.table.name}__retired"
    session.run("ALTER TABLE {production} RENAME TO {retired}", names, retired=sql.Identifier(retired))
    session.run("ALTER TABLE {staging} SET SCHEMA {schema}", names, schema=sql.Identifier(names.schema))
    for view in views:
        session.work.execute(view.replacement.encode())
    session.run("DROP TABLE {retired}", names, retired=sql.Identifier(names.schema, retired))
    for new, old in renames.items():
        session.run(
            "ALTER INDEX IF EXISTS {new} RENAME TO {old}",
            names,
            new=sql.Identifier(names.schema, new),
            old=sql.Identifier(old),
        )


def describe(session: PostgresSession, names: TableNames) -> None:
    """Put the catalog's descriptions where psql, BI tools and data catalogs find them."""
    session.run("COMMENT ON TABLE {production} IS {text}", names, text=sql.Literal(names.table.description))
    for column in names.table.columns:
        session.run(
            "COMMENT ON COLUMN {production}.{column} IS {text}",
            names,
            column=sql.Identifier(column.name),
            text=sql.Literal(column.description),
        )


def write_feed(session: PostgresSession, names: TableNames, start: LoadStart, load_id: int) -> None:
    """Append the change set to the table's feed, which follows Delta Lake's change data feed."""
    session.run(
        "CREATE TABLE IF NOT EXISTS {feed} (_change_type text NOT NULL, _release text NOT NULL,"
        " _commit_timestamp timestamptz NOT NULL, _load_id bigint NOT NULL, {definitions})",
        names,
        definitions=definitions(names.table.columns),
    )
    for column in names.table.columns:
        session.run("ALTER TABLE {feed} ADD COLUMN IF NOT EXISTS {definition}", names, definition=definitions([column]))
    session.run(
        "INSERT INTO {feed} (_change_type, _release, _commit_timestamp, _load_id, {columns})"
        " SELECT _change_type, {release}, now(), {load_id}, {columns} FROM {changes}",
        names,
        release=sql.Literal(start.release),
        load_id=sql.Literal(load_id),
    )


def _keep_other_writers_out(session: PostgresSession, names: TableNames, found: Comparison) -> None:
    """Lock out other writers, let readers through, and prove that production is as it was compared."""
    session.set_local("lock_timeout", f"{session.config.lock_timeout_seconds:g}s")
    session.run("LOCK TABLE {production} IN SHARE ROW EXCLUSIVE MODE", names)
    now = read_writers(session, names)
    if found.production is None or now.rows != found.production.rows or not now.ids <= found.production.ids:
        raise ProductionChangedError(
            f"{names.schema}.{names.table.name}: somebody else wrote to the table since it was compared. "
            "Nothing was published; load again."
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
    # As many copies as the change set has, of however many equal rows production holds.
    return session.run(
        "DELETE FROM {production} WHERE ctid = ANY (ARRAY("
        " SELECT tid FROM (SELECT p.ctid AS tid, d.copies,"
        "   row_number() OVER (PARTITION BY {production_columns}) AS nth"
        "  FROM {production} p JOIN (SELECT {columns}, count(*) AS copies FROM {changes}"
        "    WHERE _change_type = 'delete' GROUP BY {columns}) d ON {same}) AS numbered"
        " WHERE nth <= copies))",
        names,
        production_columns=names.columns("p"),
        same=names.same_row("p", "d"),
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


def _give_up_unique_key(session: PostgresSession, names: TableNames) -> None:
    """A key that repeats must not cost rows: its index stays, but no longer as a unique one."""
    session.run(
        "CREATE INDEX IF NOT EXISTS {name} ON {production} ({key})", names, name=sql.Identifier(names.plain_index)
    )
    session.run("DROP INDEX IF EXISTS {index}", names, index=sql.Identifier(names.schema, names.unique_index))


def regain_unique_key(session: PostgresSession, names: TableNames) -> bool:
    """Make the key's index unique again once the repeated rows are gone; returns whether it is."""
    repeats = session.value(
        "SELECT EXISTS (SELECT FROM {production} GROUP BY {key} HAVING count(*) > 1 OR num_nulls({key}) > 0)", names
    )
    if repeats:
        return False
    with session.work.transaction():
        session.run(
            "CREATE UNIQUE INDEX IF NOT EXISTS {name} ON {production} ({key})",
            names,
            name=sql.Identifier(names.unique_index),
        )
        session.run("DROP INDEX IF EXISTS {index}", names, index=sql.Identifier(names.schema, names.plain_index))
    return True


def _lock_readers_out(session: PostgresSession, names: TableNames, views: list["_View"]) -> None:
    """Take the exclusive locks of the swap: views first, as readers do, and never for long.

    While this waits, new readers queue behind it, so it waits 300 ms, lets them pass, and tries again.
    """
    targets = sql.SQL(", ").join([*(sql.Identifier(view.schema, view.name) for view in views), names.production])
    for attempt in range(1, _SWAP_ATTEMPTS + 1):
        try:
            with session.work.transaction():
                session.set_local("lock_timeout", _SWAP_LOCK_TIMEOUT)
                session.run("LOCK TABLE {targets} IN ACCESS EXCLUSIVE MODE", names, targets=targets)
        except pg_errors.LockNotAvailable:
            if attempt == _SWAP_ATTEMPTS:
                raise
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311  # spreads retries, hides nothing
        else:
            return


@dataclass(frozen=True)
class _View:
    """A view that reads production directly, and the statement that binds it to what has production's name then."""

    schema: str
    name: str
    replacement: str


@dataclass(frozen=True)
class _Index:
    oid: int
    name: str


def _dependent_views(session: PostgresSession, names: TableNames) -> list[_View]:
    """Views on these views need nothing: a replaced view keeps its object id, grants and dependents."""
    rows = session.work.execute(
        "SELECT DISTINCT n.nspname, v.relname, format('CREATE OR REPLACE VIEW %%I.%%I %%sAS %%s', n.nspname, v.relname,"
        "  'WITH (' || array_to_string(v.reloptions, ', ') || ') ', pg_get_viewdef(v.oid))"
        " FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class"
        " JOIN pg_namespace n ON n.oid = v.relnamespace"
        " WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = %s AND v.relkind = 'v' ORDER BY 1, 2",
        [production_oid(session, names)],
    )
    return [_View(*row) for row in rows]


def _users_indexes(session: PostgresSession, names: TableNames) -> list[_Index]:
    """The user's own indexes on production. Those of constraints are obstacles to a swap."""
    rows = session.work.execute(
        "SELECT c.oid::bigint, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s AND c.relname <> ALL (%s) ORDER BY 2",
        [production_oid(session, names), list(names.own_indexes)],
    )
    return [_Index(*row) for row in rows]


def _users_new_index(names: TableNames, place: int) -> str:
    """A name for the time being, short whatever the index is called."""
    return f"{names.table.name}__new_{place}"


def _copy_grants(session: PostgresSession, names: TableNames) -> None:
    """Give the staged table production's grants and no others; ALTER DEFAULT PRIVILEGES may have added some."""
    staging = names.staging.as_string(session.work)
    oid = production_oid(session, names)
    statements = session.work.execute(
        "SELECT format('REVOKE ALL ON %%s FROM %%s', %(staging)s::text, CASE a.grantee WHEN 0 THEN 'PUBLIC'"
        "   ELSE quote_ident(pg_get_userbyid(a.grantee)) END)"
        " FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = %(staging)s::regclass AND a.grantee <> c.relowner"
        " UNION ALL SELECT format('GRANT %%s ON %%s TO %%s%%s', a.privilege_type, %(staging)s::text,"
        "   CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,"
        "   CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
        " FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = %(oid)s AND a.grantee <> c.relowner"
        " UNION ALL SELECT format('GRANT %%s (%%I) ON %%s TO %%s%%s', a.privilege_type, t.attname, %(staging)s::text,"
        "   CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,"
        "   CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
        " FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = %(oid)s AND t.attnum > 0",
        {"staging": staging, "oid": oid},
    ).fetchall()
    for (statement,) in statements:
        session.work.execute(str(statement).encode())


def _copy_comments(session: PostgresSession, names: TableNames) -> None:
    """Carry production's comments over: the catalog's, or what the user made of them."""
    rows = session.work.execute(
        "SELECT a.attname, d.description FROM pg_description d"
        " LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0"
        " WHERE d.classoid = 'pg_class'::regclass AND d.objoid = %s",
        [production_oid(session, names)],
    ).fetchall()
    for column, text in rows:
        target = sql.SQL("TABLE {}").format(names.staging)
        if column is not None:
            target = sql.SQL("COLUMN {}.{}").format(names.staging, sql.Identifier(column))
        session.work.execute(sql.SQL("COMMENT ON {} IS {}").format(target, sql.Literal(text)))
