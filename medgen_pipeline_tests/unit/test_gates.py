"""The gates: which metrics close them, at which limit, and that the override they offer opens them."""

import math
import re
from dataclasses import asdict, fields, replace

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from medgen_pipeline.catalog import table_by_name
from medgen_pipeline.errors import SettingError
from medgen_pipeline.loaders import ChangeCounts
from medgen_pipeline.loading.gates import ClosedGate, GateLimits, GatesClosedError, closed_gates, gate_closed_early
from medgen_pipeline.loading.load import LoadOptions
from medgen_pipeline.orchestration.assets.tables import LoadConfig
from medgen_pipeline.rows.records import FramingReport

NAMES = table_by_name("names")  # a proven key
MONDO = table_by_name("mondo_cui_history")  # an unproven one
DEFAULTS = GateLimits()


def change(before: int, after: int, *, by_key: bool = True) -> ChangeCounts:
    kept = min(before, after)
    return ChangeCounts(inserted=after - kept, deleted=before - kept, unchanged=kept, by_key=by_key)


def first_load(rows: int, *, by_key: bool = True) -> ChangeCounts:
    return ChangeCounts(inserted=rows, by_key=by_key, baseline=True)


def closed(
    report: FramingReport, counts: ChangeCounts, limits: GateLimits = DEFAULTS, *, proven: bool = True
) -> list[ClosedGate]:
    return list(closed_gates(NAMES if proven else MONDO, limits, report, counts))


def settings(gates: list[ClosedGate]) -> list[str | None]:
    return [gate.setting for gate in gates]


@pytest.mark.parametrize(
    ("rows", "rejected", "limit", "is_closed"),
    [
        (1000, 0, 0.1, False),
        (999, 1, 0.1, False),  # exactly 0.1 %
        (998, 1, 0.1, True),
        (1_000_000, 1_001, 0.1, False),
        (1_000_000, 1_002, 0.1, True),
        (10, 0, 0.0, False),
        (1_000_000, 1, 0.0, True),
        (1, 99, 99.0, False),
        (1, 100, 99.0, True),
        (1, 100, 100.0, False),
    ],
)
def test_rejected_lines_close_the_gate_above_the_limit_and_not_at_it(
    rows: int, rejected: int, limit: float, is_closed: bool
) -> None:
    limits = GateLimits(max_rejected_percent=limit, max_shrink_percent=100)
    gates = closed(FramingReport(rows=rows, rejected=rejected), change(rows, rows), limits)
    assert settings(gates) == (["max_rejected_percent"] if is_closed else [])


@pytest.mark.parametrize(
    ("setting", "before", "after", "limit", "is_closed"),
    [
        ("max_shrink_percent", 1000, 1000, 0.0, False),
        ("max_shrink_percent", 1000, 999, 0.0, True),
        ("max_shrink_percent", 1000, 700, 30.0, False),
        ("max_shrink_percent", 1000, 699, 30.0, True),
        ("max_shrink_percent", 10_000, 1, 99.9, True),
        ("max_growth_percent", 1000, 1000, 0.0, False),
        ("max_growth_percent", 1000, 1001, 0.0, True),
        ("max_growth_percent", 1000, 2000, 100.0, False),
        ("max_growth_percent", 1000, 2001, 100.0, True),
        ("max_growth_percent", 0, 1_000_000, 100.0, False),  # nothing to compare with
    ],
)
def test_a_change_of_size_closes_its_gate_above_the_limit_and_not_at_it(
    setting: str, before: int, after: int, limit: float, is_closed: bool
) -> None:
    limits = GateLimits(**{setting: limit})  # type: ignore[arg-type]  # by name, as in YAML
    gates = closed(FramingReport(rows=after), change(before, after), limits)
    assert settings(gates) == ([setting] if is_closed else [])


@pytest.mark.parametrize(
    ("rows", "repaired", "is_closed"),
    [
        (1, 1, False),  # a handful is none, however small the file
        (2000, 20, False),
        (2000, 21, True),
        (200_000, 20, False),
        (200_000, 21, True),
        (1_000_000, 100, False),  # exactly 0.01 %
        (1_000_000, 101, True),
    ],
)
def test_repaired_rows_close_the_gate_above_the_larger_limit_and_not_at_it(
    rows: int, repaired: int, is_closed: bool
) -> None:
    report, counts = FramingReport(rows=rows, repaired=repaired), change(rows, rows)
    gates = closed(report, counts)
    assert settings(gates) == (["max_repaired_rows"] if is_closed else [])
    assert closed(report, counts, GateLimits(max_repaired_rows=repaired)) == []
    assert closed(report, counts, GateLimits(max_repaired_percent=100 * repaired / rows)) == []


@pytest.mark.parametrize("counts", [first_load(0), change(0, 0), change(1000, 0)], ids=["first", "empty", "filled"])
@pytest.mark.parametrize(
    ("rejected", "reason"),
    [(0, "The file has a header and no row, "), (3, "None of the 3 lines is a row of it, ")],
)
def test_nothing_opens_the_gate_for_a_file_without_a_good_row(counts: ChangeCounts, rejected: int, reason: str) -> None:
    wide_open = GateLimits(100, 10**9, 100, 100, 1e9, NAMES.column_names, True)
    for limits in (DEFAULTS, wide_open):
        (gate,) = closed(FramingReport(rejected=rejected), counts, limits)
        assert gate.reason.startswith(reason + "and no setting lets a load empty a table.")
        assert gate.setting is None
        assert GatesClosedError(NAMES, (gate,), 1).overrides == {}


def test_no_override_is_offered_where_one_gate_has_none() -> None:
    gates = (ClosedGate("Too small.", "max_shrink_percent", 70.0), ClosedGate("Empty."))
    assert GatesClosedError(NAMES, gates, 1).overrides == {}
    assert GatesClosedError(NAMES, gates[:1], 1).overrides == {"max_shrink_percent": 70.0}


NUMBERS = [
    *((name, value, "from 0 to 100") for name in ("max_rejected_percent", "max_repaired_percent", "max_shrink_percent")
      for value in (-1.0, 100.1, 150.0)),
    *((name, value, "") for name in ("max_rejected_percent", "max_growth_percent")
      for value in (math.nan, math.inf, -math.inf)),
    ("max_growth_percent", -0.1, "of 0 or more"),
    ("max_repaired_rows", -1, "whole number of 0 or more"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "span"), NUMBERS)
def test_a_limit_that_cannot_be_meant_is_refused_with_name_value_and_range(name: str, value: float, span: str) -> None:
    with pytest.raises(dg.Failure) as failure:  # of another error Dagster would make three attempts
        LoadConfig(**{name: value})  # type: ignore[arg-type]  # by name, as in YAML
    assert not failure.value.allow_retries
    assert re.match(rf"{name} is {value}, expected a .*{span}", failure.value.description or "")
    with pytest.raises(SettingError, match=f"{name} is {value}, expected a "):
        GateLimits(**{name: value})  # type: ignore[arg-type]  # as above


def test_a_first_load_may_have_any_size() -> None:
    assert closed(FramingReport(rows=1), first_load(1)) == []
    assert closed(FramingReport(rows=50_000_000), first_load(50_000_000)) == []
    taken_over = replace(first_load(1), deleted=1000)
    assert closed(FramingReport(rows=1), taken_over) == []


@pytest.mark.parametrize("counts", [first_load(9, by_key=False), change(9, 9, by_key=False)], ids=["first", "later"])
def test_only_a_proven_key_that_repeats_closes_the_gate(counts: ChangeCounts) -> None:
    report = FramingReport(rows=9)
    assert settings(closed(report, counts)) == ["accept_broken_key"]
    assert closed(report, counts, proven=False) == []
    assert closed(report, replace(counts, by_key=True)) == []
    assert closed(report, counts, GateLimits(accept_broken_key=True)) == []


@settings_of_hypothesis(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**7), st.floats(0, 100), st.integers(0, 10**6))
def test_a_gate_that_closes_early_would_close_at_the_end_of_any_such_file(
    rows: int, rejected: int, more_rows: int, limit: float, more_rejected: int
) -> None:
    limits = GateLimits(max_rejected_percent=limit, max_shrink_percent=100)
    gate = gate_closed_early(limits, FramingReport(rows=rows, rejected=rejected), rows + more_rows)
    if gate is not None:
        whole = FramingReport(rows=rows + more_rows, rejected=rejected + more_rejected)
        assert closed(whole, first_load(whole.rows), limits)
        assert (gate.setting is None) is (rows == 0)


def test_a_gate_closes_early_above_the_limit_and_offers_what_opens_it() -> None:
    limits = GateLimits(max_rejected_percent=10)
    assert gate_closed_early(limits, FramingReport(rows=50, rejected=10), 90) is None
    gate = gate_closed_early(limits, FramingReport(rows=50, rejected=11), 90)
    assert gate is not None
    assert (gate.setting, gate.value) == ("max_rejected_percent", 19.0)  # of the lines that were read
    hopeless = gate_closed_early(limits, FramingReport(rejected=11), 90)
    assert hopeless is not None
    assert hopeless.setting is None


def test_every_gate_that_is_closed_is_named() -> None:
    gates = closed(FramingReport(rows=100, rejected=1), change(1000, 100, by_key=False))
    assert settings(gates) == ["max_rejected_percent", "max_shrink_percent", "accept_broken_key"]
    assert [gate.reason for gate in gates] == [
        "1 of 101 lines were rejected (0.99 %, at most 0.1 %).",
        "It would shrink from 1,000 to 100 rows (90 %, at most 30 %).",
        "Its key (cui) repeats, and it never did in a real release.",
    ]
    assert closed(FramingReport(rows=3000), change(1000, 3000))[0].reason == (
        "It would grow from 1,000 to 3,000 rows (200 %, at most 100 %)."
    )


@pytest.mark.parametrize(
    ("report", "counts"),
    [
        (FramingReport(rows=2, rejected=1), change(2, 2)),
        (FramingReport(rows=50, rejected=50), change(50, 50)),
        (FramingReport(rows=1, rejected=9999), change(1, 1)),
        (FramingReport(rows=100, repaired=99), change(100, 100)),
        (FramingReport(rows=1), change(1_000_000, 1)),
        (FramingReport(rows=4), change(7, 4)),
        (FramingReport(rows=7), change(3, 7)),
        (FramingReport(rows=5), change(1, 5, by_key=False)),
    ],
)
def test_the_overrides_a_closed_gate_offers_let_the_same_load_through(
    report: FramingReport, counts: ChangeCounts
) -> None:
    gates = closed(report, counts)
    assert gates
    overrides = GatesClosedError(NAMES, tuple(gates), 1).overrides
    assert closed(report, counts, LoadConfig(**overrides).options().limits) == []  # type: ignore[arg-type]  # by name, as in YAML
    assert all(value is True or float(str(value)) == int(float(str(value))) for value in overrides.values())
    assert overrides.get("max_rejected_percent", 0) <= 100  # type: ignore[operator]  # a percentage here


def test_the_error_names_the_table_every_reason_and_the_load() -> None:
    gates = (ClosedGate("Too small.", "max_shrink_percent", 70.0), ClosedGate("Too odd.", "accept_broken_key", True))
    error = GatesClosedError(NAMES, gates, 4711)
    assert str(error).startswith("names was not published, production is as it was. Too small. Too odd. ")
    assert "load 4711" in str(error)
    assert (error.table, error.closed, error.staged) == (NAMES, gates, True)
    nothing_staged = GatesClosedError(NAMES, gates, 4711, staged=False)
    assert not nothing_staged.staged
    assert "kept" not in str(nothing_staged)


def test_the_run_config_has_the_fields_and_the_defaults_of_the_gates_and_of_a_load() -> None:
    assert LoadConfig().options() == LoadOptions()
    names = {field.name for kind in (GateLimits, LoadOptions) for field in fields(kind)} - {"limits", "pin"}
    assert set(LoadConfig.model_fields) == names | {"release"}  # which decides about the pin
    assert {**LoadConfig().model_dump(), "accept_missing_columns": ()} == {
        **asdict(DEFAULTS),
        **{name: value for name, value in asdict(LoadOptions()).items() if name in names},
        "release": "",
    }
    assert all(field.description for field in LoadConfig.model_fields.values())


def test_the_run_config_reaches_the_load_field_by_field() -> None:
    config = LoadConfig(
        max_rejected_percent=1.5,
        max_repaired_rows=7,
        max_repaired_percent=0.5,
        max_shrink_percent=2.5,
        max_growth_percent=3.5,
        accept_missing_columns=["source", "suppress"],
        accept_broken_key=True,
        force_warehouse=True,
    )
    assert config.options() == LoadOptions(
        limits=GateLimits(1.5, 7, 0.5, 2.5, 3.5, ("source", "suppress"), True),
        force_warehouse=True,
    )
