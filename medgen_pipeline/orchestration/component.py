"""The Dagster component: an instance of the pipeline from a ``defs.yaml``. Assembly is ``build``'s.

Registered in the entry-point group ``dagster_dg_cli.registry_modules``, by which ``dg`` finds components. Concept:
https://docs.dagster.io/guides/build/components.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, create_model

from medgen_pipeline.orchestration.build import build_definitions
from medgen_pipeline.orchestration.keys import DEFAULT_NAMES
from medgen_pipeline.settings import PREFIX, Settings

if TYPE_CHECKING:
    MedgenSettings = dg.Model
else:
    # The variables of docs/settings.md as attributes, without the one that holds a password.
    MedgenSettings = create_model(
        "MedgenSettings",
        __base__=(dg.Model, dg.Resolvable),
        **{
            name: (field.annotation | None, Field(default=None, description=field.description))
            for name, field in Settings.model_fields.items()
            if name not in {"dsn", "dsn_variable", "curated"}
        },
    )


class MedgenComponent(dg.Component, dg.Model, dg.Resolvable):
    """An exact mirror of NCBI MedGen in a warehouse: its tables, curated tables, checks, jobs, and a release sensor."""

    key_prefix: list[str] = Field(
        default=list(DEFAULT_NAMES.key_prefix), description="Of the tables' asset keys.", examples=[["bio", "medgen"]]
    )
    group_prefix: str = Field(
        default=DEFAULT_NAMES.group_prefix,
        description="The group of NCBI's tables; `_curated` is appended for the curated ones.",
        examples=["medgen"],
    )
    name_prefix: str = Field(
        default=DEFAULT_NAMES.name_prefix,
        description="Of resources, jobs, sensor, schedule, check steps and pool, where a code location holds several "
        "instances or has one of these names already.",
        examples=["bio_"],
    )
    tables: list[str] | None = Field(
        default=None, description="The tables of NCBI's to load; empty: all.", examples=[["names", "mgrel"]]
    )
    curated: bool | list[str] | None = Field(
        default=None,
        description="Whether curated tables are made, too, or which; empty: where the backend can make them.",
        examples=[True],
    )
    automation: bool = Field(
        default=False,
        description="Whether curated assets carry an automation condition, so that Dagster's automation sensor "
        "rebuilds them and what is downstream of them without a job.",
        examples=[True],
    )
    dsn_variable: str = Field(
        default=f"{PREFIX}DSN",
        description="Environment variable that holds the DSN of the warehouse. The DSN itself is not written here: it "
        "may hold a password, and the UI shows what is config. Unset: the embedded PostgreSQL.",
        examples=[f"{PREFIX}DSN"],
    )
    settings: MedgenSettings | None = Field(
        default=None, description="Instead of the environment variables of the same name in upper case."
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of this instance."""
        del context
        given: dict[str, Any] = self.settings.model_dump(exclude_none=True) if self.settings else {}
        return build_definitions(
            key_prefix=self.key_prefix,
            group_prefix=self.group_prefix,
            name_prefix=self.name_prefix,
            tables=self.tables,
            curated=self.curated,
            automation=self.automation,
            settings=Settings.read(dsn_variable=self.dsn_variable, **given),
        )
