"""What the tables hold, by the audit: whether a table has changed since it was exported is told from that alone."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Self

from medgen_pipeline.access.export.errors import ExportError, MovingTablesError
from medgen_pipeline.catalog import CURATED_TABLES, TABLES, Table, any_table_by_name
from medgen_pipeline.loaders import AbstractNativeLoader

# To be raised where the same rows of the same catalog become another file than before.
_FORMAT = 1
# Loads that end while tables are written make these be written again; so often.
_ROUNDS = 5


@dataclass(frozen=True)
class Export:
    """What an export has made.

    Attributes:
        path: The release's folder, or the file.
        release: The newest release of its tables.
        rows: Of all tables.
        size: Bytes of all files.
        written: Tables that were written.
        kept: Tables that are as they were in the export before.
    """

    path: str
    release: str
    rows: int
    size: int
    written: tuple[str, ...]
    kept: tuple[str, ...]

    @classmethod
    def of(cls, tables: "Sequence[Held]", written: Collection[str], path: str, rows: int, size: int) -> Self:
        """Of these tables, in their order."""
        names = [held.table.name for held in tables]
        return cls(
            path,
            max(held.release for held in tables),
            rows,
            size,
            tuple(name for name in names if name in written),
            tuple(name for name in names if name not in written),
        )


@dataclass(frozen=True)
class Held:
    """The rows of a table.

    Attributes:
        table: The table.
        release: The one that it holds.
        load_id: The load that has changed its rows last.
        changed: That load's release.
    """

    table: Table
    release: str
    load_id: int
    changed: str

    @property
    def version(self) -> str:
        """Other rows, or another description of them, have another one."""
        table = self.table
        described = repr((_FORMAT, table.name, table.description, table.key, table.key_proven, table.columns))
        return f"{self.load_id}-{hashlib.sha256(described.encode()).hexdigest()[:12]}"


def held(loader: AbstractNativeLoader, names: Sequence[str] = ()) -> list[Held]:
    """What the tables of these names hold, curated ones first; none named: all that were loaded.

    Raises:
        LookupError: There is no such table.
        ExportError: One that is named was never loaded, or none was.
    """
    wanted = {any_table_by_name(name).name for name in names}
    found: dict[str, tuple[str, int, str]] = {}
    loads = loader.query(
        "SELECT table_name, load_id, release, rows_inserted + rows_updated + rows_deleted FROM {audit}.load_run"
        " WHERE status = 'succeeded' ORDER BY load_id"
    )
    for name, load_id, release, changes in loads:
        _, last, changed = found.get(name, ("", load_id, release))
        found[name] = (release, load_id, release) if changes else (release, last, changed)
    if missing := sorted(wanted - found.keys()):
        raise ExportError(f"{', '.join(missing)}: never loaded, so there is nothing to export.")
    tables = [table for table in (*CURATED_TABLES, *TABLES) if table.name in (wanted or found)]
    if not tables:
        raise ExportError("No table was loaded yet, so there is nothing to export.")
    return [Held(table, *found[table.name]) for table in tables]


def settled(loader: AbstractNativeLoader, names: Sequence[str], bring: Callable[[Held], None]) -> list[Held]:
    """Bring tables until none of them has been loaded since: then they are as all of them are at one moment."""
    brought: dict[str, Held] = {}
    for _ in range(_ROUNDS):
        found = held(loader, names)
        changed = [table for table in found if brought.get(table.table.name) != table]
        if not changed:
            return found
        for table in changed:
            bring(table)
            brought[table.table.name] = table
    raise MovingTablesError(f"{changed[0].table.name} was loaded again and again while it was exported. Try later.")
