"""The hierarchy on any graph: what is cut, what is kept, and that nothing else is lost."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from medgen_pipeline_tests.loaders.curated_support import CuratedWarehouse
from medgen_pipeline_tests.loaders.support import new_loader, query

Edge = tuple[str, str]  # concept, parent
CUIS = st.sampled_from([f"C{number}" for number in range(7)])
EDGES = st.lists(st.tuples(CUIS, CUIS).filter(lambda edge: edge[0] != edge[1]), max_size=16, unique=True)
# Many graphs that have nothing to do with each other, which are a graph, too: most of the time is the load's.
GRAPHS = st.lists(EDGES, min_size=15, max_size=15)


def distances(edges: Iterable[Edge]) -> dict[Edge, int]:
    """Steps of the shortest way from each concept to everything above it, itself included where it is on a cycle."""
    above = defaultdict(set)
    for child, parent in edges:
        above[child].add(parent)
    found: dict[Edge, int] = {}
    for start in list(above):
        level, steps = above[start], 1
        while level:
            for cui in level:
                found.setdefault((start, cui), steps)
            level = {up for cui in level for up in above[cui] if (start, up) not in found}
            steps += 1
    return found


# Above C2 are a top and, no farther, the head of a group that has nothing above it.
ABOVE_A_HEADLESS_GROUP = [("C0", "C3"), ("C2", "C0"), ("C2", "C4"), ("C3", "C0"), ("C4", "C1"), ("C4", "C2")]


@given(graphs=GRAPHS)
@example(graphs=[ABOVE_A_HEADLESS_GROUP])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_graph_becomes_a_hierarchy_that_lacks_nothing_but_edges_of_cycles(
    database: str, graphs: list[list[Edge]]
) -> None:
    edges = [(f"{child}-{number}", f"{up}-{number}") for number, graph in enumerate(graphs) for child, up in graph]
    query(database, "DROP SCHEMA IF EXISTS medgen, medgen_staging, medgen_changes, medgen_audit CASCADE")
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    warehouse.give_names("C0")
    warehouse.give("concept_parent", [(*edge, "HPO") for edge in edges])
    warehouse.make_alone("concept_ancestor")
    found = {(str(cui), str(up)): int(str(distance)) for cui, up, distance in warehouse.rows("concept_ancestor")}
    assert not {(up, cui) for cui, up in found} & set(found)  # no cycle, and nothing above itself

    everything = distances(edges)
    kept = {edge for edge, distance in found.items() if distance == 1}
    assert kept <= set(edges)
    for child, parent in set(edges) - kept:
        assert (parent, child) in everything, "an edge that is on no cycle was cut"
    assert found == distances(kept)
    # Every concept is as near to the nearest top as before, and has something above it unless it is one itself.
    tops = {parent for _, parent in edges} - {child for child, _ in edges}
    assert nearest(found, tops) == nearest(everything, tops)
    groups = {frozenset(up for cui, up in everything if cui == start and (up, cui) in everything) for start, _ in edges}
    headless = [group for group in groups if group and {up for cui, up in everything if cui in group} == group]
    assert len({child for child, _ in edges} - {child for child, _ in kept}) == len(headless)
    assert warehouse.metrics("concept_ancestor")["hierarchy/cut_edges"] == [(len(set(edges) - kept),)]


def nearest(found: dict[Edge, int], tops: set[str]) -> dict[str, int]:
    """How near each concept is to the nearest of these."""
    near: dict[str, int] = {}
    for (cui, up), distance in found.items():
        if up in tops:
            near[cui] = min(distance, near.get(cui, distance))
    return near


def test_the_six_concepts_of_the_docs_have_the_rows_that_are_printed_there(database: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "hierarchy.md").read_text()
    lines = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| C")]
    concepts, rows = lines[:6], [tuple(cell.strip() for cell in line) for line in lines[6:]]
    warehouse = CuratedWarehouse(lambda: new_loader(database), database)
    edges = [(cui.strip(), parent) for cui, _, parents in concepts for parent in parents.replace(",", " ").split()]
    warehouse.give_names("C0012634")
    warehouse.give("concept_parent", [(*edge, "HPO") for edge in edges])
    warehouse.make_alone("concept_ancestor")
    assert [tuple(map(str, row)) for row in warehouse.rows("concept_ancestor")] == rows
    assert warehouse.metrics("concept_ancestor")["hierarchy/cut"] == [("C0037274", "C1335042")]
