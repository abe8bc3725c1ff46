"""The view of a table's history: every row that it has had, with the releases that it was valid from and to.

For each value that a row of the table has had, the *ends* are its copies in production, which have none yet, and those
that the feed has as taken out; the *beginnings* are those that the feed has as put in. Both are counted from the newest
to the oldest, and the n-th end belongs to the n-th beginning. An end that is left without one is a row of the baseline.
So after load L, the rows that are valid are the ends later than L less the beginnings later than L: production less
every later change, which is what ``history.read_as_of`` computes.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from medgen_pipeline.catalog import Column, ColumnType
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.sql.history import feed_values
from medgen_pipeline.loaders.sql.names import MARK, TableNames
from medgen_pipeline.loaders.sql.session import VIEW, Relation, SqlSession

logger = logging.getLogger(__name__)

VALIDITY = (
    Column("valid_from_release", "", "The release that brought the row, or the baseline, which it may be older than."),
    Column("valid_to_release", "", "The release that took the row away; NULL where it is still there."),
    Column("valid_from_load_id", "", "The load of the former.", type=ColumnType.INTEGER),
    Column("valid_to_load_id", "", "The load of the latter.", type=ColumnType.INTEGER),
)
VALIDITY_COLUMNS = tuple(column.name for column in VALIDITY)
_NO_END = (1 << 63) - 1  # later than every load


def keep_view(session: SqlSession[Any], names: TableNames, since: int, feed: Mapping[str, str]) -> None:
    """See to it that the view is that of production and feed as they are. Best in the transaction that publishes.

    It is replaced where that suffices, so that grants stay. What others have put in its place is left as it is.

    Args:
        session: The open session.
        names: The table's names.
        since: The load that left the baseline, which the feed reaches back to.
        feed: The feed's columns with their types.
    """
    if session.capabilities.views == "none":
        return
    known = session.relations([names.schemas.history]).get(names.schemas.history, {}).get(names.table.name)
    label = session.value("SELECT release FROM {audit}.load_run WHERE load_id = {since}", names, since=since)
    values = feed_values(names, feed)
    query = _query(names, since, label, values, names.table.columns)
    digest = hashlib.sha256(session.dialect.text(query).encode()).hexdigest()[:16]
    comment = (
        f"{MARK} Every row that {names.schema}.{names.table.name} has had since release {label}, with the releases "
        f"that it was valid from and to. {names.table.shape} {digest}"
    )
    if known is not None and known.comment == comment:
        return
    before = session.columns(names.schemas.history, names.table.name) if known else {}
    if known is not None and not _is_ours(known, list(before)):
        logger.warning(
            "%s.%s is not the view of the table's history but a %s that no load made. It was left as it is. Rename or "
            "drop it, and the next load makes the view.",
            names.schemas.history,
            names.table.name,
            known.kind,
        )
        return
    columns: Sequence[Column] = names.table.columns
    if session.capabilities.views == "growing":
        columns = sorted(columns, key=lambda column: _place(column.name, before))
        shown = [*VALIDITY_COLUMNS, *(column.name for column in columns)]
        replaceable = list(before) == shown[: len(before)] and all(
            names.dialect.is_reported(column.type, before[column.name]) for column in columns if column.name in before
        )
    else:
        replaceable = known is None or f" {names.table.shape} " in known.comment
    if known is not None and not replaceable:
        session.run("DROP VIEW {history}", names)
    query = _query(names, since, label, values, columns)
    for statement in session.dialect.view(names.history, [*VALIDITY, *columns], query, comment):
        session.execute(statement)


def _place(name: str, before: Mapping[str, str]) -> int:
    """Where a column stays, or that it comes after all of those."""
    return list(before).index(name) if name in before else len(before)


def _is_ours(known: Relation, columns: Sequence[str]) -> bool:
    """Whether a load has made it. A user's comment may have taken the mark's place; its columns tell it as well."""
    return known.kind == VIEW and (known.made_by_loads or tuple(columns[: len(VALIDITY_COLUMNS)]) == VALIDITY_COLUMNS)


def _query(
    names: TableNames, since: int, release: str | None, values: sql.Statement, columns: Sequence[Column]
) -> sql.Statement:
    # Each group has one end at most, and one beginning. Whoever asks for some rows has production and feed asked for
    # those alone: their columns are in every group and partition.
    return sql.SQL(
        "SELECT COALESCE(MAX(CASE WHEN _end = 0 THEN _release END), CAST({release} AS {name_type}))"
        " AS valid_from_release, MAX(CASE WHEN _end = 1 THEN _release END) AS valid_to_release,"
        " COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), {since}) AS valid_from_load_id,"
        " NULLIF(MAX(CASE WHEN _end = 1 THEN _load_id END), {no_end}) AS valid_to_load_id, {chosen}"
        " FROM (SELECT {columns}, _release, _load_id, _end,"
        "  ROW_NUMBER() OVER (PARTITION BY {identity}, _end ORDER BY _load_id DESC) AS _nth"
        "  FROM (SELECT {columns}, CAST(NULL AS {name_type}) AS _release, {no_end} AS _load_id, 1 AS _end"
        "   FROM {production} UNION ALL SELECT {feed_values}, _release, _load_id,"
        "   CASE WHEN _change_type IN ({removed}) THEN 1 ELSE 0 END AS _end FROM {feed} WHERE _load_id > {since})"
        "  AS events) AS numbered GROUP BY {identity}, _nth HAVING MAX(CASE WHEN _end = 1 THEN _load_id END)"
        "  > COALESCE(MAX(CASE WHEN _end = 0 THEN _load_id END), {since})"
    ).format(
        **names.parts,
        release=sql.Literal(release),
        since=sql.SQL("CAST({} AS {})").format(sql.Literal(since), names.parts["integer_type"]),
        no_end=sql.SQL("CAST({} AS {})").format(sql.Literal(_NO_END), names.parts["integer_type"]),
        chosen=names.columns(None, [column.name for column in columns]),
        feed_values=values,
        identity=names.identity(),
    )
