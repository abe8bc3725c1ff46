"""Where benches run: a release to load, a server of their own, and the same state before every measurement."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from medgen_pipeline.assets.tables import LoadConfig
from medgen_pipeline.catalog import Table
from medgen_pipeline.io_manager import DEFAULT_SCHEMA, MedgenSource, embedded_postgres
from medgen_pipeline.load import load_table
from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.release.sample import write_sample

# 134 makes 67 links to PubMed per concept: at scale 100 these are 16 of 22 million rows, as in a release of 2025.
_PUBMED_LINKS = 134
_OURS = ", ".join(f"{DEFAULT_SCHEMA}{suffix}" for suffix in ("", "_staging", "_changes", "_audit"))
# A gate that a small or odd release closes would end a bench, and a bench is about time.
OPEN_GATES: dict[str, Any] = {"max_rejected_percent": 100.0, "max_shrink_percent": 100.0, "max_growth_percent": 1e9}


@dataclass(frozen=True)
class Ground:
    """A running server with the settings users get (fsync on, wal_level=minimal) and the MEDGEN_HOME it belongs to."""

    home: Path
    dsn: str

    def execute(self, statement: str, *params: str) -> list[tuple[str, ...]]:
        """Run a statement outside a transaction."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), params or None)
            return cursor.fetchall() if cursor.description else []

    def settle(self) -> None:
        """Have the server write all it owes, so that the next measurement does not pay for it."""
        self.execute("CHECKPOINT")

    def clear(self) -> None:
        """Drop what our loads made."""
        self.execute(f"DROP SCHEMA IF EXISTS {_OURS} CASCADE")
        self.settle()

    def bring_to(self, table: Table, release: Path) -> None:
        """Load a release without measuring it."""
        source = MedgenSource(url=release.absolute().as_uri(), home=str(self.home))
        loader = LoaderFactory.create_loader(self.dsn, {"schema": DEFAULT_SCHEMA})
        load_table(loader, table, source.fetch(table), source.archive(), LoadConfig(**OPEN_GATES).options())
        self.settle()

    def offer(self, release: Path) -> str:
        """A URL of a release that no step has seen, so that its file is fetched although the archive has it."""
        alias = Path(tempfile.mkdtemp(prefix="offer-", dir=self.home)) / "release"
        alias.symlink_to(release.absolute())
        return alias.as_uri()


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


def sample_release(folder: Path, scale: float, *, successor: bool = False) -> Path:
    """The sample release of this scale below ``folder``; written once, which takes two minutes at scale 100."""
    release = folder / f"sample-{scale:g}{'-next' if successor else ''}"
    if not release.exists():
        draft = folder / f"{release.name}.new"
        write_sample(draft, scale=scale, successor=successor, pubmed_links=_PUBMED_LINKS)
        draft.rename(release)
    return release
