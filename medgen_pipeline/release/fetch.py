"""Fetching one file of a release: ask whether it is known, download, examine, archive, name the release.

How bytes travel is in ``transport``, what is kept and what is refused in ``archive``.
"""

import logging
import re
import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.release.archive import Archive, Examined, Fingerprint, Record, UnusableSourceError
from medgen_pipeline.release.transport import TRANSPORTS, TransferOptions, Transport

_log = logging.getLogger(__name__)

DEFAULT_SOURCE_URL = "https://ftp.ncbi.nlm.nih.gov/pub/medgen/"


@dataclass(frozen=True)
class SourceFile:
    """One published file in the archive.

    Attributes:
        table_name: The catalog's name of the table.
        path: The archived file, as published: compressed where NCBI compresses it.
        sha256: Of the published bytes.
        content_sha256: Of the decompressed bytes; NCBI compresses unchanged tables anew, with a new stamp.
        release: ISO date.
        url: Where it came from, without user and password.
        byte_size: Of the published bytes.
        last_modified: UTC.
        downloaded_bytes: 0 where the file was known already and nothing was fetched.
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


class ReleaseSource:
    """A place that publishes MedGen's files under NCBI's names: NCBI itself, a mirror, or a directory."""

    def __init__(self, url: str, archive: Archive, options: TransferOptions | None = None) -> None:
        """Check the URL; nothing is contacted.

        Args:
            url: Of the directory that holds the files: https://, http:// or file://.
            archive: Where fetched files are kept.
            options: Patience and limits.

        Raises:
            UnusableSourceError: The URL cannot be used.
        """
        source = _split(url)
        self._transport = TRANSPORTS[source.scheme]
        self._archive = archive
        self._options = options or TransferOptions()
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
        url = self.url + quote(table.file_name)
        with self._archive.reserve(url) as part, closing(self._transport(self._options)) as transport:
            known = self._archive.recall(url)
            if known and transport.probe(url).proves_unchanged(known.fingerprint):
                _log.info("%s: unchanged since %s", url, known.last_modified.isoformat())
                return self._source_file(table, known, downloaded_bytes=0)
            fingerprint = _timed_download(transport, url, part)
            examined = self._archive.admit(part, url=url, is_gzip=table.is_gzip)
            record = self._record(transport, fingerprint, examined)
            self._archive.remember(record)
        return self._source_file(table, record, downloaded_bytes=record.byte_size)

    def _source_file(self, table: SourceTable, record: Record, downloaded_bytes: int) -> SourceFile:
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
            release=_release_in(self.url) or published.date().isoformat(),
            last_modified=modified or published,
        )


def _timed_download(transport: Transport, url: str, part: Path) -> Fingerprint:
    _log.info("%s: download starts", url)
    started = time.monotonic()
    fingerprint = transport.download(url, part)
    seconds = max(time.monotonic() - started, 1e-3)
    size = part.stat().st_size
    _log.info("%s: %d bytes in %.1f s (%.1f MB/s)", url, size, seconds, size / 1e6 / seconds)
    return fingerprint


def _release_in(base_url: str) -> str | None:
    """Return the last part of a URL if it is a date; people keep old releases so (/mirror/2021-08-20/)."""
    name = base_url.rstrip("/").rsplit("/", 1)[-1]
    try:
        return date.fromisoformat(name).isoformat() if re.fullmatch(r"\d{4}-\d\d-\d\d", name) else None
    except ValueError:
        return None


def _split(url: str) -> SplitResult:
    """Take a source URL apart, refuse what no transport understands, and repeat no password in a message."""
    known = ", ".join(f"{scheme}://" for scheme in TRANSPORTS)
    try:
        source = urlsplit(url)
        _ = source.port  # urlsplit looks at the port only when asked
    except ValueError as error:
        raise UnusableSourceError(f"the source is not a URL ({error}). Check MEDGEN_SOURCE_URL.") from error
    if len(source.scheme) < 2:  # none, or a Windows drive
        written = source.path if source.netloc else url
        directory = Path(written).absolute().as_uri()
        raise UnusableSourceError(
            f"source {written!r} has no scheme; known are {known}. For the directory write {directory}"
        )
    if source.scheme not in TRANSPORTS:
        raise UnusableSourceError(f"source with the scheme {source.scheme}:// is not supported; known are {known}.")
    if source.query or source.fragment:
        raise UnusableSourceError(
            f"source {source.scheme}://{source.hostname or ''}{source.path}: a '?' or '#' follows; the URL "
            "must name a directory. In a file name write them %3F and %23."
        )
    return source
