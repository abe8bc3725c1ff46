"""What each release brought: rows changed in every table, and the concepts worth a look.

Made from the audit (`load_run`) and the change feeds. The newest load of a table and release counts that changed
something. The first load of a table is its baseline: it lists its rows as inserted and no concepts.

- `topic` is `table` (one row for each of NCBI's tables), `total` (how many concepts each of the following has), or one
  of `new disease`, `new concept`, `renamed`, `merged`, `retired`, with a row for each concept.
- `new disease` is a concept that is new in `names` and has a semantic type of a disease, `new concept` any other.
  `merged` is one that has left `names` and leads to a current concept by `cui_redirect`; `retired` has left it and
  leads nowhere.
- Concepts are listed by their links to PubMed, most first, then by CUI, and no more than 100 of each topic and release;
  `position` counts them. `total` counts all.
- The asset's page shows ten concepts of each topic of the newest release, and how many more there are; the table has
  them.
- Links and redirects are today's, so the rows of an old release may change their order and their detail.
"""

from collections.abc import Mapping
from dataclasses import replace

from medgen_pipeline.catalog.curated.columns import NAME, integer, text
from medgen_pipeline.catalog.curated.concept import DISEASES
from medgen_pipeline.catalog.curated.sql_files import read, read_increment, read_named
from medgen_pipeline.catalog.curated_table import CuratedTable, Metric
from medgen_pipeline.catalog.query import Constant, Parameter, Query, Scratch
from medgen_pipeline.catalog.sources.medgen import TABLES

LISTED = 100
CONCEPT_PAGE = "https://www.ncbi.nlm.nih.gov/medgen/{}"
SHOWN = 10  # of those in the asset's dialog, which is to fit a screen
# Further topics, which need more tables than every installation has: by their names, the one they are about.
FACT_TOPICS = {"identifiers": "concept_xref", "genes": "gene_disease", "phenotypes": "disease_phenotype"}
CONCEPT_TOPICS = ("new disease", "new concept", "renamed", "merged", "retired")

_TABLES = Constant("table_names", ("table_name",), tuple((table.name,) for table in TABLES))
_TOPICS = Constant("topics", ("topic", "place"), tuple((topic, place) for place, topic in enumerate(CONCEPT_TOPICS, 1)))

_METRICS = read_named("release_report.metrics.sql", [_TOPICS], shown=SHOWN)
_NUMBERS = (
    *(f"report/{topic.replace(' ', '_')}" for topic in CONCEPT_TOPICS),
    *(f"report/rows_{change}" for change in ("inserted", "updated", "deleted")),
)

TABLE = CuratedTable(
    name="release_report",
    columns=(
        text("release", "The release, by its date."),
        text(
            "topic",
            "What the row is about: `table`, `total`, `new disease`, `new concept`, `renamed`, `merged`, `retired`.",
        ),
        text("subject", "The table, the topic that is counted, or the concept's CUI."),
        integer("position", "Place in the list of the topic."),
        text("label", "The concept's name in this release, or its last one.", NAME, nullable=True),
        text(
            "detail",
            "Renamed: the old name. Merged: the current CUI. Retired: why. Table: how it was loaded.",
            NAME,
            nullable=True,
        ),
        integer("rows_inserted", "Rows the table gained.", nullable=True),
        integer("rows_updated", "Rows of the table that changed.", nullable=True),
        integer("rows_deleted", "Rows the table lost.", nullable=True),
        integer("total", "Rows of the table after the load, or concepts of the topic.", nullable=True),
    ),
    key=("release", "topic", "subject"),
    key_proven=True,
    description=__doc__,
    query=read("release_report.sql", [_TABLES, _TOPICS, DISEASES], listed=LISTED),
    increment=read_increment("release_report.increment.sql", "release"),
    lineage={
        "release": ("load_run.release",),
        "topic": ("names.name", "mgsty.tui", "cui_redirect.status"),
        "subject": ("names.cui", "load_run.table_name"),
        "position": ("concept_literature.link_count",),
        "label": ("names.name",),
        "detail": ("names.name", "cui_redirect.current_cui", "cui_redirect.status", "load_run.mode"),
        "rows_inserted": ("load_run.rows_inserted",),
        "rows_updated": ("load_run.rows_updated",),
        "rows_deleted": ("load_run.rows_deleted",),
        "total": ("load_run.rows_inserted", "load_run.rows_updated", "load_run.rows_unchanged"),
    },
    metrics=(
        *(Metric(name=name, query=_METRICS[name]) for name in _NUMBERS),
        Metric(
            name="report/concepts",
            columns=("what", "CUI", "name", "before, or now"),
            pages={"CUI": CONCEPT_PAGE},
            query=_METRICS["report/concepts"],
        ),
        Metric(
            name="report/tables",
            columns=("table", "loaded as", "rows", "inserted", "updated", "deleted", "changed"),
            bars="changed",
            query=_METRICS["report/tables"],
        ),
        Metric(
            name="report/releases",
            columns=("release", *CONCEPT_TOPICS, "rows changed"),
            bars="rows changed",
            query=_METRICS["report/releases"],
        ),
    ),
)

_READ = ("names", *FACT_TOPICS.values())
_UNKNOWN: dict[str, Parameter] = {
    "release": "",
    "listed": LISTED,
    **{f"{end}_{name}": 0 for end in ("since", "until") for name in _READ},
}
_BETWEEN = read_named("release_report.between.sql", **_UNKNOWN)
_FACTS = read("release_report.facts.sql", listed=LISTED, until=0)


def concepts_between(windows: Mapping[str, tuple[int, int]], release: str, listed: int) -> Query:
    """The concepts of each topic, as the table has them, of all loads between two releases.

    Args:
        windows: For ``names``, the loads that the changes come after and go up to.
        release: The later one.
        listed: How many concepts of each topic.
    """
    own = _BETWEEN["concepts"]
    query = replace(own, scratch=(*own.scratch, *TABLE.query.scratch[1:]), constants=(DISEASES,))
    return replace(query, parameters=_bounds(windows, release, listed))


def facts_between(topic: str, windows: Mapping[str, tuple[int, int]], release: str, listed: int) -> Query:
    """The facts of one of ``FACT_TOPICS`` that came or went; arguments as of ``concepts_between``."""
    run, (_, change, *_) = _BETWEEN["concepts"].scratch, TABLE.query.scratch
    scratch = (*run, change, Scratch("fact", _BETWEEN[topic].text), *_FACTS.scratch)
    _, until = windows[FACT_TOPICS[topic]]
    return replace(_FACTS, scratch=scratch, parameters={**_bounds(windows, release, listed), "until": until})


def _bounds(windows: Mapping[str, tuple[int, int]], release: str, listed: int) -> dict[str, Parameter]:
    bounds: dict[str, Parameter] = {"release": release, "listed": listed}
    for name, (since, until) in windows.items():
        bounds |= {f"since_{name}": since, f"until_{name}": until}
    return bounds
