"""What is kept of a release: every published file once, by its SHA-256, and what each URL last gave.

    sha256/ab/<sha256>      published bytes, read-only; no suffix, because one content has one name
    blocks/ab/<sha256>      the block list of that file, for ``diff``; rebuilt where it is missing
    records/<slug>.json     what one URL has given: of each version the hashes, release, size and times (``records``)
    incoming/<slug>.part    a download under way
    locks/<slug>.lock       held while a URL is fetched; the system frees it when the process dies
    locks/<host>-<n>.lock   held while a connection to a host is open (``transport.connections``)

Only the owner can read any of it. A slug is the file's name and a short hash of its URL. Nothing is ever deleted but
leftovers in ``incoming`` and, where the user limits the versions to be kept, files that only an older version needs
(:meth:`Archive.prune`).

Where a second tier is named (``remote``), it gets every file and record and gives those that are missing here. It is
never pruned, and what was pruned here is still in the records.
"""

import hashlib
import logging
import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from filelock import FileLock, Timeout

from medgen_pipeline.release.errors import ArchiveError, RefusedFileError
from medgen_pipeline.release.folder import ArchiveFolder, ObjectStore, created
from medgen_pipeline.release.records import SHA256, Fingerprint, Record, RecordStore, release_in, slug_of
from medgen_pipeline.release.verify import MAX_CONTENT_BYTES, Examined, examine
from medgen_pipeline.rows.diff import BlockList

_log = logging.getLogger(__name__)


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
        self.folder = ArchiveFolder(root, remote)
        self.max_content_bytes = max_content_bytes
        self._keep = keep
        self._records = RecordStore(self.folder)

    def path_of(self, sha256: str) -> Path | None:
        """Return the archived file with this hash, or None where it is missing or no longer has this hash.

        The file is read to its end (0.05 s for 77 MB): a diff against a damaged file would be wrong silently.
        """
        if not SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256 in lower-case hexadecimal: {sha256!r}")
        path = self._address(sha256)
        try:
            found = _sha256_of(path)
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
        slug = slug_of(url)
        part = self.root / "incoming" / f"{slug}.part"
        with self.folder.usable():
            self.folder.make("incoming", "locks", "records", "sha256")
            with _acquired(self.folder.lock(slug), url):
                try:
                    self._sweep(own=slug)
                    yield created(part)
                finally:
                    part.unlink(missing_ok=True)

    def admit(self, part: Path, *, url: str, is_gzip: bool) -> Examined:
        """Examine a download and move it into the archive under its hash, or raise and move nothing."""
        examined = examine(part, url=url, is_gzip=is_gzip, max_content_bytes=self.max_content_bytes)
        target = self._address(examined.sha256)
        blocks = self._blocks_address(examined.sha256)
        self.folder.make("sha256", target.parent, "blocks", blocks.parent)
        _place(part, target)
        created(part).write_bytes(examined.blocks.to_bytes())
        part.replace(blocks)
        self.folder.copy_out(target)
        return examined

    def remember(self, record: Record) -> None:
        """Note what a URL gave. The caller holds the reservation of that URL."""
        before = self._versions(record.fingerprint.url)
        self._records.write([record, *(version for version in before if version.sha256 != record.sha256)])

    def recall(self, url: str) -> Record | None:
        """Return what the URL last gave, or None where that is unknown, unreadable, or no longer archived."""
        versions = self._records.read(url)
        if versions is None:
            return None
        record = versions.records[0]
        path = self.address_of(record)
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
        return [versions.records[0] for versions in self._records.all()]

    def versions_of(self, file_name: str) -> list[Record]:
        """Every version of a file that is kept, by whichever URL of that name, as published: the newest first."""
        found: list[Record] = []
        for versions in self._records.all():
            url = versions.url
            if unquote(url.rpartition("/")[2]) != file_name:
                continue
            if versions.hashes:
                with self.folder.usable(), _acquired(self.folder.lock(slug_of(url)), url):
                    found += self._versions(url)
            else:
                found += versions.records
        there = [record for record in found if self.folder.has_copy or self.address_of(record).exists()]
        return sorted(there, key=lambda record: (record.last_modified, record.fetched), reverse=True)

    def prune(self, url: str, in_use: Collection[str] = ()) -> None:
        """Delete what older versions of a URL's file alone need, where the user limits how many are kept.

        To be called after a load, so that a release which was fetched and not published displaces nothing.

        Args:
            url: The file's.
            in_use: Hashes of versions that stay, however old: production was made from them.
        """
        if self._keep is None:
            return
        with self.folder.usable(), _acquired(self.folder.lock(slug_of(url)), url):
            versions = self._versions(url)
            kept = [one for place, one in enumerate(versions) if place < self._keep or one.sha256 in in_use]
            if len(kept) == len(versions):
                return
            if not self.folder.has_copy:
                self._records.write(kept)
            of_others = (one.sha256s for one in self._records.all() if one.url != url)
            needed = {record.sha256 for record in kept}.union(*of_others)
            for sha256 in {record.sha256 for record in versions} - needed:
                if self._address(sha256).exists():
                    _log.info("%s: deleting version %s from the archive; %d are kept", url, sha256, self._keep)
                self._address(sha256).unlink(missing_ok=True)
                self._blocks_address(sha256).unlink(missing_ok=True)

    def _versions(self, url: str) -> tuple[Record, ...]:
        """Every version of a URL's file, newest first. The caller holds the reservation of that URL.

        Of those that an earlier version of this package has noted, the record is completed first, from their files.
        """
        known = self._records.read(url)
        if known is None or not known.hashes:
            return known.records if known else ()
        _log.info("%s: reading %d earlier versions in the archive once, for its list", url, len(known.hashes))
        completed = (self._completed(known.records[0], sha256) for sha256 in known.hashes)
        records = (*known.records, *filter(None, completed))
        with self.folder.usable():
            self.folder.make("incoming")
            self._records.write(records)
        return records

    def _completed(self, newest: Record, sha256: str) -> Record | None:
        """The record of an earlier version of the same file, or None where that file is no longer there."""
        url = newest.fingerprint.url
        path = self.path_of(sha256)
        if path is None:
            _log.warning("%s: version %s is no longer in the archive", url, sha256)
            return None
        try:
            is_gzip = newest.sha256 != newest.content_sha256
            examined = examine(path, url=url, is_gzip=is_gzip, max_content_bytes=self.max_content_bytes)
        except RefusedFileError as error:
            _log.warning("%s: version %s cannot be used: %s", url, sha256, error)
            return None
        fetched = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        published = examined.gzip_time or fetched
        return Record(
            fingerprint=Fingerprint(url, modified="", size=examined.byte_size),  # of which no more is known
            sha256=sha256,
            content_sha256=examined.content_sha256,
            byte_size=examined.byte_size,
            release=release_in(url.rpartition("/")[0]) or published.date().isoformat(),
            last_modified=published,
            fetched=fetched,
        )

    def address_of(self, record: Record) -> Path:
        """Return where the file of a recalled record lies."""
        return self._address(record.sha256)

    def _address(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / sha256

    def _blocks_address(self, sha256: str) -> Path:
        return self.root / "blocks" / sha256[:2] / sha256

    def _restore(self, sha256: str) -> bool:
        """Get a file from the second tier, if what it has is what the name says."""
        if not self.folder.has_copy:
            return False
        target = self._address(sha256)
        part = self.root / "incoming" / f"{sha256}.part"
        with self.folder.usable():
            self.folder.make("incoming", "locks", "sha256", target.parent)
            with self.folder.lock(sha256):
                try:
                    if not self.folder.copy_in(target, part):
                        return False
                    if (found := _sha256_of(part)) != sha256:
                        _log.warning("the second tier's %s has the SHA-256 %s; it is not used", sha256, found)
                        return False
                    _place(part, target)
                    return True
                finally:
                    part.unlink(missing_ok=True)

    def _sweep(self, own: str) -> None:
        """Delete what killed downloads left behind: files in ``incoming`` whose lock nobody holds."""
        for leftover in (self.root / "incoming").iterdir():
            slug = leftover.stem
            if slug == own:
                leftover.unlink(missing_ok=True)
                continue
            try:
                with self.folder.lock(slug).acquire(blocking=False):
                    leftover.unlink(missing_ok=True)
            except Timeout:
                continue  # a live download


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(part: Path, target: Path) -> None:
    # The name promises the content, so the content must be on disk before the name is.
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    part.chmod(part.stat().st_mode & ~0o222)
    part.replace(target)  # also over an existing file: that heals a damaged one


def _acquired(lock: FileLock, url: str) -> AbstractContextManager[object]:
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        _log.info("%s: another process is fetching it; waiting", url)
        return lock.acquire()
