"""An export: the tables that have changed since the last one are written, all of them are published at once."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from medgen_pipeline.access.export import database, package, parquet
from medgen_pipeline.access.export.held import Export, Held, settled
from medgen_pipeline.access.export.mappings import MAPPINGS, xrefs
from medgen_pipeline.access.export.package import Resource
from medgen_pipeline.access.export.places import Place, place_of
from medgen_pipeline.loaders import AbstractNativeLoader


def export(
    new_loader: Callable[[], AbstractNativeLoader],
    place: str,
    tables: Sequence[str] = (),
    told: Callable[[str], None] = lambda _: None,
) -> Export:
    """Export tables as they are in the warehouse at one moment.

    Args:
        new_loader: Makes a loader that is not connected yet.
        place: A local folder, ``s3://BUCKET/PREFIX``, or a file that ends in ``.duckdb``.
        tables: Their names; none: all that were loaded.
        told: Is told of each table.

    Raises:
        LookupError: There is no such table.
        MedgenError: The warehouse cannot be read, or the place not be written; the message says it.
    """
    with new_loader() as loader:
        if form_of(place) == "duckdb":
            return database.export(loader, Path(place), tables, told)
        return _export(loader, place_of(place), tables, told)


def form_of(place: str) -> str:
    """What is written to a place: ``duckdb`` or ``parquet``."""
    return "duckdb" if place.endswith(database.SUFFIX) and "://" not in place else "parquet"


def _export(loader: AbstractNativeLoader, target: Place, tables: Sequence[str], told: Callable[[str], None]) -> Export:
    with target.draft() as draft:
        before = target.latest
        release = _Draft(draft, package.by_path(target.read(f"{before}/{package.FILE}") if before else None))
        now = settled(loader, tables, lambda table: told(release.bring(loader, table)))
        name = max(table.release for table in now)
        files = [file for table in now for file in release.files[table.table.name]]
        (draft / package.FILE).write_text(package.package(files, [table.table for table in now], name), "utf-8")
        folder = _publish(target, draft, {file["path"]: file for file in files}, quote(name, safe=""), before)
    rows, size = (sum(file.get(number, 0) for file in files) for number in ("rows", "bytes"))
    return Export.of(now, release.written, f"{target.url}/{folder}", rows, size)


class _Draft:
    """The files of a release to be."""

    def __init__(self, folder: Path, before: dict[str, Resource]) -> None:
        self._folder = folder
        self._before = before
        self.files: dict[str, list[Resource]] = {}
        self.written: set[str] = set()

    def bring(self, loader: AbstractNativeLoader, table: Held) -> str:
        """Write a table, or keep what the release before has of it; returns what was done, for people."""
        name = table.table.name
        kept = [file for file in self._before.values() if file.get("rowsVersion") == table.version]
        if kept and name not in self.written:
            self.files[name] = [{**file, "release": table.release} for file in kept]
            return f"{name}: as before"
        path = self._folder / f"{name}.parquet"
        rows = parquet.write(loader.read(table.table, ordered=True), table, path)
        self.files[name] = [package.table_resource(table, path, rows), *self._mappings(table, path)]
        self.written.add(name)
        return f"{name}: {rows:,} rows, {self.files[name][0]['bytes']:,} bytes"

    def _mappings(self, table: Held, rows: Path) -> Iterator[Resource]:
        for name, (description, lines) in MAPPINGS.get(table.table.name, {}).items():
            path = self._folder / name
            with path.open("w", encoding="utf-8", newline="") as file:
                file.writelines(lines(xrefs(parquet.read(rows)), table.changed))
            yield package.mapping_resource(table, path, description)


def _publish(target: Place, draft: Path, files: dict[str, Resource], name: str, before: str) -> str:
    """Put the release into a folder that is free, unless there is one that has it; returns the folder's name."""
    folders = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(2)))
    for folder in folders:
        if target.take(folder):
            kept = {path: before for path in files if not (draft / path).exists()}
            target.publish(draft, kept, folder)
            break
        there = package.by_path(target.read(f"{folder}/{package.FILE}"))
        if package.versions(there) == package.versions(files):
            break
    if folder != before:
        target.point(folder, before)
    return folder
