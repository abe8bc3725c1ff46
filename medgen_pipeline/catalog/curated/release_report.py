"""What each release brought: rows changed in every table, and the concepts worth a look.

Made from the audit (`load_run`) and the change feeds. The newest load of a table and release counts that changed
something. The first load of a table is its baseline: it lists its rows as inserted and no concepts.

- `topic` is `table` (one row for each of NCBI's tables), `total` (how many concepts each of the following has), or one
  of `new disease`, `renamed`, `merged`, `retired`, with a row for each concept.
- `new disease` is a concept that is new in `names` and has a semantic type of a disease. `merged` is one that has left
  `names` and leads to a current concept by `cui_redirect`; `retired` has left it and leads nowhere.
- Concepts are listed by their links to PubMed, most first, then by CUI, and no more than 100 of each topic and release;
  `position` counts them. `total` counts all.
- Links and redirects are today's, so the rows of an old release may change their order and their detail.
"""

from medgen_pipeline.catalog.curated.columns import ID, NAME, integer, text
from medgen_pipeline.catalog.curated.concept import DISEASES
from medgen_pipeline.catalog.model import AFFECTED, CuratedTable, Increment, Metric, narrowed
from medgen_pipeline.catalog.query import Constant, Query, Scratch
from medgen_pipeline.catalog.sources.medgen import TABLES

LISTED = 100
CONCEPT_TOPICS = ("new disease", "renamed", "merged", "retired")

_TABLES = Constant("table_names", ("table_name",), tuple((table.name,) for table in TABLES))
_TOPICS = Constant("topics", ("topic", "place"), tuple((topic, place) for place, topic in enumerate(CONCEPT_TOPICS, 1)))

_RUN = Scratch(
    "run",
    """
SELECT numbered.table_name, numbered.release, numbered.load_id, numbered.mode, numbered.rows_inserted,
    numbered.rows_updated, numbered.rows_deleted, numbered.rows_unchanged
FROM (
    SELECT load.table_name, load.release, load.load_id, load.mode, load.rows_inserted, load.rows_updated,
        load.rows_deleted, load.rows_unchanged,
        ROW_NUMBER() OVER (PARTITION BY load.table_name, load.release
            ORDER BY CASE WHEN load.mode = 'unchanged' THEN 1 ELSE 0 END, load.load_id DESC) AS place
    FROM {load_run} AS load JOIN {table_names} AS listed ON listed.table_name = load.table_name
    WHERE load.status = 'succeeded'
) AS numbered
WHERE numbered.place = 1
""",
)
# One row per release and concept whose row in names came, went or changed its name. Where the key of names repeats, an
# update is in the feed as a delete and an insert; so what counts is which sides of it there are.
_CHANGE = Scratch(
    "change",
    """
SELECT run.release, changed.cui,
    MAX(CASE WHEN changed._change_type IN ('delete', 'update_preimage') THEN TRIM(changed.name) END) AS old_name,
    MAX(CASE WHEN changed._change_type IN ('insert', 'update_postimage') THEN TRIM(changed.name) END) AS new_name
FROM {changes_of_names} AS changed JOIN {run} AS run
    ON run.load_id = changed._load_id AND run.table_name = 'names'
GROUP BY run.release, changed.cui
""",
)
_ITEM = Scratch(
    "item",
    """
SELECT sorted.release, sorted.topic, sorted.cui, sorted.label, sorted.detail,
    ROW_NUMBER() OVER (PARTITION BY sorted.release, sorted.topic ORDER BY sorted.links DESC, sorted.cui) AS position
FROM (
    SELECT change.release, change.cui, COALESCE(literature.link_count, 0) AS links,
        CASE
            WHEN change.old_name IS NULL THEN 'new disease'
            WHEN change.new_name IS NOT NULL THEN 'renamed'
            WHEN redirect.status = 'current' THEN 'merged'
            ELSE 'retired'
        END AS topic,
        COALESCE(change.new_name, change.old_name) AS label,
        CASE
            WHEN change.old_name IS NULL THEN NULL
            WHEN change.new_name IS NOT NULL THEN change.old_name
            WHEN redirect.status = 'current' THEN redirect.current_cui
            ELSE COALESCE(redirect.status, 'not explained')
        END AS detail
    FROM {change} AS change
        LEFT JOIN {concept_literature} AS literature ON literature.cui = change.cui
        LEFT JOIN {cui_redirect} AS redirect ON redirect.cui = change.cui
        LEFT JOIN (
            SELECT typed.cui
            FROM (
                SELECT cui, tui FROM {mgsty} UNION ALL SELECT cui, tui FROM {changes_of_mgsty} AS past
            ) AS typed JOIN {disease_types} AS disease ON disease.tui = typed.tui
            GROUP BY typed.cui
        ) AS disease ON disease.cui = change.cui
    WHERE change.old_name IS NOT NULL AND (change.new_name IS NULL OR change.new_name <> change.old_name)
        OR change.old_name IS NULL AND disease.cui IS NOT NULL
) AS sorted
""",
)
_NEWEST = Scratch(
    "newest",
    """
SELECT report.topic, report.subject, report.position, report.label, report.detail,
    report.rows_inserted, report.rows_updated, report.rows_deleted, report.total
FROM {release_report} AS report
    JOIN (SELECT MAX(release) AS release FROM {release_report}) AS newest ON newest.release = report.release
""",
)
# For the plots: concepts of each topic, rows of all tables together.
_CHANGED = {
    "report/rows_inserted": "SELECT COALESCE(SUM(rows_inserted), 0) AS found FROM {newest}",
    "report/rows_updated": "SELECT COALESCE(SUM(rows_updated), 0) AS found FROM {newest}",
    "report/rows_deleted": "SELECT COALESCE(SUM(rows_deleted), 0) AS found FROM {newest}",
}


def _total(topic: str) -> Metric:
    """How many concepts a topic of the newest release has."""
    return Metric(
        name=f"report/{topic.replace(' ', '_')}",
        query=Query(
            scratch=(_NEWEST,),
            parameters={"topic": topic},
            text="SELECT COALESCE(SUM(total), 0) AS found FROM {newest} WHERE topic = 'total' AND subject = {topic}",
        ),
    )


# A release is a part. That of a load is other than before, and those that list a concept of which something is.
_INCREMENT = Increment(
    key=("release",),
    scratch=(
        Scratch(
            "moved",
            "SELECT cui FROM {recent_concept_literature} AS feed UNION SELECT cui FROM {recent_cui_redirect} AS feed"
            " UNION SELECT cui FROM {recent_mgsty} AS feed",
        ),
        Scratch(
            AFFECTED,
            """
SELECT release FROM {recent_load_run} AS run
UNION SELECT run.release
    FROM {changes_of_names} AS changed JOIN {moved} AS moved ON moved.cui = changed.cui
        JOIN {load_run} AS run ON run.load_id = changed._load_id
""",
        ),
        narrowed("load_run", "own.release IN (SELECT release FROM {affected})"),
        narrowed("changes_of_names", "own._load_id IN (SELECT load_id FROM {load_run})"),
        *(
            narrowed(name, "own.cui IN (SELECT cui FROM {changes_of_names})")
            for name in ("mgsty", "changes_of_mgsty", "concept_literature", "cui_redirect")
        ),
    ),
)

TABLE = CuratedTable(
    name="release_report",
    columns=(
        text("release", "The release, by its date.", ID),
        text("topic", "What the row is about: `table`, `total`, `new disease`, `renamed`, `merged`, `retired`.", ID),
        text("subject", "The table, the topic that is counted, or the concept's CUI.", ID),
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
    query=Query(
        constants=(_TABLES, _TOPICS, DISEASES),
        parameters={"listed": LISTED},
        scratch=(_RUN, _CHANGE, _ITEM),
        text="""
SELECT release, 'table' AS topic, table_name AS subject,
    ROW_NUMBER() OVER (PARTITION BY release ORDER BY table_name) AS position,
    CAST(NULL AS VARCHAR(4096)) AS label, CAST(mode AS VARCHAR(4096)) AS detail,
    rows_inserted, rows_updated, rows_deleted, rows_inserted + rows_updated + rows_unchanged AS total
FROM {run}
UNION ALL
SELECT counted.release, 'total', topics.topic, topics.place, NULL, NULL, NULL, NULL, NULL, COUNT(item.cui)
FROM (SELECT release FROM {run} WHERE table_name = 'names' GROUP BY release) AS counted
    CROSS JOIN {topics} AS topics
    LEFT JOIN {item} AS item ON item.release = counted.release AND item.topic = topics.topic
GROUP BY counted.release, topics.topic, topics.place
UNION ALL
SELECT release, topic, cui, position, label, detail, NULL, NULL, NULL, NULL
FROM {item} WHERE position <= {listed}
""",
    ),
    increment=_INCREMENT,
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
        *map(_total, CONCEPT_TOPICS),
        *(Metric(name=name, query=Query(scratch=(_NEWEST,), text=text)) for name, text in _CHANGED.items()),
        Metric(
            name="report/concepts",
            columns=("what", "CUI", "name", "before, or now"),
            query=Query(
                constants=(_TOPICS,),
                scratch=(_NEWEST,),
                text="""
SELECT report.topic, report.subject, report.label, report.detail
FROM {newest} AS report JOIN {topics} AS topics ON topics.topic = report.topic
ORDER BY topics.place, report.position
""",
            ),
        ),
        Metric(
            name="report/tables",
            columns=("table", "loaded as", "rows", "inserted", "updated", "deleted", "changed"),
            bars="changed",
            query=Query(
                scratch=(_NEWEST,),
                text="""
SELECT subject, detail, total, rows_inserted, rows_updated, rows_deleted, rows_inserted + rows_updated + rows_deleted
FROM {newest} WHERE topic = 'table' ORDER BY position
""",
            ),
        ),
        Metric(
            name="report/releases",
            columns=("release", *CONCEPT_TOPICS, "rows changed"),
            bars="rows changed",
            query=Query(
                parameters={f"topic_{place}": topic for place, topic in enumerate(CONCEPT_TOPICS, 1)},
                text="""
SELECT release,
    COALESCE(MAX(CASE WHEN topic = 'total' AND subject = {topic_1} THEN total END), 0),
    COALESCE(MAX(CASE WHEN topic = 'total' AND subject = {topic_2} THEN total END), 0),
    COALESCE(MAX(CASE WHEN topic = 'total' AND subject = {topic_3} THEN total END), 0),
    COALESCE(MAX(CASE WHEN topic = 'total' AND subject = {topic_4} THEN total END), 0),
    CAST(SUM(CASE WHEN topic = 'table' THEN rows_inserted + rows_updated + rows_deleted ELSE 0 END) AS BIGINT)
FROM {release_report} AS report WHERE topic IN ('table', 'total')
GROUP BY release ORDER BY release DESC
""",
            ),
        ),
    ),
)
