"""What the sensor says in the UI and in its log, in sentences. Nothing is decided here."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from medgen_pipeline.release import FileVersion, Look

_TOLERATED_SKEW = timedelta(minutes=5)
_MINUTE = timedelta(minutes=1)


def unreachable(error: str, since: datetime | None) -> str:
    """The source does not answer."""
    return f"{error} Unreachable since {_time(since)}. Nothing was asked for; the next tick looks again."


def remarks(seen: Look, url: str) -> Iterator[str]:
    """What is odd about the source, and no reason to stop following it."""
    if seen.unreadable:
        yield (
            f"The listing at {url} cannot be read, so every file was asked for by itself. NCBI may have changed it: "
            "look at the page, and for a newer medgen_pipeline."
        )
    if seen.skew and abs(seen.skew) > _TOLERATED_SKEW:
        yield (
            f"The clocks of this machine and of {url} differ by {abs(seen.skew) / _MINUTE:.0f} minutes. Waiting is "
            "measured on this machine's; set it right."
        )


def nothing_new(files: int, url: str) -> str:
    """Everything published is loaded."""
    return f"Nothing new: {files} files at {url} are as loaded."


def being_published(file_name: str, since: datetime, quiet: timedelta) -> str:
    """A release may not be complete yet."""
    return (
        f"A release is being published, as it seems: {file_name} changed at {since:%H:%M} UTC. It is complete when no "
        f"file has changed for {quiet / _MINUTE:g} minutes, at {since + quiet:%H:%M} UTC."
    )


def under_way(run_id: str, job: str, status: str, since: datetime) -> str:
    """A run makes what is wanted."""
    return (
        f"Run {run_id} ({job}, {status}) has been at work on what changed since {_time(since)}. If it hangs, terminate "
        "it; run monitoring in dagster.yaml does so by itself."
    )


def file_is_missing(file_name: str, table: str, since: datetime) -> str:
    """A file was there and is not any more."""
    return (
        f"{file_name} has been missing since {_time(since)}; {table} stays as it is. If NCBI renamed the file, look "
        "for a newer medgen_pipeline."
    )


def never_had(file_names: Iterable[str]) -> str:
    """Files were never seen at the source."""
    return f"The source never had {', '.join(file_names)}."


def pinned(file_name: str, table: str, release: str) -> str:
    """Another version is published than the one that the table was brought to by choice."""
    return f"{file_name} is not followed: {table} is pinned to release {release}. `medgen unpin {table}` lets it go."


def no_pins(error: str) -> str:
    """The warehouse does not answer, or not so that its pins could be read."""
    return f"Nothing was asked for, since the warehouse cannot say which tables are pinned; the next tick asks: {error}"


def went_back(
    file_name: str, published: FileVersion | None, loaded: FileVersion | None, due: datetime, key: str
) -> str:
    """An older version than the loaded one is published."""
    return (
        f"{file_name} went back in time: {published} is published and {loaded} is loaded. It is followed if that is "
        f"still so at {_time(due)}; to follow at once, materialize {key}."
    )


def not_again(key: str, why: str) -> str:
    """Another request would fail as the last one did."""
    return f"{key} is not asked for again: {why} Correct it and materialize {key}."


def given_up(key: str, attempts: int, why: str) -> str:
    """It was asked for often enough."""
    return (
        f"{key} was asked for {attempts} times and is given up: {why} Materialize {key} when the cause is gone; the "
        "next release is followed anyway."
    )


def again_later(key: str, due: datetime, why: str) -> str:
    """It is asked for again, but not yet."""
    return f"{key} is asked for again from {_time(due)}: {why}"


def held_back(keys: Iterable[str], check: str, of: str) -> str:
    """A blocking check of something upstream has failed."""
    return (
        f"{', '.join(sorted(keys))} is held back by the check {check} of {of}, which failed. Correct what it found and "
        f"materialize {of}."
    )


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
