"""A PostgreSQL server that the package starts by itself: for people without a server, and for the tests.

Here: starting and stopping the server of a ``cluster``. Not here: PostgreSQL's programs (``binaries``), MedGen's
schemas and tables (the loaders make them over the DSN, as on any other server), and when a server is needed (the
caller knows).

POSIX only: unix sockets, ``flock`` and user ids have no counterpart on Windows. Import it where it is needed.
"""

import fcntl
import os
import shlex
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from filelock import FileLock, Timeout

from medgen_pipeline.demo.binaries import EmbeddedServerError, runnable
from medgen_pipeline.demo.cluster import PORT, ROLE, Cluster, EmbeddedServerBusyError
from medgen_pipeline.settings import Settings

USER_SETTINGS: Mapping[str, str] = {
    # Nobody replicates from this server. With "minimal", COPY into a table of the same transaction writes no WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "shared_buffers": "512MB",
}
"""Settings for real data: nothing here gives up durability."""

TEST_SETTINGS: Mapping[str, str] = {
    **USER_SETTINGS,
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}
"""Settings for clusters that are thrown away: a power cut may destroy them."""

DATABASE = "medgen"

# Also the time for crash recovery and for the checkpoint of a shutdown, with up to max_wal_size of changes.
_SERVER_TIMEOUT = 120
_POLL = 0.05


class EmbeddedPostgres(Cluster):
    """A cluster and its server.

    The server outlives the process that started it, so that several processes can share it. They may all call
    ``ensure_running`` at once. Who may connect: whoever can enter the socket's folder, which is 0700. That is the
    server's own user and root; there is no TCP port. Hence ``trust``: ``peer`` would refuse root, whose name is
    neither the role's nor, since the server cannot run as root, the server user's.
    """

    def __init__(
        self, root: Path, settings: Mapping[str, str] = USER_SETTINGS, binaries: str = "", user: str = "nobody"
    ) -> None:
        """Touches nothing yet; ``settings`` are the server's, in force from the next start on."""
        super().__init__(root, binaries, user)
        self.settings = dict(settings)

    @classmethod
    def of(cls, settings: Settings) -> "EmbeddedPostgres":
        """The one that the environment's settings describe."""
        return cls(settings.directory / "postgres", binaries=settings.pg_bin, user=settings.pg_user)

    # What callers do

    def dsn(self, database: str = DATABASE) -> str:
        """A libpq URL for ``database``, whether the server runs or not."""
        host = quote(os.fsencode(self.socket_directory), safe="")
        return f"postgresql://{ROLE}@/{quote(database, safe='')}?host={host}&port={PORT}"

    def is_running(self) -> bool:
        """Whether the server accepts connections."""
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    def ensure_running(self) -> str:
        """Creates and starts what is missing, and returns the DSN of the ``medgen`` database.

        Raises:
            EmbeddedServerError: The server cannot be created or started here.
            EmbeddedServerBusyError: It is still starting or stopping after the time this call would wait.
        """
        try:
            self._make_folders()
            with self._one_at_a_time():
                if not self.is_running():
                    self._bring_up()
                self._create_database()
        except OSError as error:
            raise EmbeddedServerError(
                f"The embedded PostgreSQL under {self.root} cannot be used by user id {os.geteuid()}: {error}. "
                "Next: run as the user who created it, or set MEDGEN_HOME to a folder of your own on a local disk."
            ) from error
        return self.dsn()

    def stop(self) -> None:
        """Stops the server in fast mode: open transactions roll back, committed data stay. No server is fine too.

        Raises:
            EmbeddedServerError: The server runs where this process cannot see it, as in another container.
            EmbeddedServerBusyError: It is still shutting down after the time this call would wait.
        """
        if not self._data.exists():
            return
        with self._one_at_a_time():
            signalled = False
            deadline = time.monotonic() + _SERVER_TIMEOUT
            while self._server_is_alive():
                if not signalled and (postmaster := self._postmaster()):
                    os.kill(postmaster, signal.SIGINT)  # PostgreSQL's signal for a fast shutdown
                    signalled = True
                elif not signalled and self.is_running():
                    raise EmbeddedServerError(
                        f"The server of {self._data} answers, but its process is not visible here. "
                        "Next: stop it in the container that started it."
                    )
                if time.monotonic() > deadline:
                    raise EmbeddedServerBusyError(self._with_log(f"The server of {self._data} has not stopped yet."))
                time.sleep(_POLL)

    # Locks

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Holds the lock of whoever creates, starts or stops."""
        path = self.location / "start.lock"
        try:
            with FileLock(path, timeout=2 * _SERVER_TIMEOUT, mode=0o600):
                yield
        except Timeout as error:
            raise EmbeddedServerBusyError(
                f"Another process has held {path} for {2 * _SERVER_TIMEOUT} s, expected a few seconds. "
                "Next: try again; see which process starts or stops this server."
            ) from error

    @contextmanager
    def _liveness_lock(self) -> Iterator[int | None]:
        """A descriptor that holds the lock of a living server, or None where a server holds it.

        The server inherits the descriptor and so holds the lock until its last process has ended. A process id in
        ``postmaster.pid`` cannot tell that: after a restart of the machine or of a container it may be anybody's, and
        a server in another container on the same volume shows no process at all.
        """
        descriptor = os.open(self.location / "alive.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free = True
            except BlockingIOError:
                free = False
            yield descriptor if free else None
        finally:
            # Closed, not unlocked: LOCK_UN would take the lock from the server too.
            os.close(descriptor)

    def _server_is_alive(self) -> bool:
        with self._liveness_lock() as lock:
            return lock is None

    def _postmaster(self) -> int | None:
        """The main process, if ``postmaster.pid`` names one that works on this cluster."""
        try:
            process = int((self._data / "postmaster.pid").read_text().partition("\n")[0])
            if Path("/proc/self/cmdline").exists():  # macOS has no /proc
                command = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
                return process if os.fsencode(self._data) in command else None
            os.kill(process, 0)
        except (FileNotFoundError, ProcessLookupError, PermissionError, ValueError):
            return None
        return process

    def _create_database(self) -> None:
        try:
            with psycopg.connect(self.dsn("postgres"), autocommit=True, connect_timeout=10) as connection:
                known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if known is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError as error:
            raise EmbeddedServerBusyError(self._with_log(f"The server of {self._data} broke off: {error}")) from error

    # Starting

    def _bring_up(self) -> None:
        """Starts a server, or waits for one that is starting, recovering or shutting down."""
        deadline = time.monotonic() + _SERVER_TIMEOUT
        while time.monotonic() < deadline:
            with self._liveness_lock() as lock:
                if lock is not None:
                    self._start(lock)
                    return
            if self.is_running():
                return
            time.sleep(_POLL)
        raise EmbeddedServerBusyError(
            self._with_log(f"A server process of {self._data} is alive but has not answered for {_SERVER_TIMEOUT} s.")
        )

    def _start(self, lock: int) -> None:
        """Starts the server; it inherits ``lock``."""
        if unknown := self._postmaster():
            raise EmbeddedServerError(
                f"Process {unknown} is a server of {self._data} that this package has not started. Next: stop it."
            )
        self._make_private_folder(self.socket_directory)
        found, account = self._matching_binaries(), self._account
        binaries = runnable(found, account, self.location) if account else found.directory
        if not self._data.exists():
            self._create_cluster(binaries)
        self._remove_stale_lock_files()
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        # pg_ctl detaches the server into a session of its own: Ctrl-C in the terminal does not reach it. The output
        # is a file, because the server keeps it open and a reader of a pipe would wait for ever.
        self.log_file.touch(mode=0o600)  # it holds what went wrong, values included
        with self.log_file.open("wb") as log:
            done = self._run(
                [binaries / "pg_ctl", "start", "-s", "-w", "-t", str(_SERVER_TIMEOUT), "-o", self._server_options()],
                data=self._data,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
            )
        if done.returncode == 0:
            return
        if self._postmaster():
            raise EmbeddedServerBusyError(self._with_log(f"The server of {self._data} is still starting. Try again."))
        raise EmbeddedServerError(
            self._with_log(f"PostgreSQL from {binaries} does not start on {self._data} (log: {self.log_file}).")
        )

    def _server_options(self) -> str:
        """The server's command line, for the shell that pg_ctl starts it with."""
        socket_directory = str(self.socket_directory).replace('"', '""')  # an item of a list: "" is a quote in quotes
        settings = {
            **self.settings,
            "listen_addresses": "",
            "unix_socket_directories": f'"{socket_directory}"',
            "port": PORT,
        }
        # pg_ctl would put -D between double quotes as it is, so that a "$" in the path breaks it: hence by hand.
        options = ["-D", str(self._data)]
        for name, value in settings.items():
            options += ["-c", f"{name}={value}"]
        return shlex.join(options)

    def _remove_stale_lock_files(self) -> None:
        """Removes what a killed server left; only to be called while the liveness lock is held.

        PostgreSQL refuses to start when the process id in these files is alive and of the same user, whatever
        program that is. After a restart of a container ids repeat, so this happens.
        """
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        for leftover in self.socket_directory.glob(".s.PGSQL.*"):
            leftover.unlink()

    def _with_log(self, message: str) -> str:
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return message
        return "\n".join([message, "The end of its log:", *lines[-20:]])
