"""Runs a curated table's query: into the staging table, or to the client. The caller's transaction is its snapshot."""

from typing import Any

from medgen_pipeline.catalog import Query
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.redshift.names import TableNames
from medgen_pipeline.loaders.redshift.session import RedshiftSession
from medgen_pipeline.loaders.sql.query import QueryPlace


def fill(session: RedshiftSession, names: TableNames, query: Query) -> int:
    """Fill the staging table with the query's rows; returns the rows it holds."""
    with _place(session).made(query) as composed:
        session.run("DELETE FROM {staging}", names)
        session.run("INSERT INTO {staging} ({columns}) SELECT {columns} FROM ({query}) AS built", names, query=composed)
    return int(session.row("SELECT COUNT(*) FROM {staging}", names)[0])


def read(session: RedshiftSession, query: Query, most: int) -> list[tuple[Any, ...]]:
    """The first rows of a query."""
    with _place(session).made(query) as composed:
        return session.execute(sql.SQL("{} LIMIT {}").format(composed, sql.Literal(most))).fetchall()


def _place(session: RedshiftSession) -> QueryPlace:
    """Without ANALYZE, which CREATE TABLE AS does by itself.

    https://docs.aws.amazon.com/redshift/latest/dg/t_Analyzing_tables.html
    """
    return QueryPlace(session, analyze=False)
