"""Tables made inside the warehouse from NCBI's: what most users want to know, ready to be read.

One file per table: its docstring is what users see, then columns, query, lineage, rules. No SQL is executed here.
"""

from medgen_pipeline.catalog.curated import (
    concept,
    concept_ancestor,
    concept_literature,
    concept_name,
    concept_parent,
    concept_relation,
    concept_xref,
    cui_redirect,
    disease_phenotype,
    gene_disease,
    release_report,
)
from medgen_pipeline.catalog.curated_table import CuratedTable
from medgen_pipeline.catalog.model import Source, SourceTable, Table
from medgen_pipeline.catalog.sources import TABLES, medgen, named

# Each after those that it is made from.
CURATED_TABLES: tuple[CuratedTable, ...] = (
    concept_literature.TABLE,
    concept_name.TABLE,
    cui_redirect.TABLE,
    concept.TABLE,
    concept_xref.TABLE,
    concept_parent.TABLE,
    concept_relation.TABLE,
    concept_ancestor.TABLE,
    disease_phenotype.TABLE,
    gene_disease.TABLE,
    release_report.TABLE,
)

ALL_TABLES: tuple[Table, ...] = (*TABLES, *CURATED_TABLES)


def any_table_by_name(name: str) -> Table:
    """Return the table of that name, be it NCBI's or curated.

    Raises:
        LookupError: No such table; the message lists the known ones.
    """
    return named(name, ALL_TABLES, "there is no table", "tables")


def upstream_of(table: CuratedTable) -> tuple[Table, ...]:
    """The tables that ``table`` is made from, and whose loads make it out of date."""
    names = dict.fromkeys(table.query.tables)
    if table.query.reads_loads:
        names |= dict.fromkeys(source.name for source in medgen.TABLES)
    return tuple(any_table_by_name(name) for name in names)


def sources_behind(table: Table) -> frozenset[Source]:
    """The sources of all files that ``table`` cannot be made without."""
    if isinstance(table, SourceTable):
        return frozenset({table.source})
    if not isinstance(table, CuratedTable):
        return frozenset()
    needed = (one for one in upstream_of(table) if one.name not in table.optional)
    return frozenset().union(*map(sources_behind, needed))


def rows_ahead(table: Table) -> int:
    """How many rows are read, one table after the other, until all that is made from ``table`` is made, too.

    By the typical rows of NCBI's tables: what has most of them ahead is to begin first. Not by the last run's seconds:
    those of a week in which a file was the same say nothing of the next.
    """
    readers = (other for other in CURATED_TABLES if table.name in other.query.tables and other.name != table.name)
    return _rows_read(table) + max(map(rows_ahead, readers), default=0)


def _rows_read(table: Table) -> int:
    """Of the largest of NCBI's tables that it reads; of one that reads curated tables alone, what those read."""
    if isinstance(table, SourceTable):
        return table.typical_rows
    names = table.query.tables if isinstance(table, CuratedTable) else ()
    read = [any_table_by_name(name) for name in names if name != table.name]
    return max(map(_rows_read, [one for one in read if isinstance(one, SourceTable)] or read), default=0)
