"""Rows on their way through a volume: Parquet parts, a new folder each time, and nothing left behind.

Below ``/Volumes/catalog/schema_staging/volume/table/`` lie the folders. COPY INTO skips a file that it has loaded,
even where its content is another, so each time that rows are staged their folder has another number.
https://docs.databricks.com/aws/en/ingestion/cloud-object-storage/copy-into/
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from medgen_pipeline.catalog import ColumnType
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.databricks.failures import StatementError
from medgen_pipeline.loaders.databricks.session import DatabricksSession
from medgen_pipeline.loaders.object_store import LoadFolder, turns
from medgen_pipeline.loaders.records import LoaderError, new_load_id
from medgen_pipeline.loaders.sql.names import schemas
from medgen_pipeline.rows import arrow
from medgen_pipeline.rows.records import count_rows

if TYPE_CHECKING:
    from pyarrow import parquet

# FILES takes a thousand names. https://docs.databricks.com/aws/en/sql/language-manual/delta-copy-into
_FILES_AT_ONCE = 1000
ROWS_BYTES = 4 << 20
"""So many are made a table of Arrow's at a time, which has work of its own for each."""
_COPY = sql.SQL("COPY INTO {} FROM {} FILEFORMAT = PARQUET FILES = ({}) COPY_OPTIONS ('force' = 'false')")


class Volume:
    """The volume of a schema, as an ``ObjectStore``: files are sent and removed by statements of a connection."""

    def __init__(self, session: DatabricksSession) -> None:
        """Nothing is opened."""
        self._session = session
        self._root = f"/Volumes/{session.catalog}/{schemas(session.schema).staging}/{session.config.volume}"

    def load(
        self, table_name: str, chunks: Iterable[bytes], columns: Mapping[str, ColumnType], staging: sql.Identifier
    ) -> int:
        """Send chunks of whole records and load them into an empty table; returns how many were sent.

        Raises:
            LoaderError: They are no rows of these columns.
        """
        sent = 0

        def counted() -> Iterator[list[bytes]]:
            nonlocal sent
            for turn in turns(chunks, ROWS_BYTES):
                sent += sum(map(count_rows, turn))
                yield turn

        # One thread: the statements of a connection come one after another.
        with LoadFolder(self, self._table_folder(table_name), new_load_id(None), threads=1) as folder:
            try:
                part_bytes = self._session.config.part_megabytes << 20
                paths = folder.send(counted(), lambda: ParquetPart(columns), ".parquet", part_bytes)
            except arrow.NoRowsError as error:
                raise LoaderError(f"{table_name}: what was sent are no rows of this table: {error}") from error
            names = [path.removeprefix(folder.name) for path in paths]
            with self._session.errors(f"COPY into the staging table of {table_name}"):
                for start in range(0, len(names), _FILES_AT_ONCE):
                    files = sql.SQL(", ").join(map(sql.Literal, names[start : start + _FILES_AT_ONCE]))
                    self._session.execute(_COPY.format(staging, sql.Literal(folder.name), files))
        return sent

    def sweep(self, table_name: str) -> None:
        """Remove what loads of a table have left that ended badly: everything, by the one that has the table's lock."""
        self.remove(list(self.names(self._table_folder(table_name))))

    def _table_folder(self, table_name: str) -> str:
        return f"{self._root}/{table_name}/"

    # --- ObjectStore ---------------------------------------------------------------------------------------------

    def put(self, name: str, body: bytes) -> None:
        """See the base class."""
        with self._session.errors(f"writing {name}"):
            self._session.put(sql.SQL("PUT '__input_stream__' INTO {} OVERWRITE").format(sql.Literal(name)), body)

    def names(self, folder: str) -> Iterator[str]:
        """See the base class; none where the folder does not exist."""
        with self._session.errors(f"listing {folder}"):
            try:
                found = self._session.execute(sql.SQL("LIST {}").format(sql.Literal(folder))).fetchall()
            except StatementError as error:
                if not error.is_done:
                    raise
                found = []
        for path, *_ in found:
            name = str(path).removeprefix("dbfs:")  # as some of the vendor's listings begin
            if name.endswith("/"):
                yield from self.names(name)
            else:
                yield name

    def remove(self, names: Collection[str]) -> None:
        """See the base class."""
        for name in names:
            with self._session.errors(f"removing {name}"):
                try:
                    self._session.execute(sql.SQL("REMOVE {}").format(sql.Literal(name)))
                except StatementError as error:
                    if not error.is_done:
                        raise


class ParquetPart:
    """One file in the making."""

    def __init__(self, columns: Mapping[str, ColumnType]) -> None:
        """Of these columns."""
        import pyarrow as pa  # of the extra

        self._columns = columns
        self._sink = pa.BufferOutputStream()
        self._writer: parquet.ParquetWriter | None = None

    def write(self, rows: list[bytes]) -> int:
        """See the base class."""
        from pyarrow import parquet

        table = arrow.table_of(b"".join(rows), self._columns)
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._sink, table.schema, compression="zstd")
        self._writer.write_table(table)
        return int(self._sink.tell())

    def finish(self) -> bytes:
        """See the base class."""
        if self._writer is not None:
            self._writer.close()
        return bytes(self._sink.getvalue())
