"""What can go wrong, in two families: a retry cannot clear a permanent error and may clear a transient one.

Every package raises its own subclasses of these two, so that callers (the IO manager, retries, the failure hook) need
not know the packages. Messages name the object, expected against observed, and what to do next.
"""

import math

MOST_SECONDS = 7 * 24 * 60 * 60
"""The longest that anything waits: NCBI publishes once a week. PostgreSQL's own limits are at 24 days."""


class MedgenError(Exception):
    """Base of every error this package raises on purpose."""


class PermanentError(MedgenError):
    """The same call will fail the same way until somebody changes the input, the config or the warehouse."""


class TransientError(MedgenError):
    """A later attempt may succeed with nothing changed: a lost connection, a busy server, a held lock."""


class SettingError(PermanentError, ValueError):
    """A setting has a value that makes no sense."""


def missing_extra(what: str, package: str, extra: str) -> str:
    """The sentence where ``what`` needs a package that is not installed; ``extra`` of this package brings it."""
    return f"{what} needs {package}: pip install 'medgen_pipeline[{extra}]'."


def require_number(
    name: str, value: object, least: float = 0, most: float = math.inf, *, above: bool = False, whole: bool = False
) -> None:
    """Refuse what is no number of a range. Infinity and NaN are in none.

    Args:
        name: The setting, as users write it.
        value: What it was set to.
        least: The lowest value there may be.
        most: The highest.
        above: ``least`` itself is too low.
        whole: Fractions are refused.

    Raises:
        SettingError: It is not in the range; the message has name, value and range.
    """
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value) and not whole)
    if is_number and not isinstance(value, bool) and least <= value <= most and not (above and value == least):  # type: ignore[operator]  # a number
        return
    low, high = f"{least:,g}", f"{most:,g}"
    span = f"above {low}" if above else f"from {low}" if math.isfinite(most) else f"of {low} or more"
    span += (" and at most " if above else " to ") + high if math.isfinite(most) else ""
    raise SettingError(f"{name} is {value!r}, expected a {'whole ' if whole else ''}number {span}.")
