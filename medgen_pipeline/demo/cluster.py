"""The folder of one PostgreSQL cluster: where it is, whom it belongs to, and how it is created."""

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

from medgen_pipeline.demo.binaries import Account, Binaries, EmbeddedServerError, account_of, can_enter, find_binaries
from medgen_pipeline.errors import TransientError
from medgen_pipeline.home import close_to_others

ROLE = "medgen"

# Stated on both sides: PGPORT in the environment would otherwise move the server or send clients elsewhere.
PORT = "5432"
# For root's clusters only, where the server's user cannot reach the folder that was asked for.
_SYSTEM_STATE = Path("/var/lib/medgen_pipeline")
# For sockets whose own path would be too long. A fixed folder: $TMPDIR and $XDG_RUNTIME_DIR differ between a
# terminal, cron and a daemon, which must all find the same server, and the second is emptied at logout.
_SHORT = Path("/tmp")  # noqa: S108  # the folder made in it is 0700, and its owner is checked
# sun_path without its final NUL: 107 bytes on Linux, 103 on macOS.
_SOCKET_PATH_MAX = 103
_PROGRAM_TIMEOUT = 120


class EmbeddedServerBusyError(TransientError):
    """The embedded server is starting, stopping or held by another process for longer than this one would wait."""


class Cluster:
    """One PostgreSQL cluster under ``root``.

    Started by root, its server runs as ``nobody`` or as another user, or as the owner of a cluster that exists.
    No user is added and no mode of a folder above ``root`` is changed. What the server's user need not read, only the
    owner can; ``root`` itself may be passed by others where root starts the server, and not listed.
    """

    def __init__(self, root: Path, binaries: str = "", user: str = "nobody") -> None:
        """Touches nothing yet.

        Args:
            root: Its folder; created when needed.
            binaries: Folder of PostgreSQL's programs; empty: as ``find_binaries`` finds them.
            user: Whom the server runs as when root starts it.
        """
        self.binaries = binaries
        self.user = user
        self.root = Path(root).resolve()

    @property
    def location(self) -> Path:
        """Where the cluster lives: ``root``, or a folder under /var/lib where root's server user cannot reach it."""
        if os.geteuid() != 0 or (self.root / "data").exists():
            return self.root
        if (self._elsewhere / "data").exists():
            return self._elsewhere
        existing = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        return self.root if can_enter(existing, account_of(self.user)) else self._elsewhere

    @property
    def log_file(self) -> Path:
        """What the server said since its last start."""
        return self.location / "server.log"

    @property
    def socket_directory(self) -> Path:
        """The folder of the unix socket, which is what DSNs name as the host."""
        near = self.location / "socket"
        too_long = len(os.fsencode(near / f".s.PGSQL.{PORT}")) > _SOCKET_PATH_MAX
        # libpq splits a host at commas and knows no way to escape one.
        return _SHORT / f"medgen-pg-{self._digest}" if too_long or "," in str(near) else near

    @property
    def _data(self) -> Path:
        return self.location / "data"

    @property
    def _elsewhere(self) -> Path:
        return _SYSTEM_STATE / self._digest

    @property
    def _digest(self) -> str:
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]

    @property
    def _account(self) -> Account | None:
        """The server's user, or None where that is the user of this process."""
        if os.geteuid() != 0:
            return None
        if self._data.exists():
            owner = self._data.stat()
            return Account(owner.st_uid, owner.st_gid)
        return account_of(self.user)

    @property
    def exists(self) -> bool:
        """Whether the cluster was created."""
        return self._data.exists()

    def _make_folders(self) -> None:
        # The server's user has to pass, whatever the umask; there is nothing for it to list.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self.root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.root,) if self.location == self.root else (self.root, _SYSTEM_STATE, self.location):
            folder.mkdir(mode=mode, exist_ok=True)
            if folder.stat().st_uid == os.geteuid():
                folder.chmod(mode)
        for path in self.location.iterdir():  # the log, as an earlier version left it
            if path.is_file():
                close_to_others(path)
        if self.location == self.root:
            return
        (self.root / "LOCATION").write_text(
            "The embedded PostgreSQL of this folder is not in it, because the user the server runs as\n"
            "cannot enter this folder. Delete both together. The cluster is in:\n\n"
            f"{self.location}\n"
        )

    def _make_private_folder(self, folder: Path) -> None:
        """Makes ``folder`` one that only the server's user (and root) can enter."""
        folder.mkdir(mode=0o700, exist_ok=True)
        account = self._account
        found = folder.lstat()
        if account and found.st_uid == os.geteuid():
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
            found = folder.lstat()
        owner = account.uid if account else os.geteuid()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            # Somebody else's folder of this name in /tmp could listen in on every session.
            raise EmbeddedServerError(
                f"{folder} has owner {found.st_uid} and mode {stat.filemode(found.st_mode)}, expected a folder of "
                f"user id {owner} with mode drwx------. Next: find out who made it, remove it, and try again."
            )

    def _create_cluster(self, binaries: Path) -> None:
        """Runs initdb beside the final place, so that a killed initdb never looks like a cluster."""
        draft = self.location / "data.new"
        failures = []
        # Both sort by code point, so no upgrade of the system's locale data can spoil an index. Some systems have no
        # C.UTF-8. Sorted is by "C" in any case: C.UTF-8 is the same order, but PostgreSQL compares by it through the C
        # library, and an index on 2 M identifiers took twice as long (PostgreSQL 18.4, glibc).
        for locale in ("C.UTF-8", "C"):
            shutil.rmtree(draft, ignore_errors=True)
            self._make_private_folder(draft)
            done = self._run(
                [binaries / "initdb", "-U", ROLE, "-A", "trust", "-E", "UTF8", f"--locale={locale}", "--lc-collate=C"],
                data=draft,
                capture_output=True,
                text=True,
            )
            if done.returncode == 0:
                draft.rename(self._data)
                return
            failures.append(f"--locale={locale}: {done.stderr.strip()}")
        raise EmbeddedServerError(
            f"initdb from {binaries} could not create a cluster in {self._data}. It said:\n" + "\n".join(failures)
        )

    def _matching_binaries(self) -> Binaries:
        made_by = self._cluster_version()
        if made_by is None:
            return find_binaries(only=self.binaries)
        try:
            return find_binaries(made_by, self.binaries)
        except EmbeddedServerError as error:
            raise EmbeddedServerError(
                f"The cluster in {self._data} was made by PostgreSQL {made_by}; no other version can run it. {error} "
                "Or move the cluster away; a new one is created and loaded again."
            ) from error

    def _cluster_version(self) -> str | None:
        """The major version that made the cluster, None where there is no cluster yet."""
        if not self._data.exists():
            return None
        try:
            return (self._data / "PG_VERSION").read_text().strip()
        except FileNotFoundError as error:
            raise EmbeddedServerError(
                f"{self._data} holds no PostgreSQL cluster: its PG_VERSION is missing. "
                "Next: move that folder away; a new cluster is created and loaded again."
            ) from error

    def _run(self, command: list[str | Path], data: Path, **options: Any) -> subprocess.CompletedProcess[Any]:
        """Runs one of PostgreSQL's programs as the server's user."""
        # Not the whole environment: everything of the same user can read a process's environment, and a shared
        # "nobody" must not see cloud keys. PG* variables would change what the programs do.
        environment = {name: os.environ[name] for name in ("PATH", "TZ", "LD_LIBRARY_PATH") if name in os.environ}
        environment |= {"LC_ALL": "C", "PGDATA": str(data)}
        identity = self._account.as_arguments() if self._account else {}
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                timeout=_PROGRAM_TIMEOUT + 10,
                check=False,
                **identity,
                **options,
            )
        except subprocess.TimeoutExpired as error:
            raise EmbeddedServerBusyError(
                f"{command[0]} for {data} has not ended after {error.timeout:.0f} s. Next: try again when the machine "
                "is less busy."
            ) from error
