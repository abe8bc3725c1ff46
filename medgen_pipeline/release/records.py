"""What each URL last gave, as far as the archive remembers: one JSON file a URL."""

import hashlib
import json
import logging
import re
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

from medgen_pipeline.release.folder import ArchiveFolder, created

_log = logging.getLogger(__name__)

SHA256 = re.compile(r"[0-9a-f]{64}")


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


@dataclass(frozen=True)
class Record:
    """What a URL last gave.

    Attributes:
        fingerprint: Of the published file.
        sha256: Of the published bytes.
        content_sha256: Of the decompressed bytes.
        byte_size: Of the published bytes.
        release: ISO date.
        last_modified: UTC.
        earlier: Hashes of what the URL gave before, newest first, as far as they are kept.
    """

    fingerprint: Fingerprint
    sha256: str
    content_sha256: str
    byte_size: int
    release: str
    last_modified: datetime
    earlier: tuple[str, ...] = ()


class RecordStore:
    """The records of an archive. Who writes one holds the lock of its URL."""

    def __init__(self, folder: ArchiveFolder) -> None:
        """Read nothing yet."""
        self._folder = folder
        self._records = folder.root / "records"

    def all(self) -> list[Record]:
        """What every URL last gave."""
        try:
            paths = sorted(self._records.iterdir())
        except FileNotFoundError:
            return []
        return [record for path in paths if (record := _read(path))]

    def read(self, url: str) -> Record | None:
        """What this URL last gave, or None where that is unknown or unreadable."""
        path, draft = self._path(url), self._draft(url)
        if not path.exists() and self._folder.copy_in(path, draft):
            draft.replace(path)
        return _read(path)

    def write(self, record: Record) -> None:
        """Note what a URL gave, in place of what it gave before."""
        path, draft = self._path(record.fingerprint.url), self._draft(record.fingerprint.url)
        fields = asdict(record) | {"last_modified": record.last_modified.isoformat()}
        created(draft).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
        self._folder.copy_out(path, replace=True)

    def _path(self, url: str) -> Path:
        return self._records / f"{slug_of(url)}.json"

    def _draft(self, url: str) -> Path:
        return self._folder.root / "incoming" / f"{slug_of(url)}.json"


def _read(path: Path) -> Record | None:
    try:
        return _parse_record(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        _log.warning("record %s is damaged (%r); its file is fetched again", path, error)
        return None


def slug_of(url: str) -> str:
    """The name of what belongs to a URL: its last part, and a short hash of all of it."""
    name = re.sub(r"[^\w.-]+", "_", url.rsplit("/", 1)[-1], flags=re.ASCII)
    return f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _parse_record(text: bytes) -> Record:
    fields = json.loads(text)
    record = Record(
        fingerprint=Fingerprint(**fields["fingerprint"]),
        sha256=fields["sha256"],
        content_sha256=fields["content_sha256"],
        byte_size=fields["byte_size"],
        release=fields["release"],
        last_modified=datetime.fromisoformat(fields["last_modified"]),
        earlier=tuple(fields["earlier"]),
    )
    date.fromisoformat(record.release)
    if not all(map(SHA256.fullmatch, (record.sha256, record.content_sha256, *record.earlier))):
        raise ValueError("a hash is malformed")
    return record
