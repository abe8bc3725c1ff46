"""Where benches run: a release to load, a server of their own, and the same clean state before every measurement.

What is measured is in ``step`` (ours) and ``baseline`` (psql's); what is compared is in ``load``.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from medgen_pipeline.catalog import Table
from medgen_pipeline.io_manager import DEFAULT_SCHEMA, embedded_postgres
from medgen_pipeline.release.sample import write_sample

# 134 makes 67 links to PubMed per concept: at scale 100 these are 16 of 22 million rows, as in a release of 2025.
_PUBMED_LINKS = 134
_OURS = ", ".join(f"{DEFAULT_SCHEMA}{suffix}" for suffix in ("", "_staging", "_changes", "_audit"))


@dataclass(frozen=True)
class Ground:
    """A running server with the settings users get (fsync on, wal_level=minimal) and the MEDGEN_HOME it belongs to."""

    home: Path
    dsn: str

    def clear(self) -> None:
        """Drop what our loads made, and have the server write all it owes, so that the next does not pay for it."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {_OURS} CASCADE".encode())
            connection.execute("CHECKPOINT")

    def indexes(self, table: Table) -> list[str]:
        """The definitions of the indexes our finished table has."""
        statement = "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = %s ORDER BY indexname"
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return [row[0] for row in connection.execute(statement, [DEFAULT_SCHEMA, table.name])]


@contextmanager
def open_ground(folder: Path) -> Iterator[Ground]:
    """A server below ``folder``, stopped and deleted at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    home.chmod(0o755)  # so that the server's user can pass, where root runs the bench
    server = embedded_postgres(home)
    try:
        yield Ground(home, server.ensure_running())
    finally:
        server.stop()
        shutil.rmtree(server.location, ignore_errors=True)
        shutil.rmtree(home)


def sample_release(folder: Path, scale: float) -> Path:
    """The sample release of this scale below ``folder``; written once, which takes two minutes at scale 100."""
    release = folder / f"sample-{scale:g}"
    if not release.exists():
        draft = folder / f"{release.name}.new"
        write_sample(draft, scale=scale, pubmed_links=_PUBMED_LINKS)
        draft.rename(release)
    return release
