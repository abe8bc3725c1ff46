"""What lies below MEDGEN_HOME, where that is, and who may read it: its owner alone."""

import errno
import os
import stat
from pathlib import Path

from medgen_pipeline.errors import PermanentError


def home_directory(home: str = "") -> Path:
    """Where the archive and the embedded database are: ``home``, or ``.medgen`` in the working directory."""
    return Path(home or ".medgen").expanduser().absolute()


class HomeError(PermanentError):
    """Nothing can be written below MEDGEN_HOME."""


def folder_below(home: Path, name: str) -> Path:
    """A private folder below MEDGEN_HOME, which is ``home``; made where it is missing.

    Raises:
        HomeError: It cannot be made or written to.
    """
    folder = home / name
    try:
        make_private(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as error:
        raise HomeError(
            f"MEDGEN_HOME is {home}, and the folder {name} in it cannot be written: {error}. Make it "
            "writable, or set MEDGEN_HOME to a folder of your own."
        ) from error
    return folder


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can enter; of one that an earlier version left open, all is closed.

    Nothing is changed in a folder of somebody else, who has opened it to us.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if os.name != "posix" or not found.st_mode & 0o077 or found.st_uid != os.geteuid():
        return
    for path in folder.rglob("*"):
        close_to_others(path)
    folder.chmod(0o700)  # at last: it says that the rest is done


def close_to_others(path: Path) -> None:
    """Take the rights of everybody but the owner from a file or folder of ours; links and what has gone are left."""
    try:
        found = path.lstat()
        if found.st_mode & 0o077 and found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode):
            path.chmod(stat.S_IMODE(found.st_mode) & ~0o077)
    except FileNotFoundError:  # another process tidies up
        return
