"""A load's way through S3: gzip parts, and the manifest that COPY finds them by.

Below ``s3://bucket/prefix/schema/table/load id/`` lie the parts and ``manifest``.
"""

import json
import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

from medgen_pipeline.loaders.object_store import LoadFolder
from medgen_pipeline.loaders.redshift.aws import aws_errors
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.rows.records import count_rows, turns

logger = logging.getLogger(__name__)

_GZIP = 31  # zlib's way of asking for a gzip header
_DELETE_AT_ONCE = 1000
# COPY reads a part per slice: many small ones keep all of them busy. From 1 MB up to 1 GB is what Redshift asks for:
# https://docs.aws.amazon.com/redshift/latest/dg/c_best-practices-use-multiple-files.html
_PART_BYTES = 4 << 20


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


class S3Store:
    """A bucket, for ``LoadFolder``."""

    def __init__(self, s3: Any, bucket: str) -> None:
        """Nothing is asked for; ``s3`` is boto3's client, which has no types."""
        self._s3 = s3
        self._bucket = bucket

    def url(self, name: str) -> str:
        """An object, or a folder of them, as COPY takes it."""
        return f"s3://{self._bucket}/{name}"

    def put(self, name: str, body: bytes) -> None:
        with aws_errors(f"writing {self.url(name)}"):
            self._s3.put_object(Bucket=self._bucket, Key=name, Body=body)

    def names(self, folder: str) -> Iterator[str]:
        with aws_errors(f"sweeping {self.url(folder)}"):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder):
                yield from (found["Key"] for found in page.get("Contents", []))

    def remove(self, names: Collection[str]) -> None:
        keys = [{"Key": name} for name in names]
        for start in range(0, len(keys), _DELETE_AT_ONCE):
            objects = keys[start : start + _DELETE_AT_ONCE]
            with aws_errors(f"removing {len(objects)} objects such as {self.url(objects[0]['Key'])}"):
                answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
            for failure in answer.get("Errors", []):
                logger.warning("not removed: %s: %s", self.url(failure.get("Key", "")), failure.get("Code"))


class Stage(LoadFolder):
    """The objects of one load of one table."""

    def __init__(self, s3: Any, config: RedshiftConfig, table_name: str, load_id: int) -> None:
        """Nothing is sent; ``s3`` is boto3's client."""
        self._bucket = S3Store(s3, config.s3_bucket)
        super().__init__(self._bucket, f"{config.s3_prefix}/{config.schema}/{table_name}/", load_id)

    def upload(self, chunks: Iterable[bytes]) -> Uploaded:
        """Send chunks of whole records, a manifest last."""
        rows = 0

        def counted() -> Iterator[list[bytes]]:
            nonlocal rows
            for turn in turns(chunks):
                rows += sum(map(count_rows, turn))
                yield turn

        urls = tuple(map(self._bucket.url, self.send(counted(), _GzipPart, ".gz", _PART_BYTES)))
        if not urls:
            return Uploaded(0, (), None)
        # Without "mandatory" a part that is missing is left out and the load reported as a success.
        entries = [{"url": url, "mandatory": True} for url in urls]
        manifest = self.put("manifest", json.dumps({"entries": entries}).encode())
        return Uploaded(rows, urls, self._bucket.url(manifest))


class _GzipPart:
    """Canonical bytes, compressed as they come."""

    def __init__(self) -> None:
        self._deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP)
        self._compressed: list[bytes] = []
        self._bytes = 0

    def write(self, rows: list[bytes]) -> int:
        for chunk in rows:
            self._take(self._deflate.compress(chunk))
        return self._bytes

    def finish(self) -> bytes:
        self._take(self._deflate.flush())
        return b"".join(self._compressed)

    def _take(self, compressed: bytes) -> None:
        self._compressed.append(compressed)
        self._bytes += len(compressed)
