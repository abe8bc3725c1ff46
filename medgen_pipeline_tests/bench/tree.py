"""A command in a process tree of its own: how long it took, and the most memory that the tree had at a time."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Command:
    """What a command did.

    Attributes:
        began: When it was started, in seconds since 1970.
        seconds: Until it had ended.
        peak_mb: The largest sum over its processes of their proportional set sizes (PSS), in which a page that several
            of them share counts once; 0 where there is no /proc.
        printed: What it wrote.
    """

    began: float
    seconds: float
    peak_mb: float
    printed: str


def run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> Command:
    """Run a command to its end.

    Raises:
        RuntimeError: It ended with another status than 0.
    """
    peaks, ended = [0], threading.Event()
    began, started = time.time(), time.monotonic()
    # A session of its own, by which /proc tells who belongs to it whoever the parent is.
    process = subprocess.Popen(
        arguments,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )

    def look() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            peaks.append(sum(_proportional_kb(process.pid)))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        printed, _ = process.communicate()
        seconds = time.monotonic() - started
    finally:
        ended.set()
        looking.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}:\n{printed}")
    return Command(began, seconds, max(peaks) / 1024, printed)


def _proportional_kb(session: int) -> Iterator[int]:
    """The PSS of each process of a session."""
    for entry in _PROC.glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == session:
                lines = (entry / "smaps_rollup").read_text().splitlines()
                yield next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (ProcessLookupError, FileNotFoundError, PermissionError, StopIteration):  # it has just ended
            continue
