"""The curated part of the catalog against itself and against the tables it is made from."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import medgen_pipeline.catalog.curated as curated_package
from medgen_pipeline.catalog import CURATED_TABLES, TABLES, CuratedTable, any_table_by_name, table_by_name, upstream_of
from medgen_pipeline.catalog.curated import ALL_TABLES, concept_xref, rows_ahead, sql_files
from medgen_pipeline.catalog.curated_table import RECENT_PREFIX
from medgen_pipeline.catalog.query import FEED_PREFIX, LOAD_RUN, Constant, Query, Scratch
from medgen_pipeline.catalog.sources import medgen

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


def test_every_sql_file_is_one_of_a_table_s() -> None:
    found = {path.name for path in Path(str(curated_package.__file__)).parent.glob("*.sql")}
    expected = {"release_report.between.sql", "release_report.facts.sql"}
    for table in CURATED_TABLES:
        assert table.query.source == sql_files.read(f"{table.name}.sql").source
        expected |= {f"{table.name}.sql"}
        expected |= {f"{table.name}.rules.sql"} if table.rules else set()
        expected |= {f"{table.name}.metrics.sql"} if table.metrics else set()
        expected |= {f"{table.name}.increment.sql"} & found
    assert found == expected


@EACH
def test_what_may_be_no_table_has_a_name_of_its_own_in_a_query(table: CuratedTable) -> None:
    """A table that is not loaded, and a feed that is not there, are subqueries; PostgreSQL asks for it up to 15."""
    queries = [table.query, *(rule.query for rule in table.rules), *(metric.query for metric in table.metrics)]
    if table.increment:
        queries.append(table.followed(table.query, {one.name: (1, 2) for one in upstream_of(table)}, 1))
    subqueries = {prefix + name for name in table.optional for prefix in ("", RECENT_PREFIX)}
    for query in queries:
        texts = [query.text, *(text for one in query.scratch for text in (one.query, *one.repeat))]
        bare = set(re.findall(r"(?:FROM|JOIN) \{(\w+)\}(?! AS )", " ".join(" ".join(texts).split())))
        bare -= {one.name for one in query.scratch}
        known = subqueries | {one.name for one in query.constants}
        assert not [name for name in bare if name in known or name.startswith(FEED_PREFIX)]


def test_a_file_of_sql_is_a_query_with_scratch_tables_and_its_comments_stay_behind(script: Callable[..., str]) -> None:
    name = script(
        "-- All that is above {nobody}.",
        "CREATE TEMP TABLE {walk} AS",
        "SELECT cui FROM {names};",
        "INSERT INTO {walk} SELECT {round};",
        "-- Twice.",
        "DELETE FROM {walk}",
        "    -- of old",
        "WHERE cui IN ({old});",
        "SELECT cui FROM {walk} JOIN {facts} AS facts ON 1 = 1;",
    )
    facts, unused = Constant("facts", ("x",), ((1,),)), Constant("unused", ("x",), ((1,),))
    query = sql_files.read(name, [facts, unused], old=("C1",), other=1)
    repeated = ("INSERT INTO {walk} SELECT {round}", "DELETE FROM {walk}\nWHERE cui IN ({old})")
    assert query == Query(
        text="SELECT cui FROM {walk} JOIN {facts} AS facts ON 1 = 1",
        scratch=(Scratch("walk", "SELECT cui FROM {names}", repeated),),
        constants=(facts,),
        parameters={"old": ("C1",)},
    )
    assert query.source.startswith("-- All that is above {nobody}.\n")


def test_of_several_queries_in_a_file_each_gets_the_scratch_tables_it_names(script: Callable[..., str]) -> None:
    name = script(
        "CREATE TEMP TABLE {newest} AS",
        "SELECT 1 AS one;",
        "-- name: first",
        "SELECT one FROM {newest};",
        "-- name: a/second",
        "SELECT 2 AS two;",
    )
    newest = Scratch("newest", "SELECT 1 AS one")
    assert sql_files.read_named(name) == {
        "first": Query(text="SELECT one FROM {newest}", scratch=(newest,)),
        "a/second": Query(text="SELECT 2 AS two"),
    }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["UPDATE {names} SET x = 1;"], "has a statement of another kind: UPDATE {names} SET x = 1"),
        (["INSERT INTO {names} SELECT 1;"], "has a statement of another kind: INSERT INTO"),
        (["SELECT 1;", "SELECT 2;"], "goes on behind its query: SELECT 2"),
    ],
)
def test_a_file_that_is_no_such_script_is_refused(lines: list[str], message: str, script: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        sql_files.read(script(*lines))


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a file where those of the catalog are looked for; returns its name."""

    def write(*lines: str) -> str:
        monkeypatch.setattr(sql_files, "files", lambda _: tmp_path)
        (tmp_path / "made_up.sql").write_text("\n".join(lines) + "\n")
        return "made_up.sql"

    return write


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
    assert {upstream.name for upstream in upstream_of(report)} >= {table.name for table in medgen.TABLES}


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


def test_every_prefix_of_an_identifier_is_spelled_out() -> None:
    (vocabularies,) = concept_xref.TABLE.query.constants
    known = {row[vocabularies.columns.index("prefix")] for row in vocabularies.rows}
    assert known | {"UMLS", "medgen.cid"} == concept_xref.PREFIXES.keys()


def test_a_table_begins_before_the_smaller_ones_although_it_reads_curated_tables_alone() -> None:
    ahead = {table.name: rows_ahead(table) for table in ALL_TABLES}
    assert ahead["concept_ancestor"] == table_by_name("mgrel").typical_rows
    assert ahead["mgrel"] == ahead["concept_ancestor"] + ahead["concept_parent"]
