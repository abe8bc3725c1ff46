"""Fetching one file of a release: ask whether it is known, download, examine, archive, name the release.

How bytes travel is in ``transport``, what is refused in ``verify``, what is kept in ``archive``, what is published now
in ``probe``.
"""

import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.release.archive import Archive
from medgen_pipeline.release.errors import ConnectionsInUseError, UnavailableSourceError, UnusableSourceError
from medgen_pipeline.release.probe import FileVersion, Look, SourceMemory, look
from medgen_pipeline.release.records import Fingerprint, Record, release_in
from medgen_pipeline.release.transport.base import TransferOptions, Transport
from medgen_pipeline.release.transport.connections import counted_connection
from medgen_pipeline.release.transport.file import FileTransport
from medgen_pipeline.release.transport.http import HttpTransport
from medgen_pipeline.release.transport.s3 import S3Transport
from medgen_pipeline.release.verify import Examined, examine
from medgen_pipeline.urls import split_url

_log = logging.getLogger(__name__)

TRANSPORTS: dict[str, type[Transport]] = {
    "https": HttpTransport,
    "http": HttpTransport,
    "file": FileTransport,
    "s3": S3Transport,
}

# Files of one release were seen to appear within three minutes. Those further apart than this may be of two.
RELEASE_WINDOW = timedelta(hours=12)

_REPLACEMENTS = 3

# A look is one tick of a sensor, which Dagster ends after 60 s; the next tick is the next attempt. The last request may
# begin when the time is up and try two addresses in vain.
_LOOK_SECONDS = 30
_LOOK_READ_TIMEOUT = 10.0
_LOOK_TURN_SECONDS = 5


@dataclass(frozen=True)
class SourceFile:
    """One published file in the archive.

    Attributes:
        table_name: The catalog's name of the table.
        path: The archived file, as published: compressed where NCBI compresses it.
        sha256: Of the published bytes.
        content_sha256: Of the decompressed bytes; NCBI compresses unchanged tables again, with a new stamp.
        release: ISO date.
        url: Where it came from, without user and password.
        byte_size: Of the published bytes.
        last_modified: UTC.
        downloaded_bytes: 0 where the file was known already and nothing was fetched.
        hours_behind: How much older this file is than the newest one fetched from the same source.
    """

    table_name: str
    path: Path
    sha256: str
    content_sha256: str
    release: str
    url: str
    byte_size: int
    last_modified: datetime
    downloaded_bytes: int
    hours_behind: float = 0.0

    @property
    def version(self) -> FileVersion:
        """What a probe would call this file."""
        return FileVersion(self.last_modified, self.byte_size)


class ReleaseSource:
    """A place that publishes a source's files under NCBI's names: NCBI itself, a mirror, or a directory."""

    def __init__(self, url: str, archive: Archive, options: TransferOptions | None = None) -> None:
        """Check the URL; nothing is contacted.

        Args:
            url: Of the directory that holds the files: https://, http://, file:// or s3://.
            archive: Where fetched files are kept.
            options: Patience and limits.

        Raises:
            UnusableSourceError: The URL cannot be used.
        """
        self._options = options or TransferOptions()
        source = _split(url, self._options.url_setting)
        self._transport = TRANSPORTS[source.scheme]
        self._archive = archive
        if source.username:  # out of the URL, which is logged, recorded and shown
            auth = unquote(source.username), unquote(source.password or "")
            self._options = replace(self._options, auth=auth)
        self.url = self._transport.base_url(source)

    def fetch(self, table: SourceTable) -> SourceFile:
        """Return the table's file as published now; download and examine it unless the archive has it.

        Raises:
            UnusableSourceError: No retry will help: file missing, not a table, damaged, too large.
            UnavailableSourceError: Connection trouble or a busy server, after retries.
            ArchiveError: The archive's directory cannot be used.
        """
        url = self.url_of(table)
        with self._archive.reserve(url) as part, self._connected(self._within_budget(url)) as transport:
            record = self._archive.recall(url)
            downloaded = 0
            if record and transport.probe(url).proves_unchanged(record.fingerprint):
                _log.info("%s: unchanged since %s", url, record.last_modified.isoformat())
            else:
                fingerprint = _download(transport, url, part, is_gzip=table.is_gzip)
                examined = self._archive.admit(part, url=url, is_gzip=table.is_gzip)
                record = self._record(transport, fingerprint, examined)
                self._archive.remember(record)
                downloaded = record.byte_size
        return self._source_file(table, record, downloaded)

    def require_reachable(self, tables: Sequence[SourceTable]) -> None:
        """Ask once for one of these files, or for the next where that one cannot be had.

        Raises:
            UnavailableSourceError: The source cannot be reached; ask again later.
            UnusableSourceError: None of the files can be had; the error is the first one's.
        """
        hasty = replace(self._options, attempts=1, connect_timeout=5.0, read_timeout=_LOOK_READ_TIMEOUT)
        first: UnusableSourceError | None = None
        try:
            with self._connected(hasty, _LOOK_TURN_SECONDS) as transport:
                for table in tables:
                    try:
                        transport.probe(self.url_of(table))
                    except UnusableSourceError as error:
                        first = first or error
                    else:
                        return
        except ConnectionsInUseError:  # by those whom it answers
            return
        if first is not None:
            raise first

    def url_of(self, table: SourceTable) -> str:
        """The URL of a table's file."""
        return self.url + quote(table.file_name)

    def last_release(self, table: SourceTable) -> str | None:
        """The release of the table's file that was fetched last, or None where none was."""
        records = {record.fingerprint.url: record for record in self._siblings()}
        record = records.get(self.url_of(table))
        return record.release if record else None

    def look(self, tables: Iterable[SourceTable], memory: SourceMemory, now: datetime) -> Look:
        """Find out which versions are published now; see :func:`medgen_pipeline.release.probe.look`.

        Raises:
            UnavailableSourceError: The source cannot be reached; ask again later.
            UnusableSourceError: What it answers cannot be used.
            ArchiveError: The archive's directory, where connections are counted, cannot be used.
        """
        hasty = replace(
            self._options,
            attempts=1,
            connect_timeout=5.0,
            read_timeout=_LOOK_READ_TIMEOUT,
            answer_timeout=_LOOK_READ_TIMEOUT,
        )
        with self._connected(hasty, _LOOK_TURN_SECONDS) as transport:
            return look(transport, tables, memory, now, _LOOK_SECONDS)

    def release_of(self, versions: Iterable[FileVersion]) -> str:
        """Name the release that files of these versions make: the date in the source's URL, or that of the newest."""
        return release_in(self.url) or max(version.modified for version in versions).date().isoformat()

    @contextmanager
    def _connected(self, options: TransferOptions, patience: float | None = None) -> Iterator[Transport]:
        """A transport, once the source's host has a connection to spare."""
        with ExitStack() as stack:
            if limit := self._transport.max_connections:
                host = urlsplit(self.url).netloc
                stack.enter_context(counted_connection(self._archive.folder, host, limit, patience))
            yield stack.enter_context(closing(self._transport(options)))

    def _within_budget(self, url: str) -> TransferOptions:
        """The options of one transfer: no more bytes than the release's other files leave."""
        others = sum(record.byte_size for record in self._siblings() if record.fingerprint.url != url)
        left = max(self._options.max_release_bytes - others, 0)
        if left >= self._options.max_bytes:
            return self._options
        return replace(self._options, max_bytes=left, max_bytes_setting="max_release_gib")

    def _siblings(self) -> list[Record]:
        """What the files of this source last gave."""
        return [
            record for record in self._archive.records() if record.fingerprint.url.rpartition("/")[0] + "/" == self.url
        ]

    def _source_file(self, table: SourceTable, record: Record, downloaded_bytes: int) -> SourceFile:
        others = self._siblings() if table.source.shares_release else []
        newest = max([record, *others], key=lambda sibling: sibling.last_modified)
        behind = newest.last_modified - record.last_modified
        if behind > RELEASE_WINDOW:
            _log.warning(
                "%s was published %s, %d hours before %s: these may be files of two releases. If NCBI is publishing "
                "right now, materialize %s again later; the sensor does so by itself. If not, NCBI left the file "
                "as it was.",
                record.fingerprint.url,
                record.last_modified.isoformat(),
                behind / timedelta(hours=1),
                newest.fingerprint.url,
                table.name,
            )
        return SourceFile(
            table_name=table.name,
            path=self._archive.address_of(record),
            sha256=record.sha256,
            content_sha256=record.content_sha256,
            release=record.release,
            url=record.fingerprint.url,
            byte_size=record.byte_size,
            last_modified=record.last_modified,
            downloaded_bytes=downloaded_bytes,
            hours_behind=round(behind / timedelta(hours=1), 1),
        )

    def _record(self, transport: Transport, fingerprint: Fingerprint, examined: Examined) -> Record:
        modified = transport.modified_at(fingerprint)
        stamps = (modified, examined.gzip_time) if transport.dates_publication else (examined.gzip_time, modified)
        published = next((stamp for stamp in stamps if stamp), datetime.now(UTC))
        return Record(
            fingerprint=fingerprint,
            sha256=examined.sha256,
            content_sha256=examined.content_sha256,
            byte_size=examined.byte_size,
            release=release_in(self.url) or published.date().isoformat(),
            last_modified=modified or published,
        )


def _download(transport: Transport, url: str, part: Path, *, is_gzip: bool) -> Fingerprint:
    """Download the file until it is still the published one afterwards.

    A file that is overwritten in place while a server reads it arrives as a mixture of two. A gzip file shows that by
    its checksum, a text file does not.
    """
    for _ in range(_REPLACEMENTS):
        fingerprint = _timed_download(transport, url, part)
        published = transport.probe(url)
        if not published.contradicts(fingerprint):
            return fingerprint
        _log.warning("%s: downloaded %s, and published is now %s; downloading again", url, fingerprint, published)
    examine(part, url=url, is_gzip=is_gzip)  # a login page is refused as such
    raise UnavailableSourceError(
        f"{url}: was replaced during each of {_REPLACEMENTS} downloads; at last {fingerprint} was downloaded and "
        f"{published} was published afterwards. Fetch it again when NCBI is done publishing."
    )


def _timed_download(transport: Transport, url: str, part: Path) -> Fingerprint:
    _log.info("%s: download starts", url)
    started = time.monotonic()
    fingerprint = transport.download(url, part)
    seconds = max(time.monotonic() - started, 1e-3)
    size = part.stat().st_size
    _log.info("%s: %d bytes in %.1f s (%.1f MB/s)", url, size, seconds, size / 1e6 / seconds)
    return fingerprint


def _split(url: str, setting: str) -> SplitResult:
    """Take a source URL apart, refuse what no transport understands, and repeat no password in a message."""
    known = ", ".join(f"{scheme}://" for scheme in TRANSPORTS)
    if "://" not in url and "@" not in url:  # a directory, perhaps one of Windows
        if found := re.match(r"([a-z][a-z0-9+.-]+):", url, re.IGNORECASE):
            raise UnusableSourceError(f"source with the scheme {found[1]}:// is not supported; known are {known}.")
        directory = Path(url).absolute().as_uri()
        raise UnusableSourceError(
            f"source {url!r} has no scheme; known are {known}. For the directory write {directory}"
        )
    try:
        source = split_url(url, "the source")
    except ValueError as error:
        raise UnusableSourceError(f"{error} Check {setting}.") from None
    if source.scheme not in TRANSPORTS:
        raise UnusableSourceError(f"source with the scheme {source.scheme}:// is not supported; known are {known}.")
    if source.query:
        raise UnusableSourceError(
            f"source {source.scheme}://{source.hostname or ''}{source.path}: a '?' follows; the URL must name a "
            "directory. In a file name write it %3F."
        )
    return source
