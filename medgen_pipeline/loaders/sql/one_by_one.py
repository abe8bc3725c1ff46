"""Publication where no transaction covers several tables: each is changed by itself, in an order that heals.

1. The audit records what the load is about to leave (``guard``), and that it is still running.
2. The change set is appended to the feed.
3. Production is changed, all at once.
4. The audit records the success.

From the first step on, production tells how far a load came that ended on its way: where its rows are those that were
to be left, the third step was done, and the success is recorded late; else it was not, and what is in the feed is
removed. Either way the feed replays to production. Whoever reads meanwhile sees old or new rows of production, and in
the feed perhaps the changes of a load that ``load_run`` does not yet have as succeeded.
"""

import logging
from collections.abc import Callable
from typing import Any

from medgen_pipeline.loaders.records import ApplyMode, LoadStart, LoadStatus, WarehouseBusyError
from medgen_pipeline.loaders.sql.audit import SqlAudit
from medgen_pipeline.loaders.sql.compare import Comparison
from medgen_pipeline.loaders.sql.guard import Content, Guard
from medgen_pipeline.loaders.sql.names import TableNames
from medgen_pipeline.loaders.sql.publish import (
    change_production,
    describe,
    fill_production,
    keep_copies,
    require_published,
    require_unchanged,
    write_feed,
)
from medgen_pipeline.loaders.sql.session import SqlSession

logger = logging.getLogger(__name__)


def publish(
    session: SqlSession[Any],
    audit: SqlAudit[Any],
    names: TableNames,
    start: LoadStart,
    load_id: int,
    mode: ApplyMode,
    found: Comparison[Content],
    guard: Guard,
    change: Callable[[], None],
) -> None:
    """Carry out the four steps; ``change`` is the third."""
    if mode is ApplyMode.DELTA:
        require_unchanged(session, names, found)
        keep_copies(session, names, found)
    audit.succeed(load_id, mode, found.counts, guard, LoadStatus.RUNNING)
    _forget_changes(session, names, load_id)  # of an earlier attempt of this load
    if mode is ApplyMode.DELTA:
        write_feed(session, names, start, load_id)
    if mode is not ApplyMode.UNCHANGED:
        change()
    audit.confirm(load_id)


def change_at_once(session: SqlSession[Any], names: TableNames, mode: ApplyMode, found: Comparison[Content]) -> None:
    """The third step, where a transaction covers one table."""

    def change() -> None:
        if mode is ApplyMode.FIRST:
            fill_production(session, names)
        else:
            require_unchanged(session, names, found)
            change_production(session, names, found)
        require_published(session, names, Content(found.counts.rows_after, found.checksum_after))

    session.transaction(change)


def settle(
    session: SqlSession[Any], audit: SqlAudit[Any], names: TableNames, is_as_left: Callable[[Guard], bool]
) -> None:
    """Finish or undo what a load of the table left half published. Under its lock, so that none is at work."""
    begun = audit.unsettled(names.table.name)
    guard = Guard.of(begun)
    if begun is None or guard is None:
        return
    with session.errors(f"settling load {begun.load_id} of {names.table.name}"):
        if not is_as_left(guard):
            _forget_changes(session, names, begun.load_id)
            return
        logger.warning("%s: load %d had published and not said so; now it has", names.table.name, begun.load_id)
        if begun.mode == ApplyMode.FIRST:
            describe(session, names)
        audit.confirm(begun.load_id)


def require_settled(audit: SqlAudit[Any], names: TableNames) -> None:
    """Raise WarehouseBusyError where the feed may be ahead of production, or production of the audit."""
    if (begun := audit.unsettled(names.table.name)) is not None:
        raise WarehouseBusyError(
            f"{names.schema}.{names.table.name}: load {begun.load_id} is being published, or died while it was. Read "
            "again when it has ended; if it has died, the next load of the table puts it right."
        )


def _forget_changes(session: SqlSession[Any], names: TableNames, load_id: int) -> None:
    """Remove from the feed what a load has written that did not come as far as production."""
    if session.columns(names.schemas.changes, names.table.name):
        session.run("DELETE FROM {feed} WHERE _load_id = {load_id}", names, load_id=load_id)
