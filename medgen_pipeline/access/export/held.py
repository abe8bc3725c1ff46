"""What the tables hold, by the audit: whether a table has changed since it was exported is told from that alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from medgen_pipeline.access.export.errors import ExportError
from medgen_pipeline.catalog import CURATED_TABLES, TABLES, Table, any_table_by_name
from medgen_pipeline.loaders import AbstractNativeLoader

# To be raised where the same rows of the same catalog become another file than before.
_FORMAT = 1


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
