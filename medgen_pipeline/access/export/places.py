"""Where releases are exported to: a local folder, or a prefix in S3. In both, a release is a folder of its own.

``latest`` is a small file that holds the name of one of these folders, and is written last. A link would do on a local
disk; in S3 there is none, and a reader who opens one table after the other through a link may get two releases. Who
reads ``latest`` once, and then goes to the folder that it names, has one release whole, in both.
"""

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filelock import FileLock, Timeout

from medgen_pipeline.access.export.errors import ExportError, PlaceUnavailableError
from medgen_pipeline.access.export.package import FILE
from medgen_pipeline.aws import Aws, does_not_hold, is_missing
from medgen_pipeline.urls import split_url

LATEST = "latest"
# In each folder in S3; whoever has written it owns the folder. Readers of Parquet folders skip names with a dot.
CLAIM = ".claim"
_DRAFT, _LOCK = ".draft", ".lock"
LOCK_SECONDS = 3600


class Place(ABC):
    """A place with releases.

    Attributes:
        url: Where it is.
    """

    url: str

    @abstractmethod
    def draft(self) -> Any:
        """A context: an empty local folder for the files of a release."""

    @abstractmethod
    def read(self, name: str) -> str | None:
        """The text of a small file, or None where there is none."""

    @abstractmethod
    def take(self, folder: str) -> bool:
        """Take a folder for a release; False where it exists or another export has taken it."""

    @abstractmethod
    def publish(self, draft: Path, kept: Mapping[str, str], folder: str) -> None:
        """Fill a taken folder with a draft and with files of other releases, whose folders the files' names tell."""

    @abstractmethod
    def point(self, folder: str, before: str) -> None:
        """Say in ``latest`` which folder is it.

        Raises:
            PlaceUnavailableError: It no longer says ``before``: another export has been here meanwhile.
        """

    @property
    def latest(self) -> str:
        """The folder that ``latest`` names; empty where there is none."""
        return (self.read(LATEST) or "").strip()


class Folder(Place):
    """A local folder: a release is put in its place by one rename, and files that stay are hard links."""

    def __init__(self, root: Path) -> None:
        """Remember it; it is made when something is written."""
        self._root = root.expanduser().absolute()
        self.url = str(self._root)

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """See the base class. Exports to one folder wait for each other; what a killed one has left goes."""
        self._root.mkdir(parents=True, exist_ok=True)
        folder = self._root / _DRAFT
        try:
            with FileLock(self._root / _LOCK, timeout=LOCK_SECONDS):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                try:
                    yield folder
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
        except Timeout as error:
            raise PlaceUnavailableError(f"{self.url}: another export has been at work here for an hour.") from error

    def read(self, name: str) -> str | None:
        try:
            return (self._root / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def take(self, folder: str) -> bool:
        """See the base class. Nobody else is here, so that the rename takes it."""
        return not (self._root / folder).exists()

    def publish(self, draft: Path, kept: Mapping[str, str], folder: str) -> None:
        for path in draft.iterdir():
            flush(path)
        for name, other in kept.items():
            try:
                os.link(self._root / other / name, draft / name)
            except OSError:  # some file systems have no hard links
                shutil.copyfile(self._root / other / name, draft / name)
        flush(draft)
        draft.rename(self._root / folder)
        flush(self._root)

    def point(self, folder: str, before: str) -> None:  # noqa: ARG002  # of the base class
        """See the base class. Nobody else is here, so that it still says ``before``."""
        new = self._root / f".{LATEST}"
        new.write_text(f"{folder}\n", encoding="utf-8")
        flush(new)
        new.replace(self._root / LATEST)


class Bucket(Place):
    """A prefix in S3. There is no rename: what shows that a release is whole is its dictionary, written last in it.

    Exports to one prefix do not wait for each other. S3 gives a folder to one of them, whose alone it stays, and lets
    one of them change ``latest``: conditional writes, which no export that was killed can hold back.
    """

    def __init__(self, url: str) -> None:
        """Check the URL; nothing is contacted."""
        try:
            found = split_url(url, "the place of the export")
        except ValueError as error:
            raise ExportError(f"{error} Expected s3://BUCKET/PREFIX.") from None
        if not found.hostname or "@" in found.netloc or found.port or found.query:
            raise ExportError(
                "An s3:// place names a bucket and no user, password or port: s3://BUCKET/PREFIX. boto3 finds "
                "credentials by itself, in AWS_ACCESS_KEY_ID, AWS_PROFILE or the machine's role."
            )
        self._bucket = found.netloc
        path = unquote(found.path).strip("/")
        self._prefix = f"{path}/" if path else ""
        self.url = f"s3://{self._bucket}/{self._prefix}".rstrip("/")
        self._made: Any = None  # boto3 has no types

    @contextmanager
    def draft(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="medgen-export-") as folder:
            yield Path(folder)

    def read(self, name: str) -> str | None:
        return self._read(name)[0]

    def take(self, folder: str) -> bool:
        with self._client(folder) as client:
            found = client.list_objects_v2(Bucket=self._bucket, Prefix=f"{self._prefix}{folder}/", MaxKeys=1)
        return not found.get("Contents") and self._put(f"{folder}/{CLAIM}", b"", IfNoneMatch="*")

    def publish(self, draft: Path, kept: Mapping[str, str], folder: str) -> None:
        for path in sorted(draft.iterdir(), key=lambda path: path.name == FILE):
            if path.name == FILE:
                self._copy(kept, folder)
            with self._client(path.name) as client, path.open("rb") as file:
                client.upload_fileobj(file, self._bucket, f"{self._prefix}{folder}/{path.name}")

    def point(self, folder: str, before: str) -> None:
        text, tag = self._read(LATEST)
        condition = {"IfNoneMatch": "*"} if text is None else {"IfMatch": tag}
        unchanged = (text or "").strip() == before
        if not (unchanged and self._put(LATEST, f"{folder}\n".encode(), **condition)) and self.latest != folder:
            raise PlaceUnavailableError(
                f"{self.url}: another export has published {self.latest} meanwhile. Export again; nothing is lost."
            )

    def _read(self, name: str) -> tuple[str | None, str]:
        """The text of a small file, and S3's tag of it."""
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

        with self._client(name) as client:
            try:
                found = client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            except ClientError as error:
                if is_missing(error) and "NoSuchBucket" not in str(error):
                    return None, ""
                raise
            return str(found["Body"].read().decode()), str(found["ETag"])

    def _put(self, name: str, data: bytes, **condition: str) -> bool:
        """Write a small file if a condition holds; returns whether it did."""
        from botocore.exceptions import ClientError

        with self._client(name) as client:
            try:
                client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=data, **condition)
            except ClientError as error:
                if does_not_hold(error):
                    return False
                raise
        return True

    def _copy(self, kept: Mapping[str, str], folder: str) -> None:
        for name, other in kept.items():
            source = {"Bucket": self._bucket, "Key": f"{self._prefix}{other}/{name}"}
            with self._client(name) as client:
                client.copy(source, self._bucket, f"{self._prefix}{folder}/{name}")

    @contextmanager
    def _client(self, name: str) -> Iterator[Any]:
        self._made = self._made or _AWS.client("s3")
        with _AWS.errors(f"{self.url}/{name}"):
            yield self._made


_MISSING = "check the place: there is no such bucket"
_AWS = Aws(
    extra="s3",
    refused=ExportError,
    missing=ExportError,
    unavailable=PlaceUnavailableError,
    advice={
        "AccessDenied": "check the credentials boto3 finds, their rights and AWS_REGION",
        "404": _MISSING,
        "NoSuchBucket": _MISSING,
        "PermanentRedirect": "correct AWS_REGION: the bucket is in another region",
    },
)


def place_of(text: str) -> Place:
    """The place that somebody has named.

    Raises:
        ExportError: It is none.
    """
    if text.startswith("s3://"):
        return Bucket(text)
    if "://" in text:
        raise ExportError("A place is a local folder, s3://BUCKET/PREFIX or a file that ends in .duckdb.")
    return Folder(Path(text))


def flush(path: Path) -> None:
    """Have the disk hold what is written, so that a machine that fails does not leave ``latest`` and not the rest."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
