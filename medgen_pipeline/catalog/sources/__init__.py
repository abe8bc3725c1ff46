"""The sources of files: one module per publisher of tables."""

from collections.abc import Iterable
from typing import TypeVar

from medgen_pipeline.catalog.model import Source, SourceTable, Table
from medgen_pipeline.catalog.sources import clinvar, gene, genereviews, gtr, medgen

Entry = TypeVar("Entry", Source, SourceTable, Table)

TABLES: tuple[SourceTable, ...] = (*medgen.TABLES, *gene.TABLES, *clinvar.TABLES, *genereviews.TABLES, *gtr.TABLES)
SOURCES: tuple[Source, ...] = tuple(dict.fromkeys(table.source for table in TABLES))


def tables_of(source: Source) -> tuple[SourceTable, ...]:
    """The tables that are made from a source's files."""
    return tuple(table for table in TABLES if table.source == source)


def source_by_name(name: str) -> Source:
    """Return the source of that name.

    Raises:
        LookupError: No such source; the message lists the known ones.
    """
    return named(name, SOURCES, "there is no source", "sources")


def table_by_name(name: str) -> SourceTable:
    """Return the table of that name.

    Raises:
        LookupError: No such table; the message lists the known ones.
    """
    return named(name, TABLES, "NCBI has no table", "tables")


def named(name: str, known: Iterable[Entry], lacking: str, kind: str) -> Entry:
    """Return the entry of that name, or raise a LookupError that lists the known ones."""
    by_name = {entry.name: entry for entry in known}
    if name not in by_name:
        raise LookupError(f"{lacking} {name!r}; known {kind}: {', '.join(by_name)}")
    return by_name[name]
