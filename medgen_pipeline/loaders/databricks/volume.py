"""Rows on their way through a volume: Parquet parts, a new folder each time, and nothing left behind.

Below ``/Volumes/catalog/schema_staging/volume/table/`` lie the folders. COPY INTO skips a file that it has loaded,
even where its content is another, so each time that rows are staged their folder has another number.
https://docs.databricks.com/aws/en/ingestion/cloud-object-storage/copy-into/
"""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.databricks.failures import StatementError
from medgen_pipeline.loaders.databricks.session import DatabricksSession
from medgen_pipeline.loaders.object_store import LoadFolder
from medgen_pipeline.loaders.records import new_load_id
from medgen_pipeline.loaders.sql.names import schemas

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

# FILES takes a thousand names. https://docs.databricks.com/aws/en/sql/language-manual/delta-copy-into
_FILES_AT_ONCE = 1000
_COPY = sql.SQL("COPY INTO {} FROM {} FILEFORMAT = PARQUET FILES = ({}) COPY_OPTIONS ('force' = 'false')")


class Volume:
    """The volume of a schema, as an ``ObjectStore``: files are sent and removed by statements of a connection."""

    def __init__(self, session: DatabricksSession) -> None:
        """Nothing is opened."""
        self._session = session
        self._root = f"/Volumes/{session.catalog}/{schemas(session.schema).staging}/{session.config.volume}"

    def load(self, table_name: str, batches: Iterable["pa.RecordBatch"], staging: sql.Identifier) -> int:
        """Send rows and load them into an empty table; returns how many were sent."""
        sent = 0

        def counted() -> Iterator["pa.RecordBatch"]:
            nonlocal sent
            for batch in batches:
                sent += batch.num_rows
                yield batch

        # One thread: the statements of a connection come one after another.
        with LoadFolder(self, self._table_folder(table_name), new_load_id(None), threads=1) as folder:
            paths = folder.send(counted(), ParquetPart, ".parquet", self._session.config.part_megabytes << 20)
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
        for name in names:
            with self._session.errors(f"removing {name}"):
                try:
                    self._session.execute(sql.SQL("REMOVE {}").format(sql.Literal(name)))
                except StatementError as error:
                    if not error.is_done:
                        raise


class ParquetPart:
    """One file in the making."""

    def __init__(self) -> None:
        """Its columns are those of the first rows."""
        import pyarrow as pa  # of the extra

        self._sink = pa.BufferOutputStream()
        self._writer: parquet.ParquetWriter | None = None

    def write(self, rows: "pa.RecordBatch") -> int:
        import pyarrow as pa  # of the extra
        from pyarrow import parquet

        if self._writer is None:
            texts = [field.name for field in rows.schema if pa.types.is_string(field.type)]
            self._writer = parquet.ParquetWriter(self._sink, rows.schema, compression="zstd", use_dictionary=texts)
        self._writer.write_batch(rows)
        return int(self._sink.tell())

    def finish(self) -> bytes:
        if self._writer is not None:
            self._writer.close()
        return bytes(self._sink.getvalue())
