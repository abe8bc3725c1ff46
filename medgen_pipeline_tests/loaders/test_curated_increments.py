"""Curated tables that follow their upstream tables' changes hold what a rebuild gives, whatever the weeks bring.

``make test-histories`` runs 100 random histories of five weeks; the suite runs one of each, of three.
"""

import os
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from medgen_pipeline.catalog import CURATED_TABLES, TABLES, CuratedTable, any_table_by_name, upstream_of
from medgen_pipeline.catalog.query import Parameter
from medgen_pipeline.loaders import ApplyMode, Strategy
from medgen_pipeline.loading import curated_load
from medgen_pipeline.loading.curated_load import CuratedOptions, load_curated
from medgen_pipeline.loading.load import LoadResult
from medgen_pipeline.testing import Row
from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse, curated
from medgen_pipeline_tests.loaders.support import new_loader, query, session

EXAMPLES = int(os.environ.get("MEDGEN_HISTORIES", "1"))
WEEKS = 5 if EXAMPLES > 1 else 3
CUIS = [f"C{number:07}" for number in range(14)]
UNRELATED = sorted({table.name for table in TABLES} - set().union(*(table.query.tables for table in CURATED_TABLES)))
OPTIONAL = sorted({name for table in CURATED_TABLES for name in table.optional})
SETTINGS: dict[str, dict[str, Parameter]] = {"concept_ancestor": {"max_depth": 2}}


class World:
    """What NCBI might publish: a few rows of every table that curated ones read, some of which change every week."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rows: dict[str, set[Row]] = {name: set() for name in self._makers()}
        self.names: dict[str, str] = {}
        for _ in range(4):
            self.next_week(30)

    def next_week(self, most: int = 6) -> None:
        """Rows come and go; rows that differ in nothing but a value are updates."""
        for name in self._makers():
            self.change(name, self.random.randint(0, most))
        for _ in range(self.random.randint(0, most)):
            cui = self.cui()
            if self.random.random() < 0.3:
                self.names.pop(cui, None)
            else:
                self.names[cui] = self.random.choice(["Name", " Name", "Other", "Third", "not provided"])

    def change(self, name: str, times: int) -> None:
        make = self._makers()[name]
        for _ in range(times):
            row = make()
            self.rows[name] ^= (
                {row}
                if self.random.random() < 0.7
                else set(self.random.sample(sorted(self.rows[name], key=repr), min(1, len(self.rows[name]))))
            )

    def cui(self) -> str:
        return self.random.choice(CUIS)

    def content(self) -> dict[str, list[Row]]:
        """The rows of each table; ``names`` has one for each concept, and tables without a key repeat some."""
        repeated = {"mgconso", "mgdef", "medgen_hpo_omim_mapping"}
        rows = {
            name: sorted(found, key=repr) * (2 if name in repeated and len(found) % 3 == 0 else 1)
            for name, found in self.rows.items()
        }
        rows["names"] = [(cui, name, "GTR", "N") for cui, name in sorted(self.names.items())]
        return rows

    def _makers(self) -> dict[str, Callable[[], Row]]:
        one, cui = self.random.choice, self.cui
        return {
            "mgconso": lambda: (cui(), *"PPYA", None, one(["C1", "C2", None]), None, one(["HPO", "NCI"]), "PT", "1",
                                one(["Name", " Name", "Other"]), one(["N", "O"])),
            "mgdef": lambda: (cui(), one(["Short.", "Longer.", "The longest."]), one(["HPO", "NCI", "New"]), "N"),
            "mgsty": lambda: (cui(), one(["T047", "T033", "T191"]), "B", one(["Type", None]), "AT1"),
            "medgen_id_mappings": lambda: (cui(), "Name", one(["1", "2", "HP:1", "MONDO:5"]),
                                           one(["MedGen", "HPO", "MONDO", "hpo", "Later"])),
            "mgrel": lambda: (cui(), "A1", "CUI", one(["PAR", "PAR", "CHD", "RB"]), cui(), "A2",
                              one([None, None, "not_isa", "isa", "inverse_isa"]),
                              f"R{self.random.randint(0, 60)}", one(["HPO", "MONDO"]), "HPO",
                              one(["N", "N", "N", "O"])),
            "medgen_hpo_omim_mapping": lambda: (cui(), one(["1", "2"]), "Name",
                                                one([None, "manifestation_of", "not_manifestation_of"]), cui(),
                                                one(["HP:1", "HP:2"]), "Name", "Name", "HPO", "Finding"),
            "medgen_pubmed_lnk": lambda: (self.random.randint(1, 3), cui(), "Name", self.random.randint(1, 9)),
            "merged": lambda: (cui(), cui()),
            "mim2gene_medgen": lambda: (one(["100100", "100101"]), one([1, 2, 3, None]), "phenotype",
                                        one([" GeneMap", " GeneMap; GeneReviews", None]), one([cui(), None]),
                                        one([None, "susceptibility", "question"])),
            "gene_condition_source_id": lambda: (*one([(1, "A", None), (2, None, "B"), (4, "D", None)]),
                                                 one([cui(), None]), "Name", one(["MONDO", None]), "1", None,
                                                 one(["Feb 16 2016", "21 May 2021"])),
            "medgen_cui_history": lambda: (cui(), one([cui(), "No longer reported"]), "May 2020"),
            "gene_info": lambda: (9606, one([1, 2, 3, 4]), one(["A", "X"]), *[None] * 7, one(["A", "Y", None]),
                                  *[None] * 3, one(["20260105", "20260106"]), None),
            "concept_id_history": lambda: (cui(), one([cui(), "No longer reported"]), "May 2020"),
        }  # fmt: skip


class Deployment:
    """A warehouse that follows a world week by week."""

    def __init__(self, database: str) -> None:
        query(database, "DROP SCHEMA IF EXISTS medgen, medgen_staging, medgen_changes, medgen_audit CASCADE")
        self.warehouse = CuratedWarehouse(lambda: new_loader(database), database)
        self.weeks = 0
        self.edited: set[str] = set()
        self.absent = set(OPTIONAL)
        self.settings: dict[str, dict[str, Parameter]] = {}
        self.first: dict[str, Counter[Row]] = {}

    def give_unrelated(self) -> None:
        """Load, without rows, what a table is not made from, and the report reads the loads of."""
        for name in UNRELATED:
            self.warehouse.give(name, [])

    def publish(self, content: dict[str, list[Row]]) -> None:
        """Load a week's release, which also heals what others have written."""
        self.weeks += 1
        for name, rows in content.items():
            self.warehouse.give(name, rows, f"week {self.weeks:03}")
        self.edited -= content.keys()
        self.absent -= content.keys()

    def write_as_others(self, name: str, rows: list[Row]) -> None:
        """Put other rows in the place of those that a load has left, but for those that a unique index forbids."""
        if query(self.warehouse.database, "SELECT to_regclass(%s) IS NULL", f"medgen.{name}") == [(True,)]:
            return
        with session(self.warehouse.database) as connection:
            connection.execute(f"DELETE FROM medgen.{name}".encode())  # noqa: S608  # a table of the catalog
            for row in rows:
                places = ", ".join(["%s"] * len(row))
                insert = f"INSERT INTO medgen.{name} VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608  # the same
                connection.execute(insert.encode(), row)
        self.edited.add(name)

    def lose(self, name: str, content: dict[str, list[Row]]) -> None:
        """Drop a table; its next load is a first one."""
        self.warehouse.edit(f"DROP TABLE medgen.{name}")
        self.publish({name: content[name]})

    def rows_if_any(self, table: CuratedTable) -> Counter[Row]:
        return self.rows(table) if table.name in self.first else Counter()

    def make(self, table: CuratedTable, *, force_rebuild: bool = False) -> LoadResult:
        options = CuratedOptions(self.settings.get(table.name, {}), force_rebuild=force_rebuild)
        result = load_curated(self.warehouse.new_loader(), table, options)
        self.edited.discard(table.name)
        # An upstream table that others write to is not looked at where no load of it says anything new.
        unseen = result.strategy_reason.startswith("nothing") and self.edited & set(table.query.rows_of)
        if result.strategy is Strategy.SNAPSHOT or (result.mode is ApplyMode.UNCHANGED and not unseen):
            assert self.rows(table) == self.rebuilt(table), (table.name, result.strategy_reason)
        if table.name not in self.first:
            self.first[table.name] = self.rows(table)
        return result

    def rows(self, table: CuratedTable) -> Counter[Row]:
        return Counter(self.warehouse.rows(table))

    def rebuilt(self, table: CuratedTable) -> Counter[Row]:
        """What the table's query gives now."""
        made = table.without([any_table_by_name(name) for name in table.optional if name in self.absent])
        asked = made.query.with_parameters(self.settings.get(table.name, {}))
        columns = ", ".join(table.column_names)
        with self.warehouse.new_loader() as loader:
            text = f"SELECT {columns} FROM ({asked.text}) AS built"  # noqa: S608  # the catalog's own
            return Counter(loader.read_query(replace(asked, text=text), 9999))

    def replayed(self, table: CuratedTable) -> Counter[Row]:
        """The rows of the first load, and every change since."""
        rows = self.first[table.name].copy()
        for (change, *row), copies in self.warehouse.feed(table.name).items():
            rows[tuple(row)] += copies if change in {"insert", "update_postimage"} else -copies
        return +rows


GENE_COUNTS = {
    "concept": "SELECT cui, gene_count FROM medgen.concept WHERE gene_count > 0",
    "gene_disease": "SELECT cui, count(DISTINCT gene_id) FROM medgen.gene_disease JOIN medgen.names USING (cui)"
    " GROUP BY cui",
}


def gene_counts(place: Deployment, table: str) -> list[Row]:
    """How many genes each current concept has, as ``concept`` says, or as ``gene_disease`` lists them."""
    return sorted(query(place.warehouse.database, GENE_COUNTS[table]))


def follow(database: str, seed: int) -> None:
    world, place = World(seed), Deployment(database)
    place.give_unrelated()
    for week in range(WEEKS):
        place.publish(world.content())
        for table in CURATED_TABLES:
            reason = place.make(table).strategy_reason
            assert week == 0 or reason.startswith(("followed", "nothing")), (table.name, reason)
            assert week < WEEKS - 1 or place.replayed(table) == place.rows(table), table.name
        assert gene_counts(place, "concept") == gene_counts(place, "gene_disease")
        world.next_week()


@given(seed=st.integers(0, 2**32))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_curated_table_follows_random_weeks_as_its_rebuild_would(database: str, seed: int) -> None:
    follow(database, seed)


def test_what_changes_in_one_table_alone_is_followed_in_all_that_are_made_from_it(database: str) -> None:
    """No other table's change leads to the same concepts."""
    world, place = World(1), Deployment(database)
    place.give_unrelated()
    place.publish(world.content())
    for table in CURATED_TABLES:
        place.make(table)
    for name in world.rows:
        world.change(name, 8)
        place.publish({name: world.content()[name]})
        moved = {name}
        for table in CURATED_TABLES:
            if moved & set(table.query.rows_of):
                assert place.make(table).strategy_reason.startswith(("followed", "nothing")), (name, table.name)
                moved.add(table.name)


def gene_info(**symbols: str) -> list[Row]:
    return [(9606, int(gene[1:]), symbol, *[None] * 13) for gene, symbol in symbols.items()]


def listed(gene: int, cui: str) -> Row:
    return "1", gene, "phenotype", " GeneMap", cui, None


def condition(gene: int, cui: str) -> Row:
    return gene, f"G{gene}", None, cui, "Name", None, None, None, None


def test_a_change_that_only_a_sibling_has_is_followed_wherever_it_leads(database: str) -> None:
    """Each concept and gene has one reason to be other than before, so that none can do another's work."""
    place = Deployment(database)
    names: list[Row] = [(f"C{number}", "Name", "GTR", "N") for number in range(10, 20)]
    merged: list[Row] = [("C1", "C2"), ("C3", "C13"), ("C4", "C14")]
    genes, conditions = [listed(1, "C1"), listed(3, "C3")], [condition(2, "C2"), condition(4, "C4")]
    empty: dict[str, list[Row]] = {name: [] for name in World(1).rows}
    history: list[Row] = [("C2", "C10", None), ("C5", "C1", None)]
    place.publish(
        empty | {"names": names, "merged": merged, "mim2gene_medgen": genes, "gene_condition_source_id": conditions}
        | {"concept_id_history": history, "gene_info": gene_info(g1="A", g4="B")}
    )  # fmt: skip
    for name in ("concept_literature", "concept_name"):
        place.make(curated(name))
    weeks: list[dict[str, list[Row]]] = [
        {},
        # All that leads to C2 leads elsewhere, and a gene is called otherwise.
        {"concept_id_history": [("C2", "C11", None), *history[1:]], "gene_info": gene_info(g1="A", g4="X")},
        # A new way goes on by ClinVar's word; genes are listed by a retired concept and by a current one, in each list.
        {
            "merged": [*merged, ("C6", "C2")],
            "mim2gene_medgen": [*genes, listed(5, "C3"), listed(6, "C15")],
            "gene_condition_source_id": [*conditions, condition(7, "C4"), condition(8, "C16")],
        },
        # Concepts are called otherwise, whose genes are listed by retired ones.
        {"names": [(cui, f"New name of {cui}", *rest) for cui, _, *rest in names]},
    ]
    for week in weeks:
        place.publish(week)
        for name in ("cui_redirect", "concept", "gene_disease"):
            first = name not in place.first
            assert place.make(curated(name)).strategy_reason.startswith("followed" if week and not first else ""), name


def follow_with_doubts(database: str, seed: int) -> None:
    """Weeks in which others write to tables, a release is skipped or taken back, a setting changes, a table is lost.

    In the first of them some of the tables that others can be made without are not loaded yet.
    """
    world, place = World(seed), Deployment(database)
    place.give_unrelated()
    chance, past = world.random.random, [world.content()]
    for week in range(WEEKS):
        content = world.random.choice(past) if chance() < 0.2 else world.content()
        late = {name for name in place.absent if week < WEEKS - 2 and chance() < 0.7}
        place.publish({name: rows for name, rows in content.items() if name not in late})
        past.append(world.content())
        world.next_week()
        if chance() < 0.6:
            # What others write may be what the next release has, so that its load finds nothing to change.
            name, rows = world.random.choice(sorted(world.content().items()))
            place.write_as_others(name, rows)
        if chance() < 0.3:
            place.lose(world.random.choice(sorted(past[0].keys() - place.absent)), past[-1])
        if chance() < 0.3:
            table = world.random.choice(CURATED_TABLES)
            place.write_as_others(table.name, sorted(place.rows_if_any(table), key=repr)[1:])
        if chance() < 0.3:
            place.settings = {} if place.settings else SETTINGS
        for table in CURATED_TABLES:
            needed = {one.name for one in upstream_of(table)} - set(table.optional)
            if not needed & place.absent and (chance() < 0.8 or table.name not in place.first):
                place.make(table, force_rebuild=chance() < 0.1)
    place.publish(world.content())
    for table in CURATED_TABLES:
        place.make(table)


@given(seed=st.integers(0, 2**32))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_casts_doubt_on_the_changes_leads_to_what_a_rebuild_gives(database: str, seed: int) -> None:
    follow_with_doubts(database, seed)


def _write_what_the_release_has(place: Deployment, world: World) -> None:
    place.write_as_others("names", world.content()["names"])
    place.publish(world.content())


# One doubt at a time: what happens before a week that would be followed, and what the load says.
DOUBTS: dict[str, tuple[Callable[[Deployment, World], None], str]] = {
    "others have written to it": (
        lambda place, _: place.write_as_others("concept_name", []),
        r"concept_name: somebody else wrote to the table",
    ),
    "others write to an upstream table after its load": (
        lambda place, _: place.write_as_others("names", []),
        r"names is not as its load \d+ left it",
    ),
    "others have written what an upstream's release has": (
        _write_what_the_release_has,
        r"somebody else wrote to names since load \d+",
    ),
    "an upstream table was lost and is loaded for the first time": (
        lambda place, world: place.lose("mgconso", world.content()),
        r"the change feed of mgconso does not reach back to load \d+",
    ),
    "rows of an upstream's feed are gone": (
        lambda place, _: place.warehouse.edit("DELETE FROM medgen_changes.names WHERE ctid = (SELECT max(ctid) FROM"
                                              " medgen_changes.names)"),
        r"the change feed of names has [\d,]+ rows of the loads after \d+, expected [\d,]+",
    ),
    "the feed of an upstream is gone": (
        lambda place, _: place.warehouse.edit("DROP TABLE medgen_changes.mgconso CASCADE"),
        r"the change feed of mgconso has 0 rows of the loads after \d+, expected [\d,]+",
    ),
    "the audit has lost the load": (
        lambda place, _: place.warehouse.edit("DELETE FROM medgen_audit.load_run WHERE load_id IN (SELECT load_id FROM"
                                              " medgen_audit.load_run WHERE table_name = 'names' ORDER BY load_id DESC"
                                              " OFFSET 1 LIMIT 1)"),
        r"the audit does not have load \d+ of names",
    ),
    "the catalog's query was another": (
        lambda place, _: place.warehouse.edit("UPDATE medgen_audit.load_run SET content_sha256 = 'other'"
                                              " WHERE table_name = 'concept_name'"),
        "its query or a setting has changed",
    ),
    "the load is of a version that did not record what it was made from": (
        lambda place, _: place.warehouse.edit("UPDATE medgen_audit.load_run SET guard = replace(guard, 'made_from',"
                                              " 'x') WHERE table_name = 'concept_name'"),
        "made from rows of mgconso, names that somebody else had written, or says not",
    ),
}  # fmt: skip


def test_a_doubt_leads_to_a_rebuild_that_says_so(database: str) -> None:
    world, place, table = World(1), Deployment(database), curated("concept_name")

    def next_week() -> None:
        world.next_week(20)
        place.publish({name: world.content()[name] for name in ("names", "mgconso")})

    next_week()
    place.make(table)
    for doubt, (cast, said) in DOUBTS.items():
        next_week()
        cast(place, world)
        assert re.search(said, place.make(table).strategy_reason), doubt
        next_week()
        if "after its load" in doubt:  # what was made from others' rows is rebuilt once more
            place.make(table)
            next_week()
        assert place.make(table).strategy_reason.startswith("followed"), doubt


def test_what_was_made_from_foreign_rows_is_followed_when_the_same_release_has_healed_them(database: str) -> None:
    world, place = World(1), Deployment(database)
    place.give_unrelated()
    release = world.content()

    place.publish(release)
    world.next_week(20)
    place.write_as_others("mgconso", world.content()["mgconso"])
    for table in CURATED_TABLES:
        place.make(table)
    place.publish(release)
    reasons = {table.name: place.make(table).strategy_reason for table in CURATED_TABLES}
    assert "mgconso that somebody else had written" in reasons["concept_name"]
    assert reasons["concept"].startswith("followed")
    for table in CURATED_TABLES:
        if not table.query.reads_loads:
            assert place.rows(table) == place.rebuilt(table), table.name


def test_a_change_that_affects_most_of_the_hierarchy_is_rebuilt_and_says_how_much(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edge at the top of a chain is above all of it; one at the bottom affects one concept."""
    monkeypatch.setattr(curated_load, "_ALWAYS_FOLLOWED", 3)
    place = Deployment(database)
    chain: list[Row] = [(f"C{below}", f"C{below - 1}", "HPO") for below in range(1, 9)]
    top, bottom, other = ("C0", "CTOP", "HPO"), ("CLOW", "C8", "HPO"), ("other", "edge", "HPO")
    weeks: list[list[Row]] = [chain, [*chain, bottom], [*chain, bottom, top], [other]]
    said = []
    for edges in weeks:
        place.publish({"concept_parent": edges})
        said.append(place.make(curated("concept_ancestor")).strategy_reason)
    assert said[1] == "followed the changes of concept_parent since the last load"
    assert said[2] == "rebuilt: 45 rows of concept_ancestor are affected, at most 9 are followed"
    assert said[3] == "too much to follow: 11 changes of concept_parent, which has 1 rows"
