"""The shape of a source and of its tables. None is described here (``sources`` does), and nothing is read."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

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
    def required_columns(self) -> tuple[str, ...]:
        """The columns that need a value."""
        return tuple(column.name for column in self.columns if not column.nullable)

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
