"""What checks look at, and how it is judged. Reads through a loader; knows no Dagster and no backend.

The SQL here runs on every backend: standard joins and aggregates, nothing else. Which table has which of these checks
is in ``checks``.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, LiteralString

from medgen_pipeline.catalog import ColumnType, Reference
from medgen_pipeline.catalog.curated_table import Rule, Severity
from medgen_pipeline.loaders import LoadRecord, LoadStatus
from medgen_pipeline.loaders import statement as sql
from medgen_pipeline.loaders.records import ADDED, REMOVED, ROWS_AFTER
from medgen_pipeline.loading.subject import Finding, Subject

_ADDED, _REMOVED = (sql.SQL(", ").join(sql.Literal(change.value) for change in changes) for changes in (ADDED, REMOVED))
_ROWS_BY_VALUE: LiteralString = (
    "SELECT value, copies, SUM(copies) OVER (), COUNT(*) OVER () FROM"
    " (SELECT child.{column} AS value, COUNT(*) AS copies FROM {child} child"
)
_MOST_FREQUENT: LiteralString = " GROUP BY child.{column}) orphan ORDER BY copies DESC, value LIMIT {shown}"
_ORPHANS: LiteralString = (
    " LEFT JOIN {parent} parent ON parent.{to_column} = child.{column}"
    " WHERE child.{column} IS NOT NULL AND parent.{to_column} IS NULL"
)
# Few suspects are orphans, often none: then PostgreSQL (18) has read a row of the child when it stops.
_ORPHANS_AMONG: tuple[LiteralString, LiteralString] = (
    # The first line has no rows; it says of which type the values known before are.
    " WHERE child.{column} IN (SELECT suspect.value FROM (SELECT {column} AS value FROM {child} WHERE 1 = 0{known}",
    ") suspect LEFT JOIN {parent} parent ON parent.{to_column} = suspect.value WHERE parent.{to_column} IS NULL)",
)
_CAME: LiteralString = (
    " UNION SELECT {column} FROM {changes}.{child_feed} WHERE _load_id > {child_since} AND _change_type IN ({added})"
)
_LOST_THEIRS: LiteralString = (
    " UNION SELECT {to_column} FROM {changes}.{parent_feed}"
    " WHERE _load_id > {parent_since} AND _change_type IN ({removed})"
)

DRIFT_CHECK = "production_equals_file"
PINNED_BY_CHOICE = (
    "pinned to release {release}, which somebody has chosen: sensor and schedule leave it there. "
    "`medgen unpin {table}`, or a materialization with `release: newest`, lets it go."
)

_SHOWN = 5
# Enough to tell one finding of a rule from many.
_COUNTED = 1000

# A quarter of weekly releases: long enough for one odd week not to move the median, and a level that has changed for
# good is accepted after seven.
RELEASES = 12
# Between the real releases of 2021 and 2025, names grew by 16 % in all; a UMLS update, twice a year, moved it by 2 %.
USUAL_PERCENT = 10.0
# Of a table that moves more, six times the usual distance from its own median: four standard deviations of a normal
# distribution (the median absolute deviation is 0.67 of one).
USUAL_DISTANCES = 6


def judge_row_count(rows: int, earlier: Sequence[int]) -> tuple[bool, int, int]:
    """Whether a table's rows are as many as its history leads one to expect, and the bounds.

    Args:
        rows: After the newest load.
        earlier: After the newest load of each earlier release; one or more.
    """
    middle = median(earlier)
    distance = median(abs(count - middle) for count in earlier)
    margin = max(middle * USUAL_PERCENT / 100, USUAL_DISTANCES * distance)
    low, high = max(round(middle - margin), 0), round(middle + margin)
    return low <= rows <= high, low, high


def wrong_columns(subject: Subject) -> Finding:
    """Columns of the catalog that are missing, or of another type."""
    wanted = {column.name: column.type for column in subject.table.columns}
    found = subject.columns
    missing = [name for name in wanted if name not in found]
    wrong = {name: column.type for name, column in found.items() if not column.fits}
    metrics = {"check/columns": len(found), "check/other_columns": sorted(set(found) - set(wanted))}
    if not missing and not wrong:
        return Finding(True, metrics=metrics)
    reasons = [f"missing: {', '.join(missing)}"] if missing else []
    reasons += [f"{name} is {kind}, expected {wanted[name].value}" for name, kind in wrong.items()]
    return Finding(
        False, f"{'; '.join(reasons)}. Materialize the table again: a load rebuilds it where it has to.", metrics
    )


def repeated_keys(subject: Subject) -> Finding:
    """Values of the key that are empty or in several rows."""
    table = subject.table
    if lacks := subject.lacks(table.key):
        return lacks
    names = [sql.Identifier(name) for name in table.key]
    rows = subject.loader.query(
        "SELECT {key}, COUNT(*) AS copies, COUNT(*) OVER () AS keys FROM {table} GROUP BY {key}"
        " HAVING COUNT(*) > 1 OR {empty} ORDER BY copies DESC, {key} LIMIT {shown}",
        table=table,
        key=sql.SQL(", ").join(names),
        empty=sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(name) for name in names),
        shown=sql.Literal(_SHOWN),
    )
    repeated = int(rows[0][-1]) if rows else 0
    metrics: dict[str, Any] = {"check/repeated_keys": repeated}
    if not repeated:
        return Finding(True, metrics=metrics)
    metrics["check/sample"] = [dict(zip((*table.key, "rows"), row[:-1], strict=True)) for row in rows]
    return Finding(
        False,
        f"Values of the key ({', '.join(table.key)}) that are empty or in more than one row: {repeated:,}. A join with "
        f"the table multiplies rows. See whether {DRIFT_CHECK} finds an edit by hand; materializing again repairs it.",
        metrics,
    )


def repeated_keys_by_load(load: LoadRecord) -> Finding | None:
    """A load compares by a key only where it is unique."""
    if load.left.get("unique_key") is not True:
        return None
    return Finding(True, metrics={"check/repeated_keys": 0})


def empty_values(subject: Subject) -> Finding:
    """Missing values of columns that need one."""
    table = subject.table
    required = table.required_columns
    if lacks := subject.lacks(required):
        return lacks
    filled = [sql.SQL("COUNT({})").format(sql.Identifier(name)) for name in required]
    ((rows, *counts),) = subject.loader.query(
        "SELECT COUNT(*), {filled} FROM {table}", table=table, filled=sql.SQL(", ").join(filled)
    )
    empty = {name: rows - count for name, count in zip(required, counts, strict=True) if count < rows}
    metrics = {"check/rows": rows, "check/empty_values": sum(empty.values())}
    if not empty:
        return Finding(True, metrics=metrics)
    said = ", ".join(f"{name} in {count:,}" for name, count in empty.items())
    return Finding(False, f"Empty, of {rows:,} rows: {said}. What it was made from has damaged rows.", metrics)


def no_empty_values_by_load(load: LoadRecord) -> Finding | None:
    """A load that has all rows before it may look for empty values while it adds them up."""
    if load.left.get("filled") is not True:
        return None
    return Finding(True, metrics={"check/rows": load.rows_after, "check/empty_values": 0})


def empty_values_since(subject: Subject, loads: Mapping[str, int], earlier: Finding) -> Finding | None:
    """Where no value was missing: is none missing in what came?"""
    table, since = subject.table, loads[subject.table.name]
    if not earlier.passed:
        return None
    if subject.last_load is None or not subject.changes_since(since) or subject.lacks(table.required_columns):
        return None
    empty = subject.loader.query(
        "SELECT 1 FROM {changes}.{feed} WHERE _load_id > {since} AND _change_type IN ({added}) AND ({empty}) LIMIT 1",
        feed=sql.Identifier(table.name),
        since=since,
        added=_ADDED,
        empty=sql.SQL(" OR ").join(
            sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name in table.required_columns
        ),
    )
    return (
        None if empty else Finding(True, metrics={"check/rows": subject.last_load.rows_after, "check/empty_values": 0})
    )


def unusual_row_count(subject: Subject) -> Finding:
    """More or fewer rows than the releases before lead one to expect."""
    rows = subject.loader.query(
        "SELECT {rows_after} FROM {audit}.load_run WHERE load_id IN"
        " (SELECT MAX(load_id) FROM {audit}.load_run WHERE table_name = {name} AND status = {succeeded}"
        " GROUP BY release) ORDER BY load_id DESC LIMIT {releases}",
        name=subject.table.name,
        succeeded=LoadStatus.SUCCEEDED,
        rows_after=sql.SQL(ROWS_AFTER),
        releases=sql.Literal(RELEASES + 1),
    )
    newest, *earlier = [int(count) for (count,) in rows]
    if not earlier:
        return Finding(True, "There is no earlier release to compare with.", {"check/rows": newest})
    passed, low, high = judge_row_count(newest, earlier)
    metrics = {"check/rows": newest, "check/at_least": low, "check/at_most": high, "check/releases": len(earlier)}
    if passed:
        return Finding(True, metrics=metrics)
    return Finding(
        False,
        f"{newest:,} rows; the {len(earlier)} releases before lead one to expect {low:,} to {high:,}. The gates let it "
        "pass, or were opened: see what changed with `medgen changes`.",
        metrics,
    )


def rejected_rows(subject: Subject) -> Finding:
    """Lines of the file that were rejected."""
    last = subject.last_load
    rejected = (last and last.rows_rejected) or 0
    metrics: dict[str, Any] = {"check/rejected_rows": rejected}
    if not rejected:
        return Finding(True, metrics=metrics)
    # Of the newest load that read the whole file; the others only carry the number on.
    lines = subject.loader.query(
        "SELECT line_number, reason FROM {audit}.rejected_row WHERE load_id ="
        " (SELECT MAX(r.load_id) FROM {audit}.rejected_row r JOIN {audit}.load_run l ON l.load_id = r.load_id"
        " WHERE l.table_name = {name} AND l.status = {succeeded}) ORDER BY line_number LIMIT {shown}",
        name=subject.table.name,
        succeeded=LoadStatus.SUCCEEDED,
        shown=sql.Literal(_SHOWN),
    )
    metrics["check/sample"] = [{"line": line, "reason": reason} for line, reason in lines]
    return Finding(
        False,
        f"Lines of the file that were rejected: {rejected:,}. They are missing from the table, and in rejected_row of "
        "the audit's schema.",
        metrics,
    )


def repaired_rows(subject: Subject) -> Finding:
    """Rows of the file that were repaired."""
    last = subject.last_load
    repaired = (last and last.rows_repaired) or 0
    metrics: dict[str, Any] = {"check/repaired_rows": repaired}
    if not repaired:
        return Finding(True, metrics=metrics)
    texts = [sql.Identifier(column.name) for column in subject.table.columns if column.type is ColumnType.TEXT]
    if not subject.lacks(subject.table.column_names):
        rows = subject.loader.query(
            "SELECT {columns} FROM {table} WHERE {damaged} LIMIT {shown}",
            table=subject.table,
            columns=sql.SQL(", ").join(map(sql.Identifier, subject.table.column_names)),
            damaged=sql.SQL(" OR ").join(sql.SQL("{} LIKE {}").format(name, "%\ufffd%") for name in texts),
            shown=sql.Literal(_SHOWN),
        )
        metrics["check/sample"] = [dict(zip(subject.table.column_names, row, strict=True)) for row in rows]
    return Finding(
        False,
        f"Rows that were repaired: {repaired:,}. What was not UTF-8 is U+FFFD in the table (check/sample), and lines "
        "that were broken are joined. More than a few mean that the file is in another encoding.",
        metrics,
    )


def orphans(subject: Subject) -> Finding:
    """Identifiers of other tables that are not there."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for reference in subject.table.references:
        parent = subject.other(reference.to_table)
        if lacks := subject.lacks([reference.column]) or parent.lacks([reference.to_column]):
            return lacks
        found[reference.column] = _orphans_of(subject, reference, _ORPHANS)
    return _finding_of_orphans(subject, found)


def orphans_since(subject: Subject, loads: Mapping[str, int], earlier: Finding) -> Finding | None:
    """The same, of the rows alone that may be one: those known before, what came, and what lost its identifier."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for reference in subject.table.references:
        parent = subject.other(reference.to_table)
        known = {row["value"]: row["rows"] for row in earlier.metrics.get(f"check/sample_{reference.column}", ())}
        if subject.lacks([reference.column]) or parent.lacks([reference.to_column]):
            return None
        if sum(known.values()) != earlier.metrics.get(f"check/orphans_{reference.column}"):
            return None  # there were more than it shows, or it could not judge
        changed: list[LiteralString] = []
        for one, rows in ((subject, _CAME), (parent, _LOST_THEIRS)):
            since = loads[one.table.name]
            if one.rows_of_load and one.rows_of_load.load_id == since:
                continue
            if not one.changes_since(since):
                return None
            changed.append(rows)
        before, after = _ORPHANS_AMONG
        found[reference.column] = _orphans_of(
            subject,
            reference,
            before + "".join(changed) + after,
            known=sql.SQL("").join(sql.SQL(" UNION SELECT {}").format(sql.Literal(value)) for value in known),
            child_feed=sql.Identifier(subject.table.name),
            parent_feed=sql.Identifier(parent.table.name),
            child_since=loads[subject.table.name],
            parent_since=loads[parent.table.name],
            added=_ADDED,
            removed=_REMOVED,
        )
    return _finding_of_orphans(subject, found)


def _orphans_of(subject: Subject, reference: Reference, which: LiteralString, **parts: Any) -> list[tuple[Any, ...]]:
    """The most frequent values, each with its rows, the rows of all orphans and how many values they have."""
    return subject.loader.query(
        _ROWS_BY_VALUE + which + _MOST_FREQUENT,
        child=subject.table,
        parent=subject.other(reference.to_table).table,
        column=sql.Identifier(reference.column),
        to_column=sql.Identifier(reference.to_column),
        shown=sql.Literal(_SHOWN),
        **parts,
    )


def _finding_of_orphans(subject: Subject, found: Mapping[str, list[tuple[Any, ...]]]) -> Finding:
    metrics: dict[str, Any] = {}
    said = []
    for reference in subject.table.references:
        rows = found[reference.column]
        orphans, values = (int(rows[0][2]), int(rows[0][3])) if rows else (0, 0)
        metrics[f"check/orphans_{reference.column}"] = orphans
        if orphans:
            metrics[f"check/sample_{reference.column}"] = [{"value": row[0], "rows": row[1]} for row in rows]
            said.append(
                f"Rows whose {reference.column} is not in {reference.to_table}.{reference.to_column}: {orphans:,}, "
                f"with {values:,} different values."
            )
    return Finding(not said, " ".join(said) or None, metrics)


def drift_since_load(subject: Subject) -> Finding:
    """Rows that others have written or taken away."""
    drift = subject.loader.find_drift(subject.table)
    metrics: dict[str, Any] = {
        "drift/expected_rows": drift.expected_rows,
        "drift/rows": drift.rows,
        "drift/foreign_rows": drift.foreign_rows,
        "drift/checksum_matches": drift.checksum_matches,
    }
    if drift.sample:
        metrics["drift/rows_written_by_others"] = [
            dict(zip(subject.table.column_names, row, strict=True)) for row in drift.sample
        ]
    if not drift.found:
        return Finding(True, metrics=metrics)
    return Finding(
        False,
        f"{drift.foreign_rows:,} rows were written by others; {drift.rows:,} rows, expected {drift.expected_rows:,}. "
        "Materialize the table again: it is then compared whole and repaired.",
        metrics,
    )


def no_drift_by_load(load: LoadRecord) -> Finding:
    """A load compares everything, or proves first that nobody else has written to what it goes on from."""
    rows = load.rows_after
    return Finding(True, metrics={"drift/expected_rows": rows, "drift/rows": rows, "drift/foreign_rows": 0})


def pin(subject: Subject) -> Finding:
    """The release that somebody has chosen."""
    last = subject.last_load
    if last is None or not last.pinned:
        return Finding(True)
    return Finding(False, f"It is {PINNED_BY_CHOICE.format(release=last.release, table=subject.table.name)}")


def broken_rule(rule: Rule, subject: Subject) -> Finding:
    """What a rule of the catalog finds."""
    found = subject.loader.read_query(rule.query, _COUNTED)
    metrics: dict[str, Any] = {"check/findings": len(found)}
    if not found:
        return Finding(True, metrics=metrics)
    metrics["check/sample"] = [dict(zip(("severity", *rule.columns), row, strict=True)) for row in found[:_SHOWN]]
    number = f"{len(found):,}{' or more' if len(found) == _COUNTED else ''}"
    return Finding(
        False,
        f"Findings: {number}, the first are in check/sample. {rule.description}",
        metrics,
        is_error=any(severity == Severity.ERROR for severity, *_ in found),
    )
