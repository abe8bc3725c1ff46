"""A curated table's query as SQL of one schema: names filled in, scratch tables made and dropped around it.

What the SQL means is the catalog's. The caller's transaction is its snapshot of the warehouse.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from medgen_pipeline.catalog import ColumnType
from medgen_pipeline.catalog.query import FEED_PREFIX, LOAD_RUN, Absent, Constant, Parameter, Query, Scratch
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import LoaderError, TooMuchAffectedError
from medgen_pipeline.loaders.sql.names import TableNames
from medgen_pipeline.loaders.sql.session import SqlSession

T = TypeVar("T")

# The feed of a table that has never changed is not there yet; this takes its place, with no rows.
_EMPTY_FEED = (
    "(SELECT CAST(NULL AS {name_type}) AS _change_type, CAST(NULL AS {name_type}) AS _release,"
    " CAST(NULL AS {timestamp_type}) AS _commit_timestamp, CAST(NULL AS {integer_type}) AS _load_id, none.*"
    " FROM {table} AS none WHERE 1 = 0)"
)


def fill(session: SqlSession[Any], names: TableNames, query: Query, *, signed: bool, before: Callable[[], None]) -> int:
    """Fill the staging table with the query's rows, and their signs; returns the rows it holds.

    Args:
        session: The load's, open.
        names: The table's names.
        query: Gives the rows.
        signed: Whether it has a column for signs.
        before: Is done first in the query's snapshot.
    """
    sign = sql.SQL("_sign, " if signed else "")

    def stage(composed: sql.Statement) -> int:
        before()
        session.run("DELETE FROM {staging}", names)
        session.run(
            "INSERT INTO {staging} ({sign}{columns}) SELECT {sign}{columns} FROM ({query}) AS built",
            names,
            sign=sign,
            query=composed,
        )
        return int(session.value("SELECT COUNT(*) FROM {staging}", names))

    return QueryPlace(session, analyze=False).run(query, stage)


def read(session: SqlSession[Any], query: Query, most: int) -> list[tuple[Any, ...]]:
    """The first rows of a query."""

    def first(composed: sql.Statement) -> list[tuple[Any, ...]]:
        return list(session.execute(sql.SQL("{} LIMIT {}").format(composed, sql.Literal(most))).fetchall())

    return QueryPlace(session, analyze=False).run(query, first)


@dataclass(frozen=True)
class QueryPlace:
    """Where queries run.

    Attributes:
        session: The load's, open.
        analyze: Whether the planner needs ANALYZE to know a new table; Redshift's CREATE TABLE AS does it by itself
            (https://docs.aws.amazon.com/redshift/latest/dg/t_Analyzing_tables.html).
    """

    session: SqlSession[Any]
    analyze: bool

    def run(self, query: Query, body: Callable[[sql.Statement], T]) -> T:
        """Do something with the query, in one transaction with its scratch tables, so in one snapshot."""

        def within() -> T:
            with self.made(query) as composed:
                return body(composed)

        if self.session.capabilities.transactional_ddl:
            return self.session.transaction(within)
        return self._run_beside(query, body)

    @contextmanager
    def made(self, query: Query) -> Iterator[sql.Statement]:
        """The query, while its scratch tables exist. Inside the caller's transaction, which undoes a failure."""
        parts = self.parts(query)
        for scratch in query.scratch:
            name = self.session.scratch_name(scratch.name)
            filled = self._fill(scratch.query, parts)
            self.session.execute(sql.SQL("CREATE TEMP TABLE {} AS {}").format(name, filled))
            parts[scratch.name] = name
            self._know(name)
            self._complete(scratch, name, parts)
        yield self._fill(query.text, parts)
        for scratch in query.scratch:
            self.session.execute(sql.SQL("DROP TABLE {}").format(parts[scratch.name]))

    def _run_beside(self, query: Query, body: Callable[[sql.Statement], T]) -> T:
        """The same where a transaction makes no tables: they are made empty before it, and filled in it."""
        parts = self.parts(query)
        # A scratch table may have the name of what it is made from.
        before: list[tuple[Scratch, sql.Identifier, dict[str, sql.Statement]]] = []

        def refilled() -> T:
            for scratch, name, known in before:
                self.session.execute(sql.SQL("DELETE FROM {}").format(name))
                self.session.execute(sql.SQL("INSERT INTO {} {}").format(name, self._fill(scratch.query, known)))
                self._complete(scratch, name, {**known, scratch.name: name})
            return body(self._fill(query.text, parts))

        try:
            for scratch in query.scratch:
                name = self.session.scratch_name(scratch.name)
                before.append((scratch, name, dict(parts)))
                self.session.make_query_scratch(name, self._fill(scratch.query, parts))
                parts[scratch.name] = name
            return self.session.transaction(refilled)
        finally:
            for _, name, _ in before:
                self.session.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))

    def _complete(self, scratch: Scratch, name: sql.Identifier, parts: Mapping[str, sql.Statement]) -> None:
        self._repeat(scratch.repeat, parts)
        if scratch.repeat:
            self._know(name)
        if scratch.most is not None:
            self._require_at_most(scratch.most, name, scratch.rows)

    def _require_at_most(self, most: int, name: sql.Identifier, rows: str) -> None:
        (counted,) = self.session.execute(sql.SQL("SELECT COUNT(*) FROM {}").format(name)).fetchone()
        if counted > most:
            raise TooMuchAffectedError(f"{counted:,} {rows}, at most {most:,} are followed")

    def _repeat(self, statements: tuple[str, ...], parts: Mapping[str, sql.Statement]) -> None:
        changed, number = len(statements), 0
        while changed:
            number += 1
            filled = [self._fill(text, {**parts, "round": sql.Literal(number)}) for text in statements]
            changed = sum(map(self.session.changed, filled))

    def _know(self, name: sql.Statement) -> None:
        if self.analyze:
            self.session.execute(sql.SQL("ANALYZE {}").format(name))

    def _fill(self, text: str, parts: Mapping[str, sql.Statement]) -> sql.Statement:
        filled = sql.SQL(text).format(**parts)  # the text is the catalog's own, never a user's
        return self.session.dialect.catalog_query(filled)

    def parts(self, query: Query) -> dict[str, sql.Statement]:
        """What each name in braces means before the first scratch table is made."""
        return {
            **{name: self._relation(name) for name in query.relations},
            **{constant.name: self._relation_of(constant) for constant in query.constants},
            **{absent.name: self._nothing(absent) for absent in query.absent},
            **{name: _values(value) for name, value in query.parameters.items()},
        }

    def _relation(self, name: str) -> sql.Statement:
        production, _, changes, audit, _ = self.session.schemas
        if name == LOAD_RUN:
            return sql.Identifier(audit, LOAD_RUN)
        if not name.startswith(FEED_PREFIX):
            return sql.Identifier(production, name)
        table = name.removeprefix(FEED_PREFIX)
        if self.session.columns(changes, table):
            return sql.Identifier(changes, table)
        return sql.SQL(_EMPTY_FEED).format(**self.session.dialect.words, table=sql.Identifier(production, table))

    def _nothing(self, absent: Absent) -> sql.Statement:
        """A relation without rows."""
        types = {**self.session.dialect.types, ColumnType.TEXT: self.session.dialect.name_type}
        columns = (
            sql.SQL("CAST(NULL AS {}) AS {}").format(sql.SQL(types[ColumnType(kind)]), sql.Identifier(name))
            for name, kind in absent.columns
        )
        return sql.SQL("(SELECT {} WHERE 1 = 0)").format(sql.SQL(", ").join(columns))

    def _relation_of(self, constant: Constant) -> sql.Statement:
        """A relation of literals. Each has its type, because Redshift does not guess those of a UNION."""
        words = self.session.dialect.words
        rows = [
            sql.SQL("SELECT {}").format(
                sql.SQL(", ").join(
                    sql.SQL("CAST({} AS {}) AS {}").format(
                        _value(value),
                        words["integer_type" if isinstance(value, int) else "name_type"],
                        sql.Identifier(name),
                    )
                    for name, value in zip(constant.columns, row, strict=True)
                )
            )
            for row in constant.rows
        ]
        return sql.SQL("({})").format(sql.SQL(" UNION ALL ").join(rows))


def _values(value: Parameter) -> sql.Statement:
    if isinstance(value, tuple):
        return sql.SQL(", ").join(map(_value, value))
    return _value(value)


def _value(value: str | int) -> sql.Literal:
    """A literal. A backslash would be an escape to Redshift, which does not know E'...'."""
    if isinstance(value, str) and "\\" in value:
        raise LoaderError(f"{value!r} cannot be written in SQL text: it has a backslash. Use a value without one.")
    return sql.Literal(value)
