"""Where benches run: a release to load, a server of their own, and the same state before every measurement."""

import gzip
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.catalog.sources.medgen import TABLES
from medgen_pipeline.demo.embedded_postgres import USER_SETTINGS, EmbeddedPostgres
from medgen_pipeline.demo.sample_release import write_sample
from medgen_pipeline.loaders import LoaderFactory
from medgen_pipeline.loaders.config import DEFAULT_SCHEMA
from medgen_pipeline.loading.file_load import load_table, open_published
from medgen_pipeline.orchestration.assets.tables import LoadConfig
from medgen_pipeline.orchestration.resources import MedgenSource

# 134 makes 67 links to PubMed per concept: at scale 100 these are 16 of 22 million rows, as in a release of 2025.
_PUBMED_LINKS = 134
_OURS = ", ".join(f"{DEFAULT_SCHEMA}{suffix}" for suffix in ("", "_staging", "_changes", "_audit", "_history"))
# A gate that a small or odd release closes would end a bench, and a bench is about time.
OPEN_GATES: dict[str, Any] = {"max_rejected_percent": 100.0, "max_shrink_percent": 100.0, "max_growth_percent": 1e9}

# As servers of users are. With the embedded one's wal_level=minimal, raw copies and loads skip the write-ahead log.
SERVER = {**USER_SETTINGS, "wal_level": "replica"}


@dataclass(frozen=True)
class Ground:
    """A running server, fsync on, and the MEDGEN_HOME it belongs to."""

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

    def bring_to(self, table: SourceTable, release: Path) -> None:
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
    server = EmbeddedPostgres(home / "postgres", SERVER)
    try:
        yield Ground(home, server.ensure_running())
    finally:
        server.stop()
        shutil.rmtree(server.location, ignore_errors=True)
        shutil.rmtree(home)


def sample_release(folder: Path, scale: float) -> Path:
    """The sample release of this scale; writing it takes two minutes at scale 100."""
    write = partial(write_sample, scale=scale, pubmed_links=_PUBMED_LINKS)
    return _written_once(folder / f"sample-{scale:g}", write)


def sample_weeks(folder: Path, scale: float) -> tuple[Path, Path]:
    """Two samples that differ as two weeks do: each lacks one line in 5,000 that the other has.

    The sample's own successor changes one row in 30.
    """
    whole = sample_release(folder, scale)
    old = _written_once(folder / f"{whole.name}-old", partial(_thin_out, whole, 1))
    return old, _written_once(folder / f"{whole.name}-new", partial(_thin_out, whole, 2))


def _written_once(release: Path, write: Callable[[Path], object]) -> Path:
    if not release.exists():
        draft = release.with_name(f"{release.name}.draft")
        draft.mkdir(parents=True, exist_ok=True)
        write(draft)
        draft.rename(release)
    return release


def _thin_out(release: Path, place: int, target: Path) -> None:
    for table in TABLES:
        path = target / table.file_name
        with (
            gzip.open(path, "wb", compresslevel=1) if table.is_gzip else path.open("wb") as out,
            open_published(table, release / path.name) as lines,
        ):
            out.writelines(line for number, line in enumerate(lines) if number % 5_000 != place)
