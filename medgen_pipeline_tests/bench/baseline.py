r"""The raw load that ours is measured against: ``gzip -dc | tail | psql \copy``, and the index builds of our table.

psql and server are of the same installation, and the table is a logged one, freshly made, with our column types.
"""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from medgen_pipeline.catalog import ColumnType, Framing, Table
from medgen_pipeline.io_manager import DEFAULT_SCHEMA
from medgen_pipeline.load import open_published
from medgen_pipeline.loaders.embedded import find_binaries
from medgen_pipeline.loaders.postgres.config import PostgresConfig

_SCHEMA = "raw_copy"
_DELIMITERS = {Framing.PIPE: "|", Framing.TAB: r"\t"}
_TYPES = {ColumnType.TEXT: "text", ColumnType.INTEGER: "bigint"}


@dataclass(frozen=True)
class RawLoad:
    """What psql loaded and how long it took."""

    rows: int
    copy_seconds: float
    index_seconds: float


def csv_filters(table: Table, path: Path, *, rejected: int, repaired: int) -> list[str]:
    """The cheapest programs that make a file one that COPY's CSV reads to its end; none for nearly all files.

    Args:
        table: The catalog's entry.
        path: The published file.
        rejected: Lines that our load has set aside.
        repaired: Rows in which our load has repaired invalid UTF-8.
    """
    delimiter = _DELIMITERS[table.framing]
    fields = len(table.columns) + (table.framing is Framing.PIPE)
    found = []
    with open_published(table, path) as stream:
        if any(b"\r" in block for block in iter(lambda: stream.read(1 << 20), b"")):
            found.append(r"tr '\r' ' '")
    if repaired:
        found.append("iconv -c -f UTF-8 -t UTF-8")
    if rejected:
        found.append(f"awk -F'{delimiter}' 'NF == {fields}'")
    return found


def filtered(table: Table, path: Path, filters: Sequence[str], folder: Path) -> Path:
    """The file after ``filters``, in ``folder``; without filters the file itself.

    Before the clock starts: iconv alone adds 2 s to a raw copy of 16 M rows, and ours would look the better for it.
    """
    if not filters:
        return path
    copy = folder / path.name
    _shell(
        " | ".join(
            [_read(table, path), *filters, f"{'gzip -1' if table.is_gzip else 'cat'} > {shlex.quote(str(copy))}"]
        )
    )
    return copy


def _read(table: Table, path: Path) -> str:
    return f"{'gzip -dc' if table.is_gzip else 'cat'} {shlex.quote(str(path))}"


def _shell(command: str) -> str:
    """Run a pipeline in a shell, as people would type it, and return what it prints."""
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        raise RuntimeError(f"{command} failed: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class RawCopy:
    r"""``\copy`` of one file, as often as asked."""

    dsn: str
    table: Table
    path: Path

    def run(self, indexes: Sequence[str]) -> RawLoad:
        """Copy into a fresh table, build ``indexes`` (definitions of our table's) on it, and drop it."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            try:
                self._create(connection)
                rows, copy_seconds = self._copy()
                return RawLoad(rows, copy_seconds, self._build(connection, indexes))
            finally:
                connection.execute(f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE".encode())
                connection.execute("CHECKPOINT")

    def _copy(self) -> tuple[int, float]:
        started = time.monotonic()
        printed = _shell(self.pipeline())
        seconds = time.monotonic() - started
        return int(re.findall(r"COPY (\d+)", printed)[0]), seconds

    def _create(self, connection: psycopg.Connection) -> None:
        columns = [f'"{column.name}" {_TYPES[column.type]}' for column in self.table.columns]
        if self.table.framing is Framing.PIPE:
            columns.append("trailing_pipe text")  # what follows the last "|": nothing, so NULL
        connection.execute(f"CREATE SCHEMA {_SCHEMA}".encode())
        connection.execute(f"CREATE TABLE {_SCHEMA}.{self.table.name} ({', '.join(columns)})".encode())

    def pipeline(self) -> str:
        """The shell's command line. The quote is a byte that no file has, since NCBI quotes nothing."""
        copy = (
            f"\\copy {_SCHEMA}.{self.table.name} from stdin"
            f" (format csv, delimiter E'{_DELIMITERS[self.table.framing]}', quote E'\\x01', encoding 'UTF8')"
        )
        psql = shlex.join([str(find_binaries().directory / "psql"), "-X", "-d", self.dsn, "-c", copy])
        return " | ".join([_read(self.table, self.path), "tail -n +2", psql])

    def _build(self, connection: psycopg.Connection, indexes: Sequence[str]) -> float:
        """Build our table's indexes with the memory that our loader takes for them."""
        setting = sql.SQL("SET maintenance_work_mem = {}").format(PostgresConfig().maintenance_work_mem)
        connection.execute(setting)
        ours, raw = (f" ON {schema}.{self.table.name} " for schema in (DEFAULT_SCHEMA, _SCHEMA))
        started = time.monotonic()
        for definition in indexes:
            connection.execute(definition.replace(ours, raw).encode())
        return time.monotonic() - started
