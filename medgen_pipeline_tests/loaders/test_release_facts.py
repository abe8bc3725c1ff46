"""What a report says of two releases, against sets of what the tables held after each of them."""

import random
from collections.abc import Collection

import pytest

from medgen_pipeline.access.report import facts
from medgen_pipeline.access.report.facts import NothingToReportError, Report, gather
from medgen_pipeline.catalog import CURATED_TABLES, TABLES, upstream_of
from medgen_pipeline.catalog.curated.release_report import CONCEPT_TOPICS, FACT_TOPICS
from medgen_pipeline.catalog.sources.medgen import MEDGEN
from medgen_pipeline.testing import Row
from medgen_pipeline.testing.loads import differences
from medgen_pipeline_tests.loaders.curated_support import READ as TABLES_READ
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.redshift_support import ROLE, GatedRedshift
from medgen_pipeline_tests.loaders.support import new_loader
from medgen_pipeline_tests.loaders.test_curated_increments import World
from medgen_pipeline_tests.redgate.gate import Gate
from medgen_pipeline_tests.redgate.s3server import S3Server

A, B, C = "2026-01-07", "2026-01-14", "2026-01-21"
READ = {
    "identifiers": ("concept_xref", "cui", "kind", "source_id", "curie"),
    "genes": ("gene_disease", "cui", "association", "gene_id"),
    "phenotypes": ("disease_phenotype", "disease_cui", "kind", "phenotype_id", "is_negated"),
}
COUNTED = ("names", "medgen_cui_history", "medgen_id_mappings", "gene_disease")
"""Tables whose rows are counted."""
ALONE = ("medgen_cui_history", "medgen_id_mappings", "mim2gene_medgen")
"""Tables that go back to an earlier release while the others stay."""
State = dict[str, list[Row]]


@pytest.fixture
def warehouse(database: str) -> CuratedWarehouse:
    """PostgreSQL: a release takes several times as long through Redshift's gate."""
    return CuratedWarehouse(lambda: new_loader(database), database)


def needed() -> list[str]:
    """The curated tables that a report reads, and those that these are made from."""
    found = {"release_report", *FACT_TOPICS.values()}
    for table in reversed(CURATED_TABLES):
        if table.name in found:
            found |= {upstream.name for upstream in upstream_of(table)}
    return [table.name for table in CURATED_TABLES if table.name in found]


def publish(
    warehouse: CuratedWarehouse, release: str, content: dict[str, list[Row]], only: Collection[str] = ()
) -> State:
    """Load a release, of other sources one a day later, or of it some tables; what the tables then hold."""
    for table in reversed(TABLES):  # `names`, whose loads tell the releases, comes last
        if table not in TABLES_READ or (only and table.name not in only):
            continue
        rows = content.get(table.name, [])
        if rows or table.name not in warehouse.given:
            warehouse.give(table.name, rows, release if table.source is MEDGEN else f"{release} and a day")
    for name in needed():
        warehouse.make_alone(name)
    held = {table: warehouse.rows(table, names) for table, *names in [("names", "cui", "name"), *READ.values()]}
    return held | {f"whole {name}": warehouse.rows(name) for name in COUNTED}


def report(warehouse: CuratedWarehouse, since: str | None = None, until: str | None = None, listed: int = 99) -> Report:
    with warehouse.new_loader() as loader:
        return gather(loader, since, until, listed=listed)


def expected(before: State, after: State) -> dict[str, set[Row]]:
    """What is to be listed of each topic."""
    old, new = ({str(cui): str(name).strip() for cui, name in state["names"]} for state in (before, after))
    found: dict[str, set[Row]] = {
        "new": {(cui, new[cui]) for cui in new.keys() - old.keys()},
        "gone": {(cui, old[cui]) for cui in old.keys() - new.keys()},
        "renamed": {(cui, new[cui], old[cui]) for cui in new.keys() & old.keys() if new[cui] != old[cui]},
    }
    moved = new.keys() ^ old.keys()
    for topic, (table, *_) in READ.items():
        one, other = ({shortened(topic, row) for row in state[table]} for state in (before, after))
        sides = (("gone", one - other), ("came", other - one))
        found[topic] = {(side, *row) for side, rows in sides for row in rows if row[0] not in moved}
    return found


def shortened(topic: str, row: Row) -> Row:
    """A fact as the report has it: the concept, what it is, and how."""
    cui, note, identifier, *more = row
    if topic == "identifiers":
        return cui, more[0] or identifier, note
    return cui, str(identifier), "denied" if more == [True] else note


def told(found: Report) -> dict[str, set[Row]]:
    """What a report lists of each topic."""
    items = {topic.name: topic.items for topic in found.topics}
    listed: dict[str, set[Row]] = {
        "new": {(item.cui, item.name) for name in ("new disease", "new concept") for item in items[name]},
        "gone": {(item.cui, item.name) for name in ("merged", "retired") for item in items[name]},
        "renamed": {(item.cui, item.name, item.detail) for item in items["renamed"]},
    }
    for topic in READ:
        listed[topic] = {
            (side, item.cui, fact.id, fact.note)
            for item in items[topic]
            for side in ("gone", "came")
            for fact in getattr(item, side)
        }
    return listed


def test_a_report_on_any_two_releases_has_what_differs_between_them_and_nothing_that_changed_back(
    warehouse: CuratedWarehouse,
) -> None:
    world, contents = World(7), []
    for _ in range(3):
        contents.append(world.content())
        world.next_week(30)
    # What half of the tables have in the third release they had in the first.
    contents[2] |= {name: contents[0][name] for name in random.Random(1).sample(sorted(contents[0]), 6)}
    contents[2]["names"] = contents[0]["names"]
    a = publish(warehouse, A, contents[0])
    first_b = publish(warehouse, B, contents[1])
    # Some tables alone go back before the next release comes, which is then followed by the one before it.
    went_back = publish(warehouse, A, {name: contents[0][name] for name in ALONE}, ALONE)
    c = publish(warehouse, C, contents[2])
    b = publish(warehouse, B, contents[1])
    for since, until, before, after in ((A, B, a, b), (A, C, a, c), (B, C, went_back, c), (C, B, c, b)):
        found = report(warehouse, since, until)
        assert told(found) == expected(before, after)
        for topic in found.topics:
            assert topic.concepts == len(topic.items)
            assert [topic.gone, topic.came] == [
                sum(len(getattr(item, side)) for item in topic.items) for side in ("gone", "came")
            ]
        for change in found.tables:
            if found.between == (until,):  # of neighbours, what changed is what the later one's bar shows
                assert change.history[until] == change.inserted + change.updated + change.deleted
            if (name := change.table.name) in COUNTED:
                one, other = (state[f"whole {name}"] for state in (before, after))
                counts = differences(change.table, one, other)
                assert (change.before, change.rows) == (len(one), len(other))
                assert (change.inserted, change.updated, change.deleted) == (
                    counts.inserted,
                    counts.updated,
                    counts.deleted,
                )
    assert expected(a, c)["renamed"] == set()
    assert all(expected(a, b)[topic] for topic in ("new", "gone", "renamed", *READ))
    assert all(first_b[f"whole {name}"] != went_back[f"whole {name}"] for name in (*ALONE[:2], "gene_disease"))
    # Of neighbours, the concepts are those of the table, which the asset's page shows.
    totals = {(row[0], row[2]): row[9] for row in warehouse.rows("release_report") if row[1] == "total"}
    latest = report(warehouse)
    assert (latest.since, latest.until) == (C, B)
    for topic in latest.topics[: len(CONCEPT_TOPICS)]:
        assert topic.concepts == totals[B, topic.name]
        assert topic.history == {release: totals[release, topic.name] for release in (C, B)}


def test_of_a_topic_the_most_published_concepts_are_listed_and_all_counted(
    warehouse: CuratedWarehouse, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By PostgreSQL, and by Redshift's loader through its gate, from the same tables."""
    names = [(f"C{number}", "Old name", "GTR", "N") for number in range(6)]
    ids = [(f"C{number}", "Any", f"{number}{place}", "MedGen") for number in range(6) for place in range(2)]
    links = [(1, "C4", "Any", number) for number in range(3)] + [(1, "C2", "Any", 1)]
    content: dict[str, list[Row]] = {"names": [*names], "medgen_id_mappings": [*ids], "medgen_pubmed_lnk": [*links]}
    publish(warehouse, A, content)
    content["names"] = [(cui, "New name", *rest) for cui, _, *rest in names]
    content["medgen_id_mappings"] = [*ids[::2]]
    publish(warehouse, B, content)
    with Gate(warehouse.database, s3.client_settings, roles=[ROLE]) as gate:
        redshift = GatedRedshift(warehouse.database, gate, s3)
        both = warehouse, CuratedWarehouse(redshift.new_loader, warehouse.database)
        by_postgres, by_redshift = (report(one, listed=2) for one in both)
        monkeypatch.setattr(facts, "_FACTS", 4)
        of_few_facts, of_few_by_redshift = (report(one) for one in both)
    topics = {topic.name: topic for topic in by_postgres.topics}
    assert [item.cui for item in topics["renamed"].items] == ["C4", "C2"]
    assert [item.links for item in topics["renamed"].items] == [3, 1]
    assert topics["renamed"].concepts == 6
    assert [item.cui for item in topics["identifiers"].items] == ["C4", "C2"]
    assert [(topic.concepts, topic.gone, topic.came) for topic in [topics["identifiers"]]] == [(6, 6, 0)]
    topics = {topic.name: topic for topic in of_few_facts.topics}
    assert len(topics["identifiers"].items) == 3  # the fourth may have more facts than were read
    assert topics["identifiers"].concepts == 6
    assert (by_redshift, of_few_by_redshift) == (by_postgres, of_few_facts)


def test_two_releases_that_there_are_not_are_a_clear_error(warehouse: CuratedWarehouse) -> None:
    warehouse.give_names("C1")
    with pytest.raises(NothingToReportError, match=r"release_report.* was never loaded"):
        report(warehouse)
    warehouse.make("release_report")
    with pytest.raises(NothingToReportError, match=f"Release {A} is the first"):
        report(warehouse)
    warehouse.give("names", [("C1", "One", "GTR", "N")], B)
    for since, until, message in (
        ("1999-01-01", None, f"Known releases, newest first: {B}, {A}"),
        (B, A, f"Release {A} was not loaded after {B}; give the earlier one first"),
        (B, B, f"Release {B} cannot be compared with itself"),
    ):
        with pytest.raises(NothingToReportError, match=message):
            report(warehouse, since, until)
    warehouse.edit("CREATE TABLE kept AS TABLE medgen_changes.names; DELETE FROM medgen_changes.names")
    with pytest.raises(NothingToReportError, match="the change feed of names has 0 rows"):
        report(warehouse, A, B)
    warehouse.edit("INSERT INTO medgen_changes.names TABLE kept")
    warehouse.edit("DROP TABLE medgen.names")
    warehouse.give("names", [("C1", "Uno", "GTR", "N")], C)
    with pytest.raises(NothingToReportError, match=f"Release {C} is the first"):  # that the feed reaches back to
        report(warehouse)
