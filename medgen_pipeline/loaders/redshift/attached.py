"""What users have attached to production, and how a new table in its place gets that.

Late-binding views need nothing: they find the table by its name. What cannot be carried over is an obstacle to a swap
by renaming; the table is then changed in place, which leaves all of it alone.
"""

from collections.abc import Mapping
from typing import LiteralString

from psycopg import sql

from medgen_pipeline.loaders.redshift.names import TableNames, literal
from medgen_pipeline.loaders.redshift.session import RedshiftSession
from medgen_pipeline.loaders.sql.names import BaseTableNames

# https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT.html
_PRIVILEGES: dict[str, LiteralString] = {
    "SELECT": "SELECT",
    "INSERT": "INSERT",
    "UPDATE": "UPDATE",
    "DELETE": "DELETE",
    "REFERENCES": "REFERENCES",
    "DROP": "DROP",
    "ALTER": "ALTER",
    "TRUNCATE": "TRUNCATE",
}
_GRANTEES: dict[str, LiteralString] = {"user": "{}", "group": "GROUP {}", "role": "ROLE {}", "public": "PUBLIC"}

Grant = tuple[str, str, str, bool]  # privilege, kind of grantee, grantee, may grant it on


def swap_obstacles(session: RedshiftSession, names: BaseTableNames) -> list[str]:
    """What a swap by renaming would lose; empty where there is no production."""
    standing = session.columns(names.schema, names.table.name)
    if not standing:
        return []
    columns = [f"column {name}" for name in sorted(set(standing) - set(names.table.column_names))]
    views = session.work.execute(
        # As AWS finds them: https://docs.aws.amazon.com/redshift/latest/dg/r_DROP_TABLE.html
        "SELECT DISTINCT n.nspname, v.relname FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace"
        " JOIN pg_depend d ON d.refobjid = t.oid JOIN pg_depend i ON i.objid = d.objid AND i.deptype = 'i'"
        " JOIN pg_class v ON v.oid = i.refobjid JOIN pg_namespace n ON n.oid = v.relnamespace"
        " WHERE s.nspname = %s AND t.relname = %s AND v.relkind = 'v' ORDER BY 1, 2",
        [names.schema, names.table.name],
    ).fetchall()
    owner = session.work.execute(
        "SELECT u.usename FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace"
        " JOIN pg_user u ON u.usesysid = t.relowner"
        " WHERE s.nspname = %s AND t.relname = %s AND u.usename <> current_user",
        [names.schema, names.table.name],
    ).fetchall()
    comments = [text for text in _comments(session, names).values() if "\\" in text]
    return [
        *columns,
        *(f"view {schema}.{view} (make it WITH NO SCHEMA BINDING)" for schema, view in views),
        *(f"owner {name}" for (name,) in owner),
        *(f"comment with a backslash: {text}" for text in comments),
        *(f"grant to a {kind}" for _, kind, _, _ in _grants(session, names, names.table.name) if kind not in _GRANTEES),
    ]


def copy_attached(session: RedshiftSession, names: TableNames) -> None:
    """Give the new table production's comments, and its grants and no others: there are default privileges."""
    there, wanted = _grants(session, names, names.new_name), _grants(session, names, names.table.name)
    for privilege, kind, grantee, _ in sorted(there - wanted):
        session.run("REVOKE {privilege} ON {new} FROM {grantee}", names, None, **_grant_parts(privilege, kind, grantee))
    for privilege, kind, grantee, may_grant in sorted(wanted - there):
        session.run(
            "GRANT {privilege} ON {new} TO {grantee} {option}",
            names,
            None,
            **_grant_parts(privilege, kind, grantee),
            option=sql.SQL("WITH GRANT OPTION" if may_grant else ""),
        )
    # The mark of the loads is not for production, so a table without a comment has none afterwards.
    described = {"": None, **{column.name: column.description for column in names.table.columns}}
    _comment(session, names, names.parts["new"], described | _comments(session, names))


def describe_production(session: RedshiftSession, names: TableNames) -> None:
    """Put the catalog's descriptions where BI tools and data catalogs find them."""
    described = {column.name: column.description for column in names.table.columns}
    _comment(session, names, names.production, {"": names.table.description, **described})


def _grants(session: RedshiftSession, names: BaseTableNames, relation: str) -> set[Grant]:
    rows = session.work.execute(
        "SELECT privilege_type, identity_type, identity_name, admin_option FROM svv_relation_privileges"
        " WHERE namespace_name = %s AND relation_name = %s AND identity_name <> current_user",
        [names.schema, relation],
    ).fetchall()
    found = {(str(row[0]).upper(), str(row[1]).lower(), str(row[2]), bool(row[3])) for row in rows}
    return {grant for grant in found if grant[0] in _PRIVILEGES}


def _grant_parts(privilege: str, kind: str, grantee: str) -> dict[str, sql.Composable]:
    return {
        "privilege": sql.SQL(_PRIVILEGES[privilege]),
        "grantee": sql.SQL(_GRANTEES[kind]).format(sql.Identifier(grantee)),
    }


def _comments(session: RedshiftSession, names: BaseTableNames) -> dict[str, str]:
    """Production's comments by column; its own under the empty name."""
    rows = session.work.execute(
        "SELECT a.attname, d.description FROM pg_description d"
        " JOIN pg_class t ON t.oid = d.objoid JOIN pg_namespace s ON s.oid = t.relnamespace"
        " LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND a.attnum > 0"
        " WHERE s.nspname = %s AND t.relname = %s",
        [names.schema, names.table.name],
    ).fetchall()
    return {column or "": text for column, text in rows if text}


def _comment(
    session: RedshiftSession, names: TableNames, table: sql.Composable, texts: Mapping[str, str | None]
) -> None:
    for column, text in texts.items():
        target = (
            sql.SQL("COLUMN {}.{}").format(table, sql.Identifier(column))
            if column
            else sql.SQL("TABLE {}").format(table)
        )
        session.run(
            "COMMENT ON {target} IS {text}", names, target=target, text=sql.NULL if text is None else literal(text)
        )
