"""The archive's directory: private folders, locks between processes, and the second tier that has a copy of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from medgen_pipeline.home import make_private
from medgen_pipeline.release.errors import ArchiveError


class ObjectStore(Protocol):
    """A second tier of the archive: objects by name."""

    url: str

    def upload(self, path: Path, name: str, *, replace: bool = False) -> None:
        """Store a file under a name; an object of the same name and size may be left alone."""

    def download(self, name: str, path: Path) -> bool:
        """Write the object to ``path``, or return False where there is none."""


class ArchiveFolder:
    """A directory that any number of processes may use at once."""

    def __init__(self, root: Path, remote: ObjectStore | None = None) -> None:
        """Name the directory and its second tier; nothing is made yet."""
        self.root = root
        self.has_copy = remote is not None
        self._remote = remote

    def make(self, *folders: str | Path) -> None:
        """Make folders of the archive, which none but their owner can enter."""
        make_private(self.root)
        for folder in folders:
            (self.root / folder).mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Raise what the file system refuses as an error that says what to do.

        Raises:
            ArchiveError: The directory cannot be used.
        """
        try:
            yield
        except OSError as error:
            raise ArchiveError(
                f"archive {self.root}: {error}. Make the directory writable, free disk space, "
                "or point MEDGEN_HOME elsewhere."
            ) from error

    def lock(self, name: str) -> FileLock:
        """A lock between processes, which the system frees when its holder dies."""
        return FileLock(self.root / "locks" / f"{name}.lock", mode=0o600)

    def copy_out(self, path: Path, *, replace: bool = False) -> None:
        """Give the second tier a file of the archive, where there is such a tier."""
        if self._remote:
            self._remote.upload(path, self._name_of(path), replace=replace)

    def copy_in(self, path: Path, draft: Path) -> bool:
        """Write the second tier's copy of ``path`` to ``draft``, or return False where there is none."""
        return self._remote is not None and self._remote.download(self._name_of(path), created(draft))

    def _name_of(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def created(path: Path) -> Path:
    """Create a file that only its owner can read, before anybody writes to it."""
    path.touch(mode=0o600)
    return path
