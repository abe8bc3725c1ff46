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

from medgen_pipeline.catalog import ColumnType, Framing, SourceTable
from medgen_pipeline.demo.binaries import find_binaries
from medgen_pipeline.loaders.config import DEFAULT_SCHEMA
from medgen_pipeline.loaders.postgres.config import PostgresConfig
from medgen_pipeline_tests.bench.ground import Ground

_SCHEMA = "raw_copy"
_DELIMITERS = {Framing.PIPE: "|", Framing.TAB: r"\t"}
_TYPES = {ColumnType.TEXT: "text", ColumnType.INTEGER: "bigint"}


@dataclass(frozen=True)
class RawLoad:
    """What psql loaded and how long it took."""

    rows: int
    copy_seconds: float
    index_seconds: float


class RawCopy:
    r"""``\copy`` of one published file, as often as asked."""

    def __init__(self, ground: Ground, table: SourceTable, release: Path) -> None:
        """Nothing is run yet."""
        self.note = ""
        self._ground = ground
        self._table = table
        self._path = release / table.file_name
        self._is_pipe = table.framing is Framing.PIPE

    def run(self, indexes: Sequence[str] = ()) -> RawLoad:
        """Copy into a fresh table, build ``indexes`` (definitions of our table's) on it, and drop it."""
        try:
            return self._run(indexes)
        except RuntimeError:
            if self.note:
                raise
        self._filter()
        return self._run(indexes)

    def _run(self, indexes: Sequence[str]) -> RawLoad:
        columns = [f'"{column.name}" {_TYPES[column.type]}' for column in self._table.columns]
        if self._is_pipe:
            columns.append("trailing_pipe text")  # what follows the last "|": nothing, so NULL
        self._ground.execute(f"CREATE SCHEMA {_SCHEMA}")
        try:
            self._ground.execute(f"CREATE TABLE {_SCHEMA}.{self._table.name} ({', '.join(columns)})")
            self._ground.settle()
            started = time.monotonic()
            printed = shell(self._pipeline())
            copied = time.monotonic()
            self._build(indexes)
            return RawLoad(int(re.findall(r"COPY (\d+)", printed)[0]), copied - started, time.monotonic() - copied)
        finally:
            self._ground.execute(f"DROP SCHEMA {_SCHEMA} CASCADE")

    def _build(self, indexes: Sequence[str]) -> None:
        """With the memory that our loader takes for them."""
        setting = f"SET maintenance_work_mem = '{PostgresConfig().maintenance_work_mem}'"
        ours, raw = (f" ON {schema}.{self._table.name} " for schema in (DEFAULT_SCHEMA, _SCHEMA))
        for definition in indexes:
            self._ground.execute(f"{setting}; {definition.replace(ours, raw)}")

    def _pipeline(self) -> str:
        """The shell's command line. The quote is a byte that no file has, since NCBI quotes nothing."""
        copy = (
            f"\\copy {_SCHEMA}.{self._table.name} from stdin"
            f" (format csv, delimiter E'{_DELIMITERS[self._table.framing]}', quote E'\\x01', encoding 'UTF8')"
        )
        psql = shlex.join([str(find_binaries().directory / "psql"), "-X", "-d", self._ground.dsn, "-c", copy])
        return f"{self._read()} | tail -n +2 | {psql}"

    def _read(self) -> str:
        return f"{'gzip -dc' if self._table.is_gzip else 'cat'} {shlex.quote(str(self._path))}"

    def _filter(self) -> None:
        """Go on with a copy of the file that CSV can read to its end.

        Only where needed, and before the clock starts: iconv alone adds 2 s to a raw copy of 16 M rows, and ours
        would look the better for it.
        """
        target = self._ground.home / self._path.name
        fields = len(self._table.columns) + self._is_pipe
        shell(
            f"{self._read()} | tr '\\r' ' ' | iconv -c -f UTF-8 -t UTF-8"
            f" | awk -F'{_DELIMITERS[self._table.framing]}' 'NF == {fields}'"
            f" | {'gzip -1' if self._table.is_gzip else 'cat'} > {shlex.quote(str(target))}"
        )
        self._path = target
        self.note = "raw copy of a filtered file"


def shell(command: str) -> str:
    """Run a pipeline as people would type it, and return what it prints."""
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{command} failed: {done.stderr.strip()}")
    return done.stdout
