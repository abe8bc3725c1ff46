"""Rows on their way through a volume: Parquet parts of a fixed size, a new folder per load, and nothing left behind.

Below ``/Volumes/catalog/schema_staging/volume/table/load id/`` lie the parts. COPY INTO skips a file that it has loaded
before, even where its content is another, so the path must be new: a load that stages again has another number in it.
https://docs.databricks.com/aws/en/ingestion/cloud-object-storage/copy-into/
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
from pyarrow import parquet

from medgen_pipeline.catalog import ColumnType
from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.databricks.failures import StatementError
from medgen_pipeline.loaders.databricks.session import DatabricksSession
from medgen_pipeline.loaders.records import LoaderError
from medgen_pipeline.loaders.sql.names import schemas
from medgen_pipeline.rows import arrow

logger = logging.getLogger(__name__)

# FILES takes a thousand names. https://docs.databricks.com/aws/en/sql/language-manual/delta-copy-into
_FILES_AT_ONCE = 1000
_COMPRESSION = "zstd"
_SENDS = 3


class Volume:
    """The files of one load of one table."""

    def __init__(self, session: DatabricksSession, table_name: str, load: str) -> None:
        """Nothing is sent; ``load`` is in the path and in no other."""
        self._session = session
        self._table_name = table_name
        self._table_folder = f"{root(session)}/{table_name}"
        self._folder = f"{self._table_folder}/{load}"
        self._names: list[str] = []

    def __enter__(self) -> Self:
        """Nothing is sent."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was sent, whatever happened, without hiding why this is called."""
        try:
            with self._session.errors(f"removing {self._folder}"):
                self._remove(f"{self._folder}/{name}" for name in self._names)
        except MedgenError as error:
            logger.warning("files stay in the volume until the next load sweeps them: %s", error)

    def copy(self, chunks: Iterable[bytes], columns: Mapping[str, ColumnType], staging: sql.Identifier) -> int:
        """Send chunks of whole records and load them into an empty table; returns how many were sent.

        Raises:
            LoaderError: They are no rows of these columns.
        """
        sent = 0
        try:
            for part, rows in _parts(arrow.tables(chunks, columns), self._session.config.part_megabytes << 20):
                self._send(part)
                sent += rows
        except arrow.NoRowsError as error:
            raise LoaderError(f"{self._table_name}: what was sent are no rows of this table: {error}") from error
        with self._session.errors(f"COPY into the staging table of {self._table_name}"):
            for start in range(0, len(self._names), _FILES_AT_ONCE):
                names = map(sql.Literal, self._names[start : start + _FILES_AT_ONCE])
                self._session.execute(
                    sql.SQL(
                        "COPY INTO {} FROM {} FILEFORMAT = PARQUET FILES = ({}) COPY_OPTIONS ('force' = 'false')"
                    ).format(staging, sql.Literal(self._folder), sql.SQL(", ").join(names))
                )
        return sent

    def _send(self, part: bytes) -> None:
        name = f"part-{len(self._names):05d}.parquet"
        self._names.append(name)
        statement = sql.SQL("PUT '__input_stream__' INTO {} OVERWRITE").format(sql.Literal(f"{self._folder}/{name}"))
        with self._session.errors(f"writing {self._folder}/{name}"):
            self._session.put(statement, part)

    def sweep(self) -> None:
        """Remove what loads of this table have left that have ended: all but this one, which has the table's lock."""
        with self._session.errors(f"sweeping {self._table_folder}"):
            found = list(self._left(self._table_folder))
            if found:
                logger.warning("%s: removing %d files of loads that ended badly", self._table_folder, len(found))
                self._remove(found)

    def _left(self, folder: str) -> Iterator[str]:
        for path in listed(self._session, folder):
            if path.endswith("/"):
                yield from self._left(path.rstrip("/"))
            else:
                yield path

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            try:
                self._session.execute(sql.SQL("REMOVE {}").format(sql.Literal(path)))
            except StatementError as error:
                if not error.is_done:  # it was removed, and the answer was lost; or it never arrived
                    raise


def root(session: DatabricksSession) -> str:
    """The path of the volume."""
    return f"/Volumes/{session.catalog}/{schemas(session.schema).staging}/{session.config.volume}"


def listed(session: DatabricksSession, folder: str) -> list[str]:
    """The paths in a folder of the volume, those of folders with a slash at their end; none where it does not exist."""
    try:
        rows = session.execute(sql.SQL("LIST {}").format(sql.Literal(f"{folder}/"))).fetchall()
    except StatementError as error:
        if error.is_done:
            return []
        raise
    # "dbfs:/Volumes/..." is how some of the vendor's listings begin.
    return [str(row[0]).removeprefix("dbfs:") for row in rows]


def _parts(tables: Iterable[pa.Table], part_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Parquet files of about a size, each with its number of rows."""
    sink = writer = None
    rows = 0
    for table in tables:
        if sink is None or writer is None:
            sink = pa.BufferOutputStream()
            writer = parquet.ParquetWriter(sink, table.schema, compression=_COMPRESSION)
        writer.write_table(table)
        rows += table.num_rows
        if sink.tell() >= part_bytes:
            writer.close()
            yield sink.getvalue(), rows
            sink, writer, rows = None, None, 0
    if sink is not None and writer is not None:
        writer.close()
        yield sink.getvalue(), rows
