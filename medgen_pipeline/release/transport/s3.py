"""A release in S3: as a source (a mirror in a bucket), and as the second tier of the archive.

Clients and errors are ``medgen_pipeline.aws``'s.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from medgen_pipeline.aws import Aws, is_missing
from medgen_pipeline.release.errors import MissingSourceFileError, UnavailableSourceError, UnusableSourceError
from medgen_pipeline.release.records import Fingerprint
from medgen_pipeline.release.transport.base import Progress, TransferOptions, Transport
from medgen_pipeline.urls import split_url

_NO_OBJECT = "check the URL: S3 has no such object or bucket"
_AWS = Aws(
    extra="s3",
    refused=UnusableSourceError,
    missing=MissingSourceFileError,
    unavailable=UnavailableSourceError,
    advice={
        "AccessDenied": "check the credentials boto3 finds, their rights and AWS_REGION",
        "404": _NO_OBJECT,  # a HEAD has no body to carry the code in
        "NoSuchKey": _NO_OBJECT,
        "NoSuchBucket": _NO_OBJECT,
        "PermanentRedirect": "correct AWS_REGION: the bucket is in another region",
    },
)


class S3Transport(Transport):
    """A bucket, or a prefix in it, that holds a release under NCBI's file names."""

    dates_publication = False  # an object's time is that of its upload

    def __init__(self, options: TransferOptions) -> None:
        """Find credentials; nothing is contacted yet."""
        super().__init__(options)
        self._client = _client(options)

    def close(self) -> None:
        self._client.close()

    @classmethod
    def base_url(cls, source: SplitResult) -> str:
        if not source.hostname or "@" in source.netloc or source.port:
            raise UnusableSourceError(
                "source: an s3:// URL names a bucket and no user, password or port: s3://BUCKET/PREFIX/. boto3 finds "
                "credentials by itself, in AWS_ACCESS_KEY_ID, AWS_PROFILE or the machine's role."
            )
        path = quote(source.path, safe="/%:@!$&'()*+,;=~").strip("/")
        return f"s3://{source.netloc}/{path}/" if path else f"s3://{source.netloc}/"

    def probe(self, url: str) -> Fingerprint:
        bucket, key = _address(url)
        with _AWS.errors(url):
            return self._fingerprint(url, self._client.head_object(Bucket=bucket, Key=key))

    def list_files(self, base_url: str) -> dict[str, str]:
        bucket, prefix = _address(base_url)
        with _AWS.errors(base_url):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
            return {
                item["Key"].removeprefix(prefix): f"{item['LastModified'].isoformat()} {item['Size']} {item['ETag']}"
                for page in pages
                for item in page.get("Contents", [])
            }

    def download(self, url: str, part: Path) -> Fingerprint:
        """See :meth:`Transport.download`. Which version was written is for the caller's second probe to confirm."""
        fingerprint = self.probe(url)
        self._refuse_oversize(url, fingerprint.size or 0)
        progress = Progress(url, fingerprint.size)
        with part.open("wb") as out, _AWS.errors(url):
            self._client.download_fileobj(
                *_address(url), out, Callback=lambda _: progress.report(out.tell()), Config=_one_connection()
            )
        return fingerprint

    def modified_at(self, fingerprint: Fingerprint) -> datetime:
        return datetime.fromisoformat(fingerprint.modified)

    def _fingerprint(self, url: str, head: Any) -> Fingerprint:
        modified = head["LastModified"].astimezone(UTC)
        return Fingerprint(url, modified.isoformat(), head["ContentLength"], head["ETag"])


class S3Store:
    """Objects below an s3:// URL, by name."""

    def __init__(self, url: str) -> None:
        """Check the URL; nothing is contacted."""
        try:
            source = split_url(url, "the archive in S3")
        except ValueError as error:
            raise UnusableSourceError(f"{error} Check MEDGEN_ARCHIVE_URL: expected s3://BUCKET/PREFIX.") from None
        if source.scheme != "s3":
            raise UnusableSourceError(
                f"archive in S3: expected s3://BUCKET/PREFIX, found the scheme {source.scheme!r}. "
                "Check MEDGEN_ARCHIVE_URL."
            )
        self.url = S3Transport.base_url(source)
        self._client: Any = None  # boto3 has no types

    def upload(self, path: Path, name: str, *, replace: bool = False) -> None:
        """Store a file under ``name``; one that is there already with the same size is left alone."""
        bucket, prefix = _address(self.url)
        with self._ready(name) as client:
            if replace or self._size(client, bucket, prefix + name) != path.stat().st_size:
                with path.open("rb") as file:
                    client.upload_fileobj(file, bucket, prefix + name, Config=_one_connection())

    def download(self, name: str, path: Path) -> bool:
        """Write the object to ``path``; False, and nothing written, where there is none."""
        bucket, prefix = _address(self.url)
        with self._ready(name) as client:
            if self._size(client, bucket, prefix + name) is None:
                return False
            with path.open("wb") as out:
                client.download_fileobj(bucket, prefix + name, out, Config=_one_connection())
            return True

    @contextmanager
    def _ready(self, name: str) -> Iterator[Any]:
        with _AWS.errors(self.url + name):
            self._client = self._client or _client(TransferOptions())
            yield self._client

    def _size(self, client: Any, bucket: str, key: str) -> int | None:
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

        try:
            return int(client.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except ClientError as error:
            if is_missing(error):
                return None
            raise


def _address(url: str) -> tuple[str, str]:
    """Bucket and key."""
    found = urlsplit(url)
    return found.netloc, unquote(found.path.lstrip("/"))


def _client(options: TransferOptions) -> Any:  # boto3 has no types
    return _AWS.client(
        "s3", attempts=options.attempts, connect_timeout=options.connect_timeout, read_timeout=options.read_timeout
    )


def _one_connection() -> Any:
    from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]  # ships no types

    return TransferConfig(use_threads=False)
