"""A release in a directory."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

from medgen_pipeline.release.errors import MissingSourceFileError, UnavailableSourceError, UnusableSourceError
from medgen_pipeline.release.records import Fingerprint
from medgen_pipeline.release.transport.base import BLOCK_BYTES, Transport, plausible


class FileTransport(Transport):
    """A directory that holds a release under NCBI's file names. They are copied, for they may change."""

    dates_publication = False

    def close(self) -> None:
        """See :meth:`Transport.close`; nothing stays open."""

    @classmethod
    def base_url(cls, source: SplitResult) -> str:
        if source.netloc not in {"", "localhost"} or not source.path.startswith("/"):
            raise UnusableSourceError(
                "source: a file:// URL holds an absolute path after three slashes; found the host "
                f"{source.hostname!r} and the path {source.path!r}. Write file:///directory."
            )
        return Path(url2pathname(source.path)).as_uri().rstrip("/") + "/"

    def probe(self, url: str) -> Fingerprint:
        with _open_source_file(url) as file:
            return _file_fingerprint(url, file)

    def download(self, url: str, part: Path) -> Fingerprint:
        with _open_source_file(url) as file:
            fingerprint = _file_fingerprint(url, file)
            self._refuse_oversize(url, fingerprint.size or 0)
            with part.open("wb") as out:
                while block := _read_source_file(url, file):
                    out.write(block)
            if _file_fingerprint(url, file) != fingerprint or part.stat().st_size != fingerprint.size:
                raise UnavailableSourceError(f"{url}: the file changed while it was copied. Fetch it again.")
        return fingerprint

    def modified_at(self, fingerprint: Fingerprint) -> datetime | None:
        return plausible(datetime.fromtimestamp, int(fingerprint.modified) / 1e9, UTC)


def _open_source_file(url: str) -> BinaryIO:
    """The file, wherever in its directory a link of that name leads; never one outside of the directory."""
    path = Path(url2pathname(urlsplit(url).path))
    try:
        directory = path.parent.resolve(strict=True)
        target = path.resolve(strict=True)
        if not target.is_relative_to(directory):
            raise UnusableSourceError(
                f"{url}: is a link that leads out of {path.parent}. Put the file itself there, or name the directory "
                "that it is in."
            )
        if target.is_file():
            return _open_below(directory, target.relative_to(directory).parts)
    except FileNotFoundError:
        pass
    except (OSError, RuntimeError) as error:  # pathlib's for links in a circle, until Python 3.13
        raise _unreadable(url, error) from error
    if path.parent.is_dir():
        raise MissingSourceFileError(f"{url}: the directory {path.parent} holds no file {path.name}. Put it there.")
    raise MissingSourceFileError(f"{url}: there is no directory {path.parent}. Check the URL of the source.")


def _open_below(directory: Path, parts: tuple[str, ...]) -> BinaryIO:
    """Open a file by its path below a directory, and follow no link on the way: one may have been put there just now.

    Where the system cannot do that (Windows), the path is opened as it was found.
    """
    if os.open not in os.supports_dir_fd:
        return directory.joinpath(*parts).open("rb")
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Without O_NONBLOCK a pipe of that name would be waited for.
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError
    return os.fdopen(file, "rb")


def _read_source_file(url: str, file: BinaryIO) -> bytes:
    try:
        return file.read(BLOCK_BYTES)
    except OSError as error:
        raise _unreadable(url, error) from error


def _unreadable(url: str, error: Exception) -> UnusableSourceError:
    return UnusableSourceError(f"{url}: the file cannot be read: {error}. Make it readable, or check its disk.")


def _file_fingerprint(url: str, file: BinaryIO) -> Fingerprint:
    status = os.fstat(file.fileno())
    return Fingerprint(url, str(status.st_mtime_ns), status.st_size)
