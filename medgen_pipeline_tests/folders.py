"""Folders for servers that are thrown away, and what is in an archive's."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder made in it is its maker's alone
_ROOM = 4 << 30


def short_lived(prefix: str) -> Path:
    """A folder that every user may pass, in memory where there is room for it.

    On ext4 whoever makes a file passes by the inodes of all that were deleted in the last minutes: a new database
    costs four times as much. And not pytest's tmp_path: that is root's alone when root runs the tests, and too long
    for a socket on macOS.
    """
    fits = _MEMORY.is_mount() and shutil.disk_usage(_MEMORY).free > _ROOM
    runs = fits and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC  # what root's server runs as another user lies here
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if runs else None))
    folder.chmod(0o755)
    return folder


def files_under(root: Path) -> list[str]:
    """All files of an archive but its locks, which stay."""
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if path.parts[0] != "locks")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
