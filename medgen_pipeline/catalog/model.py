"""The shape of a catalog entry. No table is described here (``sources`` and ``curated`` do), and nothing is read."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, StrEnum

from medgen_pipeline.catalog.query import FEED_PREFIX, LOAD_RUN, Absent, Parameter, Query, Scratch

AFFECTED = "affected"
RECENT_PREFIX = "recent_"
# A parameter of this prefix and an optional table's name is 1, or 0 where that table is not loaded.
LOADED_PREFIX = "has_"

# To be raised where the same bytes of a file become other rows than before.
_READING = 2


class Framing(Enum):
    """How NCBI separates the fields of a line; neither quotes nor escapes anything."""

    PIPE = "pipe"
    TAB = "tab"

    @property
    def delimiter(self) -> bytes:
        """What is between two fields."""
        return b"|" if self is Framing.PIPE else b"\t"

    @property
    def trailing(self) -> bytes:
        """What every line, the header too, has before its LF."""
        return b"|" if self is Framing.PIPE else b""


@dataclass(frozen=True)
class Cadence:
    """How often a source publishes.

    Attributes:
        name: For people, and in the name of the schedule.
        cron: When to look by the clock, in New York; a file that has not changed costs a HEAD request.
        late: A table that was not loaded for so long misses a release that is late; a load of an unchanged file counts.
        missed: For so long: one that was left out.
    """

    name: str
    cron: str
    late: timedelta
    missed: timedelta


# On a Wednesday to a Sunday: two releases that are on time are at most eleven days apart. One more day for the load.
WEEKLY = Cadence("weekly", "0 6 * * 4", late=timedelta(days=12), missed=timedelta(days=19))
# Two days without a new file are no rarity around holidays.
DAILY = Cadence("daily", "0 6 * * *", late=timedelta(days=4), missed=timedelta(days=8))


@dataclass(frozen=True)
class Licence:
    """What whoever uses a source's content has to know.

    Attributes:
        title: For people.
        url: Of its text.
        note: What of the content it is about.
    """

    title: str
    url: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A directory of NCBI's whose files become tables.

    Attributes:
        name: In names of assets' groups, jobs, sensors, resources and settings.
        title: For people.
        url: NCBI's own.
        cadence: How often it publishes.
        licences: Of its content.
        shares_release: Whether its files are made together, so that files of different days are of two releases.
        null_markers: Texts that stand for a missing value; one counts where a field is exactly that.
        on: Whether it is loaded without being asked for.
    """

    name: str
    title: str
    url: str
    cadence: Cadence
    licences: tuple[Licence, ...]
    shares_release: bool = False
    null_markers: tuple[str, ...] = ()
    on: bool = True

    @property
    def infix(self) -> str:
        """What tells names that belong to it from those of MedGen, which was here first and has none."""
        return "" if self.name == "medgen" else f"{self.name}_"

    @property
    def setting(self) -> str:
        """The variable of the environment that names another place of its files."""
        return f"MEDGEN_{self.infix}SOURCE_URL".upper()


class ColumnType(Enum):
    """What a column holds. An integer has up to 18 digits (PostgreSQL and Redshift: BIGINT).

    A file's columns are text, or integers. In canonical text a boolean is ``true`` or ``false``, a date ``2026-01-07``.
    """

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"


_OF_FILES = (ColumnType.TEXT, ColumnType.INTEGER)


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: The warehouse's name: the published header in snake_case.
        header: The name in NCBI's header line, without the leading ``#``.
        description: What the value means.
        type: Of NCBI's columns TEXT, or INTEGER for UID, PMID and numbers of genes and taxa only: no width or pattern
            of the others is guaranteed.
        nullable: False where a missing value means a damaged row. A hint for checks and the UI, not a constraint.
        aliases: Other spellings of the header that NCBI has used.
        absence: What a header without the column means, where such files are known: for whoever is to accept that.
        max_bytes: Declared width in UTF-8 bytes on warehouses that need one; PostgreSQL ignores it.
    """

    name: str
    header: str
    description: str
    type: ColumnType = ColumnType.TEXT
    nullable: bool = True
    aliases: tuple[str, ...] = ()
    absence: str = ""
    max_bytes: int = 255


@dataclass(frozen=True)
class Reference:
    """``column`` holds identifiers of ``to_table``.``to_column``. Reported as orphans, never enforced."""

    column: str
    to_table: str
    to_column: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the warehouse, as loaders, checks and the UI see it: where its rows come from does not matter.

    Attributes:
        name: Table name and last part of the asset key.
        columns: In the order they are published.
        key: The columns that identify a row, or empty where only the whole row does.
        key_proven: True where the key is known to be unique, as in every real release read. An unproven key is a hint:
            a release in which it repeats is compared by whole rows and loses nothing.
        description: Markdown for the UI: what the table holds, who made it, its traps.
        references: Columns that hold identifiers of other tables.
        lookups: Columns it is looked up by beside its key, each by itself: on a backend that has indexes, it has one
            for each.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    key_proven: bool
    description: str
    references: tuple[Reference, ...] = ()
    lookups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an entry that contradicts itself; this runs at import, so it fails in the first test."""
        names = self.column_names
        if len(set(names)) != len(names):
            raise ValueError(f"catalog: table {self.name} names a column twice: {names}")
        unknown = {*self.key, *(reference.column for reference in self.references), *self.lookups} - set(names)
        if unknown:
            raise ValueError(f"catalog: table {self.name} has no columns {sorted(unknown)}; it has {names}")
        if self.key_proven and not self.key:
            raise ValueError(f"catalog: table {self.name} claims a proven key but names none")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Column names in published order."""
        return tuple(column.name for column in self.columns)

    @property
    def index_columns(self) -> tuple[str, ...]:
        """What it is looked up by: its key, or the first column where only the whole row is one."""
        return self.key or self.column_names[:1]

    @property
    def shape(self) -> str:
        """A short hash of all that decides how rows are read and stored; a change of it means a rebuild."""
        parts = [(column.name, column.type.value) for column in self.columns]
        return hashlib.sha256(repr((parts, self.key, self.key_proven)).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class SourceTable(Table):
    """A table made from one file of NCBI's.

    Attributes:
        source: Who publishes the file.
        file_name: The file's name on NCBI's server.
        framing: How its lines are cut.
        typical_rows: Rows of a release of 2025, rounded, for the data dictionary.
    """

    source: Source
    file_name: str
    framing: Framing
    typical_rows: int = 0

    def __post_init__(self) -> None:
        """Refuse an entry that contradicts itself."""
        super().__post_init__()
        if others := [column.name for column in self.columns if column.type not in _OF_FILES]:
            raise ValueError(f"catalog: columns of a file are text or integers, not as in {self.name}: {others}")
        if self.key_proven and self.source.null_markers:
            raise ValueError(f"catalog: the key of {self.name} cannot be proven: its fields may hold a marker of NULL")

    @property
    def shape(self) -> str:
        """Also of what decides how a line of the file is read."""
        headers = [(column.header, column.aliases) for column in self.columns]
        parts = (super().shape, _READING, self.framing, headers, *self.source.null_markers)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]

    @property
    def is_gzip(self) -> bool:
        """Whether NCBI publishes the file compressed."""
        return self.file_name.endswith(".gz")


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
