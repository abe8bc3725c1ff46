"""Finds the change set between staging and production, and writes it beside staging. Touches no production row.

By key where the key is unique on both sides, which is proven each time, because a warehouse may enforce no key; else by
whole rows as multisets, so that duplicates and NULLs count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import ChangeCounts, ChangeType
from medgen_pipeline.loaders.sql.guard import Content, Guard, read_content
from medgen_pipeline.loaders.sql.names import TableNames
from medgen_pipeline.loaders.sql.session import SqlSession

State = TypeVar("State")


@dataclass(frozen=True, kw_only=True)
class Comparison(Generic[State]):
    """The result of a comparison.

    Attributes:
        counts: What differs.
        production: What tells that production is as it was compared; None on a first load.
        checksum_after: Sum of the row hashes that production will have.
        unique_key: Whether the key will be unique and never NULL in production.
        filled: Whether a look at all staged rows found none that lacks a value it needs.
    """

    counts: ChangeCounts
    production: State | None
    checksum_after: int
    unique_key: bool
    filled: bool = False


def baseline(session: SqlSession[Any], names: TableNames) -> Comparison[Content]:
    """There is nothing to compare with: look at the staged rows alone."""
    unique = key_is_unique(session, names, names.staging)
    rows, checksum, empty = session.row(
        "SELECT COUNT(*), COALESCE(SUM({hash}), 0), {empty} FROM {staging} t",
        names,
        hash=names.row_hash("t"),
        empty=count_lacking(names, "t", names.table.required_columns),
    )
    counts = ChangeCounts(inserted=int(rows), by_key=unique, baseline=True)
    return Comparison(
        counts=counts, production=None, checksum_after=int(checksum), unique_key=unique, filled=not int(empty)
    )


def count_lacking(names: TableNames, alias: str, columns: Sequence[str]) -> sql.Statement:
    """How many rows have no value in one of the columns."""
    lacks = [sql.SQL("{} IS NULL").format(names.columns(alias, [name])) for name in columns]
    return sql.SQL("COUNT(CASE WHEN {} THEN 1 END)").format(sql.SQL(" OR ").join(lacks)) if lacks else sql.SQL("0")


def compare_with_production(session: SqlSession[Any], names: TableNames, guard: Guard | None) -> Comparison[Content]:
    """Strategy *warehouse*: the staged file against production. The caller's transaction makes it one snapshot."""
    production = read_content(session, names, names.production)
    checksum = read_content(session, names, names.staging).checksum
    unique = key_is_unique(session, names, names.staging)
    proven = guard is not None and guard.unique_key and guard.content == production
    session.clear_scratch("changes", names)
    if unique and (proven or key_is_unique(session, names, names.production)):
        _write_by_key(session, names, new=names.staging, old=names.production)
        counts = count_changes(session, names, production.rows, by_key=True)
    else:
        _write_by_row(session, names, new=names.staging, old=names.production)
        counts = replace(count_changes(session, names, production.rows, by_key=False), unique_key=unique)
    return Comparison(counts=counts, production=production, checksum_after=checksum, unique_key=unique)


def compare_staged_lines(session: SqlSession[Any], names: TableNames, guard: Guard) -> Comparison[Content]:
    """Strategy *snapshot*: the staged lines that were removed (-) against those that were added (+)."""
    signed = "(SELECT {columns} FROM {staging} WHERE _sign = {sign})"
    new, old = (sql.SQL(signed).format(**names.parts, sign=sql.Literal(sign)) for sign in "+-")
    session.clear_scratch("changes", names)
    by_key = guard.unique_key and key_is_unique(session, names, names.staging, sql.SQL("_sign, "))
    if by_key:
        _write_by_key(session, names, new=new, old=old)
        by_key = not _insert_meets_a_kept_row(session, names)
    if by_key:
        counts = count_changes(session, names, guard.rows, by_key=True)
    else:
        session.run("DELETE FROM {changes}", names)
        _write_by_row(session, names, new=new, old=old)
        counts = count_changes(session, names, guard.rows, by_key=False)
        counts = replace(counts, unique_key=key_will_be_unique(session, names))
    change = session.row(
        "SELECT COALESCE(SUM(CASE WHEN _change_type IN ({added}) THEN {hash} ELSE -{hash} END), 0) FROM {changes} c",
        names,
        hash=names.row_hash("c"),
    )[0]
    return Comparison(
        counts=counts,
        production=guard.content,
        checksum_after=guard.checksum + int(change),
        unique_key=counts.key_is_unique,
    )


def key_is_unique(
    session: SqlSession[Any], names: TableNames, relation: sql.Statement, within: sql.Statement | None = None
) -> bool:
    """Whether the table has a key, and it is unique and never NULL in ``relation``."""
    if not names.table.key:
        return False
    is_null = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name in names.table.key)
    repeated = session.row(
        "SELECT 1 FROM {relation} GROUP BY {within}{identity}"
        " HAVING COUNT(*) > 1 OR MAX(CASE WHEN {is_null} THEN 1 ELSE 0 END) > 0 LIMIT 1",
        names,
        relation=relation,
        within=within or sql.SQL(""),
        identity=names.identity(None, names.table.key),
        is_null=is_null,
    )
    return repeated is None


def key_will_be_unique(session: SqlSession[Any], names: TableNames) -> bool:
    """The same of production once the change set is applied, where that was found by whole rows."""
    if not names.table.key:
        return False
    is_null = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name in names.table.key)
    repeated = session.row(
        "SELECT 1 FROM (SELECT {key}, 1 AS _one FROM {production} UNION ALL"
        " SELECT {key}, CASE WHEN _change_type = {insert} THEN 1 ELSE -1 END AS _one FROM {changes}) AS after_it"
        " GROUP BY {identity} HAVING SUM(_one) > 1"
        " OR (SUM(_one) > 0 AND MAX(CASE WHEN {is_null} THEN 1 ELSE 0 END) > 0) LIMIT 1",
        names,
        identity=names.identity(None, names.table.key),
        is_null=is_null,
    )
    return repeated is None


def _write_by_key(session: SqlSession[Any], names: TableNames, *, new: sql.Statement, old: sql.Statement) -> None:
    """Each side against the other: what has no partner, or one that differs outside the key."""
    rest = names.other_columns
    differs = sql.SQL("OR NOT ({})").format(names.same("a", "b", rest)) if rest else sql.SQL("")
    for side, other, alone, changed in (
        (new, old, ChangeType.INSERT, ChangeType.POSTIMAGE),
        (old, new, ChangeType.DELETE, ChangeType.PREIMAGE),
    ):
        session.run(
            "INSERT INTO {changes} (_change_type, {columns})"
            " SELECT CASE WHEN {no_partner} IS NULL THEN {alone} ELSE {changed} END, {side_columns}"
            " FROM {side} a LEFT JOIN {other} b ON {on} WHERE {no_partner} IS NULL {differs}",
            names,
            side=side,
            other=other,
            alone=sql.Literal(alone.value),
            changed=sql.Literal(changed.value),
            side_columns=names.columns("a"),
            no_partner=sql.Identifier("b", names.table.key[0]),
            on=names.key_matches("a", "b"),
            differs=differs,
        )


def _write_by_row(session: SqlSession[Any], names: TableNames, *, new: sql.Statement, old: sql.Statement) -> None:
    """Compare whole rows as multisets: GROUP BY takes NULLs for equal, and counts keep duplicates apart.

    A row that is there n times too often is then picked n times from the side it is on, by number.
    """
    session.clear_scratch("difference", names)
    session.run(
        "INSERT INTO {difference} ({columns}, _copies) SELECT {columns}, SUM(_one) FROM"
        " (SELECT {columns}, 1 AS _one FROM {new_side} n UNION ALL SELECT {columns}, -1 AS _one FROM {old_side} o)"
        " AS both_sides GROUP BY {identity} HAVING SUM(_one) <> 0",
        names,
        new_side=new,
        old_side=old,
        identity=names.identity(),
    )
    for side, kind, sign in ((new, ChangeType.INSERT, ""), (old, ChangeType.DELETE, "-")):
        session.run(
            "INSERT INTO {changes} (_change_type, {columns}) SELECT {kind}, {columns} FROM"
            " (SELECT {a_columns}, {sign}d._copies AS _copies,"
            " ROW_NUMBER() OVER (PARTITION BY {identity}{any_order}) AS _nth"
            "  FROM {side} a JOIN {difference} d ON {same}) AS numbered WHERE _nth <= _copies",
            names,
            kind=sql.Literal(kind.value),
            sign=sql.SQL(sign),
            side=side,
            a_columns=names.columns("a"),
            identity=names.identity("a"),
            same=names.same("a", "d"),
        )


def count_changes(session: SqlSession[Any], names: TableNames, rows_before: int, *, by_key: bool) -> ChangeCounts:
    """Count the change set by its types; ``rows_before`` is how many rows production has."""
    rows = session.run("SELECT _change_type, COUNT(*) FROM {changes} GROUP BY _change_type", names).fetchall()
    count = {ChangeType(kind): int(copies) for kind, copies in rows}
    updated, deleted = count.get(ChangeType.POSTIMAGE, 0), count.get(ChangeType.DELETE, 0)
    return ChangeCounts(
        inserted=count.get(ChangeType.INSERT, 0),
        updated=updated,
        deleted=deleted,
        unchanged=rows_before - updated - deleted,
        by_key=by_key,
    )


def _insert_meets_a_kept_row(session: SqlSession[Any], names: TableNames) -> bool:
    """Whether an inserted key is in production already: the new file repeats it, though its other row is unchanged.

    The key of a deleted row may not be inserted again: that would have been an update.
    """
    found = session.row(
        "SELECT 1 FROM {changes} c JOIN {production} p ON {on} WHERE c._change_type = {insert} LIMIT 1",
        names,
        on=names.key_matches("c", "p"),
    )
    return found is not None
