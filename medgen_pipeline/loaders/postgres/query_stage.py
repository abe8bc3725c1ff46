"""Runs a curated table's query: into the staging table, or to the client. The caller's transaction is its snapshot."""

from typing import Any

from medgen_pipeline.catalog import Query
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.postgres.names import TableNames
from medgen_pipeline.loaders.postgres.session import PostgresSession
from medgen_pipeline.loaders.sql.query import QueryPlace

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL default_statistics_target = 10"

# For queries that read whole tables. Starting a parallel worker is priced for short ones; handing rows over from it
# keeps its price, since a query that gives all its rows back is no faster in parallel. After a scratch table has grown,
# the planner takes many rows for one and would look each of them up by a scan.
# Where text sorts by its bytes, as in the embedded server, sorting before grouping beats hashing: it runs in parallel,
# and leaves rows in the order of the index they get. All curated tables of 22 M rows took 10.6 s against 12.5 s. By the
# rules of a language sorting is many times slower, so there the planner chooses.
_WHOLE = (
    "SET LOCAL enable_nestloop = off; SET LOCAL parallel_setup_cost = 0;"
    " SELECT pg_catalog.set_config('enable_hashagg', 'off', true) WHERE 'B' < 'a'"
)


def fill(
    session: PostgresSession, names: TableNames, query: Query, place: QueryPlace, *, logged: bool, signed: bool
) -> int:
    """Rebuild the staging table with the query's rows; returns their number.

    By CREATE TABLE AS: INSERT cannot use a parallel plan.
    """
    sign = sql.SQL('CAST(_sign AS "char") AS _sign, ' if signed else "")
    columns = [
        sql.SQL("CAST({name} AS {type}) AS {name}").format(
            name=sql.Identifier(column.name), type=names.dialect.column_type(column)
        )
        for column in names.table.columns
    ]
    with place.made(query) as composed:
        return session.make_scratch(
            "staging",
            "CREATE {scratch} TABLE {staging} AS SELECT {sign}{casts} FROM ({query}) AS built",
            names,
            scratch=sql.SQL("" if logged else "UNLOGGED"),
            sign=sign,
            casts=sql.SQL(", ").join(columns),
            query=composed,
        ).rowcount


def read(session: PostgresSession, query: Query, most: int) -> list[tuple[Any, ...]]:
    """The first rows of a query."""
    with begin(session, whole=True).made(query) as composed:
        return session.execute(sql.SQL("{} LIMIT {}").format(composed, sql.Literal(most))).fetchall()


def begin(session: PostgresSession, *, whole: bool) -> QueryPlace:
    """Begin the snapshot of a query, which reads whole tables or looks rows up."""
    session.work.execute(f"{_SNAPSHOT}; {_WHOLE}" if whole else _SNAPSHOT)
    session.set_local("work_mem", session.config.work_mem)
    return QueryPlace(session, analyze=True)
