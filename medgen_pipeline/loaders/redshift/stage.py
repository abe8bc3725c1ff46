"""Rows on their way through S3: even gzip parts, a manifest, and nothing left behind.

Below ``s3://bucket/prefix/schema/table/load id/`` lie ``manifest`` and ``parts/``. How many rows will come is not known
beforehand, so all parts are written at once, a few chunks to each in turn; each compresses as it goes, in a thread
beside the one that frames, and is sent in blocks. At no time is there more in memory than one block per part and those
being sent.
"""

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from isal import isal_zlib

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.loaders.redshift.aws import aws_errors
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.rows.records import count_rows

logger = logging.getLogger(__name__)

_THREADS = 4  # botocore keeps ten connections
# S3 takes blocks of 5 MiB or more, all but an object's last, and 10,000 of them.
_LEAST_BLOCK_BYTES = 5 << 20
_BLOCK_BYTES = 8 << 20
# Uncompressed, before the next part has its turn: small tables get few parts rather than tiny ones.
_TURN_BYTES = 4 << 20
_TURNS_WAITING = 2
_GZIP = 31  # zlib's way of asking for a gzip header
_DELETE_AT_ONCE = 1000


@dataclass(frozen=True)
class Uploaded:
    """What was sent.

    Attributes:
        rows: Records in all parts.
        parts: URLs of the parts.
        manifest: URL of the manifest, or None where there are no rows.
    """

    rows: int
    parts: tuple[str, ...]
    manifest: str | None


class Stage:
    """The objects of one load of one table."""

    def __init__(self, s3: Any, config: RedshiftConfig, table_name: str, load_id: int) -> None:
        """Nothing is sent; ``s3`` is boto3's client, which has no types."""
        self._config = config
        self._table_folder = f"{config.s3_prefix}/{config.schema}/{table_name}/"
        self._folder = f"{self._table_folder}{load_id}/"
        self._s3 = s3
        self._keys: list[str] = []
        self._open_uploads: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Nothing is sent."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was sent, whatever happened, without hiding why this is called."""
        try:
            self.remove()
        except MedgenError as error:
            logger.warning("objects stay in S3 until the next load sweeps them: %s", error)

    def upload(self, chunks: Iterable[bytes]) -> Uploaded:
        """Send chunks of whole records, a manifest last."""
        rows = 0
        with _Sender() as sender:
            parts: list[_Part] = []
            for number, turn in self._turns(chunks):
                rows += sum(map(count_rows, turn))
                if number == len(parts):
                    first_block = _LEAST_BLOCK_BYTES + _BLOCK_BYTES * number // self._config.s3_parts
                    parts.append(_Part(self, sender, f"{self._folder}parts/part-{number:04d}.gz", first_block))
                sender.in_order(parts[number].write, turn)
            for part in parts:
                sender.in_order(part.finish)
        for part in parts:
            part.complete()
        urls = tuple(self._url(part.key) for part in parts)
        if not urls:
            return Uploaded(0, (), None)
        return Uploaded(rows, urls, self._put_manifest(urls))

    def _turns(self, chunks: Iterable[bytes]) -> Iterator[tuple[int, list[bytes]]]:
        """What each part gets in its turn, and which part that is."""
        number = filled = 0
        turn: list[bytes] = []
        for chunk in chunks:
            turn.append(chunk)
            filled += len(chunk)
            if filled >= _TURN_BYTES:
                yield number, turn
                number, filled, turn = (number + 1) % self._config.s3_parts, 0, []
        if filled:
            yield number, turn

    def _put_manifest(self, urls: Collection[str]) -> str:
        # Without "mandatory" a part that is missing is left out and the load reported as a success.
        entries = [{"url": url, "mandatory": True} for url in urls]
        key = f"{self._folder}manifest"
        self.put(key, json.dumps({"entries": entries}).encode())
        return self._url(key)

    def _url(self, key: str) -> str:
        return f"s3://{self._config.s3_bucket}/{key}"

    # --- requests, from any thread -------------------------------------------------------------------------------

    def put(self, key: str, body: bytes) -> None:
        """Send a whole object."""
        self._keys.append(key)
        with aws_errors(f"writing {self._url(key)}"):
            self._s3.put_object(Bucket=self._config.s3_bucket, Key=key, Body=body)

    def start_blocks(self, key: str) -> str:
        """Begin an object that is sent in blocks; returns the id of its upload."""
        with aws_errors(f"writing {self._url(key)}"):
            answer = self._s3.create_multipart_upload(Bucket=self._config.s3_bucket, Key=key)
        self._open_uploads[key] = str(answer["UploadId"])
        return self._open_uploads[key]

    def put_block(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Send one block; returns the tag S3 gives it."""
        with aws_errors(f"writing {self._url(key)}"):
            answer = self._s3.upload_part(
                Bucket=self._config.s3_bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )
        return str(answer["ETag"])

    def end_blocks(self, key: str, upload_id: str, tags: Collection[str]) -> None:
        """Make one object of its blocks."""
        self._keys.append(key)
        blocks = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, start=1)]
        with aws_errors(f"writing {self._url(key)}"):
            self._s3.complete_multipart_upload(
                Bucket=self._config.s3_bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": blocks}
            )
        del self._open_uploads[key]

    # --- leaving nothing behind ----------------------------------------------------------------------------------

    def remove(self) -> None:
        """Remove what this stage has sent, finished or not; harmless when there is nothing."""
        bucket = self._config.s3_bucket
        with aws_errors(f"removing {self._url(self._folder)}"):
            for key, upload_id in list(self._open_uploads.items()):
                self._abort(key, upload_id)
                del self._open_uploads[key]
            for start in range(0, len(self._keys), _DELETE_AT_ONCE):
                objects = [{"Key": key} for key in self._keys[start : start + _DELETE_AT_ONCE]]
                answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
                for failure in answer.get("Errors", []):
                    logger.warning("not removed: %s: %s", self._url(failure.get("Key", "")), failure.get("Code"))
            self._keys.clear()

    def sweep(self, dead_loads: Collection[int]) -> None:
        """Remove what loads of this table have left that are known to have ended.

        Other folders are not touched: another database may use the same bucket and prefix.
        """
        dead = {f"{self._table_folder}{load_id}/" for load_id in dead_loads} - {self._folder}
        width = len(self._table_folder)

        def is_dead(key: str) -> bool:
            return key[: key.find("/", width) + 1] in dead

        with aws_errors(f"sweeping {self._url(self._table_folder)}"):
            where = {"Bucket": self._config.s3_bucket, "Prefix": self._table_folder}
            for page in self._s3.get_paginator("list_multipart_uploads").paginate(**where):
                for upload in page.get("Uploads", []):
                    if is_dead(upload["Key"]):
                        self._abort(upload["Key"], upload["UploadId"])
            for page in self._s3.get_paginator("list_objects_v2").paginate(**where):
                self._keys += [found["Key"] for found in page.get("Contents", []) if is_dead(found["Key"])]
        if self._keys:
            logger.warning("%s: removing %d objects of loads that ended badly", self._table_folder, len(self._keys))
            self.remove()

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            self._s3.abort_multipart_upload(Bucket=self._config.s3_bucket, Key=key, UploadId=upload_id)
        except self._s3.exceptions.NoSuchUpload:  # it was completed, and the answer was lost
            logger.debug("no unfinished upload of %s", self._url(key))


class _Part:
    """One object: compressed as chunks come, sent in blocks where it is large."""

    def __init__(self, stage: Stage, sender: "_Sender", key: str, first_block: int) -> None:
        """``first_block`` differs from part to part, or all parts would have a block ready at the same time."""
        self.key = key
        self._stage = stage
        self._sender = sender
        self._deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._block_bytes = first_block
        self._upload_id: str | None = None
        self._tags: list[Future[str]] = []

    def write(self, turn: Iterable[bytes]) -> None:
        for chunk in turn:
            self._take(self._deflate.compress(chunk))
        if self._waiting_bytes >= self._block_bytes:
            self._send_block()

    def finish(self) -> None:
        """Hand over what is left; a small part goes as one object."""
        self._take(self._deflate.flush())
        if self._upload_id is None:
            body, self._waiting = b"".join(self._waiting), []
            self._sender.submit(self._stage.put, self.key, body)
        else:
            self._send_block()

    def complete(self) -> None:
        """Make one object of the blocks, once all of them have arrived."""
        if self._upload_id is not None:
            self._stage.end_blocks(self.key, self._upload_id, [tag.result() for tag in self._tags])

    def _take(self, compressed: bytes) -> None:
        if compressed:
            self._waiting.append(compressed)
            self._waiting_bytes += len(compressed)

    def _send_block(self) -> None:
        if self._upload_id is None:
            self._upload_id = self._stage.start_blocks(self.key)
        body = b"".join(self._waiting)
        self._waiting, self._waiting_bytes, self._block_bytes = [], 0, _BLOCK_BYTES
        number = len(self._tags) + 1
        self._tags.append(self._sender.submit(self._stage.put_block, self.key, self._upload_id, number, body))


class _Sender:
    """Threads that send, one that compresses, and limits on how much waits for them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3")
        self._one_thread = ThreadPoolExecutor(1, thread_name_prefix="gzip")
        self._room = threading.BoundedSemaphore(_THREADS + 2)
        self._room_in_order = threading.BoundedSemaphore(_TURNS_WAITING)
        self._error: BaseException | None = None

    def __enter__(self) -> "_Sender":
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        """Wait for what is under way; raise the first error unless another is on its way."""
        try:
            self._end(cancel=exc_type is not None)
        finally:  # where an interrupt ends the wait: nothing may be sent after the stage has been emptied
            self._end(cancel=True)
        if exc_type is None and self._error is not None:
            raise self._error

    def _end(self, *, cancel: bool) -> None:
        # The one that compresses hands over to those that send, so it ends first.
        for threads in (self._one_thread, self._threads):
            threads.shutdown(wait=True, cancel_futures=cancel)

    def in_order(self, step: Callable[..., None], *arguments: object) -> None:
        """Do this in the one thread, after all that it was given before."""
        self._start(self._one_thread, self._room_in_order, step, *arguments)

    def submit(self, send: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Send in a thread, when there is room."""
        return self._start(self._threads, self._room, send, *arguments)

    def _start(
        self, threads: ThreadPoolExecutor, room: threading.Semaphore, step: Callable[..., Any], *arguments: object
    ) -> Future[Any]:
        room.acquire()
        if self._error is not None:
            room.release()
            raise self._error
        future = threads.submit(step, *arguments)
        future.add_done_callback(partial(self._done, room))
        return future

    def _done(self, room: threading.Semaphore, future: Future[Any]) -> None:
        # The error first: whoever has waited for room must find it.
        if not future.cancelled() and self._error is None:
            self._error = future.exception()
        room.release()
