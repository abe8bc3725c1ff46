"""One DuckDB file with tables, comments, keys and indexes. It is made beside its place, and put there by one rename."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock, Timeout

from medgen_pipeline.access.export.errors import ExportError, PlaceUnavailableError
from medgen_pipeline.access.export.held import Export, Held, held, settled
from medgen_pipeline.access.export.package import licences_of
from medgen_pipeline.access.export.places import LOCK_SECONDS, flush
from medgen_pipeline.catalog import Column, ColumnType, Table
from medgen_pipeline.errors import missing_extra
from medgen_pipeline.loaders import AbstractNativeLoader
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.arrow import reader_of
from medgen_pipeline.loaders.duckdb.dialect import DuckDBDialect

SUFFIX = ".duckdb"
_MEMORY = "1GB"

# What of the file is an export's, and how it got there.
_EXPORT = Table(
    name="medgen_export",
    columns=(
        Column("table_name", "", "The table.", nullable=False),
        Column("release", "", "The release that it holds."),
        Column("changed_in", "", "The release that has changed its rows last."),
        Column("rows_version", "", "Other rows, or another description of them, have another one."),
        Column("licences", "", "Of its content."),
        Column("row_count", "", "How many rows it has.", type=ColumnType.INTEGER),
    ),
    key=("table_name",),
    key_proven=True,
    description="What `medgen export` has written to this file.",
)


def export(
    loader: AbstractNativeLoader, path: Path, names: Sequence[str], told: Callable[[str], None] = lambda _: None
) -> Export:
    """Make the file, or bring it up to date.

    Raises:
        ExportError: duckdb is not installed, or something is there that no export has made.
    """
    try:
        duckdb: Any = import_module("duckdb")
    except ImportError as error:
        raise ExportError(missing_extra("A DuckDB file", "duckdb", "duckdb")) from error
    path = path.expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    new, lock = (path.with_name(f".{path.name}.{kind}") for kind in ("draft", "lock"))
    try:
        with FileLock(lock, timeout=LOCK_SECONDS):
            before = _before(duckdb, path) if path.exists() else {}
            now = held(loader, names)
            if [_said(table) for table in now] == [said for *said, _ in before.values()]:
                return Export.of(now, (), str(path), sum(rows for *_, rows in before.values()), path.stat().st_size)
            _remove(new)
            try:
                if before:
                    shutil.copyfile(path, new)
                with duckdb.connect(new, config={"memory_limit": _MEMORY, "temp_directory": f"{new}.tmp"}) as database:
                    draft = _Draft(database, before)
                    now = settled(loader, names, lambda table: told(draft.bring(loader, table)))
                    draft.finish(now)
                flush(new)
                new.replace(path)
                flush(path.parent)
            finally:
                _remove(new)
    except Timeout as error:
        raise PlaceUnavailableError(f"{path}: another export has been at work here for an hour.") from error
    except duckdb.IOException as error:
        raise PlaceUnavailableError(f"{path}: {error}") from error
    except duckdb.Error as error:
        raise ExportError(f"{path}: {error}") from error
    return Export.of(now, draft.written, str(path), sum(draft.rows[one.table.name] for one in now), path.stat().st_size)


class _Draft:
    """The file to be.

    Attributes:
        rows: How many each table has.
        written: The tables that were written.
    """

    _words: ClassVar = DuckDBDialect()

    def __init__(self, connection: Any, before: Mapping[str, Sequence[Any]]) -> None:
        self._connection = connection
        self._versions = {name: said[3] for name, said in before.items()}
        self.rows = {name: said[-1] for name, said in before.items()}
        self.written: set[str] = set()

    def bring(self, loader: AbstractNativeLoader, table: Held) -> str:
        """Write a table, or keep what is there of it; returns what was done, for people."""
        name = table.table.name
        if self._versions.get(name) == table.version:
            return f"{name}: as before"
        self._create(table.table)
        rows = reader_of(table.table.columns, loader.read(table.table, ordered=True))
        self._connection.register("_rows", rows)
        self._run("INSERT INTO {} SELECT * FROM _rows", sql.Identifier(name))
        self._connection.unregister("_rows")
        ((self.rows[name],),) = self._run("SELECT COUNT(*) FROM {}", sql.Identifier(name))
        self._index(table.table)
        self._versions[name] = table.version
        self.written.add(name)
        return f"{name}: {self.rows[name]:,} rows"

    def finish(self, tables: Sequence[Held]) -> None:
        """Leave what is said of these tables, and none of an earlier export that is not among them."""
        for name in self._versions.keys() - {one.table.name for one in tables}:
            self._run("DROP TABLE IF EXISTS {}", sql.Identifier(name))
        self._create(_EXPORT)
        for one in tables:
            said = (*_said(one), licences_of(one.table), self.rows[one.table.name])
            values = sql.SQL(", ").join(map(sql.Literal, said))
            self._run("INSERT INTO {} VALUES ({})", sql.Identifier(_EXPORT.name), values)
        self._index(_EXPORT)

    def _create(self, table: Table) -> None:
        name = sql.Identifier(table.name)
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column.name), self._words.column_type(column))
            for column in table.columns
        )
        self._run("CREATE OR REPLACE TABLE {} ({})", name, columns)
        for column, text in [(None, table.description), *((one.name, one.description) for one in table.columns)]:
            self._execute(self._words.comment(name, column, text))

    def _index(self, table: Table) -> None:
        """Behind the rows. What the rows are sorted by needs no index: DuckDB knows what each part of them spans."""
        name = sql.Identifier(table.name)
        if table.key_proven:
            nullable = {column.name for column in table.columns if column.nullable}
            key = sql.SQL(", ").join(map(sql.Identifier, table.key))
            if nullable & set(table.key):
                self._run("CREATE UNIQUE INDEX {} ON {} ({})", sql.Identifier(f"{table.name}_key"), name, key)
            else:
                self._run("ALTER TABLE {} ADD PRIMARY KEY ({})", name, key)
        for column in table.lookups:
            index = sql.Identifier(f"{table.name}_by_{column}")
            self._run("CREATE INDEX {} ON {} ({})", index, name, sql.Identifier(column))

    def _run(self, statement: Any, *parts: sql.Statement) -> list[tuple[Any, ...]]:
        return self._execute(sql.SQL(statement).format(*parts))

    def _execute(self, statement: sql.Statement | None) -> list[tuple[Any, ...]]:
        return self._connection.execute(self._words.text(statement)).fetchall() if statement else []


def _said(held: Held) -> list[str]:
    return [held.table.name, held.release, held.changed, held.version]


def _before(duckdb: Any, path: Path) -> dict[str, tuple[Any, ...]]:
    """What an export has said of its tables: ``_said``, and their rows.

    Raises:
        ExportError: It is a database of somebody's own, such as a warehouse.
    """
    with duckdb.connect(path, read_only=True) as database:
        if not database.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'medgen_export'").fetchall():
            raise ExportError(f"{path}: this database was not made by an export. Name another file, or remove it.")
        found = database.execute(
            "SELECT table_name, release, changed_in, rows_version, row_count FROM medgen_export ORDER BY rowid"
        )
        return {said[0]: said for said in found.fetchall()}


def _remove(new: Path) -> None:
    for path in (new, Path(f"{new}.wal")):
        path.unlink(missing_ok=True)
    shutil.rmtree(f"{new}.tmp", ignore_errors=True)
