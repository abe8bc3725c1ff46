"""What lies below MEDGEN_HOME, and where that is. Nothing is created or opened here."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medgen_pipeline.loaders.embedded import EmbeddedPostgres


def medgen_home() -> Path:
    """Where the archive and the embedded database live: MEDGEN_HOME, or ``.medgen`` in the working directory."""
    return Path(os.environ.get("MEDGEN_HOME") or ".medgen").expanduser().absolute()


def embedded_postgres(home: Path | None = None) -> "EmbeddedPostgres":
    """The embedded database below ``home``."""
    # Imported here: the module needs POSIX, and somebody with a server of his own may be on Windows.
    from medgen_pipeline.loaders.embedded import EmbeddedPostgres

    return EmbeddedPostgres((home or medgen_home()) / "postgres")
