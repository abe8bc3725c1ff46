"""What can go wrong, in two families: a retry cannot clear a permanent error and may clear a transient one.

Every room raises its own subclasses of these two, so that callers (the IO manager, retries, the failure hook) need
not know the rooms. Messages name the object, expected against observed, and what to do next.
"""


class MedgenError(Exception):
    """Base of every error this package raises on purpose."""


class PermanentError(MedgenError):
    """The same call will fail the same way until somebody changes the input, the config or the warehouse."""


class TransientError(MedgenError):
    """A later attempt may succeed with nothing changed: a lost connection, a busy server, a held lock."""
