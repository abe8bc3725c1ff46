"""Runs Spark SQL on directories of Delta tables: LakeSail's engine in this process, asked over Spark Connect.

Asked without PySpark, which imports pandas and needs three requests for what is one: a plan that is a text of SQL,
written as the few fields of ``ExecutePlanRequest`` (spark/connect/base.proto) that it takes.
"""

import hashlib
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import grpc.experimental  # type: ignore[import-untyped]  # ships no types
import pyarrow as pa
import pyarrow.parquet as pq

from medgen_pipeline_tests.dbxgate.errors import GateError, translated

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),  # else another thread wakes up for each message
]
_SMALL = 1 << 14
_MERGED = "_merged"  # a file in directories from which rows were taken, whose data files are not all its rows'
_SERVICE = "/spark.connect.SparkConnectService"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at, number, shift = at + 1, number | (byte & 127) << shift, shift + 7
        if byte < 128:
            return number, at


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that have a length; numbers are stepped over."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        size, at = _read_varint(data, at)
        if key & 7 == 2:
            yield key >> 3, data[at : at + size]
            at += size


def linked(source: Path, to: Path) -> None:
    """Copy a Delta table. Its data files and log entries never change, so hard links will do."""
    shutil.copytree(source, to, copy_function=os.link)


def append(path: Path, rows: pa.Table) -> None:
    """Commit rows to a Delta table of these columns."""
    if rows.num_rows:
        log, part = path / "_delta_log", path / f"part-{uuid.uuid4()}.parquet"
        utc = pa.timestamp("us", "UTC")
        types = [(field.name, utc if pa.types.is_timestamp(field.type) else field.type) for field in rows.schema]
        pq.write_table(rows.cast(pa.schema(types), safe=False), part)
        now, stats = int(time.time() * 1000), json.dumps({"numRecords": rows.num_rows})
        added = {"path": part.name, "partitionValues": {}, "size": part.stat().st_size, "modificationTime": now}
        entries = {"commitInfo": {"timestamp": now}}, {"add": {**added, "dataChange": True, "stats": stats}}
        (log / f"{len(list(log.glob('*.json'))):020}.json").write_text("\n".join(map(json.dumps, entries)))


class Running:
    """A statement that can be stopped from another thread, wherever it is.

    Attributes:
        cancelled: Set once somebody asked for it.
    """

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._stop: Callable[[], object] = bool

    def cancel(self) -> None:
        """Stop what runs, and let nothing begin."""
        self.cancelled.set()
        self._stop()

    def check(self) -> None:
        """Raise if it was cancelled."""
        if self.cancelled.is_set():
            raise GateError("OPERATION_CANCELED", "Operation has been canceled.", "HY008")

    def follow(self, stop: Callable[[], object]) -> None:
        """Something runs now that this stops."""
        self._stop = stop
        self.check()

    def ended(self) -> None:
        """Nothing runs any more that could be stopped."""
        self._stop = bool


class Engine:
    """One engine, with a name for each Delta directory that was told to it."""

    def __init__(self, folder: Path) -> None:
        """Start it.

        Args:
            folder: Of its own, for what is the same in all warehouses.
        """
        os.environ.setdefault("RUST_LOG", "error")
        os.environ.setdefault("SAIL_EXECUTION__DEFAULT_PARALLELISM", "1")  # tables of a few rows
        # It ends a session after 15 minutes without a question, and a test process may do other tests for so long.
        os.environ.setdefault("SAIL_SPARK__SESSION_TIMEOUT_SECS", "86400")
        from pysail.spark import SparkConnectServer  # it reads these when it is imported

        self._server = SparkConnectServer(port=0)
        self._server.start()
        address, port = self._server.listening_address
        self._channel = grpc.insecure_channel(f"{address}:{port}", options=_OPTIONS)
        self._execute = self._channel.unary_stream(f"{_SERVICE}/ExecutePlan")
        self._interrupt = self._channel.unary_unary(f"{_SERVICE}/Interrupt")
        self._session = str(uuid.uuid4()).encode()
        self._folder = folder
        self._folder.mkdir()
        self._lock = threading.Lock()
        self._empty: dict[str, Path] = {}
        self._appended: dict[tuple[Path, str], Path] = {}
        self._answers: dict[str, pa.Table] = {}
        self._constants: dict[tuple[object, ...], Path] = {}
        self.constant = lru_cache(maxsize=1024)(self.query)
        self._known: set[str] = set()
        self.query("CREATE SCHEMA g")

    def clear(self, gone: Path) -> None:
        """Forget all tables, and what is known of those in a folder that goes."""
        self._answers = {text: answer for text, answer in self._answers.items() if f"{gone}/" not in text}
        if self._known:
            self._known.clear()
            self.query("DROP SCHEMA g CASCADE")
            self.query("CREATE SCHEMA g")

    def query(self, text: str, running: Running | None = None) -> pa.Table:
        """Run a statement; its rows."""
        relation = _field(1, b"\x10\x00") + _field(10, _field(1, text.encode()))
        operation = str(uuid.uuid4()).encode()
        who = _field(1, self._session) + _field(2, _field(1, b"gate"))
        call = self._execute(who + _field(3, _field(1, relation)) + _field(6, operation))
        tables = []
        try:
            if running:
                # To leave the call does not end the engine's work, and to ask it to takes as long as a step of that.
                interrupt = who + b"\x20\x03" + _field(6, operation)
                running.follow(lambda: (call.cancel(), self._interrupt.future(interrupt)))
            for response in call:
                for number, content in _fields(response):
                    if number == 2:
                        data = dict(_fields(content))[2]
                        tables.append(pa.ipc.open_stream(data).read_all())
        except grpc.RpcError as error:
            if running:
                running.check()
            raise translated(error.details() or str(error)) from error
        finally:
            if running:
                running.ended()
        return pa.concat_tables(tables) if tables else pa.table({})

    def repeated(self, text: str, running: Running) -> pa.Table:
        """The rows of a query that may have been asked before, of directories that nobody writes to any more."""
        answer = self._answers.get(text)
        if answer is None:
            answer = self.query(text, running)
            if answer.nbytes < _SMALL:
                self._answers[text] = answer
        return answer

    def number(self, text: str, running: Running | None = None) -> int:
        """Run a statement whose answer is one number."""
        return int(self.query(text, running).column(0)[0].as_py())

    def empty(self, definitions: str) -> Path:
        """The empty Delta table of these columns."""
        with self._lock:
            if definitions not in self._empty:
                path = self._folder / f"empty{len(self._empty)}"
                self.query(f"CREATE TABLE g.{path.name} ({definitions}) USING DELTA LOCATION '{path}'")
                self._empty[definitions] = path
        return self._empty[definitions]

    def appended(self, path: Path, rows: pa.Table, new: Path) -> Path:
        """The Delta table with a few rows more: a new one, or the one of the first time that somebody asked for it.

        Then all that was asked of it need not be asked again. What holds a time is never there twice.
        """
        if not rows.num_rows:
            return path
        if path.parent != self._folder or any(pa.types.is_timestamp(field.type) for field in rows.schema):
            linked(path, new)
            append(new, rows)
            return new
        content = pa.BufferOutputStream()
        with pa.ipc.new_stream(content, rows.schema) as stream:
            stream.write_table(rows.combine_chunks())
        key = path, hashlib.sha256(content.getvalue()).hexdigest()
        with self._lock:
            if key not in self._appended:
                kept = self._folder / f"kept{len(self._appended)}"
                linked(path, kept)
                append(kept, rows)
                self._appended[key] = kept
        return self._appended[key]

    @staticmethod
    def table(path: Path) -> str:
        """What a Delta directory is called in a query: its data files, which takes less time, where those are all."""
        plain = any(path.glob("*.parquet")) and not (path / _MERGED).exists()
        return f"{'parquet' if plain else 'delta'}.`{path}`"

    def merge(self, path: Path, rest: str, running: Running) -> None:
        """Merge into a Delta directory of the caller's own."""
        self.query(f"MERGE INTO {self.target(path)} {rest}", running)
        (path / _MERGED).touch()

    def target(self, path: Path) -> str:
        """What it is called where rows are written to it."""
        if path.name not in self._known:
            self.query(f"CREATE TABLE IF NOT EXISTS g.{path.name} USING DELTA LOCATION '{path}'")
            self._known.add(path.name)
        return f"g.{path.name}"

    def constants(self, names: Sequence[str], rows: Sequence[tuple[object, ...]]) -> str:
        """A relation of these rows. The same rows are the same file, so that ``constant`` knows the question."""
        key = (*names, *rows)
        with self._lock:
            if key not in self._constants:
                path = self._folder / f"constant{len(self._constants)}.parquet"
                types = [pa.int32() if name == "ordinal_position" else pa.string() for name in names]
                columns = list(zip(*rows, strict=True)) or [()] * len(names)
                arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
                pq.write_table(pa.table(arrays, list(names)), path)
                self._constants[key] = path
        return f"parquet.`{self._constants[key]}`"

    def stop(self) -> None:
        """End the engine."""
        self._channel.close()
        self._server.stop()
