"""What can go wrong with the source of a release and with the archive."""

from medgen_pipeline.errors import MedgenError, PermanentError, TransientError


class SourceError(MedgenError):
    """The source of a release did not give the file asked for."""


class UnusableSourceError(SourceError, PermanentError):
    """The source must be changed, or the setting that names it."""


class MissingSourceFileError(UnusableSourceError):
    """The source answers, and has no such file."""


class RefusedFileError(UnusableSourceError):
    """The file arrived whole and is not what it should be; it was not archived."""


class UnavailableSourceError(SourceError, TransientError):
    """The source could not be reached, or broke off, as often as was tried."""


class ConnectionsInUseError(UnavailableSourceError):
    """As many connections to a host are open as may be."""


class ArchiveError(PermanentError):
    """The archive's directory cannot be used."""
