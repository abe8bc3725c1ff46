"""What is kept of a release: every published file once, by its SHA-256, and what each URL last gave.

Here are the archive, the examination before it, and the errors of this package. How bytes travel is
in ``transport``, the order of events in ``fetch``.

    sha256/ab/<sha256>      published bytes, read-only; no suffix, because one content has one name
    blocks/ab/<sha256>      the block list of that file, for ``diff``; rebuilt where it is missing
    records/<slug>.json     what one URL last gave: its fingerprint, the hashes, the release
    incoming/<slug>.part    a download under way
    locks/<slug>.lock       held while a URL is fetched; the system frees it when the process dies
    locks/<host>-<n>.lock   held while a connection to a host is open

Only the owner can read any of it. A slug is the file's name and a short hash of its URL. Nothing is ever deleted but
leftovers in ``incoming`` and, where the user limits the versions to be kept, files that only an older version needs
(:meth:`Archive.prune`).

Where a second tier is named (``remote``), it gets every file and record and gives those that are missing here. It is
never pruned.
"""

import hashlib
import json
import logging
import os
import random
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from isal import igzip_lib

from medgen_pipeline.errors import MedgenError, PermanentError, TransientError
from medgen_pipeline.home import make_private
from medgen_pipeline.rows.diff import BlockList, EndlessLineError

_log = logging.getLogger(__name__)

# Small, because one block of a hostile gzip file inflates a thousandfold; larger blocks were not faster.
_BLOCK_BYTES = 64 << 10
_GZIP_MAGIC = b"\x1f\x8b"
_INFLATED_BYTES = 1 << 20
# The largest file of a release, medgen_pubmed_lnk, has 2 GB.
MAX_CONTENT_BYTES = 32 << 30
# isal 1.9.1 declares the class as if it were an instance.
_GzipError: type[Exception] = igzip_lib.error  # type: ignore[assignment]
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


class ConnectionsInUseError(UnavailableSourceError):
    """As many connections to a host are open as may be."""


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


@dataclass(frozen=True)
class Examined:
    """A file that passed the examination: its hashes, the time in its gzip header, if there is one, and its blocks."""

    sha256: str
    content_sha256: str
    byte_size: int
    gzip_time: datetime | None
    blocks: BlockList


class ObjectStore(Protocol):
    """A second tier of the archive: objects by name."""

    url: str

    def upload(self, path: Path, name: str, *, replace: bool = False) -> None:
        """Store a file under a name; an object of the same name and size may be left alone."""

    def download(self, name: str, path: Path) -> bool:
        """Write the object to ``path``, or return False where there is none."""


class Archive:
    """The directory described at the top of this module. Any number of processes may use it at once."""

    def __init__(
        self,
        root: Path,
        *,
        keep: int | None = None,
        remote: ObjectStore | None = None,
        max_content_bytes: int = MAX_CONTENT_BYTES,
    ) -> None:
        """Name the directory; it is made when the first file is fetched.

        Args:
            root: The directory.
            keep: How many versions of a file outlive :meth:`prune`; None for all.
            remote: The second tier.
            max_content_bytes: A file that decompresses to more is refused.

        Raises:
            ArchiveError: Fewer than two versions are to be kept: a diff needs the one before, and another warehouse
                may not have the newest yet.
        """
        if keep is not None and keep < 2:
            raise ArchiveError(f"archive {root}: at least 2 versions of a file are kept, found {keep}.")
        self.root = root
        self._keep = keep
        self.max_content_bytes = max_content_bytes
        self._remote = remote

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
            return path if self._restore(sha256) else None
        if found != sha256:
            _log.warning("archived file %s is damaged: its SHA-256 is now %s; it is not used", path, found)
            return None
        return path

    def blocks_of(self, sha256: str) -> BlockList | None:
        """Return the block list of an archived file, or None where it must be rebuilt."""
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
        """Lock a URL against every other process and yield an empty file to download to; it is gone afterwards."""
        slug = _slug(url)
        part = self.root / "incoming" / f"{slug}.part"
        with self._usable():
            self._make_folders("incoming", "locks", "records", "sha256")
            with _acquired(self._lock(slug), url):
                try:
                    self._sweep(own=slug)
                    yield _created(part)
                finally:
                    part.unlink(missing_ok=True)

    def _make_folders(self, *folders: str | Path) -> None:
        """Make folders of the archive, which none but their owner can enter."""
        make_private(self.root)
        for folder in folders:
            (self.root / folder).mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArchiveError(
                f"archive {self.root}: {error}. Make the directory writable, free disk space, "
                "or point MEDGEN_HOME elsewhere."
            ) from error

    @contextmanager
    def connection(self, host: str, limit: int, patience: float | None = None) -> Iterator[None]:
        """Wait until fewer than ``limit`` connections to a host are open, over all processes, and count as one.

        Args:
            host: Its name and port.
            limit: At most so many at once.
            patience: Seconds to wait; None for ever.

        Raises:
            ConnectionsInUseError: None was free in time.
        """
        with self._usable():
            self._make_folders("locks")
            held = self._free_connection(host, limit, patience)
        try:
            yield
        finally:
            held.release()

    def _free_connection(self, host: str, limit: int, patience: float | None) -> FileLock:
        slug = re.sub(r"[^\w.-]+", "_", host, flags=re.ASCII)
        locks = [self._lock(f"{slug}-{number}") for number in range(1, limit + 1)]
        started, said = time.monotonic(), False
        while True:
            for lock in locks:
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
                return lock
            if patience is not None and time.monotonic() - started > patience:
                raise ConnectionsInUseError(f"{host}: {limit} connections are open, and no more are made.")
            if not said:
                _log.info("%s: %d connections are open; waiting for one of them", host, limit)
                said = True
            time.sleep(random.uniform(0.1, 0.3))  # noqa: S311  # not a secret

    def admit(self, part: Path, *, url: str, is_gzip: bool) -> Examined:
        """Examine a download and move it into the archive under its hash, or raise and move nothing."""
        examined = examine(part, url=url, is_gzip=is_gzip, max_content_bytes=self.max_content_bytes)
        target = self._address(examined.sha256)
        blocks = self._blocks_address(examined.sha256)
        self._make_folders("sha256", target.parent, "blocks", blocks.parent)
        self._place(part, target)
        _created(part).write_bytes(examined.blocks.to_bytes())
        part.replace(blocks)
        if self._remote:
            self._remote.upload(target, self._name_of(target))
        return examined

    def remember(self, record: Record) -> None:
        """Note what a URL gave. The caller holds the reservation of that URL."""
        before = self._read_record(record.fingerprint.url)
        known = (before.sha256, *before.earlier) if before else ()
        self._write_record(replace(record, earlier=tuple(sha256 for sha256 in known if sha256 != record.sha256)))

    def recall(self, url: str) -> Record | None:
        """Return what the URL last gave, or None where that is unknown, unreadable, or no longer archived."""
        record = self._read_record(url)
        if record is None:
            return None
        path = self._address(record.sha256)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return record if self._restore(record.sha256) else None
        if size == record.byte_size:
            return record
        _log.warning("archived file %s has not %d bytes", path, record.byte_size)
        return None

    def records(self) -> list[Record]:
        """What every URL last gave."""
        try:
            paths = sorted((self.root / "records").iterdir())
        except FileNotFoundError:
            return []
        return [record for path in paths if (record := _read(path))]

    def prune(self, url: str) -> None:
        """Delete what older versions of a URL's file alone need, where the user limits how many are kept.

        To be called after a load, so that a release which was fetched and not published displaces nothing.
        """
        if self._keep is None:
            return
        with self._usable(), _acquired(self._lock(_slug(url)), url):
            record = self._read_record(url)
            if record is None or len(record.earlier) < self._keep:
                return
            kept = replace(record, earlier=record.earlier[: self._keep - 1])
            self._write_record(kept)
            needed = {sha256 for other in self.records() for sha256 in (other.sha256, *other.earlier)}
            for sha256 in set(record.earlier) - needed:
                _log.info("%s: deleting version %s from the archive; %d are kept", url, sha256, self._keep)
                self._delete(sha256)

    def _delete(self, sha256: str) -> None:
        """Delete a file and everything that belongs to it."""
        self._address(sha256).unlink(missing_ok=True)
        self._blocks_address(sha256).unlink(missing_ok=True)

    def _read_record(self, url: str) -> Record | None:
        path = self._record_path(url)
        if self._remote and not path.exists():
            draft = self.root / "incoming" / f"{_slug(url)}.json"
            if self._remote.download(self._name_of(path), _created(draft)):
                draft.replace(path)
        return _read(path)

    def _write_record(self, record: Record) -> None:
        url = record.fingerprint.url
        fields = asdict(record) | {"last_modified": record.last_modified.isoformat()}
        draft = self.root / "incoming" / f"{_slug(url)}.json"
        _created(draft).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
        draft.replace(self._record_path(url))
        if self._remote:
            self._remote.upload(self._record_path(url), self._name_of(self._record_path(url)), replace=True)

    def _restore(self, sha256: str) -> bool:
        """Get a file from the second tier."""
        if self._remote is None:
            return False
        target = self._address(sha256)
        with self._usable():
            self._make_folders("incoming", "locks", "sha256", target.parent)
            with self._lock(sha256):
                part = self.root / "incoming" / f"{sha256}.part"
                try:
                    return self._remote.download(self._name_of(target), _created(part)) and self._accept(part, target)
                finally:
                    part.unlink(missing_ok=True)

    def _accept(self, part: Path, target: Path) -> bool:
        """Move what came from the second tier to its place, if it is what its name says."""
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != target.name:
            _log.warning("the second tier's %s has the SHA-256 %s; it is not used", target.name, found)
            return False
        self._place(part, target)
        return True

    @staticmethod
    def _place(part: Path, target: Path) -> None:
        # The name promises the content, so the content must be on disk before the name is.
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        part.chmod(part.stat().st_mode & ~0o222)
        part.replace(target)  # also over an existing file: that heals a damaged one

    def _name_of(self, path: Path) -> str:
        """The name of a file's copy in the second tier."""
        return path.relative_to(self.root).as_posix()

    def _record_path(self, url: str) -> Path:
        return self.root / "records" / f"{_slug(url)}.json"

    def address_of(self, record: Record) -> Path:
        """Return where the file of a recalled record lies."""
        return self._address(record.sha256)

    def _address(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / sha256

    def _blocks_address(self, sha256: str) -> Path:
        return self.root / "blocks" / sha256[:2] / sha256

    def _lock(self, slug: str) -> FileLock:
        return FileLock(self.root / "locks" / f"{slug}.lock", mode=0o600)

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


def examine(path: Path, *, url: str, is_gzip: bool, max_content_bytes: int = MAX_CONTENT_BYTES) -> Examined:
    """Read a file once: hash its published and its decompressed bytes, cut it, refuse what is not a whole table."""
    published = hashlib.sha256()
    content = hashlib.sha256() if is_gzip else published
    with path.open("rb") as file, ThreadPoolExecutor(1) as beside:
        head = file.read(512)
        _refuse_wrong_kind(head, url, is_gzip=is_gzip)
        file.seek(0)
        chunks = _hashed(iter(lambda: file.read(_BLOCK_BYTES), b""), published)
        if is_gzip:
            chunks = _hashed(_limited(_inflate(chunks), max_content_bytes, url), content)
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
        f"{url}: expected {expected}, got {found}. Not archived. "
        "Open the URL by hand and check MEDGEN_SOURCE_URL and the proxy."
    )


def _limited(chunks: Iterable[bytes], most: int, url: str) -> Iterator[bytes]:
    """Refuse a file that decompresses to too much, before all of it has been decompressed."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > most:
            raise RefusedFileError(
                f"{url}: decompresses to more than {most:,} bytes, the most that is accepted. Not archived. "
                "If the file is right, raise max_decompressed_gib of the resource 'source'."
            )
        yield chunk


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
    """Decompress member after member; CRC and length of each are checked.

    After the last one, as for ``gzip -t``, there may be NUL bytes up to the end, which tapes and some copies leave, and
    nothing else. ``isal.igzip.open`` would take a member after them, too (isal 1.9.1), and so hide a hole in a file.
    What is yielded has a limit: a file of one letter is a thousandth of itself compressed.
    """
    member, padded = _new_member(), False
    for block in blocks:
        rest = block
        while rest or not (member.needs_input or member.eof):
            if member.eof:
                padded = padded or rest.startswith(b"\0")
                if padded:
                    rest = rest.lstrip(b"\0")
                    if rest:
                        raise EOFError("bytes follow the NUL bytes after its end")
                    continue
                member = _new_member()
            yield member.decompress(rest, _INFLATED_BYTES)
            rest = member.unused_data if member.eof else b""
    if not member.eof:
        raise EOFError("it ends too early, or stray bytes follow its end")


def _new_member() -> igzip_lib.IgzipDecompressor:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _created(path: Path) -> Path:
    """Create a file that only its owner can read, before anybody writes to it."""
    path.touch(mode=0o600)
    return path


def _acquired(lock: FileLock, url: str) -> AbstractContextManager[object]:
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        _log.info("%s: another process is fetching it; waiting", url)
        return lock.acquire()


def _read(path: Path) -> Record | None:
    try:
        return _parse_record(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        _log.warning("record %s is damaged (%r); its file is fetched again", path, error)
        return None


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
        earlier=tuple(fields["earlier"]),
    )
    date.fromisoformat(record.release)
    if not all(map(_SHA256.fullmatch, (record.sha256, record.content_sha256, *record.earlier))):
        raise ValueError("a hash is malformed")
    return record
