"""Puts a first load in place, widens columns, and makes one transaction of whatever is published."""

import logging
from collections.abc import Callable

import psycopg

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import LoadStatus, ProductionChangedError
from medgen_pipeline.loaders.redshift.audit import RedshiftAudit
from medgen_pipeline.loaders.redshift.names import TableNames
from medgen_pipeline.loaders.redshift.session import COMMIT_LOCK, RedshiftSession, describe, is_conflict
from medgen_pipeline.loaders.sql.compare import Comparison
from medgen_pipeline.loaders.sql.guard import Content, read_content
from medgen_pipeline.loaders.sql.names import schemas
from medgen_pipeline.loaders.sql.publish import describe as describe_table

logger = logging.getLogger(__name__)


def in_one_transaction(session: RedshiftSession, audit: RedshiftAudit, load_id: int, body: Callable[[], None]) -> None:
    """Run ``body`` in a transaction that commits once, whatever happens to the connection or between transactions.

    A connection that breaks around COMMIT leaves open whether it happened. The audit knows: ``body`` records success
    in the same transaction, and the question is asked behind the lock that the transaction holds until it has ended.
    """
    for attempt in range(1, session.config.conflict_attempts + 1):
        try:
            with session.work.transaction():
                session.execute(sql.SQL(COMMIT_LOCK).format(audit=sql.Identifier(schemas(session.schema).audit)))
                audit.require(load_id, LoadStatus.RUNNING)
                body()
        except psycopg.Error as error:
            lost = session.work.closed
            if attempt == session.config.conflict_attempts or not (lost or is_conflict(error)):
                raise
            logger.warning("publishing, attempt %d: %s", attempt, describe(error))
            session.pause(attempt)
            if lost:
                session.open()
                if audit.status(load_id) is LoadStatus.SUCCEEDED:
                    logger.warning("the connection broke while the transaction was committed; the load is published")
                    return
        else:
            return


def widen(session: RedshiftSession, names: TableNames) -> None:
    """Give production's and the feed's text columns the catalog's widths where those have grown.

    Outside a transaction, as Redshift demands; a widened column holds what it held.
    https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html
    """
    for schema, relation in ((names.schema, names.production), (names.schemas.changes, names.feed)):
        found = _widths(session, schema, names.table.name)
        for column in names.table.columns:
            width, wanted = found.get(column.name), names.dialect.column_type(column)
            if width is not None and f"VARCHAR({width})" != names.dialect.text(wanted) and width < column.max_bytes:
                session.run(
                    "ALTER TABLE {relation} ALTER COLUMN {column} TYPE {wanted}",
                    names,
                    relation=relation,
                    column=sql.Identifier(column.name),
                    wanted=wanted,
                )


def _widths(session: RedshiftSession, schema: str, table: str) -> dict[str, int]:
    """The widths in bytes of a table's text columns."""
    rows = session.work.execute(
        "SELECT column_name, character_maximum_length FROM svv_columns"
        " WHERE table_schema = %s AND table_name = %s AND character_maximum_length IS NOT NULL",
        [schema, table],
    ).fetchall()
    return {str(name): int(width) for name, width in rows}


def prepare_new_table(session: RedshiftSession, names: TableNames, found: Comparison[Content]) -> None:
    """Move the staged rows to a table in the schema of production. Moves blocks, copies nothing.

    ALTER TABLE knows no SET SCHEMA, and APPEND runs in no transaction.
    https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE_APPEND.html
    """

    def create() -> None:
        session.make_scratch("new", "CREATE TABLE {new} ({definitions}) {layout}", names)

    session.transaction(create)
    session.repeatedly(lambda: session.run("ALTER TABLE {new} APPEND FROM {staging}", names))
    if read_content(session, names, names.parts["new"]) != Content(found.counts.rows_after, found.checksum_after):
        raise ProductionChangedError(
            f"{names.schema}.{names.table.name}: the staged rows did not arrive whole in the new table. "
            "Nothing was published; load again."
        )


def publish_first(session: RedshiftSession, names: TableNames) -> None:
    """Give the new table production's name. Inside the caller's transaction."""
    session.run("ALTER TABLE {new} RENAME TO {name}", names, name=sql.Identifier(names.table.name))
    describe_table(session, names)
