"""The shape of a curated table's entry: its query, how it follows changes, what must hold and what is shown of it."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from medgen_pipeline.catalog.model import Table
from medgen_pipeline.catalog.query import FEED_PREFIX, LOAD_RUN, Absent, Parameter, Query, Scratch

AFFECTED = "affected"
RECENT_PREFIX = "recent_"
# A parameter of this prefix and an optional table's name is 1, or 0 where that table is not loaded.
LOADED_PREFIX = "has_"


@dataclass(frozen=True, kw_only=True)
class Increment:
    """How a curated table follows the changes of the tables it is made from, instead of reading them whole.

    The table's rows fall into parts. A part is made from some rows of each upstream table, and from no others.

    Attributes:
        key: The columns that tell which part a row belongs to.
        scratch: The last of those that the query does not know is ``affected``, with the keys of all parts that may be
            other than before, once each. Then come, by their own names, the upstream tables with what those parts are
            made from; one that is not named is read as it is. ``{recent_names}`` is what the change feed of ``names``
            has between the two states, ``{recent_load_run}`` the loads of the upstream tables between them.
        query: Gives the rows of the affected parts; None: the table's own query does, from the narrowed tables.
    """

    key: tuple[str, ...]
    scratch: tuple[Scratch, ...]
    query: Query | None = None


def by_column(column: str, **upstream: str) -> Increment:
    """The increment of a table whose rows are made from upstream rows that have the same value of one column.

    Args:
        column: That column of the table.
        upstream: The same column of each upstream table, by its name.
    """
    changed = (
        f"SELECT {own} AS {column} FROM {{{RECENT_PREFIX}{name}}} AS feed GROUP BY {own}"  # noqa: S608  # the catalog's names
        for name, own in upstream.items()
    )
    narrow = (
        Scratch(
            name,
            f"SELECT own.* FROM {{{name}}} AS own WHERE own.{own} IN (SELECT {column} FROM {{{AFFECTED}}})",  # noqa: S608  # the same
        )
        for name, own in upstream.items()
    )
    return Increment(key=(column,), scratch=(Scratch(AFFECTED, " UNION ".join(changed)), *narrow))


class Severity(StrEnum):
    """How bad a finding is: an error is wrong, a warning is worth a look."""

    ERROR = "ERROR"
    WARN = "WARN"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Something that must hold in a curated table.

    Attributes:
        name: Name of the check.
        description: What must hold and what a finding means, in the UI.
        columns: What a finding tells, as headers.
        query: Gives a row for each finding: its ``Severity``, then the columns. Ordered by severity first.
        blocking: Whether tables made from this one must not be refreshed when it fails with an error.
    """

    name: str
    description: str
    columns: tuple[str, ...]
    query: Query
    blocking: bool = False


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A parameter of a curated table's query that users may choose.

    Attributes:
        parameter: Its name; the query has its default.
        description: What it does, in the UI.
        known: Gives the values there are, for a list; an unknown one is an error.
        least: The lowest number there may be.
        most: The highest.
    """

    parameter: str
    description: str
    known: Query | None = None
    least: int = 1
    most: int = 1000


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Something to show beside each load of a curated table: one number, or a short table where it has columns.

    Attributes:
        name: Key of the metadata.
        query: Its one number, or its rows in the order they are shown.
        columns: Headers of the table.
        bars: Header of the column whose numbers are drawn as bars, too.
        pages: By header of a column, the URL of a value's page, with ``{}`` for the value.
    """

    name: str
    query: Query
    columns: tuple[str, ...] = ()
    bars: str = ""
    pages: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class CuratedTable(Table):
    """A table made inside the warehouse from other tables.

    Attributes:
        query: Gives the rows, with the table's columns by name.
        lineage: For each column, the columns it is made from, as ``table.column``.
        optional: Upstream tables that it is made without where they are not loaded, as if they had no rows.
        increment: How it is brought up to date without reading its upstream whole; None: it is always rebuilt.
        settings: Parameters of the query that users may choose.
        rules: What must hold in it.
        metrics: What is shown beside each load. Settings reach those of their parameters that have the same name.
    """

    query: Query
    lineage: Mapping[str, tuple[str, ...]] = field(hash=False)
    optional: tuple[str, ...] = ()
    increment: Increment | None = None
    settings: tuple[Setting, ...] = ()
    rules: tuple[Rule, ...] = ()
    metrics: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an entry that contradicts itself."""
        super().__post_init__()
        if set(self.lineage) != set(self.column_names):
            wrong = sorted(set(self.lineage) ^ set(self.column_names))
            raise ValueError(f"catalog: lineage and columns of {self.name} do not match: {wrong}")
        if unknown := {setting.parameter for setting in self.settings} - set(self.query.parameters):
            raise ValueError(f"catalog: the query of {self.name} has no parameters {sorted(unknown)}")

    def without(self, absent: Collection[Table]) -> "CuratedTable":
        """The table as it is made where some of its optional upstream tables are not loaded."""
        if not absent:
            return self
        nothing = [Absent(table.name, tuple((one.name, one.type.value) for one in table.columns)) for table in absent]
        feeds = [Absent(RECENT_PREFIX + one.name, (("_change_type", "text"), *one.columns)) for one in nothing]
        names = {table.name for table in absent}
        lost = {LOADED_PREFIX + name: 0 for name in names}
        query = replace(
            self.query,
            absent=(*nothing, *feeds),
            parameters={name: lost.get(name, value) for name, value in self.query.parameters.items()},
        )
        lineage = {
            column: tuple(one for one in sources if one.partition(".")[0] not in names)
            for column, sources in self.lineage.items()
        }
        return replace(self, query=query, lineage=lineage)

    @property
    def version(self) -> str:
        """A short hash of all that decides its rows besides the tables it reads."""
        return hashlib.sha256(f"{self.shape} {self.query.fingerprint}".encode()).hexdigest()[:12]

    def followed(self, query: Query, windows: Mapping[str, tuple[int, int]], most: int) -> Query:
        """What replaces the rows that changes of upstream tables affect: signed rows, ``-`` those there are, ``+`` new.

        Args:
            query: The table's, with the parameters chosen.
            windows: For each upstream table, the loads that the changes come after and go up to.
            most: How many rows may be affected.
        """
        if self.increment is None:
            raise ValueError(f"catalog: {self.name} has no increment")
        made = query
        if self.increment.query:
            made = replace(self.increment.query, parameters=query.parameters, absent=query.absent)
        key = self.increment.key
        affected = f"{{{AFFECTED}}} AS affected ON " + " AND ".join(f"affected.{name} = part.{name}" for name in key)
        columns = ", ".join(f"part.{name}" for name in self.column_names)
        # The texts are the catalog's own; values are parameters.
        checks = (
            Scratch(
                "incomplete",
                f"SELECT 1 AS found FROM {{{AFFECTED}}} AS part WHERE "  # noqa: S608  # the catalog's names
                + " OR ".join(f"part.{name} IS NULL" for name in key),
                most=0,
                rows="affected keys are incomplete",
            ),
            Scratch(
                "replaced",
                f"SELECT {columns} FROM {{{self.name}}} AS part JOIN {affected}",  # noqa: S608  # the catalog's names
                most=most,
                rows=f"rows of {self.name} are affected",
            ),
        )
        own = list(self.increment.scratch)
        after = 1 + next(place for place, scratch in enumerate(own) if scratch.name == AFFECTED)
        scratch = (*own[:after], *checks, *own[after:], *made.scratch)
        text = (
            f"SELECT '-' AS _sign, {columns} FROM {{replaced}} AS part"  # noqa: S608  # the catalog's names
            f" UNION ALL SELECT '+', {columns} FROM ({made.text}) AS part JOIN {affected}"
        )
        whole = Query(
            text=text, scratch=scratch, constants=made.constants, parameters=query.parameters, absent=made.absent
        )
        recent = [name for name in whole.relations if name.startswith(RECENT_PREFIX)]
        bounds: dict[str, Parameter] = {}
        for name, (since, until) in windows.items():
            bounds |= {f"since_{name}": since, f"until_{name}": until}
        parameters = {**query.parameters, **bounds}
        return replace(whole, scratch=(*(_recent(name, windows) for name in recent), *scratch), parameters=parameters)


def _recent(name: str, windows: Mapping[str, tuple[int, int]]) -> Scratch:
    """The scratch table of changes, or loads, between two states."""
    of = name.removeprefix(RECENT_PREFIX)
    if of != LOAD_RUN:
        text = (
            f"SELECT feed.* FROM {{{FEED_PREFIX}{of}}} AS feed"  # noqa: S608  # the catalog's names
            f" WHERE feed._load_id > {{since_{of}}} AND feed._load_id <= {{until_{of}}}"
        )
    else:
        text = f"SELECT run.* FROM {{{LOAD_RUN}}} AS run WHERE " + " OR ".join(  # noqa: S608  # the same
            f"(run.table_name = '{one}' AND run.load_id > {{since_{one}}} AND run.load_id <= {{until_{one}}})"
            for one in windows
        )
    return Scratch(name, text)
