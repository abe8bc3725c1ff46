"""What can go wrong when tables are exported."""

from medgen_pipeline.errors import PermanentError, TransientError


class ExportError(PermanentError):
    """There is nothing to export, or it cannot be put where it should go."""


class PlaceUnavailableError(TransientError):
    """The place cannot be reached now, or somebody else exports to it."""


class MovingTablesError(TransientError):
    """Loads have changed tables again and again while they were exported."""
