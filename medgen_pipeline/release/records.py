"""What each URL has given, as far as the archive remembers: one JSON file a URL, the newest version first."""

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, StringConstraints, TypeAdapter, with_config

from medgen_pipeline.release.folder import ArchiveFolder, created

_log = logging.getLogger(__name__)

SHA256 = re.compile(r"[0-9a-f]{64}")


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Fingerprint:
    """What tells one version of a published file from another without reading it.

    Attributes:
        url: The file's URL.
        modified: The time of change as the source writes it (Last-Modified, or a file's mtime in ns), or "".
        size: Bytes, or None where the source does not say.
        etag: HTTP's ETag, or "".
    """

    url: str
    modified: str
    size: int | None
    etag: str = ""

    def __str__(self) -> str:
        """The version without the URL, for messages."""
        size = "an unknown number of" if self.size is None else f"{self.size}"
        return f"{size} bytes of {self.modified or 'an unknown time'}{self.etag and f' (ETag {self.etag})'}"

    def proves_unchanged(self, other: "Fingerprint") -> bool:
        """Whether both are the same version. A source that gives neither time nor ETag proves nothing."""
        return self == other and bool(self.modified or self.etag)

    def contradicts(self, other: "Fingerprint") -> bool:
        """Whether both cannot be the same version. What only one of them tells contradicts nothing."""
        return (
            (self.modified != other.modified and bool(self.modified and other.modified))
            or (self.etag != other.etag and bool(self.etag and other.etag))
            or (self.size != other.size and None not in {self.size, other.size})
        )


def _iso_date(text: str) -> str:
    date.fromisoformat(text)
    return text


_Sha256 = Annotated[str, StringConstraints(pattern=f"^{SHA256.pattern}$")]


@dataclass(frozen=True)
class Record:
    """One version of a file, as a URL gave it.

    Attributes:
        fingerprint: Of the published file.
        sha256: Of the published bytes.
        content_sha256: Of the decompressed bytes.
        byte_size: Of the published bytes.
        release: ISO date.
        last_modified: UTC.
        fetched: UTC.
    """

    fingerprint: Fingerprint
    sha256: _Sha256
    content_sha256: _Sha256
    byte_size: int
    release: Annotated[str, AfterValidator(_iso_date)]
    last_modified: datetime
    fetched: datetime = field(default_factory=lambda: datetime.now(UTC))


_RECORD = TypeAdapter(Record)


@dataclass(frozen=True)
class Versions:
    """What is known of a URL's file.

    Attributes:
        records: Its versions, newest first; one or more.
        hashes: Of versions before those, of which an earlier version of this package has noted no more.
    """

    records: tuple[Record, ...]
    hashes: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The file's."""
        return self.records[0].fingerprint.url

    @property
    def sha256s(self) -> set[str]:
        """Of all versions."""
        return {*self.hashes, *(record.sha256 for record in self.records)}


class RecordStore:
    """The records of an archive. Who writes one holds the lock of its URL."""

    def __init__(self, folder: ArchiveFolder) -> None:
        """Read nothing yet."""
        self._folder = folder
        self._records = folder.root / "records"

    def all(self) -> list[Versions]:
        """What is known of every URL."""
        try:
            paths = sorted(self._records.iterdir())
        except FileNotFoundError:
            return []
        return [versions for path in paths if (versions := _read(path))]

    def read(self, url: str) -> Versions | None:
        """What is known of this URL, or None where that is nothing, or unreadable."""
        path, draft = self._path(url), self._draft(url)
        if not path.exists() and self._folder.copy_in(path, draft):
            draft.replace(path)
        return _read(path)

    def write(self, records: Sequence[Record]) -> None:
        """Note the versions of a URL's file, newest first, in place of what was known of it."""
        url = records[0].fingerprint.url
        path, draft = self._path(url), self._draft(url)
        fields = {"versions": [_RECORD.dump_python(record, mode="json") for record in records]}
        created(draft).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
        self._folder.copy_out(path, replace=True)

    def _path(self, url: str) -> Path:
        return self._records / f"{slug_of(url)}.json"

    def _draft(self, url: str) -> Path:
        return self._folder.root / "incoming" / f"{slug_of(url)}.json"


def release_in(base_url: str) -> str | None:
    """The last part of a URL if it is a date; people keep old releases so (/mirror/2021-08-20/)."""
    name = base_url.rstrip("/").rsplit("/", 1)[-1]
    try:
        return date.fromisoformat(name).isoformat() if re.fullmatch(r"\d{4}-\d\d-\d\d", name) else None
    except ValueError:
        return None


def _read(path: Path) -> Versions | None:
    try:
        return _parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        _log.warning("record %s is damaged (%r); its file is fetched again", path, error)
        return None


def slug_of(url: str) -> str:
    """The name of what belongs to a URL: its last part, and a short hash of all of it."""
    name = re.sub(r"[^\w.-]+", "_", url.rsplit("/", 1)[-1], flags=re.ASCII)
    return f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _parse(text: bytes) -> Versions:
    fields = json.loads(text)
    if "versions" in fields:
        versions = Versions(tuple(map(_RECORD.validate_python, fields["versions"])))
        if not versions.records:
            raise ValueError("it has no version")
        return versions
    # Of an earlier version of this package: the newest version, and the hashes of those before.
    newest = _RECORD.validate_python({**fields, "fetched": fields["last_modified"]})
    versions = Versions((newest,), tuple(fields["earlier"]))
    if not all(map(SHA256.fullmatch, versions.hashes)):
        raise ValueError("a hash is malformed")
    return versions
