"""A statement is text, names and values, and a dialect writes it out so that no value can be taken for SQL."""

from collections.abc import Sequence
from typing import Any, ClassVar, LiteralString

import pytest

from medgen_pipeline.catalog import ColumnType, table_by_name
from medgen_pipeline.loaders import Dialect, LoaderError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.postgres.dialect import DIALECT as POSTGRES
from medgen_pipeline.loaders.redshift.dialect import DIALECT as REDSHIFT
from medgen_pipeline.loaders.sql import TableNames, schemas

EVIL = "x'; DROP TABLE names; -- \"`%s{}"


class Backticks(Dialect):
    """As of a warehouse that shares few words with PostgreSQL."""

    quote: ClassVar[LiteralString] = "`"
    name_type: ClassVar[LiteralString] = "STRING"
    text_type: ClassVar[LiteralString] = "STRING"

    def escape(self, text: str) -> str:
        return text.replace("\\", "\\\\").replace("'", "\\'")

    def matches(self, text: sql.Statement, pattern: str) -> sql.Statement:
        return sql.SQL("{} RLIKE {}").format(text, sql.Literal(pattern))

    def row_hash(self, values: Sequence[tuple[sql.Statement, ColumnType]]) -> sql.Statement:
        return sql.SQL("xxhash64({})").format(sql.SQL(", ").join(value for value, _ in values))


BACKTICKS = Backticks()


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (POSTGRES, 'SELECT "a""b"."t" WHERE c = %s AND d LIKE \'5%%\' AND e = %s'),
        (BACKTICKS, "SELECT `a\"b`.`t` WHERE c = ? AND d LIKE '5%' AND e = ?"),
    ],
)
def test_a_value_in_braces_is_sent_beside_the_text(dialect: Dialect, text: str) -> None:
    statement = sql.SQL("SELECT {table} WHERE c = {c} AND d LIKE '5%' AND e = {e}").format(
        table=sql.Identifier('a"b', "t"), c=EVIL, e=None
    )
    assert dialect.render(statement) == (text, [EVIL, None])


def test_without_a_value_no_sign_is_doubled() -> None:
    assert POSTGRES.render(sql.SQL("SELECT 5 % 2, {}").format(sql.Literal("%s"))) == ("SELECT 5 % 2, '%s'", None)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "NULL"),
        (True, "TRUE"),
        (7, "7"),
        (-7, " -7"),
        ("it's", "'it''s'"),
        (EVIL, f"'{EVIL.replace(chr(39), chr(39) * 2)}'"),
    ],
)
def test_a_literal_is_written_so_that_it_is_one(value: object, written: str) -> None:
    assert POSTGRES.text(sql.Literal(value)) == written


def test_what_is_within_a_literal_or_a_name_is_escaped_as_the_warehouse_reads_it() -> None:
    assert BACKTICKS.text(sql.Literal("it's \\")) == r"'it\'s \\'"
    assert BACKTICKS.text(sql.Identifier("a`b")) == "`a``b`"
    with pytest.raises(LoaderError, match="a backslash cannot be written"):
        REDSHIFT.text(sql.Literal("\\"))


@pytest.mark.parametrize("statement", [sql.Literal(1.5), sql.SQL("{}").format("a value")])
def test_what_has_no_place_in_a_text_is_refused(statement: sql.Statement) -> None:
    with pytest.raises(TypeError):
        POSTGRES.text(statement)


def test_braces_take_statements_by_place_by_number_and_by_name() -> None:
    one, two = sql.Identifier("one"), sql.SQL(", ").join([sql.Literal(2), sql.SQL("{x}").format(x=sql.SQL("x"))])
    filled = sql.SQL("{} {} {0} {two} {{}}").format(one, two, two=two)
    assert POSTGRES.text(filled) == '"one" 2, x "one" 2, x {}'
    with pytest.raises(KeyError):
        sql.SQL("{unknown}").format(known=1)


def test_a_table_is_written_in_the_words_of_its_warehouse() -> None:
    pubmed = table_by_name("medgen_pubmed_lnk")
    names = TableNames(BACKTICKS, schemas("medgen"), pubmed)
    written: dict[str, Any] = {part: BACKTICKS.text(statement) for part, statement in names.parts.items()}
    assert written["production"] == "`medgen`.`medgen_pubmed_lnk`"
    assert "`cui` STRING" in written["definitions"]
    assert "`pmid` BIGINT" in written["definitions"]
    found = {column.name: "bigint" if column.type is ColumnType.INTEGER else "string" for column in pubmed.columns}
    assert names.missing(found) == []
    assert names.missing({**found, "cui": "varchar"}) == ["cui STRING"]
    pmid = next(column for column in pubmed.columns if column.name == "pmid")
    assert "RLIKE '^-?[0-9]+$'" in BACKTICKS.text(names.cast(pmid))
