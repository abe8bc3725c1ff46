"""A small synthetic release of MedGen and its siblings, and its successor, for demos, tutorials and tests offline.

Files, headers, framing and column order come from the catalog; here are only the values. They describe one
world of concepts (``sample.world``), so that the tables join. A few well-known disorders and features carry their real
CUI, OMIM, Orphanet, Mondo, HPO and gene ids, so that worked questions have recognisable answers; UIDs, definitions and
links are invented throughout. No row was copied from NCBI. The oddities of real files are in it on purpose;
``test_sample.py`` lists them.
"""

import datetime as dt
import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from medgen_pipeline.catalog import TABLES, SourceTable
from medgen_pipeline.demo.sample import clinvar, gene, genereviews, gtr, medgen
from medgen_pipeline.demo.sample.world import INVENTED, INVENTED_GENES, ROWS, world_of
from medgen_pipeline.rows.published import header_of, line_of

Row = dict[str, str]  # by column name

_RELEASED = dt.datetime(2026, 1, 7, 17, 0, tzinfo=dt.UTC)
_WEEK = dt.timedelta(days=7)
_CONCEPTS = 2_400  # at scale 1: a hundredth of MedGen
_FEWEST_CONCEPTS = 60
_PUBMED_LINKS = 14
_ABOUT_INVENTED = (*INVENTED, *INVENTED_GENES)
# What a successor changes in some rows of a table, beside what follows from its concepts.
_REVISIONS = {**medgen.REVISIONS, **gene.REVISIONS, **clinvar.REVISIONS, **genereviews.REVISIONS, **gtr.REVISIONS}


def write_sample(
    out: Path, *, scale: float = 1.0, successor: bool = False, pubmed_links: int = _PUBMED_LINKS
) -> list[Path]:
    """Write a synthetic release into ``out``, a file for each table; the same arguments give the same bytes.

    Args:
        out: The directory; it is made where absent, and files of the same names are replaced.
        scale: 1 gives about 75,000 rows of MedGen's. Below 1 not every kind of change reaches every table.
        successor: Write the release of a week later: concepts retired, added and renamed, rows inserted,
            updated and deleted in every table but ``medgen_sources``.
        pubmed_links: An invented concept has fewer links to PubMed than this. The default keeps the sample small;
            real concepts have 67 on average, which 134 gives.

    Returns:
        The paths written, in the order of the catalog.
    """
    if scale <= 0:
        raise ValueError(f"scale is {scale}; it must be above 0 (1 gives about 75,000 rows)")
    out.mkdir(parents=True, exist_ok=True)
    size = max(_FEWEST_CONCEPTS, int(_CONCEPTS * scale))
    world = world_of(size, successor=successor, pubmed_links=pubmed_links)
    stamp = int((_RELEASED + successor * _WEEK).timestamp())
    paths = []
    for table in TABLES:
        columns, rows_of = ROWS[table.name]
        rows = (dict(zip(columns, values, strict=True)) for values in rows_of(world))
        paths.append(out / table.file_name)
        _write(paths[-1], table, _drift(table, rows) if successor else rows, stamp)
    return paths


def _write(path: Path, table: SourceTable, rows: Iterable[Row], stamp: int) -> None:
    """Write one file; its time, and the one inside a gzip header, are the release's."""
    with path.open("wb") as raw:
        target = gzip.GzipFile("", "wb", 6, raw, mtime=stamp) if table.is_gzip else nullcontext(raw)
        with target as file:
            file.writelines(_lines(table, rows))
    os.utime(path, (stamp, stamp))


def _lines(table: SourceTable, rows: Iterable[Row]) -> Iterator[bytes]:
    yield header_of(table)
    missing = next(iter(table.source.null_markers), "")
    for row in rows:
        values = (row[name] or missing for name in table.column_names)
        yield line_of(table, [value.encode("utf-8", "surrogateescape") for value in values])


def _drift(table: SourceTable, rows: Iterable[Row]) -> Iterator[Row]:
    """Leave out every 67th row about invented concepts and revise every 41st; names follow the concepts alone."""
    number = 0
    for row in rows:
        if table.name != "names" and any(value.startswith(_ABOUT_INVENTED) for value in row.values()):
            number += 1
            if number % 67 == 0:
                continue
            if number % 41 == 0:
                row.update(_revision(table, row))
        yield row


def _revision(table: SourceTable, row: Row) -> Row:
    """What is changed in a row. An edge of the hierarchy stays where it is: diseases are no kinds of findings."""
    if row.get("rel") in {"PAR", "CHD"}:
        return {"sab": "MONDO", "sl": "MONDO"}
    return _REVISIONS.get(table.name, {})
