"""How the bytes of a file travel: from an HTTP server or from a directory into a file of ours.

One class per kind of source; S3's is in ``s3``, and ``fetch`` says which URL scheme is which. A transport neither
knows the archive's layout nor judges what a file contains.
"""

import logging
import os
import re
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, ClassVar
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import url2pathname

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError
from urllib3.util.retry import Retry

from medgen_pipeline import __version__
from medgen_pipeline.release.archive import (
    Fingerprint,
    MissingSourceFileError,
    UnavailableSourceError,
    UnusableSourceError,
)

_log = logging.getLogger(__name__)

_BLOCK_BYTES = 256 << 10
_RETRIED_STATUSES = frozenset({408, 429, *range(500, 600)})
_MAX_RETRY_AFTER_SECONDS = 300
_MAX_LISTING_BYTES = 4 << 20
_LISTED = re.compile(r"<a\s[^>]*?href=[\"'](?P<href>[^\"'?]+)[\"'][^>]*>.*?</a>(?P<text>(?:(?!<a\s).)*)", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_TIME_OF_DAY = re.compile(r"\b\d\d:\d\d")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class TransferOptions:
    """How patient a transfer is.

    Attributes:
        attempts: Tries of one request, and of one file's body, before giving up.
        backoff_factor: Seconds; waits between tries are 0, then 2, 4, 8 ... times this, plus some at random.
        connect_timeout: Seconds until a connection stands.
        read_timeout: Seconds without a byte.
        max_bytes: A published file larger than this is refused; the largest seen had 240 MB.
        max_bytes_setting: What the error tells the user to raise.
        max_release_bytes: The same for all files of a source together; they had 350 MB in 2025.
        auth: User and password of a private mirror.
    """

    attempts: int = 6
    backoff_factor: float = 1.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    max_bytes: int = 5 << 30
    max_bytes_setting: str = "max_file_gib"
    max_release_bytes: int = 20 << 30
    auth: tuple[str, str] | None = field(default=None, repr=False)


class Transport(ABC):
    """One kind of source, made for one file and closed after it."""

    dates_publication: ClassVar[bool]
    """Whether the time of change is the publisher's; a copy in a directory often has the time of copying."""

    max_connections: ClassVar[int | None] = None
    """How many of these may be open to one host at once, counted over all processes; None for any number."""

    def __init__(self, options: TransferOptions) -> None:
        """Keep the options; nothing is opened yet."""
        self._options = options
        self.clock: datetime | None = None
        """What the source's clock showed at its last answer, where it tells."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the source needed."""

    @classmethod
    @abstractmethod
    def base_url(cls, source: SplitResult) -> str:
        """Return the source's URL with a slash at its end and no secrets in it, or raise."""

    @abstractmethod
    def probe(self, url: str) -> Fingerprint:
        """Return the fingerprint of the file as it is now, without reading it."""

    def list_files(self, base_url: str) -> dict[str, str] | None:
        """Return what one request tells of the files below ``base_url``: a text by name that changes with the file.

        The text is empty where it cannot be read. None stands for a kind of source that lists nothing.
        """
        del base_url
        return None

    @abstractmethod
    def download(self, url: str, part: Path) -> Fingerprint:
        """Write the whole file to ``part`` and return the fingerprint of exactly the version written."""

    @abstractmethod
    def modified_at(self, fingerprint: Fingerprint) -> datetime | None:
        """Return the fingerprint's time of change in UTC, or None where the source does not tell it."""

    def _refuse_oversize(self, url: str, size: int) -> None:
        if size > self._options.max_bytes:
            raise UnusableSourceError(
                f"{url}: {size} bytes or more, and at most {self._options.max_bytes} are accepted. "
                f"If the file is right, raise {self._options.max_bytes_setting} of the resource 'source'."
            )


class FileTransport(Transport):
    """A directory that holds a release under NCBI's file names. They are copied, for they may change."""

    dates_publication = False

    def close(self) -> None:
        """See :meth:`Transport.close`; nothing stays open."""

    @classmethod
    def base_url(cls, source: SplitResult) -> str:
        """See :meth:`Transport.base_url`."""
        if source.netloc not in {"", "localhost"} or not source.path.startswith("/"):
            raise UnusableSourceError(
                "source: a file:// URL holds an absolute path after three slashes; found the host "
                f"{source.hostname!r} and the path {source.path!r}. Write file:///directory."
            )
        return Path(url2pathname(source.path)).as_uri().rstrip("/") + "/"

    def probe(self, url: str) -> Fingerprint:
        """See :meth:`Transport.probe`."""
        with _open_source_file(url) as file:
            return _file_fingerprint(url, file)

    def download(self, url: str, part: Path) -> Fingerprint:
        """See :meth:`Transport.download`."""
        with _open_source_file(url) as file:
            fingerprint = _file_fingerprint(url, file)
            self._refuse_oversize(url, fingerprint.size or 0)
            with part.open("wb") as out:
                shutil.copyfileobj(file, out, _BLOCK_BYTES)
            if _file_fingerprint(url, file) != fingerprint or part.stat().st_size != fingerprint.size:
                raise UnavailableSourceError(f"{url}: the file changed while it was copied. Fetch it again.")
        return fingerprint

    def modified_at(self, fingerprint: Fingerprint) -> datetime:
        """See :meth:`Transport.modified_at`."""
        return datetime.fromtimestamp(int(fingerprint.modified) / 1e9, UTC)


def _open_source_file(url: str) -> BinaryIO:
    path = Path(url2pathname(urlsplit(url).path))
    try:
        if path.is_file():
            return path.open("rb")
    except PermissionError as error:
        raise UnusableSourceError(f"{url}: {error}. Make {path} readable.") from error
    if path.parent.is_dir():
        raise MissingSourceFileError(f"{url}: the directory {path.parent} holds no file {path.name}. Put it there.")
    raise MissingSourceFileError(f"{url}: there is no directory {path.parent}. Check MEDGEN_SOURCE_URL.")


def _file_fingerprint(url: str, file: BinaryIO) -> Fingerprint:
    status = os.fstat(file.fileno())
    return Fingerprint(url, str(status.st_mtime_ns), status.st_size)


class HttpTransport(Transport):
    """A web server such as NCBI's.

    ETag and Accept-Ranges were never seen from ftp.ncbi.nlm.nih.gov: they are used where sent and not needed.
    """

    dates_publication = True
    max_connections = 2  # NCBI was seen to drop clients that open more

    def __init__(self, options: TransferOptions) -> None:
        """Prepare a session; no connection is opened yet."""
        super().__init__(options)
        adapter = HTTPAdapter(max_retries=self._retries(other=0))
        self._session = requests.Session()
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._session.auth = options.auth
        self._session.headers["User-Agent"] = f"medgen_pipeline/{__version__} (mirror of NCBI MedGen)"
        # NCBI compresses .txt on the fly for who accepts it, with a wrong Content-Length or none.
        self._session.headers["Accept-Encoding"] = "identity"

    def close(self) -> None:
        """See :meth:`Transport.close`."""
        self._session.close()

    @classmethod
    def base_url(cls, source: SplitResult) -> str:
        """See :meth:`Transport.base_url`."""
        host = source.netloc.rpartition("@")[2]
        if not source.hostname:
            raise UnusableSourceError(f"source {source.scheme}://{host}{source.path}: the URL names no server.")
        path = quote(source.path, safe="/%:@!$&'()*+,;=~")
        return f"{source.scheme}://{host}{path.rstrip('/')}/"

    def probe(self, url: str) -> Fingerprint:
        """See :meth:`Transport.probe`."""
        with self._request("HEAD", url) as response:
            return _http_fingerprint(url, response)

    def list_files(self, base_url: str) -> dict[str, str]:
        """See :meth:`Transport.list_files`; a server that has no listing, or refuses it, is no error."""
        try:
            response = self._request("GET", base_url)
        except UnusableSourceError as error:
            _log.warning("%s", error)
            return {}
        page, deadline = b"", time.monotonic() + self._options.read_timeout
        with response:
            try:
                while block := response.raw.read1(_BLOCK_BYTES, decode_content=False):  # read() would wait for more
                    page += block
                    if len(page) > _MAX_LISTING_BYTES:
                        return {}
                    if time.monotonic() > deadline:  # a drop now and then would never time out
                        raise UnavailableSourceError(f"{base_url}: the listing comes too slowly. Try again later.")
            except HTTPError as error:
                raise _unreachable(base_url, error) from error
        return dict(_listed_files(page.decode("utf-8", "replace")))

    def download(self, url: str, part: Path) -> Fingerprint:
        """See :meth:`Transport.download`; a broken body is resumed where the version is proved the same."""
        retries = self._retries()
        version: Fingerprint | None = None
        with part.open("wb") as out:
            while True:
                with self._get(url, version, out.tell()) as response:
                    if version is None or response.status_code == requests.codes.ok:
                        out.seek(0)
                        out.truncate()
                        version = _http_fingerprint(url, response)
                        self._refuse_oversize(url, version.size or 0)
                    try:
                        self._receive(response, out, version)
                    except HTTPError as error:
                        broken = error
                    else:
                        return version
                retries = self._wait(retries, version, out.tell(), broken)

    def modified_at(self, fingerprint: Fingerprint) -> datetime | None:
        """See :meth:`Transport.modified_at`."""
        return _http_date(fingerprint.modified)

    def _get(self, url: str, version: Fingerprint | None, position: int) -> requests.Response:
        """Ask for the rest of the version begun, or for the whole file where that cannot be had."""
        validator = _validator(version) if version and position else ""
        if version and validator:
            wanted = {"Range": f"bytes={position}-", "If-Range": validator}
            response = self._request("GET", url, wanted)
            if response.status_code == requests.codes.ok or _continues(response, version, position):
                return response
            response.close()
        return self._request("GET", url)

    def _receive(self, response: requests.Response, out: BinaryIO, version: Fingerprint) -> None:
        progress = Progress(version.url, version.size)
        for block in response.raw.stream(_BLOCK_BYTES, decode_content=False):
            out.write(block)
            self._refuse_oversize(version.url, out.tell())
            progress.report(out.tell())
        if version.size is not None and out.tell() != version.size:
            raise ProtocolError(f"{out.tell()} bytes arrived and {version.size} were announced")

    def _request(self, method: str, url: str, headers: dict[str, str] | None = None) -> requests.Response:
        timeout = (self._options.connect_timeout, self._options.read_timeout)
        try:
            response = self._session.request(
                method, url, headers=headers, timeout=timeout, stream=True, allow_redirects=True
            )
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise UnusableSourceError(
                    f"{url}: the server's certificate is not trusted ({error}). Behind a proxy that inspects "
                    "TLS, set REQUESTS_CA_BUNDLE to its certificate."
                ) from error
            raise _unreachable(url, error) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.TooManyRedirects) as error:
            raise UnusableSourceError(f"{url}: {error}. Check MEDGEN_SOURCE_URL.") from error
        except requests.RequestException as error:
            raise _unreachable(url, error) from error
        self.clock = _http_date(response.headers.get("Date", ""))
        try:
            self._refuse_status(url, response, resuming=bool(headers))
        except BaseException:
            response.close()
            raise
        return response

    def _refuse_status(self, url: str, response: requests.Response, *, resuming: bool) -> None:
        status = response.status_code
        if status == requests.codes.ok or (resuming and status in {206, 416}):
            return
        answer = f"{url}: the server answered {status} {response.reason}"
        if status in _RETRIED_STATUSES:
            wish = response.headers.get("Retry-After")
            raise UnavailableSourceError(
                f"{answer}, at the last of {self._options.attempts} attempts; expected 200. "
                f"Try again {f'after what it asks for (Retry-After: {wish})' if wish else 'later'}."
            )
        if status in {404, 410}:
            raise MissingSourceFileError(f"{answer}; expected 200. Check MEDGEN_SOURCE_URL, or NCBI renamed the file.")
        raise UnusableSourceError(f"{answer}; expected 200. Check MEDGEN_SOURCE_URL, the proxy and your access.")

    def _retries(self, other: int | None = None) -> Retry:
        options = self._options
        return _PoliteRetry(
            total=options.attempts - 1,
            other=other,  # TLS trouble, which seldom clears by itself
            backoff_factor=options.backoff_factor,
            backoff_jitter=options.backoff_factor,
            status_forcelist=_RETRIED_STATUSES,
            allowed_methods=("HEAD", "GET"),
            raise_on_status=False,  # the last answer comes back, so that the error can name its status
        )

    def _wait(self, retries: Retry, version: Fingerprint, position: int, broken: HTTPError) -> Retry:
        size = "unknown" if version.size is None else version.size
        try:
            left = retries.increment("GET", version.url, error=broken)
        except (MaxRetryError, HTTPError) as error:
            raise UnavailableSourceError(
                f"{version.url}: broken off {self._options.attempts} times, at last after {position} "
                f"of {size} bytes ({broken}). Try again later."
            ) from error
        _log.warning("%s: broken off after %d of %s bytes (%s); trying again", version.url, position, size, broken)
        left.sleep()
        return left


class _PoliteRetry(Retry):
    """Retry-After is honoured up to five minutes; urllib3's own limit is six hours (2.8)."""

    def parse_retry_after(self, retry_after: str) -> float:
        return min(super().parse_retry_after(retry_after), _MAX_RETRY_AFTER_SECONDS)


class Progress:
    """A log line whenever another tenth of a file has arrived."""

    def __init__(self, url: str, size: int | None) -> None:
        """Say nothing yet; of a file of unknown size nothing is ever said."""
        self._url, self._size = url, size
        self._reported = 0

    def report(self, position: int) -> None:
        """So many bytes are here."""
        if not self._size:
            return
        tenths = position * 10 // self._size
        if self._reported < tenths < 10:
            self._reported = tenths
            _log.info("%s: %d %% of %.1f MB", self._url, tenths * 10, self._size / 1e6)


def _http_fingerprint(url: str, response: requests.Response) -> Fingerprint:
    length = response.headers.get("Content-Length", "")
    return Fingerprint(
        url=url,
        modified=response.headers.get("Last-Modified", ""),
        size=int(length) if length.isdecimal() else None,
        etag=response.headers.get("ETag", ""),
    )


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _listed_files(page: str) -> Iterator[tuple[str, str]]:
    """The files of an index page and the text behind each link, as Apache and nginx write them.

    Only that the text holds a time of day is asked of it: whatever else it is, it changes when the file does.
    """
    for link in _LISTED.finditer(page):
        name = unquote(link["href"]).rsplit("/", 1)[-1]
        text = " ".join(_TAG.sub(" ", link["text"]).split())
        if name:
            yield name, text if _TIME_OF_DAY.search(text) else ""


def _validator(version: Fingerprint) -> str:
    """Return what If-Range may carry; a weak ETag may not (RFC 9110, 13.1.5)."""
    return version.modified if version.etag.startswith("W/") else version.etag or version.modified


def _continues(response: requests.Response, version: Fingerprint, position: int) -> bool:
    """Whether a 206 is the rest of this version; a server may know Range and overlook If-Range."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (
        response.status_code == requests.codes.partial_content
        and found is not None
        and int(found[1]) == position
        and (found[2] == "*" or version.size in {None, int(found[2])})
        and response.headers.get("ETag", version.etag) == version.etag
        and response.headers.get("Last-Modified", version.modified) == version.modified
    )


def _unreachable(url: str, error: Exception) -> UnavailableSourceError:
    return UnavailableSourceError(f"{url}: cannot be reached ({error}). Check the network and the proxy, or try later.")
