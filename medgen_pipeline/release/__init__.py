"""Where a release comes from: seen at a server, a bucket or a directory, fetched, verified, archived by SHA-256.

No Dagster and no warehouse here. Of the catalog only sources and their files' names are used. What the bytes
mean is the business of ``rows``.
"""

from medgen_pipeline.release.archive import Archive
from medgen_pipeline.release.errors import (
    ArchiveError,
    ConnectionsInUseError,
    MissingSourceFileError,
    RefusedFileError,
    SourceError,
    UnavailableSourceError,
    UnusableSourceError,
)
from medgen_pipeline.release.fetch import RELEASE_WINDOW, ReleaseSource, SourceFile
from medgen_pipeline.release.probe import FileVersion, Look, SourceMemory
from medgen_pipeline.release.records import Record
from medgen_pipeline.release.transport.base import TransferOptions
from medgen_pipeline.release.transport.s3 import S3Store

__all__ = [
    "RELEASE_WINDOW",
    "Archive",
    "ArchiveError",
    "ConnectionsInUseError",
    "FileVersion",
    "Look",
    "MissingSourceFileError",
    "Record",
    "RefusedFileError",
    "ReleaseSource",
    "S3Store",
    "SourceError",
    "SourceFile",
    "SourceMemory",
    "TransferOptions",
    "UnavailableSourceError",
    "UnusableSourceError",
]
