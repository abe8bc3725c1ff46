"""A release on a web server, such as NCBI's."""

import logging
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import responses as http_phrases
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, ReadTimeoutError
from urllib3.util.retry import Retry

from medgen_pipeline.release.errors import MissingSourceFileError, UnavailableSourceError, UnusableSourceError
from medgen_pipeline.release.records import Fingerprint
from medgen_pipeline.release.transport.base import BLOCK_BYTES, Progress, TransferOptions, Transport, plausible
from medgen_pipeline.release.transport.limits import AnswerLimits, LimitedAdapter
from medgen_pipeline.release.transport.listing import listed_files
from medgen_pipeline.release.transport.retries import PoliteRetry

_log = logging.getLogger(__name__)

_RETRIED_STATUSES = frozenset({408, 429, *range(500, 600)})
_MAX_REDIRECTS = 5
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9._:-]{1,253}", re.ASCII)
_MAX_LISTING_BYTES = 256 << 10  # NCBI's has 5 kB
_SIZE = re.compile(r"\d{1,18}", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.ASCII)
_MAX_HEADER_CHARACTERS = 256


class HttpTransport(Transport):
    """A web server such as NCBI's.

    ETag and Accept-Ranges were never seen from ftp.ncbi.nlm.nih.gov: they are used where sent and not needed.
    """

    dates_publication = True
    max_connections = 2  # NCBI was seen to drop clients that open more

    def __init__(self, options: TransferOptions) -> None:
        """Prepare a session; no connection is opened yet."""
        super().__init__(options)
        self._limits = AnswerLimits(options.answer_timeout, options.read_timeout)
        adapter = LimitedAdapter(self._limits, max_retries=self._retries(other=0))
        self._session = _Session()
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._session.headers["User-Agent"] = f"medgen_pipeline/{version('medgen_pipeline')} (mirror of NCBI MedGen)"
        # NCBI compresses .txt on the fly for who accepts it, with a wrong Content-Length or none.
        self._session.headers["Accept-Encoding"] = "identity"

    def close(self) -> None:
        self._session.close()

    @classmethod
    def base_url(cls, source: SplitResult) -> str:
        host = source.netloc.rpartition("@")[2]
        if not source.hostname:
            raise UnusableSourceError(f"source {source.scheme}://{host}{source.path}: the URL names no server.")
        if not _HOST.fullmatch(source.hostname):
            raise UnusableSourceError("source: the server's name has letters beyond ASCII; write it as xn--….")
        path = quote(source.path, safe="/%:@!$&'()*+,;=~")
        return f"{source.scheme}://{host}{path.rstrip('/')}/"

    def probe(self, url: str) -> Fingerprint:
        with self._request("HEAD", url) as response:
            return _http_fingerprint(url, response)

    def list_files(self, base_url: str) -> dict[str, str]:
        """See :meth:`Transport.list_files`; a server that has no listing, or refuses it, is no error."""
        try:
            response = self._request("GET", base_url)
        except UnusableSourceError as error:
            _log.warning("%s", error)
            return {}
        page = bytearray()
        with response:
            try:
                while block := response.raw.read1(BLOCK_BYTES, decode_content=False):  # read() would wait for more
                    page += block
                    if len(page) > _MAX_LISTING_BYTES:
                        return {}
            except ReadTimeoutError as error:
                raise UnavailableSourceError(f"{base_url}: the listing comes too slowly. Try again later.") from error
            except HTTPError as error:
                raise _unreachable(base_url, error) from error
        return dict(listed_files(page.decode("utf-8", "replace")))

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
        patience = BLOCK_BYTES / self._options.min_bytes_per_second
        due = out.tell() + BLOCK_BYTES
        self._limits.extend(patience)
        for block in response.raw.stream(BLOCK_BYTES, decode_content=False):
            out.write(block)
            self._refuse_oversize(version.url, out.tell())
            progress.report(out.tell())
            if out.tell() >= due:
                due = out.tell() + BLOCK_BYTES
                self._limits.extend(patience)
        if version.size is not None and out.tell() != version.size:
            raise ProtocolError(f"{out.tell()} bytes arrived and {version.size} were announced")

    def _request(self, method: str, url: str, headers: dict[str, str] | None = None) -> requests.Response:
        """The answer to a request, from where the source redirects to, as far as it may."""
        current = url
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._send(method, url, current, headers)
            if not response.is_redirect:
                break
            response.close()
            current = self._redirected(url, current, response.headers["Location"])
        else:
            raise UnusableSourceError(
                f"{url}: the server redirects more than {_MAX_REDIRECTS} times. Check {self._options.url_setting}."
            )
        self.clock = _http_date(_header(response, "Date"))
        try:
            self._refuse_status(url, response, resuming=bool(headers))
        except BaseException:
            response.close()
            raise
        return response

    def _send(self, method: str, url: str, current: str, headers: dict[str, str] | None) -> requests.Response:
        """One answer from ``current``, to which ``url`` has led; user and password are for the source's host alone."""
        timeout = (self._options.connect_timeout, self._options.read_timeout)
        auth = self._options.auth if _server(current)[0] == _server(url)[0] else None
        try:
            return self._session.request(
                method, current, headers=headers, timeout=timeout, auth=auth, stream=True, allow_redirects=False
            )
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise UnusableSourceError(
                    f"{url}: the server's certificate is not trusted ({error}). Behind a proxy that inspects "
                    "TLS, set REQUESTS_CA_BUNDLE to its certificate."
                ) from error
            raise _unreachable(url, error) from error
        except requests.exceptions.InvalidURL:  # which holds the whole URL, of the proxy too
            raise UnusableSourceError(
                f"{url}: this URL, or that of the proxy (HTTPS_PROXY), is malformed. Check {self._options.url_setting} "
                "and the proxy; percent-encode special characters of a password."
            ) from None
        except requests.RequestException as error:
            raise _unreachable(url, error) from error

    def _redirected(self, url: str, current: str, location: str) -> str:
        """The URL that ``location`` means, if the source may lead there.

        Anybody on the way could otherwise have us fetch, keep and show what only this machine can reach, such as the
        answers of a cloud's metadata server.
        """
        try:
            target = urljoin(current, location)
            scheme = urlsplit(target).scheme
            host, port = _server(target)
        except ValueError:
            raise UnusableSourceError(
                f"{url}: the server redirects to something that is no URL of a web server. "
                f"Check {self._options.url_setting}."
            ) from None
        if scheme == "http" and current.startswith("https:"):
            raise UnusableSourceError(
                f"{url}: the server redirects from https:// to http://, where anybody could change the file. "
                f"Set {self._options.url_setting} to a mirror that has https:// throughout."
            )
        own_host, own_port = _server(url)
        ours = host == own_host and (port == own_port or {port, own_port} <= set(_DEFAULT_PORTS.values()))
        names = [f"{host}:{port}", host] if port == _DEFAULT_PORTS[scheme] else [f"{host}:{port}"]
        if not ours and not any(name.lower() in names for name in self._options.hosts):
            raise UnusableSourceError(
                f"{url}: the server redirects to another one, {host}:{port}, expected {own_host}:{own_port}. If it is "
                f"meant to, allow it: MEDGEN_SOURCE_HOSTS={host}:{port}."
            )
        return target

    def _refuse_status(self, url: str, response: requests.Response, *, resuming: bool) -> None:
        status = response.status_code
        if status == requests.codes.ok or (resuming and status in {206, 416}):
            return
        answer = f"{url}: the server answered {status} {http_phrases.get(status, '(unknown to HTTP)')}"
        if status in _RETRIED_STATUSES:
            wish = _header(response, "Retry-After")
            raise UnavailableSourceError(
                f"{answer}, at the last of {self._options.attempts} attempts; expected 200. "
                f"Try again {f'after what it asks for (Retry-After: {wish})' if wish else 'later'}."
            )
        if status in {404, 410}:
            raise MissingSourceFileError(
                f"{answer}; expected 200. Check {self._options.url_setting}, or NCBI renamed the file."
            )
        raise UnusableSourceError(
            f"{answer}; expected 200. Check {self._options.url_setting}, the proxy and your access."
        )

    def _retries(self, other: int | None = None) -> Retry:
        options = self._options
        return PoliteRetry(
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
        _log.warning("%s: broken off after %d of %s bytes (%s)", version.url, position, size, broken)
        left.sleep()
        return left


class _Session(requests.Session):
    """Takes no redirect for one: even where it follows none, requests would read all of the answer and parse it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


def _header(response: requests.Response, name: str) -> str:
    """A header, or "" where it is missing or too long to be meant."""
    value = response.headers.get(name, "")
    return value if len(value) <= _MAX_HEADER_CHARACTERS else ""


def _http_fingerprint(url: str, response: requests.Response) -> Fingerprint:
    length = response.headers.get("Content-Length", "").strip()
    if length.isdecimal() and not _SIZE.fullmatch(length):
        raise UnusableSourceError(
            f"{url}: the server announces a size of {len(length)} digits (Content-Length). Check the URL and the proxy."
        )
    return Fingerprint(
        url=url,
        modified=_header(response, "Last-Modified"),
        size=int(length) if length.isdecimal() else None,
        etag=_header(response, "ETag"),
    )


def _http_date(text: str) -> datetime | None:
    """A header's time in UTC, or None where it is none or makes no sense."""

    def parsed() -> datetime:
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    return plausible(parsed)


def _server(url: str) -> tuple[str, int]:
    """Host and port of a web server.

    Raises:
        ValueError: The URL names none, or a user, whom only the source's own URL may name.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or not _HOST.fullmatch(host):
        raise ValueError("no URL of a web server")
    return host, _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port


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
