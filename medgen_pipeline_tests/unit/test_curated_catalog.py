"""The curated part of the catalog against itself and against the tables it is made from."""

import re
from dataclasses import replace

import pytest

from medgen_pipeline.catalog import CURATED_TABLES, TABLES, CuratedTable, any_table_by_name, table_by_name, upstream_of
from medgen_pipeline.catalog.query import LOAD_RUN, Constant, Query, Scratch

EACH = pytest.mark.parametrize("table", CURATED_TABLES, ids=lambda table: table.name)
COLUMNS = [(table, column) for table in CURATED_TABLES for column in table.columns]


def test_no_curated_table_has_the_name_of_another() -> None:
    assert not {table.name for table in CURATED_TABLES} & {table.name for table in TABLES}


@EACH
def test_a_table_is_described_and_its_module_is_named_after_it(table: CuratedTable) -> None:
    assert len(table.description.splitlines()) > 5
    module = __import__(f"medgen_pipeline.catalog.curated.{table.name}", fromlist=["TABLE"])
    assert module.TABLE is table
    assert module.__doc__ == table.description


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[f"{t.name}.{c.name}" for t, c in COLUMNS])
def test_a_column_is_described_and_fits_redshift(table: CuratedTable, column: object) -> None:
    found = next(one for one in table.columns if one is column)
    assert re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", found.name)
    assert found.description.endswith((".", "`."))
    assert 0 < found.max_bytes <= 65535
    assert not (found.nullable and found.name in table.key), "a key with NULL tells no rows apart"


@EACH
def test_lineage_and_references_lead_to_columns_that_exist(table: CuratedTable) -> None:
    upstream = {one.name for one in upstream_of(table)}
    for sources in table.lineage.values():
        assert sources
        for source in sources:
            name, _, column = source.partition(".")
            if name == LOAD_RUN:
                assert table.query.reads_loads
                continue
            assert name in upstream
            assert column in any_table_by_name(name).column_names
    for reference in table.references:
        assert reference.to_column in any_table_by_name(reference.to_table).column_names


def test_each_table_stands_after_those_it_is_made_from() -> None:
    made = {table.name for table in TABLES}
    for table in CURATED_TABLES:
        assert {upstream.name for upstream in upstream_of(table)} <= made
        made.add(table.name)


def test_a_report_on_all_loads_is_made_after_all_tables() -> None:
    report = any_table_by_name("release_report")
    assert isinstance(report, CuratedTable)
    assert {upstream.name for upstream in upstream_of(report)} >= {table.name for table in TABLES}


@EACH
def test_rules_give_the_worst_findings_first_and_metrics_fit_their_headers(table: CuratedTable) -> None:
    assert len({rule.name for rule in table.rules}) == len(table.rules)
    for rule in table.rules:
        assert rule.description.endswith(".")
        assert rule.columns
        # One row at most needs no order.
        assert "ORDER BY 1" in rule.query.text or rule.name == "every_link_is_counted"
    for metric in table.metrics:
        assert re.fullmatch("[a-z]+/[a-z_]+", metric.name)


@EACH
def test_settings_are_parameters_with_defaults_and_metrics_know_them(table: CuratedTable) -> None:
    for setting in table.settings:
        assert table.query.parameters[setting.parameter]
        assert setting.description.endswith(".")
        readers = [metric for metric in table.metrics if setting.parameter in metric.query.parameters]
        assert all(
            metric.query.parameters[setting.parameter] == table.query.parameters[setting.parameter]
            for metric in readers
        )


def test_what_a_query_reads_is_found_in_all_its_texts() -> None:
    query = Query(
        text="SELECT {held}.x FROM {held} JOIN {facts} AS facts ON {least} < 1 JOIN {changes_of_mgsty} AS c ON 1 = 1",
        scratch=(Scratch("held", "SELECT x FROM {names}", ("INSERT INTO {held} SELECT {round} FROM {mgrel}",)),),
        constants=(Constant("facts", ("x",), ((1,),)),),
        parameters={"least": 0},
    )
    assert query.relations == ("names", "mgrel", "changes_of_mgsty")
    assert query.tables == ("names", "mgrel", "mgsty")
    assert not query.reads_loads
    assert Query(text="SELECT 1 FROM {load_run}").reads_loads


def test_a_version_changes_with_all_that_decides_the_rows_and_with_nothing_else() -> None:
    table = any_table_by_name("concept_ancestor")
    assert isinstance(table, CuratedTable)
    versions = {
        table.version,
        replace(table, query=table.query.with_parameters({"max_depth": 3})).version,
        replace(table, query=replace(table.query, text=f"{table.query.text} ")).version,
        replace(table, query=replace(table.query, scratch=table.query.scratch[:-1])).version,
        replace(table, key=(), key_proven=False).version,
    }
    assert len(versions) == 5
    assert replace(table, description="Another.", rules=()).version == table.version


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the query has no parameters \['depth'\]; it has \['max_depth', 'sources'\]"):
        any_table_by_name("concept_ancestor").query.with_parameters({"depth": 1})  # type: ignore[attr-defined]


def test_a_table_of_either_kind_is_found_by_name() -> None:
    assert any_table_by_name("names") is table_by_name("names")
    assert any_table_by_name("concept").name == "concept"
    with pytest.raises(LookupError, match=r"no table 'concepts'; known tables: names, .*release_report"):
        any_table_by_name("concepts")


def test_an_entry_that_contradicts_itself_is_refused() -> None:
    table = any_table_by_name("concept_parent")
    assert isinstance(table, CuratedTable)
    with pytest.raises(ValueError, match=r"lineage and columns of concept_parent do not match: \['source'\]"):
        replace(table, lineage={name: sources for name, sources in table.lineage.items() if name != "source"})
