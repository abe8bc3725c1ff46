"""Reads what loads left behind: drift of production, the change feed, a table as of an earlier release. Reads only.

docs/changes.md shows the same queries for use from any client.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medgen_pipeline.catalog import Column
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import Drift, LoaderError
from medgen_pipeline.loaders.sql.guard import AnyGuard, Guard, read_content
from medgen_pipeline.loaders.sql.names import TableNames
from medgen_pipeline.loaders.sql.session import SqlSession

EVERYTHING = sql.SQL("1 = 1")


def find_drift(session: SqlSession[Any], names: TableNames, guard: Guard | None) -> Drift:
    """Compare production with what the loads' files add up to, in one scan.

    Most warehouses do not say who wrote a row, so foreign rows are neither counted nor shown; the sums tell that there
    are some.
    """
    left = required(guard, names)
    if damaged := damage(session, names, left):
        return damaged
    found = read_content(session, names, names.production)
    return Drift(expected_rows=left.rows, rows=found.rows, checksum_matches=found.checksum == left.checksum)


def damage(session: SqlSession[Any], names: TableNames, left: Guard) -> Drift | None:
    """The drift of a table whose rows cannot be compared: it is gone, or not all of its columns are there."""
    found = session.columns(names.schema, names.table.name)
    lost = names.missing(found)
    if not lost:
        return None
    rows = int(session.row("SELECT COUNT(*) FROM {production}", names)[0]) if found else 0
    missing = tuple(lost) if found else ()
    return Drift(expected_rows=left.rows, rows=rows, checksum_matches=False, missing_columns=missing)


def required(guard: AnyGuard | None, names: TableNames) -> AnyGuard:
    """The guard, or an error that says why there is none."""
    if guard is None:
        raise LoaderError(
            f"{names.schema}.{names.table.name}: no load is recorded, or what the last one left (guard in load_run) "
            "cannot be read, so there is nothing to compare with. Load the table."
        )
    return guard


def read_changes(
    session: SqlSession[Any], names: TableNames, guard: Guard | None, since: str, until: str | None
) -> Iterator[tuple[Any, ...]]:
    """Feed rows of the loads after release ``since``, up to and including ``until``."""
    after = _load_of(session, names, guard, since)
    upto = _load_of(session, names, guard, until) if until else None
    if upto is not None and upto < after:
        raise LoaderError(f"{names.table.name}: release {until} was loaded before {since}; swap the two.")
    _require_whole_feed(session, names, after, since)
    if not _feed_exists(session, names):
        return iter(())
    return session.stream(
        sql.SQL(
            "SELECT {feed_columns}, {columns} FROM {feed}"
            " WHERE _load_id > {after} {limit} ORDER BY _load_id, {row}, _change_type DESC, {columns}"
        ).format(
            **names.parts,
            row=names.columns(names=names.table.key or names.table.column_names),
            after=sql.Literal(after),
            limit=sql.SQL("" if upto is None else "AND _load_id <= {}").format(sql.Literal(upto)),
        )
    )


def count_changes(session: SqlSession[Any], names: TableNames, after: int, upto: int) -> tuple[int, int, int]:
    """How many rows the loads after the one up to the other have inserted, updated and deleted in the end.

    Of the rows of a key, those that went and those that came are an update each, as far as there are as many.
    """
    if not _feed_exists(session, names):
        return 0, 0, 0
    key = names.table.key or names.table.column_names
    inserted, updated, deleted = session.row(
        "SELECT SUM(_came - _both), SUM(_both), SUM(_went - _both) FROM"
        " (SELECT _came, _went, CASE WHEN _came < _went THEN _came ELSE _went END AS _both FROM"
        "  (SELECT SUM(CASE WHEN _copies > 0 THEN _copies ELSE 0 END) AS _came,"
        "   SUM(CASE WHEN _copies < 0 THEN -_copies ELSE 0 END) AS _went FROM"
        "   (SELECT {chosen}, SUM(_one) AS _copies FROM"
        "    (SELECT {values}, CASE WHEN _change_type IN ({added}) THEN 1 ELSE -1 END AS _one FROM {feed}"
        "     WHERE _load_id > {after} AND _load_id <= {upto}) AS events"
        "    GROUP BY {identity} HAVING SUM(_one) <> 0) AS netted GROUP BY {same_key}) AS sides) AS counted",
        names,
        chosen=names.columns(names=key),
        values=feed_values(names, feed_columns(session, names)),
        after=sql.Literal(after),
        upto=sql.Literal(upto),
        identity=names.identity(),
        same_key=names.identity(names=key),
    )
    return int(inserted or 0), int(updated or 0), int(deleted or 0)


def read_as_of(
    session: SqlSession[Any], names: TableNames, guard: Guard | None, release: str
) -> Iterator[tuple[Any, ...]]:
    """The rows of the table as the last load of ``release`` left it: production, less every later change."""
    rows = session.stream(as_of(session, names, guard, release))
    return (row[:-1] for row in rows for _ in range(int(row[-1])))


def as_of(
    session: SqlSession[Any],
    names: TableNames,
    guard: Guard | None,
    release: str,
    columns: Sequence[str] = (),
    where: sql.Statement = EVERYTHING,
) -> sql.Statement:
    """The query of these rows: columns, and how many copies there are of the row, which is not 0."""
    after = _load_of(session, names, guard, release)
    _require_whole_feed(session, names, after, release)
    chosen = {**names.parts, "chosen": names.columns(None, columns or names.table.column_names), "where": where}
    if not _feed_exists(session, names):
        return sql.SQL("SELECT {chosen}, 1 FROM {production} WHERE {where}").format(**chosen)
    return sql.SQL(
        "SELECT {chosen}, CAST(SUM(_one) AS {integer_type}) FROM"
        " (SELECT {columns}, 1 AS _one FROM {production} UNION ALL"
        " SELECT {values}, CASE WHEN _change_type IN ({removed}) THEN 1 ELSE -1 END AS _one"
        " FROM {feed} WHERE _load_id > {after}) AS undone WHERE {where} GROUP BY {identity} HAVING SUM(_one) > 0"
    ).format(
        **chosen,
        values=feed_values(names, feed_columns(session, names)),
        after=sql.Literal(after),
        identity=names.identity(),
    )


def feed_columns(session: SqlSession[Any], names: TableNames) -> dict[str, str]:
    """The feed's columns with their types."""
    return session.columns(names.schemas.changes, names.table.name)


def feed_values(names: TableNames, found: Mapping[str, str]) -> sql.Statement:
    """The feed's columns with production's types: one may still be text in the feed, or not be there yet."""

    def value(column: Column) -> sql.Statement:
        if column.name not in found:
            found_value = sql.SQL("CAST(NULL AS {})").format(names.dialect.column_type(column))
        elif names.dialect.is_reported(column.type, found[column.name]):
            return sql.Identifier(column.name)
        else:
            found_value = names.cast(column)
        return sql.SQL("{} AS {}").format(found_value, sql.Identifier(column.name))

    return sql.SQL(", ").join(map(value, names.table.columns))


def stage_undone(session: SqlSession[Any], names: TableNames, after: int) -> int:
    """Fill the staging table of signed lines with what undoes every load after that one; returns how many they are.

    A row that came and went cancels out: of the lines of one sign, those stay that the other sign has not as many of.
    """
    if not _feed_exists(session, names):
        return 0

    def stage() -> int:
        session.run("DELETE FROM {staging}", names)
        session.run(
            "INSERT INTO {staging} (_sign, {columns}) SELECT _sign, {columns} FROM"
            " (SELECT _sign, {columns}, ROW_NUMBER() OVER (PARTITION BY {identity}, _sign{any_order}) AS _nth,"
            " COUNT(*) OVER (PARTITION BY {identity}) - COUNT(*) OVER (PARTITION BY {identity}, _sign) AS _opposite"
            " FROM (SELECT CASE WHEN _change_type IN ({added}) THEN '-' ELSE '+' END AS _sign, {values}"
            " FROM {feed} WHERE _load_id > {after}) AS undoing) AS numbered WHERE _nth > _opposite",
            names,
            identity=names.identity(),
            values=feed_values(names, feed_columns(session, names)),
            after=sql.Literal(after),
        )
        return int(session.value("SELECT COUNT(*) FROM {staging}", names))

    return session.transaction(stage)


def feed_damage(session: SqlSession[Any], names: TableNames, after: int) -> str:
    """What the feed of the loads after ``after`` lacks of what they have recorded, or nothing; one scan of the feed."""
    loads = sql.SQL("{audit}.load_run WHERE table_name = {name} AND status = 'succeeded' AND load_id > {after}").format(
        **names.parts, name=names.table.name, after=sql.Literal(after)
    )
    expected = "SELECT COALESCE(SUM(rows_inserted + 2 * rows_updated + rows_deleted), 0) FROM {loads}"
    written, held = int(session.value(expected, names, loads=loads)), 0
    if written and _feed_exists(session, names):
        found = "SELECT COUNT(*) FROM {feed} WHERE _load_id IN (SELECT load_id FROM {loads})"
        held = int(session.value(found, names, loads=loads))
    if held == written:
        return ""
    return f"the change feed of {names.table.name} has {held:,} rows of the loads after {after}, expected {written:,}"


def _require_whole_feed(session: SqlSession[Any], names: TableNames, after: int, release: str) -> None:
    if damage := feed_damage(session, names, after):
        raise LoaderError(
            f"{names.table.name}: what became of it after release {release} cannot be told: {damage}. Whoever deletes "
            "from a feed gives up the releases before."
        )


def _feed_exists(session: SqlSession[Any], names: TableNames) -> bool:
    changes = names.schemas.changes
    return names.table.name in session.relations([changes]).get(changes, ())


def _load_of(session: SqlSession[Any], names: TableNames, guard: Guard | None, release: str) -> int:
    """The last successful load of a release, if the feed reaches back to it."""
    loads = session.run(
        "SELECT load_id, release FROM {audit}.load_run WHERE table_name = {name} AND status = 'succeeded'"
        " AND load_id >= {since} ORDER BY load_id DESC",
        names,
        name=names.table.name,
        since=guard.feed_since if guard else 0,
    ).fetchall()
    for load_id, label in loads:
        if label == release:
            return int(load_id)
    known = dict.fromkeys(label for _, label in loads)
    raise LoaderError(
        f"{names.table.name}: release {release!r} is not within reach of the change feed. Known releases, newest "
        f"first: {', '.join(known) or 'none'}."
    )
