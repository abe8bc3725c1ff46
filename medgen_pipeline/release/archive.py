"""What is kept of a release: every published file once, by its SHA-256, and what each URL last gave.

Here are the archive, the examination that stands before it, and the errors of this room. How bytes travel is
in ``transport``, the order of events in ``fetch``.

    sha256/ab/<sha256>      published bytes, read-only; no suffix, because one content has one name
    blocks/ab/<sha256>      the block list of that file, for ``diff``; made anew where it is missing
    records/<slug>.json     what one URL last gave: its fingerprint, the hashes, the release
    incoming/<slug>.part    a download under way
    locks/<slug>.lock       held while a URL is fetched; the system frees it when the process dies

A slug is the file's name and a short hash of its URL. Nothing is ever deleted but leftovers in ``incoming``.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from isal import isal_zlib

from medgen_pipeline.diff import BlockList, EndlessLineError
from medgen_pipeline.errors import MedgenError, PermanentError, TransientError

_log = logging.getLogger(__name__)

# Small, because one block of a hostile gzip file inflates a thousandfold; larger blocks were not faster.
_BLOCK_BYTES = 64 << 10
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31  # zlib's code for "with a gzip header and trailer"
# isal 1.9.1 declares the class as if it were an instance.
_GzipError: type[Exception] = isal_zlib.error  # type: ignore[assignment]
_UTF8_BOM = b"\xef\xbb\xbf"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class SourceError(MedgenError):
    """The source of a release did not give the file asked for."""


class UnusableSourceError(SourceError, PermanentError):
    """The source must be changed, or the setting that names it."""


class MissingSourceFileError(UnusableSourceError):
    """The source answers, and has no such file."""


class RefusedFileError(UnusableSourceError):
    """The file arrived whole and is not what it should be; it was not archived."""


class UnavailableSourceError(SourceError, TransientError):
    """The source could not be reached, or broke off, as often as was tried."""


class ArchiveError(PermanentError):
    """The archive's directory cannot be used."""


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

    def proves_unchanged(self, other: "Fingerprint") -> bool:
        """Whether both are the same version. A source that gives neither time nor ETag proves nothing."""
        return self == other and bool(self.modified or self.etag)


@dataclass(frozen=True)
class Record:
    """What a URL last gave."""

    fingerprint: Fingerprint
    sha256: str
    content_sha256: str
    byte_size: int
    release: str
    last_modified: datetime


@dataclass(frozen=True)
class Examined:
    """A file that passed the examination: its hashes, the time in its gzip header, if there is one, and its blocks."""

    sha256: str
    content_sha256: str
    byte_size: int
    gzip_time: datetime | None
    blocks: BlockList


class Archive:
    """The directory described at the top of this module. Any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        """Name the directory; it is made when the first file is fetched."""
        self.root = root

    def path_of(self, sha256: str) -> Path | None:
        """Return the archived file with this hash, or None where it is missing or no longer has this hash.

        The file is read to its end (0.05 s for 77 MB): a diff against a damaged file would be wrong silently.
        """
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256 in lower-case hexadecimal: {sha256!r}")
        path = self._address(sha256)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        if found != sha256:
            _log.warning("archived file %s is damaged: its SHA-256 is now %s; it is not used", path, found)
            return None
        return path

    def blocks_of(self, sha256: str) -> BlockList | None:
        """Return the block list of an archived file, or None where it must be made anew."""
        path = self._blocks_address(sha256)
        try:
            return BlockList.from_bytes(path.read_bytes())
        except FileNotFoundError:
            pass
        except ValueError as error:
            _log.warning("block list %s: %s; it is not used", path, error)
        return None

    @contextmanager
    def reserve(self, url: str) -> Iterator[Path]:
        """Lock a URL against every other process and yield the path to download to; it is gone afterwards."""
        slug = _slug(url)
        part = self.root / "incoming" / f"{slug}.part"
        try:
            for directory in ("incoming", "locks", "records", "sha256"):
                (self.root / directory).mkdir(parents=True, exist_ok=True)
            with _acquired(self._lock(slug), url):
                try:
                    self._sweep(own=slug)
                    yield part
                finally:
                    part.unlink(missing_ok=True)
        except OSError as error:
            raise ArchiveError(
                f"archive {self.root}: {error}. Make the directory writable, free disk space, "
                "or point MEDGEN_HOME elsewhere."
            ) from error

    def admit(self, part: Path, *, url: str, is_gzip: bool) -> Examined:
        """Examine a download and move it into the archive under its hash, or raise and move nothing."""
        examined = examine(part, url=url, is_gzip=is_gzip)
        target = self._address(examined.sha256)
        target.parent.mkdir(exist_ok=True)
        # The name promises the content, so the content must be on disk before the name is.
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        part.chmod(part.stat().st_mode & ~0o222)
        part.replace(target)  # also over an existing file: that heals a damaged one
        blocks = self._blocks_address(examined.sha256)
        blocks.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(examined.blocks.to_bytes())
        part.replace(blocks)
        return examined

    def remember(self, record: Record) -> None:
        """Note what a URL gave. The caller holds the reservation of that URL."""
        slug = _slug(record.fingerprint.url)
        fields = asdict(record) | {"last_modified": record.last_modified.isoformat()}
        draft = self.root / "incoming" / f"{slug}.json"
        draft.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.root / "records" / f"{slug}.json")

    def recall(self, url: str) -> Record | None:
        """Return what the URL last gave, or None where that is unknown, unreadable, or no longer archived."""
        path = self.root / "records" / f"{_slug(url)}.json"
        try:
            record = _parse_record(path.read_bytes())
            if self._address(record.sha256).stat().st_size == record.byte_size:
                return record
            _log.warning("archived file %s has not %d bytes", self._address(record.sha256), record.byte_size)
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, KeyError) as error:
            _log.warning("record %s is damaged (%r); %s is fetched again", path, error, url)
        return None

    def address_of(self, record: Record) -> Path:
        """Return where the file of a recalled record lies."""
        return self._address(record.sha256)

    def _address(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / sha256

    def _blocks_address(self, sha256: str) -> Path:
        return self.root / "blocks" / sha256[:2] / sha256

    def _lock(self, slug: str) -> FileLock:
        return FileLock(self.root / "locks" / f"{slug}.lock")

    def _sweep(self, own: str) -> None:
        """Delete what killed downloads left behind: files in ``incoming`` whose lock nobody holds."""
        for leftover in (self.root / "incoming").iterdir():
            slug = leftover.stem
            if slug == own:
                leftover.unlink(missing_ok=True)
                continue
            try:
                with self._lock(slug).acquire(blocking=False):
                    leftover.unlink(missing_ok=True)
            except Timeout:
                continue  # a live download


def examine(path: Path, *, url: str, is_gzip: bool) -> Examined:
    """Read a file once: hash its published and its decompressed bytes, cut it, refuse what is not a whole table."""
    published = hashlib.sha256()
    content = hashlib.sha256() if is_gzip else published
    with path.open("rb") as file, ThreadPoolExecutor(1) as beside:
        head = file.read(512)
        _refuse_wrong_kind(head, url, is_gzip=is_gzip)
        file.seek(0)
        chunks = _hashed(iter(lambda: file.read(_BLOCK_BYTES), b""), published)
        if is_gzip:
            chunks = _hashed(_inflate(chunks), content)
        try:
            blocks = BlockList.of(_one_ahead(chunks, beside))
        except (_GzipError, EOFError) as error:
            raise RefusedFileError(
                f"{url}: damaged gzip file ({error}) near byte {file.tell()} of {path.stat().st_size}. "
                "Not archived. Fetch it again; if that does not help, the published file itself is damaged."
            ) from error
        except EndlessLineError as error:
            raise RefusedFileError(f"{url}: {error} Not archived. Open the URL by hand.") from error
    if not blocks.header:
        raise RefusedFileError(f"{url}: the gzip file holds no data; expected a table. Not archived.")
    seconds = int.from_bytes(head[4:8], "little") if is_gzip else 0
    return Examined(
        sha256=published.hexdigest(),
        content_sha256=content.hexdigest(),
        byte_size=path.stat().st_size,
        gzip_time=datetime.fromtimestamp(seconds, UTC) if seconds else None,
        blocks=blocks,
    )


def _refuse_wrong_kind(head: bytes, url: str, *, is_gzip: bool) -> None:
    expected = "a gzip file (1f 8b)" if is_gzip else "a plain text table"
    if not head:
        found = "an empty file"
    elif head.removeprefix(_UTF8_BOM).lstrip().startswith(b"<"):  # no MedGen header begins so
        found = "an HTML or XML page (of a proxy, a login or an outage?)"
    elif head.startswith(_GZIP_MAGIC) != is_gzip:
        found = "something else" if is_gzip else "a gzip file"
    else:
        return
    raise RefusedFileError(
        f"{url}: expected {expected}, got {found}; it starts with {head[:60]!r}. Not archived. "
        "Open the URL by hand and check MEDGEN_SOURCE_URL and the proxy."
    )


def _hashed(blocks: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for block in blocks:
        digest.update(block)
        yield block


def _one_ahead(chunks: Iterator[bytes], beside: ThreadPoolExecutor) -> Iterator[bytes]:
    """Make the next chunk in another thread; decompression and hashing need no interpreter."""
    made = beside.submit(next, chunks, None)
    while (chunk := made.result()) is not None:
        made = beside.submit(next, chunks, None)
        yield chunk


def _inflate(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress member after member; CRC and length of each are checked, and nothing may follow the last.

    ``isal.igzip.open`` would do but for zero padding, which it accepts (isal 1.9.1): a crash can leave zeros
    where a further member should be.
    """
    member = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
    for block in blocks:
        rest = block
        while rest:
            if member.eof:
                member = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
            yield member.decompress(rest)
            rest = member.unused_data
    if not member.eof:
        raise EOFError("it ends too early, or stray bytes follow its end")


def _acquired(lock: FileLock, url: str) -> AbstractContextManager[object]:
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        _log.info("%s: another process is fetching it; waiting", url)
        return lock.acquire()


def _slug(url: str) -> str:
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
    )
    date.fromisoformat(record.release)
    if not (_SHA256.fullmatch(record.sha256) and _SHA256.fullmatch(record.content_sha256)):
        raise ValueError("a hash is malformed")
    return record
