"""What the sensor remembers from tick to tick, as text. docs/schedule.md describes it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from medgen_pipeline.release import SourceMemory


@dataclass(frozen=True)
class Asked:
    """What was asked for an asset, and how often.

    Attributes:
        state: A table's version, or the storage id of another asset's newest materialization at that time: as long as
            that has not changed, what was asked for has not come about.
        attempts: Requests for this state.
        at: Time of the last one.
        run_key: Of the last one.
    """

    state: str
    attempts: int
    at: str
    run_key: str


@dataclass(frozen=True)
class Cursor:
    """What is remembered of the source, and what was asked for, by asset."""

    memory: SourceMemory
    asked: Mapping[str, Asked] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, source: str, now: datetime) -> "Cursor":
        """The cursor of this source; an empty one where the text is damaged or of another source."""
        try:
            fields = json.loads(text or "{}")
            cursor = cls(
                memory=SourceMemory.of_fields(fields),
                asked={key: Asked(**asked) for key, asked in fields["asked"].items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            cursor = cls(SourceMemory("", now))
        return cursor if cursor.memory.source == source else cls(SourceMemory(source, now))

    def write(self) -> str:
        """The cursor as text."""
        asked = {key: asdict(asked) for key, asked in self.asked.items()}
        return json.dumps({**self.memory.fields(), "asked": asked}, indent=1)
