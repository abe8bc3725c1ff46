"""What a source publishes right now, against what it published when it was last looked at. Nothing is fetched here.

One request for the listing, and a HEAD for each file whose line in it proves nothing: because it is new, has changed,
or is so young that a second change could hide in it. A line is compared as text and never read: it shows minutes in
the server's time zone and a rounded size. Times come from HEAD, which tells UTC to the second.

Whether a change is worth a load is decided by who asks (``release_sensor``); what is remembered between two looks is
:class:`SourceMemory`, which is the sensor's cursor.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import AwareDatetime, PlainSerializer, PlainValidator, TypeAdapter

from medgen_pipeline.catalog import SourceTable
from medgen_pipeline.release.errors import MissingSourceFileError, UnavailableSourceError, UnusableSourceError
from medgen_pipeline.release.transport.base import Transport

# For so long a file's line may stay the same although the file changes once more: minutes hide what happens within
# one, and when daylight saving time ends, the server's clock shows the same hour twice.
_LINE_PROVES_NOTHING_FOR = timedelta(minutes=61)


@dataclass(frozen=True)
class FileVersion:
    """Which version of a file this is, as a probe can tell before the file is read. As text: ``TIME/BYTES``.

    Attributes:
        modified: The source's time of change, UTC.
        size: Published bytes, or None where the source does not say.
    """

    modified: datetime
    size: int | None

    def __str__(self) -> str:
        """For people, the cursor and data versions, for example ``2026-11-18T23:30:00Z/3067647``."""
        return f"{_text(self.modified)}/{'?' if self.size is None else self.size}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what :meth:`__str__` wrote."""
        modified, _, size = text.partition("/")
        return cls(_moment(modified), None if size == "?" else int(size))

    def matches(self, other: "FileVersion") -> bool:
        """Whether both may be the same version: the times are equal, and so are the sizes that are known."""
        return self.modified == other.modified and (None in {self.size, other.size} or self.size == other.size)


def _version(found: object) -> FileVersion:
    return found if isinstance(found, FileVersion) else FileVersion.parse(str(found))


@dataclass(frozen=True)
class Sighting:
    """One file, as it was last seen.

    Attributes:
        listed: Its line in the listing, without the name; empty where that could not be read.
        version: None where the file was there once and is not any more.
        since: When this version was first seen here; at the very first look, when it was published.
        checked: When the source was last asked for this very file.
    """

    listed: str
    version: Annotated[FileVersion, PlainValidator(_version), PlainSerializer(str)] | None
    since: AwareDatetime
    checked: AwareDatetime

    def is_proved_by(self, line: str) -> bool:
        """Whether this line says that nothing has changed."""
        return bool(line) and line == self.listed and self.checked - self.since >= _LINE_PROVES_NOTHING_FOR


@dataclass(frozen=True)
class SourceMemory:
    """What is remembered of one source between two looks.

    Attributes:
        source: Its URL; what is known of one source says nothing about another.
        began: When it was first looked at.
        files: By file name, those that were seen at least once.
        unreachable_since: The first of the looks in a row that failed.
    """

    source: str
    began: AwareDatetime
    files: Mapping[str, Sighting] = field(default_factory=dict)
    unreachable_since: AwareDatetime | None = None

    def unreachable(self, now: datetime) -> Self:
        """The memory after a look that failed."""
        return replace(self, unreachable_since=self.unreachable_since or now)

    def fields(self) -> dict[str, Any]:
        """The memory as JSON has it."""
        fields: dict[str, Any] = _MEMORY.dump_python(self, mode="json")
        return fields

    @staticmethod
    def of_fields(fields: Mapping[str, Any]) -> "SourceMemory":
        """Read what :meth:`fields` gave.

        Raises:
            ValueError: These are other fields.
        """
        return _MEMORY.validate_python(fields)


_MEMORY = TypeAdapter(SourceMemory)


@dataclass(frozen=True)
class Look:
    """What a look found.

    Attributes:
        memory: The memory after it.
        skew: How far the source's clock is ahead of ours, where it tells its time.
        unreadable: Whether the source should have a listing and has none that can be read, so that every file was
            asked for by itself.
    """

    memory: SourceMemory
    skew: timedelta | None
    unreadable: bool


def look(
    transport: Transport, tables: Iterable[SourceTable], memory: SourceMemory, now: datetime, seconds: float
) -> Look:
    """Find out which version of each table's file is published.

    Args:
        transport: Open.
        tables: Whose files are looked for.
        memory: Of the last look at this source; its ``source`` is what is looked at.
        now: By our own clock, by which all waiting is measured. The source's clock may be wrong or several.
        seconds: The look is given up after this time.

    Raises:
        UnavailableSourceError: The source cannot be reached, or takes too long.
        UnusableSourceError: The source does not tell when a file changed, or has none of the files.
    """
    deadline = time.monotonic() + seconds
    tables = list(tables)
    listing = transport.list_files(memory.source)
    lines = listing or {}
    listed = any(table.file_name in lines for table in tables)
    files: dict[str, Sighting] = {}
    for table in tables:
        known = memory.files.get(table.file_name)
        if known and known.since > now:  # our clock was put back
            known = replace(known, since=now)
        line = lines.get(table.file_name, "")
        if known and known.version and known.is_proved_by(line):
            files[table.file_name] = known
            continue
        if listed and table.file_name not in lines:
            version = None
        elif time.monotonic() > deadline:
            raise UnavailableSourceError(f"{memory.source}: did not answer for every file within {seconds:.0f} s.")
        else:
            version = _probe(transport, memory.source + quote(table.file_name))
        if known or version:
            since = _since(known, version, now) if memory.files else _by_its_own_time(version, transport.clock, now)
            files[table.file_name] = Sighting(line, version, since, now)
    if not any(sighting.version for sighting in files.values()):
        source = tables[0].source
        raise UnusableSourceError(f"{memory.source}: has none of {source.title}'s files. Check {source.setting}.")
    return Look(
        memory=replace(memory, files=files, unreachable_since=None),
        skew=transport.clock - now if transport.clock else None,
        unreadable=listing is not None and not listed,
    )


def _probe(transport: Transport, url: str) -> FileVersion | None:
    try:
        fingerprint = transport.probe(url)
    except MissingSourceFileError:
        return None
    modified = transport.modified_at(fingerprint)
    if modified is None:
        raise UnusableSourceError(
            f"{url}: the server does not say when the file changed (Last-Modified), so releases cannot be followed. "
            "If this is an outage or a login page, wait or check the proxy; else use the schedule, not the sensor."
        )
    return FileVersion(modified, fingerprint.size)


def _since(known: Sighting | None, version: FileVersion | None, now: datetime) -> datetime:
    """Since when a version is there, by what was seen before."""
    return known.since if known and known.version == version else now


def _by_its_own_time(version: FileVersion | None, clock: datetime | None, now: datetime) -> datetime:
    """Since when a version is there of which only its own time is known.

    That is believed at the very first look alone: a copy that keeps the time of its original may appear much later.
    """
    return now - max((clock or now) - version.modified, timedelta()) if version else now


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without its zone: {text!r}")
    return moment
