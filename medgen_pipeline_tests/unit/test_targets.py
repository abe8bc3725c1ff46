"""The settings of a backend are said once, in its config model: launchpad, targets and docs/settings.md have all."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest
from dagster._config import Selector, Shape
from pydantic import ValidationError

from medgen_pipeline.errors import SettingError
from medgen_pipeline.loaders.config import LoaderConfig, expectation
from medgen_pipeline.loaders.databricks.config import DatabricksConfig
from medgen_pipeline.loaders.duckdb.config import DuckDBConfig
from medgen_pipeline.loaders.postgres.config import PostgresConfig
from medgen_pipeline.loaders.redshift.config import RedshiftConfig
from medgen_pipeline.orchestration.io_manager import WarehouseIOManager
from medgen_pipeline.orchestration.targets import (
    DatabaseTarget,
    DatabricksTarget,
    DuckDBTarget,
    PostgresTarget,
    RedshiftTarget,
)
from medgen_pipeline_tests.documents import Document

MODELS: Mapping[str, type[LoaderConfig]] = {
    "embedded": PostgresConfig,
    "postgres": PostgresConfig,
    "redshift": RedshiftConfig,
    "databricks": DatabricksConfig,
    "duckdb": DuckDBConfig,
}
OTHER_THAN_BY_DEFAULT: dict[str, Any] = {
    "s3_bucket": "stage",
    "aws_region": "eu-west-1",
    "schema": "mirror",
    "s3_prefix": "etl",
    "iam_role": "arn:aws:iam::123456789012:role/load",
    "auth": "iam",
    "workgroup": "etl",
    "cluster_identifier": "",  # there is one of the two
    "aws_profile": "",  # is looked up
    "lock_timeout_seconds": 7.0,
    "conflict_attempts": 3,
    "conflict_backoff_seconds": 0.5,
}


def launchpad(kind: str) -> Mapping[str, Any]:
    """The fields that the launchpad shows for a target."""
    target = WarehouseIOManager.to_config_schema().config_type
    assert isinstance(target, Shape)
    selector = target.fields["target"].config_type
    assert isinstance(selector, Selector)
    shape = selector.fields[kind].config_type
    assert isinstance(shape, Shape)
    return shape.fields


@pytest.mark.parametrize(("kind", "model"), MODELS.items())
def test_the_launchpad_has_every_setting_of_the_backend_and_describes_it(kind: str, model: type[LoaderConfig]) -> None:
    shown = launchpad(kind)
    for name, field in model.settings().items():
        assert shown[name].description == field.description
        assert shown[name].is_required == field.is_required()
        assert field.is_required() or shown[name].default_value == field.default


def test_every_setting_of_a_target_reaches_its_loader() -> None:
    assert set(OTHER_THAN_BY_DEFAULT) == set(RedshiftConfig.settings())
    target = RedshiftTarget(dsn="redshift://h/d", **OTHER_THAN_BY_DEFAULT)
    loader: Any = target.loader()
    assert loader._config == RedshiftConfig(**OTHER_THAN_BY_DEFAULT)
    plain: Any = PostgresTarget(dsn="postgresql://h/d", work_mem="1GB", lock_timeout_seconds=7).loader()
    assert plain._config == PostgresConfig(work_mem="1GB", lock_timeout_seconds=7)
    given: dict[str, Any] = {"schema": "mirror", "volume": "rows", "part_megabytes": 8, "lease_seconds": 30.0}
    given |= {"lock_timeout_seconds": 7.0, "conflict_attempts": 3, "conflict_backoff_seconds": 0.5}
    assert set(given) == set(DatabricksConfig.settings())
    shipped: Any = DatabricksTarget(dsn="databricks://token:s@h/p?catalog=main", **given).loader()
    assert shipped._session.config == DatabricksConfig(**given)
    local: Any = DuckDBTarget(dsn="duckdb:///f", schema="x", lock_timeout_seconds=7, memory_limit="1GB").loader()
    assert local._session.config == DuckDBConfig(schema="x", lock_timeout_seconds=7, memory_limit="1GB")
    free: Any = DatabaseTarget(dsn="postgresql://h/d", schema="mirror", options={"work_mem": "1GB"}).loader()
    assert free._config == PostgresConfig(schema="mirror", work_mem="1GB")


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("PostgreSQL", PostgresConfig),
        ("Redshift", RedshiftConfig),
        ("Databricks", DatabricksConfig),
        ("DuckDB", DuckDBConfig),
    ],
)
def test_the_page_of_settings_has_each_with_meaning_expectation_and_default(
    heading: str, model: type[LoaderConfig]
) -> None:
    shown = [tuple(cells) for cells in Document("docs/settings.md").table_under(heading)]
    assert shown == list(rows_of(model))


def rows_of(model: type[LoaderConfig]) -> Iterator[tuple[str, ...]]:
    for name, field in model.settings().items():
        meaning, _, empty = (field.description or "").removesuffix(".").partition("; empty: ")
        default = "required" if field.is_required() else field.default
        default = default if isinstance(default, str) else f"{default:g}"
        cells = (name, meaning, expectation(field) or "text", default or empty or "none")
        yield tuple(cell.replace("`", "") for cell in cells)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schema": 5}, "PostgreSQL loader: schema is 5, expected a valid string."),
        ({"work_mem": "much"}, "PostgreSQL loader: work_mem is 'much', expected a size as PostgreSQL writes it"),
        ({"lock_timeout_seconds": -1}, "lock_timeout_seconds is -1, expected a number from 0 to 604,800."),
        ({"s3_bucket": "b"}, "unknown settings ['s3_bucket']; known: ['lock_timeout_seconds', "),
    ],
)
def test_a_setting_that_cannot_be_right_is_named_with_its_value_and_the_expectation(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingError, match=re.escape(message)):
        PostgresConfig.from_mapping(settings)


def test_no_error_and_no_text_of_a_target_shows_its_dsn() -> None:
    dsn = "postgresql://u:topsecret@h/d"
    with pytest.raises(ValidationError) as error:
        PostgresTarget(dsn=dsn, dns=dsn)  # type: ignore[call-arg]  # on purpose
    assert "topsecret" not in f"{error.value} {PostgresTarget(dsn=dsn)!r} {DatabaseTarget(dsn=dsn)!r}"


def test_a_setting_may_be_a_variable_until_the_loader_is_made() -> None:
    target = RedshiftTarget(dsn=dg.EnvVar("DSN"), s3_bucket=dg.EnvVar("BUCKET"), aws_region=dg.EnvVar("REGION"))
    assert target.s3_bucket == dg.EnvVar("BUCKET")
