"""The sources of files: one module per publisher of tables."""

from medgen_pipeline.catalog.model import Source, SourceTable
from medgen_pipeline.catalog.sources import clinvar, gene, genereviews, gtr, medgen

TABLES: tuple[SourceTable, ...] = (
    *medgen.TABLES,
    *gene.TABLES,
    *clinvar.TABLES,
    *genereviews.TABLES,
    *gtr.TABLES,
)
SOURCES: tuple[Source, ...] = tuple(dict.fromkeys(table.source for table in TABLES))


def tables_of(source: Source) -> tuple[SourceTable, ...]:
    """The tables that are made from a source's files."""
    return tuple(table for table in TABLES if table.source == source)


def source_by_name(name: str) -> Source:
    """Return the source of that name.

    Raises:
        LookupError: No such source; the message lists the known ones.
    """
    for source in SOURCES:
        if source.name == name:
            return source
    raise LookupError(f"there is no source {name!r}; known sources: {', '.join(source.name for source in SOURCES)}")


def table_by_name(name: str) -> SourceTable:
    """Return the table of that name.

    Raises:
        LookupError: No such table; the message lists the known ones.
    """
    for table in TABLES:
        if table.name == name:
            return table
    raise LookupError(f"NCBI has no table {name!r}; known tables: {', '.join(table.name for table in TABLES)}")
