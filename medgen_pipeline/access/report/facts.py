"""Gathers what happened between two releases, from the audit and the change feeds: what the report's page shows.

The concepts are those of the table ``release_report``, by the same SQL. All of it is netted: what changed and changed
back between the two is no change. What is counted is exact, whatever is listed of it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from medgen_pipeline.catalog import ALL_TABLES, Query, Table, any_table_by_name, upstream_of
from medgen_pipeline.catalog.curated import release_report
from medgen_pipeline.catalog.curated.release_report import CONCEPT_TOPICS, FACT_TOPICS
from medgen_pipeline.errors import PermanentError
from medgen_pipeline.loaders import AbstractNativeLoader, LoadRecord

LISTED = 2000
"""Concepts of each topic that are listed, at most."""
_FACTS = 10_000  # of each topic
_RELEASES = 53  # a year of weeks
_TOTALS = "SELECT subject, release, total FROM {release_report} AS report WHERE topic = 'total'"


class NothingToReportError(PermanentError):
    """There are no two such releases."""


class FirstReleaseError(NothingToReportError):
    """There is no release before it."""


@dataclass(frozen=True)
class Fact:
    """An identifier, a gene or a phenotype of a concept.

    Attributes:
        id: In its vocabulary: a CURIE, a gene's number, an HPO term.
        note: The kind of identifier, how the gene goes with the disease, whether the phenotype is denied.
        label: Its name, or that of its vocabulary.
    """

    id: str
    note: str
    label: str | None


@dataclass(frozen=True)
class Item:
    """A concept of a topic.

    Attributes:
        cui: Its identifier.
        name: Its name in the later release or its last one; of facts its present one. None where it has none.
        links: To PubMed.
        detail: As in ``release_report``: the name before, the concept it was merged into, why it was retired.
        target: The name of the concept it was merged into.
        gone: Facts that the earlier release alone has.
        came: Facts that the later one alone has.
    """

    cui: str
    name: str | None
    links: int
    detail: str | None = None
    target: str | None = None
    gone: tuple[Fact, ...] = ()
    came: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Topic:
    """What happened to concepts in one respect.

    Attributes:
        name: One of ``CONCEPT_TOPICS`` or ``FACT_TOPICS``.
        concepts: How many there are.
        items: The first of them, most published first.
        history: How many there were in each release; of facts, how many rows of their table changed.
        gone: How many facts the earlier release alone has.
        came: How many facts the later one alone has.
    """

    name: str
    concepts: int
    items: tuple[Item, ...]
    history: Mapping[str, int]
    gone: int = 0
    came: int = 0


@dataclass(frozen=True)
class TableChange:
    """What happened to the rows of a table.

    Attributes:
        table: The table.
        release: Whose rows the later state has; a table of another source has releases of its own.
        before: Rows it had; None where it was not loaded yet, or the change feed does not reach back.
        rows: Rows it has.
        inserted: Rows that came.
        updated: Rows whose key stayed and whose other values did not.
        deleted: Rows that went.
        history: How many rows each release changed.
    """

    table: Table
    release: str
    before: int | None
    rows: int
    inserted: int
    updated: int
    deleted: int
    history: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """What happened between two releases.

    Attributes:
        since: The earlier one.
        until: The later one.
        releases: Those that changed something up to the later one, the oldest first: the axis of what has a history.
        topics: In the order in which they are shown.
        tables: In the order of the catalog.
    """

    since: str
    until: str
    releases: tuple[str, ...]
    topics: tuple[Topic, ...]
    tables: tuple[TableChange, ...]

    @property
    def between(self) -> tuple[str, ...]:
        """The releases after the earlier one up to the later one."""
        return self.releases[self.releases.index(self.since) + 1 :] if self.since in self.releases else self.releases


def gather(
    loader: AbstractNativeLoader, since: str | None = None, until: str | None = None, *, listed: int = LISTED
) -> Report:
    """What happened after release ``since`` up to release ``until``.

    Args:
        loader: Connected.
        since: None: the release before ``until``.
        until: None: the newest.
        listed: How many concepts of each topic are listed, at most.

    Raises:
        NothingToReportError: There are no two such releases, or a table that the report is made from is missing.
    """
    loads = _Loads(loader)
    axis = loads.up_to(until)
    first, last = loads.since(since, axis), axis[-1]
    windows = {table.name: window for table in ALL_TABLES if (window := loads.window(table.name, first, last))}
    bounds = {name: (before.load_id, after.load_id) for name, (before, after) in windows.items() if before is not None}
    for name in bounds.keys() & {"names", *FACT_TOPICS.values()}:
        _require_whole_feed(loader, any_table_by_name(name), bounds[name][0])
    axis = axis[-_RELEASES - 1 :]
    # The first one changed nothing: there was nothing before it.
    shown = [load.release for load in axis[1:]]
    counted = _history(loader, shown)
    topics = list(_concepts(loader, bounds, last.release, listed, counted))
    for topic, table in FACT_TOPICS.items():
        if table in bounds:
            topics.append(_facts(loader, topic, bounds, last.release, listed, loads.history(table, axis)))
    tables = [
        _change(loader, any_table_by_name(name), *window, loads, axis)
        for name, window in windows.items()
        if name != release_report.TABLE.name
    ]
    return Report(first.release, last.release, tuple(shown), tuple(topics), tuple(tables))


class _Loads:
    """The successful loads of every table, in their order.

    A release stands for the last load of ``names`` that brought it. What a table held at that release is what it held
    when the next load of ``names`` came: also a table that was rolled back alone, or that has releases of its own.
    """

    def __init__(self, loader: AbstractNativeLoader) -> None:
        self._of_table: dict[str, list[LoadRecord]] = {}
        for load in reversed(loader.loads("status = 'succeeded'")):
            self._of_table.setdefault(load.table_name, []).append(load)
        needed = ["names", release_report.TABLE.name, *(table.name for table in upstream_of(release_report.TABLE))]
        if missing := [name for name in dict.fromkeys(needed) if name not in self._of_table]:
            raise NothingToReportError(
                f"A report is made from tables of which {', '.join(missing)} was never loaded. Load everything first."
            )

    def up_to(self, until: str | None) -> list[LoadRecord]:
        """The releases that the feed reaches back to, up to that one or the newest; each as its last load by then."""
        loads = self._within_reach("names")
        known = list(_last_of_each_release(loads))
        if until is not None and until not in known:
            raise _unknown(until, known)
        last = max(load.load_id for load in loads if load.release == (until or known[-1]))
        return list(_last_of_each_release(load for load in loads if load.load_id <= last).values())

    def since(self, since: str | None, axis: Sequence[LoadRecord]) -> LoadRecord:
        """The earlier release, by default the one before the last one."""
        *earlier, last = axis
        if since is None:
            if not earlier:
                raise FirstReleaseError(
                    f"Release {last.release} is the first that was loaded: there is none before it to compare with."
                )
            return earlier[-1]
        if since == last.release:
            raise NothingToReportError(f"Release {since} cannot be compared with itself; give an earlier one first.")
        for load in earlier:
            if load.release == since:
                return load
        known = list(_last_of_each_release(self._within_reach("names")))
        if since not in known:
            raise _unknown(since, known)
        raise NothingToReportError(f"Release {last.release} was not loaded after {since}; give the earlier one first.")

    def window(self, name: str, since: LoadRecord, until: LoadRecord) -> tuple[LoadRecord | None, LoadRecord] | None:
        """The loads that left a table's states at the two releases; None where it was not loaded by then.

        The earlier one is None where the change feed does not reach back to it.
        """
        last = self._at(name, until)
        if last is None:
            return None
        first = self._at(name, since)
        return (first if first in self._within_reach(name) else None), last

    def _at(self, name: str, release: LoadRecord) -> LoadRecord | None:
        """The load that left what the table held at a release."""
        following = next((load for load in self._of_table["names"] if load.load_id > release.load_id), None)
        loads = self._of_table.get(name, [])
        if following is None:
            return loads[-1] if loads else None
        # What came before ``names`` in the run of the next release, or otherwise with that release, is of that one.
        return next(
            (
                load
                for load in reversed(loads)
                if load.load_id <= release.load_id
                or (load.load_id < following.load_id and not _goes_with(following, load, release))
            ),
            None,
        )

    def _within_reach(self, name: str) -> list[LoadRecord]:
        loads = self._of_table.get(name, [])
        reach = loads[-1].feed_since if loads else None
        return [load for load in loads if load.load_id >= (reach or 0)]

    def changing(self, name: str, first: LoadRecord, last: LoadRecord) -> list[LoadRecord]:
        """The loads after the one up to the other that changed something."""
        loads = self._of_table[name]
        return [load for load in loads if first.load_id < load.load_id <= last.load_id and load.rows_changed]

    def history(self, name: str, axis: Sequence[LoadRecord]) -> dict[str, int]:
        """How many rows each release changed; that a table was loaded for the first time is no change."""
        found = {release.release: 0 for release in axis[1:]}
        for since, until in pairwise(axis):
            before, after = self.window(name, since, until) or (None, None)
            if before and after:
                found[until.release] = sum(load.rows_changed for load in self.changing(name, before, after))
        return found


def _last_of_each_release(loads: Iterable[LoadRecord]) -> dict[str, LoadRecord]:
    """By release, in the order of these loads."""
    found: dict[str, LoadRecord] = {}
    for load in loads:
        found.pop(load.release, None)
        found[load.release] = load
    return found


def _goes_with(following: LoadRecord, load: LoadRecord, release: LoadRecord) -> bool:
    return load.release == following.release or (
        load.dagster_run_id == following.dagster_run_id != release.dagster_run_id
    )


def _unknown(release: str, known: Sequence[str]) -> NothingToReportError:
    return NothingToReportError(
        f"Release {release!r} is not within reach of the change feed. Known releases, newest first: "
        f"{', '.join(reversed(known))}."
    )


def _require_whole_feed(loader: AbstractNativeLoader, table: Table, since: int) -> None:
    """Refuse to tell a change by a feed that somebody has deleted from."""
    if damage := loader.feed_damage(table, since):
        raise NothingToReportError(f"What changed cannot be told: {damage}.")


def _history(loader: AbstractNativeLoader, releases: Sequence[str]) -> dict[str, dict[str, int]]:
    """By topic, how many concepts of it each release had."""
    found = {topic: dict.fromkeys(releases, 0) for topic in CONCEPT_TOPICS}
    for topic, release, total in loader.read_query(Query(text=_TOTALS), 1_000_000):
        if release in releases:
            found[topic][release] = int(total)
    return found


def _concepts(
    loader: AbstractNativeLoader,
    bounds: Mapping[str, tuple[int, int]],
    release: str,
    listed: int,
    history: Mapping[str, Mapping[str, int]],
) -> Iterator[Topic]:
    query = release_report.concepts_between(bounds, release, listed)
    counts: Counter[str] = Counter()
    items: dict[str, list[Item]] = {topic: [] for topic in CONCEPT_TOPICS}
    for topic, position, cui, name, detail, target, number in loader.read_query(query, (listed + 1) * len(items)):
        if position == 0:
            counts[topic] = int(number)
        else:
            items[topic].append(Item(cui, name, int(number), detail, target))
    for topic, found in items.items():
        yield Topic(topic, counts[topic], tuple(found), history[topic])


def _facts(
    loader: AbstractNativeLoader,
    topic: str,
    bounds: Mapping[str, tuple[int, int]],
    release: str,
    listed: int,
    history: Mapping[str, int],
) -> Topic:
    query = release_report.facts_between(topic, bounds, release, listed)
    (_, _, _, _, _, _, gone, came, concepts), *rows = loader.read_query(query, _FACTS + 1)
    items = [_item(list(of_one)) for _, of_one in groupby(rows, key=lambda row: row[0])]
    # The last one may have more facts than were read.
    items = items[:-1] if len(rows) == _FACTS else items
    return Topic(topic, int(concepts), tuple(items), history, int(gone), int(came))


def _item(rows: Sequence[tuple[Any, ...]]) -> Item:
    _, cui, name, *_, links = rows[0]
    gone, came = (
        tuple(Fact(id_, note, label) for _, _, _, id_, note, label, before, _, _ in rows if bool(before) is side)
        for side in (True, False)
    )
    return Item(cui, name, int(links or 0), gone=gone, came=came)


def _change(
    loader: AbstractNativeLoader,
    table: Table,
    first: LoadRecord | None,
    last: LoadRecord,
    loads: _Loads,
    axis: Sequence[LoadRecord],
) -> TableChange:
    changing = loads.changing(table.name, first, last) if first else []
    if first is None or not changing:
        counts = (0, 0, 0)
    elif len(changing) == 1:
        load = changing[0]
        counts = (load.rows_inserted or 0, load.rows_updated or 0, load.rows_deleted or 0)
    else:
        _require_whole_feed(loader, table, first.load_id)
        counts = loader.count_changes(table, first, last)
    before = first.rows_after if first else None
    return TableChange(table, last.release, before, last.rows_after, *counts, loads.history(table.name, axis))
