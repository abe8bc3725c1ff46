"""Where a release comes from: fetched from a server or a directory, verified, archived by SHA-256.

No Dagster and no warehouse here. Of the catalog only a table's file name and its compression are used.
What the bytes mean is the business of ``framing``.
"""

from medgen_pipeline.release.archive import (
    Archive,
    ArchiveError,
    MissingSourceFileError,
    RefusedFileError,
    SourceError,
    UnavailableSourceError,
    UnusableSourceError,
)
from medgen_pipeline.release.fetch import DEFAULT_SOURCE_URL, ReleaseSource, SourceFile
from medgen_pipeline.release.transport import TransferOptions

__all__ = [
    "DEFAULT_SOURCE_URL",
    "Archive",
    "ArchiveError",
    "MissingSourceFileError",
    "RefusedFileError",
    "ReleaseSource",
    "SourceError",
    "SourceFile",
    "TransferOptions",
    "UnavailableSourceError",
    "UnusableSourceError",
]
