"""What the config models of all backends have in common.

A model says each setting once: name, type, default, meaning, and what it may be. The launchpad, the targets and
docs/settings.md are made from it. Values are checked when a loader is made and not before: until then a setting may be
the name of an environment variable.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from medgen_pipeline.errors import MOST_SECONDS, SettingError, require_number

DEFAULT_SCHEMA = "medgen"


@dataclass(frozen=True)
class Span:
    """The numbers that a setting may be."""

    least: float = 0
    most: float = MOST_SECONDS
    whole: bool = False

    @property
    def words(self) -> str:
        """For people."""
        return f"{'whole number' if self.whole else 'number'} from {self.least:,g} to {self.most:,g}"

    def check(self, name: str, value: object) -> None:
        """Refuse another value by name."""
        require_number(name, value, self.least, self.most, whole=self.whole)


@dataclass(frozen=True)
class Form:
    """The texts that a setting may be: those that a pattern matches from end to end."""

    pattern: str
    words: str

    def check(self, name: str, value: object) -> None:
        """Refuse another value by name."""
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.ASCII):
            raise SettingError(f"{name} is {value!r}, expected {self.words}.")


class LoaderConfig(BaseModel):
    """Settings of a loader. ``from_mapping`` makes them of what a user wrote."""

    # A target, which has a DSN besides, inherits this: no error may quote it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    loader_name: ClassVar[str]
    """As errors begin."""

    schema_: str = Field(
        default=DEFAULT_SCHEMA,
        alias="schema",
        description="Schema of the tables; those beside it end in `_staging`, `_changes`, `_audit` and `_history`.",
    )
    lock_timeout_seconds: Annotated[float, Span()] = Field(
        default=600.0, description="Seconds to wait for another load of the same table."
    )

    @property
    def schema(self) -> str:  # type: ignore[override]  # pydantic's own is deprecated, and not for this
        """Schema of the tables."""
        return self.schema_

    @classmethod
    def settings(cls) -> dict[str, FieldInfo]:
        """The settings by the names that users write."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> Self:
        """Check names and values.

        Raises:
            SettingError: A setting is unknown or missing, or it cannot be right; with its name, value and expectation.
        """
        known = cls.settings()
        if unknown := sorted(set(config) - set(known)):
            raise SettingError(f"{cls.loader_name}: unknown settings {unknown}; known: {sorted(known)}.")
        required = [name for name, field in known.items() if field.is_required()]
        if not all(config.get(name) for name in required):
            raise SettingError(f"{cls.loader_name} requires {' and '.join(map(repr, required))} config.")
        for name, value in config.items():
            for limit in known[name].metadata:
                limit.check(f"{cls.loader_name}: {name}", value)
        try:
            return cls.model_validate(dict(config))
        except ValidationError as error:
            found = error.errors()[0]
            name = str(found["loc"][0])
            expected = found["msg"].removeprefix("Input should be ")
            raise SettingError(f"{cls.loader_name}: {name} is {config[name]!r}, expected {expected}.") from None


def settings_of(model: type[LoaderConfig], values: LoaderConfig) -> dict[str, Any]:
    """The settings of a model among those of a target that inherits it, by the names that users write."""
    return values.model_dump(by_alias=True, include=set(model.model_fields))


def expectation(field: FieldInfo) -> str:
    """What a setting may be, for people; empty where any text will do."""
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(field.annotation))
    return " ".join(limit.words for limit in field.metadata)
